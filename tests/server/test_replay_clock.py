"""Periods in a replay: fetched before they are due, as a server does it, where times are times."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from antecache.predictor.periods import ENOUGH
from antecache.server.replay import Replay, Result, Setup
from antecache.server.replay_clock import is_clock
from antecache.server.sweep import Size, Task, run
from antecache.server.traces import Trace, read_trace

POLLS, PERIOD, CROWD = 20, 60.0, 200
START = 1.7e9


def polled(period: float = PERIOD, *, crowd: int = CROWD) -> Iterator[tuple[float, bytes]]:
    """One key at regular intervals, and so many others in between that it has left each time."""
    rng = random.Random(3)
    for visit in range(POLLS):
        at = START + visit * period
        yield at + rng.uniform(-0.2, 0.2), b"board:1"
        for other in range(crowd):
            yield at + 1 + (period - 2) * other / crowd, b"x:%d" % rng.randrange(1 << 40)


def replayed(reads: Iterator[tuple[float, bytes]], *, timed: bool = True) -> Result:
    times, keys = zip(*reads, strict=True)
    setup = Setup(policy="lru", predictor="misslog", capacity=100, timed=timed)
    replay = Replay(setup)
    for first in range(0, len(keys), 777):  # blocks of a trace are not the log's
        part = slice(first, first + 777)
        replay.feed(keys[part], times=times[part])
    replay.store.check()
    return replay.finish()


@pytest.mark.parametrize("period", [PERIOD, 3600.0])
def test_what_is_polled_waits_until_it_has_a_period_and_then_no_more(period: float) -> None:
    without, result = replayed(polled(period), timed=False), replayed(polled(period))
    assert without.waits == without.requests
    saved = without.waits - result.waits
    assert POLLS - ENOUGH - 3 <= saved <= POLLS - ENOUGH - 1
    ((rule, issued, used),) = [one for one in result.by_rule if one[0].startswith("period")]
    assert rule == ("period 60s" if period == PERIOD else "period 60m")
    assert saved == used <= issued <= used + 2
    assert result.rows == result.waits + sum(issued for _, issued, _ in result.by_rule)


def test_what_is_due_between_two_requests_far_apart_is_fetched_between_them() -> None:
    """Nobody asks for anything else in the half hour before it is due."""
    reads = []
    for visit in range(POLLS):
        at = START + 3600 * visit
        reads += [(at, b"report:1")]
        reads += [(at + 1 + n / 10, b"x:%d" % (1000 * visit + n)) for n in range(CROWD)]
    without, result = replayed(iter(reads), timed=False), replayed(iter(reads))
    assert without.waits - result.waits >= POLLS - ENOUGH - 3


def test_where_nothing_is_regular_times_change_nothing() -> None:
    rng = random.Random(4)
    at, reads = START, []
    for _ in range(5000):
        at += rng.expovariate(2.0)
        reads.append((at, b"x:%d" % (300 * rng.random() ** 2)))
    plain, timed = replayed(iter(reads), timed=False), replayed(iter(reads))
    assert not any(rule.startswith("period") for rule, _, _ in timed.by_rule)
    assert (plain.waits, plain.rows, plain.statements) == (
        timed.waits,
        timed.rows,
        timed.statements,
    )


def test_times_that_run_back_are_passed_over() -> None:
    reads = list(polled())
    late = [(at - 30 if number % 50 == 7 else at, key) for number, (at, key) in enumerate(reads)]
    assert replayed(iter(late)).waits < replayed(iter(late), timed=False).waits


def test_a_counter_is_no_clock() -> None:
    assert not is_clock(array("d"))
    assert not is_clock([float(at) for at in range(1000)])
    assert not is_clock([0, 0, 1, 1, 1, 2])  # the sessions of kosarak, numbered
    assert not is_clock([0, 0, 0])
    assert is_clock([0.0, 0.004, 0.1, 1.5])
    assert is_clock([0, 3, 3, 9])
    assert is_clock([START, START, START + 1])


@pytest.mark.parametrize("first", [START, 0.0])
def test_a_trace_is_replayed_with_its_own_clock(first: float, tmp_path: Path) -> None:
    """Through a file, as `antecache replay` reads it; one that only counts has no periods."""
    path = tmp_path / "polled.csv"
    reads = [(at if first else float(number), key) for number, (at, key) in enumerate(polled())]
    path.write_text("".join(f"{at:.3f},web,{key.decode()},1\n" for at, key in reads))
    trace: Trace = read_trace(str(path))
    task = Task(str(path), Size(0, 100), policy="lru", predictor="misslog")
    result = run(task, trace).result
    assert any(rule == "period 60s" for rule, _, _ in result.by_rule) == bool(first)
    assert (result.waits < len(trace)) == bool(first)
