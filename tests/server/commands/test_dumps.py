"""DUMP and RESTORE between antecache and a real redis-server, both ways."""

from __future__ import annotations

from typing import Any

import pytest

LONG = "long " * 300  # compressed by Redis

VALUES = {
    "string": ["SET k hello"],
    "integer": ["SET k -70000"],
    "large integer": ["SET k 12345678901"],
    "text": [["SET", "k", LONG]],
    "binary": [["SET", "k", bytes(range(256))]],
    "list": ["RPUSH k a 1 300 -5 b 9999999999 ''"],
    "long list": [["RPUSH", "k", *range(3000), LONG]],
    "list of large items": [["RPUSH", "k", "x" * 9000, "y", "z" * 20_000]],
    "integers": ["SADD k 1 2 70000 -5000000000"],
    "set": ["SADD k a b 3"],
    "large set": [["SADD", "k", *(f"m{n}" for n in range(600))]],
    "hash": ["HSET k f v n -5 e x"],
    "large hash": [["HSET", "k", *(f"m{n}" for n in range(1200))]],
    "hash of long values": [["HSET", "k", "f", LONG]],
    "sorted set": ["ZADD k 1.5 a 3 b -5 c 1e300 d inf e 0.1 f"],
    "large sorted set": [["ZADD", "k", *(part for n in range(300) for part in (n / 7, f"m{n}"))]],
    "stream": ["XADD k 1-1 f v", "XADD k 1-2 f w", "XADD k 5-0 g 7 h -5", "XADD k 9-9 f x"],
    "stream of wide ids": [
        "XADD k 1-18446744073709551615 f v",
        "XADD k 2-0 f w",
        "XADD k 18446744073709551615-3 f x",
    ],
    "long stream": [["XADD", "k", f"{n}-1", "f", n, f"g{n % 2}", "x" * n] for n in range(1, 260)],
    "stream of large entries": [["XADD", "k", f"{n}-1", "f", LONG * 2] for n in range(1, 9)],
    "deleted entries": [
        *(f"XADD k {n}-1 f v" for n in range(1, 9)),
        "XDEL k 3-1 8-1",
        "XTRIM k MAXLEN = 4",
    ],
    "empty stream": ["XADD k 3-3 f v", "XDEL k 3-3", "XGROUP CREATE k g 0"],
    "groups": [
        *(f"XADD k {n}-1 f v" for n in range(1, 9)),
        "XGROUP CREATE k g 0",
        "XGROUP CREATE k h 4-1 ENTRIESREAD 4",
        "XGROUP CREATE k unknown 2-5",
        "XREADGROUP GROUP g ann COUNT 3 STREAMS k >",
        "XREADGROUP GROUP g bob COUNT 2 STREAMS k >",
        "XREADGROUP GROUP h bob STREAMS k >",
        "XACK k g 2-1",
        "XDEL k 1-1",
    ],
    "geo": ["GEOADD k 13.361389 38.115556 Palermo"],
}
LOOKS = {
    b"string": [("GET",)],
    b"list": [("LRANGE", 0, -1), ("LLEN",), ("LINDEX", -1)],
    b"set": [("SMEMBERS",), ("SISMEMBER", "a")],
    b"hash": [("HGETALL",), ("HGET", "n")],
    b"zset": [("ZRANGE", 0, -1, "WITHSCORES"), ("ZSCORE", "a"), ("ZRANK", "b")],
}


def comparable(reply: Any, *, ordered: bool) -> Any:
    if isinstance(reply, list) and not ordered:
        return sorted(reply)
    return reply


async def looked_at(client: Any, key: str) -> list[Any]:
    kind = await client.ask("TYPE", key)
    found = [kind, await client.ask("OBJECT", "ENCODING", key)]
    kind = kind if isinstance(kind, bytes) else kind.encode()
    if kind == b"stream":
        return found + await stream_looked_at(client, key)
    for name, *rest in LOOKS[kind]:
        reply = await client.ask(name, key, *rest)
        if kind == b"zset" and name == "ZRANGE":  # 7.0 prints more digits of a score
            reply = [*reply[::2], *map(float, reply[1::2])]
        elif name == "ZSCORE":
            reply = None if reply is None else float(reply)
        found.append(comparable(reply, ordered=kind not in (b"set", b"hash")))
    return found


async def stream_looked_at(client: Any, key: str) -> list[Any]:
    """Everything about a stream but for how Redis holds it and what time it is."""
    about = await client.ask("XINFO", "STREAM", key)
    found = [await client.ask("XRANGE", key, "-", "+")]
    found += [
        (name, value)
        for name, value in zip(about[::2], about[1::2], strict=True)
        if not name.startswith(b"radix")
    ]
    for group in await client.ask("XINFO", "GROUPS", key):
        pending = await client.ask("XPENDING", key, group[1], "-", "+", 100)
        consumers = await client.ask("XINFO", "CONSUMERS", key, group[1])
        found += [group, [(entry, name, count) for entry, name, _, count in pending]]
        found.append(sorted(consumer[:4] for consumer in consumers))
    return found


@pytest.fixture
async def sides(serve: Any, connect: Any, redis_server: Any) -> Any:
    ours, theirs = await connect(await serve()), await connect(redis_server)
    await theirs.ask("FLUSHALL")
    return {"ours": ours, "theirs": theirs}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("way", [("ours", "theirs"), ("theirs", "ours"), ("ours", "ours")])
async def test_a_value_goes_from_one_server_to_the_other(
    sides: Any, name: str, way: tuple[str, str]
) -> None:
    source, target = (sides[side] for side in way)
    for line in VALUES[name]:
        await source.ask(*(line.replace("''", "").split(" ") if isinstance(line, str) else line))
    payload = await source.ask("DUMP", "k")
    assert await target.ask("RESTORE", "copy", 0, payload) == b"OK"
    before, after = await looked_at(source, "k"), await looked_at(target, "copy")
    if name == "set":  # Redis 7.0 has no listpacks of sets
        del before[1], after[1]
    if "list" in name:  # and always says quicklist
        del before[1], after[1]
    assert after == before


async def test_a_consumer_that_was_never_active(sides: Any) -> None:
    """Only Redis 7.2 and later can say so; the payload is of its version."""
    ours = sides["ours"]
    for line in (
        "XADD k 1-1 f v",
        "XGROUP CREATE k g 0",
        "XGROUP CREATECONSUMER k g idle",
        "XREADGROUP GROUP g busy STREAMS k >",
    ):
        await ours.ask(*line.split())
    payload = await ours.ask("DUMP", "k")
    assert payload[-10:-8] == b"\x0b\x00"
    assert await ours.ask("RESTORE", "copy", 0, payload) == b"OK"
    assert await looked_at(ours, "copy") == await looked_at(ours, "k")
    consumers = [await ours.ask("XINFO", "CONSUMERS", key, "g") for key in ("k", "copy")]
    for known in consumers:
        assert [consumer[1] for consumer in known if consumer[-1] == -1] == [b"idle"]
    assert "wrong" in str(await sides["theirs"].ask("RESTORE", "copy", 0, payload))


async def test_our_payloads_are_redis_s_own(sides: Any) -> None:
    """Where Redis compresses nothing and promises an order, even the bytes are the same."""
    for line in (
        "SET k hello",
        "SET k -70000",
        "RPUSH k a 1 300 b",
        "HSET k f v n -5",
        "ZADD k 1.5 a 3 b -5 c",
        "SADD k 1 2 70000",
    ):
        payloads = []
        for side in sides.values():
            await side.ask("DEL", "k")
            await side.ask(*line.split())
            payloads.append(await side.ask("DUMP", "k"))
        assert payloads[0] == payloads[1], line


async def test_deadlines(sides: Any) -> None:
    for side in sides.values():
        await side.ask("SET", "k", "v", "EX", 100)
        payload = await side.ask("DUMP", "k")
        assert await side.ask("RESTORE", "a", 0, payload) == b"OK"
        assert await side.ask("TTL", "a") == -1
        assert await side.ask("RESTORE", "b", 50_000, payload) == b"OK"
        assert 40_000 < await side.ask("PTTL", "b") <= 50_000
        assert await side.ask("RESTORE", "c", 9_999_999_999_999, payload, "ABSTTL") == b"OK"
        assert await side.ask("PEXPIRETIME", "c") == 9_999_999_999_999
        assert await side.ask("RESTORE", "d", 2**63 - 1, payload, "ABSTTL") == b"OK"
        assert await side.ask("PEXPIRETIME", "d") == 2**63 - 1
        assert await side.ask("RESTORE", "d", 2**63 - 1, payload, "REPLACE") == b"OK"
        assert await side.ask("EXISTS", "d") == 0
        assert await side.ask("RESTORE", "d", 1, payload, "ABSTTL") == b"OK"
        assert await side.ask("EXISTS", "d") == 0
        assert await side.ask("RESTORE", "b", 1, payload, "ABSTTL", "REPLACE") == b"OK"
        assert await side.ask("EXISTS", "b") == 0


async def test_strings_take_no_more_memory_than_others(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.ask("SET", "k", "value")
    one = server.store.used
    payload = await client.ask("DUMP", "k")
    assert await client.ask("RESTORE", "l", 0, payload) == b"OK"
    assert await client.ask("RESTORE", "k", 0, payload, "REPLACE") == b"OK"
    assert server.store.used == 2 * one
    assert await client.ask("MGET", "k", "l") == [b"value", b"value"]
    server.store.check()


async def test_refusals_are_redis_s(sides: Any) -> None:
    payload = await sides["theirs"].ask("DUMP", "no") or b"\x00\x01v\x06\x00\x07\xe5\xa62\xecm\xb6]"
    lines: list[list[Any]] = [
        ["DUMP", "no"],
        ["DUMP"],
        ["RESTORE", "k", 0],
        ["RESTORE", "k", 0, payload],
        ["GET", "k"],
        ["RESTORE", "k", 0, payload],
        ["RESTORE", "k", "x", b"rubbish"],
        ["RESTORE", "k", "x", payload, "REPLACE"],
        ["RESTORE", "k", -1, payload, "replace"],
        ["RESTORE", "k", 0, payload, "REPLACE", "IDLETIME"],
        ["RESTORE", "k", 0, payload, "REPLACE", "IDLETIME", -1],
        ["RESTORE", "k", 0, payload, "REPLACE", "IDLETIME", "x"],
        ["RESTORE", "k", 0, payload, "REPLACE", "IDLETIME", 1, "FREQ", 1],
        ["RESTORE", "k", 0, payload, "REPLACE", "FREQ", 256],
        ["RESTORE", "k", 0, payload, "REPLACE", "FREQ", -1],
        ["RESTORE", "k", 0, payload, "REPLACE", "FREQ", 255],
        ["RESTORE", "k", 0, payload, "REPLACE", "IDLETIME", 1000],
        ["RESTORE", "k", 0, payload, "BOGUS"],
        ["RESTORE", "m", 0, payload[:-1] + b"x"],
        ["RESTORE", "m", 0, payload[:5]],
        ["RESTORE", "m", 0, b""],
        ["EXISTS", "m"],
    ]
    for line in lines:
        assert await sides["ours"].bytes_of(*line) == await sides["theirs"].bytes_of(*line), line


async def test_a_row_is_dumped_as_a_hash(shop: Any) -> None:
    client = await shop.client()
    payload = await client.ask("DUMP", "user:3")
    assert await client.ask("RESTORE", "copy", 0, payload) == b"OK"
    assert await client.ask("HGETALL", "copy") == await client.ask("HGETALL", "user:3")
    assert str(await client.ask("RESTORE", "user:4", 0, payload)).startswith("BUSYKEY")
