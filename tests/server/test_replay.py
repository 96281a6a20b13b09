"""Replays against independent counts: LRU in ten lines, an exhaustive optimum, others' numbers.

What this file does not do: measure how well policies and predictors do on whole
traces (`tests/bench`).
"""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.policies import registry
from antecache.server.belady import next_uses, optimum
from antecache.server.ledger import BOOK_BYTES
from antecache.server.replay import Replay, Result, Setup
from antecache.server.traces import Trace, blocks_of, read_trace


def lru(keys: Sequence[bytes], costs: Sequence[int], capacity: int) -> int:
    """Misses of a least-recently-used cache; what is larger than all of it is not stored."""
    held: OrderedDict[bytes, int] = OrderedDict()
    misses = 0
    for key, cost in zip(keys, costs, strict=True):
        if key in held:
            held.move_to_end(key)
            continue
        misses += 1
        if cost <= capacity:
            held[key] = cost
            while sum(held.values()) > capacity:
                held.popitem(last=False)
    return misses


def run(setup: Setup, keys: Sequence[bytes], costs: Sequence[int] | None = None) -> Result:
    replay = Replay(setup)
    replay.feed(keys, costs)
    replay.store.check()
    return replay.finish()


def counts(result: Result) -> dict[str, Any]:
    return {name: value for name, value in asdict(result).items() if name != "seconds"}


names = st.integers(0, 12).map(lambda number: b"t%d:%d" % (number % 3, number))


@given(keys=st.lists(names, max_size=80), capacity=st.integers(1, 9))
def test_lru_is_counted_exactly(keys: list[bytes], capacity: int) -> None:
    result = run(Setup(policy="lru", capacity=capacity), keys)
    assert result.requests == len(keys)
    assert result.waits == lru(keys, [1] * len(keys), capacity)
    assert result.waits == result.misses == result.statements == result.rows
    assert (result.prefetches, result.precision, result.metadata_bytes) == (0, 0.0, 0)


@given(
    accesses=st.lists(st.tuples(names, st.integers(1, 40)), max_size=80),
    capacity=st.integers(1, 60),
)
def test_lru_in_bytes_is_counted_exactly(accesses: list[tuple[bytes, int]], capacity: int) -> None:
    keys, costs = [key for key, _ in accesses], [cost for _, cost in accesses]
    result = run(Setup(policy="lru", unit="bytes", capacity=capacity), keys, costs)
    assert result.waits == lru(keys, costs, capacity)


def test_what_is_larger_than_the_cache_evicts_nothing() -> None:
    setup = Setup(policy="lru", unit="bytes", capacity=10)
    keys = [b"a", b"b", b"huge", b"a", b"b", b"huge"]
    result = run(setup, keys, [5, 5, 11, 5, 5, 11])
    assert result.waits == 4
    assert result.bytes_missed == 5 + 5 + 11 + 11


def baselines(folder: Path, policy: str, unit: str = "objects") -> dict[tuple[str, int], float]:
    """Miss ratios that libcachesim counted, by trace and capacity."""
    with (folder / "baselines.csv").open(newline="") as file:
        return {
            (row["trace"], int(row["cache_size"])): float(row["miss_ratio"])
            for row in csv.DictReader(file)
            if row["policy"] == policy and row["unit"] == unit
        }


@cache
def trace_of(folder: Path, name: str) -> Trace:
    return read_trace(str(folder / f"{name}.csv.gz"))


def ratio_of(trace: Trace, setup: Setup) -> float:
    replay = Replay(setup)
    for keys, costs, clients in blocks_of(trace, setup.unit):
        replay.feed(keys, costs, clients)
    return replay.finish().waits / len(trace)


@pytest.mark.parametrize("name", ["lirs_multi2", "lirs_ps", "nasa_jul"])
def test_lru_and_s3fifo_agree_with_libcachesim(shared_traces: Path, name: str) -> None:
    trace = trace_of(shared_traces, name)
    exact, near = baselines(shared_traces, "LRU"), baselines(shared_traces, "S3FIFO")
    sizes = [capacity for traced, capacity in exact if traced == name]
    assert len(sizes) == 4
    for capacity in sizes:
        counted = ratio_of(trace, Setup(policy="lru", capacity=capacity))
        assert counted == pytest.approx(exact[name, capacity], abs=1e-6), capacity
        if capacity >= 50:  # below, the rounding of queues decides
            counted = ratio_of(trace, Setup(policy="s3fifo", capacity=capacity))
            assert counted == pytest.approx(near[name, capacity], abs=0.01), capacity


# -- the optimum ------------------------------------------------------------


def exhaustive(ids: tuple[int, ...], capacity: int) -> int:
    """The fewest misses of any cache that loads on demand and may refuse a newcomer."""

    @cache
    def fewest(at: int, held: frozenset[int]) -> int:
        if at == len(ids):
            return 0
        if ids[at] in held:
            return fewest(at + 1, held)
        kept = held | {ids[at]}
        choices = [kept] if len(kept) <= capacity else [kept - {victim} for victim in kept]
        return 1 + min(fewest(at + 1, choice) for choice in choices)

    return fewest(0, frozenset())


@settings(deadline=None)
@given(ids=st.lists(st.integers(0, 4), min_size=1, max_size=12), capacity=st.integers(0, 4))
def test_belady_is_the_optimum(ids: list[int], capacity: int) -> None:
    costs = [1] * len(ids)
    assert optimum(ids, costs, capacity).misses == exhaustive(tuple(ids), capacity)


@given(ids=st.lists(st.integers(0, 5), max_size=30))
def test_next_uses(ids: list[int]) -> None:
    for at, upcoming in enumerate(next_uses(ids).tolist()):
        later = [where for where in range(at + 1, len(ids)) if ids[where] == ids[at]]
        assert upcoming == (later[0] if later else len(ids) + at)


@given(
    accesses=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 9)), min_size=1, max_size=60),
    capacity=st.integers(1, 30),
)
def test_belady_of_sizes_misses_no_less_than_it_must(
    accesses: list[tuple[int, int]], capacity: int
) -> None:
    ids, costs = [key for key, _ in accesses], [cost for _, cost in accesses]
    found = optimum(ids, costs, capacity)
    assert len(set(ids)) <= found.misses <= len(ids)
    assert optimum(ids, costs, sum(costs)).misses == len(set(ids))
    assert optimum(ids, costs, capacity, seed=0) == found


def test_belady_agrees_with_libcachesim(shared_traces: Path) -> None:
    trace = trace_of(shared_traces, "nasa_jul")
    for (traced, capacity), ratio in baselines(shared_traces, "Belady").items():
        if traced == trace.name and capacity >= 50:  # theirs cannot refuse a newcomer
            found = optimum(trace.ids, trace.costs("keys"), capacity).misses / len(trace)
            assert ratio - 0.01 < found <= ratio + 1e-6
    for (traced, capacity), ratio in baselines(shared_traces, "BeladySize", "bytes").items():
        if traced == trace.name:
            found = optimum(trace.ids, trace.costs("bytes"), capacity).misses / len(trace)
            assert found <= ratio + 0.001


# -- prediction -------------------------------------------------------------


@cache
def planted(requests: int = 12_000, tables: int = 2) -> tuple[bytes, ...]:
    """Runs of six keys that always follow each other, among keys at random."""
    draw = random.Random(0)
    runs = [
        [b"t%d:%d" % (at % tables, 10 * number + at) for at in range(6)] for number in range(200)
    ]
    made: list[bytes] = []
    while len(made) < requests:
        made += draw.choice(runs)
        made += [b"t0:%d" % draw.randrange(10_000, 11_000) for _ in range(2)]
    return tuple(made[:requests])


@cache
def outcome(setup: Setup, tables: int = 2) -> Result:
    """What comes of the planted trace."""
    return run(setup, planted(tables=tables))


def test_what_always_follows_is_not_waited_for() -> None:
    plain = outcome(Setup(capacity=150))
    for predictor in ("misslog", "blend"):
        result = outcome(Setup(capacity=150, predictor=predictor))
        assert result.waits < 0.7 * plain.waits
        assert result.statements < 0.9 * plain.statements
        assert result.rows < 1.35 * plain.rows
        assert result.precision > 0.6
        assert result.prefetches == result.rows - (result.waits - result.late)
        assert result.useful + result.late + result.wasted <= result.prefetches
        assert result.plans > 0


def test_nothing_to_predict_costs_next_to_nothing() -> None:
    draw = random.Random(3)
    keys = [b"k:%d" % int(draw.paretovariate(0.6)) for _ in range(10_000)]
    plain = run(Setup(capacity=300), keys)
    result = run(Setup(capacity=300, predictor="blend"), keys)
    assert result.waits < 1.02 * plain.waits
    assert result.rows < 1.3 * plain.rows


def test_a_replay_is_the_same_every_time_and_in_pieces() -> None:
    keys = planted(requests=2500)
    for policy in ("auto", "lecar"):
        setup = Setup(policy=policy, capacity=200, predictor="blend", seed=7)
        whole = counts(run(setup, keys))
        assert counts(run(setup, keys)) == whole
        pieces = Replay(setup)
        for start in range(0, len(keys), 777):
            pieces.feed(keys[start : start + 777])
        assert counts(pieces.finish()) == whole


def test_the_hash_seed_of_a_process_changes_nothing() -> None:
    code = (
        "import random; from antecache.server.replay import *; draw = random.Random(1)\n"
        "keys = [b'%d:%d' % (n % 3, n + k) for n in (draw.randrange(900) for _ in range(1500))"
        " for k in range(4)]\n"
        "replay = Replay(Setup(policy='auto', capacity=90, predictor='blend')); replay.feed(keys)\n"
        "print(replay.finish())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_what_does_not_ride_along_may_come_too_late() -> None:
    setup = Setup(capacity=150, predictor="misslog")
    waiting = Setup(capacity=150, predictor="misslog", arrival=3)
    at_once, later = outcome(setup), outcome(waiting)
    assert at_once.late == 0
    assert later.late > 100
    assert later.waits > at_once.waits
    # a late key was asked of the database once
    assert later.rows == later.waits - later.late + later.prefetches
    # in one table everything rides along
    assert outcome(waiting, tables=1).waits == outcome(setup, tables=1).waits


def test_tables_beside_each_other_take_a_statement_each() -> None:
    result = outcome(Setup(capacity=150, predictor="misslog"))
    together = outcome(Setup(capacity=150, predictor="misslog"), tables=1)
    assert result.waits < result.statements < result.rows
    assert together.statements == together.waits


def test_plans_that_lag_are_plans_not_had() -> None:
    assert outcome(Setup(capacity=150, predictor="misslog")).plans > 0
    assert outcome(Setup(capacity=150, predictor="misslog", plan_lag=100_000)).plans == 0


# -- one budget for everything ----------------------------------------------


@pytest.mark.parametrize(
    ("policy", "predictor"),
    [("s3fifo", "blend"), ("lru", "misslog"), ("arc", "none"), ("auto", "none"), ("auto", "blend")],
)
def test_a_total_is_never_exceeded(policy: str, predictor: str) -> None:
    keys = planted(requests=3000)
    whole = sum(len(key) + 1100 for key in set(keys))
    setup = Setup(policy=policy, predictor=predictor, unit="total", capacity=whole // 8)
    replay = Replay(setup)
    largest = log = 0
    for key in keys:
        replay.feed([key])
        taken = replay.store.used + replay.metadata_bytes
        assert taken <= setup.capacity
        largest, log = max(largest, taken), max(log, replay.metadata_bytes)
    assert largest > 0.9 * setup.capacity  # and it is used
    assert log > 0 or policy == "lru"
    assert replay.ledger.nbytes <= 0.05 * setup.memory_share * setup.capacity + 2 * BOOK_BYTES
    replay.store.check()
    result = replay.finish()
    assert result.metadata_bytes == replay.metadata_bytes


def test_values_have_the_memory_that_the_log_does_not_take_yet() -> None:
    keys = [b"k:%d" % (number % 40) for number in range(400)]
    capacity = 40 * 1105 + 30_000  # all keys, and what a young log occupies
    fits = Setup(
        policy="lru", predictor="misslog", unit="total", capacity=capacity, memory_share=0.6
    )
    assert run(fits, keys).waits == 40


def test_memory_for_prediction_is_taken_from_values() -> None:
    capacity = 100_000
    one, other = (
        outcome(
            Setup(
                policy="lru",
                unit="total",
                capacity=capacity,
                predictor="misslog",
                memory_share=share,
            )
        )
        for share in (0.1, 0.6)
    )
    assert one.metadata_bytes < 0.17 * capacity
    assert 3 * one.metadata_bytes < other.metadata_bytes < 0.67 * capacity


def test_every_policy_that_evicts_can_be_replayed() -> None:
    keys = planted(requests=1500)
    least = optimum([keys.index(key) for key in keys], [1] * len(keys), 100).misses
    for name in registry.names():
        if registry.find(name).evicts:
            result = run(Setup(policy=name, capacity=100), keys)
            assert least <= result.waits < len(keys), name


def test_lru_is_replayed_fast_enough() -> None:
    draw = random.Random(5)
    names = [b"k:%d" % number for number in range(5000)]
    keys = [names[min(int(9 * draw.paretovariate(0.5)), 4999)] for _ in range(100_000)]
    best = 0.0
    for _ in range(3):
        replay = Replay(Setup(policy="lru", capacity=800))
        begun = time.process_time()
        replay.feed(keys)
        best = max(best, len(keys) / (time.process_time() - begun))
    assert 0.05 < replay.finish().waits / len(keys) < 0.5
    assert best >= 300_000


def test_clients_are_told_to_the_log() -> None:
    replay = Replay(Setup(capacity=10, predictor="misslog"))
    replay.feed([b"a", b"a", b"b", b"c"], None, [4, 4, 9, 4])
    assert [item for item in replay.access.items if type(item) is int] == [4, 9, 4]
