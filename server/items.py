"""The value of a list: a Python list while it is short, a deque once it is long.

A deque does at both ends in constant time what lists are used for, and its middle is reached
in blocks of 64 from the nearer end; but an empty one takes 760 bytes. A Python list takes
56, and moving up to `FEW` pointers for a push on the left costs less than the call. So a
list begins as the one and becomes the other, for good. All of it is C's.

Functions that may make another object of a value return the one to keep.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import compress, islice, repeat, takewhile
from operator import eq, ne

Items = list[bytes] | deque[bytes]

FEW = 128  # items of the longest Python list
SINGLY = 16  # items that are looked for and taken out one by one
PASSED = 500  # items of a deque that are passed one by one; beyond, it is quicker to turn it


def new(items: Iterable[bytes]) -> Items:
    """The value of a list of these items."""
    return grown(list(items))


def grown(value: Items) -> Items:
    """A value that items were added to."""
    return deque(value) if type(value) is list and len(value) > FEW else value


def push(value: Items, items: list[bytes], *, left: bool) -> Items:
    """Add items one after the other at one end."""
    if type(value) is deque:
        if left:
            value.extendleft(items)
        else:
            value.extend(items)
        return value
    assert isinstance(value, list)
    if left:
        value[:0] = items[::-1]
    else:
        value.extend(items)
    return grown(value)


def pop(value: Items, count: int, *, left: bool) -> list[bytes]:
    """Take up to `count` items from one end, the end's own first."""
    if count == 1 and value:
        if not left:
            return [value.pop()]
        return [value.pop(0) if type(value) is list else value.popleft()]  # type: ignore[union-attr]
    if count >= len(value):
        items = list(value)
        value.clear()
        return items if left else items[::-1]
    if type(value) is list:
        items = value[:count] if left else value[: -count - 1 : -1]
        del value[slice(0, count) if left else slice(len(value) - count, None)]
        return items
    take = value.popleft if left else value.pop  # type: ignore[union-attr]
    return [take() for _ in range(count)]


def between(value: Items, start: int, stop: int) -> list[bytes]:
    """The items of a half-open range within the list."""
    if type(value) is list:
        return value[start:stop]
    assert isinstance(value, deque)
    length = len(value)
    if start >= stop:
        return []
    if start <= PASSED:
        return list(islice(value, start, stop))
    after = length - stop
    if after <= PASSED:
        found = list(islice(reversed(value), after, length - start))
        found.reverse()
        return found
    # Far from both ends: turning the deque moves pointers by the block.
    turn = -start if start <= length // 2 else length - start
    value.rotate(turn)
    try:
        return list(islice(value, stop - start))
    finally:
        value.rotate(-turn)


def cut(value: Items, start: int, stop: int) -> list[bytes]:
    """Keep a half-open range within the list, and nothing of an empty one; what is gone."""
    gone = pop(value, len(value) - max(stop, start), left=False)
    return gone + pop(value, start if stop > start else len(value), left=True)


def without(value: Items, item: bytes, count: int) -> tuple[Items, int]:
    """What is left without the first `count` of an item, from the end if negative, or all with 0.

    The second is how many there were to take.
    """
    if count < 0:
        value.reverse()
    if count and abs(count) <= SINGLY:
        gone = 0
        with suppress(ValueError):
            while gone < abs(count):
                value.remove(item)
                gone += 1
    else:
        gone = there = value.count(item)
        if count and abs(count) < there:
            gone = abs(count)
            value = type(value)(_less(value, item, gone))
        elif there:
            value = type(value)(compress(value, map(ne, value, repeat(item))))
    if count < 0:
        value.reverse()
    return value, gone


def _less(value: Items, item: bytes, times: int) -> Iterator[bytes]:
    rest = iter(value)
    for _ in range(times):
        yield from takewhile(item.__ne__, rest)
    yield from rest


def positions(value: Items, item: bytes, rank: int, most: int) -> Iterator[int]:
    """Where the item stands, from the `rank`-th time on, among the first `most` items (0: all).

    A negative rank looks from the end. The list must not change meanwhile.
    """
    looked: Iterable[bytes] = value if rank > 0 else reversed(value)
    if most:
        looked = islice(looked, most)
    last = len(value) - 1
    for at in islice(
        compress(range(len(value)), map(eq, looked, repeat(item))), abs(rank) - 1, None
    ):
        yield at if rank > 0 else last - at


def position(value: Items, item: bytes, *, backwards: bool) -> int | None:
    """Where the item stands first, or last; four times as quick as `positions`."""
    if backwards:
        value.reverse()
    try:
        at = value.index(item)
    except ValueError:
        return None
    finally:
        if backwards:
            value.reverse()
    return len(value) - 1 - at if backwards else at
