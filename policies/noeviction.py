"""Never evict: a store that is full refuses to grow, as Redis's `noeviction`.

The nodes are kept in a list only so that another policy can take them over in
the order of their arrival. What a full store then does (answer `-OOM`) is the
store's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from antecache.policies.base import Node, Policy, Queue


class NoEviction(Policy):
    """Holds everything, evicts nothing."""

    name: ClassVar[str] = "noeviction"
    paper: ClassVar[str] = "Redis documentation, 'Key eviction'"
    evicts: ClassVar[bool] = False

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
        """Always None, however full the store is."""
        return None

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
