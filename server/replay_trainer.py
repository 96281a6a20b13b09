"""The trainer's part of a replay: the process's own parts, inline and in trace order.

Trials are resolved as accesses pass, Plans fitted at a live trainer's pace, models
compete with counting when enough trials are new, and what is published is adopted
`lag` accesses late. A contest takes no time here; a live trainer needs some seconds
and then rests for twenty times as long. So that a long trace is not one contest
after the other, each waits for half as many trials again as there have been.

What this file does not do: decide when a model may take over (`challenge.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from antecache.predictor.calibrate import Calibrator
from antecache.predictor.challenge import Challenge
from antecache.predictor.plan import Plan
from antecache.predictor.rehearsal import next_fit

_GROWTH: Final = 1.5


class InlineTrainer:
    """Feeds on the access log; `publish` takes each Plan when its time has come.

    models    which may compete with counting: the setting `models`
    lag       accesses between the fit of a Plan and its adoption
    contests  how many were held
    """

    def __init__(
        self, publish: Callable[[Plan], None], *, models: str = "off", lag: int = 0
    ) -> None:
        self.calibrator = Calibrator()
        self.challenge = Challenge(models, self.calibrator, clock=lambda: 0.0)
        self.contests = 0
        self._publish = publish
        self._lag = lag
        self._lagging: deque[tuple[int, Plan]] = deque()
        self._next_fit = 250
        self._next_contest = 0.0  # in trials

    def go_on_from(self, plan: Plan) -> None:
        """Count on from the Plan of a model, which is in use at once."""
        self.calibrator.resume(plan)
        self._publish(plan)

    def feed(self, items: list[Any]) -> None:
        """Learn from some items of the access log, in order, and empty it."""
        calibrator, challenge = self.calibrator, self.challenge
        calibrator.feed(items)
        items.clear()
        now = calibrator.accesses
        if now >= self._next_fit:
            self._next_fit = next_fit(now)
            plan = calibrator.fit(float(now))
            if plan is not None:
                self._lagging.append((now + self._lag, challenge.improve(plan)))
        if challenge.due and challenge.trials.seen >= self._next_contest:
            self._next_contest = _GROWTH * challenge.trials.seen
            self.contests += 1
            for _ in challenge.hold():
                pass
            plan = challenge.renewed(calibrator)
            if plan is not None:
                self._lagging.append((now + self._lag, plan))
        while self._lagging and self._lagging[0][0] <= now:
            self._publish(self._lagging.popleft()[1])
