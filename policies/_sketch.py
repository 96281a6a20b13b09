"""How often a key was used, in four bits: a count-min sketch that forgets by halving.

Two counters a byte, four rows by four parts of one hash; an estimate is the
least of four. It answers only for keys that are not resident: a resident node
keeps its own count, exactly, and leaves it here when it goes. So hits never touch
the sketch, and residents do not crowd it.

The table doubles as the number of residents grows (a copy of itself behind
itself keeps every estimate), and is halved in value by `age`. Both are one pass
in C over eight to sixteen bytes per resident: some ten milliseconds for a million.
"""

from __future__ import annotations

from zlib import crc32

MOST = 15
FIRST_WIDTH = 64  # counters a row
_HALVE = bytes(((value >> 1) & 0x77) for value in range(256))
_MIX = 0x9E3779B97F4A7C15
_WORD = 0xFFFFFFFFFFFFFFFF


class Sketch:
    """Counts of 0 to 15 for keys, never too low but for ageing, sometimes too high."""

    __slots__ = ("_table", "_width")

    def __init__(self) -> None:
        self._width = FIRST_WIDTH
        # one bytearray: row r of counter c is nibble (r & 1) of byte (r >> 1) * width + c
        self._table = bytearray(2 * FIRST_WIDTH)

    def _places(self, key: bytes) -> tuple[int, int, int, int]:
        # not hash(): it is salted per process, and estimates must be repeatable
        mixed = (crc32(key) * _MIX) & _WORD
        mask = self._width - 1
        return (
            (mixed >> 37) & mask,
            (mixed >> 24) & mask,
            self._width + ((mixed >> 11) & mask),
            self._width + ((mixed ^ (mixed >> 47)) & mask),
        )

    def estimate(self, key: bytes) -> int:
        """How often `key` was used, as far as remembered: 0 to 15."""
        a, b, c, d = self._places(key)
        table = self._table
        return min(table[a] & 15, table[b] >> 4, table[c] & 15, table[d] >> 4)

    def leave(self, key: bytes, count: int) -> None:
        """Remember that `key` was used at least `count` times."""
        if count > MOST:
            count = MOST
        a, b, c, d = self._places(key)
        table = self._table
        if table[a] & 15 < count:
            table[a] = table[a] & 0xF0 | count
        if table[b] >> 4 < count:
            table[b] = table[b] & 15 | count << 4
        if table[c] & 15 < count:
            table[c] = table[c] & 0xF0 | count
        if table[d] >> 4 < count:
            table[d] = table[d] & 15 | count << 4

    def age(self) -> None:
        """Halve every count."""
        self._table = self._table.translate(_HALVE)

    def fit(self, residents: int) -> None:
        """Widen the table to at least four counters a row for each resident."""
        while self._width < 4 * residents and self._width < 1 << 27:
            half = self._width
            low, high = self._table[:half], self._table[half:]
            self._table = low + low + high + high
            self._width = 2 * half

    @property
    def nbytes(self) -> int:
        """Bytes of the table."""
        return len(self._table)
