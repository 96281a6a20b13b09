"""2Q, full version: a FIFO for newcomers, a ghost of what left it, an LRU for the rest.

Hits in the newcomers' queue change nothing: uses close together are one use.
Only a key that returns while the ghost remembers it enters the LRU. The shares
are the paper's: a quarter for newcomers, a ghost of half the resident keys.

Where it differs from libCacheSim: shares are of what is resident now, not
rounded parts of a fixed capacity, which shows in caches of a few dozen nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import ClassVar

from antecache.policies._ghost import Ghosts
from antecache.policies.base import Node, Policy, Queue

NEW = 0x31
MAIN = 0x32


class TwoQ(Policy):
    """Evicts newcomers while they hold more than their share, else the LRU's oldest.

    new    share of the cache for newcomers (Kin)
    ghost  keys remembered, per resident key (Kout)
    """

    name: ClassVar[str] = "twoq"
    family: ClassVar[int] = 3
    paper: ClassVar[str] = "Johnson and Shasha, '2Q', VLDB 1994"

    def __init__(self, *, seed: int = 0, new: float = 0.25, ghost: float = 0.5) -> None:
        super().__init__(seed=seed)
        self.new = new
        self.ghost = ghost
        self._new = Queue()
        self._main = Queue()
        self._ghosts = Ghosts()

    def insert(self, node: Node) -> None:
        self.count += 1
        self.total += node.size
        if self._ghosts.count and self._ghosts.take(node.key) is not None:
            node.where = MAIN
            self._main.append(node)
        else:
            node.where = NEW
            self._new.append(node)

    def hit(self, node: Node) -> None:
        if node.where == MAIN:
            self._main.refresh(node)

    def evict(self) -> Node | None:
        new, main = self._new, self._main
        if new.count and (new.size > self.new * self.total or not main.count):
            node: Node = new.head.next
            self.remove(node)
            self._ghosts.push(node.key)
            self._ghosts.trim(int(self.ghost * self.count) + 1)
            return node
        oldest = main.oldest
        if oldest is not None:
            self.remove(oldest)
        return oldest

    def remove(self, node: Node) -> None:
        (self._new if node.where == NEW else self._main).remove(node)
        node.where = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        (self._new if node.where == NEW else self._main).size += size - node.size
        self.total += size - node.size
        node.size = size

    def nodes(self) -> Iterator[Node]:
        return chain(self._new, self._main)

    @property
    def metadata_bytes(self) -> int:
        return self._ghosts.nbytes

    def check(self) -> None:
        super().check()
        self._ghosts.check()
        for queue, where in ((self._new, NEW), (self._main, MAIN)):
            queue.check()
            assert all(node.where == where for node in queue), "a node is in the wrong queue"
