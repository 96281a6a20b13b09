"""LeCaR: two experts, LRU and LFU, and weights that follow regret.

A victim is chosen by one of them, drawn by weight, and remembered in that
expert's history. A key that comes back while remembered was a mistake: the
*other* expert's weight is raised, the more the shorter ago the eviction was.
Constants are the paper's: learning rate 0.45, discount 0.005^(1/N) for N
resident nodes, histories of N/2 keys each.

The order of LFU is a heap with one lazy entry a node, as in `gdsf.py`. Where
both experts would evict the same node nothing is remembered: nobody was wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush, heapreplace
from math import exp
from random import Random as Generator
from typing import ClassVar

from antecache.policies._ghost import Ghosts
from antecache.policies.base import Node, Policy, Queue

LEARNING_RATE = 0.45
DISCOUNT = 0.005
LEAST_WEIGHT = 0.01
MOST_USES = 255  # what fits a ghost's payload beside 24 bits of time


class LeCaR(Policy):
    """Evicts the least recent or the least frequent node, by the luck of weighted lots."""

    name: ClassVar[str] = "lecar"
    paper: ClassVar[str] = "Vietri et al., 'Driving Cache Replacement with ML-based LeCaR', 2018"
    deterministic: ClassVar[bool] = False

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self._random = Generator(seed).random
        self._queue = Queue()
        self._heap: list[tuple[int, int, list[Node | None]]] = []
        self._uses = 0  # the clock
        self._weight = 0.5  # of LRU; LFU has the rest
        self._left_lru = Ghosts()
        self._left_lfu = Ghosts()

    # A node's state: [uses, its box in the heap]; the box is emptied when the node leaves.

    def insert(self, node: Node) -> None:
        self._uses += 1
        known = self._left_lru.take(node.key)
        wrong = self._left_lru
        if known is None:
            known = self._left_lfu.take(node.key)
            wrong = self._left_lfu
        uses = 1
        if known is not None:
            uses = min(MOST_USES, (known >> 24) + 1)
            age = (self._uses - known) & 0xFFFFFF
            self._learn(wrong is self._left_lru, age)
        box: list[Node | None] = [node]
        node.where = 1
        node.state = [uses, box]
        self.count += 1
        self.total += node.size
        self._queue.append(node)
        heappush(self._heap, (uses, self._uses, box))
        if len(self._heap) > 2 * self.count + 64:
            self._heap = [item for item in self._heap if item[2][0] is not None]
            heapify(self._heap)

    def _learn(self, lru_was_wrong: bool, age: int) -> None:
        regret = DISCOUNT ** (age / max(1, self.count))
        gain = exp(LEARNING_RATE * regret)
        lru, lfu = self._weight, 1.0 - self._weight
        if lru_was_wrong:
            lfu *= gain
        else:
            lru *= gain
        self._weight = min(1.0 - LEAST_WEIGHT, max(LEAST_WEIGHT, lru / (lru + lfu)))

    def hit(self, node: Node) -> None:
        self._uses += 1
        node.state[0] += 1
        self._queue.refresh(node)

    def _least_frequent(self) -> Node:
        """The node on top of the heap once every stale entry above it is put right."""
        heap = self._heap
        while True:
            uses, _, box = heap[0]
            node = box[0]
            if node is None:
                heappop(heap)
            elif node.state[0] > uses:
                self._uses += 1
                heapreplace(heap, (node.state[0], self._uses, box))
            else:
                return node

    def evict(self) -> Node | None:
        if not self.count:
            return None
        lru: Node = self._queue.head.next
        lfu = self._least_frequent()
        by_lru = self._random() < self._weight
        victim = lru if by_lru else lfu
        payload = (min(victim.state[0], MOST_USES) << 24) | (self._uses & 0xFFFFFF)
        self.remove(victim)
        if lru is not lfu:
            history = self._left_lru if by_lru else self._left_lfu
            history.push(victim.key, payload)
            history.trim(self.count // 2 + 1)
        return victim

    def remove(self, node: Node) -> None:
        self._queue.remove(node)
        node.state[1][0] = None
        node.where = node.state = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        self._queue.size += size - node.size
        self.total += size - node.size
        node.size = size

    def nodes(self) -> Iterator[Node]:
        return iter(self._queue)

    @property
    def metadata_bytes(self) -> int:
        # state and box (two lists), a tuple, numbers, the slot in the heap
        return 290 * len(self._heap) + self._left_lru.nbytes + self._left_lfu.nbytes

    def check(self) -> None:
        super().check()
        self._queue.check()
        self._left_lru.check()
        self._left_lfu.check()
        boxes = {id(item[2][0]) for item in self._heap if item[2][0] is not None}
        assert len(boxes) == self.count, "the heap has lost a node"
        assert len(self._heap) <= 2 * self.count + 65 or not self.count, "stale entries pile up"
