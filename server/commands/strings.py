"""Strings: GET, SET and what else reads or replaces a whole value.

A string is an immutable `bytes`, so a reply is the value itself and nothing is
ever changed under a client that is still being written to. A database row
answers GET and MGET with its JSON; to every other command on strings it is the
wrong kind of value.

GET and SET are the hottest code of the product, hence their plainness.

What this file does not do: counters (`counters.py`), parts of strings
(`substrings.py`, `lcs.py`) and bits (`bitmaps.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from antecache.server.backing.base import Row
from antecache.server.buffer import Buffer, settled
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import (
    EXPIRE_OPTIONS,
    MILLISECOND,
    SECOND,
    expire_option,
)
from antecache.server.encode import BULK, CRLF, OK, SHORT
from antecache.server.errors import (
    SYNTAX,
    WRONGTYPE,
    ClientError,
    wrong_arity,
)
from antecache.server.store import Entry, events
from antecache.server.store import size as sizes

ONE_KEY = (1, 1, 1)
ALL_KEYS = (1, -1, 1)
PAIRS = (1, -1, 2)


def _alike(commands: Sequence[Argv], first: int, count: int) -> list[Argv]:
    """The commands from `first` on that have its name, in its spelling, and `count` arguments."""
    name = commands[first][0]
    alike: list[Argv] = []
    for argv in commands[first:] if first else commands:
        if len(argv) != count or argv[0] != name:
            break
        alike.append(argv)
    return alike


def _get_batch(client: ClientView, commands: Sequence[Argv], first: int, out: list[bytes]) -> int:
    """Consecutive GETs of what is there."""
    found = client.db.strings([argv[1] for argv in _alike(commands, first, 2)])
    for value in found:
        size = len(value)
        out += (BULK[size] if size < SHORT else b"$%d\r\n" % size, value, CRLF)
    return len(found)


@command(
    "get",
    2,
    batch=_get_batch,
    flags="readonly fast",
    keys=ONE_KEY,
    group="string",
    summary="Returns the string value of a key.",
)
def get(client: ClientView, argv: Argv) -> bytes | None:
    """GET key."""
    value = client.db.value(argv[1])
    if type(value) is bytes or value is None:
        return value
    if type(value) is Row:
        return _json(client, argv[1], value)
    return string_of(client.db.peek(argv[1]))


def _json(client: ClientView, key: bytes, row: Row) -> bytes:
    """A row as GET shows it; the first time it is rendered, and charged for."""
    if row.rendered:
        return row.json()
    text = row.json()
    entry = client.db.peek(key)
    if entry is not None:
        client.db.recharge(entry)
    return text


def string_of(entry: Entry | None) -> bytes | None:
    """The string in an entry, None for no entry; raises for any other type."""
    if entry is None:
        return None
    value = settled(entry)
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


def _set_batch(client: ClientView, commands: Sequence[Argv], first: int, out: list[bytes]) -> int:
    """Consecutive SETs without options."""
    alike = _alike(commands, first, 3)
    put = client.db.set_string
    for _, key, value in alike:
        put(key, value)
    out += [OK] * len(alike)
    return len(alike)


@command(
    "set",
    -3,
    batch=_set_batch,
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
    if db.store.events:
        _tell(client, argv[1], expire=expire is not None)
    return old if get_old else OK


def _tell(client: ClientView, key: bytes, *, expire: bool) -> None:
    client.db.event(events.STRING, "set", key)
    if expire:
        client.db.event(events.GENERIC, "expire", key)


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
    client.db.set_string(argv[1], argv[2])
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
    if client.db.store.events:
        _tell(client, argv[1], expire=True)
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
            db.event(events.GENERIC, "del", argv[1])
        else:
            db.set_deadline(entry, expire_at)
            db.event(events.GENERIC, "expire", argv[1])
    elif persist and entry.expire_at:
        db.set_deadline(entry, 0)
        db.event(events.GENERIC, "persist", argv[1])
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
        client.db.event(events.GENERIC, "del", argv[1])
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
    client.db.set_string(argv[1], argv[2])
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
    keys = argv[1:]
    found: list[bytes | None] = [*client.db.strings(keys)]
    read = client.db.value
    for key in keys[len(found) :]:
        value = read(key)
        if type(value) is Row:
            value = _json(client, key, value)
        elif type(value) is Buffer:
            value = string_of(client.db.peek(key))
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
    put = client.db.set_string
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
        db.set_string(argv[at], argv[at + 1])
    return 1
