"""First in, first out: the order of arrival alone, hits change nothing.

The cheapest order there is, and the baseline that the FIFO family (CLOCK,
SIEVE, S3-FIFO) improves on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from antecache.policies.base import Node, Policy, Queue


class FIFO(Policy):
    """Evicts the node that arrived first."""

    name: ClassVar[str] = "fifo"
    paper: ClassVar[str] = "Belady, IBM Systems Journal 5(2), 1966"

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self._queue = Queue()

    def insert(self, node: Node) -> None:
        node.where = 1
        self._queue.append(node)
        self.count += 1
        self.total += node.size

    def hit(self, node: Node) -> None:
        """A use changes nothing."""

    def evict(self) -> Node | None:
        node = self._queue.oldest
        if node is not None:
            self.remove(node)
        return node

    def remove(self, node: Node) -> None:
        self._queue.remove(node)
        node.where = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        self._queue.size += size - node.size
        self.total += size - node.size
        node.size = size

    def nodes(self) -> Iterator[Node]:
        return iter(self._queue)

    def check(self) -> None:
        super().check()
        self._queue.check()
