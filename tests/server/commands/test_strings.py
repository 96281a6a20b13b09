"""Strings: limits on their length, and what needs no second server to be judged."""

from __future__ import annotations

from typing import Any

import pytest

MEGABYTE = 1 << 20
TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"


async def test_no_command_makes_a_string_longer_than_the_limit(serve: Any, connect: Any) -> None:
    client = await connect(await serve(proto_max_bulk_len=MEGABYTE))
    assert await client.ask("SETRANGE", "k", MEGABYTE - 1, "x") == MEGABYTE
    for argv in (
        ("APPEND", "k", "x"),
        ("SETRANGE", "k", MEGABYTE, "x"),
        ("SETRANGE", "n", 1 << 40, "x"),
    ):
        assert str(await client.ask(*argv)) == TOO_LONG
    assert await client.ask("APPEND", "k", "") == MEGABYTE
    assert await client.ask("STRLEN", "k") == MEGABYTE
    assert await client.ask("EXISTS", "n") == 0


async def test_lcs_refuses_what_would_take_too_long(serve: Any, connect: Any) -> None:
    client = await connect(await serve(proto_max_bulk_len=MEGABYTE))
    await client.ask("MSET", "a", "x" * 510, "b", "x" * 510, "c", "x" * 1000)
    assert await client.ask("LCS", "a", "b", "LEN") == 510
    reply = await client.ask("LCS", "a", "c", "LEN")
    assert "transient memory for LCS exceeds proto-max-bulk-len" in str(reply)


async def test_a_long_lcs_is_found_in_time(serve: Any, connect: Any) -> None:
    """A table of numbers would take 400 MB for these, and in Python a minute."""
    client = await connect(await serve())
    await client.ask("MSET", "a", "ab" * 5000, "b", "ba" * 5000)
    assert await client.ask("LCS", "a", "b", "LEN") == 9999
    assert await client.ask("LCS", "a", "b") in (b"ba" * 4999 + b"b", b"ab" * 4999 + b"a")


async def test_keepttl_keeps_no_deadline_that_has_passed(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("SET", "k", "old", "PXAT", 1)
    await client.ask("SET", "k", "new", "KEEPTTL")
    assert await client.ask("GET", "k") == b"new"
    assert await client.ask("TTL", "k") == -1


@pytest.mark.parametrize("protocol", [2, 3])
async def test_values_are_bytes(serve: Any, connect: Any, protocol: int) -> None:
    client = await connect(await serve())
    await client.ask("HELLO", protocol)
    every = bytes(range(256)) * 3
    await client.ask("SET", every, every)
    assert await client.ask("GET", every) == every
    assert await client.ask("GETRANGE", every, 250, 260) == every[250:261]
    assert await client.ask("APPEND", every, b"\r\n") == len(every) + 2
    assert await client.ask("KEYS", "*") == [every]
