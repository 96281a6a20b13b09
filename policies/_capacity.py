"""What the budget of the store is, found out by watching when it asks for victims.

A policy is never told the capacity (see base.py), but ghost caches need one. The
store is content while it is within its budget and asks for victims while it is
not. So the largest sum of sizes, and the largest number of nodes, at which it
was content are lower bounds; and of the two, the one that is above its bound
whenever the store is not content is the one the budget counts. When neither is,
the budget has shrunk.

Sizes are watched too: whether they vary decides whether an order by size is
worth having.
"""

from __future__ import annotations

MOST_VOTES = 8
SURE = 3  # votes that settle what the budget counts
REMEMBER = 0.9999  # how much of what is known of sizes is kept at each newcomer
VARIED = 0.5  # squared coefficient of variation of sizes from which on they vary
LARGE = 1000  # mean size beside which the memory that an order by size takes is little


class Capacity:
    """The budget of a store as its policy can know it.

    full     whether the store ever asked for a victim; before, nothing is known
    settled  whether it is known what the budget counts (stays open where all sizes are 1)
    """

    __slots__ = ("_count", "_moments", "_total", "_votes", "full", "settled")

    def __init__(self) -> None:
        self.full = False
        self.settled = False
        self._total = 0
        self._count = 0
        self._votes = 0  # above 0: the budget counts nodes
        self._moments = (0.0, 0.0, 0.0)  # of newcomers: number, sum of sizes, sum of squares

    def newcomer(self, size: int) -> None:
        """A node of this size became resident."""
        number, total, squares = self._moments
        self._moments = (
            number * REMEMBER + 1.0,
            total * REMEMBER + size,
            squares * REMEMBER + size * size,
        )

    def content(self, total: int, count: int) -> None:
        """The store holds this much and is within its budget."""
        if total > self._total:
            self._total = total
        if count > self._count:
            self._count = count

    def exceeded(self, total: int, count: int) -> None:
        """The store holds this much and asks for a victim."""
        self.full = True
        by_total, by_count = total > self._total, count > self._count
        if by_total != by_count:
            vote = 1 if by_count else -1
            self._votes = max(-MOST_VOTES, min(MOST_VOTES, self._votes + vote))
            self.settled = self.settled or abs(self._votes) >= SURE
        elif not by_total:
            self._total, self._count = total - 1, count - 1

    @property
    def by_count(self) -> bool:
        """Whether the budget counts nodes instead of bytes."""
        return self._votes > 0

    @property
    def amount(self) -> int:
        """The budget, in whatever it counts."""
        return self._count if self.by_count else self._total

    @property
    def sized(self) -> bool:
        """Whether the budget counts bytes, and sizes vary enough to order by them."""
        number, total, squares = self._moments
        varied = number * squares > (1.0 + VARIED) * total * total
        return self.settled and self._votes < 0 and varied and total > LARGE * number
