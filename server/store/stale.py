"""The attic: expired values kept a while, for when their database fails.

Only entries of a source with `stale_for` come here. They are no longer keys
(SCAN, EXISTS and DBSIZE do not see them), are charged to the budget, and are the
first to leave when it is short.
"""

from __future__ import annotations

from antecache.server.store.entry import Entry


class Attic:
    """Expired entries by key, oldest first; `size` is their bytes."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Entry] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Keep an entry that has just expired."""
        self.remove(entry.key)
        self._entries[entry.key] = entry
        self.size += entry.size

    def get(self, key: bytes, now: int) -> Entry | None:
        """The entry if its time as a stale answer (Unix ms `now`) has not passed."""
        entry = self._entries.get(key)
        if entry is None or self._until(entry) <= now:
            return None
        return entry

    def remove(self, key: bytes) -> None:
        """Forget a key, if it is here."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= entry.size

    def evict(self) -> bool:
        """Give up the entry kept longest; whether there was one."""
        for key in self._entries:
            self.remove(key)
            return True
        return False

    def expire(self, now: int) -> None:
        """Drop what is at the old end and past its time."""
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if self._until(entry) > now:
                return
            self.remove(key)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.size = 0

    def check(self) -> None:
        """Recount; raises AssertionError when the books are wrong."""
        assert self.size == sum(entry.size for entry in self._entries.values())

    @staticmethod
    def _until(entry: Entry) -> int:
        return entry.expire_at + (entry.origin.stale_ms if entry.origin is not None else 0)
