"""Rows count what follows a context, exactly while there is room."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.predictor.rows import Rows, bytes_for

VALUES = st.lists(st.integers(-4, 3).filter(bool), max_size=4, unique=True)


@given(st.lists(st.tuples(st.integers(0, 2), VALUES), max_size=100))
def test_counts_are_exact_while_there_is_room(steps: list[tuple[int, list[int]]]) -> None:
    rows, seen, counts = Rows(16, 8, 250), Counter[int](), Counter[tuple[int, int]]()
    for context, values in steps:
        rows.followed(rows.occurred(context), values)
        seen[context] += 1
        counts.update((context, value) for value in values)
    for context in range(3):
        row = rows.find(context)
        assert (row >= 0) == (seen[context] > 0)
        if row >= 0:
            assert rows.n(row) == seen[context]
            held = {(context, value): count for value, count in rows.followers(row)}
            assert held == {pair: n for pair, n in counts.items() if pair[0] == context}


def test_counts_are_halved_together() -> None:
    rows = Rows(4, 4, 128)
    for at in range(1000):
        row = rows.occurred(9)
        rows.followed(row, [5, 7 if at % 2 else 9])
        assert rows.n(row) < 128
        assert all(count <= rows.n(row) for _, count in rows.followers(row))
    shares = {value: count / rows.n(rows.find(9)) for value, count in rows.followers(row)}
    assert shares[5] == pytest.approx(1, abs=0.05)
    assert shares[7] == pytest.approx(0.5, abs=0.1)


def test_a_frequent_value_survives_noise_and_a_new_habit_gets_in() -> None:
    rows = Rows(4, 4, 128)
    for at in range(400):
        rows.followed(rows.occurred(1), [11, 100 + at])
    assert dict(rows.followers(rows.find(1)))[11] > 60
    for _ in range(100):
        rows.followed(rows.occurred(1), [12, 13])
    assert {12, 13} <= {value for value, _ in rows.followers(rows.find(1))}


def test_the_least_recent_context_leaves() -> None:
    rows = Rows(4, 4, 128)
    for context in (1, 2, 3, 4, 1, 5):
        rows.occurred(context)
    assert rows.find(1) >= 0
    assert rows.find(5) >= 0
    assert rows.find(2) == -1
    assert rows.followers(rows.find(5)) == []


def test_contexts_that_return_are_not_washed_out_by_those_that_do_not() -> None:
    rows = Rows(4, 4, 128)
    for _ in range(20):
        for context in (1, 2, 3):
            rows.occurred(context)
    for context in range(100, 5000):
        rows.occurred(context)
    assert all(rows.find(context) >= 0 for context in (1, 2, 3))
    for context in range(5000, 300_000):  # but not for ever
        rows.occurred(context)
        if rows.find(1) < 0:
            break
    assert rows.find(1) == -1


def test_memory_is_what_is_promised() -> None:
    assert Rows(1024, 16, 128).nbytes == bytes_for(1024, 16) == 1024 * 90


def test_a_state_reads_back_into_a_table_of_its_size_only() -> None:
    rows = Rows(16, 4, 128)
    for at in range(50):
        rows.followed(rows.occurred(at % 7), [at, -at - 1])
    again = Rows(16, 4, 128)
    assert again.load(rows.dump())
    assert again.dump() == rows.dump()
    assert not Rows(32, 4, 128).load(rows.dump())
    with pytest.raises(ValueError, match="form"):
        again.load(rows.dump()[:-1])
