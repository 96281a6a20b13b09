"""Buckets and scores of families that count followers in rows.

A follower of a row has a confidence (its count over the row's n) and a support
(n). The bucket is the kind of evidence x 12 bins of confidence x 5 of support;
its estimate comes from the Plan's counters as everywhere.

What this file does not do: score candidates of the miss log, whose features are others.
"""

from __future__ import annotations

from typing import Final

from antecache.predictor.plan import PRIOR_SHARE, PRIOR_TRIALS, Plan

_SHARES: Final = 12
_SUPPORTS: Final = 5
PER_KIND: Final = _SHARES * _SUPPORTS
#: a share of trials that comes true of candidates hardly worth a row
_COMMON: Final = 0.3
_SUPPORT_OF: Final = tuple(
    0 if n < 4 else 1 if n < 8 else 2 if n < 16 else 3 if n < 48 else 4 for n in range(256)
)


def bucket_of(kind: int, confidence: float, n: int) -> int:
    """The bucket of a follower: confidence in [0, 1], n below 256."""
    bin_ = min(int(confidence * _SHARES), _SHARES - 1)
    return kind * PER_KIND + bin_ * _SUPPORTS + _SUPPORT_OF[n]


class Scores:
    """The Plan's estimates for `kinds` kinds of evidence, their buckets from `first_bucket`."""

    __slots__ = ("_base", "_scale", "first_bucket", "kinds")

    def __init__(self, kinds: int, first_bucket: int, plan: Plan | None = None) -> None:
        self.kinds = kinds
        self.first_bucket = first_bucket
        hits, trials = (plan or Plan()).counters(first_bucket, kinds * PER_KIND)
        weight = trials + PRIOR_TRIALS
        self._base: list[float] = (hits / weight).tolist()
        self._scale: list[float] = (PRIOR_TRIALS * PRIOR_SHARE / weight).tolist()

    def __call__(self, bucket: int, confidence: float) -> float:
        """The estimate of a follower in a bucket of `bucket_of`."""
        return self._base[bucket] + self._scale[bucket] * confidence


def certainty(plan: Plan, first: int, count: int) -> float:
    """How much a family's buckets tell: trials that came true beyond `_COMMON` of them.

    Only buckets that are better than that add up: a candidate that is likely is worth
    more than many that are not.
    """
    hits, trials = plan.counters(first, count)
    beyond = hits - _COMMON * trials
    return float(beyond[beyond > 0].sum())
