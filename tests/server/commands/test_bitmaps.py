"""Bitmaps and long strings: what they cost, and who may see them while they are changed."""

from __future__ import annotations

from typing import Any

import pytest

from antecache.server.buffer import LARGE, Buffer

MEGABYTE = 1 << 20


async def held(server: Any, key: bytes) -> Any:
    server.store.check()
    return server.store.databases[0].peek(key).value


async def test_a_large_bitmap_is_changed_in_place(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    assert await client.ask("SETBIT", "k", 64 * MEGABYTE, 1) == 0
    buffer = await held(server, b"k")
    assert isinstance(buffer, Buffer)
    for offset in (0, 9, 64 * MEGABYTE + 1, 70 * MEGABYTE):
        assert await client.ask("SETBIT", "k", offset, 1) == 0
        assert await client.ask("GETBIT", "k", offset) == 1
        await client.ask("BITFIELD", "k", "INCRBY", "u8", "#3", 1)
    assert await held(server, b"k") is buffer
    assert await client.ask("BITCOUNT", "k") == 6
    assert await client.ask("BITPOS", "k", 1, 4) == 64 * MEGABYTE
    assert await client.ask("TYPE", "k") == b"string"
    assert await client.ask("MEMORY", "USAGE", "k") > 70 * MEGABYTE // 8


@pytest.mark.parametrize(
    "argv",
    [
        ("GET", "k"),
        ("MGET", "no", "k"),
        ("GETRANGE", "k", 0, -1),
        ("GETEX", "k"),
        ("GETDEL", "k"),
        ("GETSET", "k", "x"),
        ("SET", "k", "x", "GET"),
        ("APPEND", "k", "x"),
        ("SETRANGE", "k", 0, "x"),
        ("COPY", "k", "c"),
        ("RENAME", "k", "c"),
        ("BITOP", "NOT", "c", "k"),
        ("STRLEN", "k"),
        ("DUMP", "k"),
        ("INCR", "k"),
        ("INCRBYFLOAT", "k", 1),
        ("LCS", "k", "no"),
        ("PFADD", "k", "x"),
        ("OBJECT", "ENCODING", "k"),
    ],
    ids=lambda argv: argv[0],
)
async def test_other_commands_see_a_string(serve: Any, connect: Any, argv: Any) -> None:
    """As they would see the same string had it been SET, whatever bits are set afterwards."""
    server = await serve()
    client = await connect(server)
    value = bytearray(2 * LARGE)
    value[0] = 0x80
    value[LARGE] = 0x01
    await client.ask("SET", "plain", bytes(value))
    plain = await client.ask(*("plain" if word == "k" else word for word in argv))
    rest = [await client.ask("GET", key) for key in ("plain", "c")]
    await client.ask("DEL", "c")
    await client.ask("SETBIT", "k", 0, 1)
    await client.ask("SETBIT", "k", 8 * LARGE + 7, 1)
    await client.ask("SETBIT", "k", 16 * LARGE - 1, 0)
    assert isinstance(await held(server, b"k"), Buffer)
    assert str(await client.ask(*argv)) == str(plain)
    copied = await client.ask("GET", "c")
    await client.ask("SETBIT", "c", 3, 1)
    assert [await client.ask("GET", "k"), copied] == rest
    server.store.check()


async def test_a_long_string_grows_in_place(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    wanted = bytearray(b"x" * LARGE)
    await client.ask("SET", "k", bytes(wanted))
    for number in range(300):
        line = b"line %d\n" % number
        wanted += line
        assert await client.ask("APPEND", "k", line) == len(wanted)
    buffer = await held(server, b"k")
    assert isinstance(buffer, Buffer)
    wanted[5:9] = b"five"
    wanted[LARGE + 100 : LARGE + 102] = b"ab"
    assert await client.ask("SETRANGE", "k", 5, "five") == len(wanted)
    assert await client.ask("SETRANGE", "k", LARGE + 100, "ab") == len(wanted)
    assert await client.ask("GETRANGE", "k", 0, 20) == wanted[:21]
    assert await client.ask("GETRANGE", "k", -20, -1) == wanted[-20:]
    assert await client.ask("STRLEN", "k") == len(wanted)
    assert await held(server, b"k") is buffer
    assert await client.ask("GET", "k") == wanted
    assert await client.ask("APPEND", "k", "") == len(wanted)
    assert await client.ask("SETRANGE", "n", 3 * LARGE, "end") == 3 * LARGE + 3
    assert await client.ask("GETRANGE", "n", 3 * LARGE - 2, -1) == b"\0\0end"
    server.store.check()


async def test_reading_leaves_a_string_without_an_entry(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.ask("MSET", "k", "foobar", "l", "abc")
    held = server.store.databases[0].dicts
    bare = [data for data in held if isinstance(data.get(b"k"), bytes)]
    assert bare
    for line in (
        *("GETBIT k 5", "BITCOUNT k", "BITPOS k 1", "BITFIELD_RO k GET u8 0", "BITOP OR d k l"),
        *("BITFIELD k GET u8 0", "STRLEN k", "GETRANGE k 0 2"),
    ):
        await client.ask(*line.split())
        assert isinstance(bare[0][b"k"], bytes), line


async def test_what_is_counted_is_what_the_string_takes(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.ask("SETBIT", "k", 8 * LARGE, 1)
    buffered = await client.ask("MEMORY", "USAGE", "k")
    await client.ask("GET", "k")
    assert type(await held(server, b"k")) is bytes
    assert await client.ask("MEMORY", "USAGE", "k") == buffered
    await client.ask("SETBIT", "k", 1, 1)
    await client.ask("SET", "k", "small")
    server.store.check()


async def test_no_bit_lies_beyond_the_longest_string(serve: Any, connect: Any) -> None:
    client = await connect(await serve(proto_max_bulk_len=MEGABYTE))
    assert await client.ask("SETBIT", "k", 8 * MEGABYTE - 1, 1) == 0
    for argv in (
        ("SETBIT", "k", 8 * MEGABYTE, 1),
        ("GETBIT", "k", 8 * MEGABYTE),
        ("BITFIELD", "k", "SET", "u8", "#1048576", 1),
    ):
        assert str(await client.ask(*argv)) == "ERR bit offset is not an integer or out of range"
    assert await client.ask("STRLEN", "k") == MEGABYTE


async def test_a_wrong_range_is_refused_where_there_is_no_key(serve: Any, connect: Any) -> None:
    """Since Redis 7.2; before, a key that was not there had 0 bits whatever was asked."""
    client = await connect(await serve())
    assert "not an integer" in str(await client.ask("BITCOUNT", "no", "x", 1))
    assert "syntax error" in str(await client.ask("BITCOUNT", "no", 0))
    assert "syntax error" in str(await client.ask("BITPOS", "no", 1, 0, 1, "NIBBLE"))


async def test_a_row_is_no_bitmap(shop: Any) -> None:
    client = await shop.client()
    assert "WRONGTYPE" in str(await client.ask("GETBIT", "user:1", 0))
    assert "WRONGTYPE" in str(await client.ask("SETBIT", "user:1", 0, 1))
    assert "WRONGTYPE" in str(await client.ask("BITOP", "NOT", "x", "user:2"))
