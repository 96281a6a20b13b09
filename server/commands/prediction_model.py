"""PREDICTOR MODEL and ROLLBACK: who ranks candidates, who competed, and the way back.

The figures come from the trainer, which fits and judges; nothing is computed here.

What this file does not do: look at a new Plan before it is adopted (`plans.py`).
"""

from __future__ import annotations

import time
from typing import Any

from antecache.server.command import Argv, command
from antecache.server.commands.prediction import rounded
from antecache.server.errors import ClientError


@command(
    "predictor|model",
    2,
    flags="loading stale",
    since="0.1.0",
    summary="Shows who ranks candidates, calibration, and champion against challengers.",
)
def model(client: Any, argv: Argv) -> dict[str, Any]:
    """A map: the Plan in use, its figures on later data, and the last contest of models."""
    server = client.server
    plan, contest = server.plan, server.trainer.contest
    answer: dict[str, Any] = {
        "champion": (plan.model if plan and plan.model else "counting").encode(),
        "models-allowed": server.config.models.encode(),
        "plan-version": plan.version if plan else 0,
        "plan-bytes": len(plan.to_bytes()) if plan else 0,
        "buckets": plan.buckets if plan else 0,
        "groups": len(plan.groups) if plan else 0,
    }
    if plan is not None:
        held = plan.held_out
        answer["held-out"] = {
            "trials": held.trials,
            "calibration-error": rounded(held.calibration_error),
            "log-loss": rounded(held.log_loss),
            "log-loss-uncalibrated": rounded(held.raw_log_loss),
            "brier": rounded(held.brier),
            "brier-uncalibrated": rounded(held.raw_brier),
        }
    if contest is not None:
        answer["contest-age-seconds"] = round(time.time() - contest.at)
        answer["challengers"] = [_challenger(report) for report in contest.reports]
    return answer


@command(
    "predictor|rollback",
    2,
    flags="admin loading stale",
    since="0.1.0",
    summary="Goes back to the previous Plan, and learns on from it.",
)
def rollback(client: Any, argv: Argv) -> int:
    """The number that the previous Plan has now: it is the newest."""
    server = client.server
    plan = server.plans.go_back()
    if plan is None:
        raise ClientError("ERR there is no earlier plan")
    server.trainer.go_on_from(plan, publish=False)
    return int(plan.version)


def _challenger(report: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in report.items():
        if name == "importances":
            value = {feature: f"{loss:.5f}" for feature, loss in value.items()}
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, float):
            value = f"{value:.4f}"
        elif isinstance(value, str):
            value = value.encode()
        shown[name.replace("_", "-")] = value
    return shown
