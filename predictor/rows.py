"""A small table of rows: after this context, which values followed how often.

A context is any integer; it owns one of the rows of a 4-way set. Room is made by
the least recent row among those whose context occurred less than four times, then
among all: most contexts never return, and must not wash out those that do
(.0561 to .0491 waits on cp_w106 at 5%). A row that was not used for long is
halved when it is in the way, so none stays for ever. A row counts how often its context occurred
(n) and how often each of a few values followed it. Counts are halved when n
reaches its limit. A new value takes an empty place or one whose count is at
most one; otherwise it wears the smallest count down by one, every other time.

Everything is packed in arrays: a row of 16 followers takes 90 bytes where a
dictionary takes a thousand.

What this file does not do: give values a meaning (`strides.py`: differences of
numbers; `templates.py`: templates), or score them.
"""

from __future__ import annotations

from array import array
from typing import Final

_WAYS: Final = 4
#: occurrences that make a row worth keeping; occurrences of others until it is halved
_PROVEN, _STALE = 4, 20_000
#: values must be above -LIMIT and below LIMIT
LIMIT: Final = 1 << 31


def bytes_for(rows: int, followers: int) -> int:
    """Bytes of a table."""
    return rows * (4 + 4 + 2 + 5 * followers)


class Rows:
    """`rows` rows of at most `followers` values; n is halved at `halve_at` (at most 255)."""

    __slots__ = ("_clock", "_counts", "_halve_at", "_n", "_sets", "_tags", "_used", "_values", "k")

    def __init__(self, rows: int, followers: int, halve_at: int) -> None:
        self.k = followers
        self._halve_at = halve_at
        self._sets = max(1, rows // _WAYS)
        rows = self._sets * _WAYS
        self._tags = array("I", bytes(4 * rows))
        self._used = array("I", bytes(4 * rows))
        self._n = array("H", bytes(2 * rows))
        self._values = array("i", bytes(4 * rows * followers))
        self._counts = array("B", bytes(rows * followers))
        self._clock = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return bytes_for(self._sets * _WAYS, self.k)

    def find(self, context: int) -> int:
        """The row of a context, or -1."""
        tag = context * 0x9E3779B97F4A7C15 >> 28 & 0xFFFFFFFF or 1
        first = tag % self._sets * _WAYS
        tags = self._tags
        for row in range(first, first + _WAYS):
            if tags[row] == tag:
                return row
        return -1

    def occurred(self, context: int) -> int:
        """Count an occurrence of a context; its row, made where there was none."""
        tag = context * 0x9E3779B97F4A7C15 >> 28 & 0xFFFFFFFF or 1
        first = tag % self._sets * _WAYS
        tags, used, ns = self._tags, self._used, self._n
        self._clock += 1
        victim, worst = first, (True, self._clock)
        for row in range(first, first + _WAYS):
            if tags[row] == tag:
                break
            rank = (ns[row] >= _PROVEN, used[row])
            if rank < worst:
                victim, worst = row, rank
        else:
            for row in range(first, first + _WAYS):
                if ns[row] >= _PROVEN and self._clock - used[row] > _STALE:
                    self._halve(row)
                    used[row] = self._clock
            row = victim
            tags[row] = tag
            ns[row] = 0
            at = row * self.k
            self._counts[at : at + self.k] = array("B", bytes(self.k))
        used[row] = self._clock & 0xFFFFFFFF
        ns[row] += 1
        if ns[row] >= self._halve_at:
            self._halve(row)
        return row

    def _halve(self, row: int) -> None:
        self._n[row] >>= 1
        at = row * self.k
        for place in range(at, at + self.k):
            self._counts[place] >>= 1

    def followed(self, row: int, values: list[int]) -> None:
        """Count values, each different, that followed the occurrence that gave this row."""
        k = self.k
        at = row * k
        held, counts = self._values, self._counts
        places = dict(zip(held[at : at + k], range(at, at + k), strict=True))
        fresh = []
        for value in values:
            place = places.get(value)
            if place is None:
                fresh.append(value)
            else:
                counts[place] += 1  # n is halved before it could pass 255
        if not fresh:
            return
        weakest = sorted(range(at, at + k), key=counts.__getitem__)
        for value, place in zip(fresh, weakest, strict=False):
            if counts[place] <= 1:
                held[place] = value
                counts[place] = 1
            elif value & 1 == self._clock & 1:  # half a count on average
                counts[place] -= 1

    def follow(self, row: int, value: int) -> None:
        """Count a single value that followed, as `followed` does, in less time."""
        at = row * self.k
        counts = self._counts
        held = self._values[at : at + self.k]
        if value in held:
            counts[at + held.index(value)] += 1
            return
        weights = counts[at : at + self.k]
        least = min(weights)
        place = at + weights.index(least)
        if least <= 1:
            self._values[place] = value
            counts[place] = 1
        elif value & 1 == self._clock & 1:
            counts[place] -= 1

    def n(self, row: int) -> int:
        """How often the context of a row occurred, halvings aside."""
        return self._n[row]

    def followers(self, row: int) -> list[tuple[int, int]]:
        """Values of a row with their counts; no order."""
        at = row * self.k
        pairs = zip(self._values[at : at + self.k], self._counts[at : at + self.k], strict=True)
        return [pair for pair in pairs if pair[1]]

    def resized(self, rows: int) -> Rows:
        """A table of another size with the rows of this one, the most frequent where few fit."""
        made = Rows(rows, self.k, self._halve_at)
        made._clock = self._clock
        held = [row for row, tag in enumerate(self._tags) if tag and self._n[row]]
        held.sort(key=lambda row: (self._n[row], self._used[row]), reverse=True)
        for row in held:
            tag = self._tags[row]
            first = tag % made._sets * _WAYS
            for place in range(first, first + _WAYS):
                if not made._tags[place]:
                    made._tags[place] = tag
                    made._used[place] = self._used[row]
                    made._n[place] = self._n[row]
                    old, new = row * self.k, place * self.k
                    made._values[new : new + self.k] = self._values[old : old + self.k]
                    made._counts[new : new + self.k] = self._counts[old : old + self.k]
                    break
        return made

    def dump(self) -> list[bytes]:
        """The arrays, for `load` into a table of the same size."""
        arrays = (self._tags, self._used, self._n, self._values, self._counts)
        return [part.tobytes() for part in arrays]

    def load(self, parts: list[bytes]) -> bool:
        """Take over what `dump` gave; False when it is of a table of another size.

        Raises ValueError when it is no dump.
        """
        arrays = (self._tags, self._used, self._n, self._values, self._counts)
        made = [array(part.typecode) for part in arrays]
        if len(parts) != len(made):
            raise ValueError("rows of another form")
        for part, packed in zip(made, parts, strict=True):
            part.frombytes(packed)
        if any(len(new) != len(old) for new, old in zip(made, arrays, strict=True)):
            return False
        if max(made[2]) >= self._halve_at:
            raise ValueError("a row counted beyond its limit")
        self._tags, self._used, self._n, self._values, self._counts = made
        self._clock = max(self._used)
        return True
