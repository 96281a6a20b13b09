"""Periods: what comes at regular intervals is told from what does not, at any pace."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.predictor.periods import MOST, MOST_BYTES, Due, Periods

START = 1_700_000_000.0


def visited(periods: Periods, times: list[float], key: bytes = b"report:1") -> list[Due] | None:
    """The schedule after reads of a key at these times."""
    for at in times:
        periods.feed([1, None, key], START + at)
    return periods.schedule(START + times[-1])


@pytest.mark.parametrize("period", [2.5, 60.0, 3600.0, 80_000.0])
def test_a_key_with_regular_gaps_has_a_period(period: float) -> None:
    rng = random.Random(1)
    times = [at * period + rng.uniform(-0.02, 0.02) * period for at in range(9)]
    schedule = visited(Periods(), times)
    assert schedule is not None
    (due,) = schedule
    assert due.key == b"report:1"
    assert due.period == pytest.approx(period, rel=0.02)
    assert due.at == pytest.approx(START + 9 * period, abs=0.05 * period)
    assert due.spread < 0.05 * period + 0.1
    assert due.confidence > 0.9


def test_four_gaps_are_needed() -> None:
    assert visited(Periods(), [0, 60, 120, 180]) is None
    assert visited(Periods(), [0, 60, 120, 180, 240]) is not None


def test_one_visit_left_out_or_one_more_does_not_matter() -> None:
    for times in ([0, 60, 120, 180, 300, 360, 420], [0, 60, 120, 180, 200, 240, 300, 360]):
        schedule = visited(Periods(), [float(at) for at in times])
        assert schedule is not None, times
        assert schedule[0].period == pytest.approx(60, abs=1)


@given(st.integers(0, 1 << 30))
def test_what_comes_at_random_has_no_period(seed: int) -> None:
    rng = random.Random(seed)
    periods = Periods()
    now, times = 0.0, []
    for _ in range(60):
        now += rng.expovariate(1 / 60) + 1.1
        times.append(now)
    found = sum(visited(periods, [at]) not in (None, []) for at in times)
    assert found <= 12  # eight gaps may agree by chance


def test_reads_all_the_time_are_no_period_and_a_burst_is_one_visit() -> None:
    assert visited(Periods(), [at / 10 for at in range(3000)]) is None
    bursts = [at * 60 + part / 4 for at in range(8) for part in range(8)]
    schedule = visited(Periods(), bursts)
    assert schedule is not None
    assert schedule[0].period == pytest.approx(60, abs=0.1)
    assert schedule[0].at == pytest.approx(START + 480, abs=0.1)


def test_a_key_that_is_not_asked_for_any_more_leaves() -> None:
    periods = Periods()
    assert visited(periods, [60.0 * at for at in range(6)])
    assert periods.schedule(START + 60 * 6 + 1) is None  # not yet
    assert periods.schedule(START + 60 * 10) == []
    assert visited(periods, [1000 + 60.0 * at for at in range(9)])


def test_what_nothing_is_learned_from_has_no_period() -> None:
    periods = Periods()
    for at in range(9):
        periods.feed(
            [~5, None, b"bot:1", 7, b"poll:1", [b"trial:1", 3, 0.5, True]], START + 60 * at
        )
    schedule = periods.schedule(START + 500)
    assert schedule is not None
    assert [due.key for due in schedule] == [b"poll:1"]


def test_schedules_are_rare_unless_keys_change() -> None:
    periods = Periods()
    for at in range(600):
        periods.feed([b"a", b"b"] if at % 5 == 0 else [b"noise:%d" % at], START + at)
        if at == 20:
            assert periods.schedule(START + at) is not None
        elif 20 < at < 30:
            assert periods.schedule(START + at) is None
    assert periods.schedule(START + 600) is not None


def test_memory_is_bounded() -> None:
    periods = Periods()
    polled = [b"poll:%d:" % at + b"x" * (at % 97) for at in range(3 * MOST)]
    for at in range(8):
        periods.feed([*polled], START + 60 * at)
        for scanned in range(3):
            noise = [b"noise:%d:%d:%d" % (at, scanned, one) for one in range(3000)]
            periods.feed(noise, START + 60 * at + 2 * scanned)
    schedule = periods.schedule(START + 500)
    assert schedule is not None
    assert 0 < len(schedule) <= MOST
    assert sum(len(due.key) for due in schedule) <= MOST_BYTES
    assert len(periods._watched) <= 20 * MOST


def test_rules_are_named_as_people_say() -> None:
    named = [Due(b"", 0.0, period, 0.0, 1.0).rule for period in (2.5, 59.8, 300.2, 3599.0, 86400)]
    assert named == ["period 2.5s", "period 60s", "period 5m", "period 60m", "period 24h"]
