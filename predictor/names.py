"""Numbers for the keys that a table names, within a budget of bytes.

A table of followers has four bytes for each, which is no room for a key. So every
key that may be named gets a number below 2**30, of which the lowest 22 bits are a
place and the others count how often that place was given away. When the budget is
used up, the place of a key that was not met for a whole turn of the hand is given
to another one; whoever still holds the old number learns that it means nothing any
more. So nobody needs to count who refers to what, as `texts.py` does for the log.

What this file does not do: say which keys deserve a number.
"""

from __future__ import annotations

from typing import Final

_PLACE_BITS: Final = 22
_MASK: Final = (1 << _PLACE_BITS) - 1
_TURNS: Final = 256
#: a key without its characters, its number, and their places in a dictionary and a list
NAME_BYTES: Final = 170


class Names:
    """Numbered keys; `budget` bytes at most. `nbytes` is an estimate of what they take."""

    __slots__ = ("_free", "_hand", "_keys", "_met", "_numbers", "_turns", "budget", "nbytes")

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.nbytes = 0
        self._numbers: dict[bytes, int] = {}
        self._keys: list[bytes | None] = []
        self._turns = bytearray()
        self._met = bytearray()
        self._free: list[int] = []
        self._hand = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def find(self, key: bytes) -> int:
        """The number of a key, or -1."""
        return self._numbers.get(key, -1)

    def key(self, number: int) -> bytes | None:
        """The key of a number; None when its place was given to another one."""
        key = self._keys[number & _MASK]
        return key if key is not None and self._numbers[key] == number else None

    def number(self, key: bytes) -> int:
        """The number of a key that is met now, given if it has none; -1: there is no room."""
        number = self._numbers.get(key, -1)
        if number >= 0:
            self._met[number & _MASK] = 1
            return number
        cost = len(key) + NAME_BYTES
        if cost > self.budget:
            return -1
        while self.nbytes + cost > self.budget:
            self._give_away()
        if self._free:
            place = self._free.pop()
            self._keys[place] = key
        elif len(self._keys) <= _MASK:
            place = len(self._keys)
            self._keys.append(key)
            self._turns.append(0)
            self._met.append(0)
        else:
            return -1
        number = self._turns[place] << _PLACE_BITS | place
        self._numbers[key] = number
        self.nbytes += cost
        return number

    def _give_away(self) -> None:
        """Free the next place whose key was not met since the hand passed it."""
        keys, met = self._keys, self._met
        while True:
            place = self._hand
            self._hand = (place + 1) % len(keys)
            key = keys[place]
            if key is None:
                continue
            if met[place]:
                met[place] = 0
                continue
            keys[place] = None
            del self._numbers[key]
            self._turns[place] = (self._turns[place] + 1) % _TURNS
            self._free.append(place)
            self.nbytes -= len(key) + NAME_BYTES
            return

    def dump(self) -> tuple[list[bytes | None], bytes]:
        """Keys by place, and how often each place was given away, for `load`."""
        return self._keys, bytes(self._turns)

    @classmethod
    def load(cls, keys: list[bytes | None], turns: bytes, budget: int) -> Names:
        """What `dump` gave, under a budget that holds it. Raises ValueError otherwise."""
        made = cls(budget)
        if len(turns) != len(keys) or len(keys) > _MASK + 1:
            raise ValueError("names without their turns")
        made._keys = list(keys)
        made._turns = bytearray(turns)
        made._met = bytearray(len(keys))
        for place, key in enumerate(keys):
            if key is None:
                made._free.append(place)
            else:
                made._numbers[key] = turns[place] << _PLACE_BITS | place
                made.nbytes += len(key) + NAME_BYTES
        if made.nbytes > budget or len(made._numbers) + len(made._free) != len(keys):
            raise ValueError("names beyond the budget, or one of them twice")
        return made

    def check(self) -> None:
        """Recount; raises AssertionError when the books are wrong."""
        held = [key for key in self._keys if key is not None]
        assert len(held) == len(self._numbers)
        assert self.nbytes == sum(len(key) + NAME_BYTES for key in held) <= self.budget
