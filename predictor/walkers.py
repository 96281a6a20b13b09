"""Readers that nothing can be learned from: bots that walk ids, and scans.

A session that reads every id of a table in order, or thousands of keys once each,
asks for keys that nobody will ask for in that order again. Remembered, they push
out what people do, and each of its reads stands between two reads of somebody else.
So its accesses are *set aside*: answered like any other, but neither remembered nor
counted. That is found out on the events that the predictor is told of anyway
(demand misses, first uses of prefetched keys); a hit costs nothing.

A session is judged after every 256 of its events:

    walks   4 in 5 of them are in long runs of steps, each to a neighbouring id (8 at most
            away) of the same table, and 9 in 10 are keys that were no event before
    scans   of 1,024 of them, 19 in 20 are new, without any order

and only beside others who do not: at least two sessions that do not walk (for a
scan: whose keys come again, a quarter of them at least) with a fiftieth as many events
of their own. So a block device with one reader, or workers that all walk, are what
there is to learn from; so is a reader that comes by the same keys again. And at a
cold start, when everything is new, nobody scans.

A session set aside goes on being judged, and is learned from again once it does
something else. What it walks may still be read ahead of it, by its own step alone.

New keys are told by a filter (`seen.py`); those of who is set aside have another. They
and the records of the sessions take a 512th of the predictor's memory at most; where
that is too little for a few of them, and while fewer than three sessions were met,
nothing is kept and nobody judged.

What this file does not do: decide what is fetched, or know what a session is (a
connection, or the name that it goes by). The same for recorded accesses, where all
of them can be looked at before the first is judged: `cleaning.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from zlib import crc32

from antecache.predictor.seen import Seen

_JUDGED: Final = 256
_SPAN: Final = 1024
_LONGEST_SPAN: Final = 8 * _SPAN
#: an id this far from the last one of its table is a step of a walk, in a run of so many
_STEP: Final = 8
_RUN: Final = 16
_STEPS, _FRESH, _FRESH_SCAN, _AGAIN, _COME_AGAIN = 0.8, 0.9, 0.95, 0.5, 0.75
#: others: how many sessions, how many events, and how many as a share of the session's own
_PEOPLE, _LEAST, _SHARE = 2, 16, 0.02
#: events of all sessions after which one that was silent is not there any more
_LATELY: Final = 50_000
#: tables that a walk may take in turns; numbers of a key, and its bytes, that are looked at
_TABLES: Final = 8
_FIELDS: Final = 4
_LONGEST: Final = 200
_NUMBERS: Final = re.compile(rb"([0-9]{1,18})")
#: of the predictor's memory: one part in so many; half of that for records of so many bytes
_PART: Final = 512
_RECORD_BYTES: Final = 600
_FEWEST, _MOST = 16, 1024
_MOST_FILTER: Final = 1 << 17
#: ids that are read ahead of a walk, at most
_AHEAD: Final = 8


class Walk:
    """What one session did in its present span, and what it was found to do.

    kind   "walks" or "scans" while it is set aside, else empty
    table  of the last event: its key without the numbers
    """

    __slots__ = ("_last", "at", "events", "fresh", "kind", "steps", "table", "unjudged")

    def __init__(self) -> None:
        self.events = self.steps = self.fresh = self.unjudged = 0
        self.at = 0
        self.kind = ""
        self.table: tuple[bytes, ...] = ()
        # by table: the numbers of its last key, how many steps led there, which number and by
        # how much the last of them changed
        self._last: dict[tuple[bytes, ...], tuple[list[int], int, int, int]] = {}

    def event(self, key: bytes, fresh: bool, at: int) -> None:
        """A demand miss, or the first use of a prefetched key."""
        self.at = at
        self.events += 1
        self.fresh += fresh
        parts = _NUMBERS.split(key, _FIELDS) if len(key) <= _LONGEST else [key]
        self.table = table = tuple(parts[::2])
        numbers = [int(digits) for digits in parts[1::2]]
        if not numbers:
            return
        last = self._last.get(table)
        if last is None:
            if len(self._last) >= _TABLES:
                del self._last[next(iter(self._last))]
            self._last[table] = numbers, 0, 0, 0
            return
        for place, (now, before) in enumerate(zip(numbers, last[0], strict=True)):
            if now != before:
                step = now - before
                run = last[1] + 1 if -_STEP <= step <= _STEP else 0
                self.steps += run > _RUN
                self._last[table] = numbers, run, place, step
                return

    def forget(self) -> None:
        """A new span begins; the last one counts half."""
        self.events //= 2
        self.steps //= 2
        self.fresh //= 2

    @property
    def walks(self) -> float:
        """The share of events that were steps of a walk."""
        return self.steps / max(self.events, 1)

    @property
    def new(self) -> float:
        """The share of events whose keys were none before."""
        return self.fresh / max(self.events, 1)

    def ahead(self) -> list[bytes]:
        """The next keys of its walk, in order; none when the last event was no step of one."""
        numbers, run, place, step = self._last.get(self.table, ([], 0, 0, 0))
        if run <= _RUN:
            return []
        made = []
        for count in range(1, _AHEAD + 1):
            there = numbers[place] + count * step
            if there < 0:
                break
            moved = [b"%d" % number for number in numbers]
            moved[place] = b"%d" % there
            texts = zip(self.table, [*moved, b""], strict=True)
            made.append(b"".join(text for pair in texts for text in pair))
        return made


class Walkers:
    """The sessions, what is known of each, and those that are set aside.

    aside      their numbers; whoever numbers sessions shares this set
    budget     bytes that the predictor may occupy
    on_change  told of a session's number when it is set aside, and when it no longer is
    found      how many were ever set aside
    """

    def __init__(
        self,
        aside: set[int],
        budget: Callable[[], int],
        on_change: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.aside = aside
        self.on_change = on_change
        self.found = 0
        self._budget = budget
        self._walks: dict[int, Walk] = {}  # the one that was silent longest first
        self._seen: Seen | None = None
        self._seen_aside = Seen(0)  # what a scan reads must not push out what people do
        self._events = 0

    def event(self, session: int, key: bytes) -> None:
        """A demand miss, or the first use of a prefetched key, of a session."""
        walk = self._walks.get(session)
        if walk is None:
            walk = self._begin(session)
        if self._seen is None or walk is None:
            return
        self._events += 1
        number = crc32(key) | len(key) << 32
        seen = self._seen_aside if walk.kind else self._seen
        fresh = number not in seen
        if fresh:
            seen.add(number)
        walk.event(key, fresh, self._events)
        walk.unjudged += 1
        if walk.unjudged >= _JUDGED:
            walk.unjudged = 0
            self._walks[session] = self._walks.pop(session)
            self._judge(session, walk)

    def _begin(self, session: int) -> Walk | None:
        walks, bytes_ = self._walks, self._budget() // _PART
        most = min(_MOST, bytes_ // 2 // _RECORD_BYTES)
        if most < _FEWEST:
            most = _PEOPLE
            if len(walks) >= most:
                return None
        while len(walks) >= most:
            self._drop()
        walk = walks[session] = Walk()
        walk.at = self._events
        if self._seen is None and len(walks) > _PEOPLE:
            size = min(bytes_ // 2, _MOST_FILTER)
            self._seen, self._seen_aside = Seen(size - size // 4), Seen(size // 4)
        return walk

    def _drop(self) -> None:
        """Forget the session that was silent longest, of some of the oldest."""
        some = [session for session, _ in zip(self._walks, range(8), strict=False)]
        gone = min(some, key=lambda session: self._walks[session].at)
        del self._walks[gone]
        if gone in self.aside:
            self.aside.discard(gone)
            self.on_change(gone)

    def _judge(self, session: int, walk: Walk) -> None:
        if walk.kind:
            left = walk.new < _FRESH - 0.2 or (walk.kind == "walks" and walk.walks < _AGAIN)
            if left:
                walk.kind = ""
                self.aside.discard(session)
                self.on_change(session)
            if left or walk.events >= _SPAN:
                walk.forget()
            return
        kind = ""
        if walk.walks >= _STEPS and walk.new >= _FRESH:
            kind = "walks" if self._beside(walk, lambda other: other.walks < _AGAIN) else ""
        elif walk.events >= _SPAN and walk.new >= _FRESH_SCAN:
            kind = "scans" if self._beside(walk, lambda other: other.new <= _COME_AGAIN) else ""
        elif walk.events >= _SPAN:
            walk.forget()
        if kind:
            walk.kind = kind
            self.found += 1
            self.aside.add(session)
            self.on_change(session)
        elif walk.events >= _LONGEST_SPAN:
            walk.forget()

    def _beside(self, walk: Walk, differs: Callable[[Walk], bool]) -> bool:
        """Whether there are others, and enough of them, who do otherwise."""
        others = [
            other.events
            for other in self._walks.values()
            if other.events and not other.kind and self._events - other.at <= _LATELY
            if other is not walk and differs(other)
        ]
        return len(others) >= _PEOPLE and sum(others) >= max(_LEAST, _SHARE * walk.events)

    def walk_of(self, session: int) -> Walk | None:
        """What is known of a session."""
        return self._walks.get(session)

    def described(self) -> dict[int, str]:
        """A sentence about each session that is set aside."""
        return {session: _sentence(walk) for session, walk in self._walks.items() if walk.kind}

    @property
    def nbytes(self) -> int:
        """Estimated bytes of the records and the filter; nothing while there are few sessions."""
        if self._seen is None:
            return 0
        filters = self._seen.nbytes + self._seen_aside.nbytes
        return filters + _RECORD_BYTES * len(self._walks)


def _sentence(walk: Walk) -> str:
    what = "walks ids in order" if walk.kind == "walks" else "reads keys once each"
    shares = f"{walk.steps} of its last {walk.events} misses were steps, {walk.fresh} keys were new"
    table = b"*".join(walk.table)[:_LONGEST].decode("utf-8", "backslashreplace")
    return f"{what}, lately {table}: {shares}"
