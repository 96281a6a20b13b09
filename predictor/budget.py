"""How likely a candidate must be, so that prefetching stays within its budget of rows.

Rows read (demand and prefetch) are held against events (demand misses and first
uses of prefetched keys, which without prediction would have been misses). As the
rows exceed (1 + budget) times the events, the threshold rises, in proportion;
integral control and token buckets oscillated. Both counts decay, so the budget is
one of the recent past. Constants are those the published figures were measured
with: `theta = clamp(0.5 + 4 e, 0.2, 0.95)`, looked at every 200 events.

A threshold stops nothing that is taken for certain, and whoever says so may be wrong.
So when the rows are beyond twice the budget, it is 2: no probability reaches it.

It decides nothing about single candidates; server and rehearsal ask it alike.
"""

from __future__ import annotations

LOWEST, HIGHEST = 0.2, 0.95
START = 0.5
GAIN = 4.0
LEAST_MARGIN = 0.25  # rows beyond the budget, of the events, at which it is spent at the least
UPDATE = 200  # events between two looks
SPENT = 2.0  # the threshold when nothing at all may be fetched ahead
DECAY = 0.9995  # of both counts, an event


class RowBudget:
    """The threshold under a budget of extra rows.

    share  rows beyond the events that prefetching may read, as a share of the events
    theta  the probability a candidate must reach
    """

    __slots__ = ("_count", "_events", "_rows", "share", "theta")

    def __init__(self, share: float) -> None:
        self.share = share
        self.theta = START
        self._rows = self._events = 0.0
        self._count = 0

    def row(self) -> None:
        """A key was asked of the database."""
        self._rows += 1

    def event(self) -> None:
        """A demand miss, or the first use of a prefetched key."""
        self._events = self._events * DECAY + 1
        self._rows *= DECAY
        self._count += 1
        if self._count % UPDATE == 0:
            excess = self._rows / self._events - (1 + self.share)
            self.theta = min(HIGHEST, max(LOWEST, START + GAIN * excess))
            if excess > max(self.share, LEAST_MARGIN):
                self.theta = SPENT
