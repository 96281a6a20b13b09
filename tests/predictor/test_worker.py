"""The trainer as a real process over pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from antecache.predictor import messages
from antecache.predictor.blend import Blend
from antecache.predictor.messages import (
    Alive,
    Failed,
    Hello,
    History,
    Import,
    Log,
    Publish,
    Stats,
    Stop,
    Train,
)
from antecache.predictor.plan import Plan


class Process:
    """A worker and both ends of its pipes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "antecache.predictor.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def send(self, *sent: messages.ToWorker) -> None:
        for message in sent:
            self.stdin.write(messages.pack(message))
        self.stdin.flush()

    def read(self, signs: bool = False) -> messages.ToServer:
        """The next message; signs of life only where they are asked for."""
        while True:
            header = self.stdout.read(4)
            message = messages.read_by_server(self.stdout.read(messages.length_of(header)))
            if signs or not isinstance(message, Alive):
                return message

    def until_any(self) -> messages.ToServer:
        while isinstance(message := self.read(), Publish | Stats):
            pass
        return message

    def until(self, kind: type[messages.ToServer]) -> messages.ToServer:
        while not isinstance(message := self.read(), kind):
            assert not isinstance(message, Failed), message.reason
        return message


@pytest.fixture
def worker() -> Iterator[Process]:
    started = Process()
    yield started
    started.process.kill()
    started.process.communicate()


def block(accesses: int, first: int = 0) -> Log:
    """Misses whose first candidate is read next, and whose second never is."""
    items: list[object] = [1]
    for at in range(first, first + accesses // 2):
        items += [
            None,
            b"m%d" % at,
            [b"next%d" % at, 3, 0.5, True],
            [b"never%d" % at, 9, 0.5, False],
        ]
        items.append(b"next%d" % at)
    return Log(0, items)


def test_plans_come_after_250_and_500_accesses_and_on_request(worker: Process) -> None:
    worker.send(Hello(horizon=16), block(248))
    worker.send(block(2, 500))
    first = worker.until(Publish)
    assert isinstance(first, Publish)
    plan = Plan.from_bytes(first.plan)
    assert (plan.version, plan.trained_on) == (1, 250)
    assert plan.score(3, 0.5) > 0.95
    assert plan.score(9, 0.5) < 0.05
    stats = worker.until(Stats)
    assert isinstance(stats, Stats)
    assert (stats.accesses, stats.fits, stats.dropped) == (250, 1, 0)
    assert stats.hits == 125
    worker.send(block(250, 1000))
    second = worker.until(Publish)
    assert isinstance(second, Publish)
    assert Plan.from_bytes(second.plan).trained_on == 500
    worker.send(Train())
    third = worker.until(Publish)
    assert isinstance(third, Publish)
    assert Plan.from_bytes(third.plan).version == 3


def test_it_gives_signs_of_life_and_says_before_what_may_take_long(
    worker: Process, history: Path
) -> None:
    worker.send(Hello(horizon=16, alive=0.05))
    for _ in range(3):  # while nothing is to be done
        assert worker.read(signs=True) == Alive("")
    worker.send(Import(str(history)))
    said = []
    while not isinstance(message := worker.read(signs=True), History):
        said.append(message)
    jobs = [message.job for message in said if isinstance(message, Alive)]
    first = jobs.index(f"the import of {history}")
    assert "" in jobs[first:]  # it goes on, a piece at a time
    assert jobs[-1] == "a fit"


def test_a_plan_comes_even_when_it_is_quiet(worker: Process) -> None:
    worker.send(Hello(horizon=4), block(20))
    published = worker.until(Publish)
    assert isinstance(published, Publish)
    assert Plan.from_bytes(published.plan).trained_on == 20


def test_it_goes_on_from_the_plan_of_its_predecessor(worker: Process) -> None:
    worker.send(Hello(horizon=16), block(400))
    published = worker.until(Publish)
    assert isinstance(published, Publish)
    worker.send(Hello(horizon=16, plan=published.plan), Train())
    worker.until(Stats)
    again = worker.until(Publish)
    assert isinstance(again, Publish)
    before, after = Plan.from_bytes(published.plan), Plan.from_bytes(again.plan)
    assert after.version == before.version + 1
    assert after.score(3, 0.5) == pytest.approx(before.score(3, 0.5))


def test_a_history_is_rehearsed(worker: Process, history: Path) -> None:
    budget = 100_000
    worker.send(Hello(predictor="blend", budget=budget, capacity=200), Import(str(history)))
    answer = worker.until(History)
    assert isinstance(answer, History)
    assert (answer.accesses, answer.skipped) == (20_000, 2)
    assert 0 < answer.misses < 20_000
    predictor = Blend(budget)
    predictor.load(answer.state)
    predictor.check()
    plan = Plan.from_bytes(answer.plan)
    predictor.adopt(plan)
    assert plan.trained_on == 20_000
    assert plan.held_out.brier < plan.held_out.raw_brier
    warm = [key for key in planted_users(history) if predictor.candidates(key)]
    assert len(warm) > 100
    certain = 0
    for key in warm:
        best = predictor.candidates(key)[0]
        certain += best.key.startswith((b"cart:", b"item:", b"price:", b"stock:"))
        assert best.score > 0.5
    assert certain > 0.8 * len(warm)


def planted_users(history: Path) -> list[bytes]:
    from antecache.predictor.history import HistoryFile

    blocks = HistoryFile(str(history)).blocks()
    return sorted({key for block in blocks for key in block if key.startswith(b"user:")})


def test_part_of_a_history_and_live_blocks_beside_it(worker: Process, history: Path) -> None:
    worker.send(Hello(horizon=16, capacity=200), Import(str(history), limit=4000, offset=1000))
    for at in range(20):
        worker.send(block(20, at * 100))
    answer = worker.until(History)
    assert isinstance(answer, History)
    assert answer.accesses == 4000
    worker.send(Train())
    while (stats := worker.until(Stats)) and isinstance(stats, Stats) and stats.accesses < 400:
        pass
    assert stats.accesses == 400  # nothing of the live traffic was lost


@pytest.mark.parametrize("content", [None, b"", b"no history\nat all\n"])
def test_a_history_that_is_none_is_refused_with_a_reason(
    worker: Process, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "absent.csv"
    if content is not None:
        path.write_bytes(content)
    worker.send(Hello(), Import(str(path)))
    answer = worker.read()
    assert isinstance(answer, Failed)
    assert str(path) in answer.reason
    worker.send(block(250))
    assert isinstance(worker.read(), Publish)


def test_it_ends_when_told_or_when_the_server_is_gone(worker: Process) -> None:
    worker.send(Stop())
    assert worker.process.wait(10) == 0
    other = Process()
    other.stdin.close()
    assert other.process.wait(10) == 0
    other.stdout.close()


def test_it_runs_at_low_priority_and_answers_no_interrupt(worker: Process) -> None:
    worker.send(Hello(), block(250))
    worker.until(Publish)
    assert os.getpriority(os.PRIO_PROCESS, worker.process.pid) >= 10
    worker.process.send_signal(2)
    worker.send(block(250, 1000))
    worker.until(Publish)


def test_a_pipe_out_of_step_ends_it(worker: Process) -> None:
    worker.stdin.write(b"\0\0\0\3abc")
    worker.stdin.flush()
    assert worker.process.wait(10) != 0
    assert worker.stdout.read() in (b"", messages.pack(Alive()))


def test_its_memory_is_limited(worker: Process, tmp_path: Path) -> None:
    """A limit too small for the cache that a rehearsal models is an answer, not a death."""
    path = tmp_path / "wide.csv"
    with path.open("wb") as file:
        for at in range(400_000):
            file.write(b"%d,0,page:%d:%s,1\n" % (at, at, b"x" * 200))
    worker.send(Hello(capacity=10_000_000, memory_limit=90 << 20), Import(str(path)))
    answer = worker.until_any()
    assert isinstance(answer, Failed)
    assert "memory" in answer.reason
    worker.send(block(250))
    worker.until(Publish)
