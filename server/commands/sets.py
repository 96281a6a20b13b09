"""Sets: SADD, SREM, SMEMBERS and the rest that works on one set, and SMOVE.

The value is a Python set of bytes. A large one that is drawn from at random or walked
becomes a `BigSet` (`server/bigset.py`), which does both without looking at every member. A
set without members does not exist: whatever removes the last one deletes the key.

What this file does not do: unions, intersections and differences (`sets_algebra.py`), random
members and SSCAN (`sets_random.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from antecache.server.command import Argv, ClientView, command
from antecache.server.encode import Members
from antecache.server.errors import WRONGTYPE, ClientError
from antecache.server.store import Entry, events
from antecache.server.store import size as sizes

ONE_KEY = (1, 1, 1)

Set = set[bytes]


def set_of(entry: Entry | None) -> Set | None:
    """The set of an entry, None for no entry."""
    if entry is None:
        return None
    value = entry.value
    if isinstance(value, set):
        return value
    raise ClientError(WRONGTYPE)


def removed(
    client: ClientView, entry: Entry, table: int, members: Iterable[bytes], event: str
) -> None:
    """Members are gone from a set whose table took `table` bytes; with the last of them the key."""
    db, key = client.db, entry.key
    if entry.value:
        db.grew(entry, sizes.of_table(entry.value) - table - sum(map(sizes.of_member, members)))
        db.event(events.SET, event, key)
    else:
        db.delete(key)
        db.event(events.SET, event, key)
        db.event(events.GENERIC, "del", key)


def _add(client: ClientView, key: bytes, entry: Entry | None, members: Argv) -> int:
    """Add members to a set just looked up; returns how many are new."""
    db = client.db
    if entry is None:
        value = set(members)
        db.put(key, value)
        added = len(value)
    else:
        value = entry.value
        table = sizes.of_table(value)
        added = delta = 0
        for member in members:
            if member not in value:
                value.add(member)
                added += 1
                delta += sizes.of_member(member)
        if added:
            db.grew(entry, delta + sizes.of_table(value) - table)
    if added and db.store.events:
        db.event(events.SET, "sadd", key)
    return added


@command(
    "sadd",
    -3,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="set",
    complexity="O(1) for each element added, so O(N) to add N elements when the command is called "
    "with multiple arguments.",
    summary="Adds one or more members to a set. Creates the key if it doesn't exist.",
)
def sadd(client: ClientView, argv: Argv) -> int:
    """SADD key member [member ...]."""
    entry = client.db.modify(argv[1])
    set_of(entry)
    return _add(client, argv[1], entry, argv[2:])


@command(
    "srem",
    -3,
    flags="write fast",
    keys=ONE_KEY,
    group="set",
    complexity="O(N) where N is the number of members to be removed.",
    summary="Removes one or more members from a set. Deletes the set if the last member was "
    "removed.",
)
def srem(client: ClientView, argv: Argv) -> int:
    """SREM key member [member ...]."""
    entry = client.db.modify(argv[1])
    value = set_of(entry)
    if entry is None or value is None:
        return 0
    table = sizes.of_table(value)
    gone = []
    for member in argv[2:]:
        if member in value:
            value.remove(member)
            gone.append(member)
    if gone:
        removed(client, entry, table, gone, "srem")
    return len(gone)


@command(
    "smove",
    4,
    flags="write fast",
    keys=(1, 2, 1),
    group="set",
    summary="Moves a member from one set to another.",
)
def smove(client: ClientView, argv: Argv) -> int:
    """SMOVE source destination member."""
    _, here, there, member = argv
    db = client.db
    source = db.modify(here)
    if source is None:
        return 0
    target = source if here == there else db.modify(there)
    value = set_of(source)
    set_of(target)
    if value is None or member not in value:
        return 0
    if source is target:
        return 1
    table = sizes.of_table(value)
    value.remove(member)
    removed(client, source, table, [member], "srem")
    _add(client, there, target, [member])
    return 1


@command(
    "sismember",
    3,
    flags="readonly fast",
    keys=ONE_KEY,
    group="set",
    summary="Determines whether a member belongs to a set.",
)
def sismember(client: ClientView, argv: Argv) -> int:
    """SISMEMBER key member."""
    return 1 if argv[2] in (set_of(client.db.read(argv[1])) or ()) else 0


@command(
    "smismember",
    -3,
    flags="readonly fast",
    keys=ONE_KEY,
    group="set",
    since="6.2.0",
    complexity="O(N) where N is the number of elements being checked for membership",
    summary="Determines whether multiple members belong to a set.",
)
def smismember(client: ClientView, argv: Argv) -> list[int]:
    """SMISMEMBER key member [member ...]."""
    value = set_of(client.db.read(argv[1])) or ()
    return [1 if member in value else 0 for member in argv[2:]]


@command(
    "scard",
    2,
    flags="readonly fast",
    keys=ONE_KEY,
    group="set",
    summary="Returns the number of members in a set.",
)
def scard(client: ClientView, argv: Argv) -> int:
    """SCARD key."""
    return len(set_of(client.db.read(argv[1])) or ())


@command(
    "smembers",
    2,
    flags="readonly",
    keys=ONE_KEY,
    group="set",
    complexity="O(N) where N is the set cardinality.",
    summary="Returns all members of a set.",
)
def smembers(client: ClientView, argv: Argv) -> Set | Members:
    """SMEMBERS key."""
    value = set_of(client.db.read(argv[1]))
    if value is None:
        return set()
    return value if type(value) is set else Members(value)
