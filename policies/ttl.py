"""Evict what expires next: Redis's `volatile-ttl`, exactly instead of by sampling.

A heap of (expiry, arrival, node). Entries of nodes that left, or whose expiry
moved, stay until they surface or until they outnumber the valid ones, when the
heap is rebuilt; so its length is at most twice the number of nodes plus 64.
Nodes that never expire go last, oldest first.

A changed expiry is noticed at the node's next hit or resize, not by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import ClassVar

from antecache.policies.base import Node, Policy

NEVER = 1 << 62


class TTL(Policy):
    """Evicts the node with the nearest expiry."""

    name: ClassVar[str] = "ttl"
    paper: ClassVar[str] = "Redis documentation, 'Key eviction'"

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self._heap: list[tuple[int, int, Node]] = []
        self._arrivals = 0

    def insert(self, node: Node) -> None:
        node.where = 1
        self.count += 1
        self.total += node.size
        self._push(node)

    def _push(self, node: Node) -> None:
        # the node's state is its only valid entry in the heap
        self._arrivals += 1
        node.state = (node.expire_at or NEVER, self._arrivals, node)
        heappush(self._heap, node.state)
        if len(self._heap) > 2 * self.count + 64:
            self._heap = [item for item in self._heap if item[2].state is item]
            heapify(self._heap)

    def hit(self, node: Node) -> None:
        if node.state[0] != (node.expire_at or NEVER):
            self._push(node)

    def evict(self) -> Node | None:
        heap = self._heap
        while heap:
            item = heappop(heap)
            node = item[2]
            if node.state is not item:
                continue
            if item[0] != (node.expire_at or NEVER):
                self._push(node)  # it was moved later, or made to last, unseen
                heap = self._heap
                continue
            self.remove(node)
            return node
        return None

    def remove(self, node: Node) -> None:
        node.where = node.state = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        self.total += size - node.size
        node.size = size
        self.hit(node)

    def nodes(self) -> Iterator[Node]:
        valid = [item for item in self._heap if item[2].state is item]
        return (item[2] for item in sorted(valid, key=lambda item: item[:2]))

    @property
    def metadata_bytes(self) -> int:
        # a tuple of three with its garbage-collection header, two integers, the slot
        return 144 * len(self._heap)

    def check(self) -> None:
        super().check()
        assert len(self._heap) <= 2 * self.count + 64 or not self.count, "stale entries pile up"
