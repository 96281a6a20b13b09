"""How `auto` keeps a small cache: by holding what its leading ghost cache holds.

Every key is sampled, so the ghost of the leading candidate says what a cache run
by that candidate alone would hold now. The victim is a node that it does not
hold; there always is one when the store is over its budget, as the ghost is
within it. So there is no state to hand over when the leader changes: what the
new one does not hold leaves victim by victim (Subramanian et al., 'Adaptive
Caches', MICRO 2006).

The ghosts are told of hits later, in blocks; a hit does nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from antecache.policies._capacity import Capacity
from antecache.policies._panel import Panel, Record, Shadow
from antecache.policies.base import Node, Queue

FOLLOWED = 0x81


class Follower:
    """The nodes of a small cache.

    touch  what a hit calls
    """

    def __init__(self, panel: Panel, capacity: Capacity) -> None:
        self._panel = panel
        self._capacity = capacity
        self._queue = Queue()
        self.touch = _ignore
        panel.watched = True

    def place(self, node: Node) -> None:
        """A node became resident."""
        self._queue.append(node)
        node.where = FOLLOWED

    def put_back(self, node: Node) -> None:
        """A node is resident again, though nobody asked for it."""
        self.place(node)
        # the ghosts do not hear of it, so it may be one that the leader let go
        record = self._panel.records.get(node.key)
        if record is not None:
            self._panel.let_fall(record)

    def evict(self) -> Node | None:
        """Give up a node that the leading ghost cache does not hold; None when there is none."""
        if not self._queue.count:
            return None
        panel = self._panel
        panel.limit(self._capacity)
        panel.trim()
        victim = self._queue.oldest
        while (record := panel.next_left()) is not None:
            node = record.live
            if node is not None and not record.shadows[panel.leader].where:
                victim = node
                break
        # else: one key of two databases has one record, and its other node is the oldest
        assert victim is not None
        self.remove(victim)
        return victim

    def remove(self, node: Node) -> None:
        """A node leaves."""
        self._queue.remove(node)
        node.where = 0

    def resize(self, node: Node, size: int) -> None:
        """A node's size changes."""
        self._queue.size += size - node.size
        node.size = size

    def nodes(self) -> Iterator[Node]:
        """All nodes: first what the leader does not hold, then in its order."""
        kept = [record.live for record in self._kept() if record.live is not None]
        chosen = set(map(id, kept))
        return chain((node for node in self._queue if id(node) not in chosen), kept)

    def _kept(self) -> Iterator[Record]:
        for shadow in self._panel.policies[self._panel.leader].nodes():
            assert isinstance(shadow, Shadow)
            yield shadow.record

    def uses(self, node: Node) -> int:
        """How often the leading candidate counted the node."""
        panel = self._panel
        record = panel.records.get(node.key)
        if record is None or not record.shadows[panel.leader].where:
            return 1
        return panel.policies[panel.leader].uses(record.shadows[panel.leader])

    def lead(self, index: int) -> None:
        """Another candidate leads; what the former would have evicted first goes first."""
        panel = self._panel
        records = [panel.records[node.key] for node in self.nodes()]
        while panel.next_left() is not None:
            pass
        panel.lead(index)
        for record in records:
            if not record.shadows[index].where:
                panel.let_fall(record)

    @property
    def count(self) -> int:
        """Nodes held."""
        return self._queue.count

    @property
    def nbytes(self) -> int:
        """Bytes beyond the nodes' own slots: none, the panel has them."""
        return 0

    def check(self) -> None:
        """Recount; raises AssertionError when the queue is wrong."""
        self._queue.check()
        assert all(node.where == FOLLOWED for node in self._queue), "a node is not marked"


def _ignore(node: Node) -> None:
    """The ghosts will hear of the hit."""
