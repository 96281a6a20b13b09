"""Counters in strings: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT.

An integer counter is the decimal text of a signed 64-bit number, exactly as Redis
writes one; anything else (a blank, a plus sign, a leading zero) is no counter. A
floating point counter is a decimal text that is counted in 80 bits
(`longdouble.py`). A counter keeps its deadline.

INCR is hot code: it does by itself what `replace` does wherever the length of the
text stays the same and nobody watches.
"""

from __future__ import annotations

from antecache.server import longdouble
from antecache.server.buffer import Buffer
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import INT_MAX, INT_MIN, integer
from antecache.server.commands.strings import ONE_KEY, replace, string_of
from antecache.server.errors import (
    NAN_OR_INFINITY,
    NOT_FLOAT,
    NOT_INTEGER,
    OVERFLOW,
    WRONGTYPE,
    ClientError,
)
from antecache.server.store import events


def _count(client: ClientView, key: bytes, step: int) -> int:
    db = client.db
    entry = db.modify(key)
    if entry is None:
        db.put(key, b"%d" % step)
        db.event(events.STRING, "incrby", key)
        return step
    value = entry.value
    if type(value) is not bytes:
        raise ClientError(NOT_INTEGER if type(value) is Buffer else WRONGTYPE)
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
        db.event(events.STRING, "incrby", key)
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
    client.db.event(events.STRING, "incrbyfloat", argv[1])
    return text
