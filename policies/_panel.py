"""Ghost caches side by side: what would have been missed under other policies.

A panel runs several policies over the accesses to a sample of the keys. Its
nodes have no values; each *record* holds one shadow per policy for one key.

One of the policies leads; against it the panel keeps, for each other, the misses
that other would have saved since it last saved none: a sum that grows by one
where the leader alone missed, falls by one where the other alone did, and starts
again at 0 (Page's CUSUM, Biometrika 1954). What both miss or both hit cancels
out, so it says more than two miss ratios, and it needs no window.

The sample is spatial (Waldspurger et al., 'SHARDS', FAST 2015): a key is in it
when the bits of `mask` are 0 in a stable hash of it, and a ghost cache gets the
sample's share of the capacity. As the cache grows the sample is thinned, a few
records at an access, so that nothing stalls.

What it does not do: know the capacity, or act on the counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from zlib import crc32

from antecache.policies._capacity import Capacity
from antecache.policies.base import Node, Policy

RECORD_BYTES = 80 + 56 + 100  # the record, its list's header, its place in a dictionary
SHADOW_BYTES = 8 + 112
EVICT_AT_ONCE = 4  # victims of one ghost at one access; spreads the work when a budget falls
LEAVE_AT_ONCE = 8  # records that leave a thinned sample at one access


class Record:
    """One sampled key: its shadows, and a resident node that bears it.

    holders  ghost caches and resident nodes that have the key; at 0 the record goes
    listed   whether it stands in the panel's `left`
    """

    __slots__ = ("cost", "holders", "key", "listed", "live", "shadows", "size")

    def __init__(self, key: bytes, size: int, cost: float, count: int) -> None:
        self.key = key
        self.size = size
        self.cost = cost
        self.holders = 0
        self.listed = False
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

    scales    capacity of each, relative to the store's
    mask      2^k - 1: one key of 2^k is in the sample
    accesses  seen, with decay
    misses    of each policy, with decay
    leader    index of the one that leads; set it with `lead`
    saved     misses that each other would have saved lately
    split     accesses at which it and the leader differed meanwhile
    watched   whether the leader keeps its limit to the letter, its victims noted in `left`
    """

    def __init__(self, policies: Sequence[Policy], scales: Sequence[float], mask: int) -> None:
        self.policies = list(policies)
        self.scales = list(scales)
        self.mask = mask
        self.records: dict[bytes, Record] = {}
        count = len(self.policies)
        self.accesses = 0.0
        self.misses = [0.0] * count
        self.leader = 0
        self.saved = [0] * count
        self.split = [0] * count
        self.watched = False
        self.left: deque[Record] = deque()
        self._by_count = False
        self._limits = [float("inf")] * count
        self._leaving: list[Record] = []

    # -- the sample ---------------------------------------------------------

    def covers(self, key: bytes) -> bool:
        """Whether `key` is in the sample."""
        return not self.mask or not crc32(key) & self.mask

    def record(self, key: bytes, size: int, cost: float) -> Record:
        """The record of a sampled key, made if need be."""
        record = self.records.get(key)
        if record is None:
            record = self.records[key] = Record(key, size, cost, len(self.policies))
        else:
            record.cost = cost
            if record.size != size:
                record.holders += 1  # it must not go when ghost caches that hold it are full now
                self.resize(record, size)
                record.holders -= 1
        return record

    def thin(self) -> None:
        """Keep every other key of the sample; the rest leaves bit by bit."""
        self.mask = 2 * self.mask + 1
        self.lead(self.leader)
        self.decay(0.5)  # an access seen from now on stands for twice as many
        self._leaving += [r for r in self.records.values() if not self.covers(r.key)]

    def _settle(self) -> None:
        for _ in range(min(LEAVE_AT_ONCE, len(self._leaving))):
            record = self._leaving.pop()
            if self.records.pop(record.key, None) is record:
                self.forget(record)

    def add(self, policy: Policy) -> None:
        """One more policy, whose ghost cache begins with what is resident."""
        self.policies.append(policy)
        self.scales.append(1.0)
        self.misses.append(self.misses[self.leader])
        self.saved.append(0)
        self.split.append(0)
        self._limits.append(self._limits[self.leader])
        for record in self.records.values():
            shadow = Shadow(record)
            record.shadows.append(shadow)
            if record.live is not None:
                policy.insert(shadow)
                record.holders += 1

    # -- accesses -----------------------------------------------------------

    def limit(self, capacity: Capacity) -> None:
        """Set what the ghost caches may hold."""
        if capacity.full:
            self._by_count = capacity.by_count
            amount = capacity.amount / (self.mask + 1)
            self._limits = [amount * scale for scale in self.scales]

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
        if self._leaving:
            self._settle()

    def _missed(self, record: Record, missed: list[int]) -> None:
        policies, shadows = self.policies, record.shadows
        misses = self.misses
        record.holders += 1  # it must not go while it is placed
        if len(missed) < len(policies):
            self._compare(missed)
        for index in missed:
            misses[index] += 1.0
            shadow = shadows[index]
            shadow.size = record.size
            policies[index].insert(shadow)
            record.holders += 1
            self._trim(index)
        self.let_go(record)

    def _compare(self, missed: list[int]) -> None:
        saved, split = self.saved, self.split
        if self.leader in missed:
            for index in range(len(saved)):
                if index not in missed:
                    saved[index] += 1
                    split[index] += 1
        else:
            for index in missed:
                if saved[index] > 1:
                    saved[index] -= 1
                    split[index] += 1
                else:
                    saved[index] = split[index] = 0

    def lead(self, index: int) -> None:
        """Another policy leads from now on; what was saved against the former is void."""
        self.leader = index
        self.saved = [0] * len(self.saved)
        self.split = [0] * len(self.split)

    def unwatch(self) -> None:
        """Nobody follows the leader's ghost cache any longer."""
        self.watched = False
        while self.next_left() is not None:
            pass

    def trim(self) -> None:
        """Bring every ghost cache nearer to its limit, the watched one to it."""
        for index in range(len(self.policies)):
            self._trim(index)

    def _trim(self, index: int) -> None:
        policy, limit = self.policies[index], self._limits[index]
        watched = self.watched and index == self.leader
        for _ in range(policy.count if watched else EVICT_AT_ONCE):
            if (policy.count if self._by_count else policy.total) <= limit:
                return
            victim = policy.evict()
            if victim is None:
                return
            assert isinstance(victim, Shadow)
            if watched:
                self.let_fall(victim.record)
            self.let_go(victim.record)

    def let_fall(self, record: Record) -> None:
        """Note that the watched ghost cache does not hold this key, once."""
        if not record.listed:
            record.listed = True
            self.left.append(record)

    def next_left(self) -> Record | None:
        """The first of those noted, which is then noted no longer; None when there is none."""
        if not self.left:
            return None
        record = self.left.popleft()
        record.listed = False
        return record

    def let_go(self, record: Record) -> None:
        """One holder less; a record that nobody holds goes."""
        record.holders -= 1
        if not record.holders and self.records.get(record.key) is record:
            del self.records[record.key]

    def forget(self, record: Record) -> None:
        """Take the key out of every ghost cache: it was deleted, or left the sample."""
        for index, shadow in enumerate(record.shadows):
            if shadow.where:
                self.policies[index].remove(shadow)
                if self.watched and index == self.leader:
                    self.let_fall(record)
                self.let_go(record)

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

    def ratio(self, index: int) -> float:
        """Estimated miss ratio of a policy over the recent accesses."""
        return self.misses[index] / self.accesses if self.accesses else 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of records, shadows and the policies' own metadata."""
        records = len(self.records) * (RECORD_BYTES + SHADOW_BYTES * len(self.policies))
        return records + 8 * len(self.left) + sum(policy.metadata_bytes for policy in self.policies)

    def check(self) -> None:
        """Recount; raises AssertionError when records and ghost caches disagree."""
        held = 0
        for policy in self.policies:
            policy.check()
            held += policy.count
        shadows = 0
        for key, record in self.records.items():
            assert record.key == key, "a record is under another key"
            here = sum(1 for shadow in record.shadows if shadow.where)
            assert record.holders >= max(1, here), "a record that nobody holds"
            shadows += here
        assert shadows == held, f"ghost caches hold {held} nodes, records know of {shadows}"
