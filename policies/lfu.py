"""Least frequently used as Redis means it: a logarithmic counter that decays.

Each key has a counter of 0 to 255 that starts at 5 and is raised with
probability 1 / ((counter - 5) x 10 + 1), so that about a million uses fill it;
the constants are those of `lfu-log-factor 10` in Redis's evict.c. There a
counter loses one for each minute without a use (`lfu-decay-time 1`). A policy
has no clock, so here a *minute* is `decay` uses for every resident node: time
that stands still when nobody asks.

Decay costs nothing: a node keeps its counter plus the epoch at its last use.
As the epoch advances, everything unused falls behind by itself. Nodes of one
level form a queue, a heap of the levels in use yields the lowest, so the victim
is exact where Redis samples five keys.

Not the LFU of the textbooks, which never forgets and which libCacheSim's `LFU`
is; hence no comparison of counts with that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random as Generator
from typing import ClassVar

from antecache.policies.base import Node, Policy, Queue

INITIAL = 5  # LFU_INIT_VAL
HIGHEST = 255


class LFU(Policy):
    """Evicts the node with the lowest decayed counter, the least recent of them first.

    log_factor  how much harder each further step of the counter is
    decay       uses per resident node after which every counter has lost one
    """

    name: ClassVar[str] = "lfu"
    paper: ClassVar[str] = "Sanfilippo, 'Random notes on improving the Redis LRU algorithm', 2016"
    deterministic: ClassVar[bool] = False

    def __init__(self, *, seed: int = 0, log_factor: int = 10, decay: float = 4.0) -> None:
        super().__init__(seed=seed)
        self.log_factor = log_factor
        self.decay = decay
        self._random = Generator(seed).random
        self._epoch = 0
        self._uses = 0  # of the present epoch
        self._levels: dict[int, Queue] = {}
        self._heap: list[int] = []  # every level of _levels, once

    def _enter(self, node: Node, level: int) -> None:
        node.where = 1
        node.state = level
        queue = self._levels.get(level)
        if queue is None:
            queue = self._levels[level] = Queue()
            heappush(self._heap, level)
        queue.append(node)

    def _tick(self) -> None:
        self._uses += 1
        if self._uses >= self.decay * self.count:
            self._uses = 0
            self._epoch += 1

    def insert(self, node: Node) -> None:
        self.count += 1
        self.total += node.size
        self._enter(node, self._epoch + INITIAL)
        self._tick()

    def hit(self, node: Node) -> None:
        self._uses += 1
        if self._uses >= self.decay * self.count:
            self._uses = 0
            self._epoch += 1
        level = node.state
        counter = level - self._epoch
        if counter < 0:
            counter = 0
        if counter < HIGHEST:
            above = counter - INITIAL
            if above <= 0 or self._random() * (above * self.log_factor + 1) < 1.0:
                counter += 1
        new = self._epoch + counter
        if new == level:
            self._levels[level].refresh(node)
        else:
            self._levels[level].remove(node)
            self._enter(node, new)

    def evict(self) -> Node | None:
        while self._heap:
            level = self._heap[0]
            queue = self._levels[level]
            node = queue.oldest
            if node is not None:
                self.remove(node)
                return node
            heappop(self._heap)
            del self._levels[level]
        return None

    def remove(self, node: Node) -> None:
        self._levels[node.state].remove(node)
        node.where = node.state = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        self._levels[node.state].size += size - node.size
        self.total += size - node.size
        node.size = size

    def counter(self, node: Node) -> int:
        """The node's present counter, 0 to 255: what OBJECT FREQ answers."""
        return max(0, min(HIGHEST, int(node.state) - self._epoch))

    def nodes(self) -> Iterator[Node]:
        for level in sorted(self._levels):
            yield from self._levels[level]

    @property
    def metadata_bytes(self) -> int:
        return 400 * len(self._levels)

    def check(self) -> None:
        super().check()
        assert sorted(self._heap) == sorted(self._levels), "levels and heap differ"
        for level, queue in self._levels.items():
            queue.check()
            assert all(node.state == level for node in queue), "a node is on the wrong level"
            assert level <= self._epoch + HIGHEST, "a counter is too high"
