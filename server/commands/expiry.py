"""Deadlines: EXPIRE and its family, TTL and its family, PERSIST.

A deadline is Unix milliseconds, 0 for never. EXPIRE takes times in the past, and
then deletes: on a key that a source owns, that is an invalidation. A deadline on
such a key is the client's; it holds until the value is loaded or written again.

What this file does not do: expire anything (the store does, when a key is looked
up and in its cycle), or fields of hashes.
"""

from __future__ import annotations

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import MILLISECOND, SECOND, deadline
from antecache.server.errors import ClientError
from antecache.server.store import events

ONE_KEY = (1, 1, 1)


@command(
    "expire",
    -3,
    flags="write fast",
    keys=ONE_KEY,
    summary="Sets the expiration time of a key in seconds.",
)
def expire(client: ClientView, argv: Argv) -> int:
    """EXPIRE key seconds [NX | XX | GT | LT]."""
    return _expire(client, argv, SECOND, relative=True, name="expire")


@command(
    "pexpire",
    -3,
    flags="write fast",
    keys=ONE_KEY,
    since="2.6.0",
    summary="Sets the expiration time of a key in milliseconds.",
)
def pexpire(client: ClientView, argv: Argv) -> int:
    """PEXPIRE key milliseconds [NX | XX | GT | LT]."""
    return _expire(client, argv, MILLISECOND, relative=True, name="pexpire")


@command(
    "expireat",
    -3,
    flags="write fast",
    keys=ONE_KEY,
    since="1.2.0",
    summary="Sets the expiration time of a key to a Unix timestamp.",
)
def expireat(client: ClientView, argv: Argv) -> int:
    """EXPIREAT key unix-seconds [NX | XX | GT | LT]."""
    return _expire(client, argv, SECOND, relative=False, name="expireat")


@command(
    "pexpireat",
    -3,
    flags="write fast",
    keys=ONE_KEY,
    since="2.6.0",
    summary="Sets the expiration time of a key to a Unix milliseconds timestamp.",
)
def pexpireat(client: ClientView, argv: Argv) -> int:
    """PEXPIREAT key unix-milliseconds [NX | XX | GT | LT]."""
    return _expire(client, argv, MILLISECOND, relative=False, name="pexpireat")


def _expire(client: ClientView, argv: Argv, unit: int, *, relative: bool, name: str) -> int:
    conditions = _conditions(argv)
    db = client.db
    now = db.store.now
    at = deadline(argv[2], unit=unit, relative=relative, now=now, name=name)
    entry = db.modify(argv[1])
    if entry is None:
        return 0
    if conditions:
        old = entry.expire_at  # 0, never, is later than any time
        if (
            (b"NX" in conditions and old)
            or (b"XX" in conditions and not old)
            or (b"GT" in conditions and (not old or at <= old))
            or (b"LT" in conditions and old and at >= old)
        ):
            return 0
    if at <= now:
        db.delete(argv[1])
        db.event(events.GENERIC, "del", argv[1])
    else:
        db.set_deadline(entry, at)
        if db.store.events:
            db.event(events.GENERIC, "expire", argv[1])
    return 1


def _conditions(argv: Argv) -> set[bytes]:
    """The options of EXPIRE: some of NX, XX, GT, LT."""
    given = set()
    for argument in argv[3:]:
        option = argument.upper()
        if option not in (b"NX", b"XX", b"GT", b"LT"):
            text = argument.decode("utf-8", "replace")
            raise ClientError(f"ERR Unsupported option {text}")
        given.add(option)
    if b"NX" in given and len(given) > 1:
        raise ClientError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if given >= {b"GT", b"LT"}:
        raise ClientError("ERR GT and LT options at the same time are not compatible")
    return given


@command(
    "ttl",
    2,
    flags="readonly fast",
    keys=ONE_KEY,
    summary="Returns the expiration time in seconds of a key.",
)
def ttl(client: ClientView, argv: Argv) -> int:
    """TTL key: seconds, -1 without a deadline, -2 without a key."""
    return _seconds(_time_left(client, argv[1]))


@command(
    "pttl",
    2,
    flags="readonly fast",
    keys=ONE_KEY,
    since="2.6.0",
    summary="Returns the expiration time in milliseconds of a key.",
)
def pttl(client: ClientView, argv: Argv) -> int:
    """PTTL key: milliseconds, -1 without a deadline, -2 without a key."""
    return _time_left(client, argv[1])


@command(
    "expiretime",
    2,
    flags="readonly fast",
    keys=ONE_KEY,
    since="7.0.0",
    summary="Returns the expiration time of a key as a Unix timestamp.",
)
def expiretime(client: ClientView, argv: Argv) -> int:
    """EXPIRETIME key: Unix seconds, -1 without a deadline, -2 without a key."""
    return _seconds(_deadline_of(client, argv[1]))


@command(
    "pexpiretime",
    2,
    flags="readonly fast",
    keys=ONE_KEY,
    since="7.0.0",
    summary="Returns the expiration time of a key as a Unix milliseconds timestamp.",
)
def pexpiretime(client: ClientView, argv: Argv) -> int:
    """PEXPIRETIME key: Unix milliseconds, -1 without a deadline, -2 without a key."""
    return _deadline_of(client, argv[1])


def _deadline_of(client: ClientView, key: bytes) -> int:
    entry = client.db.read(key)
    if entry is None:
        return -2
    return entry.expire_at or -1


def _time_left(client: ClientView, key: bytes) -> int:
    at = _deadline_of(client, key)
    return at if at < 0 else max(0, at - client.db.store.now)


def _seconds(milliseconds: int) -> int:
    """To the nearest second, as Redis rounds; the negative answers stay."""
    return milliseconds if milliseconds < 0 else (milliseconds + 500) // 1000


@command(
    "persist",
    2,
    flags="write fast",
    keys=ONE_KEY,
    since="2.2.0",
    summary="Removes the expiration time of a key.",
)
def persist(client: ClientView, argv: Argv) -> int:
    """PERSIST key."""
    entry = client.db.modify(argv[1])
    if entry is None or not entry.expire_at:
        return 0
    client.db.set_deadline(entry, 0)
    client.db.event(events.GENERIC, "persist", argv[1])
    return 1
