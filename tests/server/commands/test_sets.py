"""Sets: what a large one answers, how even its random choices are, and what it costs.

Small sets are held against redis-server in tests/conformance.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import hiredis
import pytest
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.server.bigset import BigSet

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
LARGE = 1000


@pytest.fixture
async def server(serve: Any) -> Any:
    server = await serve()
    yield server
    server.store.check()


def members(count: int) -> list[bytes]:
    return [b"member:%d" % number for number in range(count)]


async def walk(client: Any, key: str, *options: Any) -> list[bytes]:
    """Everything SSCAN returns."""
    cursor, found = b"0", []
    while True:
        cursor, page = await client.ask("SSCAN", key, cursor, *options)
        found += page
        if cursor == b"0":
            return found


async def test_a_walk_finds_what_is_there_all_the_time(server: Any, connect: Any) -> None:
    client = await connect(server)
    await client.ask("SADD", "s", *members(LARGE))
    cursor, found = b"0", []
    step = 0
    while True:
        cursor, page = await client.ask("SSCAN", "s", cursor, "COUNT", 50)
        found += page
        if cursor == b"0":
            break
        await client.ask("SADD", "s", *(b"new:%d:%d" % (step, n) for n in range(40)))
        await client.ask("SREM", "s", b"member:%d" % step)
        step += 1
    stayed = set(members(LARGE)[step:])
    assert stayed <= set(found)
    assert set(await walk(client, "s", "MATCH", "member:*9")) == {
        one for one in members(LARGE)[step:] if one.endswith(b"9")
    }


async def test_what_is_popped_is_gone_and_the_rest_is_there(server: Any, connect: Any) -> None:
    client = await connect(server)
    await client.ask("SADD", "s", *members(LARGE))
    popped = [await client.ask("SPOP", "s") for _ in range(100)]
    popped += await client.ask("SPOP", "s", 300)
    assert len(set(popped)) == 400
    assert set(await client.ask("SMEMBERS", "s")) == set(members(LARGE)) - set(popped)
    await client.ask("SADD", "s", *popped)
    chosen = await client.ask("SRANDMEMBER", "s", 700)
    assert len(set(chosen)) == 700 and set(chosen) <= set(members(LARGE))
    chosen = await client.ask("SRANDMEMBER", "s", 20)
    assert len(set(chosen)) == 20
    assert len(await client.ask("SRANDMEMBER", "s", -2000)) == 2000
    popped = await client.ask("SPOP", "s", LARGE - 10)
    assert len(set(popped)) == LARGE - 10
    left = await client.ask("SMEMBERS", "s")
    assert len(left) == 10 and set(left) == set(members(LARGE)) - set(popped)
    await client.ask("SADD", "s", *popped)
    assert len(await client.ask("SPOP", "s", LARGE + 1)) == LARGE
    assert await client.ask("EXISTS", "s") == 0


@pytest.mark.parametrize("count", [20, 300])
async def test_random_members_are_chosen_evenly(server: Any, connect: Any, count: int) -> None:
    client = await connect(server)
    await client.ask("SADD", "s", *members(count), *(b"gone:%d" % n for n in range(count)))
    await client.ask("SRANDMEMBER", "s")
    await client.ask("SREM", "s", *(b"gone:%d" % n for n in range(count)))
    await client.ask("SREM", "s", b"member:0")
    await client.ask("SADD", "s", b"member:0")  # no likelier for having been away
    drawn = Counter[bytes]()
    for _ in range(100):
        drawn.update(await client.ask("SRANDMEMBER", "s", -count))
    assert set(drawn) == set(members(count))
    # 100 are expected of each, with a deviation of 10; the generator's seed is fixed.
    assert min(drawn.values()) > 50 and max(drawn.values()) < 150


@pytest.mark.parametrize("count", [50, 150])
async def test_popping_is_even_too(server: Any, connect: Any, count: int) -> None:
    client = await connect(server)
    first = Counter[bytes]()
    for _ in range(300):
        await client.ask("SADD", "s", *members(200))
        first.update(await client.ask("SPOP", "s", count))
    assert set(first) == set(members(200))
    expected = 300 * count / 200  # with a deviation of 7.5
    assert expected - 38 < min(first.values()) and max(first.values()) < expected + 38


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("arpd"), st.integers(0, 30)), max_size=80))
def test_a_big_set_is_a_set(steps: list[tuple[str, int]]) -> None:
    rng = random.Random(1)
    model = {b"%d" % number for number in range(10)}
    big = BigSet(model)
    for what, number in steps:
        member = b"%d" % number
        if what == "a":
            big.add(member)
            model.add(member)
        elif what == "r" and member in model:
            big.remove(member)
            model.remove(member)
        elif model:
            drawn = big.draw(rng, take=what == "p")
            assert drawn in model
            if what == "p":
                model.remove(drawn)
        assert big == model and len(big) == len(model)
    if model:
        assert {big.draw(rng) for _ in range(60 * len(model))} == model
        assert set(big.sample(rng, len(model))) == model
        assert len(set(big.sample(rng, (len(model) + 1) // 2))) == (len(model) + 1) // 2


async def test_what_is_charged_is_given_back(server: Any, connect: Any) -> None:
    client = await connect(server)
    used = server.store.used
    await client.ask("SADD", "s", *members(LARGE))
    charged = await client.ask("MEMORY", "USAGE", "s")
    assert charged > LARGE * 60
    await client.ask("SRANDMEMBER", "s")  # what draws need is charged as well
    assert charged + 8 * LARGE <= await client.ask("MEMORY", "USAGE", "s") < charged + 12 * LARGE
    await client.ask("SPOP", "s", 500)
    await client.ask("SADD", "s", *members(LARGE))
    await client.ask("SREM", "s", *members(LARGE - 1))
    await client.ask("SMOVE", "s", "t", members(LARGE)[-1])
    await client.ask("SUNIONSTORE", "u", "s", "t")
    await client.ask("DEL", "t", "u")
    assert server.store.used == used and not server.store.count


async def test_a_copy_is_a_set_of_its_own(server: Any, connect: Any) -> None:
    client = await connect(server)
    await client.ask("SADD", "s", *members(LARGE))
    await client.ask("SPOP", "s")
    await client.ask("COPY", "s", "t")
    await client.ask("SUNIONSTORE", "u", "s")
    await client.ask("SADD", "t", "other")
    await client.ask("SADD", "u", "another")
    assert await client.ask("SCARD", "s") == LARGE - 1
    assert await client.ask("SMISMEMBER", "s", "other", "another") == [0, 0]


async def test_replies_of_a_transaction_are_of_their_moment(server: Any, connect: Any) -> None:
    client = await connect(server)
    await client.ask("SADD", "s", *members(LARGE))
    await client.ask("SRANDMEMBER", "s")
    for words in (("MULTI",), ("SMEMBERS", "s"), ("SREM", "s", *members(LARGE))):
        await client.ask(*words)
    seen, removed = await client.ask("EXEC")
    assert set(seen) == set(members(LARGE)) and removed == LARGE


@pytest.mark.parametrize(
    ("held", "encoding"),
    [
        ([b"1", b"-5"], b"intset"),
        ([b"%d" % n for n in range(512)], b"intset"),
        ([b"%d" % n for n in range(513)], b"hashtable"),
        ([b"1", b"a"], b"listpack"),
        ([b"01"], b"listpack"),
        ([b"9223372036854775807"], b"intset"),
        ([b"9223372036854775808"], b"listpack"),
        (members(128), b"listpack"),
        (members(129), b"hashtable"),
        ([b"x" * 64], b"listpack"),
        ([b"x" * 65], b"hashtable"),
    ],
)
async def test_encodings_are_those_of_redis_7_4(
    server: Any, connect: Any, held: list[bytes], encoding: bytes
) -> None:
    client = await connect(server)
    await client.ask("SADD", "s", *held)
    assert await client.ask("OBJECT", "ENCODING", "s") == encoding


@pytest.mark.parametrize(
    "line",
    "SADD k a|SREM k a|SISMEMBER k a|SMISMEMBER k a|SCARD k|SMEMBERS k|SPOP k|SRANDMEMBER k"
    "|SMOVE k l a|SINTER k|SUNION l k|SDIFF k|SINTERSTORE l k|SINTERCARD 1 k|SSCAN k 0".split("|"),
)
async def test_a_row_is_no_set(shop: Any, line: str) -> None:
    client = await shop.client()
    reply = await client.ask(*line.replace(" k", " user:3").split())
    assert isinstance(reply, hiredis.ReplyError) and str(reply) == WRONGTYPE
    assert shop.statements == 1


async def test_a_stock_client_uses_sets(server: Any) -> None:
    for protocol in (2, 3):
        async with redis.asyncio.Redis(port=server.port, protocol=protocol) as client:
            await client.delete("s", "t", "u")
            assert await client.sadd("s", 1, 2, 3) == 3
            assert await client.smembers("s") == {b"1", b"2", b"3"}
            assert await client.sadd("t", 2, 3, 4) == 3
            assert set(await client.sinter("s", "t")) == {b"2", b"3"}
            assert set(await client.sdiff("s", "t")) == {b"1"}
            assert await client.sunionstore("u", "s", "t") == 4
            assert await client.sintercard(2, ["s", "t"], limit=1) == 1
            assert {one async for one in client.sscan_iter("u")} == {b"1", b"2", b"3", b"4"}
            assert len(await client.spop("u", 2)) == 2
            assert await client.srandmember("u") in {b"1", b"2", b"3", b"4"}
