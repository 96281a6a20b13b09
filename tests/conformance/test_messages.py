"""Random sequences of pub/sub, tracking and changes on four connections, next to redis-server.

After every command each connection shows what has come for it: the messages of one such
moment are compared as a multiset, since Redis orders patterns and prefixes by chance.

What this file does not do: what 7.4 answers otherwise than 7.0, which is installed. Nobody
publishes to himself, and nobody flushes who tracks (`tests/server/commands` has both).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Command = tuple[str, ...]
Step = tuple[int, list[Command]]  # who, and what in one write
END = "the-end"

LISTENERS = (0, 1)  # connections that subscribe and track
WRITERS = (2, 3)  # connections that publish and change keys
NAMES = st.sampled_from(["a", "b", "ab", "__keyspace@0__:a", "__keyevent@0__:set"])
PATTERNS = st.sampled_from(["*", "a*", "?b", "__key*", "[ab]"])
KEYS = st.sampled_from(["a", "b", "ab", "c"])
NUMBERS = st.sampled_from(["1", "2"])


def words(*parts: Any) -> st.SearchStrategy[tuple[str, ...]]:
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts))


LISTENING = st.one_of(
    words("SUBSCRIBE", NAMES),
    words("SUBSCRIBE", NAMES, NAMES),
    words("UNSUBSCRIBE", NAMES),
    words("PSUBSCRIBE", PATTERNS),
    words("PUNSUBSCRIBE", PATTERNS),
    words("SSUBSCRIBE", NAMES),
    words("SUNSUBSCRIBE", NAMES),
    words("CLIENT", "TRACKING", "ON"),
    words("CLIENT", "TRACKING", "ON", "BCAST"),
    words("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", KEYS),
    words("CLIENT", "TRACKING", "ON", "OPTIN"),
    words("CLIENT", "TRACKING", "ON", "OPTOUT", "NOLOOP"),
    words("CLIENT", "TRACKING", "OFF"),
    words("CLIENT", "CACHING", st.sampled_from(["YES", "NO"])),
    words("CLIENT", "TRACKINGINFO"),
    words("GET", KEYS),
    words("MGET", KEYS, KEYS),
    words("HGETALL", KEYS),
    words("EXISTS", KEYS, KEYS),
    words("RESET"),
)
CHANGING = st.one_of(
    words("PUBLISH", NAMES, NUMBERS),
    words("SPUBLISH", NAMES, NUMBERS),
    words("SET", KEYS, NUMBERS),
    words("MSET", KEYS, NUMBERS, KEYS, NUMBERS),
    words("INCR", KEYS),
    words("APPEND", KEYS, NUMBERS),
    words("HSET", KEYS, NUMBERS, NUMBERS),
    words("DEL", KEYS, KEYS),
    words("RENAME", KEYS, KEYS),
    words("COPY", KEYS, KEYS, "REPLACE"),
    words("EXPIRE", KEYS, st.sampled_from(["100", "-1"])),
    words("PERSIST", KEYS),
    words("GETDEL", KEYS),
    words("RPUSH", KEYS, NUMBERS),
    words("LPOP", KEYS),
    words("SADD", KEYS, NUMBERS),
    words("SREM", KEYS, NUMBERS),
    words("FLUSHDB"),
    words("CONFIG", "SET", "notify-keyspace-events", st.sampled_from(["KEA", "Kg", "", "E$mn"])),
    words("PUBSUB", "NUMPAT"),
    words("PUBSUB", "NUMSUB", NAMES, NAMES),
    words("PUBSUB", "SHARDNUMSUB", NAMES),
)


def turns(who: tuple[int, ...], commands: st.SearchStrategy[Command]) -> st.SearchStrategy[Step]:
    """A connection's turn: one command, or a transaction."""
    transaction = st.lists(commands, max_size=4).map(
        lambda inner: [("MULTI",), *(one for one in inner if one[0] != "RESET"), ("EXEC",)]
    )
    return st.tuples(st.sampled_from(who), st.one_of(commands.map(lambda one: [one]), transaction))


STEPS = st.lists(st.one_of(turns(LISTENERS, LISTENING), turns(WRITERS, CHANGING)), max_size=30)


class Crowd:
    """Four connections to one server."""

    def __init__(self, connect: Any, protocol: int) -> None:
        self.protocol = protocol
        self.connections = [connect(protocol if at in LISTENERS else 2) for at in range(4)]

    def begin(self) -> None:
        """As if nothing had happened."""
        for at in LISTENERS:
            self.turn(at, [("RESET",)])
        self.turn(WRITERS[0], [("CONFIG", "SET", "notify-keyspace-events", ""), ("FLUSHALL",)])

    def turn(self, who: int, commands: list[Command]) -> list[list[bytes]]:
        """What the commands answer, and what then has come for each listener."""
        if ("RESET",) in commands:  # which leaves RESP3
            commands = [*commands, ("HELLO", str(self.protocol), "SETNAME", "x")]
        found = [self._settled(who, commands)]
        return found + [self._settled(at, []) for at in LISTENERS]

    def _settled(self, who: int, commands: list[Command]) -> list[bytes]:
        connection = self.connections[who]
        connection.send(*commands, ("PING", END))
        found = []
        while END.encode() not in (reply := connection.read()):
            if b"$5\r\nproto\r\n" not in reply:  # of HELLO, which tells versions
                found.append(reply)
        return sorted(found)

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


@pytest.fixture(scope="module", params=[2, 3])
def crowds(request: Any, antecache_server: Any, redis_server: Any, both: Any) -> Iterator[Any]:
    wire = type(both[2].ours)
    pair = [
        Crowd(lambda protocol, port=port: wire(port, protocol), request.param)
        for port in (antecache_server.port, redis_server.port)
    ]
    yield pair
    for crowd in pair:
        crowd.close()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_the_same_messages_come(crowds: tuple[Crowd, Crowd], steps: list[Step]) -> None:
    ours, theirs = crowds
    for crowd in crowds:
        crowd.begin()
    for step in steps:
        assert ours.turn(*step) == theirs.turn(*step), step
