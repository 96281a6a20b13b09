"""Keyspace notifications: what happens to keys, published to whoever subscribed.

`CONFIG SET notify-keyspace-events` names the classes (`store/events.py`) and the
channels: K for `__keyspace@<db>__:<key>`, whose message is the event, E for
`__keyevent@<db>__:<event>`, whose message is the key. While it is empty nothing here is
called, and a command pays for its events with one comparison.

Keys of a source are there for clients whether they are resident or not. So a load, a
refresh or a prefetch is no event at all: `new` tells of keys that a client made, and
`keymiss` of reads that found nothing in the database either. `expired` and `evicted`
tell that the cache let a key go, owned or not.

What this file does not do: find out what happened; the store and the handlers say so.
"""

from __future__ import annotations

from antecache.server.pubsub import PubSub
from antecache.server.store import Store, events


class Notifications:
    """Publishes the events of the classes that are listened to."""

    def __init__(self, store: Store, pubsub: PubSub) -> None:
        self._store = store
        self._pubsub = pubsub
        self._keyspace = self._keyevent = False
        store.on_event = self._publish

    def listen(self, letters: str) -> None:
        """notify-keyspace-events; without K and E nobody could be told of anything."""
        self._keyspace, self._keyevent = "K" in letters, "E" in letters
        classes = events.ALL if "A" in letters else 0
        for letter in letters:
            classes |= events.LETTERS.get(letter, 0)
        self._store.listen(classes if self._keyspace or self._keyevent else 0)

    def _publish(self, db: int, kind: int, name: str, key: bytes) -> None:
        event = name.encode()
        if self._keyspace:
            self._pubsub.publish(b"__keyspace@%d__:%b" % (db, key), event)
        if self._keyevent:
            self._pubsub.publish(b"__keyevent@%d__:%b" % (db, event), key)
