"""Items of lists on their way: LMOVE, LMPOP and their like, and the forms that wait.

BLPOP, BLMOVE and the others do what their plain forms do when there is an item; else they
raise `Blocked`, and run again when one of their keys has become a list.
"""

from __future__ import annotations

from typing import Any

from antecache.server import items as lists
from antecache.server.blocked import Blocked
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import counted_keys, in_range
from antecache.server.commands.blocking import seconds
from antecache.server.commands.lists import list_of, pop, push, removed
from antecache.server.encode import NULL_ARRAY, NullArray
from antecache.server.errors import SYNTAX, ClientError
from antecache.server.store import Entry, events

TWO_KEYS = (1, 2, 1)
KEYS_BEFORE_TIMEOUT = (1, -2, 1)
NUMKEYS = "ERR numkeys should be greater than 0"
COUNT = "ERR count should be greater than 0"


def _left(word: bytes) -> bool:
    side = word.upper()
    if side not in (b"LEFT", b"RIGHT"):
        raise ClientError(SYNTAX)
    return side == b"LEFT"


def _move(client: ClientView, argv: Argv, from_left: bool, to_left: bool) -> bytes | None:
    """Take an item of list argv[1] to list argv[2]; None when there is none."""
    db = client.db
    source = db.modify(argv[1])
    value = list_of(source)
    if source is None or value is None:
        return None
    target = source if argv[1] == argv[2] else db.modify(argv[2])
    list_of(target)
    (item,) = lists.pop(value, 1, left=from_left)
    if target is source:
        source.value = lists.push(value, [item], left=to_left)
        db.changed(source)
        db.event(events.LIST, "lpush" if to_left else "rpush", argv[2])
        db.event(events.LIST, "lpop" if from_left else "rpop", argv[1])
    else:
        push(client, argv[2], target, [item], left=to_left)
        removed(client, source, [item], "lpop" if from_left else "rpop")
    return item


@command(
    "lmove",
    5,
    flags="write denyoom",
    keys=TWO_KEYS,
    group="list",
    since="6.2.0",
    summary="Returns an element after popping it from one list and pushing it to another. "
    "Deletes the list if the last element was moved.",
)
def lmove(client: ClientView, argv: Argv) -> bytes | None:
    """LMOVE source destination LEFT | RIGHT LEFT | RIGHT."""
    return _move(client, argv, _left(argv[3]), _left(argv[4]))


@command(
    "rpoplpush",
    3,
    flags="write denyoom",
    keys=TWO_KEYS,
    group="list",
    since="1.2.0",
    summary="Returns the last element of a list after removing and pushing it to another list. "
    "Deletes the list if the last element was popped.",
)
def rpoplpush(client: ClientView, argv: Argv) -> bytes | None:
    """RPOPLPUSH source destination."""
    return _move(client, argv, False, True)


def _move_or_wait(
    client: ClientView, argv: Argv, from_left: bool, to_left: bool, timeout: int
) -> bytes:
    item = _move(client, argv, from_left, to_left)
    if item is None:
        raise Blocked(argv[1:2], "list", timeout, at_once=None)
    return item


@command(
    "blmove",
    6,
    flags="write denyoom noscript blocking",
    keys=TWO_KEYS,
    group="list",
    since="6.2.0",
    summary="Pops an element from a list, pushes it to another list and returns it. Blocks until "
    "an element is available otherwise. Deletes the list if the last element was moved.",
)
def blmove(client: ClientView, argv: Argv) -> bytes:
    """BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout."""
    from_left, to_left = _left(argv[3]), _left(argv[4])
    timeout = seconds(argv[5], client.db.store.now)
    return _move_or_wait(client, argv, from_left, to_left, timeout)


@command(
    "brpoplpush",
    4,
    flags="write denyoom noscript blocking",
    keys=TWO_KEYS,
    group="list",
    since="2.2.0",
    summary="Pops an element from a list, pushes it to another list and returns it. Block until "
    "an element is available otherwise. Deletes the list if the last element was popped.",
)
def brpoplpush(client: ClientView, argv: Argv) -> bytes:
    """BRPOPLPUSH source destination timeout."""
    return _move_or_wait(client, argv, False, True, seconds(argv[3], client.db.store.now))


def _first(client: ClientView, keys: Argv) -> Entry | None:
    """The first of the keys that holds a list."""
    for key in keys:
        entry = client.db.modify(key)
        if list_of(entry):
            return entry
    return None


def _pop_or_wait(client: ClientView, argv: Argv, *, left: bool) -> list[bytes]:
    timeout = seconds(argv[-1], client.db.store.now)
    keys = argv[1:-1]
    entry = _first(client, keys)
    if entry is None:
        raise Blocked(keys, "list", timeout)
    return [entry.key, *pop(client, entry, 1, left=left)]


@command(
    "blpop",
    -3,
    flags="write noscript blocking",
    keys=KEYS_BEFORE_TIMEOUT,
    group="list",
    since="2.0.0",
    complexity="O(N) where N is the number of provided keys.",
    summary="Removes and returns the first element in a list. Blocks until an element is "
    "available otherwise. Deletes the list if the last element was popped.",
)
def blpop(client: ClientView, argv: Argv) -> list[bytes]:
    """BLPOP key [key ...] timeout."""
    return _pop_or_wait(client, argv, left=True)


@command(
    "brpop",
    -3,
    flags="write noscript blocking",
    keys=KEYS_BEFORE_TIMEOUT,
    group="list",
    since="2.0.0",
    complexity="O(N) where N is the number of provided keys.",
    summary="Removes and returns the last element in a list. Blocks until an element is "
    "available otherwise. Deletes the list if the last element was popped.",
)
def brpop(client: ClientView, argv: Argv) -> list[bytes]:
    """BRPOP key [key ...] timeout."""
    return _pop_or_wait(client, argv, left=False)


def _parse_mpop(argv: Argv, at: int) -> tuple[list[bytes], bool, int]:
    """The keys, whether from the left, and how many, of `numkeys key ... LEFT|RIGHT [COUNT n]`."""
    numkeys = in_range(argv[at], 1, NUMKEYS)
    where = at + 1 + numkeys
    if where >= len(argv):
        raise ClientError(SYNTAX)
    left = _left(argv[where])
    rest = argv[where + 1 :]
    if not rest:
        return argv[at + 1 : where], left, 1
    if len(rest) < 2 or rest[0].upper() != b"COUNT":
        raise ClientError(SYNTAX)
    count = in_range(rest[1], 1, COUNT)
    if len(rest) > 2:
        raise ClientError(SYNTAX)
    return argv[at + 1 : where], left, count


@command(
    "lmpop",
    -4,
    flags="write",
    keys_of=counted_keys(1),
    group="list",
    since="7.0.0",
    complexity="O(N+M) where N is the number of provided keys and M is the number of elements "
    "returned.",
    summary="Returns multiple elements from a list after removing them. Deletes the list if the "
    "last element was popped.",
)
def lmpop(client: ClientView, argv: Argv) -> list[Any] | NullArray:
    """LMPOP numkeys key [key ...] LEFT | RIGHT [COUNT count]."""
    keys, left, count = _parse_mpop(argv, 1)
    entry = _first(client, keys)
    if entry is None:
        return NULL_ARRAY
    return [entry.key, pop(client, entry, count, left=left)]


@command(
    "blmpop",
    -5,
    flags="write blocking",
    keys_of=counted_keys(2),
    group="list",
    since="7.0.0",
    complexity="O(N+M) where N is the number of provided keys and M is the number of elements "
    "returned.",
    summary="Pops the first element from one of multiple lists. Blocks until an element is "
    "available otherwise. Deletes the list if the last element was popped.",
)
def blmpop(client: ClientView, argv: Argv) -> list[Any]:
    """BLMPOP timeout numkeys key [key ...] LEFT | RIGHT [COUNT count]."""
    keys, left, count = _parse_mpop(argv, 2)
    timeout = seconds(argv[1], client.db.store.now)
    entry = _first(client, keys)
    if entry is None:
        raise Blocked(keys, "list", timeout)
    return [entry.key, pop(client, entry, count, left=left)]
