"""The value of a sorted set: members with scores, in the order of (score, member).

Two structures share their objects: a dictionary from member to score, and the
sorted pairs. The pairs are a plain list while there are few (an insertion is then
one `memmove`, and a small set has nothing else to carry), and a
`sortedcontainers.SortedList` beyond, where insertion, removal and rank are
O(log n). Members of one score stand in the order of their bytes, as in Redis.

`nbytes` is kept with every change. The set knows nothing of keys and replies, and
does not parse ranges: it is asked for places (`first_at`, `first_above`) and slices.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sortedcontainers import SortedList

from antecache.server.hash import ScanOrder

Pair = tuple[float, bytes]

FEW = 1024  # pairs above which the list is a SortedList
EMPTY = 300  # bytes: the object, an empty dictionary and list that are about to hold members
# A member: its string (33 and rounding), a float of 32, a pair of 80 with the collector's
# header, its share of the dictionary (36, between two and twenty thousand) and of the list.
MEMBER = 33 + 8 + 32 + 80 + 36 + 9

LISTPACK_ENTRIES = 128  # zset-max-listpack-entries
LISTPACK_VALUE = 64  # zset-max-listpack-value


def of_member(member: bytes) -> int:
    """Bytes one member adds to a set."""
    return MEMBER + len(member)


class SortedSet:
    """Members and their scores.

    scores   member -> score, in no order; not to be changed from outside
    nbytes   estimated bytes of everything
    compact  whether Redis would hold it as a listpack; like there, it never is again once it
             was not, and like there, -0 is 0 in one
    """

    __slots__ = ("_order", "_pairs", "compact", "nbytes", "scores")
    redis_type = "zset"

    def __init__(self, scores: dict[bytes, float] | None = None) -> None:
        """Take over `scores`, which must not hold NaN."""
        self._order: ScanOrder | None = None
        self._pairs: Any = []
        self.scores: dict[bytes, float] = {}
        self.nbytes = EMPTY
        self.compact = True
        if scores:
            self._take(scores)

    def _take(self, scores: dict[bytes, float]) -> None:
        self.scores = scores
        self.compact = len(self.scores) <= LISTPACK_ENTRIES and all(
            len(member) <= LISTPACK_VALUE for member in self.scores
        )
        if self.compact:
            for member, score in self.scores.items():
                if not score:
                    self.scores[member] = 0.0
        pairs = sorted((score, member) for member, score in self.scores.items())
        self._pairs = SortedList(pairs) if len(pairs) > FEW else pairs
        self.nbytes = EMPTY + sum(map(of_member, self.scores))

    def __len__(self) -> int:
        return len(self.scores)

    def __contains__(self, member: bytes) -> bool:
        return member in self.scores

    def __iter__(self) -> Iterator[Pair]:
        """(score, member) in their order."""
        yield from self._pairs

    def __repr__(self) -> str:
        return f"SortedSet({list(self._pairs)})"

    @property
    def encoding(self) -> str:
        """As OBJECT ENCODING names it."""
        return "listpack" if self.compact else "skiplist"

    def copy(self) -> SortedSet:
        """A set that shares nothing that may change."""
        twin = SortedSet.__new__(SortedSet)
        twin.scores = self.scores.copy()
        twin._pairs = self._pairs.copy()
        twin._order = None
        twin.nbytes = self.nbytes
        twin.compact = self.compact
        return twin

    # -- changes ------------------------------------------------------------

    def add(self, member: bytes, score: float) -> bool:
        """Give `member` this score (not NaN); whether it is new."""
        scores = self.scores
        old = scores.get(member)
        if self.compact:
            if len(member) > LISTPACK_VALUE or (old is None and len(scores) >= LISTPACK_ENTRIES):
                self.compact = False
            else:
                score += 0.0  # of -0 this makes 0
        if old is not None:
            if old != score:
                self._drop((old, member))
                scores[member] = score
                self._insert((score, member))
            return False
        scores[member] = score
        self._insert((score, member))
        self.nbytes += of_member(member)
        return True

    def discard(self, member: bytes) -> bool:
        """Remove `member`; whether it was there."""
        score = self.scores.pop(member, None)
        if score is None:
            return False
        self._drop((score, member))
        self.nbytes -= of_member(member)
        return True

    def remove_slice(self, start: int, stop: int) -> list[Pair]:
        """Remove the pairs from place `start` up to `stop`, and return them."""
        gone: list[Pair] = list(self._pairs[start:stop])
        del self._pairs[start:stop]
        for _, member in gone:
            del self.scores[member]
            self.nbytes -= of_member(member)
        return gone

    def _insert(self, pair: Pair) -> None:
        pairs = self._pairs
        if type(pairs) is list:
            pairs.insert(bisect_left(pairs, pair), pair)
            if len(pairs) > FEW:
                self._pairs = SortedList(pairs)
        else:
            pairs.add(pair)

    def _drop(self, pair: Pair) -> None:
        pairs = self._pairs
        if type(pairs) is list:
            del pairs[bisect_left(pairs, pair)]
        else:
            pairs.remove(pair)

    # -- places -------------------------------------------------------------

    def _place(self, bound: tuple[Any, ...]) -> int:
        pairs = self._pairs
        if type(pairs) is list:
            return bisect_left(pairs, bound)
        found: int = pairs.bisect_left(bound)
        return found

    def rank(self, member: bytes) -> int | None:
        """The place of `member`, 0 for the lowest; None when it is not there."""
        score = self.scores.get(member)
        return None if score is None else self._place((score, member))

    def first_at(self, score: float) -> int:
        """The place of the first pair whose score is `score` or more."""
        return self._place((score,))

    def first_above(self, score: float) -> int:
        """The place of the first pair whose score is more than `score`."""
        if score == math.inf:
            return len(self.scores)
        return self._place((math.nextafter(score, math.inf),))

    def first_member(self, holds: Callable[[bytes], bool]) -> int:
        """The place of the first member for which `holds` is true.

        By bisection: the members are expected to stand in the order of their bytes (one score
        for all) and `holds` to be false up to some member and true from it on.
        """
        return bisect_left(self._pairs, True, key=lambda pair: holds(pair[1]))

    def slice(self, start: int, stop: int) -> list[Pair]:
        """The pairs from place `start` up to `stop`; neither is negative."""
        return list(self._pairs[start:stop])

    def at(self, place: int) -> Pair:
        """The pair at a place."""
        found: Pair = self._pairs[place]
        return found

    # -- scans --------------------------------------------------------------

    def scan(self, position: int, count: int) -> tuple[int, list[bytes]]:
        """One step of ZSCAN: the next position, 0 at the end, and at least `count` members."""
        order = self._order
        if order is None or position == 0:
            order = self._order = ScanOrder(self.scores)
        following, members = order.step(position, count)
        if not following:
            self._order = None
        return following, [member for member in members if member in self.scores]

    def check(self) -> None:
        """Recount everything; raises AssertionError when the books are wrong."""
        pairs = list(self._pairs)
        assert pairs == sorted((score, member) for member, score in self.scores.items())
        assert self.nbytes == EMPTY + sum(map(of_member, self.scores))


def of_pairs(pairs: Iterable[Pair]) -> SortedSet:
    """A set of (score, member) pairs."""
    return SortedSet({member: score for score, member in pairs})
