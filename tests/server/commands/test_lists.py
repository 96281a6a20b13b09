"""Lists: what a long one answers, what it costs, and what other types make of it.

Short lists are held against redis-server in tests/conformance.
"""

from __future__ import annotations

import random
from typing import Any

import hiredis
import pytest
import redis.asyncio

from antecache.server.store import size

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
LONG = 3000


@pytest.fixture
async def server(serve: Any) -> Any:
    server = await serve()
    yield server
    server.store.check()


async def test_a_long_list_is_what_a_python_list_is(server: Any, connect: Any) -> None:
    client = await connect(server)
    rng = random.Random(3)
    model = [b"%d" % number for number in range(LONG)]
    assert await client.ask("RPUSH", "l", *model) == LONG
    for _ in range(400):
        start, stop = sorted(rng.randrange(len(model)) for _ in "12")
        match rng.randrange(6):
            case 0:
                stop = min(stop, start + 30)
                assert await client.ask("LRANGE", "l", start, stop) == model[start : stop + 1]
            case 1:
                back = start - len(model)
                assert await client.ask("LRANGE", "l", back, back + 5) == model[start : start + 6]
            case 2:
                assert await client.ask("LINDEX", "l", start) == model[start]
                await client.ask("LSET", "l", start, b"new%d" % stop)
                model[start] = b"new%d" % stop
            case 3:
                pivot = model[start]
                await client.ask("LINSERT", "l", "AFTER", pivot, b"put")
                model.insert(model.index(pivot) + 1, b"put")
            case 4:
                gone = rng.choice([model[start], b"put"])
                times = rng.choice([1, 2])
                there = min(model.count(gone), times)
                assert await client.ask("LREM", "l", times, gone) == there
                for _ in range(there):
                    model.remove(gone)
            case 5:
                gone = model[start]
                assert await client.ask("LREM", "l", -1, gone) == 1
                del model[len(model) - 1 - model[::-1].index(gone)]
        assert await client.ask("LLEN", "l") == len(model)
    assert await client.ask("LRANGE", "l", 0, -1) == model
    await client.ask("LTRIM", "l", 700, -800)
    assert await client.ask("LRANGE", "l", 0, -1) == model[700:-799]


async def test_reading_far_from_the_ends_leaves_the_list_as_it_is(
    server: Any, connect: Any
) -> None:
    client = await connect(server)
    items = [b"%d" % number for number in range(LONG)]
    await client.ask("RPUSH", "l", *items)
    for start in (0, 600, 1400, 1600, 2400, LONG - 1):
        assert await client.ask("LRANGE", "l", start, start + 2) == items[start : start + 3]
        assert await client.ask("LRANGE", "l", 0, -1) == items


async def test_what_is_charged_is_given_back(server: Any, connect: Any) -> None:
    client = await connect(server)
    used = server.store.used
    await client.ask("RPUSH", "l", *(b"x" * size for size in range(500)))
    assert await client.ask("MEMORY", "USAGE", "l") > 500 * 250
    await client.ask("LPOP", "l", 300)
    await client.ask("LMOVE", "l", "m", "LEFT", "RIGHT")
    await client.ask("LREM", "l", 0, b"x" * 450)
    await client.ask("LTRIM", "l", 0, 0)
    await client.ask("LPOP", "l")
    await client.ask("RPOP", "m")
    assert server.store.used == used and not server.store.count


async def test_a_key_that_moves_is_not_measured_anew(
    server: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect(server)
    await client.ask("RPUSH", "l", *range(LONG))
    charged = await client.ask("MEMORY", "USAGE", "l")

    def fail(_: object) -> int:
        raise AssertionError("all items are looked at")

    with monkeypatch.context() as patched:
        patched.setattr(size, "of_value", fail)
        assert await client.ask("RENAME", "l", "long name") == b"OK"
        assert await client.ask("MEMORY", "USAGE", "long name") == charged + len("long name") - 1
        assert await client.ask("RENAMENX", "long name", "l") == 1
        assert await client.ask("MOVE", "l", 1) == 1
    assert await client.ask("SELECT", 1) == b"OK"
    assert await client.ask("MEMORY", "USAGE", "l") == charged


async def test_a_copy_is_a_list_of_its_own(server: Any, connect: Any) -> None:
    client = await connect(server)
    await client.ask("RPUSH", "l", "a", "b")
    await client.ask("COPY", "l", "m")
    await client.ask("RPUSH", "m", "c")
    assert await client.ask("LRANGE", "l", 0, -1) == [b"a", b"b"]


async def test_replies_of_a_transaction_are_of_their_moment(server: Any, connect: Any) -> None:
    client = await connect(server)
    for words in (("MULTI",), ("RPUSH", "l", "a"), ("LRANGE", "l", 0, -1), ("LPUSH", "l", "b")):
        await client.ask(*words)
    assert await client.ask("EXEC") == [1, [b"a"], 2]


@pytest.mark.parametrize(
    ("items", "encoding"),
    [
        ((b"a",), b"listpack"),
        ((b"x" * 8000,), b"listpack"),
        ((b"x" * 8200,), b"quicklist"),
        # A listpack: 7 bytes, and for each item here 1 byte for its length and 1 to walk back.
        ((b"x" * 62,) * 127, b"listpack"),
        ((b"x" * 62,) * 128, b"quicklist"),
        ((b"7",) * 4092, b"listpack"),  # small integers take one byte, and one to walk back
        ((b"7",) * 4093, b"quicklist"),
        ((b"4000",) * 2728, b"listpack"),
        ((b"-30000",) * 2046, b"listpack"),
        ((b"9223372036854775807",) * 818, b"listpack"),
        ((b"9223372036854775807",) * 819, b"quicklist"),
    ],
)
async def test_encodings_are_those_of_redis_7_4(
    server: Any, connect: Any, items: tuple[bytes, ...], encoding: bytes
) -> None:
    client = await connect(server)
    await client.ask("RPUSH", "l", *items)
    assert await client.ask("OBJECT", "ENCODING", "l") == encoding


@pytest.mark.parametrize(
    "line",
    "LPUSH k a|RPUSHX k a|LPOP k|LLEN k|LRANGE k 0 1|LINDEX k 0|LSET k 0 a|LINSERT k BEFORE a b"
    "|LREM k 0 a|LTRIM k 0 1|LPOS k a|LMOVE k l LEFT LEFT|LMPOP 1 k LEFT|BLPOP k 0|SORT k".split(
        "|"
    ),
)
async def test_a_row_is_no_list(shop: Any, line: str) -> None:
    client = await shop.client()
    reply = await client.ask(*line.replace(" k", " user:3").split())
    assert isinstance(reply, hiredis.ReplyError) and str(reply) == WRONGTYPE
    assert shop.statements == 1
    assert await client.ask("HGET", "user:3", "name") == b"user 3"


async def test_a_queue_under_the_name_of_a_row_that_is_not_there(shop: Any) -> None:
    client = await shop.client()
    assert await client.ask("RPUSH", "user:none", "a") == 1
    assert await client.ask("LPOP", "user:none") == b"a"
    assert await client.ask("TYPE", "user:none") == b"none"


async def test_a_stock_client_uses_lists(server: Any) -> None:
    for protocol in (2, 3):
        async with redis.asyncio.Redis(port=server.port, protocol=protocol) as client:
            await client.delete("l", "m")
            assert await client.rpush("l", 1, 2, 3) == 3
            assert await client.lrange("l", 0, -1) == [b"1", b"2", b"3"]
            assert await client.lpop("l", 2) == [b"1", b"2"]
            assert await client.lmove("l", "m") == b"3"
            assert await client.lmpop(2, "l", "m", direction="LEFT") == [b"m", [b"3"]]
            assert await client.lpop("l") is None
            assert await client.blpop(["l", "m"], timeout=0.01) is None
            await client.rpush("m", "x")
            assert list(await client.brpop(["l", "m"])) == [b"m", b"x"]
            assert await client.blmpop(0.01, 1, "l", direction="LEFT") is None
