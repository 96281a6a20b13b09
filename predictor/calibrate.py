"""Shadow trials to calibrated probabilities.

A *trial* is a candidate that was not cached when a miss named it, prefetched
or not. It is a hit when its key is read within the next `horizon` accesses.
Hits and trials are counted per bucket of evidence, halved at 400 trials so
that the present outweighs the past; the Plan turns them into probabilities.

What is published was measured first on data it was not learned from: each trial
is estimated by the counters of all trials before it, then counted. The figures
are those of the newer half of the trials since the last fit. If the Plan in use
scores that half better, by more than the noise of the difference, the new one
is not published.

What this file does not do: decide which candidates become trials, or know
rules (a rule that disappoints is switched off by the server's ledger).
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from antecache.predictor.plan import (
    PRIOR_SHARE,
    PRIOR_TRIALS,
    HeldOut,
    Plan,
    pack_counters,
)

#: trials of a bucket at which its counters are halved
HALVE_AT = 400
#: trials resolved since the last fit that are kept for held-out figures
_FRESH = 40_000
#: fewest trials in the newer half for a Plan to be refused on their account
_ENOUGH = 50
MAX_BUCKETS = 1 << 14
_PRIOR = PRIOR_TRIALS * PRIOR_SHARE

_Floats = NDArray[np.float64]


class Calibrator:
    """Resolves trials as accesses pass by, and fits Plans.

    horizon      accesses within which a hit must come
    max_pending  trials open at once; further ones are dropped and counted
    """

    def __init__(self, horizon: int = 128, max_pending: int = 200_000) -> None:
        self.horizon = horizon
        self.max_pending = max_pending
        self.accesses = 0
        self.hits = 0
        self.trials = 0
        self.dropped = 0
        self.aside = 0  # accesses of sessions that nothing is learned from
        self._skipping = False
        self.refused = 0
        self.plan = Plan(horizon=horizon)  # the one in use
        self._trained_before = 0  # accesses that were counted elsewhere
        self._hits: list[float] = []
        self._trials: list[float] = []
        # open trials: [deadline, bucket, raw, open, key, trigger], by key and in order of expiry
        self._pending: dict[bytes, list[list[Any]]] = {}
        self._expiry: deque[tuple[bytes, list[Any]]] = deque()
        # the last miss: what follows in the log was expected after it
        self.trigger = b""
        # told of every trial that is resolved: key, trigger, bucket, raw, hit, estimate before it
        self.on_resolved: Callable[[bytes, bytes, int, float, int, float], None] | None = None
        # trials resolved since the last fit: bucket, raw confidence, hit, estimate before it
        self._fresh = (array("H"), array("f"), array("b"), array("f"))

    @property
    def fresh(self) -> int:
        """Trials resolved since the last fit."""
        return len(self._fresh[0])

    def access(self, key: bytes) -> None:
        """A read of `key`, found present or not."""
        self.accesses = now = self.accesses + 1
        entries = self._pending.pop(key, None)
        if entries is not None:
            for entry in entries:
                entry[3] = False
                self._resolve(entry, 1)
        expiry = self._expiry
        while expiry and expiry[0][1][0] <= now:
            old, entry = expiry.popleft()
            if entry[3]:
                self._resolve(entry, 0)
                entries = self._pending[old]
                entries.remove(entry)
                if not entries:
                    del self._pending[old]

    def trial(self, key: bytes, bucket: int, raw: float) -> None:
        """A candidate of the last access; one of this key and bucket is open at most once."""
        usable = type(bucket) is int and 0 <= bucket < MAX_BUCKETS
        if not usable or len(self._expiry) >= self.max_pending or not 0.0 <= raw <= 1.0:
            self.dropped += 1
            return
        entries = self._pending.get(key)
        if entries is None:
            entries = self._pending[key] = []
        else:
            for entry in entries:
                if entry[1] == bucket:
                    return
        made = [self.accesses + self.horizon, bucket, raw, True, key, self.trigger]
        entries.append(made)
        self._expiry.append((key, made))

    def feed(self, items: Iterable[Any]) -> None:
        """A block of the access log, in order; what is no item is counted as dropped."""
        rest = iter(items)
        access, trial = self.access, self.trial
        for item in rest:
            kind = type(item)
            if kind is int:
                self._skipping = item < 0
            elif self._skipping:
                self.aside += kind is bytes
            elif kind is bytes:
                access(item)
            elif kind is list and len(item) == 4 and type(item[0]) is bytes:
                raw = item[2]
                trial(item[0], item[1], raw if type(raw) is float else -1.0)
            elif item is None or item is True:
                key = next(rest, None)
                if type(key) is bytes:
                    access(key)
                    self.trigger = key
                else:
                    self.dropped += 1
            else:
                self.dropped += 1

    def _resolve(self, entry: list[Any], hit: int) -> None:
        _, bucket, raw, _, key, trigger = entry
        hits, trials = self._hits, self._trials
        if bucket >= len(hits):
            more = bucket + 1 - len(hits)
            hits.extend([0.0] * more)
            trials.extend([0.0] * more)
        buckets, raws, outcomes, estimates = self._fresh
        buckets.append(bucket)
        raws.append(raw)
        outcomes.append(hit)
        estimate = (hits[bucket] + _PRIOR * raw) / (trials[bucket] + PRIOR_TRIALS)
        estimates.append(estimate)
        if self.on_resolved is not None:
            self.on_resolved(key, trigger, bucket, raw, hit, estimate)
        if len(buckets) >= _FRESH:
            for kept in self._fresh:
                del kept[: _FRESH // 2]
        hits[bucket] += hit
        trials[bucket] += 1
        if trials[bucket] >= HALVE_AT:
            hits[bucket] /= 2
            trials[bucket] /= 2
        self.hits += hit
        self.trials += 1

    def fit(self, now: float, disabled: tuple[str, ...] = ()) -> Plan | None:
        """A Plan from everything resolved; None when the one in use is better on newer trials.

        `now` is Unix time in seconds. Takes about a millisecond.
        """
        newer = len(self._fresh[0]) // 2
        buckets = np.array(self._fresh[0][newer:], dtype=np.int64)
        raws, hits, estimates = (
            np.array(kept[newer:], dtype=np.float64) for kept in self._fresh[1:]
        )
        held_out = _figures(estimates, raws, hits)
        worse = False
        if self.plan.version and len(hits) >= _ENOUGH:
            in_use = _estimates(self.plan, buckets, raws)
            difference = _log_losses(estimates, hits) - _log_losses(in_use, hits)
            noise = float(difference.std()) / math.sqrt(len(difference))
            worse = float(difference.mean()) > 2 * noise
        self._forget_fresh()
        if worse:
            self.refused += 1
            return None
        self.plan = Plan(
            version=self.plan.version + 1,
            created=now,
            trained_on=self._trained_before + self.accesses,
            hits=pack_counters(np.array(self._hits)),
            trials=pack_counters(np.array(self._trials)),
            horizon=self.horizon,
            held_out=held_out if held_out.trials else self.plan.held_out,
            disabled=disabled,
        )
        return self.plan

    def resume(self, plan: Plan) -> None:
        """Go on counting from a published Plan, as if its trials had been seen here."""
        hits, trials = plan.counters(0, plan.buckets)
        self._hits, self._trials = hits.tolist(), trials.tolist()
        self._forget_fresh()
        self.plan = plan
        self._trained_before = plan.trained_on

    def _forget_fresh(self) -> None:
        for kept in self._fresh:
            del kept[:]

    def absorb(self, other: Calibrator) -> None:
        """Add what another calibrator counted, as older than what was counted here."""
        size = max(len(self._hits), len(other._hits))
        hits, trials = (
            _padded(np.array(mine), size) + _padded(np.array(theirs), size)
            for mine, theirs in ((self._hits, other._hits), (self._trials, other._trials))
        )
        scale = np.minimum(1.0, HALVE_AT / 2 / np.maximum(trials, 1.0))
        self._hits, self._trials = (hits * scale).tolist(), (trials * scale).tolist()
        self._forget_fresh()
        self._trained_before += other.accesses
        if other.plan.held_out.trials > self.plan.held_out.trials:
            self.plan = msgspec.structs.replace(self.plan, held_out=other.plan.held_out)
        self.hits += other.hits
        self.trials += other.trials


def _padded(values: _Floats, size: int) -> _Floats:
    return np.concatenate((values, np.zeros(max(0, size - len(values)))))


def _estimates(plan: Plan, buckets: NDArray[np.int64], raws: _Floats) -> _Floats:
    hits, trials = plan.counters(0, MAX_BUCKETS)
    estimates: _Floats = (hits[buckets] + _PRIOR * raws) / (trials[buckets] + PRIOR_TRIALS)
    return estimates


def _log_losses(estimates: _Floats, hits: _Floats) -> _Floats:
    """-log of the probability given to what happened; certainties are held at one in 1,000."""
    bounded = np.clip(estimates, 1e-3, 1 - 1e-3)
    losses: _Floats = -np.log(np.where(hits > 0, bounded, 1 - bounded))
    return losses


def _figures(estimates: _Floats, raws: _Floats, hits: _Floats) -> HeldOut:
    if not len(hits):
        return HeldOut()
    bins = np.minimum((estimates * 10).astype(np.int64), 9)
    sizes = np.bincount(bins, minlength=10)
    gaps = np.abs(np.bincount(bins, weights=estimates - hits, minlength=10))
    return HeldOut(
        trials=len(hits),
        brier=float(((estimates - hits) ** 2).mean()),
        log_loss=float(_log_losses(estimates, hits).mean()),
        raw_brier=float(((raws - hits) ** 2).mean()),
        raw_log_loss=float(_log_losses(raws, hits).mean()),
        calibration_error=float(gaps[sizes > 0].sum() / len(hits)),
    )
