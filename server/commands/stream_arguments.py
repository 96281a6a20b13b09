"""What the commands on streams read out of their arguments, and how they look a stream up."""

from __future__ import annotations

import re
from typing import Any

from antecache.server.command import Argv, ClientView
from antecache.server.commands.arguments import integer
from antecache.server.errors import SYNTAX, WRONGTYPE, ClientError
from antecache.server.store import Entry
from antecache.server.stream import LAST, SEQUENCE, Fields, Group, Stream

BAD_ID = "ERR Invalid stream ID specified as stream command argument"
BAD_START = "ERR invalid start ID for the interval"
BAD_END = "ERR invalid end ID for the interval"
BOTH_TRIMS = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
NO_TRIM = "ERR syntax error, XTRIM must be called with a trimming strategy"
LIMIT_WITHOUT_TRIM = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
LIMIT_EXACT = "ERR syntax error, LIMIT cannot be used without the special ~ option"

LONGEST_ID = 127  # characters that Redis looks at
TRIM_LIMIT = 10_000  # entries that an approximate trim removes at most unless told otherwise

_NUMBER = re.compile(rb"\+?[0-9]+")


def stream_of(entry: Entry | None) -> Stream | None:
    """The stream in an entry, None for no entry; raises for any other type."""
    if entry is None:
        return None
    value = entry.value
    if type(value) is Stream:
        return value
    raise ClientError(WRONGTYPE)


def group_of(stream: Stream | None, key: bytes, name: bytes) -> Group:
    """A group that must be there."""
    group = stream.groups.get(name) if stream is not None else None
    if group is None:
        raise ClientError(f"NOGROUP No such key '{text(key)}' or consumer group '{text(name)}'")
    return group


def text(data: bytes) -> str:
    """A name in an error text."""
    return data.decode("utf-8", "surrogateescape")


def shown(key: int) -> bytes:
    """An id as clients see it."""
    return b"%d-%d" % (key >> 64, key & SEQUENCE)


def entry_of(key: int, fields: Fields) -> list[Any]:
    """An entry as clients see it."""
    return [shown(key), fields]


def _part(digits: bytes) -> int:
    if not _NUMBER.fullmatch(digits) or (number := int(digits)) > SEQUENCE:
        raise ClientError(BAD_ID)
    return number


def parse_id(argument: bytes, sequence: int = 0) -> int:
    """An id; `sequence` where none is given."""
    if len(argument) > LONGEST_ID:
        raise ClientError(BAD_ID)
    milliseconds, dash, rest = argument.partition(b"-")
    return _part(milliseconds) << 64 | (_part(rest) if dash else sequence)


def parse_any_id(argument: bytes, sequence: int = 0) -> int:
    """As `parse_id`, `-` and `+` for the smallest and the largest."""
    if argument == b"-":
        return 0
    return LAST if argument == b"+" else parse_id(argument, sequence)


def first_of(argument: bytes) -> int:
    """The beginning of an interval; `(` leaves the id itself out."""
    if len(argument) > 1 and argument[:1] == b"(":
        key = parse_id(argument[1:])
        if key == LAST:
            raise ClientError(BAD_START)
        return key + 1
    return parse_any_id(argument)


def last_of(argument: bytes) -> int:
    """The end of an interval; `(` leaves the id itself out."""
    if len(argument) > 1 and argument[:1] == b"(":
        key = parse_id(argument[1:], SEQUENCE)
        if not key:
            raise ClientError(BAD_END)
        return key - 1
    return parse_any_id(argument, SEQUENCE)


class Trim:
    """MAXLEN and MINID, and for XADD what else comes before the fields.

    given   whether the stream is to be trimmed
    create  False after NOMKSTREAM
    at      the position of the id, or of the end where none was found
    """

    __slots__ = ("at", "create", "given", "least", "length", "limit", "roughly")

    def __init__(self, argv: Argv, *, adds: bool) -> None:
        self.given, self.create, self.roughly = False, True, False
        self.length, self.least = 0, LAST + 1
        limit: int | None = None
        at, count = 2, len(argv)
        while at < count:
            more = count - 1 - at
            option = argv[at].upper()
            if adds and option == b"*":
                break
            if option in (b"MAXLEN", b"MINID") and more:
                at = self._strategy(argv, at)
            elif option == b"LIMIT" and more:
                at += 1
                limit = integer(argv[at])
                if limit < 0:
                    raise ClientError("ERR The LIMIT argument must be >= 0.")
            elif adds and option == b"NOMKSTREAM":
                self.create = False
            elif adds:
                new_id(argv[at])  # a mistake in it is told before one in the options
                break
            else:
                raise ClientError(SYNTAX)
            at += 1
        self.at = at
        if limit and not self.given:
            raise ClientError(LIMIT_WITHOUT_TRIM)
        if not adds and not self.given:
            raise ClientError(NO_TRIM)
        if limit is not None and not self.roughly:
            raise ClientError(LIMIT_EXACT)
        self.limit = TRIM_LIMIT if limit is None else limit

    def _strategy(self, argv: Argv, at: int) -> int:
        """MAXLEN or MINID, what stands between it and its argument, and that: where it is."""
        if self.given:
            raise ClientError(BOTH_TRIMS)
        longest = argv[at].upper() == b"MAXLEN"
        at += 1
        if at + 1 < len(argv) and argv[at] in (b"~", b"="):
            self.roughly = argv[at] == b"~"
            at += 1
        if longest:
            self.length = integer(argv[at])
            if self.length < 0:
                raise ClientError("ERR The MAXLEN argument must be >= 0.")
        else:
            self.least = parse_id(argv[at])
        self.given = True
        return at

    def apply(self, stream: Stream) -> int:
        """Trim; how many entries went."""
        if not self.roughly:
            return stream.trim(self.length, self.least)
        return stream.trim(self.length, self.least, roughly=True, limit=self.limit)


def new_id(argument: bytes) -> tuple[int, bool]:
    """The id for XADD, and whether its sequence number is given: `5-3`, `5`, `5-*`."""
    milliseconds, _, sequence = argument.partition(b"-")
    if sequence == b"*" and len(argument) <= LONGEST_ID:
        return _part(milliseconds) << 64, False
    return parse_id(argument), True


def book(client: ClientView, entry: Entry, *, told: bool = True) -> None:
    """The stream in `entry` was changed; `told`: in a way that those who watch it are told."""
    client.db.recharge(entry)
    if told:
        client.db.changed(entry)
    else:
        client.db.store.dirty += 1
