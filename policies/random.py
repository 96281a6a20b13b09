"""Evict any node, all alike: Redis's `allkeys-random`, and the yardstick of the rest.

The nodes stand in an array; the last one takes the place of the one that
leaves, so that every operation is O(1). `seed` makes the choices repeatable.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random as Generator
from typing import ClassVar

from antecache.policies.base import Node, Policy


class Random(Policy):
    """Evicts a node drawn uniformly from those it holds."""

    name: ClassVar[str] = "random"
    paper: ClassVar[str] = "Belady, IBM Systems Journal 5(2), 1966"
    deterministic: ClassVar[bool] = False

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self._nodes: list[Node] = []
        self._random = Generator(seed).random

    def insert(self, node: Node) -> None:
        node.where = 1
        node.state = len(self._nodes)
        self._nodes.append(node)
        self.count += 1
        self.total += node.size

    def hit(self, node: Node) -> None:
        """A use changes nothing."""

    def evict(self) -> Node | None:
        if not self._nodes:
            return None
        node = self._nodes[int(self._random() * len(self._nodes))]
        self.remove(node)
        return node

    def remove(self, node: Node) -> None:
        last = self._nodes.pop()
        if last is not node:
            self._nodes[node.state] = last
            last.state = node.state
        node.where = node.state = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        self.total += size - node.size
        node.size = size

    def nodes(self) -> Iterator[Node]:
        return iter(self._nodes)

    @property
    def metadata_bytes(self) -> int:
        return 8 * len(self._nodes)

    def check(self) -> None:
        super().check()
        assert all(node.state == i for i, node in enumerate(self._nodes)), "a place is wrong"
