"""Models that may rank candidates better than counting does: scikit-learn's, by name.

They are judged in time order. What groups are worth comes from the oldest two
fifths of the trials, a model is fitted on the next three tenths, and what is judged
is the newest three tenths: which of its candidates would have been fetched, at as
many rows as the champion's, and how many waits that had saved.

A model never runs in the server. It is *compiled* into what it adds to the
log-odds of the champion's estimate, for each bucket and for each group: the
champion goes on counting underneath, so the present is not forgotten. It is the
compiled form that is judged, so what the compilation loses is lost in the judgement
too, and is reported.

scikit-learn is imported when the first model is built, 125 MB and a second later.

What this file does not do: decide when to try one (`challenge.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from antecache.predictor.features import Columns, lifts, logit, matrix
from antecache.predictor.judging import gain, importances, judge

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

#: parts of the trials, oldest first: for lifts, for the fit; the rest is judged
_LIFTS, _FIT = 0.4, 0.3
#: the probability above which the champion fetches, for the number of rows to compare at: a
#: twentieth of the candidates at least, and half of them at most
_THETA: Final = 0.5
#: blocks of time in which rows are compared: a budget holds at any time, not over a day
_BLOCKS: Final = 20
#: a bucket's or group's share of the log-odds is within this
MOST_WEIGHT: Final = 3.0
#: trials of a bucket or group for it to get a weight
_LEAST: Final = 20


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of one model.

    gain            waits saved beyond the champion's, as a share of the champion's
    noise           standard error of `gain`
    compile_loss    log loss that the compilation added
    importances     of each feature: log loss added when it is shuffled
    """

    model: str
    trials: int = 0
    rows: int = 0
    saved: float = 0.0
    champion_saved: float = 0.0
    gain: float = 0.0
    noise: float = 0.0
    auc: float = 0.5
    champion_auc: float = 0.5
    log_loss: float = 0.0
    champion_log_loss: float = 0.0
    calibration_error: float = 0.0
    champion_calibration_error: float = 0.0
    compile_loss: float = 0.0
    seconds: float = 0.0
    importances: dict[str, float] = {}
    adopted: bool = False
    reason: str = ""


class Compiled(NamedTuple):
    """A model as numbers: what it adds to the log-odds, by bucket and by group."""

    buckets: _Floats
    groups: _Floats

    def scores(self, trials: Columns) -> _Floats:
        """The probability of each trial."""
        added = self.buckets[trials.buckets] + self.groups[trials.groups]
        odds = logit(trials.estimates) + added
        made: _Floats = 1 / (1 + np.exp(-odds))
        return made


Predict = Callable[[_Floats], _Floats]


def _linear(x: _Floats, y: _Floats) -> Predict:
    """Least squares in closed form: the normal equations, with a little ridge."""
    from sklearn.linear_model import Ridge

    fitted = Ridge(alpha=1e-3, solver="cholesky").fit(x, y)
    return lambda rows: np.asarray(fitted.predict(rows))


def _logistic(x: _Floats, y: _Floats) -> Predict:
    from sklearn.linear_model import LogisticRegression

    return _probability(LogisticRegression(max_iter=300, C=1.0).fit(_odds(x), y), _odds)


def _tree(x: _Floats, y: _Floats) -> Predict:
    from sklearn.tree import DecisionTreeClassifier

    return _probability(DecisionTreeClassifier(max_depth=8, min_samples_leaf=50).fit(x, y))


def _forest(x: _Floats, y: _Floats) -> Predict:
    from sklearn.ensemble import RandomForestClassifier

    made = RandomForestClassifier(
        n_estimators=40, max_depth=10, min_samples_leaf=20, random_state=0, n_jobs=1
    )
    return _probability(made.fit(x, y))


def _boosting(x: _Floats, y: _Floats) -> Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier

    made = HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=15, min_samples_leaf=50, early_stopping=False, random_state=0
    )
    return _probability(made.fit(x, y))


def _sgd(x: _Floats, y: _Floats) -> Predict:
    """Online: the trials once, in order, some at a time."""
    from sklearn.linear_model import SGDClassifier

    made = SGDClassifier(
        loss="log_loss",
        alpha=1e-5,
        learning_rate="invscaling",
        eta0=0.05,
        power_t=0.2,
        average=True,
        random_state=0,
    )
    inputs = _odds(x)
    for first in range(0, len(y), 1000):
        chunk = slice(first, first + 1000)
        made.partial_fit(inputs[chunk], y[chunk], classes=(0.0, 1.0))
    return _probability(made, _odds)


#: every model by the name of its setting
MODELS: Final[dict[str, Callable[[_Floats, _Floats], Predict]]] = {
    "linear": _linear,
    "logistic": _logistic,
    "tree": _tree,
    "forest": _forest,
    "boosting": _boosting,
    "sgd": _sgd,
}


def _probability(fitted: Any, prepare: Callable[[_Floats], _Floats] = lambda x: x) -> Predict:
    return lambda rows: np.asarray(fitted.predict_proba(prepare(rows))[:, 1])


def _odds(x: _Floats) -> _Floats:
    """For models that are linear in the log-odds: shares as log-odds, bins on a scale of 1."""
    made = x.copy()
    made[:, :2] = logit(x[:, :2])
    made[:, 7] /= 3
    made[:, 9:11] /= 5
    return made


class Parts(NamedTuple):
    """Trials cut in time order."""

    for_lifts: Columns
    for_fit: Columns
    judged: Columns


def cut(trials: Columns) -> Parts:
    """The three parts; see the file."""
    first = int(len(trials) * _LIFTS)
    second = int(len(trials) * (_LIFTS + _FIT))
    end = len(trials)
    return Parts(trials.part(0, first), trials.part(first, second), trials.part(second, end))


def try_model(
    name: str, trials: Columns, same_table: NDArray[np.bool_], buckets: int
) -> tuple[Report, Compiled]:
    """Fit, compile and judge one model. Raises ValueError when scikit-learn refuses the data."""
    from threadpoolctl import threadpool_limits

    # on so little data threads cost more than they bring, and the trainer is to be modest
    with threadpool_limits(1):
        return _try(name, trials, same_table, buckets)


def _try(
    name: str, trials: Columns, same_table: NDArray[np.bool_], buckets: int
) -> tuple[Report, Compiled]:
    started = time.perf_counter()
    parts = cut(trials)
    x = matrix(parts.for_fit, lifts(parts.for_lifts), same_table)
    predict = MODELS[name](x, parts.for_fit.hits)
    judged = parts.judged
    # by then the lifts of the fitted part are known too
    known = lifts(trials.part(0, len(trials) - len(judged)))
    compiled = _compile(predict, parts.for_fit, known, same_table, buckets)
    inputs = matrix(judged, known, same_table)
    whole = np.clip(predict(inputs), 1e-3, 1 - 1e-3)
    scores = compiled.scores(judged)
    blocks = np.array_split(judged.estimates >= _THETA, _BLOCKS)
    rows = np.array([max(len(b) // 20, min(len(b) // 2, int(b.sum())), 1) for b in blocks])
    champion, ours = judge(judged.estimates, judged.hits, rows), judge(scores, judged.hits, rows)
    more, noise = gain(judged.estimates, scores, judged.hits, rows)
    report = Report(
        model=name,
        trials=len(judged),
        rows=int(rows.sum()),
        saved=ours.saved,
        champion_saved=champion.saved,
        gain=more,
        noise=noise,
        auc=ours.auc,
        champion_auc=champion.auc,
        log_loss=ours.log_loss,
        champion_log_loss=champion.log_loss,
        calibration_error=ours.calibration_error,
        champion_calibration_error=champion.calibration_error,
        compile_loss=ours.log_loss - judge(whole, judged.hits, rows).log_loss,
        importances=importances(predict, inputs, judged.hits),
        seconds=time.perf_counter() - started,
    )
    # what is adopted knows the newest trials too
    return report, _compile(predict, trials, lifts(trials), same_table, buckets)


def _compile(
    predict: Predict,
    trials: Columns,
    lift: _Floats,
    same_table: NDArray[np.bool_],
    buckets: int,
) -> Compiled:
    """What the model adds to the estimates: the mean by bucket, then by group what is left."""
    added = logit(predict(matrix(trials, lift, same_table))) - logit(trials.estimates)
    by_bucket = _means(trials.buckets, added, buckets)
    by_group = _means(trials.groups, added - by_bucket[trials.buckets], len(lift))
    by_group[0] = 0.0
    return Compiled(by_bucket, by_group)


def _means(places: _Ints, values: _Floats, size: int) -> _Floats:
    """Mean of the values at each place that has enough of them, within bounds; else 0."""
    counts = np.bincount(places, minlength=size)
    sums = np.bincount(places, weights=values, minlength=size)
    made = np.divide(sums, counts, out=np.zeros(size), where=counts >= _LEAST)
    return np.clip(made, -MOST_WEIGHT, MOST_WEIGHT)
