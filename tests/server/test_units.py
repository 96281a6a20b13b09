"""Sizes and durations: they mean what Redis says, and survive a round trip."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.units import format_duration, format_memory, parse_duration, parse_memory

# memtoull() of Redis, util.c: with b a power of two, without b a power of ten.
FACTORS = {
    "": 1,
    "b": 1,
    "k": 10**3,
    "kb": 2**10,
    "m": 10**6,
    "mb": 2**20,
    "g": 10**9,
    "gb": 2**30,
}


@given(st.integers(0, 2**32), st.sampled_from(sorted(FACTORS)), st.booleans(), st.booleans())
def test_a_size_is_its_number_times_its_unit(
    number: int, unit: str, shout: bool, space: bool
) -> None:
    written = f"{number}{' ' * space}{unit.upper() if shout else unit}"
    assert parse_memory(written) == number * FACTORS[unit]


@given(st.integers(0, 2**63 - 1))
def test_a_size_survives_being_written_and_read(size: int) -> None:
    assert parse_memory(format_memory(size)) == size
    assert len(format_memory(size)) <= len(str(size))


@pytest.mark.parametrize(
    "text", ["", "mb", "-1", "1.5mb", "1tb", "1 m b", "1e3", "0x10", "99999999999gb", "\u0661mb"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not"):
        parse_memory(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2.5", 2.5),
        ("0", 0.0),
        ("1e3", 1000.0),
        ("500ms", 0.5),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("2d", 172800.0),
        ("1w", 604800.0),
        ("1.5H", 5400.0),
        (" 3s ", 3.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@given(st.floats(0, 1e12, allow_nan=False))
def test_a_duration_survives_being_written_and_read(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds
    assert parse_duration(str(seconds)) == seconds
    assert parse_duration(seconds) == seconds


@given(st.lists(st.integers(0, 500), min_size=5, max_size=5))
def test_parts_of_a_duration_add_up(parts: list[int]) -> None:
    weeks, days, hours, minutes, seconds = parts
    text = f"{weeks}w{days}d{hours}h{minutes}m{seconds}s"
    whole = (((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds
    assert parse_duration(text) == whole


@pytest.mark.parametrize(
    "text", ["", "m", "-1", "-5m", "5 minutes", "5x", "1m5", "nan", "inf", "1,5s", "5mm"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not"):
        parse_duration(text)


@pytest.mark.parametrize("seconds", [-1, -0.001, math.nan, math.inf])
def test_a_number_that_is_no_duration_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"is not"):
        parse_duration(seconds)
