"""PREDICTOR MODEL over a real trainer, and what a model's Plan changes in the server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from antecache.predictor.plan import Plan

Connect = Callable[[Any], Awaitable[Any]]


def mapped(reply: list[Any]) -> dict[bytes, Any]:
    return dict(zip(reply[::2], reply[1::2], strict=True))


async def test_challengers_are_judged_in_the_trainer_and_reported(
    serve: Any, connect: Connect, tmp_path: Path
) -> None:
    rng = random.Random(3)
    lines = []
    for at in range(6000):
        number = rng.randrange(900)
        lines += [f"{at},c,a:{number},1", f"{at},c,b:{number},1", f"{at},c,x:{at % 7},1"]
    path = tmp_path / "history.csv"
    path.write_text("\n".join(lines))
    server = await serve(
        prediction=True,
        predictor="blend",
        models="logistic",
        backing="memory://?prefix=a&prefix=b&rows=900",
        maxkeys=100,
    )
    client = await connect(server)
    told = mapped(await client.ask("PREDICTOR", "MODEL"))
    assert told[b"champion"] == b"counting"
    while server.trainer.state != "running":
        await server.trainer.changed()
    await client.ask("PREDICTOR", "IMPORT", path)
    while b"challengers" not in told:
        await asyncio.sleep(0.05)
        told = mapped(await client.ask("PREDICTOR", "MODEL"))
    (report,) = map(mapped, told[b"challengers"])
    assert report[b"model"] == b"logistic"
    assert int(report[b"trials"]) > 1000
    assert float(report[b"champion-saved"]) > 0
    assert 0 <= float(report[b"champion-calibration-error"]) < 1
    assert b"bucket estimate" in mapped(report[b"importances"])
    assert report[b"reason"]
    assert float(mapped(told[b"held-out"])[b"log-loss"]) > 0


async def test_a_group_s_weight_moves_its_candidates(serve: Any, connect: Connect) -> None:
    server = await serve(
        prediction=True,
        predictor="blend",
        models="off",
        backing="memory://?prefix=a&prefix=b&rows=900",
        maxkeys=20,
    )
    client = await connect(server)
    for number in range(40):
        await client.ask("GET", f"a:{number}")
        await client.ask("GET", f"b:{number}")
    source = server.sources.owner(b"a:500")

    def probability() -> float:
        decisions = server.prefetcher.decide(b"a:500", source, probe=False)
        return {d.candidate.key: d.candidate.score for d in decisions}[b"b:500"]

    before = probability()
    plan = server.plan or Plan()
    server.prefetcher.adopt(Plan(version=plan.version + 1, groups={"a>b=": -2.0}))
    lowered = probability()
    server.prefetcher.adopt(Plan(version=plan.version + 2))
    assert lowered < before / 2
    assert probability() > lowered
