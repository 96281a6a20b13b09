"""Which numbers were ever met: a filter of a byte a number.

A Bloom filter cut into 64-bit words: a number chooses one word and four bits in
it, so that a question costs one look at memory. At 8 bits a number about one
unknown number in thirty is taken for known (never the other way round). When
more numbers came than that, a sweep clears one word for every eight numbers
added, so that the filter stays as full as it is and the oldest are forgotten.

What this file does not do: forget a single number, or count.
"""

from __future__ import annotations

from array import array
from typing import Final

#: numbers a word, at 8 bits each
_PER_WORD: Final = 8
_LEAST_WORDS: Final = 64
#: four megabytes: more than as many numbers are not worth more memory
_MOST_WORDS: Final = 1 << 19
_LOW: Final = (1 << 64) - 1


def words_for(budget: int) -> int:
    """Words of a filter that has so many bytes; 0 below 512."""
    return max(0, min(_MOST_WORDS, budget // 8) // _LEAST_WORDS * _LEAST_WORDS)


class Seen:
    """Numbers that were added, within `budget` bytes (below 512 none are remembered)."""

    __slots__ = ("_added", "_sweep", "_words")

    def __init__(self, budget: int) -> None:
        self._words = array("Q", bytes(8 * words_for(budget)))
        self._added = 0
        self._sweep = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the words."""
        return 8 * len(self._words)

    def __contains__(self, number: int) -> bool:
        words = self._words
        if not words:
            return False
        hashed = _hash(number)
        bits = _bits(hashed)
        return words[(hashed & 0xFFFFFFFF) % len(words)] & bits == bits

    def add(self, number: int) -> None:
        """From now on `number` is known."""
        words = self._words
        if not words:
            return
        hashed = _hash(number)
        bits = _bits(hashed)
        place = (hashed & 0xFFFFFFFF) % len(words)
        if words[place] & bits == bits:
            return
        self._added += 1
        if self._added > len(words) * _PER_WORD and not self._added % _PER_WORD:
            words[self._sweep] = 0
            self._sweep = (self._sweep + 1) % len(words)
        words[place] |= bits

    def dump(self) -> list[bytes]:
        """Counts and words, for `load`."""
        return [
            self._added.to_bytes(8, "big"),
            self._sweep.to_bytes(8, "big"),
            self._words.tobytes(),
        ]

    def load(self, parts: list[bytes]) -> bool:
        """Take over what `dump` gave; False when it is of a filter of another size.

        Raises ValueError when it is no dump.
        """
        if len(parts) != 3 or len(parts[0]) != 8 or len(parts[1]) != 8:
            raise ValueError("a filter of another form")
        words = array("Q")
        words.frombytes(parts[2])
        if len(words) != len(self._words):
            return False
        self._words = words
        self._added = int.from_bytes(parts[0], "big")
        self._sweep = int.from_bytes(parts[1], "big") % max(1, len(words))
        return True


def _hash(number: int) -> int:
    """64 well mixed bits; multipliers of splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    mixed = number * 0xBF58476D1CE4E5B9 & _LOW
    return (mixed ^ mixed >> 29) * 0x94D049BB133111EB & _LOW


def _bits(hashed: int) -> int:
    """Four bits (fewer where they fall together) of a word."""
    return (
        1 << (hashed >> 58)
        | 1 << (hashed >> 52 & 63)
        | 1 << (hashed >> 46 & 63)
        | 1 << (hashed >> 40 & 63)
    )
