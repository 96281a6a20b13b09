"""Segmented LRU: every hit lifts a node one segment, overflow sinks it again.

Four segments of a quarter each, as in Facebook's and libCacheSim's use of it;
two (probation and a protected one) in the paper. Newcomers enter the lowest,
victims leave from there, so one scan can only sweep the lowest segment.

Where it differs from libCacheSim: as the capacity is not known before the first
eviction, a cache that fills gives each segment its share from the start, the
highest first, where the code there fills the lowest to its limit, then the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import ClassVar

from antecache.policies.base import Node, Policy, Queue


class SLRU(Policy):
    """Evicts the least recent node of the lowest segment that has any.

    segments  how many, all of one size
    """

    name: ClassVar[str] = "slru"
    paper: ClassVar[str] = "Karedla et al., 'Caching strategies', IEEE Computer 27(3), 1994"

    def __init__(self, *, seed: int = 0, segments: int = 4) -> None:
        super().__init__(seed=seed)
        self.segments = segments
        self._queues = [Queue() for _ in range(segments)]  # where = index + 1
        self._filling = True  # until the first eviction

    def insert(self, node: Node) -> None:
        self.count += 1
        self.total += node.size
        index = 0
        if self._filling:
            # each segment takes its share from the start, else a loop just larger
            # than the cache would never leave the lowest
            index = min(range(self.segments), key=lambda k: (self._queues[k].size, -k))
        node.where = index + 1
        self._queues[index].append(node)

    def hit(self, node: Node) -> None:
        where: int = node.where
        queues = self._queues
        if where == self.segments:
            queues[where - 1].refresh(node)
            return
        queues[where - 1].remove(node)
        node.where = where + 1
        queues[where].append(node)
        share = self.total / self.segments
        for index in range(where, 0, -1):
            queue = queues[index]
            while queue.size > share and queue.count > 1:
                sinking: Node = queue.head.next
                queue.remove(sinking)
                sinking.where = index
                queues[index - 1].append(sinking)

    def evict(self) -> Node | None:
        self._filling = False
        for queue in self._queues:
            node = queue.oldest
            if node is not None:
                self.remove(node)
                return node
        return None

    def remove(self, node: Node) -> None:
        self._queues[node.where - 1].remove(node)
        node.where = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        self._queues[node.where - 1].size += size - node.size
        self.total += size - node.size
        node.size = size

    def nodes(self) -> Iterator[Node]:
        return chain(*self._queues)

    def check(self) -> None:
        super().check()
        for index, queue in enumerate(self._queues):
            queue.check()
            assert all(node.where == index + 1 for node in queue), "a node is in the wrong segment"
