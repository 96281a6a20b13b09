"""ARC: recency and frequency share the cache as their ghosts' hits demand.

T1 holds keys seen once lately, T2 keys seen twice; B1 and B2 remember what left
each. A key that returns out of B1 raises the target of T1, out of B2 lowers it.

The paper counts pages of one size. Here sizes differ, so lists and target are
counted in nodes; the capacity in nodes is what is resident when the store asks
for a victim. The paper's REPLACE runs before the newcomer is placed, here
after: the newcomer is left out of the count of T1.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import ClassVar

from antecache.policies._ghost import Ghosts
from antecache.policies.base import Node, Policy, Queue

RECENT = 1
FREQUENT = 2


class ARC(Policy):
    """Evicts from T1 while it is above its target, else from T2."""

    name: ClassVar[str] = "arc"
    paper: ClassVar[str] = "Megiddo and Modha, 'ARC', FAST 2003"

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self._recent = Queue()  # T1
        self._frequent = Queue()  # T2
        self._left_recent = Ghosts()  # B1
        self._left_frequent = Ghosts()  # B2
        self._target = 0.0  # p: nodes that T1 should hold
        self._newcomer: Node | None = None
        self._returned = False  # the newcomer came out of B2

    def insert(self, node: Node) -> None:
        ghosts1, ghosts2 = self._left_recent, self._left_frequent
        ones, twos = ghosts1.count, ghosts2.count
        self._newcomer = node
        self._returned = False
        if ones and ghosts1.take(node.key) is not None:
            self._target = min(self.count, self._target + max(twos / ones, 1.0))
        elif twos and ghosts2.take(node.key) is not None:
            self._target = max(0.0, self._target - max(ones / twos, 1.0))
            self._returned = True
        else:
            self.count += 1
            self.total += node.size
            node.where = RECENT
            self._recent.append(node)
            return
        self.count += 1
        self.total += node.size
        node.where = FREQUENT
        self._frequent.append(node)

    def hit(self, node: Node) -> None:
        if node.where == FREQUENT:
            self._frequent.refresh(node)
        else:
            self._recent.remove(node)
            node.where = FREQUENT
            self._frequent.append(node)

    def evict(self) -> Node | None:
        recent, frequent = self._recent, self._frequent
        newcomer = self._newcomer
        held = recent.count
        if newcomer is not None and newcomer.where == RECENT:
            held -= 1
        victim: Node | None
        if held and (
            held > self._target
            or (self._returned and held == int(self._target))
            or not frequent.count
        ):
            victim = recent.head.next
            ghosts = self._left_recent
        elif frequent.count:
            victim = frequent.head.next
            ghosts = self._left_frequent
        else:
            victim = recent.oldest
            ghosts = self._left_recent
        if victim is None:
            return None
        self.remove(victim)
        if victim is not newcomer:
            ghosts.push(victim.key)
        # |T1| + |B1| <= c and all four lists <= 2c
        capacity = max(1, self.count)
        self._left_recent.trim(max(0, capacity - recent.count))
        self._left_frequent.trim(max(0, 2 * capacity - self.count - self._left_recent.count))
        self._newcomer = None
        self._returned = False
        return victim

    def remove(self, node: Node) -> None:
        (self._recent if node.where == RECENT else self._frequent).remove(node)
        node.where = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        (self._recent if node.where == RECENT else self._frequent).size += size - node.size
        self.total += size - node.size
        node.size = size

    def nodes(self) -> Iterator[Node]:
        return chain(self._recent, self._frequent)

    @property
    def metadata_bytes(self) -> int:
        return self._left_recent.nbytes + self._left_frequent.nbytes

    def check(self) -> None:
        super().check()
        self._left_recent.check()
        self._left_frequent.check()
        for queue, where in ((self._recent, RECENT), (self._frequent, FREQUENT)):
            queue.check()
            assert all(node.where == where for node in queue), "a node is in the wrong list"
