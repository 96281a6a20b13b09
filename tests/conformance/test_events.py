"""Key events of streams, bits and HyperLogLog: the same, in the same order, as redis-server's."""

from __future__ import annotations

import sys
from typing import Any

import pytest

wire = sys.modules["antecache_tests_wire"]

SCRIPTS = {
    "bits": """
        SETBIT k 5 1; SETBIT k 5 1; SETBIT k 5 0; SETBIT k 500 0; SETBIT k 5 x; GETBIT k 5
        BITFIELD k SET u8 0 5; BITFIELD k SET u8 0 5; BITFIELD k GET u8 0; BITFIELD k INCRBY u8 0 0
        BITFIELD q OVERFLOW FAIL SET u8 0 500; BITFIELD q SET u8 0 0; BITFIELD r SET u8 0 0
        BITOP NOT d k; BITOP AND d none; BITOP AND d none; BITCOUNT k
        PFADD p; PFADD p; PFADD p x; PFADD p x; PFMERGE o p; PFCOUNT p; PFMERGE o
    """,
    "streams": """
        XADD s 1 f v; XADD s 1 f v; XADD s MAXLEN 1 2 f v; XADD s MAXLEN 9 3 f v; XTRIM s MAXLEN 5
        XTRIM s MAXLEN 1; XDEL s 3 3; XDEL s 9; XADD s NOMKSTREAM 4 f v; XADD n NOMKSTREAM 4 f v
        XGROUP CREATE s g 0; XGROUP CREATE s g 0; XGROUP CREATE t g 0 MKSTREAM; XGROUP SETID s g 1
        XGROUP CREATECONSUMER s g c; XGROUP CREATECONSUMER s g c; XREADGROUP GROUP g c STREAMS s >
        XREADGROUP GROUP g d STREAMS s 0; XACK s g 4; XACK s g 4; XADD s 5 f v
        XREADGROUP GROUP g c STREAMS s >; XCLAIM s g e 0 5; XAUTOCLAIM s g f 0 0; XSETID s 9
        XGROUP DELCONSUMER s g c; XGROUP DELCONSUMER s g c; XGROUP DESTROY s g; XGROUP DESTROY s g
        DEL s t
    """,
}


class Listener:
    """One server with events on, and a connection that listens to them."""

    def __init__(self, port: int) -> None:
        self.sends, self._hears = wire.Wire(port), wire.Wire(port)
        self.sends.raw(("FLUSHALL",), ("CONFIG", "SET", "notify-keyspace-events", "KEA"))
        self._hears.raw(("PSUBSCRIBE", "__keyevent@0__:*"))

    def events(self, argv: list[str]) -> list[tuple[bytes, bytes]]:
        """What a command makes known: names of events and keys."""
        self.sends.raw(argv)
        self.sends.raw(("PUBLISH", "__keyevent@0__:end", ""))
        found: list[tuple[bytes, bytes]] = []
        while True:
            _, _, channel, key = wire.decode(self._hears.read())
            if channel.endswith(b":end"):
                return found
            found.append((channel, key))

    def close(self) -> None:
        self.sends.raw(("CONFIG", "SET", "notify-keyspace-events", ""))
        self.sends.close()
        self._hears.close()


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_same_events(antecache_server: Any, redis_server: Any, name: str) -> None:
    listeners = [Listener(server.port) for server in (antecache_server, redis_server)]
    told = 0
    try:
        for line in SCRIPTS[name].replace("\n", ";").split(";"):
            if argv := line.split():
                ours, theirs = (listener.events(argv) for listener in listeners)
                assert ours == theirs, line
                told += len(ours)
    finally:
        for listener in listeners:
            listener.close()
    assert told > 10
