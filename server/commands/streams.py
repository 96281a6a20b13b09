"""Streams: XADD, XLEN, XRANGE, XREVRANGE, XDEL, XTRIM, XSETID.

A stream without entries stays, as its last id and its groups do. An approximate trim
(`~`) removes whole hundreds of entries, Redis whole nodes of at most a hundred.

What these files do not do: XREAD and XREADGROUP are in `stream_reading.py`, groups in
`stream_groups.py` and `stream_claims.py`, XINFO in `stream_info.py`.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.stream_arguments import (
    Trim,
    book,
    entry_of,
    first_of,
    last_of,
    new_id,
    parse_id,
    shown,
    stream_of,
)
from antecache.server.encode import NULL_ARRAY, OK
from antecache.server.errors import NO_SUCH_KEY, SYNTAX, ClientError, wrong_arity
from antecache.server.store import events
from antecache.server.stream import LAST, SEQUENCE, Stream

ONE_KEY = (1, 1, 1)
ZERO_ID = "ERR The ID specified in XADD must be greater than 0-0"
NOT_LARGER = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
EXHAUSTED = "ERR The stream has exhausted the last possible ID, unable to add more items"
SMALLER = "ERR The ID specified in XSETID is smaller than "


@command(
    "xadd",
    -5,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="stream",
    since="5.0.0",
    complexity="O(1) when adding a new entry, O(N) when trimming where N being the number of "
    "entries evicted.",
    summary="Appends a new message to a stream. Creates the key if it doesn't exist.",
)
def xadd(client: ClientView, argv: Argv) -> bytes | None:
    """XADD key [NOMKSTREAM] [MAXLEN | MINID [= | ~] threshold [LIMIT count]] id field value ..."""
    trim = Trim(argv, adds=True)
    fields = tuple(argv[trim.at + 1 :])
    if not fields or len(fields) % 2:
        raise ClientError(wrong_arity("xadd"))
    given = None if argv[trim.at] == b"*" else new_id(argv[trim.at])
    if given == (0, True):
        raise ClientError(ZERO_ID)
    key = argv[1]
    entry = client.db.modify(key)
    found = stream_of(entry)
    if found is None and not trim.create:
        return None
    stream = Stream() if found is None else found
    if stream.last == LAST:
        raise ClientError(EXHAUSTED)
    added = _next(stream, given, client.db.store.now)
    stream.append(added, fields)
    trimmed = trim.given and trim.apply(stream)
    if entry is None:
        client.db.put(key, stream)
    else:
        book(client, entry)
    if client.db.store.events:
        client.db.event(events.STREAM, "xadd", key)
        if trimmed:
            client.db.event(events.STREAM, "xtrim", key)
    return shown(added)


def _next(stream: Stream, given: tuple[int, bool] | None, now: int) -> int:
    if given is None:
        return stream.next_id(now)
    key, whole = given
    if not whole and stream.last >> 64 == key >> 64:
        if stream.last & SEQUENCE == SEQUENCE:
            raise ClientError(NOT_LARGER)
        return stream.last + 1
    if key <= stream.last:
        raise ClientError(NOT_LARGER)
    return key


@command(
    "xlen",
    2,
    flags="readonly fast",
    keys=ONE_KEY,
    group="stream",
    since="5.0.0",
    summary="Return the number of messages in a stream.",
)
def xlen(client: ClientView, argv: Argv) -> int:
    """XLEN key."""
    stream = stream_of(client.db.read(argv[1]))
    return 0 if stream is None else len(stream.entries)


def _range(client: ClientView, argv: Argv, first: int, last: int, backward: bool) -> Any:
    count = -1
    at = 4
    while at < len(argv):
        if argv[at].upper() != b"COUNT" or at + 1 == len(argv):
            raise ClientError(SYNTAX)
        count = max(0, integer(argv[at + 1]))
        at += 2
    stream = stream_of(client.db.read(argv[1]))
    if stream is None:
        return []
    if not count:
        return NULL_ARRAY
    walk = stream.entries.backward if backward else stream.entries.forward
    return [entry_of(*one) for one in islice(walk(first, last), None if count < 0 else count)]


@command(
    "xrange",
    -4,
    flags="readonly",
    keys=ONE_KEY,
    group="stream",
    since="5.0.0",
    complexity="O(N) with N being the number of elements being returned. If N is constant (e.g. "
    "always asking for the first 10 elements with COUNT), you can consider it O(1).",
    summary="Returns the messages from a stream within a range of IDs.",
)
def xrange(client: ClientView, argv: Argv) -> Any:
    """XRANGE key start end [COUNT count]."""
    return _range(client, argv, first_of(argv[2]), last_of(argv[3]), backward=False)


@command(
    "xrevrange",
    -4,
    flags="readonly",
    keys=ONE_KEY,
    group="stream",
    since="5.0.0",
    complexity="O(N) with N being the number of elements returned. If N is constant (e.g. always "
    "asking for the first 10 elements with COUNT), you can consider it O(1).",
    summary="Returns the messages from a stream within a range of IDs in reverse order.",
)
def xrevrange(client: ClientView, argv: Argv) -> Any:
    """XREVRANGE key end start [COUNT count]."""
    return _range(client, argv, first_of(argv[3]), last_of(argv[2]), backward=True)


@command(
    "xdel",
    -3,
    flags="write fast",
    keys=ONE_KEY,
    group="stream",
    since="5.0.0",
    complexity="O(1) for each single item to delete in the stream, regardless of the stream size.",
    summary="Returns the number of messages after removing them from a stream.",
)
def xdel(client: ClientView, argv: Argv) -> int:
    """XDEL key id [id ...]."""
    entry = client.db.modify(argv[1])
    stream = stream_of(entry)
    if entry is None or stream is None:
        return 0
    deleted = sum(map(stream.delete, [parse_id(argument) for argument in argv[2:]]))
    if deleted:
        book(client, entry)
        client.db.event(events.STREAM, "xdel", argv[1])
    return deleted


@command(
    "xtrim",
    -4,
    flags="write",
    keys=ONE_KEY,
    group="stream",
    since="5.0.0",
    complexity="O(N), with N being the number of evicted entries. Constant times are very small "
    "however, since entries are organized in macro nodes containing multiple entries that can be "
    "released with a single deallocation.",
    summary="Deletes messages from the beginning of a stream.",
)
def xtrim(client: ClientView, argv: Argv) -> int:
    """XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count]: how many entries went."""
    trim = Trim(argv, adds=False)
    entry = client.db.modify(argv[1])
    stream = stream_of(entry)
    if entry is None or stream is None:
        return 0
    deleted = trim.apply(stream)
    if deleted:
        book(client, entry)
        client.db.event(events.STREAM, "xtrim", argv[1])
    return deleted


@command(
    "xsetid",
    -3,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="stream",
    since="5.0.0",
    summary="An internal command for replicating stream values.",
)
def xsetid(client: ClientView, argv: Argv) -> bytes:
    """XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]."""
    last, deleted, added = parse_id(argv[2]), 0, None
    at = 3
    while at < len(argv):
        option = argv[at].upper()
        if option not in (b"ENTRIESADDED", b"MAXDELETEDID") or at + 1 == len(argv):
            raise ClientError(SYNTAX)
        if option == b"ENTRIESADDED":
            added = integer(argv[at + 1])
            if added < 0:
                raise ClientError("ERR entries_added must be positive")
        else:
            deleted = parse_id(argv[at + 1])
            if last < deleted:
                raise ClientError(SMALLER + "the provided max_deleted_entry_id")
        at += 2
    entry = client.db.modify(argv[1])
    stream = stream_of(entry)
    if entry is None or stream is None:
        raise ClientError(NO_SUCH_KEY)
    if last < stream.last_deleted:
        raise ClientError(SMALLER + "current max_deleted_entry_id")
    if stream.entries:
        if last < stream.entries.last:
            raise ClientError(SMALLER + "the target stream top item")
        if added is not None and added < len(stream.entries):
            raise ClientError(
                "ERR The entries_added specified in XSETID is smaller than the target stream length"
            )
    stream.last = last
    if added is not None:
        stream.added = added
    stream.last_deleted = deleted or stream.last_deleted
    book(client, entry, told=False)
    client.db.event(events.STREAM, "xsetid", argv[1])
    return OK
