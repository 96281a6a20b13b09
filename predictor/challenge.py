"""Champion and challenger: counting stays in charge until a model proves better.

The champion is counting with calibrated buckets. Once enough trials are resolved,
the models that the setting allows are fitted and judged on the newest of them
(`models.py`). The best one takes over if it would have saved at least `MARGIN` more
waits at as many rows, by more than twice the noise of that figure, and its
probabilities are about as honest, since the threshold compares them. A model in
charge is judged anew each time, and counting comes back when the proof is gone.

What this file does not do: fit (`models.py`), or publish (`worker.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from antecache.predictor.calibrate import Calibrator
from antecache.predictor.features import MOST_GROUPS, Trials, logit
from antecache.predictor.models import MODELS, Compiled, Report, try_model
from antecache.predictor.plan import PRIOR_SHARE, PRIOR_TRIALS, Plan, pack_counters

#: waits a model must save beyond the champion's, as a share, and times the noise of that
MARGIN, NOISES = 0.02, 2.0
#: calibration error that a model may have beyond the champion's
_LESS_HONEST: Final = 0.02
#: resolved trials before the first contest, and between two
LEAST_TRIALS, NEW_TRIALS = 12_000, 20_000
#: a contest may take this share of the trainer's time
_TIME_SHARE: Final = 0.05
#: trials that a bucket counts as having, at least, once a model has scored it
_WEIGHT: Final = 16.0
SETTINGS: Final = ("off", "auto", *MODELS)


class Challenge:
    """The trials of one calibrator, and the models that compete for its place.

    models  `off`, `auto` (all of them), or one name
    spared  names of models that are not tried
    """

    def __init__(
        self,
        models: str,
        calibrator: Calibrator,
        *,
        spared: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        named = () if models == "off" else tuple(MODELS) if models == "auto" else (models,)
        self.models = tuple(name for name in named if name not in spared)
        self.trials = Trials()
        self.reports: list[Report] = []
        self.winner: Report | None = None
        self._changed = False  # whether the last contest changes what is published
        self._compiled: Compiled | None = None
        self._groups: dict[str, float] = {}
        self._clock = clock
        self._seen = 0
        self._rest_until = 0.0
        if self.models:
            calibrator.on_resolved = self.trials.add

    @property
    def due(self) -> bool:
        """Whether there is enough that is new for another contest."""
        needed = NEW_TRIALS if self._seen else LEAST_TRIALS
        ready = bool(self.models) and self.trials.seen - self._seen >= needed
        return ready and self._clock() >= self._rest_until

    def hold(self) -> Iterator[str]:
        """Judge all models on what there is, and let the best take over if it may.

        Yields before each model, whose name it says: one takes a second or a few. Imports
        scikit-learn at the first time. `reports` and `winner` have what came of it.
        """
        started = self._clock()
        self._seen = self.trials.seen
        columns = self.trials.columns()
        buckets = int(columns.buckets.max()) + 1 if len(columns) else 1
        same_table = np.zeros(MOST_GROUPS, dtype=np.bool_)
        for name, number in self.trials.groups.items():
            head, _, rest = name.partition(">")
            same_table[number] = number > 0 and rest.rstrip("0123456789").rstrip("+-=") == head
        results: list[tuple[Report, Compiled | None]] = []
        for name in self.models:
            yield name
            try:
                results.append(try_model(name, columns, same_table, buckets))
            except (ValueError, MemoryError, ImportError) as error:
                results.append((Report(name, reason=f"failed: {error}"), None))
        verdicts = [_verdict(report) for report, _ in results]
        allowed = [
            (report, compiled)
            for (report, compiled), refused in zip(results, verdicts, strict=True)
            if not refused and compiled is not None
        ]
        before = self.winner
        self.winner, self._compiled = max(
            allowed, key=lambda one: one[0].gain, default=(None, None)
        )
        self._changed = before is not None or self.winner is not None
        self.reports = [
            msgspec.structs.replace(
                report,
                adopted=report is self.winner,
                reason=refused or ("the best" if report is self.winner else "another saved more"),
            )
            for (report, _), refused in zip(results, verdicts, strict=True)
        ]
        if self._compiled is not None:
            weights = self._compiled.groups
            self._groups = {
                name: round(float(weights[number]), 3)
                for name, number in self.trials.groups.items()
                if abs(weights[number]) >= 0.05
            }
        took = self._clock() - started
        self._rest_until = self._clock() + took / _TIME_SHARE

    def renewed(self, calibrator: Calibrator) -> Plan | None:
        """A Plan to publish after a contest, of the same counts; None when it changes nothing."""
        if not self._changed:
            return None
        plan = calibrator.plan
        calibrator.plan = plan = msgspec.structs.replace(plan, version=plan.version + 1)
        return self.improve(plan)

    def improve(self, plan: Plan) -> Plan:
        """A Plan of the calibrator's with the winner's numbers in place of its counts."""
        compiled, winner = self._compiled, self.winner
        if compiled is None or winner is None:
            return plan
        size = len(compiled.buckets)
        hits, trials = (column.astype(np.float64) for column in plan.counters(0, size))
        changed = (np.abs(compiled.buckets) > 0.01) & (trials > 0)
        # p = (hits + prior) / (trials + 4), with the prior at the mean of what was counted
        weight = np.maximum(trials, _WEIGHT)
        rate = hits / np.maximum(trials, 1.0)
        prior = PRIOR_TRIALS * PRIOR_SHARE * rate
        odds = logit((hits + prior) / (trials + PRIOR_TRIALS)) + compiled.buckets
        wanted = (weight + PRIOR_TRIALS) / (1 + np.exp(-odds)) - prior
        hits[changed] = np.clip(wanted, 0.0, weight)[changed]
        trials[changed] = weight[changed]
        rest_hits, rest_trials = plan.counters(size, max(0, plan.buckets - size))
        return msgspec.structs.replace(
            plan,
            hits=pack_counters(np.concatenate((hits, rest_hits))),
            trials=pack_counters(np.concatenate((trials, rest_trials))),
            model=winner.model,
            groups=self._groups,
        )


def _verdict(report: Report) -> str:
    """Why a model may not take over; empty when it may."""
    if report.reason:
        return report.reason
    if report.gain < MARGIN:
        return f"saves {report.gain:+.1%} waits, less than {MARGIN:.0%} more"
    if report.gain < NOISES * report.noise:
        return f"saves {report.gain:+.1%} waits, but the noise is {report.noise:.1%}"
    if report.calibration_error > report.champion_calibration_error + _LESS_HONEST:
        return f"its probabilities are off by {report.calibration_error:.3f}"
    return ""


def figures(report: Report) -> dict[str, Any]:
    """A report as name and value, in the order that people read it."""
    return {
        name: getattr(report, name)
        for name in report.__struct_fields__
        if name not in ("importances",)
    }
