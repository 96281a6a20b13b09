"""The default policy: whichever of several would have missed least, lately.

Candidates (`_contest.py`) run as ghost caches over a sample of the keys
(`_panel.py`); when another would have saved more than a change costs, it takes
over, and no entry is lost by that. A small cache, of fewer than 2 x `SAMPLE` keys,
is sampled whole and holds what the leading ghost holds (`_follow.py`); a larger
one is run by a real instance of the leading policy (`_move.py`).

A hit on an unsampled key costs one look-up more than the policy in use. Hits on sampled
keys are noted and given to the ghost caches at the next miss, or in blocks.

Where the budget counts bytes and sizes vary, `gdsf` leads from the start: every
small value that is evicted for a large one costs a load, and there is no time to
find out. Where sizes do not vary it never leads.

What this file does not do: know of prefetching. A prefetched key arrives here at
its first use, as a missed key does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import ClassVar
from zlib import crc32

from antecache.policies._capacity import Capacity
from antecache.policies._contest import BY_SIZE, CANDIDATES, LARGE, Candidate, challenger
from antecache.policies._follow import Follower
from antecache.policies._move import Mover
from antecache.policies._sample import CURVE, Sample
from antecache.policies.base import Node, Policy
from antecache.policies.registry import find

CURVE_POLICY = "s3fifo"
ASLEEP = 0xF  # mask of the keys at whose insertion the capacity is looked at, without ghosts
CHECK = 64  # insertions between two looks at whether the sample still fits the store


class Auto(Policy):
    """Evicts what the best of its candidates would.

    half_life  sampled accesses, per key of a ghost cache, after which what `standings` and
               `curve` tell of them weighs half
    memory     bytes that nodes and ghost caches may take together; whoever knows sets it
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
        self.memory = sys.maxsize
        self.switches = 0
        self.leader = 0  # index of the candidate in use
        self._capacity = Capacity()
        self._by_size = False  # whether an order by size is among the candidates
        self._sounding = True  # whether the last insertion was one that tells of the capacity
        self._until_check = CHECK
        self._decay_at = 0.0
        self._last_victim = b""
        self._watch(0)
        self._body: Follower | Mover = Follower(self._sample.panel, self._capacity)
        self._bind()

    def _make(self, index: int) -> Policy:
        candidate = self.candidates[index]
        return find(candidate.policy)(seed=self.seed, **candidate.settings)

    def _watch(self, mask: int) -> None:
        """Begin with empty ghost caches, and one key of `mask` + 1 in the sample."""
        policies = [self._make(index) for index in range(len(self.candidates))]
        curve = [find(CURVE_POLICY)(seed=self.seed) for _ in CURVE]
        self._sample = Sample(policies, curve, mask)
        self._sample.panel.lead(self.leader)
        self._record_of = self._sample.find
        self._pending = self._sample.pending
        self._mask = mask

    def _bind(self) -> None:
        """Look up what the body does on hits and misses: not at each of them."""
        self._touch: Callable[[Node], None] = self._body.touch
        self._place: Callable[[Node], None] = self._body.place
        self._give_up: Callable[[], Node | None] = self._body.evict

    # -- the contract -------------------------------------------------------

    def hit(self, node: Node) -> None:
        # CPython 3.11 calls a local fast, and an attribute that is no method slowly
        find, touch = self._record_of, self._touch
        if (record := find(node.key)) is not None:
            self._sample.note(record)
        touch(node)

    def insert(self, node: Node) -> None:
        key = node.key
        self._until_check = left = self._until_check - 1
        if not crc32(key) & self._mask or left <= 0 or key is self._last_victim or self._pending:
            self._insert_telling(node)
            return
        self._sounding = False
        self.count += 1
        self.total += node.size
        place = self._place
        place(node)

    def _insert_telling(self, node: Node) -> None:
        """An insertion that may tell of the capacity, the candidates or the sample."""
        sample = self._sample
        sample.replay()
        # a victim that the store had pinned is put back: nobody asked for it
        asked = node.key is not self._last_victim
        record = None
        self._sounding = not crc32(node.key) & self._mask
        if self._sounding:
            self._capacity.content(self.total, self.count)
            self._capacity.newcomer(node.size)
            record = sample.admit(node)
        self.count += 1
        self.total += node.size
        if asked:
            self._body.place(node)
            if record is not None:
                sample.missed(record, self._capacity)
                self._judge()
        else:
            self._body.put_back(node)
        if self._until_check <= 0:
            self._check_sample()
        self._bind()

    def evict(self) -> Node | None:
        if self._pending:
            self._sample.replay()
        if self._sounding and self.count:
            self._capacity.exceeded(self.total, self.count)
            if not self._by_size and self._capacity.sized:
                self._order_by_size()
        give_up, find = self._give_up, self._record_of
        victim = give_up()
        if victim is None:
            return None
        self._last_victim = victim.key
        self.count -= 1
        self.total -= victim.size
        if find(victim.key) is not None:
            self._sample.gone(victim)
        return victim

    def remove(self, node: Node) -> None:
        if self._pending:
            self._sample.replay()
        self._body.remove(node)
        self.count -= 1
        self.total -= node.size
        record = self._sample.gone(node)
        if record is not None:
            self._sample.forget(record)

    def resize(self, node: Node, size: int) -> None:
        self.total += size - node.size
        self._body.resize(node, size)
        self._sample.resize(node, size)

    def nodes(self) -> Iterator[Node]:
        return self._body.nodes()

    def uses(self, node: Node) -> int:
        return self._body.uses(node)

    @property
    def metadata_bytes(self) -> int:
        return self._sample.nbytes + self._body.nbytes

    def check(self) -> None:
        super().check()
        self._sample.check()
        self._body.check()
        assert self._body.count == self.count, "nodes are lost"

    # -- the sample ---------------------------------------------------------

    def _check_sample(self) -> None:
        """Keep the sample as large as it should be."""
        self._until_check = CHECK
        before, mask = self._sample.panel.mask, self._sample.better_mask(self.count, self.memory)
        if mask != before:
            if mask and isinstance(self._body, Follower):
                self._outgrow()
            if mask == 2 * before + 1:
                self._sample.panel.thin()
            else:
                self._resample(mask)
        self._sample.fit_curve(self.count)
        # without ghost caches some insertions tell of the capacity all the same
        self._mask = ASLEEP if self._sample.asleep else mask

    def _outgrow(self) -> None:
        """A small cache becomes a large one, with a leader for large ones if none has won yet."""
        nodes = [(node, self.uses(node)) for node in self.nodes()]
        labels = [candidate.label for candidate in self.candidates]
        if not self.switches and LARGE in labels:
            self.leader = labels.index(LARGE)
        mover = Mover(self._make(self.leader))
        for node, uses in nodes:
            self._body.remove(node)
            mover.adopt(node, uses)
        self._body = mover
        self._sample.panel.unwatch()
        self._sample.panel.lead(self.leader)

    def _resample(self, mask: int) -> None:
        """Begin anew with another share of the keys; what is resident is known at once."""
        former = self._sample
        nodes = list(self.nodes())
        self._watch(mask)
        self._sample.limit(self._capacity)
        if not mask:
            for node in nodes:
                self._body.remove(node)
            self._body = Follower(self._sample.panel, self._capacity)
        for node in nodes:
            record = self._sample.admit(node)
            if not mask:
                self._body.place(node)
            if record is not None:
                self._sample.access(record)
        if not former.asleep:
            self._sample.inherit(former)

    # -- the leader ---------------------------------------------------------

    def _order_by_size(self) -> None:
        """It has turned out that the budget counts bytes and that sizes vary."""
        self._by_size = True
        self.candidates = (*self.candidates, BY_SIZE)
        self._sample.panel.add(self._make(-1))
        self._lead(len(self.candidates) - 1)

    def _judge(self) -> None:
        """Let another candidate lead if it would have saved what the change costs."""
        sample = self._sample
        panel, keys = sample.panel, self.count / sample.rate
        if panel.accesses >= self._decay_at:
            # once for each access per key of a ghost cache
            sample.decay(0.5 ** (1.0 / self.half_life))
            self._decay_at = panel.accesses + max(32.0, keys)
        if self._capacity.full and not sample.asleep:
            small = isinstance(self._body, Follower)
            best = challenger(panel, self.candidates, keys=keys, small=small)
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
        self._bind()
        self.leader = index
        self._sample.panel.lead(index)

    # -- what others may ask ------------------------------------------------

    @property
    def leading(self) -> str:
        """The candidate in use, by the name it has in `standings()`."""
        return self.candidates[self.leader].label

    @property
    def window(self) -> float:
        """How many recent accesses, sampled or not, `standings()` speaks of."""
        return 0.0 if self._sample.asleep else self._sample.panel.accesses * self._sample.rate

    @property
    def asleep(self) -> bool:
        """Whether there are no ghost caches, because the budget is too small for them."""
        return self._sample.asleep

    def standings(self) -> dict[str, float]:
        """Estimated miss ratio of each candidate over the recent accesses to sampled keys."""
        ratio = self._sample.panel.ratio
        return {candidate.label: ratio(index) for index, candidate in enumerate(self.candidates)}

    def curve(self) -> list[tuple[float, float]]:
        """(share of the present memory, estimated miss ratio) for half to four times of it."""
        return self._sample.points(self.leader)
