"""Parts of strings: APPEND, STRLEN, GETRANGE (once SUBSTR) and SETRANGE.

A short string is immutable, so APPEND and SETRANGE put a new one together; a long one
is changed in place, as the commands on bits do it (`server/buffer.py`). No string grows
beyond `proto-max-bulk-len`.
"""

from __future__ import annotations

from antecache.server.buffer import LARGE
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.bitmaps import bits_of, opened, read_bits, save
from antecache.server.commands.strings import ONE_KEY, replace
from antecache.server.errors import OUT_OF_RANGE, STRING_TOO_LONG, ClientError
from antecache.server.store import events


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
        client.db.event(events.STRING, "append", argv[1])
        return len(argv[2])
    old = bits_of(entry)
    length = len(old) + len(argv[2])
    _check_length(client, length)
    if len(old) < LARGE:
        replace(client, entry, bytes(old) + argv[2])
    else:
        data = opened(entry, 0)
        data += argv[2]
        save(client, argv[1], entry, data)
    client.db.event(events.STRING, "append", argv[1])
    return length


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
    return len(read_bits(client, argv[1]) or b"")


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
    value = read_bits(client, argv[1]) or b""
    if start < 0 and end < 0 and start > end:
        return b""
    if start < 0:
        start = max(0, start + len(value))
    if end < 0:  # an end before the first byte is the first byte
        end = max(0, end + len(value))
    return bytes(value[start : end + 1])


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
    old = bits_of(entry)
    if not piece:
        return len(old)
    end = offset + len(piece)
    _check_length(client, end)
    data = opened(entry, end)
    data[offset:end] = piece
    length = len(data)
    save(client, argv[1], entry, data)
    client.db.event(events.STRING, "setrange", argv[1])
    return length
