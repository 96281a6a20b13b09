"""What an entry costs in memory: the estimate behind `maxmemory`.

Numbers are CPython's own (`sys.getsizeof`, pymalloc's 16-byte classes) for the
objects that make up an entry, plus its share of the dictionary that holds it.
`tests/server/store/test_memory.py` holds the estimate against the RSS of a real
process. It measures nothing at run time but the tables of sets: an estimate must cost
nanoseconds, because every write pays for it.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any

BYTES = 33  # sys.getsizeof(b"")
ENTRY = 112  # Entry: ten slots, object header and the garbage collector's header
# A dict slot is 24 bytes plus 4-8 of index at a load between 1/3 and 2/3: 65 in
# the mean over a doubling, for the shard's dictionary.
SLOT = 65
OVERHEAD = ENTRY + SLOT
DICT = 140  # an empty dict that is about to hold fields
FIELD = 2 * BYTES + 16 + 30  # two strings, rounding of both, their share of the table
LIST = 64  # an empty list, and some room for more
DEQUE = 500  # a deque without what it holds: an end of its first and last block is empty
DEADLINE = 80  # the number, and a slot in the expiry index
FIELD_DEADLINE = 170  # of one field: the number, a slot of a table, an item of a heap

# Sizes are shared objects below this bound: an int of its own per entry would
# cost 32 bytes for a number that is a multiple of 16 anyway.
_SHARED = tuple(range(0, 65_536 + 16, 16))


_BARE = SLOT + 2 * BYTES + 16
_STRING = OVERHEAD + 2 * BYTES + 16 + 15  # the last for rounding up


def rounded(size: int) -> int:
    """`size` rounded up to pymalloc's classes, as a shared int where it is small."""
    return _SHARED[(size + 15) >> 4] if size <= 65_536 else (size + 15) & ~15


def of_string(key: bytes, value: bytes) -> int:
    """Bytes charged for a string entry."""
    total = _STRING + len(key) + len(value)
    return _SHARED[total >> 4] if total < 65_536 else total & ~15


def of_bare(key: bytes, value: bytes) -> int:
    """Bytes charged for a string that is kept without an entry."""
    return _BARE + len(key) + len(value)


def of_field(name: bytes, value: bytes) -> int:
    """Bytes one field adds to a hash."""
    return FIELD + len(name) + len(value)


def of_member(member: bytes) -> int:
    """Bytes one member adds to a set, its place in the table aside."""
    return (BYTES + 15 + len(member)) & ~15


def of_table(members: Collection[bytes]) -> int:
    """Bytes of a set without its members; O(1).

    Python knows it, and a set's table is two to seven times as large as what it holds, so no
    figure a member would do.
    """
    return sys.getsizeof(members)


def of_items(items: Sequence[bytes]) -> int:
    """Bytes these items add to a list; one is the common case."""
    return of_item(items[0]) if len(items) == 1 else sum(map(of_item, items))


def of_frame(value: Any) -> int:
    """Bytes of a list without its items."""
    return LIST if type(value) is list else DEQUE


def of_item(item: bytes) -> int:
    """Bytes one item adds to a list, its pointer included."""
    return 8 + ((BYTES + 15 + len(item)) & ~15)


def of_value(value: Any) -> int:
    """Estimated bytes of a value, whatever its type; O(n) in its elements."""
    if isinstance(value, bytes):
        return BYTES + len(value)
    if isinstance(value, dict):
        extra: int = getattr(value, "extra_bytes", 0)  # of a server/hash.py
        return DICT + extra + sum(of_field(k, v) for k, v in value.items())
    if isinstance(value, set | frozenset):
        return of_table(value) + sum(map(of_member, value))
    if isinstance(value, list | deque):
        return of_frame(value) + sum(map(of_item, value))
    return int(value.nbytes)


def of_entry(key: bytes, value: Any) -> int:
    """Bytes charged for an entry of any type."""
    return rounded(OVERHEAD + BYTES + 8 + len(key) + of_value(value))
