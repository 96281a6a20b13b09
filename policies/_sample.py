"""What `auto` watches: a sample of the keys, in ghost caches of every candidate.

Beside the panel of the candidates runs a smaller one of one policy at several
sizes, for the curve that says what more memory would bring. Hits are noted and
given to the ghost caches in blocks, or at the next miss, when the client waits
for the database anyway.

How many keys are sampled: between `SAMPLE` and twice that, but never so many that
the ghost caches take more than `SHARE` of the memory. Where that leaves less than half of
`SAMPLE` (below 27 MB) there are none: a small budget is better spent on values.
"""

from __future__ import annotations

from collections.abc import Sequence

from antecache.policies._capacity import Capacity
from antecache.policies._panel import Panel, Record
from antecache.policies.base import Node, Policy

SAMPLE = 1000
SHARE = 1 / 24
KEY_BYTES = 2250  # what a sampled resident key costs in ghosts, those of absent keys included
NONE = 0xFFFF  # the mask while there are no ghost caches; one key of so many just keeps watch
CURVE = (0.5, 1.0, 2.0, 4.0)  # sizes in the curve's panel, relative to the store's
CURVE_PART = 4  # the curve takes one key of so many of the sample
CURVE_LEAST = 100  # unless fewer keys than that would be left
BLOCK = 128  # hits that wait for a miss at most


class Sample:
    """The panels, the hits that were noted, and which keys are in.

    panel   of the candidates
    curve   of one policy at the sizes `CURVE`
    covers  whether a key is in the sample
    find    its record, if it is known
    """

    def __init__(self, policies: Sequence[Policy], curve: Sequence[Policy], mask: int) -> None:
        self.panel = Panel(policies, [1.0] * len(policies), mask)
        self.curve = Panel(curve, CURVE, mask)
        self.covers = self.panel.covers
        self.find = self.panel.records.get
        self.pending: list[Record] = []

    # -- nodes and accesses -------------------------------------------------

    def admit(self, node: Node) -> Record | None:
        """The record of a node that became resident; None outside the sample."""
        if not self.covers(node.key):
            return None
        record = self.panel.record(node.key, node.size, node.cost)
        record.holders += 1
        record.live = node
        return record

    def note(self, record: Record) -> None:
        """A hit."""
        self.pending.append(record)
        if len(self.pending) >= BLOCK:
            self.replay()

    def replay(self) -> None:
        """Give the ghost caches the hits that were noted."""
        noted = self.pending.copy()
        self.pending.clear()
        for record in noted:
            if self.find(record.key) is record:  # else it left a thinned sample meanwhile
                self.access(record)

    def missed(self, record: Record, capacity: Capacity) -> None:
        """A sampled key was missed, in a store of this capacity."""
        self.limit(capacity)
        self.access(record)

    def limit(self, capacity: Capacity) -> None:
        """Set what the ghost caches may hold."""
        self.panel.limit(capacity)
        self.curve.limit(capacity)

    def access(self, record: Record) -> None:
        """Tell the ghost caches of an access."""
        self.panel.access(record)
        if self.curve.covers(record.key):
            self.curve.access(self.curve.record(record.key, record.size, record.cost))

    def gone(self, node: Node) -> Record | None:
        """A node left; its record if the key has no other node."""
        record = self.find(node.key)
        if record is None:
            return None
        last = record.live is node
        if last:
            record.live = None
        self.panel.let_go(record)
        return record if last else None

    def forget(self, record: Record) -> None:
        """The key is no more: ghosts must not hit it."""
        self.panel.forget(record)
        twin = self.curve.records.get(record.key)
        if twin is not None:
            self.curve.forget(twin)

    def resize(self, node: Node, size: int) -> None:
        """A node's size becomes `size`."""
        for panel in (self.panel, self.curve):
            record = panel.records.get(node.key)
            if record is not None:
                panel.resize(record, size)

    # -- how many -----------------------------------------------------------

    @property
    def rate(self) -> int:
        """One key of so many is sampled."""
        return self.panel.mask + 1

    @property
    def asleep(self) -> bool:
        """Whether there are no ghost caches to speak of."""
        return self.panel.mask == NONE

    def better_mask(self, count: int, memory: int) -> int:
        """What the mask should be; the present one if it will do.

        count   keys in the store
        memory  bytes that it may take, ghosts included
        """
        most = min(2 * SAMPLE, SHARE * memory / KEY_BYTES)
        mask = self.panel.mask
        if most < SAMPLE / 2:
            return NONE if count > most else mask
        if self.asleep and most < 0.75 * SAMPLE:
            return mask
        if count >= most * (mask + 1):
            while count >= most * (mask + 1) and mask < NONE:
                mask = 2 * mask + 1
        elif mask and 8 * count < most * (mask + 1):
            mask = 0
            while 2 * count >= most * (mask + 1):
                mask = 2 * mask + 1
        return mask

    def fit_curve(self, count: int) -> None:
        """Keep the curve's part of the sample of a store of `count` keys."""
        rate = self.curve.mask + 1
        if rate < CURVE_PART * self.rate and count >= 2 * CURVE_LEAST * rate:
            self.curve.thin()

    def inherit(self, former: Sample) -> None:
        """What another sample counted stays known; filling the ghost caches taught nothing."""
        share = former.rate / self.rate
        self.panel.accesses = former.panel.accesses * share
        self.panel.misses = [count * share for count in former.panel.misses]
        self.curve.decay(0.0)

    def decay(self, factor: float) -> None:
        """Let everything counted so far weigh `factor` times as much."""
        self.panel.decay(factor)
        self.curve.decay(factor)

    def points(self, leader: int) -> list[tuple[float, float]]:
        """(share of the present memory, estimated miss ratio) at the sizes `CURVE`.

        The shape is that of the curve's policy on its part of the sample, scaled to the
        miss ratio of the policy in use, the candidate `leader`.
        """
        reference = self.curve.ratio(CURVE.index(1.0))
        scale = self.panel.ratio(leader) / reference if reference else 0.0
        points: list[tuple[float, float]] = []
        least = 1.0
        for index, share in enumerate(CURVE):
            # a sample of few keys can make more memory look worse; it is not
            least = min(least, scale * self.curve.ratio(index))
            points.append((share, least))
        return points

    @property
    def nbytes(self) -> int:
        """Bytes of both panels."""
        return self.panel.nbytes + self.curve.nbytes

    def check(self) -> None:
        """Recount; raises AssertionError when a panel or a record is wrong."""
        self.panel.check()
        self.curve.check()
        for record in self.panel.records.values():
            assert record.live is None or record.live.where > 0, "a record of a node that left"
