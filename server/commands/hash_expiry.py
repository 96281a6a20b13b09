"""Deadlines of single fields: HEXPIRE and its family, HTTL and its family, HPERSIST.

A hash whose fields get one becomes a `Hash`, which keeps them. A row that a source
owns becomes an ordinary hash first, as with every other change of it. A time in the
past deletes the field at once.

What this file does not do: expire anything (`store/field_deadlines.py`).
"""

from __future__ import annotations

from typing import Any

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import MILLISECOND, SECOND, in_range, integer
from antecache.server.commands.hashes import ONE_KEY, fields_of, modify_live, read_live
from antecache.server.errors import ClientError, invalid_expire
from antecache.server.hash import Hash
from antecache.server.store import Entry, events
from antecache.server.store import size as sizes

LATEST = 2**46 - 1  # Unix ms; HFE_MAX_ABS_TIME_MSEC
NO_FIELD, NO_DEADLINE = -2, -1
REFUSED, SET, DELETED = 0, 1, 2
EACH = "O(N) where N is the number of specified fields"
NO_FIELDS = "ERR Mandatory argument FIELDS is missing or not at the right position"
TOO_FEW = "ERR Parameter `numFields` should be greater than 0"
NOT_POSITIVE = "ERR Number of fields must be a positive integer"
MISMATCH = "ERR The `numfields` parameter must match the number of arguments"


def _named(argv: Argv, at: int, error: str) -> list[bytes]:
    """The fields in `FIELDS numfields field [field ...]`, which begins at argv[at]."""
    if argv[at].upper() != b"FIELDS":
        raise ClientError(NO_FIELDS)
    if in_range(argv[at + 1], 1, error) != len(argv) - at - 2:
        raise ClientError(MISMATCH)
    return argv[at + 2 :]


def _deadline(client: ClientView, text: bytes, unit: int, *, relative: bool, name: str) -> int:
    """The time asked for, in Unix ms."""
    number = integer(text)
    if number < 0:
        raise ClientError("ERR invalid expire time, must be >= 0")
    at = number * unit + (client.db.store.now if relative else 0)
    if at > LATEST:
        raise ClientError(invalid_expire(name))
    return at


def _allowed(condition: bytes, old: int | None, at: int) -> bool:
    """Whether NX, XX, GT or LT lets a field's deadline `old` become `at`; None is never."""
    if condition == b"NX":
        return old is None
    if condition == b"XX":
        return old is not None
    if condition == b"GT":
        return old is not None and at > old
    if condition == b"LT":
        return old is None or at < old
    return True


def _expire(client: ClientView, argv: Argv, unit: int, *, relative: bool, name: str) -> list[int]:
    db = client.db
    entry = modify_live(client, argv[1])
    fields_of(entry)  # another type is refused first
    at = _deadline(client, argv[2], unit, relative=relative, name=name)
    condition = argv[3].upper()
    if condition not in (b"NX", b"XX", b"GT", b"LT"):
        condition = b""
    names = _named(argv, 4 if condition else 3, TOO_FEW)
    fields = fields_of(entry)
    if entry is None or not any(name in fields for name in names):
        return [NO_FIELD] * len(names)
    if not isinstance(fields, Hash) and not _allowed(condition, None, at):
        return [REFUSED if name in fields else NO_FIELD for name in names]
    expiring = _expiring(client, entry)
    before, size = expiring.extra_bytes, 0
    replies = []
    for field in names:
        if field not in expiring:
            replies.append(NO_FIELD)
        elif not _allowed(condition, expiring.deadlines.get(field), at):
            replies.append(REFUSED)
        elif at <= db.store.now:
            size -= sizes.of_field(field, expiring.pop(field))
            expiring.persist(field)
            replies.append(DELETED)
        else:
            expiring.expire_at(field, at)
            replies.append(SET)
    deleted, changed = DELETED in replies, SET in replies
    if not deleted and not changed:
        return replies
    db.grew(entry, size + expiring.extra_bytes - before)
    db.store.fields.watch(entry)
    db.event(events.HASH, "hdel" if deleted else "hexpire", argv[1])
    if not expiring:
        db.delete(argv[1])
        db.event(events.GENERIC, "del", argv[1])
    return replies


def _expiring(client: ClientView, entry: Entry) -> Hash:
    """The value of an entry as a hash that has room for deadlines."""
    fields = client.db.own(entry)
    if isinstance(fields, Hash):
        return fields
    expiring = entry.value = Hash(fields)
    return expiring


@command(
    "hexpire",
    -6,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="hash",
    since="7.4.0",
    complexity=EACH,
    summary="Set expiry for hash field using relative time to expire (seconds)",
)
def hexpire(client: ClientView, argv: Argv) -> list[int]:
    """HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]."""
    return _expire(client, argv, SECOND, relative=True, name="hexpire")


@command(
    "hpexpire",
    -6,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="hash",
    since="7.4.0",
    complexity=EACH,
    summary="Set expiry for hash field using relative time to expire (milliseconds)",
)
def hpexpire(client: ClientView, argv: Argv) -> list[int]:
    """HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]."""
    return _expire(client, argv, MILLISECOND, relative=True, name="hpexpire")


@command(
    "hexpireat",
    -6,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="hash",
    since="7.4.0",
    complexity=EACH,
    summary="Set expiry for hash field using an absolute Unix timestamp (seconds)",
)
def hexpireat(client: ClientView, argv: Argv) -> list[int]:
    """HEXPIREAT key unix-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]."""
    return _expire(client, argv, SECOND, relative=False, name="hexpireat")


@command(
    "hpexpireat",
    -6,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="hash",
    since="7.4.0",
    complexity=EACH,
    summary="Set expiry for hash field using an absolute Unix timestamp (milliseconds)",
)
def hpexpireat(client: ClientView, argv: Argv) -> list[int]:
    """HPEXPIREAT key unix-ms [NX | XX | GT | LT] FIELDS numfields field [field ...]."""
    return _expire(client, argv, MILLISECOND, relative=False, name="hpexpireat")


def _deadlines(client: ClientView, argv: Argv) -> list[int]:
    """Of each field named: its deadline in Unix ms, NO_DEADLINE or NO_FIELD."""
    entry = read_live(client, argv[1])
    fields = fields_of(entry)
    names = _named(argv, 2, NOT_POSITIVE)
    deadlines = fields.deadlines if isinstance(fields, Hash) else {}
    return [deadlines.get(name, NO_DEADLINE) if name in fields else NO_FIELD for name in names]


def _seconds(milliseconds: int) -> int:
    """Rounded up, unlike the seconds of keys; the negative answers stay."""
    return milliseconds if milliseconds < 0 else (milliseconds + 999) // 1000


def _left(client: ClientView, at: int) -> int:
    return at if at < 0 else max(0, at - client.db.store.now)


@command(
    "httl",
    -5,
    flags="readonly fast",
    keys=ONE_KEY,
    group="hash",
    since="7.4.0",
    complexity=EACH,
    summary="Returns the TTL in seconds of a hash field.",
)
def httl(client: ClientView, argv: Argv) -> list[int]:
    """HTTL key FIELDS numfields field [field ...]."""
    return [_seconds(_left(client, at)) for at in _deadlines(client, argv)]


@command(
    "hpttl",
    -5,
    flags="readonly fast",
    keys=ONE_KEY,
    group="hash",
    since="7.4.0",
    complexity=EACH,
    summary="Returns the TTL in milliseconds of a hash field.",
)
def hpttl(client: ClientView, argv: Argv) -> list[int]:
    """HPTTL key FIELDS numfields field [field ...]."""
    return [_left(client, at) for at in _deadlines(client, argv)]


@command(
    "hexpiretime",
    -5,
    flags="readonly fast",
    keys=ONE_KEY,
    group="hash",
    since="7.4.0",
    complexity=EACH,
    summary="Returns the expiration time of a hash field as a Unix timestamp, in seconds.",
)
def hexpiretime(client: ClientView, argv: Argv) -> list[int]:
    """HEXPIRETIME key FIELDS numfields field [field ...]."""
    return [_seconds(at) for at in _deadlines(client, argv)]


@command(
    "hpexpiretime",
    -5,
    flags="readonly fast",
    keys=ONE_KEY,
    group="hash",
    since="7.4.0",
    complexity=EACH,
    summary="Returns the expiration time of a hash field as a Unix timestamp, in msec.",
)
def hpexpiretime(client: ClientView, argv: Argv) -> list[int]:
    """HPEXPIRETIME key FIELDS numfields field [field ...]."""
    return _deadlines(client, argv)


@command(
    "hpersist",
    -5,
    flags="write fast",
    keys=ONE_KEY,
    group="hash",
    since="7.4.0",
    complexity=EACH,
    summary="Removes the expiration time for each specified field",
)
def hpersist(client: ClientView, argv: Argv) -> list[Any]:
    """HPERSIST key FIELDS numfields field [field ...]."""
    entry = modify_live(client, argv[1])
    fields = fields_of(entry)
    replies = []
    for name in _named(argv, 2, NOT_POSITIVE):
        if name not in fields:
            replies.append(NO_FIELD)
        elif isinstance(fields, Hash) and fields.persist(name):
            replies.append(SET)
        else:
            replies.append(NO_DEADLINE)
    lifted = replies.count(SET)
    if entry is not None and lifted:
        client.db.grew(entry, -sizes.FIELD_DEADLINE * lifted)
        client.db.event(events.HASH, "hpersist", argv[1])
    return replies
