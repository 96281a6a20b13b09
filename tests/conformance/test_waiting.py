"""Clients that wait, next to redis-server: who gets what of what another client brings.

Some clients send a blocking command, one after the other; then one acts. What each of them
was answered, those that are unblocked at the end included, and the events of the keys must be
the same on both sides.

Redis serves a blocked client with the key that woke it up to 7.0, and by running its command
again since 7.2, as antecache does. The two differ only where a command names several keys
and several of them come to be at once, so the commands drawn here name one. And Redis forgets
those who wait when SORT ... STORE replaces a value of another type; antecache does not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

wire = sys.modules["antecache_tests_wire"]

SCALE = int(os.environ.get("ANTECACHE_FUZZ", "1"))
CLIENTS = 4
KEYS = ("p", "q", "r")

key = st.sampled_from(KEYS)
item = st.sampled_from(["1", "2", "x"])
items = st.lists(item, min_size=1, max_size=3)
end = st.sampled_from(["LEFT", "RIGHT"])


def cmd(name: str, *parts: Any) -> st.SearchStrategy[list[str]]:
    """A command from strategies of one argument or of several."""
    drawn = st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts))
    return drawn.map(
        lambda found: [
            name,
            *chain.from_iterable(part if isinstance(part, list) else [part] for part in found),
        ]
    )


waiting = st.one_of(
    cmd("BLPOP", key, "0"),
    cmd("BRPOP", key, "0"),
    cmd("BLMOVE", key, key, end, end, "0"),
    cmd("BRPOPLPUSH", key, key, "0"),
    cmd("BLMPOP", "0", "1", key, end, "COUNT", "2"),
    cmd("BZPOPMIN", key, "0"),
    cmd("BZPOPMAX", key, "0"),
)
acting = st.one_of(
    cmd("RPUSH", key, items),
    cmd("LPUSH", key, items),
    cmd("RPUSH", key, items),
    cmd("LPOP", key),
    cmd("LLEN", key),
    cmd("DEL", key),
    cmd("SET", key, "text"),
    cmd("SADD", key, items),
    cmd("ZADD", key, "1", item),
    cmd("RENAME", key, key),
    cmd("COPY", key, key, "REPLACE"),
    cmd("LMOVE", key, key, end, end),
    cmd("EXISTS", key),
    cmd("FLUSHALL"),
)
transaction = key.flatmap(
    lambda one: st.lists(
        st.one_of(
            cmd("RPUSH", st.just(one), items),
            cmd("LPUSH", st.just(one), items),
            cmd("DEL", st.just(one)),
            cmd("SET", st.just(one), "text"),
            cmd("LPOP", st.just(one)),
            cmd("BLPOP", st.just(one), "0"),
        ),
        min_size=1,
        max_size=4,
    )
).map(lambda commands: [["MULTI"], *commands, ["EXEC"]])
acts = st.lists(st.one_of(acting.map(lambda one: [one]), transaction), min_size=1, max_size=6).map(
    lambda found: list(chain.from_iterable(found))
)


stream = st.sampled_from(["p", "q"])
entry_id = st.sampled_from(["1-1", "1-2", "2-1", "3-1"])
consumer = st.sampled_from(["one", "two"])
reading = st.one_of(
    stream.map(lambda name: ["XREAD", "BLOCK", "0", "STREAMS", name, "$"]),
    st.tuples(stream, entry_id).map(
        lambda drawn: ["XREAD", "COUNT", "1", "BLOCK", "0", "STREAMS", *drawn]
    ),
    st.tuples(consumer, stream).map(
        lambda drawn: ["XREADGROUP", "GROUP", "g", drawn[0], "BLOCK", "0", "STREAMS", drawn[1], ">"]
    ),
)
adding = st.one_of(
    cmd("XADD", stream, entry_id, "field", item),
    cmd("XADD", stream, entry_id, "field", item),
    cmd("XDEL", stream, entry_id),
    cmd("XLEN", stream),
    cmd("XTRIM", stream, "MAXLEN", "1"),
    stream.map(lambda name: ["XREADGROUP", "GROUP", "g", "one", "STREAMS", name, ">"]),
    stream.map(lambda name: ["XPENDING", name, "g"]),
)
additions = st.lists(
    st.one_of(
        adding.map(lambda one: [one]),
        st.lists(adding, max_size=3).map(lambda some: [["MULTI"], *some, ["EXEC"]]),
    ),
    min_size=1,
    max_size=5,
).map(lambda found: list(chain.from_iterable(found)))
GROUPS = [["XGROUP", "CREATE", name, "g", "$", "MKSTREAM"] for name in ("p", "q")]


class Side:
    """One server: a client that acts, and those that wait."""

    def __init__(self, port: int) -> None:
        self.act = wire.Wire(port)
        self.listener = wire.Wire(port)
        self.listener.ask("PSUBSCRIBE", "__keyevent@0__:*")
        self.waiting = [wire.Wire(port) for _ in range(CLIENTS)]
        self.ids = [one.ask("CLIENT", "ID") for one in self.waiting]

    def send(self, number: int, argv: list[str]) -> None:
        """A client sends its command, and has waited or been answered when this returns."""
        one = self.waiting[number]
        one.send(argv)
        while b"flags=b " not in self.act.ask("CLIENT", "LIST", "ID", self.ids[number]):
            if not one.silent():
                return

    def play(
        self,
        waiting: list[list[str]],
        acts: list[list[str]],
        events: bool,
        before: Sequence[list[str]] = (),
    ) -> list[bytes]:
        """Every reply: the acting client's, then those of the ones that waited; then events."""
        self.act.ask("CONFIG", "SET", "notify-keyspace-events", "KEAn" if events else "")
        self.act.ask("FLUSHALL")
        self.act.raw(*before)
        for number, argv in enumerate(waiting):
            self.send(number, argv)
        replies = self.act.raw(*acts)
        for number in range(len(waiting)):
            self.act.ask("CLIENT", "UNBLOCK", self.ids[number])
        replies += [one.read() for one in self.waiting[: len(waiting)]]
        for name in KEYS:
            replies += self.act.raw(("LRANGE", name, 0, -1), ("XRANGE", name, "-", "+"))
            replies += self.act.raw(("XPENDING", name, "g"))
        return replies + self.events() if events else replies

    def events(self) -> list[bytes]:
        """What key events there were, in their order."""
        self.act.ask("SET", "the end", "")
        found: list[bytes] = []
        while not found or not found[-1].endswith(b"the end\r\n"):
            found.append(self.listener.read())
        self.act.ask("DEL", "the end")
        self.listener.read()
        return found

    def close(self) -> None:
        self.act.ask("CONFIG", "SET", "notify-keyspace-events", "")
        for one in (self.act, self.listener, *self.waiting):
            one.close()


@pytest.fixture(scope="module")
def sides(antecache_server: Any, redis_server: Any) -> Iterator[tuple[Side, Side]]:
    ours, theirs = Side(antecache_server.port), Side(redis_server.port)
    yield ours, theirs
    ours.close()
    theirs.close()


@settings(
    max_examples=150 * SCALE,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(waiting=st.lists(waiting, min_size=1, max_size=CLIENTS), acts=acts, events=st.booleans())
def test_who_waits_is_answered_as_by_redis(
    sides: tuple[Side, Side], waiting: list[list[str]], acts: list[list[str]], events: bool
) -> None:
    ours, theirs = (side.play(waiting, acts, events) for side in sides)
    assert ours == theirs


@settings(
    max_examples=80 * SCALE,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    waiting=st.lists(reading, min_size=1, max_size=CLIENTS), acts=additions, events=st.booleans()
)
def test_readers_of_streams_are_answered_as_by_redis(
    sides: tuple[Side, Side], waiting: list[list[str]], acts: list[list[str]], events: bool
) -> None:
    ours, theirs = (side.play(waiting, acts, events, GROUPS) for side in sides)
    assert ours == theirs


def test_the_books_are_right_afterwards(antecache_server: Any) -> None:
    def look() -> None:
        antecache_server.server.store.check()
        assert not antecache_server.server.dispatch.blocked
        assert not antecache_server.server.store.observers

    antecache_server.call(look)
