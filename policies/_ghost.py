"""A bounded memory of keys that left: a first-in, first-out list without the keys.

Every ghost list in this package (2Q's A1out, ARC's B1 and B2, MQ's Qout, the
ghost of S3-FIFO, the non-resident part of LIRS) is a FIFO from which a key that
comes back is taken out. Here one entry is 28 bytes in flat arrays: the 64-bit
hash of the key, a payload of 32 bits, two links of the list and one of a hash
chain. A dictionary of keys would take eight times as much.

The table grows by linear hashing (Litwin, VLDB 1980): each insertion splits at
most one chain, so that no operation ever stalls on a rebuild of a million
entries. The list is a ring: where one key comes for each that is forgotten, as
in a full cache, the newcomer takes the slot of the oldest, and the ring turns by
one without a link being written. Two keys with one hash are taken for each other: odds of n / 2^64.
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
        "_chain", "_fresh", "_hash", "_heads", "_mask", "_newer", "_older", "_oldest", "_payload",
        "_split", "count",
    )  # fmt: skip

    def __init__(self) -> None:
        # Slot 0 stands for none.
        self._hash = array("q", [0])
        self._payload = array("I", [0])
        self._chain = array("I", [0])  # next slot of the same chain; 0 ends it
        self._newer = array("I", [0])
        self._older = array("I", [0])
        self._oldest = 0  # of the ring: the one newer than the youngest
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
        chain, newer, older = self._chain, self._newer, self._older
        slot = self._fresh
        if slot:
            self._fresh = chain[slot]
            self._hash[slot] = hashed
            self._payload[slot] = payload
        else:
            slot = len(chain)
            self._hash.append(hashed)
            self._payload.append(payload)
            chain.append(0)
            newer.append(0)
            older.append(0)
        place = hashed & self._mask  # `_place` written out
        if place < self._split:
            place = hashed & (2 * self._mask + 1)
        heads = self._heads
        chain[slot] = heads[place]
        heads[place] = slot
        first = self._oldest
        if first:
            last = older[first]
            newer[last] = older[first] = slot
            older[slot] = last
            newer[slot] = first
        else:
            newer[slot] = older[slot] = self._oldest = slot
        self.count = count = self.count + 1
        if count > len(heads):
            self._grow()

    def push_within(self, key: bytes, payload: int, most: int) -> None:
        """`push`, then `trim(most)`; `most` is at least 1."""
        if self.count != most or not self._fresh:
            self.push(key, payload)
            self.trim(most)
            return
        slot = self._oldest
        hashes, chain, heads = self._hash, self._chain, self._heads
        mask, split = self._mask, self._split
        # `_place`, `_unlink` and `push` written out: this is done at every eviction
        hashed = hashes[slot]
        place = hashed & mask
        if place < split:
            place = hashed & (2 * mask + 1)
        other = heads[place]
        if other == slot:
            heads[place] = chain[slot]
        else:
            before = 0
            while other != slot:
                before, other = other, chain[other]
            chain[before] = chain[slot]
        hashed = hash(key)
        hashes[slot] = hashed
        self._payload[slot] = payload
        place = hashed & mask
        if place < split:
            place = hashed & (2 * mask + 1)
        chain[slot] = heads[place]
        heads[place] = slot
        self._oldest = self._newer[slot]

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
        place = hashed & self._mask  # `_place` written out
        if place < self._split:
            place = hashed & (2 * self._mask + 1)
        slot = self._heads[place]
        if not slot:
            return None
        hashes, chain, before = self._hash, self._chain, 0
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
        if slot == self._oldest:
            self._oldest = newer if newer != slot else 0
        chain[slot] = self._fresh
        self._fresh = slot
        self.count -= 1
        return self._payload[slot]

    def pop(self) -> int | None:
        """Forget the oldest entry and return its payload; None when empty."""
        slot = self._oldest
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
        slot = first = self._oldest
        while slot:
            yield self._hash[slot], self._payload[slot]
            slot = self._newer[slot]
            if slot == first:
                return

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
