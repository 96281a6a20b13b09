"""Ghost caches side by side: what would have been missed under other policies.

A panel runs several policies over the same accesses of a sample of keys. Its
nodes have no values; each *record* holds one shadow per policy for one key. For
every pair of policies it counts, with decay, the accesses that the one missed
and the other did not. A pair's counts say more than two miss ratios: what both
miss or both hit cancels out.

What it does not do: choose the sample or the capacity, or act on the counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from antecache.policies.base import Node, Policy

RECORD_BYTES = 72 + 56 + 90  # the record, its list's header, its place in a dictionary
SHADOW_BYTES = 8 + 112
EVICT_AT_ONCE = 4  # victims of one ghost at one access; spreads the work when a budget falls


class Record:
    """One sampled key: its shadows, and the resident nodes that bear it.

    holders  ghost caches and resident nodes that have the key; at 0 the record goes
    """

    __slots__ = ("cost", "holders", "key", "live", "shadows", "size")

    def __init__(self, key: bytes, size: int, cost: float, count: int) -> None:
        self.key = key
        self.size = size
        self.cost = cost
        self.holders = 0
        self.live: Node | None = None
        self.shadows = [Shadow(self) for _ in range(count)]


class Shadow(Node):
    """A record's node in one ghost cache."""

    __slots__ = ("record",)

    def __init__(self, record: Record) -> None:
        super().__init__(record.key, record.size)
        self.record = record

    @property
    def cost(self) -> float:
        """As the resident node's."""
        return self.record.cost


class Panel:
    """Policies run as ghost caches.

    scales    capacity of each, relative to the one that is asked of all
    half_life accesses after which an observation counts half
    """

    def __init__(self, policies: Sequence[Policy], scales: Sequence[float]) -> None:
        self.policies = list(policies)
        self.scales = list(scales)
        self.records: dict[bytes, Record] = {}
        self.watched = -1  # index of the ghost cache whose victims go to `left`
        self.left: deque[Record] = deque()
        count = len(self.policies)
        self.accesses = 0.0
        self.misses = [0.0] * count
        #: only[i][j]: accesses that i missed and j did not
        self.only = [[0.0] * count for _ in range(count)]
        self._capacity = float("inf")
        self._by_count = False
        self._limits = [float("inf")] * count

    def limit(self, capacity: float, *, by_count: bool) -> None:
        """Set what a ghost cache of scale 1 may hold: a sum of sizes, or a number of keys."""
        self._capacity = capacity
        self._by_count = by_count
        self._limits = [capacity * scale for scale in self.scales]

    def access(self, record: Record) -> None:
        """The key of `record` was asked for."""
        shadows = record.shadows
        self.accesses += 1.0
        missed: list[int] = []
        for index, policy in enumerate(self.policies):
            shadow = shadows[index]
            if shadow.where:
                policy.hit(shadow)
            else:
                missed.append(index)
        if missed:
            self._missed(record, missed)

    def _missed(self, record: Record, missed: list[int]) -> None:
        policies, shadows = self.policies, record.shadows
        misses, only = self.misses, self.only
        record.holders += 1  # it must not go while it is placed
        if len(missed) < len(policies):
            hit = [index for index, shadow in enumerate(shadows) if shadow.where]
            for index in missed:
                row = only[index]
                for other in hit:
                    row[other] += 1.0
        for index in missed:
            misses[index] += 1.0
            shadow = shadows[index]
            shadow.size = record.size
            policies[index].insert(shadow)
            record.holders += 1
            self._trim(index)
        record.holders -= 1
        if not record.holders:
            self.drop(record)

    def trim(self) -> None:
        """Bring every ghost cache nearer to its limit."""
        for index in range(len(self.policies)):
            self._trim(index)

    def _trim(self, index: int) -> None:
        policy, limit = self.policies[index], self._limits[index]
        # the watched one keeps its limit to the letter: what it holds is what shall stay
        for _ in range(policy.count if index == self.watched else EVICT_AT_ONCE):
            if (policy.count if self._by_count else policy.total) <= limit:
                return
            victim = policy.evict()
            if victim is None:
                return
            assert isinstance(victim, Shadow)
            record = victim.record
            record.holders -= 1
            if index == self.watched:
                self.left.append(record)
            if not record.holders:
                self.drop(record)

    def drop(self, record: Record) -> None:
        """A record that nobody holds goes."""
        if self.records.get(record.key) is record:
            del self.records[record.key]

    def forget(self, record: Record) -> None:
        """Take the key out of every ghost cache: it was deleted or left the sample."""
        for index, shadow in enumerate(record.shadows):
            if shadow.where:
                self.policies[index].remove(shadow)
                record.holders -= 1
                if index == self.watched:
                    self.left.append(record)
        if not record.holders:
            self.drop(record)

    def resize(self, record: Record, size: int) -> None:
        """The key's value takes `size` bytes from now on."""
        record.size = size
        for index, shadow in enumerate(record.shadows):
            if shadow.where:
                self.policies[index].resize(shadow, size)
                self._trim(index)

    def decay(self, factor: float) -> None:
        """Let everything counted so far weigh `factor` times as much."""
        self.accesses *= factor
        self.misses = [count * factor for count in self.misses]
        self.only = [[count * factor for count in row] for row in self.only]

    @property
    def nbytes(self) -> int:
        """Bytes of records, shadows and the policies' own metadata."""
        records = len(self.records) * (RECORD_BYTES + SHADOW_BYTES * len(self.policies))
        return records + sum(policy.metadata_bytes for policy in self.policies)

    def check(self) -> None:
        """Recount; raises AssertionError when records and ghost caches disagree."""
        held = 0
        for policy in self.policies:
            policy.check()
            held += policy.count
        shadows = live = 0
        for key, record in self.records.items():
            assert record.key == key, "a record is under another key"
            here = sum(1 for shadow in record.shadows if shadow.where)
            shadows += here
            live += record.holders - here
            assert record.holders > 0 and record.holders >= here, "a record nobody holds"
        assert shadows == held, f"ghost caches hold {held} nodes, records know of {shadows}"
