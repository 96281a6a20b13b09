"""Who subscribes to what, and how a message reaches them.

Three kinds of names, each with a registry of its own: channels, patterns of channels,
and the shard channels of SSUBSCRIBE, which one server treats like channels that no
pattern sees. A connection holds its names too, so that closing it costs what it
subscribed to and nothing more.

A message is encoded once for each protocol that some subscriber speaks, however many
there are, and handed to each connection as bytes (`deliver_soon`). That makes one write
of what a turn of the loop brings, keeps it behind the reply of a command in progress,
and closes a subscriber whose unread messages pass client-output-buffer-limit. Delivery
is in the order of publication, at most once, and nothing is kept for those who are not
there.

What this file does not do: the commands (`commands/pubsub.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from antecache.server.encode import Push, encode
from antecache.server.glob import MATCHES_ALL, Matcher, matcher

CHANNEL, PATTERN, SHARD = range(3)

Subscriptions = tuple[dict[bytes, None], dict[bytes, None], dict[bytes, None]]
"""The names of one connection by kind, each in the order of subscription."""


class Subscriber(Protocol):
    """What pub/sub needs of a connection."""

    protocol: int
    subscriptions: Subscriptions | None  # None: to nothing

    def deliver_soon(self, data: bytes) -> None:
        """Send bytes outside the order of replies, in this turn of the loop."""


Registry = dict[bytes, dict[Subscriber, None]]


class PubSub:
    """The subscriptions of all connections.

    clients   how many connections are subscribed to anything
    """

    def __init__(self) -> None:
        self._names: tuple[Registry, Registry, Registry] = ({}, {}, {})
        self._matchers: dict[bytes, Matcher] = {}
        self.clients = 0

    # -- subscribing --------------------------------------------------------

    def subscribe(self, client: Subscriber, kind: int, name: bytes) -> int:
        """Add a name; returns what the client's reply counts: names of this kind."""
        held = client.subscriptions
        if held is None:
            held = client.subscriptions = ({}, {}, {})
            self.clients += 1
        if name not in held[kind]:
            held[kind][name] = None
            self._names[kind].setdefault(name, {})[client] = None
            if kind == PATTERN and name not in self._matchers:
                self._matchers[name] = _always if name == MATCHES_ALL else matcher(name)
        return _count(held, kind)

    def unsubscribe(self, client: Subscriber, kind: int, name: bytes) -> int:
        """Take a name away, if it is there; returns what the client's reply counts."""
        held = client.subscriptions
        if held is None:
            return 0
        if name in held[kind]:
            del held[kind][name]
            self._drop(client, kind, name)
        left = _count(held, kind)
        if not any(held):
            client.subscriptions = None
            self.clients -= 1
        return left

    def forget(self, client: Subscriber) -> None:
        """RESET, or the end of a connection: it is subscribed to nothing."""
        held = client.subscriptions
        if held is None:
            return
        for kind, names in enumerate(held):
            for name in names:
                self._drop(client, kind, name)
        client.subscriptions = None
        self.clients -= 1

    def _drop(self, client: Subscriber, kind: int, name: bytes) -> None:
        clients = self._names[kind][name]
        del clients[client]
        if not clients:
            del self._names[kind][name]
            if kind == PATTERN:
                del self._matchers[name]

    # -- publishing ---------------------------------------------------------

    def publish(self, channel: bytes, message: bytes) -> int:
        """Send to the channel's subscribers, then to those of patterns; returns how many."""
        clients = self._names[CHANNEL].get(channel)
        receivers = _send(clients, Push([b"message", channel, message])) if clients else 0
        for pattern, fits in self._matchers.items():
            if fits(channel):
                push = Push([b"pmessage", pattern, channel, message])
                receivers += _send(self._names[PATTERN][pattern], push)
        return receivers

    def publish_shard(self, channel: bytes, message: bytes) -> int:
        """Send to the subscribers of a shard channel; returns how many."""
        clients = self._names[SHARD].get(channel)
        return _send(clients, Push([b"smessage", channel, message])) if clients else 0

    # -- what PUBSUB and INFO ask -------------------------------------------

    def active(self, kind: int, pattern: bytes = MATCHES_ALL) -> list[bytes]:
        """The names of a kind that match a glob pattern and have subscribers."""
        if pattern == MATCHES_ALL:
            return list(self._names[kind])
        return list(filter(matcher(pattern), self._names[kind]))

    def subscribers(self, kind: int, name: bytes) -> int:
        """How many connections are subscribed to a name."""
        return len(self._names[kind].get(name, ()))

    def count(self, kind: int) -> int:
        """How many names of a kind have subscribers."""
        return len(self._names[kind])


def names_of(client: Any, kind: int) -> list[bytes]:
    """What a connection is subscribed to, of one kind."""
    return [] if client.subscriptions is None else list(client.subscriptions[kind])


def _count(held: Subscriptions, kind: int) -> int:
    """Channels and patterns are counted together, as Redis does."""
    return len(held[SHARD]) if kind == SHARD else len(held[CHANNEL]) + len(held[PATTERN])


def _always(_: bytes) -> bool:
    return True


def _send(clients: Iterable[Subscriber], push: Push) -> int:
    forms: dict[int, bytes] = {}
    receivers = 0
    for client in clients:
        data = forms.get(client.protocol)
        if data is None:
            pieces: list[bytes] = []
            encode(push, client.protocol, pieces)
            data = forms[client.protocol] = b"".join(pieces)
        client.deliver_soon(data)
        receivers += 1
    return receivers
