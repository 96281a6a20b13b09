"""What one reader did lately: how often it took a step to a neighbouring id, and read what is new.

A key is cut into texts and numbers; its table is the texts. Where only one number
changed since the last key of the table, and by little, that was a step, and long runs
of steps are a walk, which can be gone on with. Tables may be walked in turns.

What this file does not do: judge who is a bot (`walkers.py`).
"""

from __future__ import annotations

import re
from typing import Final

#: an id this far from the last one of its table is a step of a walk, in a run of so many
_STEP: Final = 8
_RUN: Final = 16
#: tables that a walk may take in turns; numbers of a key, and its bytes, that are looked at
_TABLES: Final = 8
_FIELDS: Final = 4
_LONGEST: Final = 200
_NUMBERS: Final = re.compile(rb"([0-9]{1,18})")
#: ids that are read ahead of a walk, at most
_AHEAD: Final = 8


class Walk:
    """What one session or address did in its present span, and what it was found to do.

    home     of a session: the number of its address, 0 for none; of an address: itself
    address  whether it is one
    sessions of an address: how many it had; of a session 1
    counted  whether a session is among those of its address
    since    when the span began, in events of all sessions; `at`: when the last event was
    kind     "walks" or "scans" while it is set aside, else empty
    table    of the last event: its key without the numbers
    """

    __slots__ = (
        *("_last", "address", "at", "counted", "events", "fresh", "home", "kind", "lately"),
        *("sessions", "since", "steps", "table", "unjudged"),
    )

    def __init__(self, home: int = 0, since: int = 0, *, address: bool = False) -> None:
        self.home = home
        self.address = address
        self.sessions = 0 if address else 1
        self.counted = False
        self.since = since
        self.events = self.steps = self.fresh = self.unjudged = self.lately = 0
        self.at = since
        self.kind = ""
        self.table: tuple[bytes, ...] = ()
        # by table: the numbers of its last key, how many steps led there, which number and by
        # how much the last of them changed
        self._last: dict[tuple[bytes, ...], tuple[list[int], int, int, int]] = {}

    def event(self, parts: list[bytes], fresh: bool, at: int) -> None:
        """A demand miss, or the first use of a prefetched key, as `parts_of` has it."""
        self.at = at
        self.events += 1
        self.unjudged += 1
        self.lately += 1
        self.fresh += fresh
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
        self.since = (self.since + self.at) // 2
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

    @property
    def sentence(self) -> str:
        """What it does, and how often lately."""
        what = "walks ids in order" if self.kind == "walks" else "reads keys once each"
        shares = (
            f"{self.steps} of its last {self.events} misses were steps, {self.fresh} keys were new"
        )
        table = b"*".join(self.table)[:_LONGEST].decode("utf-8", "backslashreplace")
        return f"{what}, lately {table}: {shares}"


def parts_of(key: bytes) -> list[bytes]:
    """A key as texts and numbers in turns."""
    return _NUMBERS.split(key, _FIELDS) if len(key) <= _LONGEST else [key]
