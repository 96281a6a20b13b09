"""MQ: a queue for each power of two of uses, which a node leaves downwards when idle.

A node used f times is in queue log2(f). One not used for `lifetime` uses of the
cache sinks a queue and gets a new lifetime there. Victims leave the lowest
queue that has any; the number of their uses is remembered, so that a key that
returns continues where it was.

The paper sinks expired nodes at every access; here it is done before a victim
is chosen, which is when it matters and keeps hits cheap. The lifetime is given
in uses for each resident node; the paper estimates it from the peak of the
distribution of distances between uses. libCacheSim fixes both otherwise; of
lifetimes of 1 to 16 uses and ghosts of 2 to 8 keys these were the best on the
traces of `tests/bench`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import ClassVar

from antecache.policies._ghost import Ghosts
from antecache.policies.base import Node, Policy, Queue

QUEUES = 8
FIRST = 0x61  # the lowest queue
SINK_AT_ONCE = 16  # nodes of one queue before one eviction; bounds the work after an idle time


class MQ(Policy):
    """Evicts the least recent node of the lowest queue.

    lifetime  uses of the cache, per resident node, after which an idle node sinks
    ghost     keys remembered, per resident key (Qout)
    """

    name: ClassVar[str] = "mq"
    family: ClassVar[int] = 6
    paper: ClassVar[str] = "Zhou et al., 'The Multi-Queue replacement algorithm', USENIX ATC 2001"

    def __init__(self, *, seed: int = 0, lifetime: float = 8.0, ghost: float = 4.0) -> None:
        super().__init__(seed=seed)
        self.lifetime = lifetime
        self.ghost = ghost
        self._queues = [Queue() for _ in range(QUEUES)]  # where = FIRST + index
        self._ghosts = Ghosts()
        self._uses = 0  # the clock; a node's state is (number of its uses, its last or sinking)

    def insert(self, node: Node) -> None:
        self.count += 1
        self.total += node.size
        self._uses += 1
        known = self._ghosts.take(node.key) if self._ghosts.count else None
        self._enter(node, 1 if known is None else known + 1)

    def _enter(self, node: Node, uses: int) -> None:
        index = min(uses.bit_length(), QUEUES) - 1
        node.where = FIRST + index
        node.state = (uses, self._uses)
        self._queues[index].append(node)

    def hit(self, node: Node) -> None:
        self._uses += 1
        uses = node.state[0] + 1
        index = uses.bit_length() - 1
        if index >= QUEUES:
            index = QUEUES - 1
        before = node.where - FIRST
        if index == before:
            self._queues[index].refresh(node)
        else:
            self._queues[before].remove(node)
            node.where = FIRST + index
            self._queues[index].append(node)
        node.state = (uses, self._uses)

    def evict(self) -> Node | None:
        self._sink()
        for queue in self._queues:
            node = queue.oldest
            if node is not None:
                uses = node.state[0]
                self.remove(node)
                self._ghosts.push(node.key, uses)
                self._ghosts.trim(int(self.ghost * self.count) + 1)
                return node
        return None

    def _sink(self) -> None:
        """Move the oldest of each queue down while it is idle for too long."""
        before = self._uses - self.lifetime * self.count
        for index in range(1, QUEUES):
            queue = self._queues[index]
            for _ in range(SINK_AT_ONCE):
                node: Node = queue.head.next
                if node is queue.head or node.state[1] >= before:
                    break
                queue.remove(node)
                node.where = FIRST + index - 1
                node.state = (node.state[0], self._uses)
                self._queues[index - 1].append(node)

    def remove(self, node: Node) -> None:
        self._queues[node.where - FIRST].remove(node)
        node.where = node.state = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        self._queues[node.where - FIRST].size += size - node.size
        self.total += size - node.size
        node.size = size

    def nodes(self) -> Iterator[Node]:
        return chain(*self._queues)

    @property
    def metadata_bytes(self) -> int:
        return self._ghosts.nbytes + 120 * self.count  # a tuple and two integers a node

    def check(self) -> None:
        super().check()
        self._ghosts.check()
        for index, queue in enumerate(self._queues):
            queue.check()
            assert all(node.where == FIRST + index for node in queue), (
                "a node is in the wrong queue"
            )
            assert all(node.state[0] >= 1 for node in queue), "a count of uses is wrong"
