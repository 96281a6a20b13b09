"""Belady's optimum: how many misses a cache without prediction cannot avoid.

It knows the future: the victim is the key whose next use is farthest away, and a
newcomer that would be that victim is not stored at all. With entries of one size
no policy that loads on demand misses less (Belady, IBM Systems Journal 5(2),
1966; Mattson et al., ibid. 9(2), 1970).

With entries of different sizes the optimum is intractable, and what stands here
is an approximation, no bound: the victim is, of `SAMPLE` resident keys drawn at
random, the one with the largest product of size and time to the next use. A
cache that prefetches may do better than either: it avoids first misses.

Next uses are found for all accesses at once, by one stable sort.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SAMPLE = 128
NEVER = 1 << 50  # a use that outweighs every size


class Optimum(NamedTuple):
    """Misses, and the sum of their costs."""

    misses: int
    cost: int


def next_uses(ids: Sequence[int]) -> NDArray[np.int64]:
    """For each access, the position of the next one of the same key; at the last, len + its own.

    So all are different, and those that never come are farther than all that do.
    """
    keys = np.asarray(ids)
    following = np.arange(len(keys), 2 * len(keys), dtype=np.int64)
    order = np.argsort(keys, kind="stable")
    again = keys[order[1:]] == keys[order[:-1]]
    following[order[:-1][again]] = order[1:][again]
    return following


def optimum(ids: Sequence[int], costs: Sequence[int], capacity: int, *, seed: int = 0) -> Optimum:
    """Misses of a cache that holds at most `capacity`, given what each access's key costs."""
    following = array("q")
    following.frombytes(next_uses(ids).tobytes())
    if len(ids) and min(costs) == max(costs):
        cost = costs[0]
        misses = _equal(ids, following, capacity // cost if cost else len(ids))
        return Optimum(misses, misses * cost)
    return _different(ids, costs, following, capacity, random.Random(seed).random)


def _equal(ids: Sequence[int], following: Sequence[int], places: int) -> int:
    """Misses where `places` keys may be resident.

    The heap holds the next uses of the residents, negated. A use that has come is no longer
    ahead, hence smaller than every valid one: it never reaches the top, and needs no removal.
    """
    accesses = len(ids)
    resident = bytearray(max(ids) + 1)
    heap: list[int] = []
    held = misses = 0
    for now, key in enumerate(ids):
        upcoming = following[now]
        if resident[key]:
            heappush(heap, -upcoming)
            continue
        misses += 1
        if held < places:
            held += 1
        elif not places or -heap[0] < upcoming:
            continue
        else:
            farthest = -heappop(heap)
            resident[ids[farthest if farthest < accesses else farthest - accesses]] = 0
        resident[key] = 1
        heappush(heap, -upcoming)
        if len(heap) > 4 * held + 1000:
            heap = [use for use in heap if -use > now]
            heapify(heap)
    return misses


def _different(
    ids: Sequence[int],
    costs: Sequence[int],
    following: Sequence[int],
    capacity: int,
    draw: Callable[[], float],
) -> Optimum:
    """As `_equal`, for entries of different sizes."""
    size: dict[int, int] = {}  # of the residents
    upcoming: dict[int, int] = {}
    residents: list[int] = []
    used = misses = cost = 0
    for now, (key, after) in enumerate(zip(ids, following, strict=True)):
        if after >= len(ids):
            after = NEVER
        if key in size:
            upcoming[key] = after
            continue
        wanted = costs[now]
        misses += 1
        cost += wanted
        if wanted > capacity:
            continue
        size[key], upcoming[key] = wanted, after
        residents.append(key)
        used += wanted
        while used > capacity:
            held = len(residents)
            drawn = list(range(held))
            if held > SAMPLE:
                drawn = [int(draw() * held) for _ in range(SAMPLE)]
                drawn[0] = held - 1  # the newcomer takes part
            worst = max(drawn, key=lambda at: size[residents[at]] * (upcoming[residents[at]] - now))
            victim = residents[worst]
            residents[worst] = residents[-1]
            residents.pop()
            used -= size.pop(victim)
    return Optimum(misses, cost)
