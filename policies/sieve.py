"""SIEVE: FIFO with a hand that sifts, and survivors that stay where they are.

The hand walks from the oldest node to the youngest, wiping marks, and evicts
the first node without one; then it rests there. Unlike CLOCK it does not move
the survivors, so newcomers are judged soon and old favourites stay behind it.

The newcomer is in the list already when a victim is chosen; the hand passes it
by, so that the misses are those of libCacheSim to the count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from antecache.policies.base import Node, Policy, Queue


class Sieve(Policy):
    """Evicts the first unused node that the hand meets."""

    name: ClassVar[str] = "sieve"
    paper: ClassVar[str] = "Zhang et al., 'SIEVE is simpler than LRU', NSDI 2024"
    full = 1

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self._queue = Queue()
        self._hand: Node = self._queue.head  # the sentinel: start again at the oldest
        self._newcomer: Node | None = None

    def insert(self, node: Node) -> None:
        node.where = 1
        node.state = 0
        self._newcomer = node
        self._queue.append(node)
        self.count += 1
        self.total += node.size

    def hit(self, node: Node) -> None:
        node.state = 1

    def evict(self) -> Node | None:
        if not self.count:
            return None
        head = self._queue.head
        # the newcomer is not judged before it could be used, unless it is alone
        newcomer = self._newcomer if self.count > 1 else None
        node = self._hand
        while True:
            if node is head or node is newcomer:
                node = head.next if node is head else node.next
                continue
            if not node.state:
                break
            node.state = 0
            node = node.next
        self._hand = node
        self.remove(node)
        if self._hand is newcomer:
            self._hand = head  # the victim was the youngest but for the newcomer
        return node

    def remove(self, node: Node) -> None:
        if node is self._hand:
            self._hand = node.next
        if node is self._newcomer:
            self._newcomer = None
        self._queue.remove(node)
        node.where = node.state = 0
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
        assert self._hand is self._queue.head or self._hand.where, "the hand rests on nothing"
