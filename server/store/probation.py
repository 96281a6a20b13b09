"""Probation: where a prefetched entry waits for its first use.

A first-in-first-out queue with a share of the store of its own. The share sizes
itself: a miss on a key that recently left probation unused says the queue is too
short, a miss on one that recently left the policy says it is too long
(the rule: start at a tenth of the entries, steps of max(1/4 entry,
1/400), between 1/20 and 9/10). Beyond its share probation evicts only itself, so
wrong predictions cannot push out what was really asked for.
"""

from __future__ import annotations

from antecache.policies.base import Node, Queue
from antecache.server.store.entry import PROBATION


class Probation:
    """Unused prefetched entries, oldest first, and the two short ghost lists."""

    START, FLOOR, CEILING = 0.10, 0.05, 0.90

    def __init__(self) -> None:
        self.queue = Queue()
        self.share = self.START
        self._left_unused: dict[int, None] = {}
        self._left_policy: dict[int, None] = {}

    def __len__(self) -> int:
        return self.queue.count

    def add(self, node: Node) -> None:
        """A prefetched entry arrived."""
        node.where = PROBATION
        self.queue.append(node)

    def remove(self, node: Node) -> None:
        """An entry was used, or left for another reason than eviction."""
        self.queue.remove(node)
        node.where = 0

    def resize(self, node: Node, size: int) -> None:
        """An entry in the queue became larger or smaller."""
        self.queue.size += size - node.size
        node.size = size

    def room(self, residents: int) -> float:
        """How many entries may wait here when `residents` entries are evictable in all."""
        return max(1.0, self.share * residents)

    def evict(self) -> Node | None:
        """Give up the entry that has waited longest."""
        node = self.queue.oldest
        if node is not None:
            self.remove(node)
            self._remember(self._left_unused, node.key)
        return node

    def left_policy(self, key: bytes) -> None:
        """The eviction policy gave up `key`."""
        self._remember(self._left_policy, key)

    def missed(self, key: bytes, residents: int) -> None:
        """A demand miss: adjust the share if the key left one of the two sides lately."""
        ghost = hash(key)
        step = max(0.25 / max(residents, 1), 1 / 400)
        if ghost in self._left_unused:
            del self._left_unused[ghost]
            self.share = min(self.CEILING, self.share + step)
        elif ghost in self._left_policy:
            del self._left_policy[ghost]
            self.share = max(self.FLOOR, self.share - step)

    def trim(self, residents: int) -> None:
        """Hold each ghost list to a tenth of the entries."""
        limit = max(residents // 10, 1)
        for ghosts in (self._left_unused, self._left_policy):
            while len(ghosts) > limit:
                del ghosts[next(iter(ghosts))]

    @property
    def nbytes(self) -> int:
        """Estimated bytes of the ghost lists: an int and a dictionary slot each."""
        return 100 * (len(self._left_unused) + len(self._left_policy))

    def clear(self) -> None:
        """Everything was flushed; what was learned about the share stays."""
        self.queue = Queue()
        self._left_unused.clear()
        self._left_policy.clear()

    @staticmethod
    def _remember(ghosts: dict[int, None], key: bytes) -> None:
        ghosts.pop(hash(key), None)
        ghosts[hash(key)] = None
