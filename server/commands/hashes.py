"""Hashes: HSET, HGET and the rest of the family.

The value is a dict of bytes in the order in which fields were first set. A
database row answers every reading command here as the hash of its columns; the
first command that changes it makes an ordinary hash of it (`Database.own`), which
stays the client's until the key is loaded again. A hash without fields does not
exist: the last HDEL deletes the key.

Fields may have deadlines (`hash_expiry.py`). Every look-up here (`read_live`, `modify_live`)
first removes those that are due.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from antecache.server import longdouble
from antecache.server.backing.base import Row
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import (
    INT_MAX,
    INT_MIN,
    ScanOptions,
    cursor,
    integer,
    symmetric,
)
from antecache.server.encode import OK, Tuples
from antecache.server.errors import (
    HASH_NOT_FLOAT,
    HASH_NOT_INTEGER,
    NAN_OR_INFINITY,
    NOT_FLOAT,
    OVERFLOW,
    SYNTAX,
    WRONGTYPE,
    ClientError,
    wrong_arity,
)
from antecache.server.hash import Hash
from antecache.server.store import Entry, events
from antecache.server.store import size as sizes

ONE_KEY = (1, 1, 1)
SCANNED_WHOLE = 512  # fields that HSCAN returns at once, as Redis does with a listpack
MAX_REPEATED = 10_000_000  # fields that HRANDFIELD may be asked to repeat
OUT_OF_RANGE = "ERR value is out of range"

Fields = dict[bytes, bytes]


def read_live(client: ClientView, key: bytes) -> Entry | None:
    """A client reads a key: what is there but for expired fields."""
    entry = client.db.read(key)
    return client.db.live(entry) if entry is not None and type(entry.value) is Hash else entry


def modify_live(client: ClientView, key: bytes) -> Entry | None:
    """As `read_live`, for a command that will change the hash."""
    entry = client.db.modify(key)
    return client.db.live(entry) if entry is not None and type(entry.value) is Hash else entry


def fields_of(entry: Entry | None) -> Fields:
    """The fields of a hash or a row, none for no entry; not to be changed."""
    if entry is None:
        return {}
    value = entry.value
    if isinstance(value, dict):
        return value
    if type(value) is Row:
        return value.fields()
    raise ClientError(WRONGTYPE)


def _store(client: ClientView, entry: Entry | None, argv: Argv, event: str = "hset") -> int:
    """Set the pairs from argv[2] on in a hash just looked up; returns how many fields are new.

    A field that is set loses its deadline; one that is counted up (another event) keeps it.
    """
    if entry is None:
        fields = dict(zip(argv[2::2], argv[3::2], strict=True))
        client.db.put(argv[1], fields)
        if client.db.store.events:
            client.db.event(events.HASH, event, argv[1])
        return len(fields)
    if not isinstance(entry.value, dict | Row):
        raise ClientError(WRONGTYPE)
    fields = client.db.own(entry)
    added = delta = 0
    if type(fields) is Hash and fields.deadlines and event == "hset":
        delta -= sizes.FIELD_DEADLINE * sum(map(fields.persist, argv[2::2]))
    for at in range(2, len(argv), 2):
        name, value = argv[at], argv[at + 1]
        old = fields.get(name)
        if old is None:
            added += 1
            delta += sizes.of_field(name, value)
        else:
            delta += len(value) - len(old)
        fields[name] = value
    if delta:
        client.db.grew(entry, delta)
    else:
        client.db.changed(entry)
    if client.db.store.events:  # a call less, for what is called most
        client.db.event(events.HASH, event, argv[1])
    return added


@command(
    "hset",
    -4,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="hash",
    since="2.0.0",
    complexity="O(1) for each field/value pair added, so O(N) to add N field/value pairs "
    "when the command is called with multiple field/value pairs.",
    summary="Creates or modifies the value of a field in a hash.",
)
def hset(client: ClientView, argv: Argv) -> int:
    """HSET key field value [field value ...]."""
    if len(argv) % 2:
        raise ClientError(wrong_arity("hset"))
    return _store(client, modify_live(client, argv[1]), argv)


@command(
    "hmset",
    -4,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="hash",
    since="2.0.0",
    complexity="O(N) where N is the number of fields being set.",
    summary="Sets the values of multiple fields.",
)
def hmset(client: ClientView, argv: Argv) -> bytes:
    """HMSET key field value [field value ...]."""
    if len(argv) % 2:
        raise ClientError(wrong_arity("hmset"))
    _store(client, modify_live(client, argv[1]), argv)
    return OK


@command(
    "hsetnx",
    4,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="hash",
    since="2.0.0",
    summary="Sets the value of a field in a hash only when the field doesn't exist.",
)
def hsetnx(client: ClientView, argv: Argv) -> int:
    """HSETNX key field value."""
    entry = modify_live(client, argv[1])
    return 0 if argv[2] in fields_of(entry) else _store(client, entry, argv)


@command(
    "hget",
    3,
    flags="readonly fast",
    keys=ONE_KEY,
    group="hash",
    since="2.0.0",
    summary="Returns the value of a field in a hash.",
)
def hget(client: ClientView, argv: Argv) -> bytes | None:
    """HGET key field."""
    entry = client.db.read(argv[1])
    if entry is None:
        return None
    value = entry.value
    if type(value) is Hash:
        return fields_of(client.db.live(entry)).get(argv[2])
    if isinstance(value, dict | Row):
        found: bytes | None = value.get(argv[2])
        return found
    raise ClientError(WRONGTYPE)


@command(
    "hmget",
    -3,
    flags="readonly fast",
    keys=ONE_KEY,
    group="hash",
    since="2.0.0",
    complexity="O(N) where N is the number of fields being requested.",
    summary="Returns the values of all fields in a hash.",
)
def hmget(client: ClientView, argv: Argv) -> list[bytes | None]:
    """HMGET key field [field ...]."""
    fields = fields_of(read_live(client, argv[1]))
    return [fields.get(name) for name in argv[2:]]


@command(
    "hgetall",
    2,
    flags="readonly",
    keys=ONE_KEY,
    group="hash",
    since="2.0.0",
    complexity="O(N) where N is the size of the hash.",
    summary="Returns all fields and values in a hash.",
)
def hgetall(client: ClientView, argv: Argv) -> Fields:
    """HGETALL key."""
    fields = fields_of(read_live(client, argv[1]))
    return fields if type(fields) is dict else dict(fields)


@command(
    "hkeys",
    2,
    flags="readonly",
    keys=ONE_KEY,
    group="hash",
    since="2.0.0",
    complexity="O(N) where N is the size of the hash.",
    summary="Returns all fields in a hash.",
)
def hkeys(client: ClientView, argv: Argv) -> list[bytes]:
    """HKEYS key."""
    return list(fields_of(read_live(client, argv[1])))


@command(
    "hvals",
    2,
    flags="readonly",
    keys=ONE_KEY,
    group="hash",
    since="2.0.0",
    complexity="O(N) where N is the size of the hash.",
    summary="Returns all values in a hash.",
)
def hvals(client: ClientView, argv: Argv) -> list[bytes]:
    """HVALS key."""
    return list(fields_of(read_live(client, argv[1])).values())


@command(
    "hlen",
    2,
    flags="readonly fast",
    keys=ONE_KEY,
    group="hash",
    since="2.0.0",
    summary="Returns the number of fields in a hash.",
)
def hlen(client: ClientView, argv: Argv) -> int:
    """HLEN key."""
    return len(fields_of(read_live(client, argv[1])))


@command(
    "hexists",
    3,
    flags="readonly fast",
    keys=ONE_KEY,
    group="hash",
    since="2.0.0",
    summary="Determines whether a field exists in a hash.",
)
def hexists(client: ClientView, argv: Argv) -> int:
    """HEXISTS key field."""
    return 0 if hget(client, argv) is None else 1


@command(
    "hstrlen",
    3,
    flags="readonly fast",
    keys=ONE_KEY,
    group="hash",
    since="3.2.0",
    summary="Returns the length of the value of a field.",
)
def hstrlen(client: ClientView, argv: Argv) -> int:
    """HSTRLEN key field."""
    return len(hget(client, argv) or b"")


@command(
    "hdel",
    -3,
    flags="write fast",
    keys=ONE_KEY,
    group="hash",
    since="2.0.0",
    complexity="O(N) where N is the number of fields to be removed.",
    summary="Deletes one or more fields and their values from a hash. "
    "Deletes the hash if no fields remain.",
)
def hdel(client: ClientView, argv: Argv) -> int:
    """HDEL key field [field ...]."""
    entry = modify_live(client, argv[1])
    fields = fields_of(entry)
    if entry is None or not any(name in fields for name in argv[2:]):
        return 0
    fields = client.db.own(entry)
    removed = delta = 0
    for name in argv[2:]:
        value = fields.pop(name, None)
        if value is not None:
            removed += 1
            delta -= sizes.of_field(name, value)
            if type(fields) is Hash and fields.persist(name):
                delta -= sizes.FIELD_DEADLINE
    client.db.event(events.HASH, "hdel", argv[1])
    if not fields:
        client.db.delete(argv[1])
        client.db.event(events.GENERIC, "del", argv[1])
    else:
        client.db.grew(entry, delta)
    return removed


@command(
    "hincrby",
    4,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="hash",
    since="2.0.0",
    summary="Increments the integer value of a field in a hash by a number. "
    "Uses 0 as initial value if the field doesn't exist.",
)
def hincrby(client: ClientView, argv: Argv) -> int:
    """HINCRBY key field increment."""
    step = integer(argv[3])
    entry = modify_live(client, argv[1])
    number = integer(fields_of(entry).get(argv[2], b"0"), HASH_NOT_INTEGER) + step
    if not INT_MIN <= number <= INT_MAX:
        raise ClientError(OVERFLOW)
    _store(client, entry, [*argv[:3], b"%d" % number], "hincrby")
    return number


@command(
    "hincrbyfloat",
    4,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="hash",
    since="2.6.0",
    summary="Increments the floating point value of a field by a number. "
    "Uses 0 as initial value if the field doesn't exist.",
)
def hincrbyfloat(client: ClientView, argv: Argv) -> bytes:
    """HINCRBYFLOAT key field increment."""
    step = longdouble.parse(argv[3])
    if step is None:
        raise ClientError(NOT_FLOAT)
    if step == longdouble.INFINITE:
        raise ClientError("ERR value is NaN or Infinity")
    entry = modify_live(client, argv[1])
    number = longdouble.parse(fields_of(entry).get(argv[2], b"0"))
    if number is None:
        raise ClientError(HASH_NOT_FLOAT)
    text = longdouble.total(number, step)
    if text is None:
        raise ClientError(NAN_OR_INFINITY)
    _store(client, entry, [*argv[:3], text], "hincrbyfloat")
    return text


@command(
    "hrandfield",
    -2,
    flags="readonly",
    keys=ONE_KEY,
    group="hash",
    since="6.2.0",
    complexity="O(N) where N is the number of fields returned",
    summary="Returns one or more random fields from a hash.",
)
def hrandfield(client: ClientView, argv: Argv) -> Any:
    """HRANDFIELD key [count [WITHVALUES]]; a negative count may repeat fields."""
    rng = client.db.store.random
    if len(argv) == 2:
        fields = fields_of(read_live(client, argv[1]))
        if not fields:
            return None
        return next(islice(fields, rng.randrange(len(fields)), None))
    count = symmetric(argv[2])
    with_values = len(argv) == 4
    if len(argv) > 4 or (with_values and argv[3].upper() != b"WITHVALUES"):
        raise ClientError(SYNTAX)
    if (with_values and abs(count) > INT_MAX // 2) or count < -MAX_REPEATED:
        raise ClientError(OUT_OF_RANGE)
    fields = fields_of(read_live(client, argv[1]))
    names = list(fields)
    if count < 0:
        chosen = rng.choices(names, k=-count) if names else []
    elif count >= len(names):
        chosen = names
    else:
        chosen = rng.sample(names, count)
    return Tuples((name, fields[name]) for name in chosen) if with_values else chosen


@command(
    "hscan",
    -3,
    flags="readonly",
    keys=ONE_KEY,
    group="hash",
    since="2.8.0",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command "
    "calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    summary="Iterates over fields and values of a hash.",
)
def hscan(client: ClientView, argv: Argv) -> list[bytes | list[bytes]]:
    """HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]."""
    position = cursor(argv[2])
    entry = read_live(client, argv[1])
    if entry is None:  # Redis does not look at the options then
        return [b"0", []]
    fields = fields_of(entry)
    options = ScanOptions(argv, 3, novalues=True)
    following, names = 0, list(fields)
    if isinstance(entry.value, dict) and len(names) > SCANNED_WHOLE:
        if not isinstance(fields, Hash):
            fields = entry.value = Hash(fields)
        following, names = fields.scan(position, options.count)
    if options.fits is not None:
        names = [name for name in names if options.fits(name)]
    if not options.values:
        return [b"%d" % following, names]
    pairs = [text for name in names for text in (name, fields[name])]
    return [b"%d" % following, pairs]
