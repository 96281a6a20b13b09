"""DUMP and RESTORE: a value as bytes, and back, here or in a Redis.

A row that a source owns is dumped as the hash it answers as. IDLETIME and FREQ are
read and not needed: a restored key is as new to the eviction policy as any other.
"""

from __future__ import annotations

from antecache.server.buffer import settled
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import INT_MAX, integer
from antecache.server.commands.hashes import ONE_KEY
from antecache.server.dump import WrongFooter, dump, restore
from antecache.server.encode import OK
from antecache.server.errors import SYNTAX, ClientError
from antecache.server.hash import Hash
from antecache.server.store import events

SERIALIZE = (
    "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis "
    "objects composing the value and M their average size. For small string values the time "
    "complexity is thus O(1)+O(1*M) where M is small, so simply O(1)."
)
RECONSTRUCT = (
    "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where "
    "N is the number of Redis objects composing the value and M their average size. For small "
    "string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). "
    "However for sorted set values the complexity is O(N*M*log(N)) because inserting values into "
    "sorted sets is O(log(N))."
)


@command(
    "dump",
    2,
    flags="readonly",
    keys=ONE_KEY,
    since="2.6.0",
    complexity=SERIALIZE,
    summary="Returns a serialized representation of the value stored at a key.",
)
def dump_(client: ClientView, argv: Argv) -> bytes | None:
    """DUMP key."""
    db = client.db
    value = db.value(argv[1])
    if value is None or type(value) is bytes:  # a string held without an entry stays so
        return None if value is None else dump(value)
    entry = db.peek(argv[1])
    if entry is not None and type(value) is Hash:
        entry = db.live(entry)
    return None if entry is None else dump(settled(entry))


@command(
    "restore",
    -4,
    flags="write denyoom",
    keys=ONE_KEY,
    since="2.6.0",
    complexity=RECONSTRUCT,
    categories="dangerous",
    summary="Creates a key from the serialized representation of a value.",
)
def restore_(client: ClientView, argv: Argv) -> bytes:
    """RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]."""
    replace, absolute = _options(argv)
    db = client.db
    if not replace and db.modify(argv[1]) is not None:
        raise ClientError("BUSYKEY Target key name already exists.")
    at = integer(argv[2])
    if at < 0:
        raise ClientError("ERR Invalid TTL value, must be >= 0")
    try:
        value = restore(argv[3])
    except WrongFooter:
        raise ClientError("ERR DUMP payload version or checksum are wrong") from None
    except ValueError:
        raise ClientError("ERR Bad data format") from None
    deleted = replace and db.delete(argv[1])
    if at and not absolute:
        at += db.store.now
        if at > INT_MAX:  # as in C, where it becomes a time long past
            at -= 1 << 64
    if isinstance(value, Hash):
        value.remove_due(db.store.now)
    if (at and at <= db.store.now) or (isinstance(value, Hash) and not value):
        if deleted:
            db.event(events.GENERIC, "del", argv[1])
        return OK
    if type(value) is bytes and not at and not db.store.strings_observed:
        db.set_string(argv[1], value)
    else:
        db.store.fields.watch(db.put(argv[1], value, at))
    db.event(events.GENERIC, "restore", argv[1])
    return OK


def _options(argv: Argv) -> tuple[bool, bool]:
    """Whether to replace, and whether the time is absolute."""
    replace = absolute = False
    given = ""
    at = 4
    while at < len(argv):
        option = argv[at].upper()
        more = at + 1 < len(argv)
        if option == b"REPLACE":
            replace = True
        elif option == b"ABSTTL":
            absolute = True
        elif option == b"IDLETIME" and more and given != "freq":
            if integer(argv[at + 1]) < 0:
                raise ClientError("ERR Invalid IDLETIME value, must be >= 0")
            given = "idletime"
            at += 1
        elif option == b"FREQ" and more and given != "idletime":
            if not 0 <= integer(argv[at + 1]) <= 255:
                raise ClientError("ERR Invalid FREQ value, must be >= 0 and <= 255")
            given = "freq"
            at += 1
        else:
            raise ClientError(SYNTAX)
        at += 1
    return replace, absolute
