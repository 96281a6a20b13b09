"""XREAD and XREADGROUP: entries after an id, at once or as soon as there are some.

What a client asks for, and what answers it, is the same whether it had to wait or not:
a command that finds nothing raises `Blocked`, and runs again when one of its streams
has changed. `$` is then the id it stood for at first.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from antecache.server.blocked import Blocked
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.blocking import milliseconds
from antecache.server.commands.stream_arguments import (
    book,
    entry_of,
    parse_id,
    shown,
    stream_of,
    text,
)
from antecache.server.encode import NULL_ARRAY, PairArrays
from antecache.server.errors import SYNTAX, ClientError
from antecache.server.store import Entry, events
from antecache.server.stream import LAST, Consumer, Group, Stream

MEANINGLESS = (
    "ERR The {0} ID is meaningless in the context of XREADGROUP: you want to read the history of "
    "this consumer by specifying a proper ID, or use the > ID to get new messages. "
    "The {0} ID would just return an empty result set."
)
ONLY_GROUPS = (
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
    "<consumer> option."
)
ONLY_XREADGROUP = "ERR The {} option is only supported by XREADGROUP. You called XREAD instead."


class Request:
    """The arguments of XREAD or XREADGROUP.

    keys, ids  the streams, and where reading begins in each, as sent
    count      entries of each stream, 0 for all
    timeout    milliseconds, None without BLOCK
    """

    __slots__ = ("consumer", "count", "group", "ids", "keys", "noack", "timeout")

    def __init__(self, argv: Argv, now: int, *, grouped: bool) -> None:
        self.count = 0
        self.timeout: int | None = None
        self.group: bytes | None = None
        self.consumer = b""
        self.noack = False
        at, end = 1, len(argv)
        while at < end:
            more = end - at - 1
            option = argv[at].upper()
            if option == b"BLOCK" and more:
                at += 1
                self.timeout = milliseconds(argv[at], now)
            elif option == b"COUNT" and more:
                at += 1
                self.count = max(0, integer(argv[at]))
            elif option == b"STREAMS" and more:
                break
            elif option == b"GROUP" and more >= 2:
                if not grouped:
                    raise ClientError(ONLY_XREADGROUP.format("GROUP"))
                self.group, self.consumer = argv[at + 1], argv[at + 2]
                at += 2
            elif option == b"NOACK":
                if not grouped:
                    raise ClientError(ONLY_XREADGROUP.format("NOACK"))
                self.noack = True
            else:
                raise ClientError(SYNTAX)
            at += 1
        else:
            raise ClientError(SYNTAX)
        count, odd = divmod(end - at - 1, 2)
        if odd:
            name, symbol = ("xreadgroup", ">") if grouped else ("xread", "$")
            raise ClientError(
                f"ERR Unbalanced '{name}' list of streams: for each stream key an ID or "
                f"'{symbol}' must be specified."
            )
        if grouped and self.group is None:
            raise ClientError("ERR Missing GROUP option for XREADGROUP")
        self.keys, self.ids = argv[at + 1 : at + 1 + count], argv[at + 1 + count :]


def keys_of(argv: Argv) -> list[bytes]:
    """The keys of XREAD and XREADGROUP: the first half of what follows STREAMS."""
    at = 1
    while at < len(argv):
        option = argv[at].upper()
        if option == b"STREAMS":
            count, odd = divmod(len(argv) - at - 1, 2)
            return [] if odd else argv[at + 1 : at + 1 + count]
        steps = {b"BLOCK": 2, b"COUNT": 2, b"GROUP": 3, b"NOACK": 1}.get(option)
        if steps is None:
            return []
        at += steps
    return []


@command(
    "xread",
    -4,
    flags="readonly blocking",
    keys_of=keys_of,
    group="stream",
    since="5.0.0",
    complexity="For each stream mentioned: O(N) with N being the number of elements being "
    "returned, it means that XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option "
    "is used, XADD will pay O(M) time in order to serve the M clients blocked on the stream "
    "getting new data.",
    summary="Returns messages from multiple streams with IDs greater than the ones requested. "
    "Blocks until a message is available otherwise.",
)
def xread(client: ClientView, argv: Argv) -> Any:
    """XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]."""
    request = Request(argv, client.db.store.now, grouped=False)
    after: list[tuple[bytes, Stream | None, int]] = []
    for key, argument in zip(request.keys, request.ids, strict=True):
        stream = stream_of(client.db.read(key))
        if argument == b"$":
            place = 0 if stream is None else stream.last
        elif argument == b"+":
            place = stream.entries.last - 1 if stream is not None and stream.entries else 0
        elif argument == b">":
            raise ClientError(ONLY_GROUPS)
        else:
            place = parse_id(argument)
        after.append((key, stream, place))
    found = PairArrays(
        (key, [entry_of(*one) for one in _taken(stream, place, request.count)])
        for key, stream, place in after
        if stream is not None and stream.entries.last > place
    )
    if found:
        return found
    if request.timeout is None:
        return NULL_ARRAY
    resolved = [
        shown(place) if argument == b"$" else argument
        for argument, (_, _, place) in zip(request.ids, after, strict=True)
    ]
    again = [*argv[: len(argv) - len(resolved)], *resolved]
    raise Blocked(request.keys, "stream", request.timeout, argv=again)


def _taken(stream: Stream, after: int, count: int) -> Any:
    return islice(stream.entries.forward(after + 1), count or None)


@command(
    "xreadgroup",
    -7,
    flags="write blocking",
    keys_of=keys_of,
    group="stream",
    since="5.0.0",
    complexity="For each stream mentioned: O(M) with M being the number of elements returned. If M "
    "is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it "
    "O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve "
    "the N clients blocked on the stream getting new data.",
    summary="Returns new or historical messages from a stream for a consumer in a group. "
    "Blocks until a message is available otherwise.",
)
def xreadgroup(client: ClientView, argv: Argv) -> Any:
    """XREADGROUP GROUP group consumer [COUNT count] [BLOCK ms] [NOACK] STREAMS key ... id ..."""
    db = client.db
    request = Request(argv, db.store.now, grouped=True)
    assert request.group is not None
    after: list[tuple[Entry, Stream, Group, int]] = []
    for key, argument in zip(request.keys, request.ids, strict=True):
        entry = db.read(key)
        stream = stream_of(entry)
        group = stream.groups.get(request.group) if stream is not None else None
        if entry is None or stream is None or group is None:
            raise ClientError(
                f"NOGROUP No such key '{text(key)}' or consumer group '{text(request.group)}' "
                "in XREADGROUP with GROUP option"
            )
        if argument in (b"$", b"+"):
            raise ClientError(MEANINGLESS.format(argument.decode()))
        after.append((entry, stream, group, LAST if argument == b">" else parse_id(argument)))
    found = PairArrays()
    for key, (entry, stream, group, place) in zip(request.keys, after, strict=True):
        consumer = group.consumers.get(request.consumer)
        if consumer is None:
            consumer = stream.create_consumer(group, request.consumer, db.store.now)
            db.event(events.STREAM, "xgroup-createconsumer", key)
            book(client, entry, told=False)
        consumer.seen = db.store.now
        if place != LAST:
            found.append((key, _history(stream, consumer, place, request.count, db.store.now)))
        elif stream.entries.last > group.last:
            found.append((key, _delivered(stream, group, consumer, request, db.store.now)))
            book(client, entry, told=False)
    if found:
        return found
    if request.timeout is None:
        return NULL_ARRAY
    raise Blocked(request.keys, "stream", request.timeout, always=True)


def _history(stream: Stream, consumer: Consumer, after: int, count: int, now: int) -> list[Any]:
    """What is pending with a consumer; null instead of the fields of a deleted entry."""
    found: list[Any] = []
    for key, pending in islice(consumer.pending.forward(after + 1), count or None):
        fields = stream.entries.get(key)
        if fields is None:
            found.append([shown(key), NULL_ARRAY])
        else:
            pending.time = now
            pending.count += 1
            found.append(entry_of(key, fields))
    return found


def _delivered(
    stream: Stream, group: Group, consumer: Consumer, request: Request, now: int
) -> list[Any]:
    """Entries that the group has not been handed yet; they are pending from now on."""
    found: list[Any] = []
    for key, fields in _taken(stream, group.last, request.count):
        stream.advance(group, key)
        if not request.noack:
            stream.assign(group, key, consumer, now, 1)
            consumer.active = now
        found.append(entry_of(key, fields))
    return found
