"""GDSF: evict what is worth least per byte, with a clock that lets old worth fade.

Priority = clock + uses x cost / size. The clock is the priority of the last
victim, so nodes that are not used fall behind whatever arrives later. Cost is
the time it took to load the key; where that is unknown, the average of the
known ones (1 while none is), so that only size and uses count.

Where it differs from libCacheSim: of equal priorities the node touched longest
ago goes first (there the one that entered first), which shows in caches of a few
dozen nodes of one size.

Priorities only rise between evictions. So a hit just notes the new one; the
heap keeps one entry a node and an entry that surfaces too early is put back at
its present priority. Entries of nodes that left by other ways surface and are
dropped, or are swept when they outnumber the residents.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush, heapreplace
from typing import ClassVar

from antecache.policies.base import Node, Policy

HELD = 0x41
UNITS = 1e6  # keeps priorities of large values far from the clock's rounding


class GDSF(Policy):
    """Evicts the node of the lowest priority."""

    name: ClassVar[str] = "gdsf"
    family: ClassVar[int] = 4
    paper: ClassVar[str] = "Cherkasova, 'Greedy-Dual-Size-Frequency', HP Labs 1998"

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self._heap: list[tuple[float, int, list[Node | None]]] = []
        self._clock = 0.0
        self._arrivals = 0
        self._mean_cost = 0.0

    # A node's state: [priority, uses, worth of one use, its box in the heap]. The box
    # is emptied when the node leaves, so a stale entry is known in one look.

    def _worth(self, node: Node) -> float:
        cost = node.cost
        if cost > 0.0:
            mean = self._mean_cost
            self._mean_cost = mean + (cost - mean) / 64 if mean else cost
        else:
            cost = self._mean_cost
        relative = cost / self._mean_cost if cost else 1.0
        return UNITS * relative / max(1, node.size)

    def insert(self, node: Node) -> None:
        node.where = HELD
        self.count += 1
        self.total += node.size
        self._enter(node, 1)

    def uses(self, node: Node) -> int:
        return int(node.state[1])

    def adopt(self, node: Node, uses: int) -> None:
        node.where = HELD
        self.count += 1
        self.total += node.size
        self._enter(node, uses)

    def release(self) -> tuple[Node, int] | None:
        node = self._least()
        if node is None:
            return None
        uses = self.uses(node)
        self.remove(node)
        return node, uses

    def _enter(self, node: Node, uses: int) -> None:
        worth = self._worth(node)
        box: list[Node | None] = [node]
        priority = self._clock + uses * worth
        node.state = [priority, uses, worth, box]
        self._arrivals += 1
        heappush(self._heap, (priority, self._arrivals, box))
        if len(self._heap) > 2 * self.count + 64:
            self._heap = [item for item in self._heap if item[2][0] is not None]
            heapify(self._heap)

    def hit(self, node: Node) -> None:
        state = node.state
        state[1] += 1
        state[0] = self._clock + state[1] * state[2]

    def evict(self) -> Node | None:
        node = self._least()
        if node is not None:
            heappop(self._heap)
            self._clock = node.state[0]
            self.remove(node)
        return node

    def _least(self) -> Node | None:
        """The node on top of the heap once every stale entry above it is put right."""
        heap = self._heap
        while heap:
            priority, _, box = heap[0]
            node = box[0]
            if node is None:
                heappop(heap)
            elif node.state[0] > priority:
                # among equals the least recently touched goes first
                self._arrivals += 1
                heapreplace(heap, (node.state[0], self._arrivals, box))
            else:
                return node
        return None

    def remove(self, node: Node) -> None:
        node.state[3][0] = None
        node.where = node.state = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        self.total += size - node.size
        node.size = size
        uses = node.state[1]
        node.state[3][0] = None  # the priority may have fallen: enter anew
        self._enter(node, uses)

    def nodes(self) -> Iterator[Node]:
        held = [item[2][0] for item in self._heap]
        return iter(sorted(filter(None, held), key=lambda node: float(node.state[0])))

    @property
    def metadata_bytes(self) -> int:
        # state and box (two lists), a tuple, three numbers, the slot
        return 320 * len(self._heap)

    def check(self) -> None:
        super().check()
        assert len(self._heap) <= 2 * self.count + 65 or not self.count, "stale entries pile up"
        for priority, _, box in self._heap:
            if box[0] is not None:
                assert box[0].state[3] is box, "a node has two entries"
                assert box[0].state[0] >= priority, "a priority fell unnoticed"
