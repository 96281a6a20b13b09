"""The value of a large set that is drawn from at random, or walked by SSCAN.

A set is a plain Python set until then: membership and algebra are C's. Python's set has no
n-th member, so the first random draw makes a `BigSet` of a large one: it also has a pool, a
list of its members in no order. A draw is one random index, and taking a drawn member out
fills its place with the last: O(1), and uniform. What is added is appended to the pool. What
is removed by name stays in the pool as a dead member until a draw meets it; when half of the
pool is dead it is dropped, and made again by the next draw, so removals are O(1) as well.

The pool takes 8 bytes a member and counts in `sys.getsizeof`, by which sets are charged;
the order of a walk takes as many while it lasts, and is not charged.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from antecache.server.hash import ScanOrder


class BigSet(set[bytes]):
    """A set with room for a pool and for the order of a scan; changed by its own methods only."""

    __slots__ = ("_dead", "_order", "_pool")

    def __init__(self, members: Iterable[bytes]) -> None:
        super().__init__(members)
        self._pool: list[bytes] | None = None
        self._dead: set[bytes] = set()
        self._order: ScanOrder | None = None

    def __sizeof__(self) -> int:
        """With the pool, but not the strings."""
        pool = 0 if self._pool is None else self._pool.__sizeof__() + self._dead.__sizeof__()
        return super().__sizeof__() + pool

    def copy(self) -> set[bytes]:
        """The members alone."""
        return set(self)

    def add(self, member: bytes) -> None:
        """Add a member that may be there already."""
        if self._pool is not None and member not in self:
            if member in self._dead:
                self._dead.remove(member)
            else:
                self._pool.append(member)
        super().add(member)

    def remove(self, member: bytes) -> None:
        """Remove a member that is there."""
        super().remove(member)
        if self._pool is not None:
            self._dead.add(member)
            if 2 * len(self._dead) > len(self._pool):
                self._pool = None
                self._dead.clear()

    @property
    def prepared(self) -> bool:
        """Whether the pool is there."""
        return self._pool is not None

    def prepare(self) -> None:
        """Make the pool if it is not there."""
        if self._pool is None:
            self._pool = list(self)

    def draw(self, rng: Random, *, take: bool = False) -> bytes:
        """A member chosen at random from a set that is not empty; taken out if told so."""
        self.prepare()
        pool = self._pool
        assert pool is not None
        while True:
            at = rng.randrange(len(pool))
            member = pool[at]
            dead = member in self._dead
            if dead or take:
                pool[at] = pool[-1]
                pool.pop()
            if dead:
                self._dead.remove(member)
                continue
            if take:
                super().remove(member)
            return member

    def sample(self, rng: Random, count: int) -> list[bytes]:
        """`count` different members; there are at least as many."""
        if 2 * count > len(self):
            return rng.sample(list(self), count)
        found: dict[bytes, None] = {}
        while len(found) < count:
            found[self.draw(rng)] = None
        return list(found)

    def scan(self, position: int, count: int) -> tuple[int, list[bytes]]:
        """The next position, 0 at the end, and at least `count` members if there are so many."""
        order = self._order
        if order is None or position == 0:
            order = self._order = ScanOrder(self)
        following, members = order.step(position, count)
        if not following:
            self._order = None
        return following, [member for member in members if member in self]
