"""A bounded memory of keys that left: a first-in, first-out list without the keys.

Every ghost list in this package (2Q's A1out, ARC's B1 and B2, MQ's Qout, the
ghost of S3-FIFO, the non-resident part of LIRS) is a FIFO from which a key that
comes back is taken out. Here one entry is 28 bytes in flat arrays: the 64-bit
hash of the key, a payload of 32 bits, two links of the list and one of a hash
chain. A dictionary of keys would take eight times as much.

The table grows by linear hashing (Litwin, VLDB 1980): each insertion splits at
most one chain, so that no operation ever stalls on a rebuild of a million
entries. Two keys with one hash are taken for each other: odds of n / 2^64.
Hashes are Python's, salted per process; no order depends on them, so results do
not either.

Operations cost about a microsecond and belong on misses, not on hits.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

ENTRY_BYTES = 28
FIRST_CHAINS = 8


class Ghosts:
    """A FIFO of hashes of keys, each with a payload of 0 to 2^32 - 1."""

    __slots__ = (
        "_chain", "_fresh", "_hash", "_heads", "_mask", "_newer", "_older", "_payload", "_split",
        "count",
    )  # fmt: skip

    def __init__(self) -> None:
        # Slot 0 is the sentinel of the list: _newer[0] is the oldest entry.
        self._hash = array("q", [0])
        self._payload = array("I", [0])
        self._chain = array("I", [0])  # next slot of the same chain; 0 ends it
        self._newer = array("I", [0])
        self._older = array("I", [0])
        self._fresh = 0  # first free slot, linked through _chain; 0 when none is free
        # Linear hashing: chains [0, _split) are split already, by one bit more than _mask.
        self._heads = array("I", [0]) * FIRST_CHAINS
        self._mask = FIRST_CHAINS - 1
        self._split = 0
        self.count = 0

    def _place(self, hashed: int) -> int:
        place = hashed & self._mask
        if place < self._split:
            place = hashed & (2 * self._mask + 1)
        return place

    def push(self, key: bytes, payload: int = 0) -> None:
        """Add `key` as the youngest. A key that is in it (of two databases) is in it twice."""
        hashed = hash(key)
        slot = self._fresh
        if slot:
            self._fresh = self._chain[slot]
            self._hash[slot] = hashed
            self._payload[slot] = payload
        else:
            slot = len(self._hash)
            self._hash.append(hashed)
            self._payload.append(payload)
            self._chain.append(0)
            self._newer.append(0)
            self._older.append(0)
        place = self._place(hashed)
        self._chain[slot] = self._heads[place]
        self._heads[place] = slot
        last = self._older[0]
        self._newer[last] = slot
        self._older[slot] = last
        self._newer[slot] = 0
        self._older[0] = slot
        self.count += 1
        if self.count > len(self._heads):
            self._grow()

    def _grow(self) -> None:
        """Split one chain in two."""
        heads, chain, hashes = self._heads, self._chain, self._hash
        bit = self._mask + 1
        stay = move = 0
        slot = heads[self._split]
        while slot:
            following = chain[slot]
            if hashes[slot] & bit:
                chain[slot] = move
                move = slot
            else:
                chain[slot] = stay
                stay = slot
            slot = following
        heads[self._split] = stay
        heads.append(move)
        self._split += 1
        if self._split == bit:
            self._mask = 2 * self._mask + 1
            self._split = 0

    def get(self, key: bytes) -> int | None:
        """The payload of `key`, or None."""
        hashed = hash(key)
        hashes = self._hash
        slot = self._heads[self._place(hashed)]
        while slot:
            if hashes[slot] == hashed:
                return self._payload[slot]
            slot = self._chain[slot]
        return None

    def take(self, key: bytes) -> int | None:
        """Remove `key` and return its payload; None when it is not there."""
        hashed = hash(key)
        hashes, chain = self._hash, self._chain
        place = self._place(hashed)
        slot, before = self._heads[place], 0
        while slot:
            if hashes[slot] == hashed:
                return self._unlink(slot, before, place)
            before, slot = slot, chain[slot]
        return None

    def _unlink(self, slot: int, before: int, place: int) -> int:
        chain = self._chain
        if before:
            chain[before] = chain[slot]
        else:
            self._heads[place] = chain[slot]
        newer, older = self._newer[slot], self._older[slot]
        self._newer[older] = newer
        self._older[newer] = older
        chain[slot] = self._fresh
        self._fresh = slot
        self.count -= 1
        return self._payload[slot]

    def pop(self) -> int | None:
        """Forget the oldest entry and return its payload; None when empty."""
        slot = self._newer[0]
        if not slot:
            return None
        place = self._place(self._hash[slot])
        before, other = 0, self._heads[place]
        while other != slot:
            before, other = other, self._chain[other]
        return self._unlink(slot, before, place)

    def trim(self, count: int) -> None:
        """Forget the oldest until at most `count` are left."""
        while self.count > count and self.count:
            self.pop()

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays; they keep the room of the largest count seen."""
        return ENTRY_BYTES * len(self._hash)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(hash, payload) of all entries, oldest first."""
        slot = self._newer[0]
        while slot:
            yield self._hash[slot], self._payload[slot]
            slot = self._newer[slot]

    def check(self) -> None:
        """Recount; raises AssertionError when list, chains and count disagree."""
        listed = [hashed for hashed, _ in self]
        assert len(listed) == self.count, f"ghosts: count {self.count}, found {len(listed)}"
        chained = 0
        for place, slot in enumerate(self._heads):
            while slot:
                assert self._place(self._hash[slot]) == place, "a ghost is in the wrong chain"
                chained += 1
                slot = self._chain[slot]
        assert chained == self.count, f"ghosts: count {self.count}, chained {chained}"
