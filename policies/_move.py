"""How `auto` keeps a large cache: by an instance of the leading policy, changed in flight.

Another setting of the same policy is simply set. For another policy the nodes
move over a few at each insertion, the worst first, with the number of their uses;
meanwhile both policies hold nodes, told apart by their queues' numbers (`family`
in base.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from antecache.policies.base import Node, Policy

MOVE_AT_ONCE = 16  # nodes that move at each insertion


class Mover:
    """The nodes of a large cache.

    What a hit, an insertion and an eviction call changes as policies do. Those of a
    moment ago still do the right thing, with a look that is not needed.

    touch  for a hit
    place  for a node that became resident
    evict  gives up a node; None when there is none
    """

    def __init__(self, policy: Policy) -> None:
        self._live = policy
        self._retiring: Policy | None = None
        self.touch: Callable[[Node], None] = policy.hit
        self.place: Callable[[Node], None] = policy.insert
        self.evict: Callable[[], Node | None] = policy.evict

    def put_back(self, node: Node) -> None:
        """A node is resident again, though nobody asked for it."""
        self._live.insert(node)

    def adopt(self, node: Node, uses: int) -> None:
        """A node comes from elsewhere, where it was used so often."""
        self._live.adopt(node, uses)

    def remove(self, node: Node) -> None:
        """A node leaves."""
        self._holder(node).remove(node)

    def resize(self, node: Node, size: int) -> None:
        """A node's size changes."""
        self._holder(node).resize(node, size)

    def nodes(self) -> Iterator[Node]:
        """All nodes, the ones to keep longest last."""
        if self._retiring is None:
            return self._live.nodes()
        return chain(self._retiring.nodes(), self._live.nodes())

    def uses(self, node: Node) -> int:
        """How often the node was used, as its policy counts."""
        return self._holder(node).uses(node)

    def tune(self, settings: dict[str, Any]) -> None:
        """Change settings of the policy in use."""
        for setting, value in settings.items():
            setattr(self._live, setting, value)

    def change(self, policy: Policy) -> None:
        """Use another policy from now on."""
        while self._retiring is not None:
            self._move()
        self._retiring, self._live = self._live, policy
        self.touch = self._touch_either
        self.place = self._place_and_move
        self.evict = self._evict_either

    def _holder(self, node: Node) -> Policy:
        if self._retiring is None or node.where >> 4 == self._live.family:
            return self._live
        return self._retiring

    def _place_and_move(self, node: Node) -> None:
        self._live.insert(node)
        self._move()

    def _touch_either(self, node: Node) -> None:
        self._holder(node).hit(node)

    def _evict_either(self) -> Node | None:
        # while nodes move, the worst of the old policy are in the new one already
        victim = self._live.evict()
        if victim is None and self._retiring is not None:
            victim = self._retiring.evict()
        return victim

    def _move(self) -> None:
        for _ in range(MOVE_AT_ONCE):
            if self._retiring is None:
                return
            released = self._retiring.release()
            if released is None:
                self._retiring = None
                self.touch, self.place = self._live.hit, self._live.insert
                self.evict = self._live.evict
                return
            self._live.adopt(*released)

    @property
    def moving(self) -> bool:
        """Whether nodes are still with the former policy."""
        return self._retiring is not None

    @property
    def count(self) -> int:
        """Nodes held."""
        return self._live.count + (0 if self._retiring is None else self._retiring.count)

    @property
    def nbytes(self) -> int:
        """Bytes of the policies' metadata."""
        own = self._live.metadata_bytes
        return own + (0 if self._retiring is None else self._retiring.metadata_bytes)

    def check(self) -> None:
        """Recount; raises AssertionError when the books of a policy are wrong."""
        self._live.check()
        if self._retiring is not None:
            self._retiring.check()
            assert self._retiring.family != self._live.family, "nodes cannot be told apart"
