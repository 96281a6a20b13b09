"""The server's side of the trainer: a real process, which may be killed at any time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from antecache.predictor.heartbeat import Patience
from antecache.predictor.messages import Alive, Hello
from antecache.predictor.misslog import MissLog
from antecache.predictor.plan import Plan
from antecache.predictor.trainer import Trainer, TrainerError


class Server:
    """What a server gives to its trainer, and what it gets."""

    def __init__(self, patience: float = 0.0) -> None:
        self.items: list[Any] = []
        self.plans: list[Plan] = []
        self.predictor = MissLog(100_000)
        self.trainer = Trainer(
            drain=self.drain,
            discard=self.discard,
            publish=self.plans.append,
            adopt_history=self.adopt_history,
            settings=Hello(budget=100_000, capacity=200, horizon=16),
            interval=0.01,
            patience=patience,
        )

    async def adopt_history(self, state: bytes) -> None:
        self.predictor.load(state)

    def drain(self) -> bytes | None:
        if not self.items:
            return None
        items, self.items = self.items, []
        return msgspec.msgpack.encode({"kind": "log", "time": 0, "items": items})

    def discard(self) -> int:
        count = len(self.items)
        self.items.clear()
        return count

    def access(self, count: int) -> None:
        for at in range(count // 2):
            self.items += [None, b"m%d" % at, [b"n%d" % at, 3, 0.5, True], b"n%d" % at]
        self.trainer.poke()

    async def until(self, state: str) -> None:
        while self.trainer.state != state:
            await self.trainer.changed()

    async def plan(self, version: int) -> Plan:
        while not self.plans or self.plans[-1].version < version:
            await self.trainer.changed()
        return self.plans[-1]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    await made.trainer.start()
    await asyncio.wait_for(made.until("running"), 20)
    yield made
    await made.trainer.stop()


@pytest.fixture
async def impatient() -> AsyncIterator[Server]:
    """As `server`, but four seconds of silence are too long."""
    made = Server(patience=4.0)
    await made.trainer.start()
    await asyncio.wait_for(made.until("running"), 20)
    yield made
    await made.trainer.stop()


async def test_blocks_go_out_and_plans_come_back(server: Server) -> None:
    server.access(300)
    plan = await asyncio.wait_for(server.plan(1), 20)
    assert plan.trained_on == 300
    assert plan.score(3, 0.5) > 0.9
    assert server.trainer.plan is plan
    server.access(100)
    server.trainer.retrain()
    assert (await asyncio.wait_for(server.plan(2), 20)).trained_on == 400
    status = server.trainer.status()
    assert status["state"] == "running"
    assert status["plan_version"] == 2
    assert status["blocks_sent"] >= 2
    assert status["restarts"] == status["blocks_dropped"] == 0


async def test_a_killed_trainer_is_started_again_and_goes_on(server: Server) -> None:
    server.access(300)
    plan = await asyncio.wait_for(server.plan(1), 20)
    pid = server.trainer.status()["pid"]
    os.kill(pid, signal.SIGKILL)
    await asyncio.wait_for(server.until("restarting"), 20)
    assert server.trainer.plan is plan  # the last good Plan stays
    server.access(50)
    await asyncio.wait_for(server.until("running"), 20)
    assert server.trainer.status()["pid"] not in (None, pid)
    assert server.trainer.status()["restarts"] == 1
    server.access(300)
    after = await asyncio.wait_for(server.plan(2), 20)
    assert after.version == 2
    assert after.trained_on >= 600  # it was told the Plan, and went on counting from it


async def test_a_trainer_that_keeps_dying_is_started_less_often(server: Server) -> None:
    loop = asyncio.get_running_loop()
    pauses = []
    for _ in range(4):
        os.kill(server.trainer.status()["pid"], signal.SIGKILL)
        await asyncio.wait_for(server.until("restarting"), 20)
        died = loop.time()
        await asyncio.wait_for(server.until("running"), 20)
        pauses.append(loop.time() - died)
    assert pauses[3] > 4 * 0.1
    assert server.trainer.restarts == 4


async def test_while_no_trainer_runs_blocks_are_dropped_and_counted(server: Server) -> None:
    server.trainer._settings = Hello(memory_limit=1)  # it cannot live with that
    os.kill(server.trainer.status()["pid"], signal.SIGKILL)
    await asyncio.wait_for(server.until("restarting"), 20)
    while not server.trainer.blocks_dropped:
        server.access(10)
        await asyncio.sleep(0)
    assert not server.items
    with pytest.raises(TrainerError, match="not running"):
        server.trainer.retrain()
        await server.trainer.import_history("any.csv")


async def test_a_trainer_that_does_not_read_costs_no_memory(server: Server) -> None:
    os.kill(server.trainer.status()["pid"], signal.SIGSTOP)
    large = [b"k" * 1000] * 2000
    while not server.trainer.blocks_dropped:
        server.items += large
        server.trainer.poke()
        await asyncio.sleep(0)
    assert server.trainer.blocks_sent * 2e6 < 40e6
    os.kill(server.trainer.status()["pid"], signal.SIGCONT)
    server.access(300)
    await asyncio.wait_for(server.plan(1), 20)


async def test_a_trainer_that_hangs_is_killed_and_another_one_goes_on(
    impatient: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server = impatient
    server.access(300)
    await asyncio.wait_for(server.plan(1), 20)
    pid = server.trainer.status()["pid"]
    os.kill(pid, signal.SIGSTOP)
    await asyncio.wait_for(server.until("restarting"), 40)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    status = server.trainer.status()
    assert (status["hangs"], status["restarts"]) == (1, 1)
    assert "no sign of life" in status["hung"]
    about = [line for line in caplog.messages if "trainer" in line]
    assert about == [status["hung"]]  # said once, with the reason
    await asyncio.wait_for(server.until("running"), 20)
    server.access(300)
    after = await asyncio.wait_for(server.plan(2), 40)
    assert after.trained_on >= 600


async def test_a_model_that_hangs_is_not_tried_again_and_a_plan_not_read_again() -> None:
    """What the last sign names is left out of what the next process is told."""
    server = Server(patience=0.4)
    trainer = server.trainer
    trainer._plan = Plan()
    for job in ("a contest with forest", "a contest with sgd", "reading the Plan", "a fit"):
        trainer._patience = Patience(0.4)
        trainer._patience.heard(Alive(job))
        await asyncio.wait_for(trainer._watch(), 20)
    assert trainer._settings.spared == ("forest", "sgd")
    assert trainer._refused is trainer.plan
    assert trainer.hangs == 4


async def test_a_busy_trainer_is_left_alone(impatient: Server, history: Path) -> None:
    """One that works longer than the patience, in pieces, is no hanging one."""
    pid = impatient.trainer.status()["pid"]
    for _ in range(2):
        counts = await asyncio.wait_for(impatient.trainer.import_history(str(history)), 60)
        assert counts["accesses"] == 20_000
    assert impatient.trainer.status()["pid"] == pid
    assert impatient.trainer.hangs == 0


async def test_a_name_that_cannot_be_sent_is_refused_and_the_next_is_read(
    server: Server, history: Path
) -> None:
    with pytest.raises(TrainerError, match="UTF-8"):
        await server.trainer.import_history("\udcff.csv")
    counts = await asyncio.wait_for(server.trainer.import_history(str(history)), 40)
    assert counts["accesses"] == 20_000


async def test_a_history_is_adopted(server: Server, history: Path) -> None:
    counts = await asyncio.wait_for(server.trainer.import_history(str(history)), 40)
    assert (counts["accesses"], counts["skipped"]) == (20_000, 2)
    assert server.predictor.events > 1000
    server.predictor.check()
    assert server.plans[-1].trained_on == 20_000
    assert server.plans[-1] is server.trainer.plan


async def test_a_failed_import_says_why(server: Server, tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="No such file"):
        await server.trainer.import_history(str(tmp_path / "absent.csv"))
    assert not server.trainer.status()["importing"]


async def test_one_import_at_a_time_and_none_outlives_the_process(
    server: Server, history: Path
) -> None:
    first = asyncio.create_task(server.trainer.import_history(str(history)))
    await asyncio.sleep(0)
    with pytest.raises(TrainerError, match="another"):
        await server.trainer.import_history(str(history))
    os.kill(server.trainer.status()["pid"], signal.SIGKILL)
    with pytest.raises(TrainerError, match="died"):
        await asyncio.wait_for(first, 20)


async def test_a_poisoned_plan_is_refused_and_the_last_one_stays(server: Server) -> None:
    server.access(300)
    plan = await asyncio.wait_for(server.plan(1), 20)
    server.trainer._take_plan(plan.to_bytes()[:-7])
    assert server.trainer.plan is plan
    assert server.plans == [plan]
    assert server.trainer.status()["plans_refused"] == 1


async def test_stopping_leaves_no_process(server: Server) -> None:
    pid = server.trainer.status()["pid"]
    await server.trainer.stop()
    await server.trainer.stop()
    assert server.trainer.state == "stopped"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_process_that_does_not_stop_is_killed() -> None:
    server = Server()
    await server.trainer.start()
    await asyncio.wait_for(server.until("running"), 20)
    pid = server.trainer.status()["pid"]
    os.kill(pid, signal.SIGSTOP)
    await asyncio.wait_for(server.trainer.stop(), 20)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
