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
