"""The value of a sorted set: members with scores, in the order of (score, member).

A small set is two parallel columns in that order, the members and an array of their
scores: 8 bytes a score, and a member is found by a look at all of them, which are
128 at most. A larger one, as of which Redis has a skip list, is two structures
that share their objects: a dictionary from member to score, and the sorted pairs,
as a plain list while an insertion is one short `memmove`, then as a
`sortedcontainers.SortedList`, where insertion, removal and rank are O(log n).
Members of one score stand in the order of their bytes, as in Redis.

`nbytes` is kept with every change. The set knows nothing of keys and replies, and
does not parse ranges: it is asked for places (`first_at`, `first_above`) and slices.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sortedcontainers import SortedList

from antecache.server.hash import ScanOrder

Pair = tuple[float, bytes]

FEW = 1024  # pairs above which the list is a SortedList
LISTPACK_ENTRIES = 128  # zset-max-listpack-entries
LISTPACK_VALUE = 64  # zset-max-listpack-value

# Bytes of a small set: the object and two columns; and of a member: its string (33 and
# rounding), its score, and the room that both columns have left.
SMALL = 300
SMALL_MEMBER = 33 + 8 + 8 + 8 + 4
# Of a larger set, and of a member in it: its string, a float of 32, a pair of 80 with the
# collector's header, its share of the dictionary (36, between two and twenty thousand) and
# of the list.
LARGE = 400
LARGE_MEMBER = 33 + 8 + 32 + 80 + 36 + 9


# What a set does not use in its form; shared by all of them, and never changed.
_NO_MEMBERS: list[bytes] = []
_NO_VALUES: array[float] = array("d")
_NO_SCORES: dict[bytes, float] = {}


class SortedSet:
    """Members and their scores.

    nbytes   estimated bytes of everything
    compact  whether it is small, as Redis sees it (a listpack): like there, it never is
             again once it was not, and like there, -0 is 0 in one
    """

    __slots__ = (
        "_each",
        "_members",
        "_order",
        "_pairs",
        "_scores",
        "_values",
        "compact",
        "nbytes",
    )
    redis_type = "zset"

    def __init__(self, scores: dict[bytes, float] | None = None) -> None:
        """The members of `scores`, which must not hold NaN and now belongs to the set."""
        self._members: list[bytes] = []
        self._values: array[float] = array("d")
        self._scores: dict[bytes, float] = _NO_SCORES
        self._pairs: Any = None
        self._order: ScanOrder | None = None
        self._each = SMALL_MEMBER
        self.nbytes = SMALL
        self.compact = True
        if scores:
            self._take(scores)

    def _take(self, scores: dict[bytes, float]) -> None:
        if len(scores) > LISTPACK_ENTRIES or any(len(name) > LISTPACK_VALUE for name in scores):
            self._enlarge(scores)
            return
        pairs = sorted((score + 0.0, member) for member, score in scores.items())
        members = [member for _, member in pairs]
        self._members = members
        self._values = array("d", [score for score, _ in pairs])
        self.nbytes += sum(map(len, members)) + SMALL_MEMBER * len(members)

    def _enlarge(self, scores: dict[bytes, float]) -> None:
        """The other form, with these members."""
        self.compact = False
        self._members, self._values = _NO_MEMBERS, _NO_VALUES
        self._scores = scores
        pairs = sorted((score, member) for member, score in scores.items())
        self._pairs = SortedList(pairs) if len(pairs) > FEW else pairs
        self._each = LARGE_MEMBER
        self.nbytes = LARGE + sum(map(len, scores)) + LARGE_MEMBER * len(scores)

    def __len__(self) -> int:
        return len(self._members) if self.compact else len(self._scores)

    def __iter__(self) -> Iterator[Pair]:
        """(score, member) in their order."""
        if self.compact:
            members, scores = self._members, self._values
            yield from zip(scores, members, strict=True)
        else:
            yield from self._pairs

    def __repr__(self) -> str:
        return f"SortedSet({list(self)})"

    @property
    def encoding(self) -> str:
        """As OBJECT ENCODING names it."""
        return "listpack" if self.compact else "skiplist"

    @property
    def scores(self) -> dict[bytes, float]:
        """All members with their scores, in no order; not to be changed."""
        return {member: score for score, member in self} if self.compact else self._scores

    def score(self, member: bytes) -> float | None:
        """The score of a member, None when it is not there."""
        if not self.compact:
            return self._scores.get(member)
        members, scores = self._members, self._values
        return scores[members.index(member)] if member in members else None

    def copy(self) -> SortedSet:
        """A set that shares nothing that may change."""
        twin = SortedSet()
        if self.compact:
            members, scores = self._members, self._values
            twin._members, twin._values = members.copy(), scores[:]
        else:
            twin._members, twin._values = _NO_MEMBERS, _NO_VALUES
            twin._scores = self._scores.copy()
            twin._pairs = self._pairs.copy()
        twin._each = self._each
        twin.nbytes = self.nbytes
        twin.compact = self.compact
        return twin

    # -- changes ------------------------------------------------------------

    def add(self, member: bytes, score: float) -> bool | None:
        """Give `member` this score (not NaN): true when it is new, None when it had it."""
        if self.compact:
            members = self._members
            there = member in members
            if len(member) <= LISTPACK_VALUE and (there or len(members) < LISTPACK_ENTRIES):
                return self._add_small(member, score + 0.0, there)
            self._enlarge(dict(zip(members, self._values, strict=True)))
        scores = self._scores
        old = scores.get(member)
        if old == score:
            return None
        scores[member] = score
        if old is None:
            self.nbytes += LARGE_MEMBER + len(member)
        else:
            self._drop((old, member))
        self._insert((score, member))
        return old is None

    def _add_small(self, member: bytes, score: float, there: bool) -> bool | None:
        members, scores = self._members, self._values
        if there:
            at = members.index(member)
            if scores[at] == score:
                return None
            del members[at], scores[at]
        else:
            self.nbytes += SMALL_MEMBER + len(member)
        at = bisect_right(scores, score)
        if at and scores[at - 1] == score:
            at = bisect_left(members, member, bisect_left(scores, score, 0, at), at)
        members.insert(at, member)
        scores.insert(at, score)
        return not there

    def discard(self, member: bytes) -> bool:
        """Remove `member`; whether it was there."""
        if self.compact:
            members, scores = self._members, self._values
            if member not in members:
                return False
            at = members.index(member)
            del members[at], scores[at]
        else:
            score = self._scores.pop(member, None)
            if score is None:
                return False
            self._drop((score, member))
        self.nbytes -= self._each + len(member)
        return True

    def remove_slice(self, start: int, stop: int) -> list[Pair]:
        """Remove the pairs from place `start` up to `stop`, and return them."""
        gone = self.slice(start, stop)
        if self.compact:
            members, scores = self._members, self._values
            del members[start:stop], scores[start:stop]
        else:
            del self._pairs[start:stop]
            for _, member in gone:
                del self._scores[member]
        self.nbytes -= sum(len(member) for _, member in gone) + self._each * len(gone)
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
        if self.compact:
            members = self._members
            return members.index(member) if member in members else None
        score = self._scores.get(member)
        return None if score is None else self._place((score, member))

    def first_at(self, score: float) -> int:
        """The place of the first pair whose score is `score` or more."""
        if self.compact:
            return bisect_left(self._values, score)
        return self._place((score,))

    def first_above(self, score: float) -> int:
        """The place of the first pair whose score is more than `score`."""
        if self.compact:
            return bisect_right(self._values, score)
        if score == math.inf:
            return len(self._scores)
        return self._place((math.nextafter(score, math.inf),))

    def first_member(self, holds: Callable[[bytes], bool]) -> int:
        """The place of the first member for which `holds` is true.

        By bisection: the members are expected to stand in the order of their bytes (one score
        for all) and `holds` to be false up to some member and true from it on.
        """
        if self.compact:
            return bisect_left(self._members, True, key=holds)
        return bisect_left(self._pairs, True, key=lambda pair: holds(pair[1]))

    def slice(self, start: int, stop: int) -> list[Pair]:
        """The pairs from place `start` up to `stop`; neither is negative."""
        if self.compact:
            members, scores = self._members, self._values
            return list(zip(scores[start:stop], members[start:stop], strict=True))
        return list(self._pairs[start:stop])

    def at(self, place: int) -> Pair:
        """The pair at a place."""
        if self.compact:
            members, scores = self._members, self._values
            return scores[place], members[place]
        found: Pair = self._pairs[place]
        return found

    # -- scans --------------------------------------------------------------

    def scan(self, position: int, count: int) -> tuple[int, list[bytes]]:
        """One step of ZSCAN: the next position, 0 at the end, and at least `count` members.

        A small set is returned at once, in its order, as Redis does with a listpack.
        """
        if self.compact:
            return 0, self._members.copy()
        order = self._order
        if order is None or position == 0:
            order = self._order = ScanOrder(self._scores)
        following, members = order.step(position, count)
        if not following:
            self._order = None
        return following, [member for member in members if member in self._scores]

    def check(self) -> None:
        """Recount everything; raises AssertionError when the books are wrong."""
        pairs = list(self)
        scores = self.scores
        assert pairs == sorted((score, member) for member, score in scores.items())
        base = SMALL if self.compact else LARGE
        assert self.nbytes == base + sum(map(len, scores)) + self._each * len(scores)


def of_pairs(pairs: Iterable[Pair]) -> SortedSet:
    """A set of (score, member) pairs."""
    return SortedSet({member: score for score, member in pairs})
