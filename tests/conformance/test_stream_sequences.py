"""Random sequences of commands on streams, answered by antecache and by redis-server alike.

Ids, groups and consumers are few, so that commands meet each other's traces. Replies are
compared byte for byte but for times, for the numbers of Redis's tree nodes, and for what
redis-server 7.0 reckons otherwise than 7.4: entries read and lag (`test_streams.py`),
XSETID, and `+` of XREAD. There a consumer is created by its first command even if that
gets nothing, so every group has its consumers from the beginning.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antecache.server.store import Database
from antecache.server.stream import Stream

wire = sys.modules["antecache_tests_wire"]

SCALE = int(os.environ.get("ANTECACHE_FUZZ", "1"))
CONSUMERS = ("c", "d")

Argv = list[Any]

key = st.sampled_from(["a", "a", "a", "b", "h"])
plain_id = st.one_of(
    st.integers(0, 12).map(str),
    st.tuples(st.integers(0, 12), st.integers(0, 2)).map("%d-%d".__mod__),
)
HIGHEST = "18446744073709551615-18446744073709551615"
TOO_HIGH = "18446744073709551616"
odd_id = st.sampled_from([*"- x 1- -1 1-x 01-1 +1 1-* $ > (1 1-2-3".split(), "", HIGHEST, TOO_HIGH])
any_id = st.one_of(plain_id, plain_id, plain_id, plain_id, odd_id)
bound = st.one_of(st.sampled_from(["-", "+", "(", "(0-0"]), any_id, plain_id.map("(".__add__))
fresh = st.one_of(
    st.tuples(st.integers(1, 40), st.sampled_from(["", "-0", "-2", "-*"])).map("%d%s".__mod__),
    any_id,
)
group = st.sampled_from(["g", "g", "i", "no"])
consumer = st.sampled_from(CONSUMERS)
number = st.sampled_from([0, 1, 2, 5, -1, "x"])
idle = st.sampled_from([0, 0, 0, 100_000_000, -5, "x"])
count = st.sampled_from([(), (), ("COUNT", 0), ("COUNT", 2), ("COUNT", -1), ("COUNT", "x")])
trim = st.one_of(
    st.tuples(st.just("MAXLEN"), number),
    st.tuples(st.just("MAXLEN"), st.sampled_from("~="), number),
    st.tuples(st.just("MINID"), any_id),
    st.tuples(st.just("MINID"), st.just("~"), any_id),
    st.tuples(st.just("MAXLEN"), st.just("~"), st.just(0), st.just("LIMIT"), number),
    st.sampled_from([("LIMIT", 3), ("MAXLEN", 3, "LIMIT", 2), ("MAXLEN", 1, "MINID", 1)]),
)
ids = st.lists(any_id, min_size=1, max_size=3)


def cmd(name: str, *parts: Any) -> st.SearchStrategy[Argv]:
    """A command from strategies of one argument, or of several (lists and tuples)."""

    def join(drawn: tuple[Any, ...]) -> Argv:
        argv: Argv = name.split()
        for part in drawn:
            argv += part if isinstance(part, list | tuple) else [part]
        return argv

    return st.tuples(*(p if isinstance(p, st.SearchStrategy) else st.just(p) for p in parts)).map(
        join
    )


def options(*words: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([(), *(tuple(str(word).split()) for word in words)])


@st.composite
def reading(draw: Any, group_read: bool) -> Argv:
    names = draw(st.lists(key, min_size=1, max_size=2))
    argv: Argv = ["XREAD"]
    places = any_id
    if group_read:
        argv = ["XREADGROUP", "GROUP", draw(group), draw(consumer)]
        places = st.one_of(st.just(">"), st.just(">"), any_id)
    argv += draw(count)
    if group_read:
        argv += draw(options("NOACK", "BOGUS"))
    return [*argv, "STREAMS", *names, *(draw(places) for _ in names)]


claims = options("FORCE", "JUSTID", "RETRYCOUNT 5", "FORCE JUSTID", "IDLE x", "TIME 5", "BOGUS")
commands = st.one_of(
    cmd("XADD", key, options("NOMKSTREAM"), fresh, "f", "v"),
    cmd("XADD", key, fresh, "f", "v", "g", ""),
    cmd("XADD", key, trim, fresh, "f", "v", options("odd")),
    cmd("XLEN", key),
    cmd("XRANGE", key, bound, bound, count),
    cmd("XREVRANGE", key, bound, bound, count),
    cmd("XDEL", key, ids),
    cmd("XTRIM", key, trim),
    reading(group_read=False),
    reading(group_read=True),
    reading(group_read=True),
    cmd("XACK", key, group, ids),
    cmd("XPENDING", key, group),
    cmd("XPENDING", key, group, bound, bound, number, st.one_of(options(), consumer)),
    cmd("XPENDING", key, group, "IDLE", idle, bound, bound, number),
    cmd("XCLAIM", key, group, consumer, idle, ids, claims),
    cmd("XCLAIM", key, group, consumer, 0, ids, "LASTID", any_id),
    cmd("XAUTOCLAIM", key, group, consumer, idle, bound, options("COUNT 1", "COUNT 0", "JUSTID")),
    cmd("XGROUP CREATE", key, group, st.one_of(st.just("$"), any_id), options("MKSTREAM", "BOGUS")),
    cmd("XGROUP CREATE", key, group, 0, "MKSTREAM", "ENTRIESREAD", number),
    cmd("XGROUP SETID", key, group, st.one_of(st.just("$"), any_id), options("ENTRIESREAD 3")),
    cmd("XGROUP CREATECONSUMER", key, group, consumer),
    cmd("XGROUP DESTROY", key, group),
    cmd("XINFO STREAM", key),
    cmd("XINFO GROUPS", key),
    cmd("COPY a b", options("REPLACE")),
    cmd("DEL", key),
    cmd("HSET h f v"),
    cmd("TYPE", key),
)

NOT_COMPARED = (b"radix-tree-keys", b"radix-tree-nodes", b"entries-read", b"lag")


def without(reply: Any) -> Any:
    """A reply of XINFO without what is not compared."""
    if isinstance(reply, wire.Map):
        reply = [part for pair in reply.pairs for part in pair]
    if not isinstance(reply, list):
        return reply
    skipped = {at + step for at, one in enumerate(reply) if one in NOT_COMPARED for step in (0, 1)}
    return [without(one) for at, one in enumerate(reply) if at not in skipped]


def compared(argv: Argv, raw: bytes) -> Any:
    if argv[0] == "XINFO":
        return without(wire.decode(raw))
    if argv[0] == "XPENDING" and len(argv) > 3:
        reply = wire.decode(raw)
        if isinstance(reply, list):  # how long ago each was delivered
            return [[*one[:2], one[3]] for one in reply]
    return raw


def check(databases: list[Database]) -> None:
    for name in (b"a", b"b"):
        entry = databases[0].peek(name)
        if entry is not None and isinstance(entry.value, Stream):
            entry.value.check()


@pytest.mark.parametrize("protocol", [2, 3])
@settings(
    max_examples=120 * SCALE,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sequence=st.lists(commands, min_size=5, max_size=60))
def test_streams_answer_as_redis_does(both: Any, protocol: int, sequence: list[Argv]) -> None:
    pair = both[protocol]
    pair.clear()
    for argv in sequence:
        if argv[0] == "XREAD":  # 7.0 does not know `+`
            argv = ["0" if word == "+" else word for word in argv]
        ((ours, theirs),) = pair.raw(argv)
        assert compared(argv, ours) == compared(argv, theirs), (argv, ours, theirs)
        if argv[:2] == ["XGROUP", "CREATE"] and ours == b"+OK\r\n":
            pair.raw(*(("XGROUP", "CREATECONSUMER", *argv[2:4], name) for name in CONSUMERS))
    for line in ("XRANGE a - +", "XRANGE b - +", "XPENDING a g", "XPENDING b g", "XPENDING a i"):
        ((ours, theirs),) = pair.raw(line.split())
        assert ours == theirs
    pair.check()
    pair.running.call(lambda: check(pair.running.server.store.databases))
