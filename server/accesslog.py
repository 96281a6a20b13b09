"""The command log: every access, in order, for the trainer.

Appending is on the path of every read, so it is one `list.append` of a key
object that exists anyway (the resident entry's own) and allocates nothing that
lives on. The log is drained in blocks, each encoded in one call as a msgpack
message; the trainer, a process of its own, gives keys their numbers, so no
dictionary of keys is kept here.

Items of a block, in order:

    bytes                       a read of this key found it present
    None, bytes                 a miss of this key: it was not there
    True, bytes                 the first use of a prefetched key
    int                         the session of what follows: a connection's number,
                                or that of a name (`session_number`)
    [bytes, int, float, bool]   a shadow trial opened by the miss before it: an
                                uncached candidate, its calibration bucket, its raw
                                confidence, and whether it was prefetched
"""

from __future__ import annotations

import time
from binascii import crc32
from typing import Any

import msgspec

from antecache.server.store.entry import Entry, Evidence

LIMIT = 200_000
"""Items kept between two drains; beyond it the oldest half is dropped and counted."""


NAMED_SESSION, DECLARED_SESSION = 1 << 32, 1 << 33
"""First numbers of sessions that CLIENT SETNAME or PREDICTOR SESSION named, above connections."""


def session_number(name: bytes, *, declared: bool = False) -> int:
    """The session of this name, on whatever connection; PREDICTOR SESSION's are `declared`."""
    return crc32(name) | (DECLARED_SESSION if declared else NAMED_SESSION)


class AccessLog:
    """`items` is appended to directly (`store.record = log.items.append`)."""

    __slots__ = ("dropped", "items", "session")

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.session = 0
        self.dropped = 0

    def enter(self, session: int) -> None:
        """What follows is asked by `session`."""
        self.session = session
        self.items.append(session)

    def miss(self, key: bytes) -> None:
        """A read did not find `key`."""
        self.items += (None, key)

    def first_use(self, entry: Entry, _: Evidence) -> None:
        """A prefetched entry was used."""
        self.items += (True, entry.key)

    def trial(self, key: bytes, bucket: int, raw: float, issued: bool) -> None:
        """A candidate of the miss before it, for the calibration."""
        self.items.append([key, bucket, raw, issued])

    def drain(self) -> bytes | None:
        """The block so far as an encoded message, or None when there is none; empties the log."""
        items = self.items
        if not items:
            return None
        if len(items) > LIMIT:
            self.dropped += len(items) - LIMIT // 2
            del items[: len(items) - LIMIT // 2]
        block = msgspec.msgpack.encode(
            {"kind": "log", "time": time.time_ns() // 1_000_000, "items": items}
        )
        items.clear()  # the list stays: others hold its `append`
        items.append(self.session)
        return block
