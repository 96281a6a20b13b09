"""Calibration: shadow trials resolve as promised, and estimates find the true probabilities."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.predictor.calibrate import HALVE_AT, Calibrator
from antecache.predictor.plan import Plan

NAMES = st.sampled_from([b"a", b"b", b"c"])
STEP = st.one_of(NAMES, st.tuples(NAMES, st.integers(0, 2)))


@given(st.integers(1, 6), st.lists(STEP, max_size=120))
def test_a_trial_is_a_hit_if_its_key_is_read_within_the_horizon(
    horizon: int, steps: list[bytes | tuple[bytes, int]]
) -> None:
    calibrator = Calibrator(horizon)
    reads = [step for step in steps if isinstance(step, bytes)]
    hits, trials, until = 0, 0, dict[tuple[bytes, int], int]()
    at = 0
    for step in steps:
        if isinstance(step, bytes):
            at += 1
            calibrator.access(step)
            continue
        key, bucket = step
        calibrator.trial(key, bucket, 0.5)
        if until.get((key, bucket), 0) > at:  # open already
            continue
        ahead = reads[at : at + horizon]
        if key in ahead:
            hits += 1
            trials += 1
            until[key, bucket] = at + ahead.index(key) + 1
        else:
            trials += len(ahead) == horizon
            until[key, bucket] = at + horizon
    assert (calibrator.hits, calibrator.trials) == (hits, trials)


def process(
    seed: int, chances: dict[int, float], accesses: int, calibrator: Calibrator
) -> Calibrator:
    """A miss names a candidate of each bucket, which is read next with a known probability."""
    rng = random.Random(seed)
    for at in range(accesses):
        for bucket, chance in chances.items():
            key = b"%d/%d" % (bucket, at)
            calibrator.trial(key, bucket, 0.9)
            calibrator.access(key if rng.random() < chance else b"other")
    for _ in range(calibrator.horizon):
        calibrator.access(b"other")
    return calibrator


def test_estimates_find_the_true_probabilities() -> None:
    chances = {0: 0.05, 3: 0.5, 7: 0.95}
    calibrator = process(1, chances, 2000, Calibrator(16))
    plan = calibrator.fit(12.0)
    assert plan is not None
    assert (plan.version, plan.created, plan.trained_on) == (1, 12.0, 6016)
    for bucket, chance in chances.items():
        assert plan.score(bucket, 0.9) == pytest.approx(chance, abs=0.06)
    held_out = plan.held_out
    assert held_out.trials == 3000  # the newer half
    true_brier = sum(p * (1 - p) for p in chances.values()) / 3
    assert held_out.brier == pytest.approx(true_brier, abs=0.02)
    assert held_out.calibration_error < 0.05
    assert held_out.raw_brier > held_out.brier + 0.1
    assert held_out.raw_log_loss > held_out.log_loss + 0.2


def test_counters_halve_so_that_the_present_counts() -> None:
    calibrator = process(1, {2: 0.9}, 2000, Calibrator(8))
    process(2, {2: 0.1}, 2 * HALVE_AT, calibrator)
    plan = calibrator.fit(0.0)
    assert plan is not None
    assert plan.score(2, 0.5) < 0.3


def test_a_plan_that_is_worse_on_newer_trials_is_not_published() -> None:
    calibrator = process(1, {2: 0.9, 5: 0.1}, 400, Calibrator(8))
    good = calibrator.fit(1.0)
    assert good is not None
    # a storm: for a while everything comes true, then it is as before
    process(2, {2: 1.0, 5: 1.0}, 300, calibrator)
    process(3, {2: 0.9, 5: 0.1}, 300, calibrator)
    assert calibrator.fit(2.0) is None
    assert calibrator.refused == 1
    assert calibrator.plan is good
    # it goes on learning, and the next one passes
    process(4, {2: 0.9, 5: 0.1}, 800, calibrator)
    after = calibrator.fit(3.0)
    assert after is not None
    assert after.version == 2
    assert after.score(5, 0.5) < 0.3


def test_counting_goes_on_from_a_published_plan() -> None:
    first = process(1, {4: 0.8}, 300, Calibrator(8)).fit(1.0)
    assert first is not None
    other = Calibrator(8)
    other.resume(Plan.from_bytes(first.to_bytes()))
    assert other.fit(2.0) is not None
    assert other.plan.version == 2
    assert other.plan.score(4, 0.5) == pytest.approx(first.score(4, 0.5))
    assert other.plan.trained_on == first.trained_on


def test_what_a_rehearsal_counted_is_absorbed() -> None:
    live, past = Calibrator(8), process(1, {4: 0.8, 9: 0.2}, 300, Calibrator(8))
    past.fit(0.0)
    process(2, {4: 0.7}, 20, live)
    live.absorb(past)
    plan = live.fit(1.0)
    assert plan is not None
    assert plan.score(4, 0.5) == pytest.approx(0.8, abs=0.08)
    assert plan.score(9, 0.5) == pytest.approx(0.2, abs=0.08)
    assert plan.trained_on == past.accesses + live.accesses
    assert plan.held_out.trials > 100


def test_a_block_of_the_log_is_understood_in_order() -> None:
    calibrator = Calibrator(4)
    items = [7, b"x", None, b"a", [b"b", 1, 0.5, True], [b"c", 2, 0.5, False], True, b"b"]
    calibrator.feed([*items, 8, *[b"x"] * 4])
    assert calibrator.accesses == 7
    assert (calibrator.hits, calibrator.trials, calibrator.dropped) == (1, 2, 0)


@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(),
            lambda inner: st.lists(inner, max_size=4),
            max_leaves=6,
        ),
        max_size=40,
    )
)
def test_junk_in_a_block_is_dropped_and_counted(items: list[object]) -> None:
    calibrator = Calibrator(4)
    calibrator.feed(items)
    plan = calibrator.fit(0.0)
    assert plan is not None
    Plan.from_bytes(plan.to_bytes())


def test_nothing_is_learned_from_a_session_that_is_set_aside() -> None:
    calibrator, alone = Calibrator(4), Calibrator(4)
    people = [7, None, b"x", [b"y", 3, 0.5, True], b"y"]
    bot = [~5, None, b"y", [b"z", 3, 0.5, True], b"z", True, b"y"]
    calibrator.feed([*people[:4], *bot, 7, people[4]])
    calibrator.feed([*bot, ~5])
    calibrator.feed([b"y"])  # the next block is still of the session that was announced last
    alone.feed(people)
    assert calibrator.aside == 7
    assert (calibrator.accesses, calibrator.trials, calibrator.hits) == (2, 1, 1)
    assert (alone.accesses, alone.trials, alone.hits) == (2, 1, 1)
    assert calibrator.dropped == 0


def test_open_trials_are_bounded() -> None:
    calibrator = Calibrator(1000, max_pending=50)
    for at in range(200):
        calibrator.trial(b"%d" % at, 1, 0.5)
    assert calibrator.dropped == 150


def test_figures_stay_bounded_in_memory() -> None:
    calibrator = process(1, dict.fromkeys(range(12), 0.3), 6000, Calibrator(8))
    assert calibrator.trials == 72_000
    assert calibrator.fresh < 40_000
    plan = calibrator.fit(0.0)
    assert plan is not None
    assert plan.held_out.brier == pytest.approx(0.21, abs=0.02)
