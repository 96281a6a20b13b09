"""Least recently used, exactly: one list, a hit moves a node to its young end.

Redis approximates this by sampling; a list through the nodes' own links is
exact and costs no memory of its own. One scan through the keys flushes it, which
is why it is not the default.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from antecache.policies.base import Node, Policy, Queue


class LRU(Policy):
    """Evicts the node that was unused for the longest time."""

    name: ClassVar[str] = "lru"
    paper: ClassVar[str] = "Mattson et al., IBM Systems Journal 9(2), 1970"

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self._queue = Queue()
        self._head = self._queue.head

    def insert(self, node: Node) -> None:
        node.where = 1
        node.state = self.clock
        self._queue.append(node)
        self.count += 1
        self.total += node.size

    def hit(self, node: Node) -> None:
        node.state = self.clock
        # Queue.refresh written out: a call less on every read of the server
        head = self._head
        last = head.prev
        if last is not node:
            prev, following = node.prev, node.next
            prev.next, following.prev = following, prev
            node.prev, node.next = last, head
            last.next = head.prev = node

    def evict(self) -> Node | None:
        node = self._queue.oldest
        if node is not None:
            self.remove(node)
        return node

    def remove(self, node: Node) -> None:
        self._queue.remove(node)
        node.where = node.state = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        self._queue.size += size - node.size
        self.total += size - node.size
        node.size = size

    def idle(self, node: Node) -> int:
        """Seconds since a held node was last used, by the clock."""
        return max(0, self.clock - int(node.state))

    def nodes(self) -> Iterator[Node]:
        return iter(self._queue)

    def check(self) -> None:
        super().check()
        self._queue.check()
