"""Publish and subscribe: SUBSCRIBE, PUBLISH, their pattern and shard forms, PUBSUB.

(UN)SUBSCRIBE is answered with one message for each name, which RESP3 sends as a push;
none of them can be silenced by CLIENT REPLY, as in Redis. Under RESP2 a connection that
is subscribed can do little else (`refusal`), since its client could not tell messages
from replies.

What this file does not do: keep or deliver anything (`server/pubsub.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from antecache.server.command import Argv, ClientView, Command, command, container
from antecache.server.commands.texts import too_many
from antecache.server.encode import Encoded, Push, encode
from antecache.server.errors import ClientError
from antecache.server.glob import MATCHES_ALL
from antecache.server.pubsub import CHANNEL, PATTERN, SHARD, names_of

FLAGS = "pubsub noscript loading stale"
PUBLISH = "pubsub loading stale fast"
ASK = "pubsub loading stale"

# What a subscribed connection may still run under RESP2.
ALLOWED = frozenset(
    "ping quit reset subscribe unsubscribe psubscribe punsubscribe ssubscribe sunsubscribe".split()
)


def refusal(client: Any, row: Command) -> str | None:
    """The error for a command that a subscribed connection may not run, or None."""
    if client.protocol != 2 or (row.parent is None and row.name in ALLOWED):
        return None
    return (
        f"ERR Can't execute '{row.full_name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
        "QUIT / RESET are allowed in this context"
    )


def _each(
    client: ClientView,
    word: bytes,
    names: list[bytes] | list[None],
    change: Callable[[Any], int],
) -> Encoded:
    """Change one subscription after another, each answered with the count it leaves."""
    pieces: list[bytes] = []
    for name in names:
        encode(Push([word, name, change(name)]), client.protocol, pieces)
    client.look()
    answer = Encoded(b"".join(pieces))
    if client.reply_mode == "on":
        return answer
    client.deliver(answer)
    return Encoded(b"")


def _subscribe(client: ClientView, argv: Argv, word: bytes, kind: int) -> Encoded:
    subscribe = client.server.pubsub.subscribe
    return _each(client, word, argv[1:], lambda name: subscribe(client, kind, name))


def _unsubscribe(client: ClientView, argv: Argv, word: bytes, kind: int) -> Encoded:
    unsubscribe = client.server.pubsub.unsubscribe
    names = argv[1:] or names_of(client, kind)
    if names:
        return _each(client, word, names, lambda name: unsubscribe(client, kind, name))
    return _each(client, word, [None], lambda _: unsubscribe(client, kind, b""))


@command(
    "subscribe",
    -2,
    flags=FLAGS,
    group="pubsub",
    since="2.0.0",
    complexity="O(N) where N is the number of channels to subscribe to.",
    summary="Listens for messages published to channels.",
)
def subscribe(client: ClientView, argv: Argv) -> Encoded:
    """SUBSCRIBE channel [channel ...]."""
    return _subscribe(client, argv, b"subscribe", CHANNEL)


@command(
    "unsubscribe",
    -1,
    flags=FLAGS,
    group="pubsub",
    since="2.0.0",
    complexity="O(N) where N is the number of channels to unsubscribe.",
    summary="Stops listening to messages posted to channels.",
)
def unsubscribe(client: ClientView, argv: Argv) -> Encoded:
    """UNSUBSCRIBE [channel ...]; all of them when none is named."""
    return _unsubscribe(client, argv, b"unsubscribe", CHANNEL)


@command(
    "psubscribe",
    -2,
    flags=FLAGS,
    group="pubsub",
    since="2.0.0",
    complexity="O(N) where N is the number of patterns to subscribe to.",
    summary="Listens for messages published to channels that match one or more patterns.",
)
def psubscribe(client: ClientView, argv: Argv) -> Encoded:
    """PSUBSCRIBE pattern [pattern ...]."""
    return _subscribe(client, argv, b"psubscribe", PATTERN)


@command(
    "punsubscribe",
    -1,
    flags=FLAGS,
    group="pubsub",
    since="2.0.0",
    complexity="O(N) where N is the number of patterns to unsubscribe.",
    summary="Stops listening to messages published to channels that match one or more patterns.",
)
def punsubscribe(client: ClientView, argv: Argv) -> Encoded:
    """PUNSUBSCRIBE [pattern ...]; all of them when none is named."""
    return _unsubscribe(client, argv, b"punsubscribe", PATTERN)


@command(
    "ssubscribe",
    -2,
    flags=FLAGS,
    keys=(1, -1, 1),
    group="pubsub",
    since="7.0.0",
    complexity="O(N) where N is the number of shard channels to subscribe to.",
    summary="Listens for messages published to shard channels.",
)
def ssubscribe(client: ClientView, argv: Argv) -> Encoded:
    """SSUBSCRIBE shardchannel [shardchannel ...]; not within a transaction, unlike SUBSCRIBE."""
    if client.transaction is not None:
        raise ClientError("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")
    return _subscribe(client, argv, b"ssubscribe", SHARD)


@command(
    "sunsubscribe",
    -1,
    flags=FLAGS,
    keys=(1, -1, 1),
    group="pubsub",
    since="7.0.0",
    complexity="O(N) where N is the number of shard channels to unsubscribe.",
    summary="Stops listening to messages posted to shard channels.",
)
def sunsubscribe(client: ClientView, argv: Argv) -> Encoded:
    """SUNSUBSCRIBE [shardchannel ...]; all of them when none is named."""
    return _unsubscribe(client, argv, b"sunsubscribe", SHARD)


@command(
    "publish",
    3,
    flags=PUBLISH,
    group="pubsub",
    since="2.0.0",
    complexity="O(N+M) where N is the number of clients subscribed to the receiving channel and M "
    "is the total number of subscribed patterns (by any client).",
    summary="Posts a message to a channel.",
)
def publish(client: ClientView, argv: Argv) -> int:
    """PUBLISH channel message: how many it was sent to."""
    return client.server.pubsub.publish(argv[1], argv[2])


@command(
    "spublish",
    3,
    flags=PUBLISH,
    keys=(1, 1, 1),
    group="pubsub",
    since="7.0.0",
    complexity="O(N) where N is the number of clients subscribed to the receiving shard channel.",
    summary="Post a message to a shard channel",
)
def spublish(client: ClientView, argv: Argv) -> int:
    """SPUBLISH shardchannel message: how many it was sent to."""
    return client.server.pubsub.publish_shard(argv[1], argv[2])


container(
    "pubsub",
    group="pubsub",
    since="2.8.0",
    complexity="Depends on subcommand.",
    summary="A container for Pub/Sub commands.",
)


def _active(client: ClientView, argv: Argv, kind: int) -> list[bytes]:
    if len(argv) > 3:
        raise too_many("PUBSUB", argv[1])
    return client.server.pubsub.active(kind, argv[2] if len(argv) == 3 else MATCHES_ALL)


def _numbers(client: ClientView, argv: Argv, kind: int) -> list[bytes | int]:
    found: list[bytes | int] = []
    for name in argv[2:]:
        found += (name, client.server.pubsub.subscribers(kind, name))
    return found


@command(
    "pubsub|channels",
    -2,
    flags=ASK,
    since="2.8.0",
    complexity="O(N) where N is the number of active channels, and assuming constant time pattern "
    "matching (relatively short channels and patterns)",
    summary="Returns the active channels.",
)
def channels(client: ClientView, argv: Argv) -> list[bytes]:
    """PUBSUB CHANNELS [pattern]."""
    return _active(client, argv, CHANNEL)


@command(
    "pubsub|shardchannels",
    -2,
    flags=ASK,
    since="7.0.0",
    complexity="O(N) where N is the number of active shard channels, and assuming constant time "
    "pattern matching (relatively short shard channels).",
    summary="Returns the active shard channels.",
)
def shardchannels(client: ClientView, argv: Argv) -> list[bytes]:
    """PUBSUB SHARDCHANNELS [pattern]."""
    return _active(client, argv, SHARD)


@command(
    "pubsub|numsub",
    -2,
    flags=ASK,
    since="2.8.0",
    complexity="O(N) for the NUMSUB subcommand, where N is the number of requested channels",
    summary="Returns a count of subscribers to channels.",
)
def numsub(client: ClientView, argv: Argv) -> list[bytes | int]:
    """PUBSUB NUMSUB [channel ...]: each channel and its subscribers."""
    return _numbers(client, argv, CHANNEL)


@command(
    "pubsub|shardnumsub",
    -2,
    flags=ASK,
    since="7.0.0",
    complexity="O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard "
    "channels",
    summary="Returns the count of subscribers of shard channels.",
)
def shardnumsub(client: ClientView, argv: Argv) -> list[bytes | int]:
    """PUBSUB SHARDNUMSUB [shardchannel ...]: each channel and its subscribers."""
    return _numbers(client, argv, SHARD)


@command(
    "pubsub|numpat",
    2,
    flags=ASK,
    since="2.8.0",
    summary="Returns a count of unique pattern subscriptions.",
)
def numpat(client: ClientView, argv: Argv) -> int:
    """PUBSUB NUMPAT."""
    return client.server.pubsub.count(PATTERN)
