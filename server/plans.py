"""Which Plan is in use: new ones are looked at before they are adopted, and can be taken back.

The trainer refuses to publish what is worse on newer data, and a Plan's bytes are
checked when they are read (size, numbers in range). What is left to ask here, where
the one in use is known: is it newer than that, was it made in the past, and does it
at least beat the uncalibrated confidence on data it was not learned from? A Plan
that fails is not adopted, and the reason is kept for PREDICTOR STATUS.

The last few are kept. Going back makes the previous one the Plan in use, and the
trainer counts on from it, so what made the newer one bad is forgotten too.

What this file does not do: judge rules (the ledger), or fit anything.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from antecache.predictor.plan import Plan

log = logging.getLogger(__name__)

#: Plans that one can go back to
KEPT: Final = 4
#: seconds that two clocks may differ
_AHEAD: Final = 300.0
#: later candidates from which a Plan is judged, and how much worse than no calibration it may be
_ENOUGH, _WORSE = 200, 1.25
#: and a difference of log losses that is none: what always comes true needs no calibration
_HARDLY = 0.02


class Plans:
    """The Plan in use and those before it. `use` hands one to whoever scores by it."""

    def __init__(
        self, use: Callable[[Plan], None], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._use = use
        self._clock = clock
        self.current: Plan | None = None
        self.earlier: deque[Plan] = deque(maxlen=KEPT)
        self.refused = 0
        self.reason = ""  # why the last one was refused

    def adopt(self, plan: Plan) -> None:
        """Use a new Plan, if nothing speaks against it."""
        reason = self._problem(plan)
        if reason:
            self.refused += 1
            self.reason = reason
            log.warning("plan %d is not adopted: %s", plan.version, reason)
            return
        if self.current is not None:
            self.earlier.append(self.current)
        self.current = plan
        self._use(plan)

    def _problem(self, plan: Plan) -> str:
        current, held = self.current, plan.held_out
        if plan.created > self._clock() + _AHEAD:
            return "it was made in the future"
        if (
            current is not None
            and plan.version <= current.version
            and (plan.created < current.created or plan.trained_on < current.trained_on)
        ):
            return f"it is older than plan {current.version}, which is in use"
        worst = max(_WORSE * held.raw_log_loss, held.raw_log_loss + _HARDLY)
        if held.trials >= _ENOUGH and held.log_loss > worst:
            return (
                f"its log loss on later candidates is {held.log_loss:.3f}, "
                f"without any calibration {held.raw_log_loss:.3f}"
            )
        return ""

    def go_back(self) -> Plan | None:
        """Use the previous Plan again; it is made the newest, so that later ones follow it.

        None when there is none.
        """
        if not self.earlier or self.current is None:
            return None
        before = self.earlier.pop()
        self.current = msgspec.structs.replace(before, version=self.current.version + 1)
        self._use(self.current)
        return self.current
