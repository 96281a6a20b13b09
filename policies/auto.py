"""The default policy: whichever of several would have missed least, lately.

Candidates (`_contest.py`) run as ghost caches over a sample of the keys
(`_panel.py`); when another would have saved more than a change costs, it takes
over, and no entry is lost by that. A small cache, of fewer than 2 x `SAMPLE` keys,
is sampled whole and holds what the leading ghost holds (`_follow.py`); a larger
one is run by a real instance of the leading policy (`_move.py`).

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
from typing import ClassVar

from antecache.policies._capacity import Capacity
from antecache.policies._contest import CANDIDATES, LARGE, SIZED, Candidate, challenger
from antecache.policies._follow import Follower
from antecache.policies._move import Mover
from antecache.policies._panel import Panel, Record
from antecache.policies.base import Node, Policy
from antecache.policies.registry import find

SAMPLE = 1500  # keys in the sample of a large cache, to twice as many
CURVE_SAMPLE = 400  # and in that of the curve
CURVE = (0.5, 1.0, 2.0, 4.0)
CURVE_POLICY = "s3fifo"
BLOCK = 128  # hits on sampled keys that wait for a miss at most


class Auto(Policy):
    """Evicts what the best of its candidates would.

    half_life  sampled accesses, per key of a ghost cache, after which what `standings` and
               `curve` tell of them weighs half
    """

    name: ClassVar[str] = "auto"
    paper: ClassVar[str] = "Subramanian et al., 'Adaptive Caches', MICRO 2006"

    def __init__(
        self,
        *,
        seed: int = 0,
        half_life: float = 8.0,
        candidates: tuple[Candidate, ...] = CANDIDATES,
    ) -> None:
        super().__init__(seed=seed)
        self.half_life = half_life
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
        self._panel.lead(self.leader)
        self._curve = Panel([find(CURVE_POLICY)(seed=self.seed) for _ in CURVE], CURVE, mask)
        self._record_of = self._panel.records.get
        self._pending: list[Record] = []
        self._body: Follower | Mover
        if mask:
            self._body = Mover(self._make(self.leader))
        else:
            self._body = Follower(self._panel, self._capacity)
        self._touch = self._body.touch

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
        # a victim that the store had pinned is put back: nobody asked for it
        asked = node.key is not self._last_victim
        record = self._admit(node)
        self._body.insert(node, asked=asked)
        if record is not None and asked:
            self._capacity.newcomer(node.size)
            self._panel.limit(self._capacity)
            self._curve.limit(self._capacity)
            self._observe(record)
            self._judge()
        self._fit_sample()
        self._touch = self._body.touch

    def evict(self) -> Node | None:
        if not self.count:
            return None
        if self._pending:
            self._replay()
        self._capacity.exceeded(self.total, self.count)
        if self._capacity.settled and not self._opened:
            self._open()
        victim = self._body.evict()
        self._last_victim = victim.key
        self._gone(victim)
        return victim

    def remove(self, node: Node) -> None:
        if self._pending:
            self._replay()
        self._body.remove(node)
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
        self._body.resize(node, size)
        for panel in (self._panel, self._curve):
            record = panel.records.get(node.key)
            if record is not None:
                panel.resize(record, size)

    def nodes(self) -> Iterator[Node]:
        return self._body.nodes()

    def uses(self, node: Node) -> int:
        return self._body.uses(node)

    @property
    def metadata_bytes(self) -> int:
        return self._panel.nbytes + self._curve.nbytes + self._body.nbytes

    def check(self) -> None:
        super().check()
        self._panel.check()
        self._curve.check()
        self._body.check()
        assert self._body.count == self.count, "nodes are lost"
        for record in self._panel.records.values():
            assert record.live is None or record.live.where > 0, "a record of a node that left"

    # -- the sample ---------------------------------------------------------

    def _admit(self, node: Node) -> Record | None:
        """The record of a node that became resident; None outside the sample."""
        if not self._panel.covers(node.key):
            return None
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
            if self._record_of(record.key) is record:  # else it left a thinned sample meanwhile
                self._observe(record)

    def _fit_sample(self) -> None:
        """Keep the samples between their least and twice that."""
        rate = self._panel.mask + 1
        if self.count >= 2 * SAMPLE * rate:
            self._panel.thin()
            if isinstance(self._body, Follower):
                self._outgrow()
        elif rate > 1 and 4 * self.count < SAMPLE * rate:
            mask = 0
            while self.count >= SAMPLE * (mask + 1):
                mask = 2 * mask + 1
            self._restart(mask)
        if self.count >= 2 * CURVE_SAMPLE * (self._curve.mask + 1):
            self._curve.thin()

    def _outgrow(self) -> None:
        """A small cache becomes a large one, with a leader for large ones if none has won yet."""
        nodes = [(node, self.uses(node)) for node in self.nodes()]
        labels = [candidate.label for candidate in self.candidates]
        if not self._capacity.full and LARGE in labels:
            self.leader = labels.index(LARGE)
        mover = Mover(self._make(self.leader))
        for node, uses in nodes:
            self._body.remove(node)
            mover.adopt(node, uses)
        self._body = mover
        self._panel.lead(self.leader)
        self._panel.watched = False
        while self._panel.next_left() is not None:
            pass

    def _restart(self, mask: int) -> None:
        """A large cache lost most of its nodes: sample more of what is left."""
        nodes = [(node, self.uses(node)) for node in self.nodes()]
        former = self._panel
        for node, _ in nodes:
            self._body.remove(node)
        self._start(mask)
        for node, uses in nodes:
            record = self._admit(node)
            if isinstance(self._body, Mover):
                self._body.adopt(node, uses)
            else:
                self._body.insert(node, asked=True)
            if record is not None:
                self._observe(record)
        # what was learned stays; filling the ghost caches taught nothing
        self._panel.accesses, self._panel.misses = former.accesses, former.misses
        self._panel.lead(self.leader)

    # -- the leader ---------------------------------------------------------

    def _open(self) -> None:
        """It has turned out what the budget counts: if bytes, and sizes vary, start by size."""
        self._opened = True
        if self._capacity.sized:
            for index, candidate in enumerate(self.candidates):
                if candidate.policy == SIZED and index != self.leader:
                    self._lead(index)

    def _judge(self) -> None:
        """Let another candidate lead if it would have saved what the change costs."""
        panel = self._panel
        keys = self.count / (panel.mask + 1)
        if panel.accesses >= self._decay_at:
            # once for each access per key of a ghost cache
            factor = 0.5 ** (1.0 / self.half_life)
            panel.decay(factor)
            self._curve.decay(factor)
            self._decay_at = panel.accesses + max(32.0, keys)
        if self._capacity.full:
            best = challenger(
                panel,
                self.candidates,
                keys=keys,
                small=isinstance(self._body, Follower),
                sized=self._capacity.sized,
            )
            if best != self.leader:
                self._lead(best)

    def _lead(self, index: int) -> None:
        self.switches += 1
        before, after = self.candidates[self.leader], self.candidates[index]
        if isinstance(self._body, Follower):
            self._body.lead(index)
        elif before.policy == after.policy:
            self._body.tune(after.settings)
        else:
            self._body.change(self._make(index))
        self._touch = self._body.touch
        self.leader = index
        self._panel.lead(index)

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
