"""SLOWLOG's memory: the last commands that took long, youngest first.

Dispatch compares a command's time with the threshold (the cheap test) and has the
slow ones added. Arguments are cut as in Redis (`slowlog.c`): 32 at most,
128 bytes each. Time spent waiting for the database is not the command's: as in
Redis, what is measured is the run of the handler.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import NamedTuple

from antecache.server.monitor import redacted

MAX_ARGUMENTS = 32
MAX_LENGTH = 128
NEVER = 1 << 62  # a threshold in ns that no command reaches


class Slow(NamedTuple):
    """One slow command; `at` is Unix seconds, `microseconds` how long it ran."""

    id: int
    at: int
    microseconds: int
    argv: list[bytes]
    address: str
    name: bytes


class SlowLog:
    """The newest `limit` commands that took at least `threshold_us` microseconds.

    threshold_us  negative logs nothing, 0 everything
    threshold_ns  the same in nanoseconds, for dispatch to compare with: a command that
                  took at least that long is to be added
    """

    def __init__(self, threshold_us: int, limit: int) -> None:
        self._entries: deque[Slow] = deque()
        self._next_id = 0
        self.limit = limit
        self.set_threshold(threshold_us)

    def set_threshold(self, threshold_us: int) -> None:
        """CONFIG SET slowlog-log-slower-than."""
        self.threshold_us = threshold_us
        self.threshold_ns = NEVER if threshold_us < 0 else threshold_us * 1000

    def set_limit(self, limit: int) -> None:
        """CONFIG SET slowlog-max-len."""
        self.limit = limit
        while len(self._entries) > limit:
            self._entries.pop()

    def add(self, argv: list[bytes], microseconds: int, address: str, name: bytes) -> None:
        """Log one command, without the passwords in it."""
        shown = _cut(redacted(argv))
        entry = Slow(self._next_id, int(time.time()), microseconds, shown, address, name)
        self._next_id += 1
        self._entries.appendleft(entry)
        self.set_limit(self.limit)

    def latest(self, count: int) -> list[Slow]:
        """The `count` youngest entries, all of them when negative; the youngest first."""
        return list(islice(self._entries, count if count >= 0 else None))

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """SLOWLOG RESET; ids go on."""
        self._entries.clear()


def _cut(argv: list[bytes]) -> list[bytes]:
    shown = argv
    if len(argv) > MAX_ARGUMENTS:
        more = len(argv) - MAX_ARGUMENTS + 1
        shown = [*argv[: MAX_ARGUMENTS - 1], b"... (%d more arguments)" % more]
    return [
        arg
        if len(arg) <= MAX_LENGTH
        else b"%b... (%d more bytes)" % (arg[:MAX_LENGTH], len(arg) - MAX_LENGTH)
        for arg in shown
    ]
