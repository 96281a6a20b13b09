"""How likely a candidate must be, so that prefetching stays within its budget of rows.

Rows read (demand and prefetch) are held against events (demand misses and first
uses of prefetched keys, which without prediction would have been misses). As the
rows exceed (1 + budget) times the events, the threshold rises, in proportion;
integral control and token buckets oscillated. Both counts decay, so the budget is
one of the recent past: `theta = clamp(0.4 + 4 e, 0.2, 0.95)`, looked at every 200
events.

Not every event would have been a read without prediction: what it remembers takes the
place of entries, which miss. So the rows are held against the others alone too, with
`OVER` beyond the budget, as who is told from the past may err.

A threshold stops nothing that is taken for certain, and whoever says so may be wrong.
So when the rows are beyond twice the budget, it is 2: no probability reaches it.

It decides nothing about single candidates; server and rehearsal ask it alike.
"""

from __future__ import annotations

LOWEST, HIGHEST = 0.2, 0.95
START = 0.40
GAIN = 4.0
OVER = 0.15  # further rows, of the events that prediction did not cause
LEAST_MARGIN = 0.25  # rows beyond the budget, of the events, at which it is spent at the least
UPDATE = 200  # events between two looks
SPENT = 2.0  # the threshold when nothing at all may be fetched ahead
DECAY = 0.9995  # of both counts, an event


class RowBudget:
    """The threshold under a budget of extra rows.

    share  rows beyond the events that prefetching may read, as a share of the events
    theta  the probability a candidate must reach
    """

    __slots__ = ("_count", "_events", "_own", "_rows", "share", "theta")

    def __init__(self, share: float) -> None:
        self.share = share
        self.theta = START
        self._rows = self._events = self._own = 0.0
        self._count = 0

    def row(self) -> None:
        """A key was asked of the database."""
        self._rows += 1

    def missed(self, count: int, own: int) -> None:
        """So many demand misses at once, a row each."""
        faded = DECAY**count
        told = (1 - faded) / (1 - DECAY)  # what so many events in a row weigh
        self._events = self._events * faded + told
        self._own = self._own * faded + told * own / count
        self._rows = self._rows * faded + DECAY * told
        before, self._count = self._count, self._count + count
        if self._count // UPDATE != before // UPDATE:
            self._update()

    def event(self, *, own: bool = True) -> None:
        """A demand miss, or the first use of a prefetched key.

        own  whether it would have been read without prediction too, as far as is known
        """
        self._events = self._events * DECAY + 1
        self._own = self._own * DECAY + own
        self._rows *= DECAY
        self._count += 1
        if self._count % UPDATE == 0:
            self._update()

    def _update(self) -> None:
        excess = self._rows / self._events - (1 + self.share)
        beyond = self._rows / max(self._own, 1.0) - (1 + self.share + OVER)
        self.theta = min(HIGHEST, max(LOWEST, START + GAIN * max(excess, beyond)))
        if excess > max(self.share, LEAST_MARGIN):
            self.theta = SPENT
