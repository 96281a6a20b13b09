"""S3-FIFO: a small queue that filters what is asked once, a main queue, a ghost.

Newcomers enter the small queue, a tenth of the cache. At its end a node used at
least twice since moves to the main queue, any other leaves and its key is
remembered; a remembered key that returns enters the main queue at once. The
main queue gives each node as many further rounds as it had uses, up to three.
A hit only counts, which makes it the cheapest of the strong policies.

Where it differs from the authors' code (libCacheSim):

- The ghost is bounded by a number of keys (0.9 of the residents), not of bytes, so
  that large values do not shorten it: cdn_adaptsize at 5% of the bytes misses
  0.6436, there 0.6463.
- As the capacity is not known before the first eviction, a cache that fills sends
  nine newcomers of ten to the main queue, where the code there fills the small
  queue first.
- A value larger than the small queue's share is never kept there; here it is, once
  it was asked for `PATIENCE` times while remembered, since a client that asks so
  often would wait for the database each time. nasa_jul, where a tenth of the cache
  is four files, pays for it: 0.272 at 5% of the bytes, there 0.267.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import ClassVar

from antecache.policies._ghost import Ghosts
from antecache.policies.base import Node, Policy, Queue

SMALL = 1
MAIN = 2
MOST = 3  # uses that count: two bits in the paper
PATIENCE = 8  # times a value that would sweep the small queue is sent away


class S3FIFO(Policy):
    """Evicts from the small queue while that holds more than its share.

    small    share of the cache for newcomers
    ghost    keys remembered, per resident key
    promote  uses in the small queue that earn a place in the main queue
    """

    name: ClassVar[str] = "s3fifo"
    paper: ClassVar[str] = "Yang et al., 'FIFO queues are all you need', SOSP 2023"
    full = MOST

    def __init__(
        self, *, seed: int = 0, small: float = 0.1, ghost: float = 0.9, promote: int = 2
    ) -> None:
        super().__init__(seed=seed)
        self.small = small
        self.ghost = ghost
        self.promote = promote
        self._small = Queue()
        self._main = Queue()
        self._ghosts = Ghosts()
        self._take = self._ghosts.take
        self._newcomer: Node | None = None
        self._sent_away = 0  # how often the newcomer was not let in, as far as remembered
        self._filling = True  # until the first eviction

    def insert(self, node: Node) -> None:
        size = node.size
        self.count += 1
        self.total += size
        node.state = 0
        self._newcomer = node
        take = self._take  # called as a local, which is faster
        known = take(node.key)
        self._sent_away = known or 0
        if known is not None or (self._filling and self._small.size > self.small * self.total):
            node.where = MAIN
            queue = self._main
        else:
            node.where = SMALL
            queue = self._small
        # Queue.append written out
        head = queue.head
        last = head.prev
        node.prev, node.next = last, head
        last.next = head.prev = node
        queue.count += 1
        queue.size += size

    def hit(self, node: Node) -> None:
        if node.state < MOST:
            node.state += 1

    def evict(self) -> Node | None:
        small, main = self._small, self._main
        self._filling = False
        newcomer = self._newcomer
        share = self.small * self.total
        if (
            newcomer is not None
            and newcomer.size > share
            and self.small * self.count > 1.0  # in a cache of a few nodes each has such a share
            and self._sent_away < PATIENCE
        ):
            self.remove(newcomer)
            self._remember(newcomer.key, self._sent_away + 1)
            return newcomer
        while self.count:
            # a small queue of one is the newcomer, in a cache of a few nodes
            if small.count and (not main.count or (small.size > share and small.count > 1)):
                node: Node = small.head.next
                if node.state < self.promote:
                    self._give_up(node, small)
                    self._remember(node.key)
                    return node
                small.remove(node)
                node.where = MAIN
                node.state = 0
                main.append(node)
            else:
                # those with uses left have one less now, and another round
                end = main.head
                node = end.next
                while node is not end:
                    state = node.state
                    if state:
                        node.state = state - 1
                    elif node is not newcomer or main.count <= 1:
                        if node is not end.next:
                            main.turn(node)
                        self._give_up(node, main)
                        return node
                    node = node.next
        return None

    def _give_up(self, node: Node, queue: Queue) -> None:
        """`remove` of the oldest of a queue."""
        size = node.size
        head = queue.head
        following = node.next
        head.next, following.prev = following, head
        node.prev = node.next = None
        queue.count -= 1
        queue.size -= size
        node.where = node.state = 0
        self.count -= 1
        self.total -= size
        if node is self._newcomer:
            self._newcomer = None

    def uses(self, node: Node) -> int:
        return 1 + int(node.state)

    def adopt(self, node: Node, uses: int) -> None:
        self.count += 1
        self.total += node.size
        node.state = min(MOST, uses - 1)
        if uses > self.promote or self._small.size > self.small * self.total:
            node.where = MAIN
            self._main.append(node)
        else:
            node.where = SMALL
            self._small.append(node)

    def _remember(self, key: bytes, sent_away: int = 0) -> None:
        self._ghosts.push_within(key, sent_away, int(self.ghost * self.count) + 1)

    def remove(self, node: Node) -> None:
        (self._small if node.where == SMALL else self._main).remove(node)
        if node is self._newcomer:
            self._newcomer = None
        node.where = node.state = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        queue = self._small if node.where == SMALL else self._main
        queue.size += size - node.size
        self.total += size - node.size
        node.size = size

    def nodes(self) -> Iterator[Node]:
        return chain(self._small, self._main)

    @property
    def metadata_bytes(self) -> int:
        return self._ghosts.nbytes

    def check(self) -> None:
        super().check()
        self._ghosts.check()
        for queue, where in ((self._small, SMALL), (self._main, MAIN)):
            queue.check()
            assert all(node.where == where for node in queue), "a node is in the wrong queue"
            assert all(0 <= node.state <= MOST for node in queue), "a count of uses is wrong"
