"""Past accesses replayed through a model of the cache, so that a server starts warm.

What followed what, and how much a candidate is worth, depends on what misses,
and that depends on the cache and on its prefetches. So a history is not fed to
the predictor as it is: a least-recently-used cache of as many keys as the
server's, with a probation queue for prefetched keys and the server's own
threshold rule, decides which accesses would have been events. The events go
to the predictor, and every candidate that was not cached becomes a shadow
trial. A Plan is fitted at the pace of a live trainer, so later prefetches are
decided as they would have been.

What this file does not do: model values, sizes, expiry or tables (a prefetch
costs a row, never a statement of its own), or read files (`history.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from antecache.predictor.base import Predictor
from antecache.predictor.budget import RowBudget
from antecache.predictor.calibrate import Calibrator

#: most prefetches a miss
_MOST: Final = 16


def next_fit(accesses: int) -> int:
    """When to fit next, by accesses seen: 250, 500, 1,000 ... then every 10,000."""
    pace = 250
    while pace <= accesses and pace < 10_000:
        pace *= 2
    return pace if accesses < pace <= 8000 else accesses // 10_000 * 10_000 + 10_000


class Rehearsal:
    """A cache of `capacity` keys in front of `predictor`, whose candidates go to `calibrator`.

    row_budget  extra rows that prefetching may read, as a share of the events
    """

    def __init__(
        self,
        predictor: Predictor,
        calibrator: Calibrator,
        capacity: int,
        row_budget: float = 0.25,
    ) -> None:
        self.predictor = predictor
        self.calibrator = calibrator
        self.capacity = max(1, capacity)
        self.accesses = 0
        self.misses = 0
        self.rows = 0
        self.used = 0
        self._cache: dict[bytes, None] = {}  # oldest first
        self._probation: dict[bytes, None] = {}
        self._share = max(1, self.capacity // 10)
        self._budget = RowBudget(row_budget)
        self._next_fit = 250

    def feed(self, keys: Iterable[bytes]) -> None:
        """Replay some accesses, in order."""
        cache, probation, capacity = self._cache, self._probation, self.capacity
        access = self.calibrator.access
        for key in keys:
            access(key)
            if key in cache:
                del cache[key]
                cache[key] = None
                continue
            if key in probation:
                del probation[key]
                self.used += 1
                self.predictor.observe(key, demand=False)
                self._budget.event()
            else:
                self.misses += 1
                self._miss(key)
            cache[key] = None
            while len(cache) + len(probation) > capacity:
                if len(probation) > self._share:
                    del probation[next(iter(probation))]
                else:
                    del cache[next(iter(cache))]
            if self.calibrator.accesses >= self._next_fit:
                self.fit(0.0)
        self.accesses = self.calibrator.accesses

    def fit(self, now: float) -> None:
        """Fit a Plan from the trials so far and go on with it; `now` is Unix time in seconds."""
        plan = self.calibrator.fit(now)
        if plan is not None:
            self.predictor.adopt(plan)
        self._next_fit = next_fit(self.calibrator.accesses)

    def _miss(self, key: bytes) -> None:
        cache, probation, theta = self._cache, self._probation, self._budget.theta
        trial = self.calibrator.trial
        room = min(_MOST, max(1, self._share // 2))
        self.calibrator.trigger = key
        for candidate in self.predictor.candidates(key):
            follower, score, bucket, _, why = candidate
            if follower in cache or follower in probation:
                continue
            trial(follower, bucket, why[0][1])
            if score >= theta and room:
                room -= 1
                probation[follower] = None
                self.rows += 1
                self._budget.row()
        self.rows += 1
        self._budget.row()
        self.predictor.observe(key, demand=True)
        self._budget.event()
