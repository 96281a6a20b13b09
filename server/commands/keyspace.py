"""A database as a whole: KEYS, SCAN, RANDOMKEY, DBSIZE, FLUSHDB, FLUSHALL, SWAPDB.

They see what is resident: keys that a source owns and nobody has loaded are not
listed. None of them counts as an access or changes what will be evicted.

What this file does not do: remember where a scan was. A cursor says it all
(`store/shard.py`).
"""

from __future__ import annotations

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import ScanOptions, cursor, integer
from antecache.server.encode import OK
from antecache.server.errors import DB_OUT_OF_RANGE, SYNTAX, ClientError
from antecache.server.glob import MATCHES_ALL, matcher


@command(
    "keys",
    2,
    flags="readonly",
    complexity="O(N) with N being the number of keys in the database, under the assumption "
    "that the key names in the database and the given pattern have limited length.",
    categories="dangerous",
    summary="Returns all key names that match a pattern.",
)
def keys(client: ClientView, argv: Argv) -> list[bytes]:
    """KEYS pattern."""
    if argv[1] == MATCHES_ALL:
        return list(client.db.keys())
    return list(filter(matcher(argv[1]), client.db.keys()))


@command(
    "scan",
    -2,
    flags="readonly",
    since="2.8.0",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command "
    "calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    summary="Iterates over the key names in the database.",
)
def scan(client: ClientView, argv: Argv) -> list[bytes | list[bytes]]:
    """SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]."""
    position = cursor(argv[1])
    options = ScanOptions(argv, 2, typed=True)
    db = client.db
    following, found = db.scan(position, options.count)
    if options.fits is not None:
        found = [key for key in found if options.fits(key)]
    if options.type is not None:
        wanted, typed = options.type, []
        for key in found:
            entry = db.peek(key)
            if entry is not None and entry.kind == wanted:
                typed.append(key)
        found = typed
    return [b"%d" % following, found]


@command("randomkey", 1, flags="readonly", summary="Returns a random key name from the database.")
def randomkey(client: ClientView, argv: Argv) -> bytes | None:
    """RANDOMKEY."""
    return client.db.random_key()


@command(
    "dbsize",
    1,
    flags="readonly fast",
    group="server",
    categories="keyspace",
    summary="Returns the number of keys in the database.",
)
def dbsize(client: ClientView, argv: Argv) -> int:
    """DBSIZE."""
    return len(client.db)


def _check_flush(argv: Argv) -> None:
    # ASYNC and SYNC are one: what is removed here is freed at once either way.
    if len(argv) > 2 or (len(argv) == 2 and argv[1].upper() not in (b"ASYNC", b"SYNC")):
        raise ClientError(SYNTAX)


@command(
    "flushdb",
    -1,
    flags="write",
    group="server",
    complexity="O(N) where N is the number of keys in the selected database",
    categories="keyspace dangerous",
    summary="Remove all keys from the current database.",
)
def flushdb(client: ClientView, argv: Argv) -> bytes:
    """FLUSHDB [ASYNC | SYNC]."""
    _check_flush(argv)
    with client.server.tracking.flushing():
        client.db.flush()
    return OK


@command(
    "flushall",
    -1,
    flags="write",
    group="server",
    complexity="O(N) where N is the total number of keys in all databases",
    categories="keyspace dangerous",
    summary="Removes all keys from all databases.",
)
def flushall(client: ClientView, argv: Argv) -> bytes:
    """FLUSHALL [ASYNC | SYNC]."""
    _check_flush(argv)
    with client.server.tracking.flushing():
        for database in client.db.store.databases:
            database.flush()
    return OK


@command(
    "swapdb",
    3,
    flags="write fast",
    group="server",
    since="4.0.0",
    complexity="O(N) where N is the count of clients watching or blocking on keys from both "
    "databases.",
    categories="keyspace dangerous",
    summary="Swaps two Redis databases.",
)
def swapdb(client: ClientView, argv: Argv) -> bytes:
    """SWAPDB index1 index2."""
    first = integer(argv[1], "ERR invalid first DB index")
    second = integer(argv[2], "ERR invalid second DB index")
    store = client.db.store
    if not (0 <= first < len(store.databases) and 0 <= second < len(store.databases)):
        raise ClientError(DB_OUT_OF_RANGE)
    if first != second:
        store.swap(first, second)
    return OK
