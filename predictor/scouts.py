"""How long a memory of misses would have to be to pay: measured before there is one.

A log that remembers L events can name what followed x only if x came within the
last L events. What it would be worth at each L is estimated from a few keys, the
*scouts*: of every sampled key only the number of its last event and the two
events after that are kept. When the key comes again g events later, it is counted
how many of those two are among the next 16 events, less twice the same count for
an unrelated pair (what chance finds), in a histogram over g. The sum below L,
times one over the sampling rate, is what a log of L slots would have predicted.

So a log need not exist to be found useful, and one that is too short to show
any use is told how long it should be: its gain is a step at the distance at
which keys return, which no small change of its length would find.

The sample is of fixed size (as in SHARDS, Waldspurger et al., FAST 2015): when a
new key finds no room, and nothing held is older than the longest log that could
be had, half of the keys leave the sample.

What this file does not do: know prices (`blend.py` weighs), or keys: their CRC
stands for them.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from typing import Final
from zlib import crc32

SCOUT_BYTES: Final = 16
#: events after a key in which its former followers are looked for
_WINDOW: Final = 16
#: an unrelated pair is at least so many events old
_UNRELATED: Final = 200
_PER_OCTAVE: Final = 4
_BINS: Final = 4 * 26
_WAYS: Final = 4
#: most that a gap nearly as long as the whole past counts for
_MOST_UNSEEN: Final = 4.0
_MOST: Final = 4096
_LEAST: Final = 32
#: the part of the places that is taken when the sample is halved
_FULL: Final = 0.85
#: a count that is read back is refused above this
_MOST_COUNTED: Final = 1e12


class Scouts:
    """Sampled keys and what followed them last, within `budget` bytes (0 where too few fit).

    reach   events after which a held key may make room, the longest log that could be had
    events  seen, decayed as the histogram is
    """

    __slots__ = (
        "_a", "_b", "_chance", "_due", "_gains", "_held", "_mask", "_next_chance", "_now",
        "_pair_due", "_places", "_recent", "_squares", "_tag", "_when", "events", "reach",
        "sampled",
    )  # fmt: skip

    def __init__(self, budget: int, reach: int) -> None:
        places = min(_MOST, budget // SCOUT_BYTES)
        self._places = places // _WAYS * _WAYS if places >= _LEAST else 0
        self.reach = max(reach, 1)
        self._held = 0  # places taken
        self._mask = 0  # a key is sampled when these bits of its hash are 0
        self._now = 0
        self._tag = array("I", bytes(4 * self._places))
        self._when = array("I", bytes(4 * self._places))
        self._a = array("I", bytes(4 * self._places))
        self._b = array("I", bytes(4 * self._places))
        self._recent: deque[int] = deque(maxlen=_WINDOW + 1)
        self._due: deque[tuple[int, int]] = deque()
        self._chance = self._next_chance = (0, 0)  # an unrelated pair, and the one after it
        self._pair_due = _UNRELATED
        self._gains = [0.0] * _BINS
        self._squares = [0.0] * _BINS
        self.events = 0.0
        self.sampled = 0.0  # recurrences counted, decayed

    @property
    def nbytes(self) -> int:
        """Bytes of the scouts."""
        return SCOUT_BYTES * self._places

    @property
    def weight(self) -> int:
        """Keys that each scout stands for."""
        return self._mask + 1

    def observe(self, key: bytes) -> tuple[int, float] | None:
        """An event. What was counted: events since the key came last, and the gain; or None."""
        self.events += 1
        if not self._places:
            return None
        self._now = now = self._now + 1
        code = crc32(key)
        self._recent.append(code)
        if now >= self._pair_due:
            self._draw(code)
        due = self._due
        if not code & self._mask:
            due.append((now + _WINDOW, code))
        if due and due[0][0] <= now:
            return self._look(due.popleft()[1])
        return None

    def _draw(self, code: int) -> None:
        """Take two events that came together, at a moment that no sampled key decides.

        In a loop with one scout the pair would else be that scout's own.
        """
        self._chance = self._next_chance
        self._next_chance = self._recent[-2], code
        self._pair_due = self._now + _UNRELATED + code % _UNRELATED

    def _look(self, code: int) -> tuple[int, float] | None:
        """The key `code` came `_WINDOW` events ago: compare what followed, and remember it."""
        recent = self._recent
        came = self._now - _WINDOW
        following = set(recent)
        following.discard(code)
        place, known = self._place(code, came)
        counted = None
        if known:
            gap = came - self._when[place]
            a, b = self._chance
            if gap > 0 and (a or b):
                gain = (self._a[place] in following) + (self._b[place] in following)
                gain -= 2 * ((a in following) + (b in following))
                counted = gap, self._count(gap, gain)
        if place >= 0:
            self._tag[place] = code
            self._when[place] = came
            self._a[place], self._b[place] = recent[1], recent[2]
        return counted

    def _count(self, gap: int, gain: int) -> float:
        bin_ = min(_BINS - 1, int(_PER_OCTAVE * math.log2(gap)))
        # long gaps could not be seen until lately: what is seen of them stands for more
        unseen = min(_MOST_UNSEEN, self._now / max(1, self._now - gap))
        weighed = gain * self.weight * unseen
        self._gains[bin_] += weighed
        self._squares[bin_] += weighed * weighed
        self.sampled += 1
        return weighed

    def _place(self, code: int, now: int) -> tuple[int, bool]:
        """Where a key is, or may be: -1 when it has left the sample; whether it is there."""
        while not code & self._mask:
            # the low bits are those that sampled keys have in common
            first = (code * 0x9E3779B1 >> 12 & 0xFFFFF) % (self._places // _WAYS) * _WAYS
            oldest = first
            for place in range(first, first + _WAYS):
                if self._tag[place] == code and self._when[place]:
                    return place, True
                if self._when[place] < self._when[oldest]:
                    oldest = place
            if not self._when[oldest]:
                self._held += 1
                return oldest, False
            if self._held < _FULL * self._places or now - self._when[oldest] > self.reach:
                return oldest, False
            self._mask = 2 * self._mask + 1
            for place in range(self._places):
                if self._tag[place] & self._mask and self._when[place]:
                    self._when[place] = 0
                    self._held -= 1
        return -1, False

    def decay(self, factor: float) -> None:
        """The past counts less from now on."""
        self._gains = [gain * factor for gain in self._gains]
        self._squares = [square * factor * factor for square in self._squares]
        self.events *= factor
        self.sampled *= factor

    def worth(self) -> list[tuple[int, float, float]]:
        """By length of the log: slots, predictions an event, and the error of that."""
        found = []
        gains = squares = 0.0
        for bin_, gain in enumerate(self._gains):
            gains += gain
            squares += self._squares[bin_]
            if self._squares[bin_]:
                slots = int(2 ** ((bin_ + 1) / _PER_OCTAVE)) + 1
                found.append((slots, gains / self.events, math.sqrt(squares) / self.events))
        return found

    def dump(self) -> list[list[float]]:
        """What was counted, for `load`: not the scouts themselves, which are soon met again."""
        return [[self.events, self.sampled], list(self._gains), list(self._squares)]

    def load(self, counted: list[list[float]]) -> None:
        """Go on from what `dump` gave. Raises ValueError when it is no dump."""
        if [len(part) for part in counted] != [2, _BINS, _BINS] or min(counted[2]) < 0:
            raise ValueError("counts of scouts of another form")
        if not all(abs(number) <= _MOST_COUNTED for part in counted for number in part):
            raise ValueError("counts of scouts that cannot be")
        (self.events, self.sampled), self._gains, self._squares = (
            [float(number) for number in part] for part in counted
        )
