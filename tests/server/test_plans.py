"""Plans: looked at before they are adopted, and taken back with what was counted since."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from antecache.predictor.plan import HeldOut, Plan, pack_counters
from antecache.server.plans import KEPT, Plans

Connect = Callable[[Any], Awaitable[Any]]


def plan(version: int, **changes: Any) -> Plan:
    return Plan(version=version, created=float(version), trained_on=100 * version, **changes)


@pytest.fixture
def used() -> list[int]:
    return []


@pytest.fixture
def plans(used: list[int]) -> Plans:
    return Plans(lambda plan: used.append(plan.version), clock=lambda: 1000.0)


def test_newer_plans_are_used_and_the_last_few_kept(plans: Plans, used: list[int]) -> None:
    for version in range(1, 9):
        plans.adopt(plan(version))
    assert used == list(range(1, 9))
    assert [kept.version for kept in plans.earlier] == list(range(8 - KEPT, 8))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (plan(3), "older than plan 5"),
        (Plan(version=6, created=5000.0, trained_on=600), "in the future"),
        (
            plan(6, held_out=HeldOut(trials=500, log_loss=1.9, raw_log_loss=0.8)),
            "log loss on later candidates is 1.900",
        ),
    ],
)
def test_a_plan_that_cannot_be_right_is_refused(
    plans: Plans, used: list[int], wrong: Plan, reason: str
) -> None:
    plans.adopt(plan(5))
    plans.adopt(wrong)
    assert used == [5]
    assert plans.refused == 1
    assert reason in plans.reason


def test_a_new_trainer_may_begin_counting_versions_anew(plans: Plans, used: list[int]) -> None:
    plans.adopt(plan(5))
    plans.adopt(Plan(version=1, created=900.0, trained_on=9000))
    assert used == [5, 1]


def test_going_back(plans: Plans, used: list[int]) -> None:
    assert plans.go_back() is None
    for version in (1, 2, 3):
        plans.adopt(plan(version))
    back = plans.go_back()
    assert back is not None and (back.version, back.trained_on) == (4, 200)
    back = plans.go_back()
    assert back is not None and (back.version, back.trained_on) == (5, 100)
    assert plans.go_back() is None
    assert used == [1, 2, 3, 4, 5]


async def test_rollback_reaches_the_scores_and_the_trainer(serve: Any, connect: Connect) -> None:
    server = await serve(prediction=True, predictor="blend", models="off")
    client = await connect(server)
    while server.trainer.state != "running":
        await server.trainer.changed()
    assert "no earlier plan" in str(await client.ask("PREDICTOR", "ROLLBACK"))
    good = Plan(
        version=1,
        created=1.0,
        hits=pack_counters(np.full(9, 90.0)),
        trials=pack_counters(np.full(9, 100.0)),
    )
    bad = Plan(version=2, created=2.0)
    for one in (good, bad):
        server.trainer.go_on_from(one)
    assert server.plan == bad
    assert await client.ask("PREDICTOR", "ROLLBACK") == 3
    assert server.plan.score(0, 0.5) == good.score(0, 0.5)
    await client.ask("PREDICTOR", "RETRAIN")
    while server.plan.version <= 3:
        await server.trainer.changed()
    assert server.plan.score(0, 0.5) == pytest.approx(good.score(0, 0.5), abs=0.01)
