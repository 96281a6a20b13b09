"""Keyspace notifications of sorted sets, places and RESTORE: the same ones, in the same order.

The events of commands at random are compared by `test_messages.py`; these are picked so
that each event of these types comes, and each removal of a last member.
"""

from __future__ import annotations

from typing import Any

import pytest

LINES = """
ZADD k 1 a 2 b 3 c; ZADD k 1 a; ZADD k CH 5 a 6 d; ZADD k XX 1 no; ZADD k INCR 1 a; ZINCRBY k 0 a
ZINCRBY k 1 a; ZREM k no; ZREM k d; ZREMRANGEBYSCORE k 100 200; ZREMRANGEBYSCORE k 2 2
ZREMRANGEBYRANK k 0 0; ZREMRANGEBYLEX k - +; ZADD k 1 a 1 b 1 c 1 d; ZPOPMIN k; ZPOPMAX k 1
ZMPOP 1 k MIN; BZPOPMIN k 0; ZADD k 1 a 2 b; BZMPOP 0 1 k MAX COUNT 5; ZADD k 1 a 2 b; ZPOPMIN k 0
ZUNIONSTORE d 1 k; ZINTERSTORE d 1 k; ZDIFFSTORE d 2 k no; ZDIFFSTORE d 2 k k; ZDIFFSTORE d 2 k k
ZRANGESTORE d k 0 0; ZRANGESTORE d k 5 6; SADD s x; ZUNIONSTORE s 1 k; ZUNIONSTORE k 1 no
GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
GEOADD g 13.361389 38.115556 Palermo
GEOSEARCHSTORE d g FROMMEMBER Palermo BYRADIUS 1 km; GEORADIUS g 15 37 200 km STORE d
GEORADIUSBYMEMBER g Palermo 200 km STOREDIST d; GEORADIUS g 0 0 1 m STORE d; EXPIRE g 100
ZREM g Palermo Catania; ZADD k 1 a; COPY k l; RENAME k m; MOVE m 1
"""


class Listener:
    """One server: a connection that works, and one that hears of it."""

    def __init__(self, wire: Any, port: int) -> None:
        self.worker, self.ear = wire(port), wire(port)
        self.worker.ask("FLUSHALL")
        self.worker.ask("CONFIG", "SET", "notify-keyspace-events", "KEA")
        self.ear.ask("PSUBSCRIBE", "__key*")

    def heard(self, *argv: Any) -> tuple[bytes, list[bytes]]:
        """The answer to a command, and the messages that it caused."""
        (answer,) = self.worker.raw(argv)
        self.worker.ask("PUBLISH", "__key-end", "")
        found: list[bytes] = []
        while b"__key-end" not in (message := self.ear.read()):
            found.append(message)
        return answer, found

    def close(self) -> None:
        self.worker.ask("CONFIG", "SET", "notify-keyspace-events", "")
        self.worker.ask("FLUSHALL")
        self.worker.close()
        self.ear.close()


@pytest.fixture
def listeners(antecache_server: Any, redis_server: Any, both: Any) -> Any:
    found = [Listener(type(both[2].ours), one.port) for one in (antecache_server, redis_server)]
    yield found
    for listener in found:
        listener.close()


def test_every_change_is_told_as_redis_tells_it(listeners: list[Listener]) -> None:
    ours, theirs = listeners
    told = 0
    for line in LINES.replace("\n", ";").split(";"):
        if argv := line.split():
            mine, other = ours.heard(*argv), theirs.heard(*argv)
            assert mine == other, line
            told += len(mine[1])
    assert told > 80


def test_restored_keys_are_told(listeners: list[Listener]) -> None:
    ours, theirs = listeners
    theirs.heard("ZADD", "k", 1, "a")
    payload = theirs.worker.ask("DUMP", "k")
    theirs.heard("DEL", "k")
    for options in ([0], [0, "REPLACE"], [1, "REPLACE", "ABSTTL"], [100_000], [0], [0, "bogus"]):
        argv = ["RESTORE", "k", options[0], payload, *options[1:]]
        assert ours.heard(*argv) == theirs.heard(*argv), options
