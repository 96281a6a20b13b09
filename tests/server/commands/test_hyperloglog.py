"""HyperLogLog: the value and the count are redis-server's own, and the count is near the truth."""

from __future__ import annotations

import random
from typing import Any

import pytest
import redis

from antecache.server import hyperloglog as hll


@pytest.fixture
def theirs(redis_server: Any) -> Any:
    client = redis.Redis(port=redis_server.port)
    client.flushall()
    yield client
    client.close()


async def test_values_are_those_of_redis_from_empty_to_dense(
    serve: Any, connect: Any, theirs: redis.Redis
) -> None:
    client = await connect(await serve())
    rng = random.Random(5)
    for step in (1, 1, 3, 40, 300, 700, 900, 5000, 30_000):
        words = [b"%d" % rng.randrange(10**9) for _ in range(step)]
        assert await client.ask("PFADD", "k", *words) == theirs.pfadd("k", *words)
        assert await client.ask("GET", "k") == theirs.get("k")
        assert await client.ask("PFCOUNT", "k") == theirs.pfcount("k")
        assert await client.ask("GET", "k") == theirs.get("k")  # the count is written down


@pytest.mark.parametrize("sizes", [(0, 5), (5, 400), (300, 600), (900, 900), (10, 20_000), (0, 0)])
async def test_merging_gives_what_redis_gives(
    serve: Any, connect: Any, theirs: redis.Redis, sizes: tuple[int, int]
) -> None:
    client = await connect(await serve())
    rng = random.Random(sum(sizes))
    for key, size in zip("ab", sizes, strict=True):
        words = [rng.randbytes(rng.randrange(20)) for _ in range(size)]
        await client.ask("PFADD", key, *words)
        theirs.pfadd(key, *words)
    assert await client.ask("PFCOUNT", "a", "b") == theirs.pfcount("a", "b")
    for target, *sources in (("c", "a", "b"), ("a", "b"), ("b", "c"), ("c",)):
        await client.ask("PFMERGE", target, *sources)
        theirs.pfmerge(target, *sources)
        assert await client.ask("GET", target) == theirs.get(target)
        assert await client.ask("PFCOUNT", target) == theirs.pfcount(target)


async def test_values_move_between_the_servers(
    serve: Any, connect: Any, theirs: redis.Redis
) -> None:
    client = await connect(await serve())
    for count in (10, 50_000):
        await client.ask("PFADD", "k", *range(count))
        theirs.set("k", await client.ask("GET", "k"))
        theirs.pfadd("k", "more")
        await client.ask("SET", "k", theirs.get("k"))
        assert await client.ask("PFCOUNT", "k") == theirs.pfcount("k")


@pytest.mark.parametrize("count", [1, 100, 3000, 40_000, 200_000])
def test_the_estimate_is_near(count: int) -> None:
    """The standard error is 0.81%; four times that is passed once in 16,000 counters."""
    data = hll.empty()
    hll.add(data, (b"%d" % n for n in range(count)))
    assert abs(hll.estimate(hll.registers(data)) - count) <= max(1, 0.0325 * count)


def test_hashes_are_murmur_hash_64a() -> None:
    """Against the published algorithm's own properties: every bit of the input counts."""
    rng = random.Random(1)
    for size in range(1, 40):
        data = rng.randbytes(size)
        seen = {hll.hash64(data)}
        for bit in range(8 * size):
            other = bytearray(data)
            other[bit >> 3] ^= 1 << (bit & 7)
            seen.add(hll.hash64(bytes(other)))
        assert len(seen) == 8 * size + 1


async def test_nothing_is_added_to_a_counter_that_is_broken(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("PFADD", "k", "x")
    await client.ask("APPEND", "k", "?")
    broken = await client.ask("GET", "k")
    for argv in (("PFCOUNT", "k"), ("PFCOUNT", "k", "k"), ("PFMERGE", "n", "k"), ("PFMERGE", "k")):
        assert str(await client.ask(*argv)) == "INVALIDOBJ Corrupted HLL object detected"
    assert await client.ask("EXISTS", "n") == 0
    assert await client.ask("GET", "k") == broken
