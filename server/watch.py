"""WATCH: which connections watch which keys, and what makes EXEC refuse.

The registry is an observer of the store, and only while somebody watches: every
write is cheaper without one. Whatever changes a watched key (a client, its
expiry, its eviction, a flush) marks the connection dirty; a load from the
database behind the cache is no change, the store reports none.

One report is not a change: an invalidation of a key that is not there. Redis
ignores `DEL missing`, and so does WATCH here, except for keys that a source
owns, since the client may have read one meanwhile that was loaded without a word.

What this file does not do: the transaction itself (`commands/transactions.py`).
"""

from __future__ import annotations

from typing import Protocol

from antecache.server.store import Store

Place = tuple[int, bytes]  # a database's number and a key


class Watcher(Protocol):
    """What the registry keeps up to date in a session."""

    watched: set[Place]
    transaction_dirty: bool


class Watches:
    """The watched keys of all connections."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Of each place: who watches, and whether the key was there when they began.
        self._watchers: dict[Place, dict[Watcher, bool]] = {}

    def __len__(self) -> int:
        return len(self._watchers)

    def watch(self, client: Watcher, db: int, key: bytes) -> None:
        """From now on a change of `key` marks `client` dirty."""
        place = (db, key)
        if place in client.watched:
            return
        # A key whose time has come is gone; looked at now, its end is no change.
        present = self._store.databases[db].peek(key) is not None
        client.watched.add(place)
        self._watchers.setdefault(place, {})[client] = present
        self._store.observe(self._changed)

    def forget(self, client: Watcher) -> None:
        """UNWATCH, the end of a transaction, or of the connection."""
        for place in client.watched:
            watchers = self._watchers[place]
            del watchers[client]
            if not watchers:
                del self._watchers[place]
        client.watched.clear()
        client.transaction_dirty = False
        if not self._watchers:
            self._store.unobserve(self._changed)

    def dirty(self, client: Watcher) -> bool:
        """Whether a key that `client` watches has changed, or its time has come, since."""
        for db, key in client.watched:
            if client.transaction_dirty:
                break
            self._store.databases[db].peek(key)  # what has expired is reported now
        return client.transaction_dirty

    def _changed(self, db: int, key: bytes) -> None:
        watchers = self._watchers.get((db, key))
        if watchers is None:
            return
        database = self._store.databases[db]
        if key not in database.dicts[hash(key) & database.mask] and not self._owned(db, key):
            for client, was_there in watchers.items():
                if was_there:
                    client.transaction_dirty = True
            return
        for client in watchers:
            client.transaction_dirty = True

    def _owned(self, db: int, key: bytes) -> bool:
        owner = self._store.owner
        return db == 0 and owner is not None and owner(key) is not None
