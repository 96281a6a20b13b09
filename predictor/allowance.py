"""How much memory a small table may take: a part of what it saves.

A family whose evidence sits in a few rows shows its worth at any size, so it needs
no forecast: it begins with a little, and may then occupy as many bytes as cost an
eighth of the waits it saves. When it was tried and saved nothing it gets nothing
for a while, each time for longer.

What this file does not do: say what a table is, or what memory costs (`worth.py` of
the server measures that).
"""

from __future__ import annotations

from typing import Final

#: part of the cache with which a family begins, and bytes that are never too much for that
_FIRST: Final = 0.006
_LEAST: Final = 1500
#: part of what it saves that its memory may cost
_PART: Final = 1 / 8
#: how long it is tried, and how long it rests before it is tried again, at first and at most;
#: 1 is as long as it takes to fade to a third
_TRIAL: Final = 1.0
_REST: Final = 2.0
_LONGEST_REST: Final = 100.0
#: sizes change by this factor at least
_STEP: Final = 2


class Allowance:
    """The memory of one family, decided every few hundred events."""

    __slots__ = ("_given", "_rest", "_resting", "_saved", "_tried")

    def __init__(self) -> None:
        self._saved = 0.0
        self._given = 0
        self._tried = 0.0
        self._rest = _REST
        self._resting = 0.0

    def credit(self) -> None:
        """The family saved a wait."""
        self._saved += 1

    def decide(
        self, price: float, events: float, whole: int, fade: float, *, met: bool, closed: bool
    ) -> int:
        """Bytes it may take of a cache of `whole` bytes.

        price   waits an event that a byte costs
        events  over which savings were counted, decayed as they are
        fade    what the past counts from now on
        met     whether there is evidence of its kind at all
        """
        saved = self._saved / max(events, 1.0)
        self._saved *= fade
        if closed:
            self._given = 0
            return 0
        if self._resting > 0:
            self._resting -= 1 - fade
            self._given = 0
            return 0
        if price <= 0:  # memory costs nothing
            return whole
        first = int(_FIRST * whole)
        if first < _LEAST:
            return 0
        worth = int(_PART * saved / price)
        if not met:
            self._given = first
            return first
        if worth < first:
            self._tried += 1 - fade
            if self._tried >= _TRIAL:
                self._tried = 0.0
                self._resting = self._rest
                self._rest = min(2 * self._rest, _LONGEST_REST)
                self._given = 0
                return 0
            worth = first
        else:
            self._tried = 0.0
            self._rest = _REST
        if worth >= _STEP * self._given or worth * 2 * _STEP <= self._given:
            self._given = worth
        return self._given

    def dump(self) -> tuple[float, int]:
        """Waits saved lately, and bytes given, for `load`."""
        return self._saved, self._given

    def load(self, saved: float, given: int) -> None:
        """Go on from what `dump` gave."""
        self._saved, self._given = min(max(0.0, saved), 1e12), min(max(0, given), 1 << 40)
