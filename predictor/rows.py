"""A small table of rows: after this context, which values followed how often.

A context is any integer; it owns one of the rows of a 4-way set, where the
least recently used row makes room. A row counts how often its context occurred
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
        tag = context * 0x9E3779B1 >> 7 & 0xFFFFFFFF or 1
        first = tag % self._sets * _WAYS
        tags = self._tags
        for row in range(first, first + _WAYS):
            if tags[row] == tag:
                return row
        return -1

    def occurred(self, context: int) -> int:
        """Count an occurrence of a context; its row, made where there was none."""
        tag = context * 0x9E3779B1 >> 7 & 0xFFFFFFFF or 1
        first = tag % self._sets * _WAYS
        tags, used = self._tags, self._used
        self._clock += 1
        oldest = first
        for row in range(first, first + _WAYS):
            if tags[row] == tag:
                break
            if used[row] < used[oldest]:
                oldest = row
        else:
            row = oldest
            tags[row] = tag
            self._n[row] = 0
            at = row * self.k
            self._counts[at : at + self.k] = array("B", bytes(self.k))
        used[row] = self._clock & 0xFFFFFFFF
        n = self._n[row] + 1
        if n >= self._halve_at:
            n >>= 1
            at = row * self.k
            for place in range(at, at + self.k):
                self._counts[place] >>= 1
        self._n[row] = n
        return row

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

    def n(self, row: int) -> int:
        """How often the context of a row occurred, halvings aside."""
        return self._n[row]

    def followers(self, row: int) -> list[tuple[int, int]]:
        """Values of a row with their counts; no order."""
        at = row * self.k
        pairs = zip(self._values[at : at + self.k], self._counts[at : at + self.k], strict=True)
        return [pair for pair in pairs if pair[1]]

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
