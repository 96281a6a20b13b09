"""Deadlines of single fields: which hashes have some, and the removal of fields that are due.

A hash knows the deadlines of its own fields (`server/hash.py`) and may be asked for
those that are due. The commands of hashes do so for the key they look up, so none of
them shows an expired field; a cycle does it for every hash whose first deadline has
passed, so that they do not stay in memory, and nobody else pays anything.

The cycle finds them in a heap of (time, key). An item is not taken out when its hash
changes, is renamed or deleted: it is looked at when its time comes, and when half of
a heap that has grown is such litter, it is swept.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from antecache.server.store import events
from antecache.server.store.entry import Entry

if TYPE_CHECKING:
    from antecache.server.store.shard import Shard
    from antecache.server.store.store import Store

ROOM = 64  # items a heap may have before it is swept
ITEM = 150  # bytes of an item, with its key


class FieldDeadlines:
    """The hashes of a store some of whose fields will expire.

    expired   fields removed since the start
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._heap: list[tuple[int, int, Shard, bytes]] = []
        self._count = 0  # items ever pushed, so that equal times do not compare shards
        self._room = ROOM
        self.expired = 0

    @property
    def nbytes(self) -> int:
        """Estimated bytes of the heap."""
        return ITEM * len(self._heap)

    def watch(self, entry: Entry) -> None:
        """The value of `entry` is new, or has a new deadline; of no matter if it has none."""
        first = _first(entry.value)
        if first:
            self._push(first, entry.shard, entry.key)
            if len(self._heap) > self._room:
                self.sweep()

    def _push(self, at: int, shard: Shard, key: bytes) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, shard, key))

    def expire(self, entry: Entry) -> bool:
        """Remove the fields of a hash that are due; whether the key is still there."""
        store, value = self._store, entry.value
        removed = value.remove_due(store.now)
        if not removed:
            return True
        count, size = removed
        self.expired += count
        database = store.databases[entry.shard.db]
        database.grew(entry, -size)
        database.event(events.HASH, "hexpired", entry.key)
        if value:
            return True
        database.delete(entry.key)
        database.event(events.GENERIC, "del", entry.key)
        return False

    def cycle(self, stop: float) -> None:
        """Remove what is due everywhere, until `time.perf_counter()` is past `stop`."""
        heap, now = self._heap, self._store.now
        while heap and heap[0][0] <= now:
            _, _, shard, key = heapq.heappop(heap)
            entry = self._current(shard, key)
            if entry is not None and self.expire(entry):
                self.watch(entry)
            if time.perf_counter() > stop:
                break

    def _current(self, shard: Shard, key: bytes) -> Entry | None:
        """The entry of an item, None when it holds no such hash any more."""
        held = shard.data.get(key)
        return held if isinstance(held, Entry) and _first(held.value) else None

    def sweep(self) -> None:
        """Keep one item for each hash that is there."""
        current = {(id(shard), key): shard for _, _, shard, key in self._heap}
        self._heap = []
        for (_, key), shard in current.items():
            entry = self._current(shard, key)
            if entry is not None:
                self._push(entry.value.first_deadline, shard, key)
        self._room = max(ROOM, 2 * len(self._heap))

    def check(self, entries: Iterable[Entry]) -> None:
        """Every hash with deadlines is watched; raises AssertionError where one is not."""
        watched = {(id(shard), key): at for at, _, shard, key in sorted(self._heap, reverse=True)}
        for entry in entries:
            if _first(entry.value):
                at = watched.get((id(entry.shard), entry.key))
                first = min(entry.value.deadlines.values())
                assert at is not None and at <= first, entry.key


def _first(value: Any) -> int:
    """The first deadline of the fields of a value; 0 for none, and for what is no hash."""
    found: int = getattr(value, "first_deadline", 0)
    return found
