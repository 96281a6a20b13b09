"""A ring of events with an index: what was asked, and where it was asked before.

A slot is one 64-bit word: a 50-bit key code (`keycodec.py`) and a 14-bit link
to the previous slot of the same key. Links up to 8191 are exact; longer ones
count in steps of 16 up to 139,000, and the slot is found by looking at those
16. (A 48-bit code and a 16-bit exact link would fill the word as well, but
then 12-digit hex keys leave no room for anything else.) 0 means that there is
no earlier slot, or that it is too far away.

The index knows the newest slot of a key: buckets of sixteen 4-byte slot numbers,
two thirds of an entry a slot, where the farthest slot makes room. (Buckets of four
fill unevenly: they lost an eighth of the keys that were looked up.) It stores no
keys: the code is verified in the ring. It is written on a demand miss, or when
the key is in it already, because only demand misses are looked up.

That makes 10.7 bytes a slot. The events are a window that moves through a larger
circle of addresses (an anonymous memory map, of which only touched pages exist,
and those behind the window are given back). So making it longer or shorter moves
nothing. The index is another matter: for another number of slots it is laid out
anew, a piece at every 64th event, and until that is done both are asked.

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
WAYS = 16
#: slots of the ring for each bucket of index entries
_SLOTS_PER_BUCKET = 24
#: buckets moved to another index at once, every so many events
_PIECE, _EVERY = 256, 64
#: slots of a block of pages that is given back
_BLOCK = 8192
#: bytes by which the buckets may exceed their part of a slot
UNEVEN = 4 * WAYS
BYTES_PER_SLOT = 8 + 4 * WAYS / _SLOTS_PER_BUCKET

_Words: TypeAlias = NDArray[np.uint64]


def buckets_for(slots: int) -> int:
    """Index buckets for a ring of so many slots: odd, so that strides spread over them."""
    return max(1, slots // _SLOTS_PER_BUCKET) | 1


def bytes_for(slots: int) -> int:
    """Bytes that a full ring of so many slots and its index occupy."""
    return 8 * slots + 4 * WAYS * buckets_for(slots) if slots else 0


def slots_for(budget: int) -> int:
    """The most slots whose ring and index fit into `budget` bytes; 0 below 24."""
    slots = max(0, int((budget - UNEVEN) / BYTES_PER_SLOT))
    return slots if slots >= 24 else 0


class Ring:
    """Events in the order they came, the oldest overwritten.

    slots   capacity (0: remembers nothing), at most `room`
    room    positions of the circle
    head    the position to be written next
    filled  slots in use, the last ones before the head
    words   the positions; index  the buckets, position + 1 or 0
    """

    __slots__ = (
        "_map", "_moved", "_old", "_old_buckets", "buckets", "filled", "head", "index", "room",
        "slots", "words",
    )  # fmt: skip

    def __init__(self, slots: int, buckets: int = 0, *, room: int = 0) -> None:
        self.slots = slots
        self.room = max(room, slots)
        self.buckets = buckets or buckets_for(slots)
        self.head = 0
        self.filled = 0
        self._map, view = _map(8 * self.room)
        self.words = view.cast("Q")
        self.index = _map(4 * WAYS * self.buckets if slots else 0)[1].cast("I")
        self._old: memoryview | None = None  # the index that is being replaced
        self._old_buckets = self._moved = 0

    @property
    def nbytes(self) -> int:
        """Bytes touched: slots in use and the whole index."""
        return 8 * self.filled + self._index_bytes

    @property
    def full_nbytes(self) -> int:
        """Bytes when every slot is in use."""
        return 8 * self.slots + self._index_bytes

    @property
    def _index_bytes(self) -> int:
        return 4 * (len(self.index) + (0 if self._old is None else len(self._old)))

    def newest(self, code: int) -> int:
        """The newest indexed slot of a code, or -1."""
        words, index = self.words, self.index
        at = code % self.buckets * WAYS
        for entry in index[at : at + WAYS].tolist():
            if (
                entry
                and words[entry - 1] >> LINK_BITS == code
                and (self.head - entry) % self.room < self.filled
            ):
                return entry - 1
        return -1 if self._old is None else self._place_in_old(code)[1]

    def _place_in_old(self, code: int) -> tuple[int, int]:
        """Where the index that is being replaced has a code, and its slot; -1 twice: nowhere."""
        old, words = self._old, self.words
        assert old is not None
        at = code % self._old_buckets * WAYS
        for place, entry in enumerate(old[at : at + WAYS].tolist(), at):
            if (
                entry
                and words[entry - 1] >> LINK_BITS == code
                and (self.head - entry) % self.room < self.filled
            ):
                return place, entry - 1
        return -1, -1

    def age(self, slot: int) -> int:
        """Events since that of a slot; of the newest, 1."""
        return (self.head - 1 - slot) % self.room + 1

    def earlier(self, slot: int) -> int:
        """The previous slot of the same key, or -1."""
        words, room = self.words, self.room
        word = words[slot]
        link = word & _LINK_MASK
        if not link:
            return -1
        code = word >> LINK_BITS
        age = (self.head - 1 - slot) % room
        if link < _EXACT:
            if age + link >= self.filled:
                return -1
            at = (slot - link) % room
            return at if words[at] >> LINK_BITS == code else -1
        first = _EXACT + (link - _EXACT) * STEP
        for distance in range(first, min(first + STEP, self.filled - age)):
            at = (slot - distance) % room
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
        if end <= self.room:
            return self.words[start:end].tolist()
        rest = end - self.room
        found = self.words[start : self.room].tolist()
        found += self.words[0 : rest if rest < head else head].tolist()
        return found

    def before(self, slot: int) -> int:
        """The code of the event before a slot, or -1."""
        if (self.head - 1 - slot) % self.room + 1 >= self.filled:
            return -1
        return int(self.words[slot - 1]) >> LINK_BITS  # -1 is the last position, as it should

    @property
    def last(self) -> int:
        """The code of the newest event, or -1."""
        return int(self.words[self.head - 1]) >> LINK_BITS if self.filled else -1

    def append(self, code: int, demand: bool) -> int:
        """Write an event; the code it overwrote, or -1. `demand`: the key shall be indexed."""
        words, index, head, room = self.words, self.index, self.head, self.room
        at = code % self.buckets * WAYS
        found = -1
        victim, farthest, away = at, -1, 0
        for place, entry in enumerate(index[at : at + WAYS].tolist(), at):
            if not entry:
                if farthest < room:
                    victim, farthest = place, room
                continue
            distance = head - entry + 1
            if distance <= 0:
                distance += room
            if words[entry - 1] >> LINK_BITS == code and distance <= self.filled:
                found, away = place, distance
                break
            if distance > farthest:
                victim, farthest = place, distance
        if found < 0 and self._old is not None:
            old, slot = self._place_in_old(code)
            if old >= 0:
                self._old[old] = 0
                found, away = victim, (head - slot) % room or room
        link = self.link_to(away) if away else 0
        if self.filled == self.slots:
            gone = int(words[(head - self.filled) % room]) >> LINK_BITS
        else:
            gone = -1
            self.filled += 1
        words[head] = code << LINK_BITS | link
        if found >= 0:
            index[found] = head + 1
        elif demand:
            index[victim] = head + 1
        head += 1
        self.head = head if head < room else 0
        if not head % _EVERY:
            if self._old is not None:
                self._move(_PIECE)
            if not head % _BLOCK:
                self._give_back(1)
        return gone

    @staticmethod
    def link_to(away: int) -> int:
        """The link to a slot so many events ago; 0 where none reaches."""
        if away < _EXACT:
            return away
        return _EXACT + (away - _EXACT) // STEP if away <= REACH else 0

    def pauses_within(self, count: int) -> bool:
        """Whether the next so many events bring it to the end of its circle, or of a block."""
        end = self.head + count
        return end >= self.room or self.head // _BLOCK != end // _BLOCK

    def ordered(self) -> _Words:
        """A copy of the words, oldest first."""
        return self._oldest(self.filled)

    def _oldest(self, count: int) -> _Words:
        words = np.frombuffer(self.words, dtype=np.uint64)
        start = (self.head - self.filled) % max(self.room, 1)
        beyond = start + count - self.room
        if beyond <= 0:
            return words[start : start + count].copy()
        return np.concatenate((words[start:], words[:beyond]))

    # ------------------------------------------------------------------ another size

    def set_slots(self, slots: int) -> _Words:
        """Another capacity, from 1 to `room`; the codes that were dropped, oldest first."""
        lost: _Words = np.zeros(0, dtype=np.uint64)
        if self.filled > slots:
            lost = self._oldest(self.filled - slots) >> np.uint64(LINK_BITS)
            self.filled = slots
            self._give_back(len(lost) // _BLOCK + 1)
        self.slots = slots
        wanted = buckets_for(slots)
        if self._old is None and (wanted > self.buckets or 2 * wanted < self.buckets):
            self._old, self._old_buckets, self._moved = self.index, self.buckets, 0
            self.buckets = wanted
            self.index = _map(4 * WAYS * wanted)[1].cast("I")
            if self._old_buckets <= 4 * _PIECE:
                self._move(self._old_buckets)
        return lost

    @property
    def moving(self) -> bool:
        """Whether an index is being replaced, piece by piece, and both take memory."""
        return self._old is not None

    def finish(self) -> None:
        """Replace the index now."""
        if self._old is not None:
            self._move(self._old_buckets - self._moved)

    def _move(self, count: int) -> None:
        """Bring some buckets of the old index into the new one."""
        assert self._old is not None
        first = WAYS * self._moved
        entries = np.frombuffer(self._old, dtype=np.uint32)[first : first + WAYS * count]
        places = np.flatnonzero(entries)
        at = entries[places].astype(np.int64) - 1
        homes = self._moved + places // WAYS
        self._moved += count
        if self._moved >= self._old_buckets:
            self._old = None
        self._insert(at[self._current(at, homes, self._old_buckets)])

    def _current(
        self, at: NDArray[np.int64], homes: NDArray[np.int64], buckets: int
    ) -> NDArray[np.bool_]:
        """Which positions that buckets name are events still held, and of keys of that bucket."""
        words = np.frombuffer(self.words, dtype=np.uint64)
        codes = words[at] >> np.uint64(LINK_BITS)
        held: NDArray[np.bool_] = (self.head - 1 - at) % self.room < self.filled
        here: NDArray[np.bool_] = codes % np.uint64(buckets) == homes.astype(np.uint64)
        return held & here

    def _insert(self, at: NDArray[np.int64]) -> None:
        """Index positions whose keys are not indexed yet, the newest first where few fit."""
        words = np.frombuffer(self.words, dtype=np.uint64)
        at = at[np.argsort((at - self.head) % self.room)]  # the oldest first
        codes = words[at] >> np.uint64(LINK_BITS)
        buckets = (codes % np.uint64(self.buckets)).astype(np.int64)
        index = np.frombuffer(self.index, dtype=np.uint32).reshape(-1, WAYS)
        rows = index[buckets].astype(np.int64)
        known = (words[rows - 1] >> np.uint64(LINK_BITS) == codes[:, None]) & (rows > 0)
        fresh = ~known.any(axis=1)
        at, buckets = at[fresh], buckets[fresh]
        for way in range(WAYS):
            free = index[buckets, way] == 0
            index[buckets[free], way] = at[free] + 1  # of several, the last one stays
            left = index[buckets, way] != at + 1
            at, buckets = at[left], buckets[left]

    def _give_back(self, blocks: int) -> None:
        """Free the pages of some blocks behind the oldest event, where the circle is larger."""
        if self.room < self.slots + 4 * _BLOCK or self._map is None:
            return
        last = (self.head - self.filled) % self.room // _BLOCK
        whole = self.room // _BLOCK
        for block in range(last - 1, last - 1 - min(blocks, whole - 2), -1):
            self._map.madvise(mmap.MADV_DONTNEED, block % whole * 8 * _BLOCK, 8 * _BLOCK)

    def resized(self, slots: int, room: int = 0) -> tuple[Ring, _Words]:
        """A new ring of another capacity with the newest events, and the codes that were dropped.

        Vectorised; some 0.1 µs a slot.
        """
        made = Ring(slots, room=room)
        words = self.ordered()
        keep = min(slots, len(words))
        lost: _Words = words[: len(words) - keep] >> np.uint64(LINK_BITS)
        if not keep:
            return made, lost
        np.frombuffer(made.words, dtype=np.uint64)[:keep] = words[len(words) - keep :]
        made.filled = keep
        made.head = keep % made.room
        places, orders = self._indexed()
        del places
        orders = orders - (self.filled - keep)
        made._insert(orders[orders >= 0])
        return made, lost

    def _indexed(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places of the index that name an event, and which one, counted from the oldest."""
        while self._old is not None or self.buckets < buckets_for(self.slots):
            if self._old is None:
                self.set_slots(self.slots)  # it grew again while its index was replaced
            else:
                self._move(self._old_buckets)
        entries = np.frombuffer(self.index, dtype=np.uint32).astype(np.int64)
        places = np.flatnonzero(entries)
        at = entries[places] - 1
        current = self._current(at, places // WAYS, self.buckets)
        places, at = places[current], at[current]
        return places, self.filled - 1 - (self.head - 1 - at) % self.room

    # ------------------------------------------------------------------ state

    def dump(self) -> tuple[int, int, int, bytes, bytes]:
        """Capacity, head, slots in use, words oldest first, and index, for `load`."""
        places, orders = self._indexed() if self.filled else (np.zeros(0, dtype=np.int64),) * 2
        index = np.zeros(len(self.index), dtype=np.uint32)
        index[places] = orders + 1
        head = self.filled % self.slots if self.slots else 0
        return self.slots, head, self.filled, self.ordered().tobytes(), index.tobytes()

    @classmethod
    def load(
        cls, slots: int, head: int, filled: int, words: bytes, index: bytes, *, room: int = 0
    ) -> Ring:
        """The ring that `dump` described. Raises ValueError when it cannot be one."""
        if slots < 0 or not 0 <= filled <= slots or len(words) != 8 * filled:
            raise ValueError("a ring of the wrong length")
        if head != (filled % slots if slots else 0):
            raise ValueError("a ring whose head is outside")
        buckets = len(index) // (4 * WAYS)
        if len(index) % (4 * WAYS) or (slots and buckets < buckets_for(slots)):
            raise ValueError("an index of the wrong length")
        made = cls(slots, buckets, room=room)
        if np.frombuffer(index, dtype=np.uint32).max(initial=0) > filled:
            raise ValueError("an index that points outside of the ring")
        made.filled = filled
        made.head = filled % made.room if made.room else 0
        made.words[:filled] = memoryview(words).cast("Q")
        made.index[:] = memoryview(index).cast("I")
        return made

    def check(self) -> None:
        """Recount; raises AssertionError when the books are wrong."""
        assert 0 <= self.filled <= self.slots <= self.room
        assert 0 <= self.head < max(self.room, 1)
        for place, entry in enumerate(self.index):
            assert entry <= self.room, f"index entry {place} points outside"


def _map(size: int) -> tuple[mmap.mmap | None, memoryview]:
    """Zeroed memory that occupies nothing until it is written, and its bytes."""
    if not size:
        return None, memoryview(bytearray())
    # without MAP_NORESERVE the kernel would count what may never be touched
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    made = mmap.mmap(-1, size, flags=flags)
    return made, memoryview(made)
