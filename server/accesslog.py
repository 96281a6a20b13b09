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
                                or that of a name (`session_number`); `~number` of a
                                session that nothing is learned from (`aside`), which
                                may be an address (`askers.py`)
    [bytes, int, float, bool]   a shadow trial opened by the miss before it: an
                                uncached candidate, its calibration bucket, its raw
                                confidence, and whether it was prefetched

What it may hold is bounded: by `LIMIT` items when it is drained, and a key of a miss
longer than `LONGEST` is not noted. What a block lost, and what nobody could take, is
counted in `dropped`.
"""

from __future__ import annotations

import time
from binascii import crc32
from collections.abc import Callable
from typing import Any

import msgspec

from antecache.server.store.entry import Entry, Evidence

LIMIT = 200_000
"""Items of a block; of more, the newest half as many are kept, and the rest is counted."""

LONGEST = 1024
"""Bytes of a key from which on a miss is not noted: such keys hold data, and nobody's habits."""

MOST_BYTES = 32 << 20
"""Bytes of a block; a longer one is dropped and counted."""


NAMED_SESSION, DECLARED_SESSION, ADDRESS_SESSION = 1 << 32, 1 << 33, 1 << 34
"""First numbers of sessions that CLIENT SETNAME or PREDICTOR SESSION named, above connections;
and of addresses."""


def session_number(name: bytes, *, declared: bool = False) -> int:
    """The session of this name, on whatever connection; PREDICTOR SESSION's are `declared`."""
    return crc32(name) | (DECLARED_SESSION if declared else NAMED_SESSION)


class AccessLog:
    """`items` is appended to directly (`store.record = log.items.append`).

    session  who asks now, as it was announced
    aside    numbers of sessions that nothing is learned from, while they last
    dropped  items that no block has taken along
    passed   items that `reader` has seen; it is called before they are dropped
    """

    __slots__ = ("aside", "dropped", "items", "passed", "reader", "session")

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.session = 0
        self.aside: set[int] = set()
        self.dropped = 0
        self.passed = 0
        self.reader: Callable[[], None] | None = None

    def enter(self, session: int) -> None:
        """What follows is asked by `session`."""
        self.session = self.shown(session)
        self.items.append(self.session)

    def shown(self, session: int) -> int:
        """How a session's number stands in the log: as it is, or as one that is set aside."""
        return ~session if session in self.aside else session

    @property
    def asking(self) -> int:
        """The number of the session that asks now, set aside or not."""
        return self.session if self.session >= 0 else ~self.session

    def miss(self, key: bytes) -> None:
        """A read did not find `key`."""
        if len(key) <= LONGEST:
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
        if self._is_empty():
            return None
        if len(items) > LIMIT:
            self._cut(len(items) - LIMIT // 2)
        block = msgspec.msgpack.encode(
            {"kind": "log", "time": time.time_ns() // 1_000_000, "items": items}
        )
        if len(block) > MOST_BYTES:
            self.discard()
            return None
        self._begin()
        return block

    def discard(self) -> int:
        """Nobody can take a block: drop what there is; how many items."""
        if self._is_empty():
            return 0
        count = len(self.items)
        self.dropped += count
        self._begin()
        return count

    def _is_empty(self) -> bool:
        """Whether there is nothing but the announcement of who asks."""
        items = self.items
        return not items or (len(items) == 1 and type(items[0]) is int)

    def _begin(self) -> None:
        if self.reader is not None:
            self.reader()
        self.passed = 0
        self.items.clear()  # the list stays: others hold its `append`
        self.items.append(self.session)

    def _cut(self, count: int) -> None:
        """Drop the oldest items, `count` or a few more: what is left begins with an access.

        It is announced whose accesses they are, which was said in what is dropped.
        """
        items = self.items
        while count < len(items) and (
            items[count - 1] is None or items[count - 1] is True or type(items[count]) is list
        ):
            count += 1
        session = next((item for item in reversed(items[:count]) if type(item) is int), None)
        self.dropped += count
        self.passed = max(0, self.passed - count)
        items[:count] = [] if session is None else [session]
