"""A ring of events with an index: what was asked, and where it was asked before.

A slot is one 64-bit word: a 50-bit key code (`keycodec.py`) and a 14-bit link
to the previous slot of the same key. Links up to 8191 are exact; longer ones
count in steps of 16 up to 139,000, and the slot is found by looking at those
16. (A 48-bit code and a 16-bit exact link would fill the word as well, but
then 12-digit hex keys leave no room for anything else.) 0 means that there is
no earlier slot, or that it is too far away.

The index knows the newest slot of a key: buckets of four 4-byte slot numbers,
two thirds of an entry a slot, where the farthest slot makes room. It stores no
keys: the code is verified in the ring. It is written on a demand miss, or when
the key is in it already, because only demand misses are looked up.

That makes 10.7 bytes a slot. Both parts are anonymous memory maps, so that a
ring that is not full yet does not occupy its pages.

What this file does not do: know keys (codes only), or score anything.
"""

from __future__ import annotations

import mmap
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

#: bits of the link in a slot
LINK_BITS = 14
_LINK_MASK = (1 << LINK_BITS) - 1
_EXACT = 1 << (LINK_BITS - 1)  # links below are exact
STEP = 16
#: longest distance a link can express
REACH = _EXACT + STEP * _EXACT - 1
_WAYS = 4
#: slots of the ring for each bucket of four index entries
_SLOTS_PER_BUCKET = 6
BYTES_PER_SLOT = 8 + 16 / _SLOTS_PER_BUCKET

_Words: TypeAlias = NDArray[np.uint64]


def buckets_for(slots: int) -> int:
    """Index buckets for a ring of so many slots: odd, so that strides spread over them."""
    return max(1, slots // _SLOTS_PER_BUCKET) | 1


def bytes_for(slots: int) -> int:
    """Bytes that a full ring of so many slots and its index occupy."""
    return 8 * slots + 16 * buckets_for(slots) if slots else 0


def slots_for(budget: int) -> int:
    """The most slots whose ring and index fit into `budget` bytes; 0 below 24."""
    slots = max(0, int((budget - 32) / BYTES_PER_SLOT))
    return slots if slots >= 24 else 0


class Ring:
    """Events in the order they came, the oldest overwritten.

    slots   capacity (0: remembers nothing)
    head    the slot to be written next
    filled  slots in use
    words   the slots; index  the buckets, slot + 1 or 0
    """

    __slots__ = ("buckets", "filled", "head", "index", "slots", "words")

    def __init__(self, slots: int, buckets: int = 0) -> None:
        self.slots = slots
        self.buckets = buckets or buckets_for(slots)
        self.head = 0
        self.filled = 0
        self.words = _map(8 * slots).cast("Q")
        self.index = _map(16 * self.buckets if slots else 0).cast("I")

    @property
    def nbytes(self) -> int:
        """Bytes touched: slots in use and the whole index."""
        return 8 * self.filled + 4 * len(self.index)

    @property
    def full_nbytes(self) -> int:
        """Bytes when every slot is in use."""
        return 8 * self.slots + 4 * len(self.index)

    def newest(self, code: int) -> int:
        """The newest indexed slot of a code, or -1."""
        words, index = self.words, self.index
        at = code % self.buckets * 4
        for entry in index[at : at + 4]:
            if entry and words[entry - 1] >> LINK_BITS == code:
                return entry - 1
        return -1

    def earlier(self, slot: int) -> int:
        """The previous slot of the same key, or -1."""
        words, slots = self.words, self.slots
        word = words[slot]
        link = word & _LINK_MASK
        if not link:
            return -1
        code = word >> LINK_BITS
        age = (self.head - 1 - slot) % slots
        if link < _EXACT:
            if age + link >= self.filled:
                return -1
            at = (slot - link) % slots
            return at if words[at] >> LINK_BITS == code else -1
        first = _EXACT + (link - _EXACT) * STEP
        for distance in range(first, min(first + STEP, self.filled - age)):
            at = (slot - distance) % slots
            if words[at] >> LINK_BITS == code:
                return at
        return -1

    def after(self, slot: int, count: int) -> list[int]:
        """Up to `count` words that followed a slot, nearest first; codes are `>> LINK_BITS`."""
        start = slot + 1
        head = self.head
        if slot < head:  # the newest event is at head - 1, not beyond the end
            end = start + count
            return self.words[start : end if end < head else head].tolist()
        end = start + count
        if end <= self.slots:
            return self.words[start:end].tolist()
        rest = end - self.slots
        found = self.words[start : self.slots].tolist()
        found += self.words[0 : rest if rest < head else head].tolist()
        return found

    def before(self, slot: int) -> int:
        """The code of the event before a slot, or -1."""
        if (self.head - 1 - slot) % self.slots + 1 >= self.filled:
            return -1
        return int(self.words[slot - 1]) >> LINK_BITS  # -1 is the last slot, as it should

    @property
    def last(self) -> int:
        """The code of the newest event, or -1."""
        return int(self.words[self.head - 1]) >> LINK_BITS if self.filled else -1

    def append(self, code: int, demand: bool) -> int:
        """Write an event; the code it overwrote, or -1. `demand`: the key shall be indexed."""
        words, index, head, slots = self.words, self.index, self.head, self.slots
        at = code % self.buckets * 4
        link = 0
        found = -1
        victim, farthest = at, -1
        for place in range(at, at + 4):
            entry = index[place]
            if not entry:
                if farthest < slots:
                    victim, farthest = place, slots
                continue
            slot = entry - 1
            if words[slot] >> LINK_BITS == code:
                found = place
                distance = head - slot
                if distance <= 0:
                    distance += slots
                if distance < _EXACT:
                    link = distance
                elif distance <= REACH:
                    link = _EXACT + (distance - _EXACT) // STEP
                break
            age = head - slot
            if age <= 0:
                age += slots
            if age > farthest:
                victim, farthest = place, age
        if self.filled == slots:
            gone = int(words[head]) >> LINK_BITS
        else:
            gone = -1
            self.filled += 1
        words[head] = code << LINK_BITS | link
        if found >= 0:
            index[found] = head + 1
        elif demand:
            index[victim] = head + 1
        head += 1
        self.head = head if head < slots else 0
        return gone

    def ordered(self) -> _Words:
        """A copy of the words, oldest first."""
        words = np.frombuffer(self.words, dtype=np.uint64)
        if self.filled < self.slots:
            return words[: self.filled].copy()
        return np.concatenate((words[self.head :], words[: self.head]))

    def resized(self, slots: int) -> tuple[Ring, _Words]:
        """A ring of another capacity with the newest events, and the codes that were dropped.

        Vectorised; some 0.1 µs a slot.
        """
        made = Ring(slots)
        words = self.ordered()
        keep = min(slots, len(words))
        dropped = len(words) - keep
        lost: _Words = words[:dropped] >> np.uint64(LINK_BITS)
        words = words[dropped:]
        if not keep:
            return made, lost
        np.frombuffer(made.words, dtype=np.uint64)[:keep] = words
        made.filled = keep
        made.head = keep % slots
        entries = np.frombuffer(self.index, dtype=np.uint32).astype(np.int64)
        places = np.flatnonzero(entries)
        start = self.head if self.filled == self.slots else 0
        order = (entries[places] - 1 - start) % self.slots - dropped
        current = order >= 0
        order, places = order[current], places[current]
        codes = words[order] >> np.uint64(LINK_BITS)
        # an entry whose slot was overwritten by a key of another bucket is stale
        current = codes % np.uint64(self.buckets) == (places // 4).astype(np.uint64)
        present = np.zeros(keep, dtype=bool)
        present[order[current]] = True
        order = np.flatnonzero(present)  # the oldest first
        buckets = ((words[order] >> np.uint64(LINK_BITS)) % np.uint64(made.buckets)).astype(
            np.int64
        )
        index = np.frombuffer(made.index, dtype=np.uint32).reshape(-1, _WAYS)
        newest = np.zeros(made.buckets, dtype=np.uint32)
        for way in range(_WAYS):
            newest[:] = 0
            newest[buckets] = order + 1  # of several, the last one stays
            index[:, way] = newest
            left = newest[buckets] != order + 1
            order, buckets = order[left], buckets[left]
        return made, lost

    def cut(self, slots: int) -> bool:
        """Make the capacity smaller where that costs nothing: while the ring is not full."""
        if not self.filled < slots <= self.slots:
            return False
        self.slots = slots
        self.words = self.words[:slots]
        return True

    def dump(self) -> tuple[int, int, int, bytes, bytes]:
        """Capacity, head, slots in use, words and index, for `load`."""
        return (
            self.slots,
            self.head,
            self.filled,
            bytes(self.words[: self.filled]),
            bytes(self.index),
        )

    @classmethod
    def load(cls, slots: int, head: int, filled: int, words: bytes, index: bytes) -> Ring:
        """The ring that `dump` described. Raises ValueError when it cannot be one."""
        if slots < 0 or not 0 <= filled <= slots or len(words) != 8 * filled:
            raise ValueError("a ring of the wrong length")
        if head != (filled % slots if filled < slots else head) or not 0 <= head < max(slots, 1):
            raise ValueError("a ring whose head is outside")
        buckets = len(index) // (4 * _WAYS)
        if len(index) % (4 * _WAYS) or (slots and buckets < buckets_for(slots)):
            raise ValueError("an index of the wrong length")
        made = cls(slots, buckets)
        if np.frombuffer(index, dtype=np.uint32).max(initial=0) > filled:
            raise ValueError("an index that points outside of the ring")
        made.head, made.filled = head, filled
        made.words[:filled] = memoryview(words).cast("Q")
        made.index[:] = memoryview(index).cast("I")
        return made

    def check(self) -> None:
        """Recount; raises AssertionError when the books are wrong."""
        assert 0 <= self.filled <= self.slots
        assert self.filled == self.slots or self.head == self.filled
        for place, entry in enumerate(self.index):
            assert entry <= self.filled, f"index entry {place} points at an unused slot"


def _map(size: int) -> memoryview:
    """Zeroed memory that occupies nothing until it is written."""
    if not size:
        return memoryview(bytearray())
    return memoryview(mmap.mmap(-1, size))
