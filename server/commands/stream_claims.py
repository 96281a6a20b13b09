"""XCLAIM and XAUTOCLAIM: what is pending with one consumer becomes another's.

An entry that has been deleted meanwhile can be nobody's: where one is met, it is
pending no more.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import INT_MAX, integer
from antecache.server.commands.stream_arguments import (
    book,
    entry_of,
    first_of,
    group_of,
    parse_id,
    shown,
    stream_of,
    text,
)
from antecache.server.errors import SYNTAX, ClientError
from antecache.server.store import events
from antecache.server.stream import Consumer, Group, Stream

ATTEMPTS = 10  # entries that XAUTOCLAIM looks at for each it may return
HIGHEST_COUNT = INT_MAX // 16


class Claim:
    """The options of XCLAIM, from argument `at` on."""

    __slots__ = ("count", "force", "justid", "last", "time")

    def __init__(self, argv: Argv, at: int, now: int) -> None:
        self.force = self.justid = False
        self.count = self.time = -1
        self.last = 0
        while at < len(argv):
            option, more = argv[at].upper(), at + 1 < len(argv)
            if option == b"FORCE":
                self.force = True
            elif option == b"JUSTID":
                self.justid = True
            elif option in (b"IDLE", b"TIME", b"RETRYCOUNT") and more:
                at += 1
                name = option.decode()
                number = integer(argv[at], f"ERR Invalid {name} option argument for XCLAIM")
                if option == b"RETRYCOUNT":
                    self.count = number
                else:
                    self.time = now - number if option == b"IDLE" else number
            elif option == b"LASTID" and more:
                at += 1
                self.last = parse_id(argv[at])
            else:
                raise ClientError(f"ERR Unrecognized XCLAIM option '{text(argv[at])}'")
            at += 1
        if not 0 <= self.time <= now:  # a clock that is ahead is no reason to fail
            self.time = now


def _consumer(client: ClientView, stream: Stream, group: Group, argv: Argv) -> Consumer:
    """The claiming consumer, created where it is new."""
    now = client.db.store.now
    consumer = group.consumers.get(argv[3])
    if consumer is None:
        consumer = stream.create_consumer(group, argv[3], now)
        client.db.event(events.STREAM, "xgroup-createconsumer", argv[1])
    consumer.seen = now
    return consumer


@command(
    "xclaim",
    -6,
    flags="write fast",
    keys=(1, 1, 1),
    group="stream",
    since="5.0.0",
    complexity="O(log N) with N being the number of messages in the PEL of the consumer group.",
    summary="Changes, or acquires, ownership of a message in a consumer group, as if the message "
    "was delivered a consumer group member.",
)
def xclaim(client: ClientView, argv: Argv) -> list[Any]:
    """XCLAIM key group consumer min-idle-time id [id ...] [option ...]."""
    entry = client.db.modify(argv[1])
    stream = stream_of(entry)
    group = group_of(stream, argv[1], argv[2])
    assert entry is not None and stream is not None
    now = client.db.store.now
    idle = integer(argv[4], "ERR Invalid min-idle-time argument for XCLAIM")
    keys: list[int] = []
    for argument in argv[5:]:
        try:
            keys.append(parse_id(argument))
        except ClientError:  # the options begin
            break
    claim = Claim(argv, 5 + len(keys), now)
    group.last = max(group.last, claim.last)
    consumer = _consumer(client, stream, group, argv)
    found: list[Any] = []
    for key in keys:
        fields = stream.entries.get(key)
        if fields is None:
            stream.acknowledge(group, key)
            continue
        pending = group.pending.get(key)
        if pending is None and not claim.force:
            continue
        if pending is not None and idle > 0 and now - pending.time < idle:
            continue
        count = 1 if pending is None else pending.count
        if claim.count >= 0:
            count = claim.count
        elif not claim.justid:
            count += 1
        stream.assign(group, key, consumer, claim.time, count)
        consumer.active = now
        found.append(shown(key) if claim.justid else entry_of(key, fields))
    book(client, entry, told=False)
    return found


@command(
    "xautoclaim",
    -6,
    flags="write fast",
    keys=(1, 1, 1),
    group="stream",
    since="6.2.0",
    complexity="O(1) if COUNT is small.",
    summary="Changes, or acquires, ownership of messages in a consumer group, as if the messages "
    "were delivered to as consumer group member.",
)
def xautoclaim(client: ClientView, argv: Argv) -> list[Any]:
    """XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID].

    Where to go on, what was claimed, and the ids that were pending and are deleted.
    """
    idle = integer(argv[4], "ERR Invalid min-idle-time argument for XAUTOCLAIM")
    start = first_of(argv[5])
    count, justid = 100, False
    at = 6
    while at < len(argv):
        option = argv[at].upper()
        if option == b"COUNT" and at + 1 < len(argv):
            at += 1
            count = integer(argv[at], "ERR COUNT must be > 0")
            if not 1 <= count <= HIGHEST_COUNT:
                raise ClientError("ERR COUNT must be > 0")
        elif option == b"JUSTID":
            justid = True
        else:
            raise ClientError(SYNTAX)
        at += 1
    entry = client.db.modify(argv[1])
    stream = stream_of(entry)
    group = group_of(stream, argv[1], argv[2])
    assert entry is not None and stream is not None
    now = client.db.store.now
    consumer = _consumer(client, stream, group, argv)
    following = 0
    claimed: list[Any] = []
    deleted: list[bytes] = []
    attempts = count * ATTEMPTS
    ahead = list(islice(group.pending.forward(start), min(attempts + 1, len(group.pending))))
    for seen, (key, pending) in enumerate(ahead):
        if seen == attempts or len(claimed) + len(deleted) == count:
            following = key
            break
        fields = stream.entries.get(key)
        if fields is None:
            stream.acknowledge(group, key)
            deleted.append(shown(key))
            continue
        if idle > 0 and now - pending.time < idle:
            continue
        stream.assign(group, key, consumer, now, pending.count + (0 if justid else 1))
        consumer.active = now
        claimed.append(shown(key) if justid else entry_of(key, fields))
    book(client, entry, told=False)
    return [shown(following), claimed, deleted]
