"""The filter: what was met is known, what was not is rarely taken for known."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.predictor.seen import Seen


@given(st.sets(st.integers(0, 1 << 50), max_size=300))
def test_what_was_met_is_known(numbers: set[int]) -> None:
    seen = Seen(1 << 20)
    for number in numbers:
        seen.add(number)
    assert all(number in seen for number in numbers)
    again = Seen(1 << 20)
    again.load(seen.dump())
    assert all(number in again for number in numbers)
    assert again.dump() == seen.dump()


@pytest.mark.parametrize("step", [1, 512, 4096, 7919])
def test_few_unknown_numbers_are_taken_for_known(step: int) -> None:
    seen = Seen(40_000)
    for at in range(40_000):
        seen.add(at * step)
    wrong = sum((1 << 40) + at * step in seen for at in range(4000))
    assert wrong < 0.05 * 4000


@pytest.mark.parametrize("budget", [0, 511, 9000, 50_000])
def test_the_budget_is_kept_and_the_newest_stay(budget: int) -> None:
    seen, rng = Seen(budget), random.Random(1)
    numbers = [rng.getrandbits(48) for _ in range(200_000)]
    for number in numbers:
        seen.add(number)
    assert seen.nbytes <= budget
    if budget >= 9000:
        newest = budget // 20
        assert sum(number in seen for number in numbers[-newest:]) > 0.9 * newest
        assert sum(number in seen for number in numbers[:10_000]) < 0.05 * 10_000


def test_a_broken_state_is_refused() -> None:
    for parts in ([], [b"short"], [b"\0" * 8, b"\0" * 8, b"odd"]):
        with pytest.raises(ValueError, match=r"filter|bytes"):
            Seen(1 << 20).load(parts)
    assert not Seen(1 << 20).load(Seen(1 << 19).dump())
