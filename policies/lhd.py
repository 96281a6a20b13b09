"""LHD: evict the node with the least expected hits per byte and time it will occupy.

For each class of nodes the policy counts at which age they are hit or evicted.
From the counts follows the hit density of an age: hits still to come over the
time still to be occupied, given that the node got this old. A victim is the
least dense, per byte, of `samples` nodes drawn at random.

A class is the age at the last hit, in powers of two: what was reused soon tends
to be again. Ages are counted in uses and coarsened so that `AGES` steps cover a
few lifetimes of the cache; counts decay at each recomputation, which comes every
four uses per resident node.

Where it differs from libCacheSim: there the densities are recomputed after 2^20
uses, too late to learn anything on a short trace, and the age step is found by
search; here both follow the number of residents.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random as Generator
from typing import ClassVar

from antecache.policies.base import Node, Policy

HELD = 0x51
CLASSES = 12
AGES = 128
COVER = 8  # lifetimes of the cache, in uses per resident, that the ages span
PERIOD = 4  # uses per resident between recomputations
DECAY = 0.8


class LHD(Policy):
    """Evicts the least dense of a sample.

    samples  nodes drawn for each victim
    """

    name: ClassVar[str] = "lhd"
    family: ClassVar[int] = 5
    paper: ClassVar[str] = "Beckmann et al., 'LHD: Improving Cache Hit Rate', NSDI 2018"
    deterministic: ClassVar[bool] = False

    def __init__(self, *, seed: int = 0, samples: int = 32) -> None:
        super().__init__(seed=seed)
        self.samples = samples
        self._random = Generator(seed).random
        self._nodes: list[Node] = []
        self._uses = 0
        self._due = 256
        self._step = 8  # uses per age
        self._hits = [[0.0] * AGES for _ in range(CLASSES)]
        self._evictions = [[0.0] * AGES for _ in range(CLASSES)]
        # before anything is known: like LRU, the older the less dense
        self._density = [[1.0 / (age + 1) for age in range(AGES)] for _ in range(CLASSES)]

    # A node's state: [its index in _nodes, its last use, its class]

    def insert(self, node: Node) -> None:
        self._uses += 1
        node.where = HELD
        node.state = [len(self._nodes), self._uses, CLASSES - 1]
        self._nodes.append(node)
        self.count += 1
        self.total += node.size
        if self._uses >= self._due:
            self._recompute()

    def hit(self, node: Node) -> None:
        self._uses += 1
        state = node.state
        age = (self._uses - state[1]) // self._step
        if age >= AGES:
            age = AGES - 1
        self._hits[state[2]][age] += 1.0
        state[1] = self._uses
        # bit_length of 0..AGES-1 is 0..7; newcomers have a class of their own
        state[2] = age.bit_length()

    def evict(self) -> Node | None:
        nodes = self._nodes
        held = len(nodes)
        if not held:
            return None
        random, density, uses, step = self._random, self._density, self._uses, self._step
        victim, least = nodes[0], float("inf")
        for number in range(min(self.samples, held)):
            node = nodes[int(random() * held)] if held > self.samples else nodes[number]
            _, last, kind = node.state
            age = (uses - last) // step
            rank = density[kind][age if age < AGES else AGES - 1] / max(1, node.size)
            if rank < least:
                victim, least = node, rank
        _, last, kind = victim.state
        age = min(AGES - 1, (uses - last) // step)
        self._evictions[kind][age] += 1.0
        self.remove(victim)
        return victim

    def _recompute(self) -> None:
        """Densities from counts, then let the counts fade; widen the ages if the cache grew."""
        for hits, evictions, density in zip(
            self._hits, self._evictions, self._density, strict=True
        ):
            events = wins = occupied = 0.0
            for age in range(AGES - 1, -1, -1):
                events += hits[age] + evictions[age]
                wins += hits[age]
                occupied += events
                # one pseudo-event of LRU's opinion keeps empty cells ordered by age
                density[age] = (wins + 0.01 / (age + 1)) / (occupied + 1.0)
                hits[age] *= DECAY
                evictions[age] *= DECAY
        step = max(1, COVER * self.count // AGES)
        if not self._step / 2 < step < self._step * 2:
            ratio = step / self._step
            self._hits = [_rescale(row, ratio) for row in self._hits]
            self._evictions = [_rescale(row, ratio) for row in self._evictions]
            self._step = step
        self._due = self._uses + max(256, PERIOD * self.count)

    def remove(self, node: Node) -> None:
        last = self._nodes.pop()
        if last is not node:
            index = node.state[0]
            self._nodes[index] = last
            last.state[0] = index
        node.where = node.state = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        self.total += size - node.size
        node.size = size

    def nodes(self) -> Iterator[Node]:
        return iter(sorted(self._nodes, key=lambda node: int(node.state[1])))

    @property
    def metadata_bytes(self) -> int:
        # three tables of floats; a list of three with its numbers and a slot a node
        return 3 * CLASSES * AGES * 32 + 160 * self.count

    def check(self) -> None:
        super().check()
        assert all(node.state[0] == i for i, node in enumerate(self._nodes)), "a place is wrong"
        assert all(0 <= node.state[2] < CLASSES for node in self._nodes), "a class is wrong"
        assert all(node.state[1] <= self._uses for node in self._nodes), "a use in the future"


def _rescale(row: list[float], ratio: float) -> list[float]:
    """The counts of `row` over ages whose step is `ratio` times as long."""
    scaled = [0.0] * AGES
    for age, count in enumerate(row):
        scaled[min(AGES - 1, int(age / ratio))] += count
    return scaled
