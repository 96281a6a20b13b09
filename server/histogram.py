"""A histogram of durations: one list of plain ints, bounds set once.

`observe` is a bisection and three additions, so that the loader can call it for
every load. Prometheus's own histogram takes a lock and several objects for the
same, and counts per label. It does not expire: rates are the reader's business.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

#: 50 µs to 10 s, in steps of 1, 2.5 and 5: a SQLite look-up takes 0.1 ms, a bad day seconds.
LOAD_BOUNDS = (
    *(5e-05, 1e-04, 2.5e-04, 5e-04, 1e-03, 2.5e-03, 5e-03, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)


class Histogram:
    """Counts by bucket; a value equal to a bound belongs to that bound's bucket.

    bounds  ascending upper bounds in seconds; one more bucket holds what is beyond
    counts  observations by bucket, not cumulated
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float] = LOAD_BOUNDS) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    @property
    def count(self) -> int:
        """Observations in all."""
        return sum(self.counts)

    def cumulated(self) -> list[tuple[float, int]]:
        """Each bound with the number of observations up to it; the last bound is infinity."""
        total, found = 0, []
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            total += count
            found.append((bound, total))
        return found

    def reset(self) -> None:
        """Forget every observation."""
        self.counts = [0] * len(self.counts)
        self.sum = 0.0
