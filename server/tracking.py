"""Client-side caching: who remembers which keys, and who is told when they change.

A client that tracks is sent `invalidate` when a key it may have kept changes. In the
ordinary mode a table remembers which client read which key: by name alone, whatever the
database, and until the next change only, as in Redis (`tracking.c`). In broadcasting
mode nothing is remembered: every change of a key that starts with one of the client's
prefixes is told, gathered into one message for each turn of the event loop.

What changes a key is the store's news: writes, expiry, eviction. Three more things
change what a client may have kept, though no client changed anything, because a database
stands behind the cache:

- A load that brings a value for a key somebody read as absent, or as a stale value
  while the database failed. It is told before the reply that waits for the load goes
  out, so that the reader itself may keep what it is about to get.
- The end of a negative answer: from then on a read might find a row.
- A prefetch or a refresh, which is a load like any other.

The table holds at most `limit` keys (tracking-table-max-keys); the oldest leaves, and
its clients are told, since from then on nobody would tell them.

What this file does not do: find out which keys a command reads (dispatch does, for
clients that track), or the commands (`commands/client_tracking.py`).
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from antecache.server.encode import Push, encode
from antecache.server.readers import Readers
from antecache.server.store import Store

CHANNEL = b"__redis__:invalidate"  # where a RESP2 client that others redirect to is told
NOBODY = 0  # the number of no client

Keys = list[bytes] | None  # None: all of them


class Tracked:
    """How one client tracks.

    bcast      broadcasting, for the keys that start with one of `prefixes`
    optin, optout   only, or all but, what is read after CLIENT CACHING (`caching`)
    noloop     its own changes are not told
    redirect   the number of the connection that is told instead, or NOBODY
    broken     that connection has gone
    """

    __slots__ = ("bcast", "broken", "caching", "noloop", "optin", "optout", "prefixes", "redirect")

    def __init__(self) -> None:
        self.bcast = self.optin = self.optout = self.noloop = False
        self.broken = self.caching = False
        self.redirect = NOBODY
        self.prefixes: list[bytes] = []


class Client(Protocol):
    """What tracking needs of a connection."""

    id: int
    protocol: int
    subscriptions: Any
    tracking: Tracked | None

    def deliver(self, data: bytes) -> None:
        """Send bytes outside the order of replies."""


class Prefix:
    """The broadcasting clients of one prefix, and what changed since the last message.

    changed   key to the client that changed it; NOBODY when several did, or none
    """

    __slots__ = ("changed", "clients")

    def __init__(self) -> None:
        self.clients: dict[int, Client] = {}
        self.changed: dict[bytes, int] = {}


class Tracking:
    """The table, the prefixes, and the messages that come of them.

    clients   how many connections track
    table     the keys that clients may have kept
    prefixes  of the broadcasting clients
    """

    def __init__(
        self,
        store: Store,
        sessions: Mapping[int, Any],
        current: Callable[[], Client | None],
        limit: int,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._current = current
        self.limit = limit
        self.clients = 0
        self.table = Readers()
        self.prefixes: dict[bytes, Prefix] = {}
        self._absent: list[tuple[int, bytes]] = []  # a heap: until when a key is known absent
        self._absent_until: dict[bytes, int] = {}  # what of it is the latest
        self._scheduled = False
        store.on_load = self._loaded

    # -- clients ------------------------------------------------------------

    def begin(self, client: Client, state: Tracked) -> None:
        """CLIENT TRACKING ON. A client that tracks already keeps its prefixes and adds to them."""
        if client.tracking is None:
            self.clients += 1
            if self.clients == 1:
                self._store.observe(self._changed)
        client.tracking = state
        if state.bcast:
            for prefix in state.prefixes:
                self.prefixes.setdefault(prefix, Prefix()).clients[client.id] = client

    def end(self, client: Client) -> None:
        """CLIENT TRACKING OFF, RESET, or the end of a connection.

        Its number stays in the table until the keys change: nobody is found under it then.
        """
        state = client.tracking
        if state is None:
            return
        for name in state.prefixes:
            prefix = self.prefixes[name]
            del prefix.clients[client.id]
            if not prefix.clients:
                del self.prefixes[name]
        client.tracking = None
        self.clients -= 1
        if not self.clients:
            self._store.unobserve(self._changed)
            self._clear()

    def _clear(self) -> None:
        self.table.clear()
        self._absent.clear()
        self._absent_until.clear()

    def read(self, client: Client, keys: Iterable[bytes]) -> None:
        """A command of a client that tracks has read these keys."""
        state = client.tracking
        if state is None:
            return
        if (state.optin and not state.caching) or (state.optout and state.caching):
            return
        self._note_absent(keys)
        if not state.bcast:
            for key in keys:
                self.table.add(key, client.id)
            self.trim()

    def trim(self) -> None:
        """Keep the table within its limit; 0 is none."""
        while 0 < self.limit < len(self.table):
            self._tell_readers(self.table.oldest(), NOBODY)

    # -- what changes -------------------------------------------------------

    def _changed(self, db: int, key: bytes) -> None:
        """The store's news: a key was changed by a client, has expired or was evicted."""
        current = None if self._store.involuntary else self._current()
        by = NOBODY if current is None else current.id
        if key in self.table:
            self._tell_readers(key, by)
        for prefix in self._prefixes_of(key):
            prefix.changed[key] = by if prefix.changed.get(key, by) == by else NOBODY
            if not self._scheduled:
                self._scheduled = True
                asyncio.get_running_loop().call_soon(self._broadcast)

    def _loaded(self, db: int, key: bytes) -> None:
        """A value came from the database: what anybody kept of this key is out of date."""
        if key in self.table:
            self._tell_readers(key, NOBODY)
        for prefix in self._prefixes_of(key):
            self._tell(prefix.clients.values(), [key])

    def _note_absent(self, keys: Iterable[bytes]) -> None:
        negative = self._store.negative
        if negative:
            for key in keys:
                until = negative.get(key)
                if until is not None and self._absent_until.get(key) != until:
                    self._absent_until[key] = until
                    heapq.heappush(self._absent, (until, key))

    def tick(self) -> None:
        """Negative answers whose time has come are no answers any more."""
        now = self._store.now
        while self._absent and self._absent[0][0] <= now:
            until, key = heapq.heappop(self._absent)
            if self._absent_until.get(key) == until:
                del self._absent_until[key]
            if self._store.negative.get(key, 0) <= now:
                self._loaded(0, key)

    @contextmanager
    def flushing(self) -> Iterator[None]:
        """While databases are flushed: clients are told once that everything is gone."""
        self._store.unobserve(self._changed)
        try:
            yield
        finally:
            if self.clients:
                self._store.observe(self._changed)
                self._clear()
                self._tell([c for c in self._sessions.values() if c.tracking is not None], None)

    # -- telling ------------------------------------------------------------

    def _prefixes_of(self, key: bytes) -> Iterator[Prefix]:
        for name, prefix in self.prefixes.items():
            if key.startswith(name):
                yield prefix

    def _tell_readers(self, key: bytes, by: int) -> None:
        """Tell those who may have kept `key`, and forget them; `by` is who changed it."""
        told: list[Client] = []
        for number in self.table.take(key):
            client = self._sessions.get(number)
            state = None if client is None else client.tracking
            if client is None or state is None or state.bcast or (state.noloop and number == by):
                continue
            told.append(client)
        self._tell(told, [key])

    def _broadcast(self) -> None:
        self._scheduled = False
        for prefix in self.prefixes.values():
            changed, prefix.changed = dict(sorted(prefix.changed.items())), {}
            if not changed:
                continue
            everybody: list[Client] = []
            for number, client in prefix.clients.items():
                if client.tracking is not None and client.tracking.noloop:
                    keys = [key for key, by in changed.items() if by != number]
                    if len(keys) < len(changed):
                        if keys:
                            self._tell([client], keys)
                        continue
                everybody.append(client)
            self._tell(everybody, list(changed))

    def _tell(self, clients: Iterable[Client], keys: Keys) -> None:
        """Send one invalidation to several clients, or to where they are redirected."""
        forms: dict[int, bytes] = {}
        for client in clients:
            state = client.tracking
            if state is None:
                continue
            target: Client | None = client
            if state.redirect != NOBODY:
                target = self._sessions.get(state.redirect)
                if target is None:
                    state.broken = True
                    if client.protocol > 2:
                        client.deliver(_encoded(["tracking-redir-broken", state.redirect], 3))
                    continue
            assert target is not None
            if target.protocol == 2 and (state.redirect == NOBODY or target.subscriptions is None):
                continue  # it could not tell the message from a reply
            data = forms.get(target.protocol)
            if data is None:
                words = ["invalidate"] if target.protocol > 2 else ["message", CHANNEL]
                data = forms[target.protocol] = _encoded([*words, keys], target.protocol)
            target.deliver(data)


def _encoded(words: list[Any], protocol: int) -> bytes:
    pieces: list[bytes] = []
    message = Push(word.encode() if isinstance(word, str) else word for word in words)
    encode(message, protocol, pieces)
    return b"".join(pieces)
