"""Keys, whatever their value: DEL, EXISTS, TYPE, RENAME, COPY, MOVE and what is like them.

On a key that a source owns DEL is an invalidation: the next read loads it again.
So it looks at what is resident only, and answers how much of that it removed.
RENAME and MOVE take a loaded value along under a name that is the client's own.

What this file does not do: walk or empty a whole database (`keyspace.py`), or
deadlines (`expiry.py`).
"""

from __future__ import annotations

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.encode import OK
from antecache.server.errors import (
    DB_OUT_OF_RANGE,
    NO_SUCH_KEY,
    SYNTAX,
    ClientError,
)
from antecache.server.store import Database, Entry, events, size
from antecache.server.store.kinds import kind_of

ONE_KEY = (1, 1, 1)
TWO_KEYS = (1, 2, 1)
ALL_KEYS = (1, -1, 1)
SAME_OBJECT = "ERR source and destination objects are the same"


@command(
    "unlink",
    -2,
    flags="write fast",
    keys=ALL_KEYS,
    since="4.0.0",
    complexity="O(1) for each key removed.",
    summary="Asynchronously deletes one or more keys.",
)
@command(
    "del",
    -2,
    flags="write",
    keys=ALL_KEYS,
    complexity="O(N) where N is the number of keys that will be removed.",
    summary="Deletes one or more keys.",
)
def del_(client: ClientView, argv: Argv) -> int:
    """DEL and UNLINK key [key ...]; Python frees a value when its last user drops it."""
    db = client.db
    removed = 0
    for key in argv[1:]:
        if db.delete(key):
            removed += 1
            db.event(events.GENERIC, "del", key)
    return removed


@command(
    "touch",
    -2,
    flags="readonly fast",
    keys=ALL_KEYS,
    since="3.2.1",
    complexity="O(N) where N is the number of keys that will be touched.",
    summary="Returns the number of existing keys out of those specified "
    "after updating the time they were last accessed.",
)
@command(
    "exists",
    -2,
    flags="readonly fast",
    keys=ALL_KEYS,
    complexity="O(N) where N is the number of keys to check.",
    summary="Determines whether one or more keys exist.",
)
def exists(client: ClientView, argv: Argv) -> int:
    """EXISTS and TOUCH key [key ...]; a key named twice counts twice."""
    db = client.db
    found = 0
    for key in argv[1:]:
        if db.read(key) is not None:
            found += 1
    return found


@command(
    "type",
    2,
    flags="readonly fast",
    keys=ONE_KEY,
    summary="Determines the type of value stored at a key.",
)
def type_(client: ClientView, argv: Argv) -> str:
    """TYPE key."""
    entry = client.db.read(argv[1])
    return "none" if entry is None else entry.kind


def _found(db: Database, key: bytes) -> Entry:
    entry = db.modify(key)
    if entry is None:
        raise ClientError(NO_SUCH_KEY)
    return entry


def _cost(entry: Entry, name: bytes) -> int:
    """What a value that moves is charged under its new name, without looking at all of it.

    0 for a string: what it costs is seen at once.
    """
    if isinstance(entry.value, bytes):
        return 0
    deadline = size.DEADLINE if entry.expire_at else 0
    return entry.size - deadline - len(entry.key) + len(name)


def _rename(db: Database, entry: Entry, name: bytes) -> None:
    value, expire_at, cost = entry.value, entry.expire_at, _cost(entry, name)
    db.delete(entry.key)
    if db.holds(name):
        db.delete(name)
    db.store.fields.watch(db.put(name, value, expire_at, cost=cost))
    db.event(events.GENERIC, "rename_from", entry.key)
    db.event(events.GENERIC, "rename_to", name)


@command(
    "rename",
    3,
    flags="write",
    keys=TWO_KEYS,
    summary="Renames a key and overwrites the destination.",
)
def rename(client: ClientView, argv: Argv) -> bytes:
    """RENAME key newkey."""
    entry = _found(client.db, argv[1])
    if argv[1] != argv[2]:
        _rename(client.db, entry, argv[2])
    return OK


@command(
    "renamenx",
    3,
    flags="write fast",
    keys=TWO_KEYS,
    summary="Renames a key only when the target key name doesn't exist.",
)
def renamenx(client: ClientView, argv: Argv) -> int:
    """RENAMENX key newkey."""
    entry = _found(client.db, argv[1])
    if argv[1] == argv[2] or client.db.modify(argv[2]) is not None:
        return 0
    _rename(client.db, entry, argv[2])
    return 1


def _database(client: ClientView, index: int) -> Database:
    databases = client.db.store.databases
    if not 0 <= index < len(databases):
        raise ClientError(DB_OUT_OF_RANGE)
    return databases[index]


@command(
    "move",
    3,
    flags="write fast",
    keys=ONE_KEY,
    summary="Moves a key to another database.",
)
def move(client: ClientView, argv: Argv) -> int:
    """MOVE key db."""
    target = _database(client, integer(argv[2]))
    if target.index == client.db.index:
        raise ClientError(SAME_OBJECT)
    entry = client.db.modify(argv[1])
    if entry is None or target.peek(argv[1]) is not None:
        return 0
    value, expire_at, cost = entry.value, entry.expire_at, _cost(entry, argv[1])
    client.db.delete(argv[1])
    target.store.fields.watch(target.put(argv[1], value, expire_at, cost=cost))
    client.db.event(events.GENERIC, "move_from", argv[1])
    target.event(events.GENERIC, "move_to", argv[1])
    return 1


@command(
    "copy",
    -3,
    flags="write denyoom",
    keys=TWO_KEYS,
    since="6.2.0",
    complexity="O(N) worst case for collections, where N is the number of nested items. "
    "O(1) for string values.",
    summary="Copies the value of a key to a new key.",
)
def copy(client: ClientView, argv: Argv) -> int:
    """COPY source destination [DB index] [REPLACE]."""
    target, replace = client.db, False
    at = 3
    while at < len(argv):
        option = argv[at].upper()
        if option == b"REPLACE":
            replace = True
        elif option == b"DB" and at + 1 < len(argv):
            at += 1
            target = _database(client, integer(argv[at]))
        else:
            raise ClientError(SYNTAX)
        at += 1
    same = target.index == client.db.index
    if same and argv[1] == argv[2]:
        raise ClientError(SAME_OBJECT)
    entry = client.db.read(argv[1])
    if entry is None:
        return 0
    if not replace:
        # Only the client's own database is loaded from: `target` may not be waited for.
        there = client.db.modify(argv[2]) if same else target.peek(argv[2])
        if there is not None:
            return 0
    elif target.holds(argv[2]):
        target.delete(argv[2])
    copied = target.put(argv[2], kind_of(entry.value).copy(entry.value), entry.expire_at)
    target.store.fields.watch(copied)
    target.event(events.GENERIC, "copy_to", argv[2])
    return 1
