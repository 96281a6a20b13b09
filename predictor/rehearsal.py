"""Past accesses replayed through a model of the cache, so that a server starts warm.

What followed what, and how much a candidate is worth, depends on what misses,
and that depends on the cache and on its prefetches. So a history is not fed to
the predictor as it is: a least-recently-used cache of as many keys as the
server's, with a probation queue that sizes itself and the server's own
threshold rule, decides which accesses would have been events. The events go
to the predictor, and every candidate that was not cached becomes a shadow
trial. A Plan is fitted at the pace of a live trainer, so later prefetches are
decided as they would have been. What memory is worth to values is told by the
keys that left the cache lately, as in the server, so that the predictor takes as
much as it would take there.

What this file does not do: model values, sizes, expiry or tables (a prefetch
costs a row, never a statement of its own), or read files (`history.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from antecache.predictor.base import Candidate, Predictor
from antecache.predictor.budget import RowBudget
from antecache.predictor.calibrate import Calibrator

#: most prefetches a miss
_MOST: Final = 32
#: events between two looks at what memory is worth
_REVIEW: Final = 200


def next_fit(accesses: int) -> int:
    """When to fit next, by accesses seen: 250, 500, 1,000 ... then every 10,000."""
    pace = 250
    while pace <= accesses and pace < 10_000:
        pace *= 2
    return pace if accesses < pace <= 8000 else accesses // 10_000 * 10_000 + 10_000


class Rehearsal:
    """A cache of `capacity` keys in front of `predictor`, whose candidates go to `calibrator`.

    row_budget  extra rows that prefetching may read, as a share of the events
    charged     whether the predictor's memory is taken from the cache's
    """

    def __init__(
        self,
        predictor: Predictor,
        calibrator: Calibrator,
        capacity: int,
        row_budget: float = 0.25,
        *,
        charged: bool = False,
    ) -> None:
        self.predictor = predictor
        self.calibrator = calibrator
        self.capacity = max(1, capacity)
        self.accesses = 0
        self.misses = 0
        self.rows = 0
        self.used = 0
        self._cache: dict[bytes, None] = {}  # oldest first
        self._probation: dict[bytes, Candidate] = {}
        # room of probation, and what left it and the cache lately, by which it sizes itself
        self._room = max(1.0, self.capacity / 10)
        self._left_probation: dict[bytes, None] = {}
        self._left_cache: dict[bytes, None] = {}
        self._budget = RowBudget(row_budget)
        self._charged = charged
        self._near = self._events = 0.0  # misses of what left lately; both decayed
        self._since = 0
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
                candidate = probation.pop(key)
                self.used += 1
                self.predictor.credit(candidate.bucket, candidate.why)
                self.predictor.observe(key, demand=False)
                self._event()
            else:
                self.misses += 1
                self._miss(key)
            cache[key] = None
            while len(cache) + len(probation) > capacity:
                if len(probation) > self._room or not cache:
                    _leave(probation, self._left_probation, capacity)
                else:
                    _leave(cache, self._left_cache, capacity)
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
        step = max(0.25, self.capacity / 400)
        if key in self._left_probation:
            self._room = min(0.9 * self.capacity, self._room + step)
        elif key in self._left_cache:
            self._near += 1
            self._room = max(0.05 * self.capacity + 1, self._room - step)
        room = min(_MOST, max(1, int(self._room / 2)))
        self.calibrator.trigger = key
        for candidate in self.predictor.candidates(key):
            follower, score, bucket, _, why = candidate
            if follower in cache or follower in probation:
                continue
            trial(follower, bucket, why[0][1])
            if score >= theta and room:
                room -= 1
                probation[follower] = candidate
                self.rows += 1
                self._budget.row()
        self.rows += 1
        self._budget.row()
        self.predictor.observe(key, demand=True)
        self._event()

    def _event(self) -> None:
        self._budget.event()
        self._events += 1
        self._since += 1
        if self._since < _REVIEW:
            return
        self._since = 0
        whole = 2 * max(1, self.predictor.budget_bytes)  # at most half remembers
        near = (self._near + 0.6) / (self._events + 30)
        remembered = min(40_000, max(4000, self.predictor.budget_bytes // 13))
        fade = 1 - _REVIEW / remembered
        self.predictor.settle(15 * near / whole if self._charged else 0.0, fade)
        self._near *= fade
        self._events *= fade


def _leave(queue: dict[bytes, Any], left: dict[bytes, None], capacity: int) -> None:
    """The oldest of a queue leaves, and is remembered for a while."""
    key = next(iter(queue))
    del queue[key]
    left.pop(key, None)
    left[key] = None
    if len(left) > capacity / 10:
        del left[next(iter(left))]
