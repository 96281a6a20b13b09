"""The budget of rows: the threshold follows what is read beyond what would be read anyway."""

from __future__ import annotations

from antecache.predictor.budget import HIGHEST, SPENT, START, RowBudget


def spend(budget: RowBudget, events: int, rows_each: float, own: float = 1.0) -> float:
    """The threshold after `events`, of which a share `own` would have been read in any case."""
    rows = owned = 0.0
    for _ in range(events):
        owned += own
        budget.event(own=owned >= 1)
        owned -= owned >= 1
        rows += rows_each
        while rows >= 1:
            budget.row()
            rows -= 1
    return budget.theta


def test_the_threshold_rises_with_the_rows() -> None:
    at_budget = spend(RowBudget(0.25), 6000, 1.25)
    assert abs(at_budget - START) < 0.02
    assert spend(RowBudget(0.25), 6000, 1.1) < at_budget < spend(RowBudget(0.25), 6000, 1.35)
    assert spend(RowBudget(0.25), 6000, 1.48) == HIGHEST


def test_beyond_twice_the_budget_nothing_passes() -> None:
    assert spend(RowBudget(0.25), 6000, 1.6) == SPENT


def test_reads_that_prediction_caused_do_not_pay_for_further_ones() -> None:
    """Ten events in a hundred would not have been: a tenth fewer rows are in the budget."""
    assert spend(RowBudget(0.25), 6000, 1.25, own=0.8) > spend(RowBudget(0.25), 6000, 1.25) + 0.2


def test_misses_that_are_told_together_count_as_if_told_one_by_one() -> None:
    alone, together = RowBudget(0.25), RowBudget(0.25)
    for budget in (alone, together):
        spend(budget, 3000, 1.3)
    for _ in range(20):
        for number in range(50):
            alone.row()
            alone.event(own=number % 10 > 0)
        together.missed(50, 45)
    assert abs(together.theta - alone.theta) < 0.01
    assert together.theta < HIGHEST
