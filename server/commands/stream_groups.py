"""Consumer groups: XGROUP, XACK, XPENDING."""

from __future__ import annotations

from typing import Any

from antecache.server.command import Argv, ClientView, command, container
from antecache.server.commands.arguments import integer
from antecache.server.commands.stream_arguments import (
    book,
    first_of,
    group_of,
    last_of,
    parse_any_id,
    parse_id,
    shown,
    stream_of,
    text,
)
from antecache.server.encode import NULL_ARRAY, OK
from antecache.server.errors import SYNTAX, ClientError
from antecache.server.store import Entry, events
from antecache.server.stream import Group, Stream

KEY_SECOND = (2, 2, 1)
NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use "
    "the MKSTREAM option to create an empty stream automatically."
)
BUSY = "BUSYGROUP Consumer Group name already exists"
BAD_READ = "ERR value for ENTRIESREAD must be positive or -1"

container(
    "xgroup",
    group="stream",
    since="5.0.0",
    complexity="Depends on subcommand.",
    summary="A container for consumer groups commands.",
    help_lines="""CREATE <key> <groupname> <id|$> [option]
    Create a new consumer group. Options are:
    * MKSTREAM
      Create the empty stream if it does not exist.
    * ENTRIESREAD entries_read
      Set the group's entries_read counter (internal use).
CREATECONSUMER <key> <groupname> <consumer>
    Create a new consumer in the specified group.
DELCONSUMER <key> <groupname> <consumer>
    Remove the specified consumer.
DESTROY <key> <groupname>
    Remove the specified group.
SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]
    Set the current group ID and entries_read counter.""",
)


def _options(argv: Argv, *, creates: bool) -> tuple[bool, int | None]:
    """MKSTREAM and ENTRIESREAD of XGROUP CREATE and SETID."""
    create, read = False, -1
    at = 5
    while at < len(argv):
        option = argv[at].upper()
        if creates and option == b"MKSTREAM":
            create = True
        elif option == b"ENTRIESREAD" and at + 1 < len(argv):
            at += 1
            read = integer(argv[at])
            if read < -1:
                raise ClientError(BAD_READ)
        else:
            raise ClientError(
                f"ERR unknown subcommand or wrong number of arguments for '{text(argv[1])}'. "
                "Try XGROUP HELP."
            )
        at += 1
    return create, None if read < 0 else read


def _found(client: ClientView, argv: Argv) -> tuple[Entry, Stream]:
    entry = client.db.modify(argv[2])
    stream = stream_of(entry)
    if entry is None or stream is None:
        raise ClientError(NO_KEY)
    return entry, stream


def _group(stream: Stream, argv: Argv) -> Group:
    group = stream.groups.get(argv[3])
    if group is None:
        raise ClientError(
            f"NOGROUP No such consumer group '{text(argv[3])}' for key name '{text(argv[2])}'"
        )
    return group


@command(
    "xgroup|create",
    -5,
    flags="write denyoom",
    keys=KEY_SECOND,
    since="5.0.0",
    summary="Creates a consumer group.",
)
def create(client: ClientView, argv: Argv) -> bytes:
    """XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD entries-read]."""
    makes, read = _options(argv, creates=True)
    key, name = argv[2], argv[3]
    entry = client.db.modify(key)
    stream = stream_of(entry)
    if stream is None:
        if not makes:
            raise ClientError(NO_KEY)
        stream = Stream()
    last = stream.last if argv[4] == b"$" else parse_id(argv[4])
    if name in stream.groups:
        raise ClientError(BUSY)
    stream.create_group(name, last, read)
    if entry is None:
        client.db.put(key, stream)
    else:
        book(client, entry, told=False)
    client.db.event(events.STREAM, "xgroup-create", key)
    return OK


@command(
    "xgroup|setid",
    -5,
    flags="write",
    keys=KEY_SECOND,
    since="5.0.0",
    summary="Sets the last-delivered ID of a consumer group.",
)
def setid(client: ClientView, argv: Argv) -> bytes:
    """XGROUP SETID key group id | $ [ENTRIESREAD entries-read]."""
    _, read = _options(argv, creates=False)
    entry, stream = _found(client, argv)
    group = _group(stream, argv)
    group.last = stream.last if argv[4] == b"$" else parse_any_id(argv[4])
    group.read = read
    book(client, entry, told=False)
    client.db.event(events.STREAM, "xgroup-setid", argv[2])
    return OK


@command(
    "xgroup|destroy",
    4,
    flags="write",
    keys=KEY_SECOND,
    since="5.0.0",
    complexity="O(N) where N is the number of entries in the group's pending entries list (PEL).",
    summary="Destroys a consumer group.",
)
def destroy(client: ClientView, argv: Argv) -> int:
    """XGROUP DESTROY key group: whether it was there; who waits for its entries is told."""
    entry, stream = _found(client, argv)
    if argv[3] not in stream.groups:
        return 0
    stream.destroy_group(argv[3])
    book(client, entry)
    client.db.event(events.STREAM, "xgroup-destroy", argv[2])
    return 1


@command(
    "xgroup|createconsumer",
    5,
    flags="write denyoom",
    keys=KEY_SECOND,
    since="6.2.0",
    summary="Creates a consumer in a consumer group.",
)
def createconsumer(client: ClientView, argv: Argv) -> int:
    """XGROUP CREATECONSUMER key group consumer: whether it is new."""
    entry, stream = _found(client, argv)
    group = _group(stream, argv)
    if argv[4] in group.consumers:
        return 0
    stream.create_consumer(group, argv[4], client.db.store.now)
    book(client, entry, told=False)
    client.db.event(events.STREAM, "xgroup-createconsumer", argv[2])
    return 1


@command(
    "xgroup|delconsumer",
    5,
    flags="write",
    keys=KEY_SECOND,
    since="5.0.0",
    summary="Deletes a consumer from a consumer group.",
)
def delconsumer(client: ClientView, argv: Argv) -> int:
    """XGROUP DELCONSUMER key group consumer: how many entries were pending with it."""
    entry, stream = _found(client, argv)
    group = _group(stream, argv)
    consumer = group.consumers.get(argv[4])
    if consumer is None:
        return 0
    pending = len(consumer.pending)
    stream.remove_consumer(group, consumer)
    book(client, entry, told=False)
    client.db.event(events.STREAM, "xgroup-delconsumer", argv[2])
    return pending


@command(
    "xack",
    -4,
    flags="write fast",
    keys=(1, 1, 1),
    group="stream",
    since="5.0.0",
    complexity="O(1) for each message ID processed.",
    summary="Returns the number of messages that were successfully acknowledged by the consumer "
    "group member of a stream.",
)
def xack(client: ClientView, argv: Argv) -> int:
    """XACK key group id [id ...]."""
    entry = client.db.modify(argv[1])
    stream = stream_of(entry)
    group = stream.groups.get(argv[2]) if stream is not None else None
    if entry is None or stream is None or group is None:
        return 0
    keys = [parse_id(argument) for argument in argv[3:]]
    acknowledged = sum(stream.acknowledge(group, key) for key in keys)
    if acknowledged:
        book(client, entry, told=False)
    return acknowledged


@command(
    "xpending",
    -3,
    flags="readonly",
    keys=(1, 1, 1),
    group="stream",
    since="5.0.0",
    complexity="O(N) with N being the number of elements returned, so asking for a small fixed "
    "number of entries per call is O(1). O(M), where M is the total number of entries scanned when "
    "used with the IDLE filter. When the command returns just the summary and the list of "
    "consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating "
    "every consumer.",
    summary="Returns the information and entries from a stream consumer group's pending entries "
    "list.",
)
def xpending(client: ClientView, argv: Argv) -> list[Any]:
    """XPENDING key group [[IDLE min-idle-time] start end count [consumer]]."""
    if len(argv) != 3 and not 6 <= len(argv) <= 9:
        raise ClientError(SYNTAX)
    if len(argv) == 3:
        group = group_of(stream_of(client.db.read(argv[1])), argv[1], argv[2])
        return _summary(group)
    at, idle = 3, 0
    if argv[3].upper() == b"IDLE":
        idle = integer(argv[4])
        if len(argv) < 8:
            raise ClientError(SYNTAX)
        at = 5
    count = integer(argv[at + 2])
    first, last = first_of(argv[at]), last_of(argv[at + 1])
    group = group_of(stream_of(client.db.read(argv[1])), argv[1], argv[2])
    pending = group.pending
    if at + 3 < len(argv):
        consumer = group.consumers.get(argv[at + 3])
        if consumer is None:
            return []
        pending = consumer.pending
    now = client.db.store.now
    found: list[Any] = []
    for key, one in pending.forward(first, last):
        if len(found) >= count:
            break
        if not idle or now - one.time >= idle:
            found.append([shown(key), one.consumer.name, max(0, now - one.time), one.count])
    return found


def _summary(group: Group) -> list[Any]:
    pending = group.pending
    if not pending:
        return [0, None, None, NULL_ARRAY]
    owners = [
        [name, b"%d" % len(consumer.pending)]
        for name, consumer in sorted(group.consumers.items())
        if consumer.pending
    ]
    return [len(pending), shown(pending.first), shown(pending.last), owners]
