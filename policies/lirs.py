"""LIRS: rank keys by the distance between their last two uses, not by the last one.

Nodes of low inter-reference recency (LIR) hold 99% of the cache; the rest (HIR)
pass through a small queue. A HIR key used again while its former use is more
recent than the least recent use of all LIR nodes takes that node's place.

The paper keeps one stack of LIR, resident and non-resident HIR entries and
prunes its bottom. Here every use has a number instead: the LIR nodes alone form
the list, its oldest is the bottom of the stack, and an entry *is in the stack*
when its number is higher than the bottom's. The bottom's number only grows, so
this is the same set without any pruning; the non-resident entries are a FIFO of
hashes with that number as payload.

The non-resident entries are bounded by `ghost` per resident key; the paper
leaves them unbounded, libCacheSim bounds the whole stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import ClassVar

from antecache.policies._ghost import Ghosts
from antecache.policies.base import Node, Policy, Queue

LOW = 0x21
HIGH = 0x22
WRAP = 0xFFFFFFFF


class LIRS(Policy):
    """Evicts the oldest of the HIR queue.

    high   share of the cache for HIR nodes
    ghost  non-resident keys remembered, per resident key
    """

    name: ClassVar[str] = "lirs"
    family: ClassVar[int] = 2
    paper: ClassVar[str] = "Jiang and Zhang, 'LIRS', SIGMETRICS 2002"

    def __init__(self, *, seed: int = 0, high: float = 0.01, ghost: float = 2.0) -> None:
        super().__init__(seed=seed)
        self.high = high
        self.ghost = ghost
        self._low = Queue()
        self._high = Queue()
        self._ghosts = Ghosts()
        self._uses = 0  # the number of the last use; a node's state is its own
        self._full = False  # whether anything was ever evicted

    def insert(self, node: Node) -> None:
        self.count += 1
        self.total += node.size
        self._uses += 1
        low = self._low
        payload = self._ghosts.take(node.key) if self._ghosts.count else None
        if not self._full or (payload is not None and self._in_stack(payload)):
            node.where = LOW
            low.append(node)
            if self._full:
                self._demote()
        else:
            node.where = HIGH
            self._high.append(node)
        node.state = self._uses

    def _in_stack(self, payload: int) -> bool:
        """Whether a ghost's use, of which the low 32 bits were kept, is in the stack."""
        if not self._low.count:
            return True
        age = (self._uses - payload) & WRAP
        return bool(age < self._uses - self._low.head.next.state)

    def _demote(self) -> None:
        """Turn the least recent LIR nodes into HIR until the LIR nodes fit their share."""
        low, high = self._low, self._high
        limit = (1.0 - self.high) * self.total
        while low.size > limit and low.count > 1:
            bottom: Node = low.head.next
            low.remove(bottom)
            bottom.where = HIGH
            high.append(bottom)

    def hit(self, node: Node) -> None:
        self._uses += 1
        low = self._low
        if node.where == LOW:
            low.refresh(node)
        elif not low.count or node.state > low.head.next.state:
            self._high.remove(node)
            node.where = LOW
            low.append(node)
            self._demote()
        else:
            self._high.refresh(node)
        node.state = self._uses

    def evict(self) -> Node | None:
        if not self.count:
            return None
        low, high = self._low, self._high
        self._full = True
        if not high.count:
            self._demote()
        victim: Node = high.head.next if high.count else low.head.next
        where, use = victim.where, victim.state
        self.remove(victim)
        if where == HIGH and self._in_stack(use & WRAP):
            self._ghosts.push(victim.key, use & WRAP)
            self._ghosts.trim(int(self.ghost * self.count) + 1)
        if not self.count:
            self._full = False
        return victim

    def remove(self, node: Node) -> None:
        (self._low if node.where == LOW else self._high).remove(node)
        node.where = node.state = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        (self._low if node.where == LOW else self._high).size += size - node.size
        self.total += size - node.size
        node.size = size

    def nodes(self) -> Iterator[Node]:
        return chain(self._high, self._low)

    @property
    def metadata_bytes(self) -> int:
        return self._ghosts.nbytes

    def check(self) -> None:
        super().check()
        self._ghosts.check()
        for queue, where in ((self._low, LOW), (self._high, HIGH)):
            queue.check()
            assert all(node.where == where for node in queue), "a node is in the wrong queue"
        uses = [node.state for node in self._low]
        assert uses == sorted(uses), "the LIR nodes are not in the order of their uses"
