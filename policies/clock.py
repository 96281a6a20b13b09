"""CLOCK, the second chance: FIFO where a node used since its last turn goes round again.

The hand is the old end of the list: a used node is moved to the young end with
its mark wiped, the first unused one leaves. One mark by default; `rounds` of
more lets frequent nodes survive that many turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from antecache.policies.base import Node, Policy, Queue


class Clock(Policy):
    """Evicts the first node, in order of arrival, that was not used since its last turn.

    rounds  turns a node can earn by as many uses
    """

    name: ClassVar[str] = "clock"
    paper: ClassVar[str] = "Corbato, 'A paging experiment with the Multics system', 1968"

    def __init__(self, *, seed: int = 0, rounds: int = 1) -> None:
        super().__init__(seed=seed)
        self.rounds = self.full = rounds
        self._queue = Queue()
        self._newcomer: Node | None = None

    def insert(self, node: Node) -> None:
        node.where = 1
        node.state = 0
        self._newcomer = node
        self._queue.append(node)
        self.count += 1
        self.total += node.size

    def hit(self, node: Node) -> None:
        if node.state < self.rounds:
            node.state += 1

    def evict(self) -> Node | None:
        queue = self._queue
        if not queue.count:
            return None
        # The newcomer steps aside: the hand must come to it last, behind all it spares now.
        newcomer = self._newcomer if queue.count > 1 else None
        if newcomer is not None:
            queue.remove(newcomer)
        while True:
            node: Node = queue.head.next
            if not node.state:
                break
            node.state -= 1
            queue.refresh(node)
        if newcomer is not None:
            queue.append(newcomer)
        self.remove(node)
        return node

    def remove(self, node: Node) -> None:
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
