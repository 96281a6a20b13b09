"""Many events written into a ring at once: a third of what they cost one by one.

Where nobody looks at what follows a miss, nobody minds that the log is told of it a
little late, with the next few dozen. Then numpy compares all their buckets of the
index in one go, where Python looks at sixteen entries an event.

The ring is the same afterwards as if `Ring.append` had been told of each, except that
a key whose entry made room for another one of the same batch is still linked to.

What this file does not do: batches that are too short to gain, that come to the end
of the circle or hold a key twice, and rings whose index is being replaced; their
events are appended one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from antecache.predictor.ring import LINK_BITS, WAYS, Ring

#: events from which a batch gains
_WORTHWHILE: Final = 12
#: events of a batch, and no more than the ring has slots
_LONGEST: Final = 256
_NEVER: Final = 1 << 40  # farther than any slot
_SHIFT: Final = np.uint64(LINK_BITS)


def append_all(ring: Ring, codes: Sequence[int]) -> list[int]:
    """Append demand misses in order; the codes that were overwritten, oldest first."""
    gone: list[int] = []
    first = 0
    while first < len(codes):
        last = _different(codes, first, min(_LONGEST, max(ring.slots, 1)))
        part = codes[first:last]
        first = last
        if len(part) < _WORTHWHILE or ring.moving or ring.pauses_within(len(part)):
            gone += [old for code in part if (old := ring.append(code, True)) >= 0]
        else:
            gone += _append(ring, part)
    return gone


def _different(codes: Sequence[int], first: int, most: int) -> int:
    """Where a code comes again, or there are as many as may be."""
    seen: set[int] = set()
    last = min(len(codes), first + most)
    for place in range(first, last):
        code = codes[place]
        if code in seen:
            return place
        seen.add(code)
    return last


def _append(ring: Ring, codes: Sequence[int]) -> list[int]:
    head, room, filled, slots = ring.head, ring.room, ring.filled, ring.slots
    count = len(codes)
    words = np.frombuffer(ring.words, dtype=np.uint64)
    index = np.frombuffer(ring.index, dtype=np.uint32).reshape(-1, WAYS)
    fresh = np.array(codes, dtype=np.uint64)
    order = np.arange(count)
    homes = (fresh % np.uint64(ring.buckets)).astype(np.int64)
    rows = index[homes].astype(np.int64)  # position + 1; 0 where nothing is
    away = (head + 1 + order)[:, None] - rows
    away += (away <= 0) * room
    places = [-1] * count
    links = np.zeros(count, dtype=np.uint64)
    same = (words[rows - 1] >> _SHIFT == fresh[:, None]) & (rows > 0)
    for event, place in np.argwhere(same).tolist():  # few, where nothing follows anything
        back = int(away[event, place])
        # of what the batch itself overwrites, only that is still there which it has not come to
        if event < back <= min(filled + event, slots) and places[event] < 0:
            places[event] = place
            links[event] = ring.link_to(back)
    first_gone = max(0, slots - filled)
    oldest = (head + order[first_gone:] - slots) % room
    gone: list[int] = (words[oldest] >> _SHIFT).tolist()
    words[head : head + count] = fresh << _SHIFT | links
    away[rows == 0] = _NEVER
    _index(ring, homes.tolist(), places, away.argmax(axis=1).tolist())
    ring.head = head + count
    ring.filled = min(filled + count, slots)
    return gone


def _index(ring: Ring, homes: list[int], places: list[int], farthest: list[int]) -> None:
    """Index the events of a batch, in order, with what was seen of their buckets before it.

    places    where the index had the key, or -1; farthest  else which entry makes room
    """
    head, room, index = ring.head, ring.room, ring.index
    changed: set[int] = set()
    for event, home in enumerate(homes):
        place = places[event]
        if home not in changed:
            changed.add(home)
            if place < 0:
                place = farthest[event]
        elif place < 0 or head < index[home * WAYS + place] <= head + event:
            # the batch itself has changed this bucket: look again
            row = index[home * WAYS : home * WAYS + WAYS].tolist()
            now = head + 1 + event
            away = [(now - entry) % room or room if entry else _NEVER for entry in row]
            place = away.index(max(away))
        index[home * WAYS + place] = head + 1 + event
