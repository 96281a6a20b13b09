"""Consecutive commands that run as a batch: the replies and the books as one by one.

The same commands go to a server in one chunk, and one at a time with every command timed
(`slowlog-log-slower-than 0`), which takes the way through the handlers.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from antecache.server.app import Server

Words = tuple[str, ...]

KEYS = st.sampled_from(["x", "y", "list", "a:0", "a:1", "a:lacking"])
VALUES = st.sampled_from(["1", "22", "v" * 100, "w" * 100, "long" * 700])
GET = st.tuples(st.sampled_from(["GET", "get", "GET"]), KEYS)
SET = st.tuples(st.sampled_from(["SET", "set", "SET"]), KEYS, VALUES)
OPTIONS = st.sampled_from(["NX", "XX", "GET", "KEEPTTL", "?"])
OTHER: st.SearchStrategy[Words] = st.one_of(
    st.tuples(st.just("SET"), KEYS, VALUES, OPTIONS),
    st.tuples(st.just("SET"), KEYS, VALUES, st.just("EX"), st.sampled_from(["100", "0"])),
    st.tuples(st.sampled_from(["GET", "SET", "NOTHING"])),
    st.tuples(st.just("GET"), KEYS, KEYS),
    st.tuples(st.sampled_from(["DEL", "INCR", "STRLEN", "TYPE", "PERSIST", "WATCH"]), KEYS),
    st.tuples(st.sampled_from(["LPUSH", "APPEND"]), KEYS, VALUES),
    st.tuples(st.sampled_from(["EXPIRE", "EXPIREAT"]), KEYS, st.just("1000")),
    st.tuples(st.sampled_from(["MULTI", "EXEC", "DISCARD", "PING"])),
    st.tuples(st.just("MGET"), KEYS, KEYS),
)
# Runs of one command are the point, so there are many GETs and SETs.
COMMANDS = st.lists(st.one_of(GET, GET, SET, SET, OTHER), min_size=1, max_size=40)


def frame(words: Words) -> bytes:
    args = [word.encode() for word in words]
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args)


def comparable(reply: Any) -> Any:
    """A reply with its errors, which are equal to nothing else, as their texts."""
    if isinstance(reply, list):
        return [comparable(each) for each in reply]
    return str(reply) if isinstance(reply, Exception) else reply


async def outcome(server: Server, raw: Any, commands: list[Words], *, chunk: bool) -> Any:
    """The replies to `commands` on an empty server, and what they left behind."""
    for words in (("RESET",), ("FLUSHALL",), ("CONFIG", "RESETSTAT")):
        await raw.ask(*words)
    store = server.store
    dirty, reads = store.dirty, store.hits + store.misses
    replies: list[Any] = []
    if chunk:
        raw.writer.write(b"".join(map(frame, commands)))
        replies += [await raw.read() for _ in commands]
    else:
        replies += [await raw.ask(*words) for words in commands]
    await raw.ask("RESET")  # out of MULTI
    store.check()
    used = store.used
    left = {
        key: [
            await raw.ask("TYPE", key),
            str(await raw.ask("GET", key)),
            await raw.ask("PERSIST", key),
        ]
        for key in sorted(await raw.ask("KEYS", "*"))
    }
    info = (await raw.ask("INFO", "commandstats", "errorstats")).decode()
    return {
        "replies": comparable(replies),
        "counted": re.sub(r"usec=.*?,usec_per_call=.*?,", "", info),
        "used": used,
        "left": left,
        # One by one, a key is waited for once; in a chunk, all reads of it have waited.
        "reads": store.hits + store.misses - reads,
        "changes": store.dirty - dirty,
    }


@pytest.fixture(params=["s3fifo", "allkeys-lru"])  # strings held bare, and with an entry
async def sides(
    request: pytest.FixtureRequest, serve: Callable[..., Awaitable[Server]], connect: Any
) -> list[tuple[Server, Any]]:
    """Two servers and a connection to each; the second times every command."""
    shared = {"policy": request.param, "backing": "memory://?prefix=a&rows=2"}
    batched = await serve(**shared)
    timed = await serve(**shared, slowlog_log_slower_than=0)
    return [(batched, await connect(batched)), (timed, await connect(timed))]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(commands=COMMANDS)
@example(commands=[("EXPIREAT", "a:0", "1000"), ("MGET", "a:0", "a:1")])
async def test_a_chunk_is_answered_and_counted_as_its_commands_one_by_one(
    sides: list[tuple[Server, Any]], commands: list[Words]
) -> None:
    batched, timed = sides
    expected = await outcome(*timed, commands, chunk=False)
    assert await outcome(*batched, commands, chunk=True) == expected


async def test_a_batch_does_not_answer_what_has_expired(sides: list[tuple[Server, Any]]) -> None:
    server, raw = sides[0]
    for key in "xyz":
        await raw.ask("SET", key, "here", "EX", 100)
    database = server.store.databases[0]
    database.set_deadline(database.peek(b"y"), server.store.now - 1)
    raw.writer.write(b"".join(frame(("GET", key)) for key in "xyyz"))
    assert [await raw.read() for _ in range(4)] == [b"here", None, None, b"here"]


async def test_a_batch_of_sets_trips_watch(sides: list[tuple[Server, Any]], connect: Any) -> None:
    server, raw = sides[0]
    watcher = await connect(server)
    for key in "xyz":
        await raw.ask("SET", key, "old")
    for words in (("WATCH", "y"), ("MULTI",), ("SET", "y", "mine")):
        await watcher.ask(*words)
    raw.writer.write(b"".join(frame(("SET", key, "new")) for key in "xyz"))
    assert [await raw.read() for _ in range(3)] == [b"OK"] * 3
    assert await watcher.ask("EXEC") is None
    assert await watcher.ask("GET", "y") == b"new"
