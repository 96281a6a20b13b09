"""Keys that are asked for at regular intervals: what polls, and what a clock starts.

A dashboard asks every 60 seconds, a report every hour; each time the value has expired
or been evicted, and each time somebody waits. The access log has times, so the trainer
can tell: reads of a key less than a second apart are one *visit*, and when the gaps of
its last visits agree (at least four; seven in ten of them within 6% of their
median, or a quarter of a second, which is what a block of the log blurs), the key has a
period, and its next visit is due one period after the last. Median and share bear a
visit that came twice or not at all.

What is published is a schedule: so many keys with the time each is due. It is sent when
keys join or leave it, and otherwise every few seconds; who has it goes on counting by
itself. A key that missed three visits leaves.

Memory is bounded: keys with a period, and twenty times as many that may get one, the
longest unchanged of which make room. So a long period is found only where fewer keys than
that are asked for in between.

What this file does not do: see two clocks in one key (two dashboards that poll it out of
step have no common period), days of the week, or periods of more than a day; fetch
anything (`server/schedule.py`).
"""

from __future__ import annotations

import statistics
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

#: seconds within which reads are one visit; shortest and longest period
_VISIT: Final = 1.0
SHORTEST, LONGEST = 2.0, 86_400.0
#: gaps that are looked at, the fewest that make a period, and the share that must agree
_GAPS, ENOUGH, _AGREE = 8, 4, 0.7
#: how far a gap may be from the median: a share of it, and seconds that are always allowed
_NEAR, _BLUR = 0.06, 0.25
#: visits missed until a key has no period any more
_MISSED: Final = 3
#: keys of a schedule, bytes of their names, and keys that may get a period
MOST, MOST_BYTES = 1024, 64 << 10
_WATCHED: Final = 20 * MOST
#: seconds between two schedules when keys changed, and when only visits came
_SOON, _LATER = 1.0, 10.0


class Due(NamedTuple):
    """A key and when it is expected.

    at          Unix seconds of the next visit
    period      seconds between visits
    spread      seconds by which a visit was early or late lately
    confidence  the share of visits that came when they were due
    """

    key: bytes
    at: float
    period: float
    spread: float
    confidence: float

    @property
    def rule(self) -> str:
        """How the ledger names it: `period 2.5s`, `period 60s`, `period 5m`, `period 1h`."""
        if self.period < 9.5:
            return f"period {self.period:.1f}s"
        if self.period < 119.5:
            return f"period {self.period:.0f}s"
        minutes = self.period / 60
        return f"period {minutes:.0f}m" if minutes < 119.5 else f"period {minutes / 60:.0f}h"


class Periods:
    """Learns periods from blocks of the access log. All times are Unix seconds."""

    def __init__(self) -> None:
        # of each key: begin and end of its last visit, and the gaps before it, oldest first
        # (a plain dictionary finds its oldest key slowly where many were deleted)
        self._watched: OrderedDict[bytes, list[float]] = OrderedDict()
        self._regular: dict[bytes, list[float]] = {}
        self._schedule: dict[bytes, Due] = {}
        self._bytes = 0  # of the keys in the schedule
        self._changed = self._visited = False
        self._sent = 0.0

    def feed(self, items: Iterable[Any], now: float) -> None:
        """A block of the log (`server/accesslog.py`), written at `now`."""
        for key in _read(items):
            known = self._regular.get(key)
            if known is None:
                known = self._watched.get(key)
                if known is None:
                    self._watch(key, now)
                    continue
            if now - known[1] < _VISIT:
                known[1] = max(now, known[1])
                continue
            known.append(now - known[0])
            known[0] = known[1] = now
            if key in self._watched:  # what was not visited for longest makes room
                self._watched.move_to_end(key)
            if len(known) > 2 + _GAPS:
                del known[2]
            if len(known) >= 2 + ENOUGH:
                self._judge(key, known)

    def _watch(self, key: bytes, now: float) -> None:
        watched = self._watched
        watched[key] = [now, now]
        if len(watched) > _WATCHED:
            watched.popitem(last=False)

    def _judge(self, key: bytes, visits: list[float]) -> None:
        """Whether a key that was visited now has a period."""
        due = _due(key, visits)
        if due is None:
            if key in self._regular:
                self._leave(key)
        elif key in self._regular:
            self._schedule[key] = due
            self._visited = True
        elif len(self._regular) < MOST and self._bytes + len(key) <= MOST_BYTES:
            del self._watched[key]
            self._regular[key] = visits
            self._schedule[key] = due
            self._bytes += len(key)
            self._changed = True

    def _leave(self, key: bytes) -> None:
        self._watched[key] = self._regular.pop(key)
        del self._schedule[key]
        self._bytes -= len(key)
        self._changed = True

    def schedule(self, now: float) -> list[Due] | None:
        """The schedule where it is time to publish it, else None."""
        if now - self._sent < (_SOON if self._changed else _LATER):
            return None
        for due in list(self._schedule.values()):
            if now - due.at > _MISSED * due.period:
                self._leave(due.key)
        if not (self._changed or self._visited):
            return None
        self._changed = self._visited = False
        self._sent = now
        return list(self._schedule.values())


def _read(items: Iterable[Any]) -> set[bytes]:
    """The keys that were read, but for sessions that nothing is learned from."""
    found = set()
    aside = False
    for item in items:
        kind = type(item)
        if kind is bytes:
            if not aside:
                found.add(item)
        elif kind is int:
            aside = item < 0
    return found


def _due(key: bytes, visits: list[float]) -> Due | None:
    """When a key is visited next, after visits at regular intervals; None after others."""
    gaps = visits[2:]
    median = statistics.median(gaps)
    allowed = max(_BLUR, _NEAR * median)
    near = [gap for gap in gaps if abs(gap - median) <= allowed]
    if not SHORTEST <= median <= LONGEST or len(near) < max(ENOUGH, _AGREE * len(gaps)):
        return None
    period = sum(near) / len(near)
    spread = max(abs(gap - period) for gap in near)
    confidence = (len(near) + 1) / (len(gaps) + 1.5)
    return Due(key, visits[0] + period, period, spread, min(1.0, confidence))
