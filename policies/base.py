"""The contract between the store and an eviction policy.

A policy sees `Node`s, never values. The store owns every node and calls the
policy when a node arrives, is used, leaves or changes size; when the store is
over its budget it calls `evict`, which chooses *and* forgets (choosing cannot
always be separated from forgetting) and may return the newcomer itself, so
that admission needs no verb of its own.

A policy is never told the capacity. It is only asked to evict when the store
is full, so what it holds at that moment *is* the capacity: shares of it
("a tenth for the small queue") are shares of `total`, and ghost lists are
bounded by shares of what is resident. That keeps one policy usable under a
budget in bytes, in keys, or in both, and under a budget that changes.

What this file does not do: choose a policy (`auto.py`), find policies by name
(`registry.py`), or decide which entries may be evicted at all (the store: an
entry that may not be evicted is simply never inserted here).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar


class Node:
    """What a policy knows of one resident key.

    The slots live in the store's own entry (`Entry` extends `Node`), so a hit
    needs no second look-up and a policy no dictionary of residents.

    key        the key, as the client wrote it
    size       bytes charged for the entry (or 1 where the budget is in keys)
    expire_at  Unix time in milliseconds, 0 for never
    where      0 while no policy holds the node; a policy's queue number (>= 1)
               while it does; negative numbers belong to the store (probation)
    state      the policy's: a frequency, a priority, any small object
    prev, next the policy's: links of an intrusive list
    """

    __slots__ = ("expire_at", "key", "next", "prev", "size", "state", "where")

    def __init__(self, key: bytes, size: int, expire_at: int = 0) -> None:
        self.key = key
        self.size = size
        self.expire_at = expire_at
        self.where = 0
        self.state: Any = 0
        self.prev: Any = None
        self.next: Any = None

    @property
    def cost(self) -> float:
        """Seconds it took to load this key last time; 0.0 when unknown."""
        return 0.0

    @property
    def kind(self) -> str:
        """The Redis type of the value: `string`, `hash` ..."""
        return "string"


class Queue:
    """A doubly linked list through the nodes' own links, oldest first.

    It costs no memory per node and every operation is O(1). A node is in at
    most one queue at a time, because it has one pair of links.
    """

    __slots__ = ("count", "head", "size")

    def __init__(self) -> None:
        self.head = Node(b"", 0)  # a sentinel: head.next is the oldest
        self.head.next = self.head.prev = self.head
        self.count = 0
        self.size = 0

    def append(self, node: Node) -> None:
        """Put `node` at the young end."""
        head = self.head
        last = head.prev
        node.prev, node.next = last, head
        last.next = head.prev = node
        self.count += 1
        self.size += node.size

    def remove(self, node: Node) -> None:
        """Take `node`, which must be in this queue, out of it."""
        prev, following = node.prev, node.next
        prev.next, following.prev = following, prev
        node.prev = node.next = None
        self.count -= 1
        self.size -= node.size

    def refresh(self, node: Node) -> None:
        """Move `node`, which must be in this queue, to the young end."""
        head = self.head
        last = head.prev
        if last is node:
            return
        prev, following = node.prev, node.next
        prev.next, following.prev = following, prev
        node.prev, node.next = last, head
        last.next = head.prev = node

    def turn(self, node: Node) -> None:
        """Move all that is older than `node`, which must be in this queue, to the young end."""
        head = self.head
        first, last, before = head.next, head.prev, node.prev
        if first is node:
            return
        head.next, node.prev = node, head
        last.next, first.prev = first, last
        before.next, head.prev = head, before

    @property
    def oldest(self) -> Node | None:
        """The node at the old end, or None."""
        node: Node = self.head.next
        return None if node is self.head else node

    def __iter__(self) -> Iterator[Node]:
        """Nodes from the oldest to the youngest; do not change it meanwhile."""
        node = self.head.next
        while node is not self.head:
            yield node
            node = node.next

    def __len__(self) -> int:
        return self.count

    def check(self) -> None:
        """Recount; raises AssertionError when links, `count` or `size` are wrong."""
        count = size = 0
        previous = self.head
        for node in self:
            assert node.prev is previous, "the links of a queue disagree"
            previous = node
            count += 1
            size += node.size
        assert self.head.prev is previous, "the young end of a queue is wrong"
        assert self.count == count, f"a queue's count is {self.count}, found {count}"
        assert self.size == size, f"a queue's size is {self.size}, found {size}"


class Policy(ABC):
    """Base of every eviction policy.

    Constructors take keyword parameters with defaults, of which `seed` makes a
    randomised policy repeatable, and do nothing but store them and make empty
    structures. A policy keeps `count` and `total` right; `check` recounts.
    """

    name: ClassVar[str]  #: the option's value; equals the file's name
    paper: ClassVar[str]  #: where the algorithm was published
    deterministic: ClassVar[bool] = True
    #: False when the policy can never evict (`noeviction`)
    evicts: ClassVar[bool] = True
    #: `state` of a node on which a further hit changes nothing: the store need not tell of it.
    full: object = object()
    #: the upper bits (where >> 4) of the queue numbers, so that `auto` can tell whose a node is
    family: ClassVar[int] = 0

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self.count = 0  # resident nodes
        self.total = 0  # sum of their sizes
        self.clock = 0  # seconds; the store sets it now and then, for whoever tells of idle times

    @abstractmethod
    def insert(self, node: Node) -> None:
        """A node that this policy does not hold became resident."""

    @abstractmethod
    def hit(self, node: Node) -> None:
        """A held node was used. This is on the hot path of every read."""

    @abstractmethod
    def evict(self) -> Node | None:
        """Choose a held node, forget it (`where` = 0) and return it; None when empty."""

    @abstractmethod
    def remove(self, node: Node) -> None:
        """A held node left for another reason (deleted, expired, overwritten)."""

    @abstractmethod
    def resize(self, node: Node, size: int) -> None:
        """A held node's size becomes `size`; sets `node.size` too."""

    @abstractmethod
    def nodes(self) -> Iterator[Node]:
        """All held nodes, the ones to keep longest last (used to change policy)."""

    def uses(self, node: Node) -> int:
        """How often a held node was used, as far as this policy counts; at least 1."""
        return 1

    def release(self) -> tuple[Node, int] | None:
        """Give up a node to another policy, with its `uses`; the one to keep longest comes last."""
        node = next(self.nodes(), None)
        if node is None:
            return None
        uses = self.uses(node)
        self.remove(node)
        return node, uses

    def adopt(self, node: Node, uses: int) -> None:
        """Insert a node that another policy held, which counted `uses` of it."""
        self.insert(node)

    @property
    def metadata_bytes(self) -> int:
        """Estimated bytes of ghosts and sketches beyond the nodes' own slots."""
        return 0

    def check(self) -> None:
        """Recount everything; raises AssertionError when the books are wrong."""
        seen = list(self.nodes())
        assert len({id(node) for node in seen}) == len(seen), "a node is held twice"
        assert all(node.where > 0 for node in seen), "a held node is marked as not held"
        assert self.count == len(seen), f"count {self.count}, found {len(seen)}"
        total = sum(node.size for node in seen)
        assert self.total == total, f"total {self.total}, found {total}"
