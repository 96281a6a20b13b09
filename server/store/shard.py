"""A shard: one dictionary of entries and the index of those that expire.

Sixteen shards a database keep every pause short: one dictionary's resize, a scan
or an expiry cycle walks a sixteenth of the keys. The expiry index is a wheel of
one-second buckets, each a set of entries: moving a deadline is two set
operations, and the cycle looks only at buckets that are due.
"""

from __future__ import annotations

from antecache.server.store.entry import Entry


class Shard:
    """What is held by key, and the expiring entries by the second they are due.

    A value of `data` is an entry or a bare string: a string that nothing may evict,
    that does not expire and that no source owns needs none of what an entry adds.
    """

    __slots__ = ("data", "db", "deadlines", "due", "expiring", "scan_index", "wheel")

    def __init__(self, db: int, now: int) -> None:
        self.db = db
        self.data: dict[bytes, Entry | bytes] = {}
        self.wheel: dict[int, set[Entry]] = {}
        self.expiring = 0  # entries with a deadline
        self.deadlines = 0  # sum of their deadlines in ms, for INFO's avg_ttl
        self.due = now // 1000  # the next second whose bucket has not been emptied
        self.scan_index: list[tuple[int, bytes]] | None = None

    def set_deadline(self, entry: Entry, at: int) -> None:
        """Make `entry` expire at `at` (Unix ms), or never with 0."""
        old = entry.expire_at
        if old:
            self.expiring -= 1
            self.deadlines -= old
            bucket = self.wheel.get(old // 1000)
            if bucket is not None:
                bucket.discard(entry)
                if not bucket:
                    del self.wheel[old // 1000]
        entry.expire_at = at
        if at:
            self.expiring += 1
            self.deadlines += at
            # A deadline already passed goes into the bucket the next cycle empties.
            bucket = self.wheel.get(at // 1000)
            if bucket is None:
                bucket = self.wheel[at // 1000] = set()
            bucket.add(entry)
            if at // 1000 < self.due:
                self.due = at // 1000

    def expired(self, now: int, limit: int) -> list[Entry]:
        """Up to `limit` entries whose deadline has passed at `now`; does not remove them."""
        found: list[Entry] = []
        second, last = self.due, now // 1000
        if last - second > len(self.wheel):  # the clock jumped: look at what there is
            seconds = sorted(s for s in self.wheel if s <= last)
        else:
            seconds = list(range(second, last + 1))
        for second in seconds:
            bucket = self.wheel.get(second)
            if bucket is None:
                continue
            for entry in bucket:
                if entry.expire_at <= now:
                    found.append(entry)
                    if len(found) >= limit:
                        self.due = second
                        return found
        self.due = last
        return found

    def scan(self, position: int, count: int) -> tuple[int | None, list[bytes]]:
        """At least `count` keys (if there are that many) from `position` on, in hash order.

        Returns the next position, None at the end. The order is that of the keys'
        hashes, which do not change while the process lives, so a key present
        during a whole scan is returned however many come and go meanwhile. The
        sorted index is made when a scan enters the shard and dropped at its end.
        """
        from bisect import bisect_left

        index = self.scan_index
        if index is None or position == 0:
            index = self.scan_index = sorted((scan_hash(key), key) for key in self.data)
        start = bisect_left(index, (position, b""))
        stop = min(start + count, len(index))
        # Keys with one hash cannot be told apart by a cursor: take all of them.
        while 0 < stop < len(index) and index[stop][0] == index[stop - 1][0]:
            stop += 1
        keys = [key for _, key in index[start:stop] if key in self.data]
        if stop >= len(index):
            self.scan_index = None
            return None, keys
        return index[stop][0], keys


SCAN_BITS = 48


def scan_hash(key: bytes) -> int:
    """The position of a key in scans: bits of its hash that shards do not use."""
    return (hash(key) >> 8) & ((1 << SCAN_BITS) - 1)
