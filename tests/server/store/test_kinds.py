"""The table of types: what redis-cli makes of it, and sizes that encodings go by."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.listpack import element
from antecache.server.store import size
from antecache.server.store.kinds import KINDS, is_integer, kind_of, listpack_entry

EDGES = [
    sign * (1 << bits) + step for bits in (7, 12, 15, 23, 31, 63) for sign in (1, -1)
    for step in (-1, 0, 1)
]  # fmt: skip


@pytest.mark.parametrize("number", [0, *EDGES])
def test_the_size_of_a_packed_integer(number: int) -> None:
    text = b"%d" % number
    assert listpack_entry(text) == len(element(text))


@given(st.one_of(st.binary(max_size=200), st.integers().map(lambda number: b"%d" % number)))
def test_the_size_of_a_packed_item(item: bytes) -> None:
    assert listpack_entry(item) == len(element(item))


@pytest.mark.parametrize("length", [63, 64, 125, 126, 127, 4095, 4096, 16_379, 16_381, 2_097_200])
def test_the_size_of_a_packed_text(length: int) -> None:
    assert listpack_entry(b"x" * length) == len(element(b"x" * length))


@pytest.mark.parametrize(
    "text",
    [b"0", b"-1", b"9223372036854775807", b"-9223372036854775808"],
)
def test_what_is_an_integer(text: bytes) -> None:
    assert is_integer(text)


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"-", b"-0", b"+1", b"01", b" 1", b"1 ", b"1_0", b"1.0", b"x", b"1\n"),
        *(b"9223372036854775808", b"-9223372036854775809", b"1" * 21),
    ],
)
def test_what_is_no_integer(text: bytes) -> None:
    assert not is_integer(text)


@pytest.mark.parametrize("base", KINDS)
def test_a_subclass_is_of_the_type_it_extends(base: type) -> None:
    class Extended(base):  # type: ignore[misc]
        pass

    value = Extended.__new__(Extended)
    assert kind_of(value).name == KINDS[base].name


TYPES = {
    "string": ("SET", "k", "text"),
    "list": ("RPUSH", "l", *range(7)),
    "set": ("SADD", "s", *range(6)),
    "zset": ("ZADD", "z", 1, "a", 2, "b", 3, "c"),
    "hash": ("HSET", "h", "f", "v", "g", "w"),
}


@pytest.fixture
async def filled(serve: Any, connect: Any) -> Any:
    server = await serve()
    client = await connect(server)
    for words in TYPES.values():
        await client.ask(*words)
    return server, client


async def test_every_type_is_copied_renamed_scanned_and_measured(filled: Any) -> None:
    server, client = filled
    for kind, (_, key, *_) in TYPES.items():
        assert await client.ask("TYPE", key) == kind.encode()
        assert await client.ask("COPY", key, "copy") == 1
        assert await client.ask("DUMP", "copy") == await client.ask("DUMP", key)
        assert await client.ask("RENAME", "copy", "renamed") == b"OK"
        assert await client.ask("TYPE", "renamed") == kind.encode()
        encoding = await client.ask("OBJECT", "ENCODING", "renamed")
        assert encoding == await client.ask("OBJECT", "ENCODING", key) and encoding
        _, found = await client.ask("SCAN", 0, "TYPE", kind, "COUNT", 1000)
        assert set(found) == {key.encode(), b"renamed"}
        entry = server.store.databases[0].peek(key.encode())
        wanted = size.of_string if kind == "string" else size.of_entry
        assert await client.ask("MEMORY", "USAGE", key) in (
            entry.size,
            wanted(key.encode(), entry.value),
        )
        assert await client.ask("UNLINK", "renamed") == 1


@pytest.mark.parametrize(
    ("option", "shown"),
    [
        ("--bigkeys", ["l\"' has 7 items", "s\"' has 6 members", "z\"' has 3 members"]),
        ("--memkeys", ["l\"' has ", "s\"' has ", "z\"' has ", "h\"' has "]),
    ],
)
async def test_redis_cli_finds_the_biggest(filled: Any, option: str, shown: list[str]) -> None:
    cli = shutil.which("redis-cli")
    if cli is None:
        pytest.skip("redis-cli is not installed")
    server, _ = filled
    process = await asyncio.create_subprocess_exec(
        *(cli, "-p", str(server.port), option), stdout=-1, stderr=-1
    )
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, err
    summary = out.decode().partition("-------- summary -------")[2]
    assert "Sampled 5 keys in the keyspace!" in summary
    for line in shown:
        assert line in summary, summary
