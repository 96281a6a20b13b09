"""Keys that left lately, and how many others have left since.

A table of 4-byte entries in buckets of four: 16 bits of the key's CRC and the
time it left, in steps of a part of the table's reach. Nothing is a list and
nothing is deleted: an entry older than the reach does not count, and the oldest
of a bucket makes room. Six bytes a key, where a dictionary takes a hundred; one
key in some ten thousand is taken for another, which is of no consequence here.

When the reach outgrows the table, it is laid down twice: an entry is then in both
places that its key might have, and the wrong one ages away.

What this file does not do: remember anything exactly.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final
from zlib import crc32

_WAYS: Final = 4
_STEPS: Final = 1024  # of the clock, within the reach
_PERIOD: Final = 1 << 16  # of the clock: what is older than that looks young again
_LOAD: Final = 0.67


class Recent:
    """Keys by how long ago they left; `reach` is the most departures that can be told apart."""

    __slots__ = ("_clock", "_left", "_step", "_sweep", "_table", "reach")

    def __init__(self) -> None:
        self.reach = 1
        self._table = array("I", bytes(4 * _WAYS))
        self._step = 1  # departures a tick
        self._left = 0  # departures since the last tick
        self._clock = 1
        self._sweep = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the table beyond its first bucket."""
        return 4 * (len(self._table) - _WAYS)

    def span(self, reach: int) -> None:
        """Tell apart so many departures from now on."""
        self.reach = reach = max(reach, 1)
        while reach > _LOAD * len(self._table):
            self._table = self._table * 2
        while len(self._table) > _WAYS and reach < _LOAD / 5 * len(self._table):
            del self._table[len(self._table) // 2 :]
        step = max(1, reach // _STEPS)
        if step > 2 * self._step or 2 * step < self._step:  # ages are in steps: begin anew
            self._step = step
            self.clear()

    def push(self, key: bytes) -> None:
        """`key` left."""
        self.push_all((key,))

    def push_all(self, keys: Iterable[bytes]) -> None:
        """These keys left, in this order. Many at once cost a third of what each does alone."""
        table = self._table
        mask = len(table) // _WAYS - 1
        for key in keys:
            self._left += 1
            if self._left >= self._step:
                self._left = 0
                self._tick()
            clock = self._clock
            code = crc32(key)
            first = (code & mask) * _WAYS
            tag = code >> 16 << 16
            victim, most = first, -1
            for place, entry in enumerate(table[first : first + _WAYS], first):
                if not entry or entry & 0xFFFF0000 == tag:
                    victim = place
                    break
                age = (clock - entry) & 0xFFFF
                if age > most:
                    victim, most = place, age
            table[victim] = tag | clock

    def _tick(self) -> None:
        """The clock goes on; a part of the table is swept, so that nothing old looks young."""
        self._clock = clock = self._clock % (_PERIOD - 1) + 1
        table = self._table
        part = max(_WAYS, len(table) // (_PERIOD // 4))
        end = min(self._sweep + part, len(table))
        for place in range(self._sweep, end):
            entry = table[place]
            if entry and (clock - entry) & 0xFFFF > _PERIOD // 2:
                table[place] = 0
        self._sweep = end % len(table)

    def age(self, key: bytes) -> int:
        """Departures since `key` left, about; -1 when it did not leave within the reach."""
        code = crc32(key)
        table = self._table
        first = (code & (len(table) // _WAYS - 1)) * _WAYS
        tag = code >> 16 << 16
        for entry in table[first : first + _WAYS]:
            if entry and entry & 0xFFFF0000 == tag:
                age = ((self._clock - entry) & 0xFFFF) * self._step + self._left
                return age if age <= self.reach else -1
        return -1

    def forget(self, key: bytes) -> None:
        """`key` is back."""
        code = crc32(key)
        first = (code & (len(self._table) // _WAYS - 1)) * _WAYS
        tag = code >> 16 << 16
        for place in range(first, first + _WAYS):
            if self._table[place] & 0xFFFF0000 == tag:
                self._table[place] = 0

    def clear(self) -> None:
        """Forget all."""
        self._table = array("I", bytes(4 * len(self._table)))
