"""The value of a hash that is more than its fields.

A hash is a plain dict until something must be remembered beside its fields; then
it becomes a `Hash`, a dict with a few slots. So far that is the order in which
HSCAN walks a large one. (Deadlines of fields will be another slot.)

The walk is by the hashes of the field names, which do not change while the
process lives: a cursor is a position in that order, so a field present during a
whole scan is returned whatever comes and goes meanwhile, and any cursor may be
used at any time. The order is made when a scan begins, in one pass that drops
each name into one of n / 256 buckets, and forgotten when a scan ends; a name
costs 8 bytes meanwhile, which nobody is charged for.
"""

from __future__ import annotations

from collections.abc import Collection

from antecache.server.store.shard import SCAN_BITS, scan_hash

BUCKET = 256  # names in a bucket, in the mean


class Hash(dict[bytes, bytes]):
    """A hash with room for more than its fields."""

    __slots__ = ("order",)

    def __init__(self, fields: dict[bytes, bytes]) -> None:
        super().__init__(fields)
        self.order: ScanOrder | None = None

    def copy(self) -> dict[bytes, bytes]:
        """The fields alone."""
        return dict(self)

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
