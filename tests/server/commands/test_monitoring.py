"""MONITOR and SLOWLOG as an operator uses them; no password may ever show."""

from __future__ import annotations

import ast
import asyncio
import re
import shutil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.monitor import line, quoted, redacted
from antecache.server.slowlog import SlowLog

LINE = re.compile(r"^\+?(\d{10})\.(\d{6}) \[(\d+) (127\.0\.0\.1:\d+)\] (.*)$")


async def _lines(monitor: Any, count: int) -> list[str]:
    return [(await monitor.read()).decode("latin-1") for _ in range(count)]


@pytest.mark.parametrize("protocol", [2, 3])
async def test_monitor_shows_every_command_of_every_client(
    serve: Any, connect: Any, protocol: int
) -> None:
    server = await serve()
    monitor, client = await connect(server), await connect(server)
    await monitor.ask("HELLO", protocol)
    assert await monitor.ask("MONITOR") == b"OK"
    await client.ask("SET", "k", b'a "quoted"\r\n\x00\xff\\ value')
    await client.ask("SELECT", 7)
    await client.ask("get", "k")
    shown = [LINE.match(text) for text in await _lines(monitor, 3)]
    assert all(shown)
    assert [match[5] for match in shown if match] == [
        r'"SET" "k" "a \"quoted\"\r\n\x00\xff\\ value"',
        '"SELECT" "7"',
        '"get" "k"',
    ]
    assert [match[3] for match in shown if match] == ["0", "0", "7"]
    await monitor.ask("RESET")
    assert not server.monitors


async def test_monitor_hides_passwords_and_the_administrator(serve: Any, connect: Any) -> None:
    server = await serve()
    monitor, client = await connect(server), await connect(server)
    await monitor.ask("MONITOR")
    await client.ask("CONFIG", "SET", "requirepass", "hunter2")
    await client.ask("AUTH", "hunter2")
    await client.ask("AUTH", "default", "hunter2")
    await client.ask("HELLO", "2", "AUTH", "default", "hunter2", "SETNAME", "me")
    await client.ask("AUTH", "hunter2-mistyped")
    await client.ask("PING")
    shown = await _lines(monitor, 5)
    assert "hunter2" not in "".join(shown)
    assert [text.split("] ")[1] for text in shown] == [
        '"AUTH" "(redacted)"',
        '"AUTH" "(redacted)" "(redacted)"',
        '"HELLO" "2" "AUTH" "(redacted)" "(redacted)" "SETNAME" "me"',
        '"AUTH" "(redacted)"',
        '"PING"',
    ]


async def test_a_monitor_that_leaves_is_forgotten(serve: Any, connect: Any) -> None:
    server = await serve()
    monitor, client = await connect(server), await connect(server)
    await monitor.ask("MONITOR")
    assert b" flags=O " in await client.ask("CLIENT", "LIST")
    assert await monitor.bytes_of("MONITOR") != b"+OK\r\n", "a second MONITOR is not answered"
    monitor.close()
    while server.monitors:
        await client.ask("PING")
    assert server.dispatch.attention is None, "nobody watches: the fast way is open again"


async def test_redis_cli_monitors(serve: Any, connect: Any) -> None:
    cli = shutil.which("redis-cli")
    if cli is None:
        pytest.skip("redis-cli is not installed")
    server = await serve()
    process = await asyncio.create_subprocess_exec(
        *(cli, "-p", str(server.port), "MONITOR"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 10) == b"OK\n"
        await (await connect(server)).ask("SET", "key", "value")
        text = await asyncio.wait_for(process.stdout.readline(), 10)
    finally:
        process.kill()
        await process.wait()
    match = LINE.match(text.decode().strip())
    assert match is not None and match[5] == '"SET" "key" "value"'


@given(st.binary(max_size=40))
def test_quoting_reads_back(arg: bytes) -> None:
    text = quoted(arg)
    assert text.isascii() and text.isprintable()
    assert ast.literal_eval("b" + text) == arg


def test_a_line_is_redis_s() -> None:
    assert line(1718000000_000042_999, 3, "[::1]:5000", [b"get", b"k"]) == (
        '1718000000.000042 [3 [::1]:5000] "get" "k"'
    )


@given(st.lists(st.sampled_from([b"AUTH", b"SETNAME", b"default", b"3", b"secret"]), max_size=6))
def test_nothing_after_auth_is_left_in_hello(words: list[bytes]) -> None:
    argv = [b"hello", b"3", *words]
    shown = redacted(argv)
    assert len(shown) == len(argv)
    at = 2
    while at < len(argv):
        if argv[at] == b"AUTH":
            assert all(word == b"(redacted)" for word in shown[at + 1 : at + 3])
            at += 2
        at += 1
    assert argv == [b"hello", b"3", *words], "the command itself is not changed"


# -- SLOWLOG -------------------------------------------------------------------


async def test_an_entry_says_what_ran_when_and_for_whom(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("CLIENT", "SETNAME", "me")
    await client.ask("CONFIG", "SET", "slowlog-log-slower-than", 0)
    await client.ask("SET", "k", "v")
    newest, *_ = await client.ask("SLOWLOG", "GET", 1)
    number, at, microseconds, argv, address, name = newest
    assert argv == [b"SET", b"k", b"v"]
    assert name == b"me" and address.startswith(b"127.0.0.1:")
    assert at > 1_700_000_000 and microseconds >= 0 and number >= 0


async def test_the_threshold_and_length_change_at_once(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.ask("SET", "k", "v")
    assert await client.ask("SLOWLOG", "LEN") == 0
    await client.ask("CONFIG", "SET", "slowlog-log-slower-than", 0, "slowlog-max-len", 5)
    for number in range(20):
        await client.ask("SET", f"k{number}", "v")
    entries = await client.ask("SLOWLOG", "GET", "-1")
    assert len(entries) == 5
    assert [entry[0] for entry in entries] == sorted((e[0] for e in entries), reverse=True)
    await client.ask("CONFIG", "SET", "slowlog-max-len", 2)
    assert await client.ask("SLOWLOG", "LEN") == 2
    await client.ask("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    await client.ask("SLOWLOG", "RESET")
    await client.ask("SET", "k", "v")
    assert await client.ask("SLOWLOG", "GET") == []


async def test_the_slow_log_keeps_no_password(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("CONFIG", "SET", "slowlog-log-slower-than", 0)
    await client.ask("CONFIG", "SET", "maxclients", "77", "requirepass", "hunter2")
    await client.ask("AUTH", "hunter2")
    await client.ask("HELLO", "3", "AUTH", "default", "hunter2")
    entries = await client.ask("SLOWLOG", "GET", "-1")
    assert len(entries) >= 3
    words = [word for entry in entries for word in entry[3]]
    assert b"hunter2" not in words and b"77" in words


@given(
    st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=50), max_size=12),
    st.integers(0, 6),
    st.integers(-1, 8),
)
def test_the_log_is_the_newest_of_what_was_added(
    added: list[list[int]], limit: int, count: int
) -> None:
    log = SlowLog(0, limit)
    for sizes in added:
        log.add([b"x" * size for size in sizes], 5, "a:1", b"")
    kept = min(limit, len(added))
    assert len(log) == kept
    found = log.latest(count)
    assert len(found) == (kept if count < 0 else min(kept, count))
    for entry in found:
        sizes = added[entry.id]
        assert len(entry.argv) == min(len(sizes), 32)
        if len(sizes) > 32:
            assert entry.argv[31] == b"... (%d more arguments)" % (len(sizes) - 31)
        for size, arg in zip(sizes[:31], entry.argv, strict=False):
            wanted = b"x" * size
            if size > 128:
                wanted = b"x" * 128 + b"... (%d more bytes)" % (size - 128)
            assert arg == wanted
