"""Scouts: what a log would be worth, at which length, seen without a log."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.predictor.scouts import SCOUT_BYTES, Scouts


def worth_at(scouts: Scouts, slots: int) -> float:
    """Predictions an event that a log of at most `slots` is said to be worth."""
    found = [gain for length, gain, _ in scouts.worth() if length <= slots]
    return found[-1] if found else 0.0


def test_a_cycle_is_worth_a_log_of_its_length_and_nothing_shorter() -> None:
    scouts = Scouts(4000, 10_000)
    for turn in range(6):
        for at in range(2000):
            scouts.observe(b"page:%d" % at)
        assert worth_at(scouts, 1900) == 0
        if turn > 2:
            assert worth_at(scouts, 2600) > 0.8  # two followers, found nearly every time


def test_in_a_short_loop_a_scout_is_not_held_against_itself() -> None:
    """With one key in hundreds sampled, the loop has one scout; what chance finds is another's."""
    scouts = Scouts(1600, 100_000)
    for at in range(30_000):  # so many keys that few are sampled
        scouts.observe(b"key:%d" % at)
    before = worth_at(scouts, 100_000) * scouts.events
    assert scouts.weight > 100
    for _ in range(60):
        for at in range(362):
            scouts.observe(b"key:%d" % (at * 64))
    assert scouts.sampled > 20
    assert worth_at(scouts, 500) * scouts.events - before > 20_000  # of 43,000 to be found


def test_independent_draws_are_worth_nothing() -> None:
    rng = random.Random(5)
    scouts = Scouts(8000, 20_000)
    for _ in range(60_000):
        scouts.observe(b"%d" % int(rng.paretovariate(0.9)))
    counted = scouts.worth()
    assert scouts.sampled > 100
    assert all(gain <= 3 * error for _, gain, error in counted)


def test_the_sample_has_a_fixed_size_and_stands_for_all_keys() -> None:
    scouts = Scouts(1600, 100_000)
    assert scouts.nbytes == 1600
    for at in range(30_000):
        scouts.observe(b"key:%d" % at)
        assert scouts.nbytes == 1600
    assert 30_000 / (1600 / SCOUT_BYTES) / 4 < scouts.weight < 30_000 / (1600 / SCOUT_BYTES) * 4


def test_the_past_fades() -> None:
    scouts = Scouts(4000, 10_000)
    for _ in range(4):
        for at in range(500):
            scouts.observe(b"page:%d" % at)
    before, sampled = worth_at(scouts, 10_000), scouts.sampled
    for _ in range(20):
        scouts.decay(0.5)
    assert scouts.sampled < sampled / 1000
    assert worth_at(scouts, 10_000) == 0 or abs(worth_at(scouts, 10_000) - before) < 1e-6


def test_without_memory_nothing_is_measured() -> None:
    scouts = Scouts(100, 1000)
    assert scouts.nbytes == 0
    assert all(scouts.observe(b"%d" % (at % 10)) is None for at in range(500))
    assert scouts.worth() == []


@given(st.lists(st.integers(0, 40), max_size=400), st.integers(0, 2000))
@settings(deadline=None)
def test_any_events_are_counted_within_bounds(keys: list[int], budget: int) -> None:
    scouts = Scouts(budget, 100)
    for key in keys:
        counted = scouts.observe(b"%d" % key)
        assert scouts.nbytes <= budget
        if counted is not None:
            gap, gain = counted
            assert 0 < gap <= len(keys)
            assert abs(gain) <= 4 * scouts.weight * 4
    assert all(error >= 0 for _, _, error in scouts.worth())
