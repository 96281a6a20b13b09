"""Champion and challenger: a model takes over when it proves better on later trials, and only then.

Trials are made up, so that it is known what there is to learn: in one bucket,
candidates of one pair of tables come true and those of another do not.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.predictor.calibrate import Calibrator
from antecache.predictor.challenge import LEAST_TRIALS, MARGIN, Challenge
from antecache.predictor.features import MOST_GROUPS, MOST_TRIALS, NAMES, Trials, group_of
from antecache.predictor.judging import auc, reliability
from antecache.predictor.models import MODELS, MOST_WEIGHT
from antecache.predictor.plan import Plan


def contest(models: str, rates: dict[str, float], trials: int = LEAST_TRIALS) -> Challenge:
    """A challenge after trials of candidates `NAME:n` after `a:n`, each true at its rate."""
    rng = random.Random(7)
    calibrator = Calibrator()
    challenge = Challenge(models, calibrator)
    names = list(rates)
    for number in range(trials):
        name = rng.choice(names)
        calibrator.trigger = b"a:%d" % number
        calibrator.trial(b"%s:%d" % (name.encode(), number), 30 + number % 5, 0.5)
        if rng.random() < rates[name]:
            calibrator.access(b"%s:%d" % (name.encode(), number))
        calibrator.access(b"a:%d" % number)
    while calibrator.trials < trials:
        calibrator.access(b"the rest expires")
    calibrator.fit(1.0)
    assert challenge.due == bool(challenge.models)
    for _ in challenge.hold():
        pass
    return challenge


def test_a_model_that_saves_more_takes_over_and_its_numbers_are_a_plan() -> None:
    challenge = contest("logistic", {"good": 0.95, "bad": 0.2})
    (report,) = challenge.reports
    assert report.adopted and challenge.winner is not None
    assert report.gain > 0.2 and report.saved > report.champion_saved
    assert report.log_loss < report.champion_log_loss
    assert report.auc > 0.85 > 0.6 > report.champion_auc
    assert max(report.importances, key=lambda name: report.importances[name]) == "group lift"
    calibrator = Calibrator()
    for number in range(200):
        calibrator.trial(b"k%d" % number, 32, 0.5)
        if number % 2:
            calibrator.access(b"k%d" % number)
    for _ in range(200):
        calibrator.access(b"x")
    fitted = calibrator.fit(1.0)
    assert fitted is not None
    plan = Plan.from_bytes(challenge.improve(fitted).to_bytes())
    assert plan.model == "logistic"
    assert plan.groups["a>good="] > 0.5 > -0.5 > plan.groups["a>bad="]
    assert plan.score(32, 0.5) == pytest.approx(fitted.score(32, 0.5), abs=0.2)
    assert len(plan.to_bytes()) < 2 * len(fitted.to_bytes()) + 100


def test_where_nothing_more_can_be_known_counting_stays() -> None:
    challenge = contest("auto", {"same": 0.6, "also": 0.6})
    assert challenge.winner is None
    assert {report.model for report in challenge.reports} == set(MODELS)
    for report in challenge.reports:
        assert not report.adopted and report.reason
        assert report.gain < MARGIN
    plan = Plan(version=3)
    assert challenge.improve(plan) is plan


def test_every_model_learns_what_there_is() -> None:
    challenge = contest("auto", {"good": 0.95, "bad": 0.2})
    assert {report.model: report.gain > 0.2 for report in challenge.reports} == dict.fromkeys(
        MODELS, True
    )
    assert sum(report.adopted for report in challenge.reports) == 1


def test_a_model_that_loses_its_proof_gives_the_place_back() -> None:
    challenge = contest("tree", {"good": 0.95, "bad": 0.2})
    assert challenge.winner is not None
    rng = random.Random(1)
    for number in range(MOST_TRIALS):
        challenge.trials.add(b"good:%d" % number, b"a:1", 31, 0.5, rng.random() < 0.5, 0.5)
    for _ in challenge.hold():
        pass
    assert challenge.winner is None
    assert challenge.improve(Plan()).groups == {}


def test_trials_and_groups_are_bounded() -> None:
    trials = Trials()
    for number in range(2 * MOST_TRIALS):
        trials.add(b"t%d:x" % (number % 3000), b"a:1", number % 9000, 0.5, 1, 0.5)
    assert len(trials) <= 1.25 * MOST_TRIALS
    assert len(trials.groups) == MOST_GROUPS
    columns = trials.columns()
    assert columns.groups.max() < MOST_GROUPS
    assert len({len(column) for column in columns}) == 1


def test_what_is_compiled_is_bounded() -> None:
    challenge = contest("logistic", {"good": 0.97, "bad": 0.1})
    assert challenge._compiled is not None
    for weights in challenge._compiled:
        assert np.abs(weights).max() <= MOST_WEIGHT


@pytest.mark.parametrize(
    ("trigger", "key", "group"),
    [
        (b"orders:1", b"customers:9", "orders>customers"),
        (b"customers:9", b"carts:9", "customers>carts="),
        (b"page:7", b"page:8", "page>page+1"),
        (b"page:7", b"page:2", "page>page-3"),
        (b"100", b"4000", ">+12"),
        (b"a:x", b"a:y", "a>a"),
        (b"\xff:1", b"b", "\\xff>"),
    ],
)
def test_groups(trigger: bytes, key: bytes, group: str) -> None:
    assert group_of(trigger, key) == group


def test_every_feature_has_a_name() -> None:
    assert len(set(NAMES)) == len(NAMES) == 13


def test_reliability_is_what_came_true_by_what_was_predicted() -> None:
    scores = np.array([0.05, 0.05, 0.55, 0.55, 0.55, 0.55, 1.0])
    hits = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0])
    found = [tuple(one) for one in reliability(scores, hits)]
    assert found == [
        (pytest.approx(0.05), 0.5, 2),
        (pytest.approx(0.55), 0.75, 4),
        (1.0, 1.0, 1),
    ]


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_auc_is_the_share_of_pairs_in_order(judged: list[tuple[int, bool]]) -> None:
    good = [score for score, hit in judged if hit]
    bad = [score for score, hit in judged if not hit]
    pairs = [(one > other) + (one == other) / 2 for one in good for other in bad]
    scores = np.array([score / 5 for score, _ in judged])
    hits = np.array([float(hit) for _, hit in judged])
    assert auc(scores, hits) == pytest.approx(sum(pairs) / len(pairs) if pairs else 0.5)


def test_who_is_spared_does_not_compete() -> None:
    assert Challenge("auto", Calibrator(), spared=("forest",)).models == tuple(
        name for name in MODELS if name != "forest"
    )
    challenge = Challenge("sgd", Calibrator(), spared=("sgd", "tree"))
    assert not challenge.models and not challenge.due
