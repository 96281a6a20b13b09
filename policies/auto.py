"""The default policy: whichever of several would have missed least, lately.

Candidates run as ghost caches over a sample of the keys (`_panel.py`). The
sample is spatial: a key is in it or not, by a stable hash, and a ghost cache
gets the same share of the capacity as the sample has of the keys. When another
candidate has hit where the present one missed, significantly more often than
the other way round, it takes over. Nobody loses an entry by that:

- A *small* cache (up to `SAMPLE` keys, or twice that) is sampled whole. Then the
  ghost of the leading candidate says what a cache run by it alone would hold,
  and the victim is always a node that it does not hold. So there is no state to
  hand over, and a change of leader takes effect victim by victim. (Subramanian
  et al., 'Adaptive Caches', MICRO 2006.)
- A *large* cache is run by a real instance of the leading policy. Another
  setting of the same policy is simply set. For another policy the nodes move
  over a few at a time, worst first, and victims come from the old one meanwhile.

A hit on an unsampled key costs one look-up more than the policy in use. Hits on
sampled keys are noted and given to the ghost caches at the next miss, when the
client waits for the database anyway, or in blocks.

Capacity is never told: the store being full is the capacity (see base.py). So
it is taken as the largest sum of sizes, or number of nodes, at which the store
was content; whichever of the two was at its height whenever the store asked for
a victim is what the budget counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import sqrt
from typing import Any, ClassVar, NamedTuple
from zlib import crc32

from antecache.policies._panel import Panel, Record
from antecache.policies.base import Node, Policy, Queue
from antecache.policies.registry import find


class Candidate(NamedTuple):
    """A policy with its settings; `label` is its name in `standings()`."""

    label: str
    policy: str
    settings: dict[str, Any]


CANDIDATES = (
    Candidate("wtinylfu-10", "wtinylfu", {"window": 0.1, "climb": False}),
    Candidate("wtinylfu-1", "wtinylfu", {"window": 0.01, "climb": False}),
    Candidate("wtinylfu-30", "wtinylfu", {"window": 0.3, "climb": False}),
    Candidate("s3fifo-10", "s3fifo", {"small": 0.1}),
    Candidate("s3fifo-40", "s3fifo", {"small": 0.4}),
    Candidate("gdsf", "gdsf", {}),
)
SAMPLE = 1500  # keys in the sample, to twice as many
BLOCK = 128  # hits on sampled keys that wait for a miss at most
MIGRATE = 16  # nodes that move to a new policy at each insertion
SURE = 3  # votes that settle what the budget counts, for the choice of the first leader
SIZED = "gdsf"  # the first leader where sizes vary; where they do not, it never leads
REMEMBER = 0.9999  # how much of what is known of sizes is kept at each newcomer
VARIED = 0.5  # squared coefficient of variation from which on they do
CURVE = (0.5, 1.0, 2.0, 4.0)
CURVE_POLICY = "s3fifo"
CURVE_SAMPLE = 400  # keys in the sample of the curve, at least
FOLLOWED = 0x81  # `where` of the nodes of a small cache


class Auto(Policy):
    """Evicts what the best of its candidates would.

    half_life     sampled accesses, per key of a ghost cache, after which counts weigh half
    confidence    standard errors by which another candidate must be ahead
    least_gain    and the share of the misses it must save
    """

    name: ClassVar[str] = "auto"
    paper: ClassVar[str] = "Subramanian et al., 'Adaptive Caches', MICRO 2006"

    def __init__(
        self,
        *,
        seed: int = 0,
        half_life: float = 8.0,
        confidence: float = 2.0,
        least_gain: float = 0.005,
        tune_factor: float = 1.5,
        move_factor: float = 2.5,
        candidates: tuple[Candidate, ...] = CANDIDATES,
    ) -> None:
        super().__init__(seed=seed)
        self.half_life = half_life
        self.confidence = confidence
        self.least_gain = least_gain
        self.tune_factor = tune_factor
        self.move_factor = move_factor
        self.candidates = candidates
        self.switches = 0
        self.leader = 0  # index of the candidate in use
        self._pending: list[Record] = []
        self._start(0)

    def _make(self, index: int) -> Policy:
        candidate = self.candidates[index]
        return find(candidate.policy)(seed=self.seed, **candidate.settings)

    def _start(self, mask: int) -> None:
        """Empty structures, a key being in the sample if its hash has no bit of `mask`."""
        self._mask = mask
        self._panel = Panel(
            [self._make(index) for index in range(len(self.candidates))],
            [1.0] * len(self.candidates),
        )
        self._curve = Panel([find(CURVE_POLICY)(seed=self.seed) for _ in CURVE], CURVE)
        self._curve_mask = mask
        self._record_of = self._panel.records.get
        self._leaving: list[Record] = []  # records that fell out of the sample
        self._followed = Queue()  # the nodes of a small cache
        self._live = self._make(self.leader)
        self._retiring: Policy | None = None
        self._following = mask == 0
        self._touch = _ignore if self._following else self._live.hit
        if self._following:
            self._panel.watched = self.leader
        self._content = 0  # the largest total at which the store was content
        self._content_count = 0
        self._votes = 0  # above 0: the budget counts keys
        self._decided = False  # whether that is known, and what follows from it was done
        self._sizes = [0.0, 0.0, 0.0]  # of sampled newcomers: number, sum, sum of squares
        self._full = False
        self._last_victim = b""
        self._decay_at = 0.0

    # -- the sample ---------------------------------------------------------

    def _admit(self, node: Node) -> Record:
        """The record of a sampled node that became resident."""
        record = self._record_of(node.key)
        size = node.size
        if record is None:
            record = Record(node.key, size, node.cost, len(self.candidates))
            self._panel.records[node.key] = record
        else:
            record.cost = node.cost
            if record.size != size:
                self._resized(record, size)
        for power, moment in enumerate(self._sizes):
            self._sizes[power] = moment * REMEMBER + size**power
        record.holders += 1
        record.live = node
        return record

    def _observe(self, record: Record) -> None:
        """Tell the ghost caches of an access."""
        self._panel.access(record)
        key = record.key
        if not self._curve_mask or not crc32(key) & self._curve_mask:
            curve = self._curve
            twin = curve.records.get(key)
            if twin is None:
                twin = curve.records[key] = Record(key, record.size, record.cost, len(CURVE))
            curve.access(twin)

    def _replay(self) -> None:
        """Give the ghost caches the hits that were noted."""
        pending = self._pending
        self._pending = []
        for record in pending:
            self._observe(record)

    def _grow(self) -> None:
        """The cache outgrew its sample: keep every other key of it."""
        mask = 2 * self._mask + 1
        self._mask = mask
        self._leaving += [r for r in self._panel.records.values() if crc32(r.key) & mask]
        self._curve_mask = mask
        if self._following:
            nodes = list(self.nodes())
            leading = self._panel.policies[self.leader]
            self._following = False
            self._panel.watched = -1
            self._panel.left.clear()
            for node in nodes:
                self._followed.remove(node)
                record = self._record_of(node.key)
                shadow = record.shadows[self.leader] if record is not None else None
                known = shadow is not None and shadow.where
                self._live.adopt(node, leading.uses(shadow) if shadow and known else 1)
            self._touch = self._live.hit

    def _leave(self) -> None:
        """Take a few records out of the ghost caches that are no longer in the sample."""
        for _ in range(min(8, len(self._leaving))):
            record = self._leaving.pop()
            live = record.holders - sum(1 for shadow in record.shadows if shadow.where)
            self._panel.forget(record)
            if self._panel.records.get(record.key) is record:
                record.holders -= live
                self._panel.drop(record)
            twin = self._curve.records.get(record.key)
            if twin is not None:
                self._curve.forget(twin)

    # -- capacity -----------------------------------------------------------

    def _note_content(self) -> None:
        """The store is within its budget."""
        if self.total > self._content:
            self._content = self.total
        if self.count > self._content_count:
            self._content_count = self.count

    def _note_full(self) -> None:
        """The store is over its budget."""
        self._full = True
        by_total = self.total > self._content
        by_count = self.count > self._content_count
        if by_total != by_count:
            self._votes = max(-8, min(8, self._votes + (1 if by_count else -1)))
            if not self._decided and abs(self._votes) >= SURE:
                self._decide()
        elif not by_total:
            self._content = self.total - 1
            self._content_count = self.count - 1

    def _decide(self) -> None:
        """It has turned out what the budget counts: if bytes, and sizes vary, start by size.

        The ghost caches would find that out too, but every small value that was
        evicted for a large one meanwhile costs a load.
        """
        self._decided = True
        if self._sized():
            for index, candidate in enumerate(self.candidates):
                if candidate.policy == SIZED and index != self.leader:
                    self._lead(index)
                    return

    def _sized(self) -> bool:
        """Whether the budget counts bytes and sizes vary, so that size is worth looking at."""
        number, total, squares = self._sizes
        return self._votes < 0 and number * squares > (1.0 + VARIED) * total * total

    def _set_limits(self) -> None:
        if self._full:
            by_count = self._votes > 0
            capacity = self._content_count if by_count else self._content
            self._panel.limit(capacity / (self._mask + 1), by_count=by_count)
            self._curve.limit(capacity / (self._curve_mask + 1), by_count=by_count)

    # -- the contract -------------------------------------------------------

    def hit(self, node: Node) -> None:
        record = self._record_of(node.key)
        if record is not None:
            self._pending.append(record)
            if len(self._pending) >= BLOCK:
                self._replay()
        self._touch(node)

    def insert(self, node: Node) -> None:
        if self._pending:
            self._replay()
        self._note_content()
        self.count += 1
        self.total += node.size
        if self._following:
            self._followed.append(node)
            node.where = FOLLOWED
        else:
            self._live.insert(node)
        if not self._mask or not crc32(node.key) & self._mask:
            record = self._admit(node)
            if node.key is not self._last_victim:  # else it is put back, not asked for
                self._set_limits()
                self._observe(record)
                self._judge()
            elif self._following:
                self._panel.left.append(record)
        if self._retiring is not None:
            self._migrate()
        if self._leaving:
            self._leave()
        elif self.count >= 2 * SAMPLE * (self._mask + 1):
            self._grow()

    def evict(self) -> Node | None:
        if not self.count:
            return None
        if self._pending:
            self._replay()
        self._note_full()
        victim: Node | None = None
        if self._following:
            victim = self._unfollowed()
            self._followed.remove(victim)
            victim.where = 0
        else:
            if self._retiring is not None:
                victim = self._retiring.evict()
            if victim is None:
                victim = self._live.evict()
            if victim is None:
                return None
        self._last_victim = victim.key
        self._gone(victim)
        return victim

    def _unfollowed(self) -> Node:
        """A node that the leading ghost cache does not hold."""
        panel = self._panel
        self._set_limits()
        panel.trim()
        left = panel.left
        while left:
            record = left.popleft()
            node = record.live
            if node is not None and not record.shadows[self.leader].where:
                return node
        # one key of two databases has one record: its other node is known to nobody
        oldest = self._followed.oldest
        assert oldest is not None
        return oldest

    def _surplus(self, nodes: list[Node], leader: int) -> list[Record]:
        """The records of those of `nodes` that the ghost cache of `leader` does not hold."""
        records = [self._panel.records[node.key] for node in nodes]
        return [record for record in records if not record.shadows[leader].where]

    def _gone(self, node: Node) -> Record | None:
        """Books after `node` left, by whatever way; its record if that has no node now."""
        self.count -= 1
        self.total -= node.size
        record = self._record_of(node.key)
        if record is None:
            return None
        record.holders -= 1
        if record.live is not node:
            return None
        record.live = None
        if not record.holders:
            self._panel.drop(record)
        return record

    def remove(self, node: Node) -> None:
        if self._pending:
            self._replay()
        if self._following:
            self._followed.remove(node)
            node.where = 0
        else:
            self._holder(node).remove(node)
        record = self._gone(node)
        if record is not None:
            self._panel.forget(record)
            twin = self._curve.records.get(node.key)
            if twin is not None:
                self._curve.forget(twin)
        if not self.count:
            self._start(0)

    def resize(self, node: Node, size: int) -> None:
        self.total += size - node.size
        if self._following:
            self._followed.size += size - node.size
            node.size = size
        else:
            self._holder(node).resize(node, size)
        record = self._record_of(node.key)
        if record is not None:
            self._resized(record, size)

    def _resized(self, record: Record, size: int) -> None:
        self._panel.resize(record, size)
        twin = self._curve.records.get(record.key)
        if twin is not None:
            self._curve.resize(twin, size)

    def nodes(self) -> Iterator[Node]:
        if not self._following:
            if self._retiring is None:
                return self._live.nodes()
            return chain(self._retiring.nodes(), self._live.nodes())
        kept: list[Node] = []
        for shadow in self._panel.policies[self.leader].nodes():
            live = shadow.record.live  # type: ignore[attr-defined]
            if live is not None:
                kept.append(live)
        chosen = {id(node) for node in kept}
        return chain((node for node in self._followed if id(node) not in chosen), kept)

    # -- changing the leader ------------------------------------------------

    def _judge(self) -> None:
        """Let another candidate lead if it was better with confidence."""
        panel = self._panel
        if panel.accesses >= self._decay_at:
            keys = max(32, self.count / (self._mask + 1))
            step = keys  # decay in steps of one access per key of a ghost cache
            if self._decay_at:
                panel.decay(0.5 ** (1.0 / self.half_life))
                self._curve.decay(0.5 ** (1.0 / self.half_life))
            self._decay_at = panel.accesses + step
        leader = self.leader
        only = panel.only
        ours = only[leader]
        sized = self._sized()
        best, most = leader, self.least_gain * panel.misses[leader]
        for other, won in enumerate(ours):
            if other != leader and (sized or self.candidates[other].policy != SIZED):
                lost = only[other][leader]
                gain = won - lost
                if gain > most and gain > self._doubt(other) * sqrt(won + lost):
                    best, most = other, gain
        if best != leader:
            self._lead(best)

    def _doubt(self, other: int) -> float:
        """Standard errors by which `other` must be ahead.

        A sample errs by its keys too, not only by its accesses, and a large cache
        pays for a move, though little for another setting.
        """
        if self._following:
            return self.confidence
        same = self.candidates[other].policy == self.candidates[self.leader].policy
        return self.confidence * (self.tune_factor if same else self.move_factor)

    def _lead(self, index: int) -> None:
        self.switches += 1
        before, after = self.candidates[self.leader], self.candidates[index]
        if self._following:
            # what the former leader would have evicted first goes first
            surplus = self._surplus(list(self.nodes()), index)
        self.leader = index
        if self._following:
            self._live = self._make(index)
            panel = self._panel
            panel.watched = index
            panel.left.clear()
            panel.left.extend(surplus)
        elif before.policy == after.policy:
            for setting, value in after.settings.items():
                setattr(self._live, setting, value)
        else:
            while self._retiring is not None:
                self._migrate()
            self._retiring = self._live
            self._live = self._make(index)
            self._touch = self._touch_either

    def _holder(self, node: Node) -> Policy:
        """Which of the old and the new policy holds `node`: their queues' numbers differ."""
        retiring = self._retiring
        if retiring is None or node.where >> 4 == self._live.family:
            return self._live
        return retiring

    def _touch_either(self, node: Node) -> None:
        self._holder(node).hit(node)

    def _migrate(self) -> None:
        retiring, live = self._retiring, self._live
        assert retiring is not None
        for _ in range(MIGRATE):
            released = retiring.release()
            if released is None:
                self._retiring = None
                self._touch = live.hit
                return
            live.adopt(*released)

    # -- what others may ask ------------------------------------------------

    @property
    def leading(self) -> str:
        """The candidate in use, by the name it has in `standings()`."""
        return self.candidates[self.leader].label

    @property
    def window(self) -> float:
        """How many recent accesses, sampled or not, `standings()` speaks of."""
        return self._panel.accesses * (self._mask + 1)

    def standings(self) -> dict[str, float]:
        """Estimated miss ratio of each candidate over the recent accesses to sampled keys."""
        accesses = max(1.0, self._panel.accesses)
        return {
            candidate.label: misses / accesses
            for candidate, misses in zip(self.candidates, self._panel.misses, strict=True)
        }

    def curve(self) -> list[tuple[float, float]]:
        """(share of the present memory, estimated miss ratio) for half to four times of it.

        The shape is S3-FIFO's on a part of the sample, scaled to the miss ratio of
        the policy in use.
        """
        present = self._panel.misses[self.leader] / max(1.0, self._panel.accesses)
        reference = self._curve.misses[CURVE.index(1.0)]
        points = []
        for share, misses in zip(CURVE, self._curve.misses, strict=True):
            points.append((share, min(1.0, present * misses / reference if reference else 0.0)))
        return points

    @property
    def metadata_bytes(self) -> int:
        own = self._panel.nbytes + self._curve.nbytes
        if not self._following:
            own += self._live.metadata_bytes
            if self._retiring is not None:
                own += self._retiring.metadata_bytes
        return own

    def check(self) -> None:
        super().check()
        self._panel.check()
        self._curve.check()
        self._followed.check()
        if not self._following:
            self._live.check()


def _ignore(node: Node) -> None:
    """A hit in a small cache: the ghost caches will hear of it."""
