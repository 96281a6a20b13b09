"""Lists: what is pushed and popped at their ends, their length, and ranges of them.

What the value is, is `server/items.py`'s business. A list without items does not exist:
whatever takes the last one deletes the key.

What this file does not do: change what is within a list (`lists_changes.py`), search
(`lists_search.py`), move items between lists or wait for them (`lists_moving.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from antecache.server import items as lists
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import in_range, integer
from antecache.server.encode import NULL_ARRAY, NullArray
from antecache.server.errors import (
    NOT_POSITIVE,
    WRONGTYPE,
    ClientError,
    wrong_arity,
)
from antecache.server.items import Items
from antecache.server.store import Entry, events
from antecache.server.store import size as sizes

ONE_KEY = (1, 1, 1)


def list_of(entry: Entry | None) -> Items | None:
    """The list of an entry, None for no entry."""
    if entry is None:
        return None
    value = entry.value
    if type(value) is list or type(value) is deque:
        return value
    raise ClientError(WRONGTYPE)


def push(client: ClientView, key: bytes, entry: Entry | None, items: Argv, *, left: bool) -> int:
    """Add items one after the other at one end of a list just looked up; its new length."""
    if entry is None:
        client.db.put(key, lists.new(items[::-1] if left else items))
        length = len(items)
    else:
        old = entry.value
        value = lists.push(old, items, left=left)
        delta = sizes.of_items(items)
        if value is not old:
            entry.value = value
            delta += sizes.of_frame(value) - sizes.of_frame(old)
        length = len(value)
        client.db.grew(entry, delta)
    if client.db.store.events:
        client.db.event(events.LIST, "lpush" if left else "rpush", key)
    return length


def pop(client: ClientView, entry: Entry, count: int, *, left: bool) -> list[bytes]:
    """Take up to `count` items from one end of a list, the end's own first."""
    items = lists.pop(entry.value, count, left=left)
    if items:
        removed(client, entry, items, "lpop" if left else "rpop")
    return items


def removed(client: ClientView, entry: Entry, items: Sequence[bytes], event: str) -> None:
    """Items are gone from a list, and with the last of them the key."""
    db, key = client.db, entry.key
    if entry.value:
        db.grew(entry, -sizes.of_items(items))
        if db.store.events:
            db.event(events.LIST, event, key)
    else:
        db.delete(key)
        db.event(events.LIST, event, key)
        db.event(events.GENERIC, "del", key)


def _push(client: ClientView, argv: Argv, *, left: bool, create: bool = True) -> int:
    entry = client.db.modify(argv[1])
    if list_of(entry) is None and not create:
        return 0
    return push(client, argv[1], entry, argv[2:], left=left)


PUSHES = "O(1) for each element added, so O(N) to add N elements when the command is called "


@command(
    "lpush",
    -3,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="list",
    complexity=PUSHES + "with multiple arguments.",
    summary="Prepends one or more elements to a list. Creates the key if it doesn't exist.",
)
def lpush(client: ClientView, argv: Argv) -> int:
    """LPUSH key element [element ...]."""
    return _push(client, argv, left=True)


@command(
    "rpush",
    -3,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="list",
    complexity=PUSHES + "with multiple arguments.",
    summary="Appends one or more elements to a list. Creates the key if it doesn't exist.",
)
def rpush(client: ClientView, argv: Argv) -> int:
    """RPUSH key element [element ...]."""
    return _push(client, argv, left=False)


@command(
    "lpushx",
    -3,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="list",
    since="2.2.0",
    complexity=PUSHES + "with multiple arguments.",
    summary="Prepends one or more elements to a list only when the list exists.",
)
def lpushx(client: ClientView, argv: Argv) -> int:
    """LPUSHX key element [element ...]."""
    return _push(client, argv, left=True, create=False)


@command(
    "rpushx",
    -3,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="list",
    since="2.2.0",
    complexity=PUSHES + "with multiple arguments.",
    summary="Appends an element to a list only when the list exists.",
)
def rpushx(client: ClientView, argv: Argv) -> int:
    """RPUSHX key element [element ...]."""
    return _push(client, argv, left=False, create=False)


def _pop(client: ClientView, argv: Argv, *, left: bool) -> bytes | list[bytes] | NullArray | None:
    if len(argv) > 3:
        raise ClientError(wrong_arity(argv[0].decode()))
    count = in_range(argv[2], 0, NOT_POSITIVE) if len(argv) == 3 else None
    entry = client.db.modify(argv[1])
    if entry is None:
        return None if count is None else NULL_ARRAY
    list_of(entry)
    if count is None:
        return pop(client, entry, 1, left=left)[0]
    return pop(client, entry, count, left=left)


@command(
    "lpop",
    -2,
    flags="write fast",
    keys=ONE_KEY,
    group="list",
    complexity="O(N) where N is the number of elements returned",
    summary="Returns the first elements in a list after removing it. "
    "Deletes the list if the last element was popped.",
)
def lpop(client: ClientView, argv: Argv) -> bytes | list[bytes] | NullArray | None:
    """LPOP key [count]."""
    return _pop(client, argv, left=True)


@command(
    "rpop",
    -2,
    flags="write fast",
    keys=ONE_KEY,
    group="list",
    complexity="O(N) where N is the number of elements returned",
    summary="Returns and removes the last elements of a list. "
    "Deletes the list if the last element was popped.",
)
def rpop(client: ClientView, argv: Argv) -> bytes | list[bytes] | NullArray | None:
    """RPOP key [count]."""
    return _pop(client, argv, left=False)


@command(
    "llen",
    2,
    flags="readonly fast",
    keys=ONE_KEY,
    group="list",
    summary="Returns the length of a list.",
)
def llen(client: ClientView, argv: Argv) -> int:
    """LLEN key."""
    return len(list_of(client.db.read(argv[1])) or ())


def span(start: int, stop: int, length: int) -> tuple[int, int]:
    """The half-open range that inclusive indices mean, negative ones counted from the end."""
    if start < 0:
        start = max(start + length, 0)
    if stop < 0:
        stop += length
    return start, max(min(stop + 1, length), start)


@command(
    "lrange",
    4,
    flags="readonly",
    keys=ONE_KEY,
    group="list",
    complexity="O(S+N) where S is the distance of start offset from HEAD for small lists, from "
    "nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the "
    "specified range.",
    summary="Returns a range of elements from a list.",
)
def lrange(client: ClientView, argv: Argv) -> list[bytes]:
    """LRANGE key start stop."""
    start, stop = integer(argv[2]), integer(argv[3])
    value = list_of(client.db.read(argv[1]))
    if value is None:
        return []
    return lists.between(value, *span(start, stop, len(value)))


@command(
    "lindex",
    3,
    flags="readonly",
    keys=ONE_KEY,
    group="list",
    complexity="O(N) where N is the number of elements to traverse to get to the element at "
    "index. This makes asking for the first or the last element of the list O(1).",
    summary="Returns an element from a list by its index.",
)
def lindex(client: ClientView, argv: Argv) -> bytes | None:
    """LINDEX key index."""
    value = list_of(client.db.read(argv[1]))
    if value is None:  # Redis does not look at the index then
        return None
    index = integer(argv[2])
    return value[index] if -len(value) <= index < len(value) else None
