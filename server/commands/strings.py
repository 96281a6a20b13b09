"""Strings: GET, SET and what else reads or replaces a whole value or a part of one.

A string is an immutable `bytes`, so a reply is the value itself and nothing is
ever changed under a client that is still being written to; APPEND and SETRANGE
pay for that with a copy. A database row answers GET and MGET with its JSON; to
every other command of this file it is the wrong kind of value.

GET, SET and INCR are the hottest code of the product, hence their plainness.

What this file does not do: bits (`bitmaps.py`) and LCS (`lcs.py`).
"""

from __future__ import annotations

from antecache.server import longdouble
from antecache.server.backing.base import Row
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import (
    EXPIRE_OPTIONS,
    INT_MAX,
    INT_MIN,
    MILLISECOND,
    SECOND,
    expire_option,
    integer,
)
from antecache.server.encode import OK
from antecache.server.errors import (
    NAN_OR_INFINITY,
    NOT_FLOAT,
    NOT_INTEGER,
    OUT_OF_RANGE,
    OVERFLOW,
    STRING_TOO_LONG,
    SYNTAX,
    WRONGTYPE,
    ClientError,
    wrong_arity,
)
from antecache.server.store import Entry
from antecache.server.store import size as sizes

ONE_KEY = (1, 1, 1)
ALL_KEYS = (1, -1, 1)
PAIRS = (1, -1, 2)


@command(
    "get",
    2,
    flags="readonly fast",
    keys=ONE_KEY,
    group="string",
    summary="Returns the string value of a key.",
)
def get(client: ClientView, argv: Argv) -> bytes | None:
    """GET key."""
    entry = client.db.read(argv[1])
    if entry is None:
        return None
    value = entry.value
    if type(value) is bytes:
        return value
    if type(value) is Row:
        return _json(client, entry, value)
    raise ClientError(WRONGTYPE)


def _json(client: ClientView, entry: Entry, row: Row) -> bytes:
    """A row as GET shows it; the first time it is rendered, and charged for."""
    if row.rendered:
        return row.json()
    text = row.json()
    client.db.recharge(entry)
    return text


def string_of(entry: Entry | None) -> bytes | None:
    """The string in an entry, None for no entry; raises for any other type."""
    if entry is None:
        return None
    value = entry.value
    if type(value) is bytes:
        return value
    raise ClientError(WRONGTYPE)


def replace(client: ClientView, entry: Entry, value: bytes) -> None:
    """A string that was just looked up gets a new value and keeps its deadline."""
    old = entry.value
    entry.value = value
    if len(old) == len(value):
        client.db.changed(entry)
    else:
        key = entry.key
        client.db.grew(entry, sizes.of_string(key, value) - sizes.of_string(key, old))


@command(
    "set",
    -3,
    flags="write denyoom",
    keys=ONE_KEY,
    group="string",
    summary="Sets the string value of a key, ignoring its type. "
    "The key is created if it doesn't exist.",
)
def set_(client: ClientView, argv: Argv) -> bytes | None:
    """SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]."""
    if len(argv) == 3:
        client.db.set_string(argv[1], argv[2])
        return OK
    return _set_with_options(client, argv)


def _set_with_options(client: ClientView, argv: Argv) -> bytes | None:
    condition, get_old, keep, expire = b"", False, False, None
    at, count = 3, len(argv)
    while at < count:
        option = argv[at].upper()
        if option in (b"NX", b"XX") and condition in (b"", option):
            condition = option
        elif option == b"GET":
            get_old = True
        elif option == b"KEEPTTL" and expire is None:
            keep = True
        elif option in EXPIRE_OPTIONS and not keep and at + 1 < count:
            if expire is not None and expire[0] != option:
                raise ClientError(SYNTAX)
            expire = (option, argv[at + 1])
            at += 1
        else:
            raise ClientError(SYNTAX)
        at += 1
    db = client.db
    expire_at = 0 if expire is None else _expire_at(client, *expire, name="set")
    old = None
    if get_old:
        old = string_of(entry := db.read(argv[1]))
    elif condition:
        entry = db.modify(argv[1])
    else:
        entry = db.peek(argv[1])  # KEEPTTL keeps no deadline that has passed
    if condition and (entry is None) != (condition == b"NX"):
        return old
    db.put(argv[1], argv[2], expire_at, keep_deadline=keep)
    return old if get_old else OK


def _expire_at(client: ClientView, option: bytes, text: bytes, *, name: str) -> int:
    unit, relative = EXPIRE_OPTIONS[option]
    return expire_option(text, unit=unit, relative=relative, now=client.db.store.now, name=name)


@command(
    "setnx",
    3,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="string",
    summary="Set the string value of a key only when the key doesn't exist.",
)
def setnx(client: ClientView, argv: Argv) -> int:
    """SETNX key value."""
    if client.db.modify(argv[1]) is not None:
        return 0
    client.db.put(argv[1], argv[2])
    return 1


@command(
    "setex",
    4,
    flags="write denyoom",
    keys=ONE_KEY,
    group="string",
    since="2.0.0",
    summary="Sets the string value and expiration time of a key. "
    "Creates the key if it doesn't exist.",
)
def setex(client: ClientView, argv: Argv) -> bytes:
    """SETEX key seconds value."""
    return _set_for(client, argv, SECOND, "setex")


@command(
    "psetex",
    4,
    flags="write denyoom",
    keys=ONE_KEY,
    group="string",
    since="2.6.0",
    summary="Sets both string value and expiration time in milliseconds of a key. "
    "The key is created if it doesn't exist.",
)
def psetex(client: ClientView, argv: Argv) -> bytes:
    """PSETEX key milliseconds value."""
    return _set_for(client, argv, MILLISECOND, "psetex")


def _set_for(client: ClientView, argv: Argv, unit: int, name: str) -> bytes:
    now = client.db.store.now
    at = expire_option(argv[2], unit=unit, relative=True, now=now, name=name)
    client.db.put(argv[1], argv[3], at)
    return OK


@command(
    "getex",
    -2,
    flags="write fast",
    keys=ONE_KEY,
    group="string",
    since="6.2.0",
    summary="Returns the string value of a key after setting its expiration time.",
)
def getex(client: ClientView, argv: Argv) -> bytes | None:
    """GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]."""
    persist, expire = False, None
    at, count = 2, len(argv)
    while at < count:
        option = argv[at].upper()
        if option == b"PERSIST" and expire is None:
            persist = True
        elif option in EXPIRE_OPTIONS and not persist and at + 1 < count:
            if expire is not None and expire[0] != option:
                raise ClientError(SYNTAX)
            expire = (option, argv[at + 1])
            at += 1
        else:
            raise ClientError(SYNTAX)
        at += 1
    db = client.db
    entry = db.read(argv[1])
    value = string_of(entry)
    if entry is None:
        return None
    if expire is not None:
        expire_at = _expire_at(client, *expire, name="getex")
        if expire_at <= db.store.now:
            db.delete(argv[1])
        else:
            db.set_deadline(entry, expire_at)
    elif persist and entry.expire_at:
        db.set_deadline(entry, 0)
    return value


@command(
    "getdel",
    2,
    flags="write fast",
    keys=ONE_KEY,
    group="string",
    since="6.2.0",
    summary="Returns the string value of a key after deleting the key.",
)
def getdel(client: ClientView, argv: Argv) -> bytes | None:
    """GETDEL key."""
    value = string_of(client.db.read(argv[1]))
    if value is not None:
        client.db.delete(argv[1])
    return value


@command(
    "getset",
    3,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="string",
    summary="Returns the previous string value of a key after setting it to a new value.",
)
def getset(client: ClientView, argv: Argv) -> bytes | None:
    """GETSET key value."""
    old = string_of(client.db.read(argv[1]))
    client.db.put(argv[1], argv[2])
    return old


@command(
    "mget",
    -2,
    flags="readonly fast",
    keys=ALL_KEYS,
    group="string",
    complexity="O(N) where N is the number of keys to retrieve.",
    summary="Atomically returns the string values of one or more keys.",
)
def mget(client: ClientView, argv: Argv) -> list[bytes | None]:
    """MGET key [key ...]; a key of another type is nil."""
    read = client.db.read
    found: list[bytes | None] = []
    for key in argv[1:]:
        entry = read(key)
        value = None if entry is None else entry.value
        if type(value) is Row and entry is not None:
            value = _json(client, entry, value)
        found.append(value if type(value) is bytes else None)
    return found


@command(
    "mset",
    -3,
    flags="write denyoom",
    keys=PAIRS,
    group="string",
    since="1.0.1",
    complexity="O(N) where N is the number of keys to set.",
    summary="Atomically creates or modifies the string values of one or more keys.",
)
def mset(client: ClientView, argv: Argv) -> bytes:
    """MSET key value [key value ...]."""
    if len(argv) % 2 == 0:
        raise ClientError(wrong_arity("mset"))
    put = client.db.put
    for at in range(1, len(argv), 2):
        put(argv[at], argv[at + 1])
    return OK


@command(
    "msetnx",
    -3,
    flags="write denyoom",
    keys=PAIRS,
    group="string",
    since="1.0.1",
    complexity="O(N) where N is the number of keys to set.",
    summary="Atomically modifies the string values of one or more keys "
    "only when all keys don't exist.",
)
def msetnx(client: ClientView, argv: Argv) -> int:
    """MSETNX key value [key value ...]."""
    if len(argv) % 2 == 0:
        raise ClientError(wrong_arity("msetnx"))
    db = client.db
    for key in argv[1::2]:
        if db.modify(key) is not None:
            return 0
    for at in range(1, len(argv), 2):
        db.put(argv[at], argv[at + 1])
    return 1


def _count(client: ClientView, key: bytes, step: int) -> int:
    db = client.db
    entry = db.modify(key)
    if entry is None:
        db.put(key, b"%d" % step)
        return step
    value = entry.value
    if type(value) is not bytes:
        raise ClientError(WRONGTYPE)
    try:
        number = int(value)
    except ValueError:
        raise ClientError(NOT_INTEGER) from None
    if b"%d" % number != value or not INT_MIN <= number <= INT_MAX:
        raise ClientError(NOT_INTEGER)
    number += step
    if not INT_MIN <= number <= INT_MAX:
        raise ClientError(OVERFLOW)
    text = b"%d" % number
    if len(text) == len(value) and not db.store.observed:  # replace(), on the path of a counter
        entry.value = text
        db.store.dirty += 1
    else:
        replace(client, entry, text)
    return number


@command(
    "incr",
    2,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="string",
    summary="Increments the integer value of a key by one. Uses 0 as initial value "
    "if the key doesn't exist.",
)
def incr(client: ClientView, argv: Argv) -> int:
    """INCR key."""
    return _count(client, argv[1], 1)


@command(
    "decr",
    2,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="string",
    summary="Decrements the integer value of a key by one. Uses 0 as initial value "
    "if the key doesn't exist.",
)
def decr(client: ClientView, argv: Argv) -> int:
    """DECR key."""
    return _count(client, argv[1], -1)


@command(
    "incrby",
    3,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="string",
    summary="Increments the integer value of a key by a number. Uses 0 as initial value "
    "if the key doesn't exist.",
)
def incrby(client: ClientView, argv: Argv) -> int:
    """INCRBY key increment."""
    return _count(client, argv[1], integer(argv[2]))


@command(
    "decrby",
    3,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="string",
    summary="Decrements a number from the integer value of a key. Uses 0 as initial value "
    "if the key doesn't exist.",
)
def decrby(client: ClientView, argv: Argv) -> int:
    """DECRBY key decrement."""
    step = integer(argv[2])
    if step == INT_MIN:  # its opposite is no 64-bit integer
        raise ClientError("ERR decrement would overflow")
    return _count(client, argv[1], -step)


@command(
    "incrbyfloat",
    3,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="string",
    since="2.6.0",
    summary="Increment the floating point value of a key by a number. Uses 0 as initial value "
    "if the key doesn't exist.",
)
def incrbyfloat(client: ClientView, argv: Argv) -> bytes:
    """INCRBYFLOAT key increment."""
    entry = client.db.modify(argv[1])
    old = string_of(entry)
    number = longdouble.parse(b"0" if old is None else old)
    step = longdouble.parse(argv[2])
    if number is None or step is None:
        raise ClientError(NOT_FLOAT)
    text = longdouble.total(number, step)
    if text is None:
        raise ClientError(NAN_OR_INFINITY)
    if entry is None:
        client.db.put(argv[1], text)
    else:
        replace(client, entry, text)
    return text


@command(
    "append",
    3,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="string",
    since="2.0.0",
    complexity="O(N) where N is the length of the value.",
    summary="Appends a string to the value of a key. Creates the key if it doesn't exist.",
)
def append(client: ClientView, argv: Argv) -> int:
    """APPEND key value."""
    entry = client.db.modify(argv[1])
    if entry is None:
        client.db.put(argv[1], argv[2])
        return len(argv[2])
    old = string_of(entry)
    assert old is not None
    _check_length(client, len(old) + len(argv[2]))
    replace(client, entry, old + argv[2])
    return len(entry.value)


def _check_length(client: ClientView, length: int) -> None:
    if length > client.server.config.proto_max_bulk_len:
        raise ClientError(STRING_TOO_LONG)


@command(
    "strlen",
    2,
    flags="readonly fast",
    keys=ONE_KEY,
    group="string",
    since="2.2.0",
    summary="Returns the length of a string value.",
)
def strlen(client: ClientView, argv: Argv) -> int:
    """STRLEN key."""
    return len(string_of(client.db.read(argv[1])) or b"")


@command(
    "getrange",
    4,
    flags="readonly",
    keys=ONE_KEY,
    group="string",
    since="2.4.0",
    complexity="O(N) where N is the length of the returned string.",
    summary="Returns a substring of the string stored at a key.",
)
@command(
    "substr",
    4,
    flags="readonly",
    keys=ONE_KEY,
    group="string",
    complexity="O(N) where N is the length of the returned string.",
    summary="Returns a substring from a string value.",
)
def getrange(client: ClientView, argv: Argv) -> bytes:
    """GETRANGE key start end; SUBSTR is its old name."""
    start, end = integer(argv[2]), integer(argv[3])
    value = string_of(client.db.read(argv[1])) or b""
    if start < 0 and end < 0 and start > end:
        return b""
    if start < 0:
        start = max(0, start + len(value))
    if end < 0:  # an end before the first byte is the first byte
        end = max(0, end + len(value))
    return value[start : end + 1]


@command(
    "setrange",
    4,
    flags="write denyoom",
    keys=ONE_KEY,
    group="string",
    since="2.2.0",
    complexity="O(N) where N is the length of the value.",
    summary="Overwrites a part of a string value with another by an offset. "
    "Creates the key if it doesn't exist.",
)
def setrange(client: ClientView, argv: Argv) -> int:
    """SETRANGE key offset value."""
    offset, piece = integer(argv[2]), argv[3]
    if offset < 0:
        raise ClientError(OUT_OF_RANGE)
    entry = client.db.modify(argv[1])
    old = string_of(entry) or b""
    if not piece:
        return len(old)
    _check_length(client, offset + len(piece))
    value = old[:offset].ljust(offset, b"\0") + piece + old[offset + len(piece) :]
    if entry is None:
        client.db.put(argv[1], value)
    else:
        replace(client, entry, value)
    return len(value)
