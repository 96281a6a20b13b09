"""How good scores are on trials that nothing was learned from.

Scores are compared at the same number of rows in each block of time, since the
budget of rows holds at any time, not over a day: of each block the candidates of
highest score are taken to be fetched, and those that were asked for are waits saved.

What this file does not do: know how the scores were made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from antecache.predictor.features import NAMES

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

#: rows of the judged part that importances are measured on, and how often each is shuffled
_SAMPLE, _REPEATS = 3000, 3


class Figures(NamedTuple):
    """How good scores were on the newest trials. Lower is better but for `saved` and `auc`.

    saved              trials that were asked for, among those that would have been fetched
    auc                the probability that one that was asked for scores above one that was not
    calibration_error  mean distance of score and frequency over ten bins, by trials
    """

    saved: float
    auc: float
    log_loss: float
    brier: float
    calibration_error: float


def judge(scores: _Floats, hits: _Floats, rows: _Ints) -> Figures:
    """Figures of these scores when of each block the best are fetched, as many as `rows` says."""
    bounded = np.clip(scores, 1e-3, 1 - 1e-3)
    losses = -np.log(np.where(hits > 0, bounded, 1 - bounded))
    bins = np.minimum((scores * 10).astype(np.int64), 9)
    gaps = np.abs(np.bincount(bins, weights=scores - hits, minlength=10))
    return Figures(
        saved=float(hits[_chosen(scores, rows)].sum()),
        auc=auc(scores, hits),
        log_loss=float(losses.mean()),
        brier=float(((scores - hits) ** 2).mean()),
        calibration_error=float(gaps.sum() / max(len(hits), 1)),
    )


def auc(scores: _Floats, hits: _Floats) -> float:
    """Area under the ROC curve, by ranks (Mann-Whitney), ties in the middle; 0.5 of one kind."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    good = float((hits > 0).sum())
    pairs = good * (len(hits) - good)
    if not pairs:
        return 0.5
    return float((ranks[hits > 0].sum() - good * (good + 1) / 2) / pairs)


def _chosen(scores: _Floats, rows: _Ints) -> _Ints:
    """The trials that are fetched: the highest scores of each block; ties in time order."""
    made = []
    start = 0
    for block, amount in zip(np.array_split(scores, len(rows)), rows, strict=True):
        made.append(start + np.argsort(-block, kind="stable")[:amount])
        start += len(block)
    return np.concatenate(made)


def gain(theirs: _Floats, ours: _Floats, hits: _Floats, rows: _Ints) -> tuple[float, float]:
    """Waits saved beyond theirs as a share of theirs, and its standard error over the blocks."""
    chosen = np.zeros(len(hits))
    chosen[_chosen(ours, rows)] += 1
    chosen[_chosen(theirs, rows)] -= 1
    difference = chosen * hits
    saved = max(float(hits[_chosen(theirs, rows)].sum()), 1.0)
    blocks = np.array([block.sum() for block in np.array_split(difference, len(rows))])
    return float(difference.sum()) / saved, float(blocks.std() * np.sqrt(len(rows))) / saved


def importances(
    predict: Callable[[_Floats], _Floats], x: _Floats, hits: _Floats
) -> dict[str, float]:
    """Permutation importances on a sample: log loss added when a column is shuffled."""
    rng = np.random.default_rng(0)
    if len(x) > _SAMPLE:
        chosen = rng.choice(len(x), _SAMPLE, replace=False)
        x, hits = x[chosen], hits[chosen]

    def loss(rows: _Floats) -> float:
        scores = np.clip(predict(rows), 1e-3, 1 - 1e-3)
        return float(-np.log(np.where(hits > 0, scores, 1 - scores)).mean())

    plain = loss(x)
    found = {}
    for place, name in enumerate(NAMES):
        if (x[:, place] == x[0, place]).all():
            continue
        total = 0.0
        for _ in range(_REPEATS):
            shuffled = x.copy()
            shuffled[:, place] = rng.permutation(shuffled[:, place])
            total += loss(shuffled) - plain
        found[name] = round(total / _REPEATS, 5)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


class Bin(NamedTuple):
    """Trials of about the same score: what was predicted, what came true, how many."""

    predicted: float
    measured: float
    trials: int


def reliability(scores: _Floats, hits: _Floats, bins: int = 10) -> list[Bin]:
    """Predicted probability against measured frequency, by bins of equal width; empty ones not."""
    places = np.minimum((scores * bins).astype(np.int64), bins - 1)
    return [
        Bin(float(scores[chosen].mean()), float(hits[chosen].mean()), int(chosen.sum()))
        for place in range(bins)
        if (chosen := places == place).any()
    ]
