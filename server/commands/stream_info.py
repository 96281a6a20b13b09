"""XINFO: what a stream holds, its groups, and their consumers.

The fields about Redis's radix tree tell how many of its nodes a stream of this length
would take: clients print them.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from antecache.server.command import Argv, ClientView, command, container
from antecache.server.commands.arguments import integer
from antecache.server.commands.stream_arguments import entry_of, shown, stream_of, text
from antecache.server.errors import NO_SUCH_KEY, ClientError
from antecache.server.stream import NODE, Consumer, Group, Stream

KEY_SECOND = (2, 2, 1)
DEFAULT_COUNT = 10
BAD_OPTIONS = "ERR unknown subcommand or wrong number of arguments for '{}'. Try XINFO HELP."

container(
    "xinfo",
    group="stream",
    since="5.0.0",
    complexity="Depends on subcommand.",
    summary="A container for stream introspection commands.",
    help_lines="""CONSUMERS <key> <groupname>
    Show consumers of <groupname>.
GROUPS <key>
    Show the stream consumer groups.
STREAM <key> [FULL [COUNT <count>]
    Show information about the stream.""",
)


def _found(client: ClientView, key: bytes) -> Stream:
    stream = stream_of(client.db.read(key))
    if stream is None:
        raise ClientError(NO_SUCH_KEY)
    return stream


@command(
    "xinfo|stream",
    -3,
    flags="readonly",
    keys=KEY_SECOND,
    since="5.0.0",
    summary="Returns information about a stream.",
)
def stream_(client: ClientView, argv: Argv) -> dict[bytes, Any]:
    """XINFO STREAM key [FULL [COUNT count]]."""
    stream = _found(client, argv[2])
    count = DEFAULT_COUNT
    if len(argv) > 3:
        named = len(argv) == 4 or (len(argv) == 6 and argv[4].upper() == b"COUNT")
        if argv[3].upper() != b"FULL" or not named:
            raise ClientError(BAD_OPTIONS.format(text(argv[1])))
        if len(argv) == 6:
            count = integer(argv[5])
            if count < 0:
                count = DEFAULT_COUNT
    entries = stream.entries
    nodes = -(-len(entries) // NODE)
    found: dict[bytes, Any] = {
        b"length": len(entries),
        b"radix-tree-keys": nodes,
        b"radix-tree-nodes": nodes + 1,
        b"last-generated-id": shown(stream.last),
        b"max-deleted-entry-id": shown(stream.last_deleted),
        b"entries-added": stream.added,
        b"recorded-first-entry-id": shown(entries.first),
    }
    if len(argv) > 3:
        limit = count or None
        found[b"entries"] = [entry_of(*one) for one in islice(entries.forward(), limit)]
        found[b"groups"] = [
            _full(stream, name, group, limit) for name, group in sorted(stream.groups.items())
        ]
        return found
    found[b"groups"] = len(stream.groups)
    for name, key in ((b"first-entry", entries.first), (b"last-entry", entries.last)):
        fields = entries.get(key)
        found[name] = None if fields is None else entry_of(key, fields)
    return found


def _full(stream: Stream, name: bytes, group: Group, limit: int | None) -> dict[bytes, Any]:
    return {
        b"name": name,
        b"last-delivered-id": shown(group.last),
        b"entries-read": group.read,
        b"lag": stream.lag(group),
        b"pel-count": len(group.pending),
        b"pending": [
            [shown(key), one.consumer.name, one.time, one.count]
            for key, one in islice(group.pending.forward(), limit)
        ],
        b"consumers": [
            _full_consumer(consumer, limit) for _, consumer in sorted(group.consumers.items())
        ],
    }


def _full_consumer(consumer: Consumer, limit: int | None) -> dict[bytes, Any]:
    return {
        b"name": consumer.name,
        b"seen-time": consumer.seen,
        b"active-time": consumer.active,
        b"pel-count": len(consumer.pending),
        b"pending": [
            [shown(key), one.time, one.count]
            for key, one in islice(consumer.pending.forward(), limit)
        ],
    }


@command(
    "xinfo|groups",
    3,
    flags="readonly",
    keys=KEY_SECOND,
    since="5.0.0",
    summary="Returns a list of the consumer groups of a stream.",
)
def groups(client: ClientView, argv: Argv) -> list[dict[bytes, Any]]:
    """XINFO GROUPS key; a number of entries read, or a lag, that is not known is null."""
    stream = _found(client, argv[2])
    return [
        {
            b"name": name,
            b"consumers": len(group.consumers),
            b"pending": len(group.pending),
            b"last-delivered-id": shown(group.last),
            b"entries-read": group.read,
            b"lag": stream.lag(group),
        }
        for name, group in sorted(stream.groups.items())
    ]


@command(
    "xinfo|consumers",
    4,
    flags="readonly",
    keys=KEY_SECOND,
    since="5.0.0",
    summary="Returns a list of the consumers in a consumer group.",
)
def consumers(client: ClientView, argv: Argv) -> list[dict[bytes, Any]]:
    """XINFO CONSUMERS key group."""
    stream = _found(client, argv[2])
    group = stream.groups.get(argv[3])
    if group is None:
        raise ClientError(
            f"NOGROUP No such consumer group '{text(argv[3])}' for key name '{text(argv[2])}'"
        )
    now = client.db.store.now
    return [
        {
            b"name": name,
            b"pending": len(consumer.pending),
            b"idle": max(0, now - consumer.seen),
            b"inactive": -1 if consumer.active < 0 else now - consumer.active,
        }
        for name, consumer in sorted(group.consumers.items())
    ]
