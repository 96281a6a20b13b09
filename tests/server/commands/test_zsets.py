"""Sorted sets: what a comparison of single replies with redis-server 7.0 does not show.

That is the stock client's view, clients that wait, scans while members come and go,
what Redis 7.2 and later do otherwise, and large sets.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
import redis.asyncio


@pytest.fixture
async def client(serve: Any, connect: Any) -> Any:
    server = await serve()
    yield await connect(server)
    server.store.check()


async def test_scores_are_the_shortest_digits(client: Any) -> None:
    """As Redis 7.2 and later; 7.0 printed 17 digits."""
    await client.ask("ZADD", "k", "0.1", "a", "3.14", "b", "1e21", "c", "5e-324", "d", "1e17", "e")
    assert await client.ask("ZMSCORE", "k", *"abcde") == [
        *(b"0.1", b"3.14", b"1e+21", b"5e-324"),
        b"100000000000000000",
    ]
    assert await client.ask("ZINCRBY", "k", "0.2", "a") == b"0.30000000000000004"
    await client.ask("HELLO", 3)
    assert await client.bytes_of("ZSCORE", "k", "b") == b",3.14\r\n"
    assert await client.bytes_of("ZRANGE", "k", 0, 0, "WITHSCORES") == (
        b"*1\r\n*2\r\n$1\r\nd\r\n,5e-324\r\n"
    )


async def test_ranks_with_scores(client: Any) -> None:
    await client.ask("ZADD", "k", 1, "a", 2.5, "b")
    assert await client.ask("ZRANK", "k", "b", "WITHSCORE") == [1, b"2.5"]
    assert await client.ask("ZREVRANK", "k", "b", "withscore") == [0, b"2.5"]
    assert await client.bytes_of("ZRANK", "k", "no", "WITHSCORE") == b"*-1\r\n"
    assert await client.bytes_of("ZRANK", "no", "a", "WITHSCORE") == b"*-1\r\n"
    assert str(await client.ask("ZRANK", "k", "a", "WITHSCORES")) == "ERR syntax error"
    assert str(await client.ask("ZRANK", "k", "a", "WITHSCORE", "x")) == (
        "ERR wrong number of arguments for 'zrank' command"
    )
    await client.ask("HELLO", 3)
    assert await client.bytes_of("ZREVRANK", "k", "b", "WITHSCORE") == b"*2\r\n:0\r\n,2.5\r\n"
    assert await client.bytes_of("ZRANK", "no", "a", "WITHSCORE") == b"_\r\n"


async def test_a_scan_returns_what_is_there_throughout(client: Any) -> None:
    await client.ask("ZADD", "k", *(part for n in range(2000) for part in (n, f"m{n}")))
    cursor, found, step = b"0", [], 0
    while True:
        cursor, page = await client.ask("ZSCAN", "k", cursor, "COUNT", 50)
        found += page[::2]
        step += 1
        if cursor == b"0":
            break
        await client.ask("ZREM", "k", *(f"m{n}" for n in range(1900, 2000) if n % 9 == step % 9))
        await client.ask("ZADD", "k", *(part for n in range(30) for part in (n, f"new{step}:{n}")))
    assert {b"m%d" % n for n in range(1900)} <= set(found)
    assert step > 20
    matched = await client.ask("ZSCAN", "k", 0, "MATCH", "m1[0-9]", "COUNT", 100_000)
    assert sorted(matched[1][::2]) == [b"m%d" % n for n in range(10, 20)]


async def test_every_member_may_be_chosen_at_random(client: Any) -> None:
    await client.ask("ZADD", "k", *(part for n in range(20) for part in (n, f"m{n}")))
    every = {f"m{n}".encode() for n in range(20)}
    assert {await client.ask("ZRANDMEMBER", "k") for _ in range(600)} == every
    for _ in range(20):
        some = await client.ask("ZRANDMEMBER", "k", 7)
        assert len(some) == len(set(some)) == 7 and set(some) <= every
    for _ in range(20):
        assert (await client.ask("ZRANDMEMBER", "k", 1))[0] in every
    assert len(set(await client.ask("ZRANDMEMBER", "k", -2))) in (1, 2)
    assert await client.ask("ZRANDMEMBER", "k", 0) == []
    flat = await client.ask("ZRANDMEMBER", "k", 500, "WITHSCORES")
    assert dict(zip(flat[::2], flat[1::2], strict=True)) == {
        f"m{n}".encode(): str(n).encode() for n in range(20)
    }
    assert len(await client.ask("ZRANDMEMBER", "k", -1000)) == 1000
    assert str(await client.ask("ZRANDMEMBER", "k", -20_000_000)) == "ERR value is out of range"


async def test_a_large_set_answers_as_a_small_one(client: Any) -> None:
    """Ten thousand members: the other form of the value, and places far from its ends."""
    rng = random.Random(5)
    model = {f"m{n:05}".encode(): float(rng.randrange(500)) for n in range(10_000)}
    flat = [part for member, score in model.items() for part in (score, member)]
    await client.ask("ZADD", "k", *flat)
    for member in rng.sample(sorted(model), 3000):
        del model[member]
        await client.ask("ZREM", "k", member)
    order = sorted((score, member) for member, score in model.items())
    names = [member for _, member in order]
    assert await client.ask("ZCARD", "k") == len(order)
    assert await client.ask("ZRANGE", "k", 3000, 3009) == names[3000:3010]
    assert await client.ask("ZREVRANGE", "k", 0, 9) == names[:-11:-1]
    for member in rng.sample(names, 50):
        assert await client.ask("ZRANK", "k", member) == names.index(member)
    for low in (0, 17, 250, 499):
        wanted = [member for score, member in order if low <= score < low + 3]
        assert await client.ask("ZRANGEBYSCORE", "k", low, f"({low + 3}") == wanted
        assert await client.ask("ZCOUNT", "k", low, f"({low + 3}") == len(wanted)
    assert await client.ask("ZREMRANGEBYSCORE", "k", 100, 200) == sum(
        100 <= score <= 200 for score, _ in order
    )
    left = [member for score, member in order if not 100 <= score <= 200]
    assert await client.ask("ZPOPMIN", "k", 2) == [
        part for member in left[:2] for part in (member, b"%d" % model[member])
    ]
    assert await client.ask("ZRANGE", "k", 0, -1) == left[2:]


async def test_members_of_one_score_in_a_large_set(client: Any) -> None:
    members = [f"{n:04}".encode() for n in range(3000)]
    await client.ask("ZADD", "k", *(part for member in members for part in (0, member)))
    assert await client.ask("ZLEXCOUNT", "k", "[0100", "(0200") == 100
    assert await client.ask("ZRANGEBYLEX", "k", "(0100", "[0103") == members[101:104]
    assert await client.ask("ZREVRANGEBYLEX", "k", "+", "(2996") == members[:2996:-1]
    assert await client.ask("ZRANGE", "k", "-", "+", "BYLEX", "LIMIT", 5, 2) == members[5:7]
    assert await client.ask("ZREMRANGEBYLEX", "k", "-", "(2990") == 2990
    assert await client.ask("ZCARD", "k") == 10


async def waiting(server: Any, count: int) -> None:
    """Until so many clients wait."""
    async with asyncio.timeout(20):
        while len(server.dispatch.blocked) != count:
            await asyncio.sleep(0)


async def test_whoever_waits_longest_is_served_first(serve: Any, connect: Any) -> None:
    server = await serve()
    clients = [await connect(server) for _ in range(3)]
    for number, (client, line) in enumerate(
        zip(
            clients,
            ("BZPOPMIN a k 0", "BZPOPMAX k b 0", "BZMPOP 0 2 c k MIN COUNT 2"),
            strict=True,
        )
    ):
        client.send(*line.split())
        await waiting(server, number + 1)
    other = await connect(server)
    assert await other.ask("RPUSH", "a", "x") == 1  # another type serves nobody
    assert await other.ask("DEL", "a") == 1
    assert await other.ask("ZADD", "k", 1, "one", 2, "two", 3, "three", 4, "four") == 4
    assert await clients[0].read() == [b"k", b"one", b"1"]
    assert await clients[1].read() == [b"k", b"four", b"4"]
    assert await clients[2].read() == [b"k", [[b"two", b"2"], [b"three", b"3"]]]
    assert await other.ask("EXISTS", "k") == 0


async def test_everything_that_makes_a_sorted_set_serves(serve: Any, connect: Any) -> None:
    server = await serve()
    client, other = await connect(server), await connect(server)
    await other.ask("ZADD", "from", 1, "a")
    payload = await other.ask("DUMP", "from")
    for line in (
        ["ZINCRBY", "k", 1, "a"],
        ["ZUNIONSTORE", "k", 1, "from"],
        ["ZRANGESTORE", "k", "from", 0, -1],
        ["COPY", "from", "k"],
        ["RESTORE", "k", 0, payload],
        ["RENAME", "from", "k"],
        ["GEOADD", "k", 0, 0, "a"],
    ):
        client.send("BZPOPMIN", "k", 0)
        await waiting(server, 1)
        await other.ask(*line)
        assert (await client.read())[:2] == [b"k", b"a"], line


async def test_a_wait_ends(client: Any) -> None:
    for line in ("BZPOPMIN k 0.01", "BZPOPMAX k l 0.01", "BZMPOP 0.01 1 k MAX"):
        assert await client.bytes_of(*line.split()) == b"*-1\r\n"
    await client.ask("HELLO", 3)
    assert await client.bytes_of("BZPOPMIN", "k", "0.01") == b"_\r\n"
    await client.ask("ZADD", "k", 1.5, "a")
    assert await client.bytes_of("BZPOPMIN", "k", 0) == b"*3\r\n$1\r\nk\r\n$1\r\na\r\n,1.5\r\n"


@pytest.mark.parametrize("protocol", [2, 3])
async def test_the_stock_client(serve: Any, protocol: int) -> None:
    server = await serve()
    async with redis.asyncio.Redis(
        port=server.port, protocol=protocol, decode_responses=True
    ) as client:
        assert await client.zadd("board", {"ann": 10, "bob": 7.5, "eve": 12}) == 3
        assert await client.zadd("board", {"bob": 9}, gt=True, ch=True) == 1
        assert await client.zadd("board", {"bob": 1}, incr=True) == 10
        top = await client.zrange("board", 0, 1, desc=True, withscores=True)
        assert [tuple(pair) for pair in top] == [("eve", 12), ("bob", 10)]
        assert await client.zrank("board", "bob") == 1
        assert await client.zrangebyscore("board", "(10", "+inf") == ["eve"]
        assert await client.zpopmin("board") in ([("ann", 10.0)], ["ann", 10.0])
        assert await client.bzpopmax("board", timeout=1) in (
            ("board", "eve", 12.0),
            ["board", "eve", 12.0],
        )
        assert [member async for member, _ in client.zscan_iter("board")] == ["bob"]
        await client.geoadd("places", (13.361389, 38.115556, "Palermo"))
        await client.geoadd("places", (15.087269, 37.502669, "Catania"))
        assert await client.geodist("places", "Palermo", "Catania", unit="km") == 166.2742
        assert await client.geosearch(
            "places", longitude=15, latitude=37, radius=100, unit="km"
        ) == ["Catania"]


async def test_a_row_is_no_sorted_set(shop: Any) -> None:
    client = await shop.client()
    await client.ask("ZADD", "k", 1, "a")
    for line in ("ZSCORE user:1 a", "ZUNION 2 k user:2", "ZADD user:3 1 a", "GEOPOS user:4 a"):
        assert str(await client.ask(*line.split())).startswith("WRONGTYPE"), line
        assert shop.statements == 1, line
    assert await client.ask("ZUNIONSTORE", "user:5", 2, "k", "user:none") == 1
    assert await client.ask("ZRANGE", "user:5", 0, -1) == [b"a"]
    await client.ask("DEL", "user:5")
    assert await client.ask("TYPE", "user:5") == b"hash"
