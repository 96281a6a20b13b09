"""A map in the order of its keys, for keys that mostly come in order: ids of a stream.

A dictionary finds a value by its id; a sorted list of ids beside it finds a range by
bisection. An id that is larger than all others, as nearly every one is, is appended.
What is removed at either end leaves the list at once or moves its beginning; what is
removed within stays in the list as a dead id, until more ids are dead than alive.
So every operation takes O(log n), or O(1) at the ends, in the mean over many.

What this file does not do: know what an id means (`stream.py`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Generic, TypeVar

Value = TypeVar("Value")

SPARE = 64  # dead ids that are always put up with


class IdMap(Generic[Value]):
    """Values by id. Do not change it while an iterator of `forward` or `backward` is in use."""

    __slots__ = ("_head", "_ids", "_values")

    def __init__(self) -> None:
        self._values: dict[int, Value] = {}
        self._ids: list[int] = []  # sorted from _head on, dead ones among them
        self._head = 0  # neither this id nor the last one is dead

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: int) -> bool:
        return key in self._values

    def get(self, key: int) -> Value | None:
        """The value, or None."""
        return self._values.get(key)

    def put(self, key: int, value: Value) -> None:
        """Add or replace a value."""
        values, ids = self._values, self._ids
        if key not in values:
            if not ids or key > ids[-1]:
                ids.append(key)
            else:
                at = bisect_left(ids, key, self._head)
                if at == self._head and at and ids[at] != key:
                    self._head -= 1
                    ids[at - 1] = key
                elif ids[at] != key:
                    insort(ids, key, at)
        values[key] = value

    def pop(self, key: int) -> Value | None:
        """Remove and return a value; None when there is none."""
        value = self._values.pop(key, None)
        if value is None:
            return None
        values, ids, head = self._values, self._ids, self._head
        if not values:
            ids.clear()
            self._head = 0
        elif ids[-1] == key:
            while ids[-1] not in values:
                ids.pop()
        elif ids[head] == key:
            while ids[head] not in values:
                head += 1
            self._head = head
        self._compact()
        return value

    def shift(self, count: int, below: int) -> list[Value]:
        """Remove and return the values of the `count` smallest ids, if they are below `below`."""
        values, ids, at = self._values, self._ids, self._head
        removed: list[Value] = []
        while len(removed) < count and values and ids[at] < below:
            value = values.pop(ids[at], None)
            if value is not None:
                removed.append(value)
            at += 1
        if values:
            while ids[at] not in values:
                at += 1
            self._head = at
            self._compact()
        else:
            ids.clear()
            self._head = 0
        return removed

    def _compact(self) -> None:
        """Drop the dead ids once there are too many."""
        values, ids = self._values, self._ids
        if len(ids) > 2 * len(values) + SPARE:
            self._ids = [one for one in ids[self._head :] if one in values]
            self._head = 0

    @property
    def first(self) -> int:
        """The smallest id, 0 when there is none."""
        return self._ids[self._head] if self._ids else 0

    @property
    def last(self) -> int:
        """The largest id, 0 when there is none."""
        return self._ids[-1] if self._ids else 0

    def forward(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, Value]]:
        """Ids from `first` to `last` (both included) with their values."""
        values, ids = self._values, self._ids
        for at in range(bisect_left(ids, first, self._head), len(ids)):
            key = ids[at]
            if last is not None and key > last:
                return
            if key in values:
                yield key, values[key]

    def backward(self, first: int, last: int) -> Iterator[tuple[int, Value]]:
        """As `forward`, the largest id first."""
        values, ids = self._values, self._ids
        for at in range(bisect_right(ids, last, self._head) - 1, self._head - 1, -1):
            key = ids[at]
            if key < first:
                return
            if key in values:
                yield key, values[key]

    def copy(self) -> IdMap[Value]:
        """Another map with the same values."""
        other: IdMap[Value] = IdMap()
        other._values = self._values.copy()
        other._ids = self._ids[self._head :]
        return other

    def check(self) -> None:
        """Recount; raises AssertionError when list and dictionary disagree."""
        live = self._ids[self._head :]
        assert live == sorted(set(live)), "ids are out of order"
        assert set(self._values) <= set(live), "an id is in no order"
        assert not live or {live[0], live[-1]} <= set(self._values), "an end is dead"
        assert len(self._ids) <= 2 * len(self._values) + SPARE + 1, "too many dead ids"
