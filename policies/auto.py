"""The default policy: whichever of several would have missed least, lately.

Candidates (`_contest.py`) run as ghost caches over a sample of the keys
(`_panel.py`); when another is better with confidence, it takes over. Nobody
loses an entry by that:

- A *small* cache (fewer than 2 x `SAMPLE` keys) is sampled whole. Then the ghost
  of the leading candidate says what a cache run by it alone would hold, and the
  victim is always a node that it does not hold. So there is no state to hand
  over, and a change of leader takes effect victim by victim.
- A *large* cache is run by a real instance of the leading policy. Another
  setting of the same policy is simply set. For another policy the nodes move
  over a few at a time with the number of their uses, the worst first.

A hit on an unsampled key costs one look-up more than the policy in use. Hits on
sampled keys are noted and given to the ghost caches at the next miss, when the
client waits for the database anyway, or in blocks.

Where the budget counts bytes and sizes vary, `gdsf` leads from the start: every
small value that is evicted for a large one costs a load, and there is no time to
find out. Where sizes do not vary it never leads.

What this file does not do: know of prefetching. A prefetched key arrives here at
its first use, as a missed key does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import ClassVar

from antecache.policies._capacity import Capacity
from antecache.policies._contest import CANDIDATES, SIZED, Candidate, Doubt, challenger
from antecache.policies._panel import Panel, Record, Shadow
from antecache.policies.base import Node, Policy, Queue
from antecache.policies.registry import find

SAMPLE = 1500  # keys in the sample of a large cache, to twice as many
CURVE_SAMPLE = 400  # and in that of the curve
CURVE = (0.5, 1.0, 2.0, 4.0)
CURVE_POLICY = "s3fifo"
BLOCK = 128  # hits on sampled keys that wait for a miss at most
MIGRATE = 16  # nodes that move to a new policy at each insertion
FOLLOWED = 0x81  # `where` of the nodes of a small cache


class Auto(Policy):
    """Evicts what the best of its candidates would.

    half_life   sampled accesses, per key of a ghost cache, after which counts weigh half
    least_gain  share of the misses that another candidate must save
    confidence  standard errors by which it must be ahead in a small cache
    sampled     and in a large one, where a sample errs by its keys too, not only by its
                accesses, and a move to another policy has a price
    """

    name: ClassVar[str] = "auto"
    paper: ClassVar[str] = "Subramanian et al., 'Adaptive Caches', MICRO 2006"

    def __init__(
        self,
        *,
        seed: int = 0,
        half_life: float = 8.0,
        least_gain: float = 0.005,
        confidence: float = 2.0,
        sampled: Doubt = Doubt(tune=3.0, move=5.0),  # noqa: B008 - immutable
        candidates: tuple[Candidate, ...] = CANDIDATES,
    ) -> None:
        super().__init__(seed=seed)
        self.half_life = half_life
        self.least_gain = least_gain
        self.confidence = confidence
        self.sampled = sampled
        self.candidates = candidates
        self.switches = 0
        self.leader = 0  # index of the candidate in use
        self._capacity = Capacity()
        self._opened = False  # whether the first leader was chosen by what the budget counts
        self._decay_at = 0.0
        self._last_victim = b""
        self._start(0)

    def _make(self, index: int) -> Policy:
        candidate = self.candidates[index]
        return find(candidate.policy)(seed=self.seed, **candidate.settings)

    def _start(self, mask: int) -> None:
        """Empty structures, with one key of `mask` + 1 in the sample."""
        count = len(self.candidates)
        self._panel = Panel([self._make(index) for index in range(count)], [1.0] * count, mask)
        self._curve = Panel([find(CURVE_POLICY)(seed=self.seed) for _ in CURVE], CURVE, mask)
        self._record_of = self._panel.records.get
        self._pending: list[Record] = []
        self._followed = Queue()  # the nodes of a small cache
        self._live = self._make(self.leader)
        self._retiring: Policy | None = None
        self._following = mask == 0
        self._touch = _ignore if self._following else self._live.hit
        self._panel.watched = self.leader if self._following else -1

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
        self._capacity.content(self.total, self.count)
        self.count += 1
        self.total += node.size
        if self._following:
            self._followed.append(node)
            node.where = FOLLOWED
        else:
            self._live.insert(node)
            if self._retiring is not None:
                self._migrate()
        if self._panel.covers(node.key):
            record = self._admit(node)
            if node.key is not self._last_victim:
                self._capacity.newcomer(node.size)
                self._panel.limit(self._capacity)
                self._curve.limit(self._capacity)
                self._observe(record)
                self._judge()
            elif self._following:  # it was pinned, and is put back: nobody asked for it
                self._panel.left.append(record)
        self._fit_sample()

    def evict(self) -> Node | None:
        if not self.count:
            return None
        if self._pending:
            self._replay()
        self._capacity.exceeded(self.total, self.count)
        if self._capacity.settled and not self._opened:
            self._open()
        victim: Node | None = None
        if self._following:
            victim = self._unfollowed()
            self._followed.remove(victim)
            victim.where = 0
        else:
            # while nodes move, the worst of the old policy are in the new one already
            victim = self._live.evict()
            if victim is None and self._retiring is not None:
                victim = self._retiring.evict()
            assert victim is not None, "the policy in use lost its nodes"
        self._last_victim = victim.key
        self._gone(victim)
        return victim

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

    def _gone(self, node: Node) -> Record | None:
        """Books after `node` left; its record if the key has no other node."""
        self.count -= 1
        self.total -= node.size
        record = self._record_of(node.key)
        if record is None:
            return None
        last = record.live is node
        if last:
            record.live = None
        self._panel.let_go(record)
        return record if last else None

    def resize(self, node: Node, size: int) -> None:
        self.total += size - node.size
        if self._following:
            self._followed.size += size - node.size
            node.size = size
        else:
            self._holder(node).resize(node, size)
        for panel in (self._panel, self._curve):
            record = panel.records.get(node.key)
            if record is not None:
                panel.resize(record, size)

    def nodes(self) -> Iterator[Node]:
        if self._following:
            kept = [node for node, _ in self._kept()]
            chosen = set(map(id, kept))
            return chain((node for node in self._followed if id(node) not in chosen), kept)
        if self._retiring is not None:
            return chain(self._retiring.nodes(), self._live.nodes())
        return self._live.nodes()

    def uses(self, node: Node) -> int:
        if not self._following:
            return self._holder(node).uses(node)
        record = self._record_of(node.key)
        shadow = None if record is None else record.shadows[self.leader]
        if shadow is None or not shadow.where:
            return 1
        return self._panel.policies[self.leader].uses(shadow)

    @property
    def metadata_bytes(self) -> int:
        own = self._panel.nbytes + self._curve.nbytes + self._live.metadata_bytes
        return own + (0 if self._retiring is None else self._retiring.metadata_bytes)

    def check(self) -> None:
        super().check()
        self._panel.check()
        self._curve.check()
        self._followed.check()
        held = self._live.count + (0 if self._retiring is None else self._retiring.count)
        assert self.count == (self._followed.count if self._following else held)
        self._live.check()
        for record in self._panel.records.values():
            assert record.live is None or record.live.where > 0, "a record of a node that left"

    # -- the sample ---------------------------------------------------------

    def _admit(self, node: Node) -> Record:
        """The record of a sampled node that became resident."""
        record = self._panel.record(node.key, node.size, node.cost)
        record.holders += 1
        record.live = node
        return record

    def _observe(self, record: Record) -> None:
        """Tell the ghost caches of an access."""
        self._panel.access(record)
        if self._curve.covers(record.key):
            self._curve.access(self._curve.record(record.key, record.size, record.cost))

    def _replay(self) -> None:
        """Give the ghost caches the hits that were noted."""
        pending, self._pending = self._pending, []
        for record in pending:
            self._observe(record)

    def _fit_sample(self) -> None:
        """Keep the samples between their least and twice that."""
        rate = self._panel.mask + 1
        if self.count >= 2 * SAMPLE * rate:
            self._panel.thin()
            if self._following:
                self._restart(self._panel.mask)
        elif rate > 1 and 4 * self.count < SAMPLE * rate:
            mask = 0
            while self.count >= SAMPLE * (mask + 1):
                mask = 2 * mask + 1
            self._restart(mask)
        if self.count >= 2 * CURVE_SAMPLE * (self._curve.mask + 1):
            self._curve.thin()

    def _restart(self, mask: int) -> None:
        """Change between a small cache and a large one, or widen the sample of a large one."""
        nodes = [(node, self.uses(node)) for node in self.nodes()]
        former = self._panel
        if self._following:
            self._following = False
            self._panel.watched = -1
            self._panel.left.clear()
            for node, uses in nodes:
                self._followed.remove(node)
                self._live.adopt(node, uses)
            self._touch = self._live.hit
            return
        for node, _ in nodes:
            self._holder(node).remove(node)
        self._start(mask)
        for node, uses in nodes:
            if mask == 0:
                self._followed.append(node)
                node.where = FOLLOWED
            else:
                self._live.adopt(node, uses)
            if self._panel.covers(node.key):
                self._observe(self._admit(node))
        # what was learned stays; filling the ghost caches taught nothing
        self._panel.accesses, self._panel.misses = former.accesses, former.misses
        self._panel.only = former.only

    # -- a small cache follows the leading ghost ----------------------------

    def _kept(self) -> Iterator[tuple[Node, Record]]:
        """The nodes whose shadows the leading ghost cache holds, the best last."""
        for shadow in self._panel.policies[self.leader].nodes():
            assert isinstance(shadow, Shadow)
            if shadow.record.live is not None:
                yield shadow.record.live, shadow.record

    def _unfollowed(self) -> Node:
        """A node that the leading ghost cache does not hold."""
        panel = self._panel
        panel.limit(self._capacity)
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

    # -- changing the leader ------------------------------------------------

    def _open(self) -> None:
        """It has turned out what the budget counts: if bytes, and sizes vary, start by size."""
        self._opened = True
        if self._capacity.sized:
            for index, candidate in enumerate(self.candidates):
                if candidate.policy == SIZED and index != self.leader:
                    self._lead(index)

    def _judge(self) -> None:
        """Let another candidate lead if it was better with confidence."""
        panel = self._panel
        if panel.accesses >= self._decay_at:
            # once for each access per key of a ghost cache
            factor = 0.5 ** (1.0 / self.half_life)
            panel.decay(factor)
            self._curve.decay(factor)
            self._decay_at = panel.accesses + max(32.0, self.count / (panel.mask + 1))
        best = challenger(
            panel,
            self.candidates,
            self.leader,
            doubt=Doubt(self.confidence, self.confidence) if self._following else self.sampled,
            least_gain=self.least_gain,
            sized=self._capacity.sized,
        )
        if best != self.leader:
            self._lead(best)

    def _lead(self, index: int) -> None:
        self.switches += 1
        before, after = self.candidates[self.leader], self.candidates[index]
        if self._following:
            # what the former leader would have evicted first goes first
            records = [self._panel.records[node.key] for node in self.nodes()]
            surplus = [record for record in records if not record.shadows[index].where]
            self._panel.left.clear()
            self._panel.left.extend(surplus)
            self._panel.watched = index
            self._live = self._make(index)
        elif before.policy == after.policy:
            for setting, value in after.settings.items():
                setattr(self._live, setting, value)
        else:
            while self._retiring is not None:
                self._migrate()
            self._retiring, self._live = self._live, self._make(index)
            self._touch = self._touch_either
        self.leader = index

    def _holder(self, node: Node) -> Policy:
        """Which of the old and the new policy holds `node`: their queues' numbers differ."""
        if self._retiring is None or node.where >> 4 == self._live.family:
            return self._live
        return self._retiring

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
        return self._panel.accesses * (self._panel.mask + 1)

    def standings(self) -> dict[str, float]:
        """Estimated miss ratio of each candidate over the recent accesses to sampled keys."""
        return {
            candidate.label: self._panel.ratio(index)
            for index, candidate in enumerate(self.candidates)
        }

    def curve(self) -> list[tuple[float, float]]:
        """(share of the present memory, estimated miss ratio) for half to four times of it.

        The shape is S3-FIFO's on a part of the sample, scaled to the miss ratio of
        the policy in use.
        """
        present = self._panel.ratio(self.leader)
        reference = self._curve.ratio(CURVE.index(1.0))
        scale = present / reference if reference else 0.0
        points: list[tuple[float, float]] = []
        least = 1.0
        for index, share in enumerate(CURVE):
            # a sample of few keys can make more memory look worse; it is not
            least = min(least, scale * self._curve.ratio(index))
            points.append((share, least))
        return points


def _ignore(node: Node) -> None:
    """A hit in a small cache: the ghost caches will hear of it."""
