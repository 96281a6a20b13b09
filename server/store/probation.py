"""Probation: where a prefetched entry waits for its first use.

A first-in-first-out queue with a share of the store of its own. The share sizes
itself: a miss on a key that recently left probation unused says the queue is too
short, a miss on one that recently left the policy says it is too long
(the rule: start at a tenth of the entries, steps of max(1/4 entry,
1/400), between 1/20 and 9/10). Beyond its share probation evicts only itself, so
wrong predictions cannot push out what was really asked for; and what was not used
while as many misses passed as there are entries is given up before anything else.
"""

from __future__ import annotations

from typing import Final

from antecache.policies.base import Node, Queue
from antecache.server.store.entry import PROBATION
from antecache.server.store.recent import Recent

#: departures that are remembered together: one at a time each would cost three times as much
_TOGETHER: Final = 64
#: demand misses after which an unused entry leaves first, where residents are fewer
LONGEST = 100


class Probation:
    """Unused prefetched entries, oldest first, and what left this queue and the policy lately.

    watching    whether what the policy gives up is remembered; prediction needs to know
    departures  how many entries the policy gave up while that was so
    """

    START, FLOOR, CEILING = 0.10, 0.05, 0.90

    def __init__(self) -> None:
        self.queue = Queue()
        self.share = self.START
        self.watching = False
        self.departures = 0
        self._gone: list[bytes] = []  # the last of them, which `_left_policy` is yet to be told
        self._misses = 0
        self._left_unused = Recent()
        self._left_policy = Recent()

    def __len__(self) -> int:
        return self.queue.count

    def add(self, node: Node) -> None:
        """A prefetched entry arrived."""
        node.where = PROBATION
        node.state = self._misses
        self.queue.append(node)

    def watch(self, on: bool) -> None:
        """Whether to remember from now on what leaves."""
        if on and not self.watching:  # how long ago it left what left before is not known
            self._forget()
        self.watching = on

    def remove(self, node: Node) -> None:
        """An entry was used, or left for another reason than eviction."""
        self.queue.remove(node)
        node.where = node.state = 0

    def refresh(self, node: Node) -> None:
        """An entry is expected again: it waits as long as one that has just come."""
        node.state = self._misses
        self.queue.refresh(node)

    def resize(self, node: Node, size: int) -> None:
        """An entry in the queue became larger or smaller."""
        self.queue.size += size - node.size
        node.size = size

    def room(self, residents: int) -> float:
        """How many entries may wait here when `residents` entries are evictable in all."""
        return max(1.0, self.share * residents)

    def overdue(self, residents: int) -> bool:
        """Whether the oldest entry should leave before any of the policy's."""
        queue = self.queue
        if queue.count > self.room(residents):
            return True
        oldest = queue.oldest
        return oldest is not None and self._misses - oldest.state > max(LONGEST, residents)

    def evict(self) -> Node | None:
        """Give up the entry that has waited longest."""
        node = self.queue.oldest
        if node is not None:
            self.remove(node)
            if self.watching:
                self._left_unused.push(node.key)
        return node

    def left_policy(self, key: bytes) -> None:
        """The eviction policy gave up `key`."""
        if self.watching:
            self.departures += 1
            self._gone.append(key)
            if len(self._gone) >= _TOGETHER:
                self._remember()

    def _remember(self) -> None:
        self._left_policy.push_all(self._gone)
        self._gone.clear()

    def missed(self, key: bytes, residents: int, departures: int = -1) -> int:
        """A demand miss: adjust the share if the key left one of the two sides lately.

        How many entries the policy had given up since it gave up this one, at the miss, which
        was after so many `departures` (-1: it is now); -1 where it did not, lately.
        """
        self._misses += 1
        if not self.watching:
            return -1
        lately = max(residents // 10, 1)
        age = self.since_left(key)
        if departures >= 0 and age >= 0:
            age -= self.departures - departures  # if it has left again since: below 0
        if self.queue.count:
            step = max(0.25 / max(residents, 1), 1 / 400)
            if 0 <= self._left_unused.age(key) <= lately:
                self._left_unused.forget(key)
                self.share = min(self.CEILING, self.share + step)
            elif 0 <= age <= lately:
                self.share = max(self.FLOOR, self.share - step)
        return max(age, -1)

    def passed(self, count: int) -> None:
        """So many demand misses, while nothing is watched."""
        self._misses += count

    def since_left(self, key: bytes) -> int:
        """How many entries the policy has given up since it gave up `key`; -1 if not lately."""
        if self._gone:
            self._remember()
        return self._left_policy.age(key)

    def span(self, residents: int, policy: int) -> None:
        """How much is remembered: a tenth of the entries, and `policy` that the policy gave up."""
        self._remember()
        lately = max(residents // 10, 1)
        self._left_unused.span(lately if self.queue.count else 1)
        self._left_policy.span(max(lately, policy))

    @property
    def nbytes(self) -> int:
        """Bytes of what is remembered."""
        return self._left_unused.nbytes + self._left_policy.nbytes if self.watching else 0

    def clear(self) -> None:
        """Everything was flushed; what was learned about the share stays."""
        self.queue = Queue()
        self._forget()

    def _forget(self) -> None:
        self._gone.clear()
        self._left_unused.clear()
        self._left_policy.clear()
