"""The value of a hash that is more than its fields.

A hash is a plain dict until something must be remembered beside its fields; then
it becomes a `Hash`, a dict with a few slots: the order in which HSCAN walks a large
one, and the deadlines of single fields.

Deadlines are a dictionary and a heap. A deadline that was moved or lifted stays in
the heap until its time; a heap that is mostly such litter is made anew.

The walk is by the hashes of the field names, which do not change while the
process lives: a cursor is a position in that order, so a field present during a
whole scan is returned whatever comes and goes meanwhile, and any cursor may be
used at any time. The order is made when a scan begins, in one pass that drops
each name into one of n / 256 buckets, and forgotten when a scan ends; a name
costs 8 bytes meanwhile, which nobody is charged for.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection

from antecache.server.store import size as sizes
from antecache.server.store.kinds import KINDS
from antecache.server.store.shard import SCAN_BITS, scan_hash

BUCKET = 256  # names in a bucket, in the mean
LITTER = 16  # deadlines that no longer hold and are kept whatever their share


class Hash(dict[bytes, bytes]):
    """A hash with room for more than its fields.

    deadlines   field -> Unix ms, of those fields that will expire; changed by `expire_at`
                and `persist` only. A field that is set or deleted by a client must `persist`.
    """

    __slots__ = ("_heap", "deadlines", "order")
    redis_type = "hash"

    def __init__(self, fields: dict[bytes, bytes]) -> None:
        super().__init__(fields)
        self.order: ScanOrder | None = None
        self.deadlines: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []

    def copy(self) -> dict[bytes, bytes]:
        """The fields and their deadlines; a plain dict where there are none."""
        if not self.deadlines:
            return dict(self)
        twin = Hash(self)
        twin.deadlines = self.deadlines.copy()
        twin._heap = self._heap.copy()
        return twin

    @property
    def encoding(self) -> str:
        """As OBJECT ENCODING names it."""
        plain = KINDS[dict].encoding(self)
        return "listpackex" if self.deadlines and plain == "listpack" else plain

    @property
    def extra_bytes(self) -> int:
        """Estimated bytes beyond those of the fields."""
        return sizes.FIELD_DEADLINE * len(self.deadlines)

    @property
    def first_deadline(self) -> int:
        """A time (Unix ms) before which no field expires; 0 when none will."""
        return self._heap[0][0] if self.deadlines else 0

    def expire_at(self, name: bytes, at: int) -> None:
        """Let a field expire at a Unix time in ms."""
        self.deadlines[name] = at
        heapq.heappush(self._heap, (at, name))
        if len(self._heap) > 2 * len(self.deadlines) + LITTER:
            self._heap = [(when, field) for field, when in self.deadlines.items()]
            heapq.heapify(self._heap)

    def persist(self, name: bytes) -> bool:
        """A field will not expire; whether it would have."""
        return self.deadlines.pop(name, None) is not None

    def remove_due(self, now: int) -> tuple[int, int] | None:
        """Remove the fields whose time has come; how many, and their bytes. None for none."""
        heap = self._heap
        if not heap or heap[0][0] > now:
            return None
        count = size = 0
        while heap and heap[0][0] <= now:
            at, name = heapq.heappop(heap)
            if self.deadlines.get(name) == at:
                del self.deadlines[name]
                size += sizes.of_field(name, self.pop(name)) + sizes.FIELD_DEADLINE
                count += 1
        return (count, size) if count else None

    def scan(self, position: int, count: int) -> tuple[int, list[bytes]]:
        """The next position, 0 at the end, and at least `count` names if there are so many."""
        order = self.order
        if order is None or position == 0:
            order = self.order = ScanOrder(self)
        following, names = order.step(position, count)
        if not following:
            self.order = None
        return following, [name for name in names if name in self]


class ScanOrder:
    """Names in buckets, each a range of their hashes."""

    __slots__ = ("_buckets", "_shift")

    def __init__(self, names: Collection[bytes]) -> None:
        bits = max(len(names) // BUCKET, 1).bit_length() - 1
        self._shift = shift = SCAN_BITS - bits
        self._buckets: list[list[bytes]] = [[] for _ in range(1 << bits)]
        buckets = self._buckets
        for name in names:
            buckets[scan_hash(name) >> shift].append(name)

    def step(self, position: int, count: int) -> tuple[int, list[bytes]]:
        """Names from `position` on: at least `count`, and all that share the last one's hash."""
        found: list[bytes] = []
        last = -1  # the place of the name found last
        for bucket in range(position >> self._shift, len(self._buckets)):
            placed = [(scan_hash(name), name) for name in self._buckets[bucket]]
            for place, name in sorted(pair for pair in placed if pair[0] >= position):
                if len(found) >= count and place != last:
                    return place, found
                found.append(name)
                last = place
        return 0, found
