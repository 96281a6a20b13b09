"""Many configurations over one or several traces, on all cores.

Each worker process holds one trace at a time and is given the configurations of
that trace one by one, so a trace is read once a worker. Results come back in the
order of the tasks, and do not depend on the number of workers.

A policy named `belady` is not one: it stands for the optimum that knows the
future (`belady.py`), which has no predictor.

What this file does not do: print or draw (`report.py`, `plot.py`), or understand
the command line (`replay_command.py`).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import NamedTuple

from antecache.predictor.model_file import ModelError
from antecache.server.belady import optimum
from antecache.server.replay import Replay, Result, Setup
from antecache.server.replay_clock import UNIX_TIME, is_clock
from antecache.server.replay_setup import COUNTING, Advice
from antecache.server.traces import Trace, TraceError, blocks_of, read_trace
from antecache.server.units import parse_memory

BELADY = "belady"
DEFAULT_VALUE = 1000  # bytes of a value in the unit `total` where nothing says how large it is

Tick = Callable[[float], None]  # so much of a task was done since the last call
Note = Callable[[str], None]  # something about a trace that its reader should know


class SweepError(Exception):
    """The comparison cannot be finished; `str()` says why."""


class Size(NamedTuple):
    """A cache's size: a share of all keys or bytes of the trace, or an amount of them."""

    share: float
    amount: int

    def of(self, whole: int) -> int:
        """Keys or bytes, at least 1, where a trace has `whole` of them."""
        return max(1, self.amount or round(self.share * whole))


def parse_size(text: str, unit: str) -> Size:
    """`5%` or `0.05`, `1000` (keys or bytes) or `10mb`; raises ValueError with the reason."""
    word = text.strip()
    if "." in word or word.endswith("%"):
        try:
            share = float(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            raise ValueError(f"'{text}' is not a share between 0% and 100%")
        return Size(share, 0)
    if unit == "keys" and not (word.isascii() and word.isdigit()):
        raise ValueError(f"'{text}' is neither a share such as 5% nor a number of keys")
    amount = parse_memory(word)
    if not amount:
        raise ValueError("a cache of 0 holds nothing")
    return Size(0.0, amount)


@dataclass(frozen=True, slots=True)
class Task:
    """A trace and one configuration. `value_size` 0 means as the trace says, else 1,000 bytes."""

    path: str
    size: Size
    unit: str = "keys"
    policy: str = "auto"
    predictor: str = "none"
    value_size: int = 0
    memory_share: float = 0.50
    row_budget: float = 0.25
    arrival: int = 0
    plan_lag: int = 0
    seed: int = 0
    limit: int = 0  # replay only so many requests of the trace
    advice: Advice = COUNTING

    @property
    def needs(self) -> tuple[str, int]:
        """Which trace, and how much of it."""
        return self.path, self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a task and what came of it."""

    trace: str
    cache_frac: float
    result: Result

    @property
    def waits_per_request(self) -> float:
        """The miss ratio that a client sees."""
        return self.result.waits / max(self.result.requests, 1)


def run(
    task: Task,
    trace: Trace,
    tick: Tick = lambda _: None,
    look: Callable[[Replay], None] = lambda _: None,
) -> Row:
    """Replay `trace` as `task` says; `look` is shown what is left, after its time was taken."""
    value_size = task.value_size
    if task.unit == "total" and not trace.sizes:
        value_size = value_size or DEFAULT_VALUE
    whole = trace.amount(task.unit, value_size)
    capacity = task.size.of(whole)
    timed = task.predictor != "none" and is_clock(trace.times)
    setup = Setup(
        policy=task.policy,
        predictor=task.predictor,
        capacity=capacity,
        unit=task.unit,
        value_size=value_size or DEFAULT_VALUE,
        memory_share=task.memory_share,
        row_budget=task.row_budget,
        arrival=task.arrival,
        plan_lag=task.plan_lag,
        seed=task.seed,
        advice=task.advice,
        timed=timed,
    )
    replay = None
    started = time.process_time()
    if task.policy == BELADY:
        result = _belady(setup, trace, value_size)
        tick(1.0)
    else:
        try:
            replay = Replay(setup, _known(trace, task.unit, value_size, task.predictor))
        except ModelError as error:
            raise SweepError(f"model: {error}") from None
        first = 0
        for keys, costs, clients in blocks_of(trace, task.unit, value_size):
            last = first + len(keys)
            times = trace.times[first:last] if timed or task.advice.asks_time else None
            replay.feed(keys, costs, clients, times)
            first = last
            tick(len(keys) / len(trace))
        result = replay.finish()
    result.seconds = time.process_time() - started
    if replay is not None:
        look(replay)
    return Row(trace.name, task.size.share or capacity / whole, result)


def _belady(setup: Setup, trace: Trace, value_size: int) -> Result:
    costs = trace.costs(setup.unit, value_size)
    misses, cost = optimum(trace.ids, costs, setup.capacity, seed=setup.seed)
    return Result(
        setup,
        requests=len(trace),
        waits=misses,
        misses=misses,
        statements=misses,
        rows=misses,
        bytes_missed=cost,
    )


def _known(trace: Trace, unit: str, value_size: int, predictor: str) -> dict[bytes, int]:
    """What each key costs when it is first asked for: a database would say so before."""
    if predictor == "none" or unit == "keys":
        return {}
    costs = trace.costs(unit, value_size)
    first = dict(zip(reversed(trace.ids), reversed(costs), strict=True))
    return {trace.keys[number]: cost for number, cost in first.items()}


def _notes(trace: Trace, task: Task) -> list[str]:
    notes = []
    if trace.broken:
        lines = "1 line" if trace.broken == 1 else f"{trace.broken:,} lines"
        notes.append(f"{trace.name}: {lines} skipped; {trace.complaint}")
    if task.unit != "keys" and not trace.sizes and not task.value_size:
        taken = "1 byte" if task.unit == "bytes" else f"{DEFAULT_VALUE:,} bytes"
        notes.append(f"{trace.name}: knows no sizes, every value is taken as {taken}")
    if task.advice.asks_time and max(trace.times[:1], default=0.0) < UNIX_TIME:
        notes.append(f"{trace.name}: tells no date; rules of some hours take its times as of 1970")
    return notes


# -- processes --------------------------------------------------------------


def compare(
    tasks: Sequence[Task],
    *,
    jobs: int = 1,
    tick: Tick = lambda _: None,
    note: Note = lambda _: None,
) -> list[Row]:
    """Run all tasks, `jobs` at a time; a row for each, in their order. Raises SweepError."""
    order = sorted(range(len(tasks)), key=lambda at: tasks[at].needs)
    if min(jobs, len(tasks)) <= 1:
        rows: dict[int, Row] = {}
        trace: Trace | None = None
        needs: tuple[str, int] | None = None
        for at in order:
            if trace is None or tasks[at].needs != needs:
                needs = tasks[at].needs
                trace = _open(tasks[at], note)
            rows[at] = run(tasks[at], trace, tick)
    else:
        rows = _share_out(tasks, order, min(jobs, len(tasks)), tick, note)
    return [rows[at] for at in range(len(tasks))]


def _open(task: Task, note: Note) -> Trace:
    try:
        trace = read_trace(task.path, limit=task.limit)
    except TraceError as error:
        raise SweepError(str(error)) from None
    for text in _notes(trace, task):
        note(text)
    return trace


def _share_out(
    tasks: Sequence[Task], order: list[int], jobs: int, tick: Tick, note: Note
) -> dict[int, Row]:
    """Hand tasks to worker processes, to each first those of the trace that it holds."""
    context = get_context("spawn")  # a fork would copy the progress bar's thread's locks
    workers: dict[Connection, tuple[SpawnProcess, int, tuple[str, int] | None]] = {}
    rows: dict[int, Row] = {}
    said: set[str] = set()
    waiting = list(order)

    def give(connection: Connection, process: SpawnProcess, holds: tuple[str, int] | None) -> None:
        if not waiting:
            connection.send(None)
            workers.pop(connection, None)
            return
        held = [at for at in waiting if tasks[at].needs == holds]
        busy = [tasks[at].needs for _, at, _ in workers.values()]
        fresh = [at for at in waiting if tasks[at].needs not in busy]
        at = (held or fresh or waiting)[0]
        waiting.remove(at)
        workers[connection] = (process, at, tasks[at].needs)
        connection.send(tasks[at])

    processes: list[SpawnProcess] = []
    try:
        for _ in range(jobs):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            give(ours, process, None)
        while workers:
            for ready in wait(list(workers)):
                assert isinstance(ready, Connection)
                process, at, holds = workers[ready]
                try:
                    answer = ready.recv()
                except (EOFError, ConnectionResetError):  # the latter half-way through a message
                    process.join()
                    raise SweepError(_obituary(process.exitcode)) from None
                if isinstance(answer, float):
                    tick(answer)
                elif isinstance(answer, SweepError):
                    raise answer
                elif isinstance(answer, Row):
                    rows[at] = answer
                    give(ready, process, holds)
                elif answer not in said:
                    said.add(answer)
                    note(answer)
        return rows
    finally:
        for process in processes:
            if len(rows) < len(tasks):
                process.terminate()
            process.join()


def _obituary(code: int | None) -> str:
    reason = "out of memory?" if code == -9 else f"exit code {code}"
    return f"a worker process ended before its work was done ({reason})"


def _work(connection: Connection) -> None:
    """A worker process: tasks in; ticks, notes and rows, or an error, out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started it
    trace: Trace | None = None
    needs: tuple[str, int] | None = None
    try:
        while (task := connection.recv()) is not None:
            if trace is None or task.needs != needs:
                trace = None  # only one at a time
                needs, trace = task.needs, _open(task, connection.send)
            connection.send(run(task, trace, connection.send))
    except SweepError as error:
        connection.send(error)
    except (EOFError, BrokenPipeError):
        return  # whoever asked has gone
