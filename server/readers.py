"""Which clients may have kept which keys: the table behind client-side caching.

Keys in the order in which they were first read, so that the one that leaves first is
known. Most keys have one reader, whose number then stands there alone; a set for each
key would cost more than the key. What the table takes is estimated and charged to
`maxmemory`.

What this file does not do: tell anybody (`server/tracking.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from antecache.server.store import size

# Bytes of a key: its slot and the string. Of several readers: the dictionary, and each of them.
KEY, READERS, READER = size.SLOT + size.BYTES + 8, 232, 36


class Readers:
    """The numbers of the readers of each key.

    items    readers, over all keys
    nbytes   estimated bytes
    """

    def __init__(self) -> None:
        self._table: dict[bytes, int | dict[int, None]] = {}
        self.items = self.nbytes = 0

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, key: object) -> bool:
        return key in self._table

    def add(self, key: bytes, number: int) -> None:
        """A client has read a key."""
        readers = self._table.get(key)
        if readers is None:
            self._table[key] = number
            self.nbytes += KEY + len(key)
        elif isinstance(readers, int):
            if readers == number:
                return
            self._table[key] = {readers: None, number: None}
            self.nbytes += READERS + READER
        elif number not in readers:
            readers[number] = None
            self.nbytes += READER
        else:
            return
        self.items += 1

    def take(self, key: bytes) -> Iterable[int]:
        """Forget a key that is there; returns who has read it."""
        readers = self._table.pop(key)
        self.nbytes -= KEY + len(key)
        if isinstance(readers, int):
            self.items -= 1
            return (readers,)
        self.items -= len(readers)
        self.nbytes -= READERS + READER * (len(readers) - 1)
        return readers

    def oldest(self) -> bytes:
        """The key that was read first; StopIteration when there is none."""
        return next(iter(self._table))

    def clear(self) -> None:
        """Forget all keys."""
        self._table.clear()
        self.items = self.nbytes = 0
