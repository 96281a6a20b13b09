"""Intersections, unions and differences of sets, as replies or stored under a key.

A key that is absent is an empty set. Stored results replace whatever the destination held;
an empty one deletes it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import counted_keys, in_range
from antecache.server.commands.sets import Set, set_of
from antecache.server.errors import SYNTAX, ClientError
from antecache.server.store import events

KEYS = (1, -1, 1)
EMPTY: Set = set()  # never changed
NUMKEYS = "ERR numkeys should be greater than 0"
TOO_MANY_KEYS = "ERR Number of keys can't be greater than number of args"
NEGATIVE_LIMIT = "ERR LIMIT can't be negative"

Algebra = Callable[[list[Set]], Set]


def _sets(client: ClientView, keys: Argv) -> list[Set]:
    read = client.db.read
    return [set_of(read(key)) or EMPTY for key in keys]


def _intersection(sets: list[Set]) -> Set:
    """Smallest first, so that what is looked at shrinks at once."""
    first, *others = sorted(sets, key=len)
    return first.intersection(*others) if others else set(first)


def _union(sets: list[Set]) -> Set:
    return set().union(*sets)


def _difference(sets: list[Set]) -> Set:
    """The larger others are asked for each member; they need not be walked."""
    first, *others = sets
    if not others:
        return set(first)
    if sum(map(len, others)) <= len(first):
        return first.difference(*others)
    return {member for member in first if not any(member in other for other in others)}


def _stored(client: ClientView, argv: Argv, algebra: Algebra) -> int:
    result = algebra(_sets(client, argv[2:]))
    db, key = client.db, argv[1]
    if result:
        db.put(key, result)
        db.event(events.SET, argv[0].lower().decode(), key)
    elif db.delete(key):
        db.event(events.GENERIC, "del", key)
    return len(result)


@command(
    "sinter",
    -2,
    flags="readonly",
    keys=KEYS,
    group="set",
    complexity="O(N*M) worst case where N is the cardinality of the smallest set and M is the "
    "number of sets.",
    summary="Returns the intersect of multiple sets.",
)
def sinter(client: ClientView, argv: Argv) -> Set:
    """SINTER key [key ...]."""
    return _intersection(_sets(client, argv[1:]))


@command(
    "sinterstore",
    -3,
    flags="write denyoom",
    keys=KEYS,
    group="set",
    complexity="O(N*M) worst case where N is the cardinality of the smallest set and M is the "
    "number of sets.",
    summary="Stores the intersect of multiple sets in a key.",
)
def sinterstore(client: ClientView, argv: Argv) -> int:
    """SINTERSTORE destination key [key ...]."""
    return _stored(client, argv, _intersection)


@command(
    "sunion",
    -2,
    flags="readonly",
    keys=KEYS,
    group="set",
    complexity="O(N) where N is the total number of elements in all given sets.",
    summary="Returns the union of multiple sets.",
)
def sunion(client: ClientView, argv: Argv) -> Set:
    """SUNION key [key ...]."""
    return _union(_sets(client, argv[1:]))


@command(
    "sunionstore",
    -3,
    flags="write denyoom",
    keys=KEYS,
    group="set",
    complexity="O(N) where N is the total number of elements in all given sets.",
    summary="Stores the union of multiple sets in a key.",
)
def sunionstore(client: ClientView, argv: Argv) -> int:
    """SUNIONSTORE destination key [key ...]."""
    return _stored(client, argv, _union)


@command(
    "sdiff",
    -2,
    flags="readonly",
    keys=KEYS,
    group="set",
    complexity="O(N) where N is the total number of elements in all given sets.",
    summary="Returns the difference of multiple sets.",
)
def sdiff(client: ClientView, argv: Argv) -> Set:
    """SDIFF key [key ...]."""
    return _difference(_sets(client, argv[1:]))


@command(
    "sdiffstore",
    -3,
    flags="write denyoom",
    keys=KEYS,
    group="set",
    complexity="O(N) where N is the total number of elements in all given sets.",
    summary="Stores the difference of multiple sets in a key.",
)
def sdiffstore(client: ClientView, argv: Argv) -> int:
    """SDIFFSTORE destination key [key ...]."""
    return _stored(client, argv, _difference)


@command(
    "sintercard",
    -3,
    flags="readonly",
    keys_of=counted_keys(1),
    group="set",
    since="7.0.0",
    complexity="O(N*M) worst case where N is the cardinality of the smallest set and M is the "
    "number of sets.",
    summary="Returns the number of members of the intersect of multiple sets.",
)
def sintercard(client: ClientView, argv: Argv) -> int:
    """SINTERCARD numkeys key [key ...] [LIMIT limit]."""
    numkeys = in_range(argv[1], 1, NUMKEYS)
    if numkeys > len(argv) - 2:
        raise ClientError(TOO_MANY_KEYS)
    limit = 0
    at = 2 + numkeys
    while at < len(argv):
        if argv[at].upper() != b"LIMIT" or at + 1 == len(argv):
            raise ClientError(SYNTAX)
        limit = in_range(argv[at + 1], 0, NEGATIVE_LIMIT)
        at += 2
    first, *others = sorted(_sets(client, argv[2 : 2 + numkeys]), key=len)
    if not limit:
        return len(first.intersection(*others)) if others else len(first)
    common = (member for member in first if all(member in other for other in others))
    return sum(1 for _ in islice(common, limit))
