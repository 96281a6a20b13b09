"""The replay bench end to end: small traces through real servers, its counts against known ones.

What this file does not do: hold the product to its targets; `make bench-replay` does.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).with_name("replay.py")
KEYS = 600
HELD = 60


def replay(folder: Path, keys: list[str], *more: str) -> tuple[dict[str, Any], str]:
    """The results of a run over a trace of these keys, and what it printed."""
    trace = folder / "small.csv"
    with trace.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time", "client", "key", "size"))
        writer.writerows((at, 0, key, 1) for at, key in enumerate(keys))
    result = folder / "result.json"
    words = ["--trace", str(trace), "--data", str(folder / "data"), "--json", str(result)]
    run = subprocess.run(
        [sys.executable, str(BENCH), *words, *more],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "160"},
    )
    assert run.returncode == 0, run.stderr + run.stdout
    runs: dict[str, Any] = json.loads(result.read_text())["runs"]
    return runs, run.stdout


@pytest.mark.timeout(180)
def test_a_cycle_is_learned_and_every_count_is_what_it_must_be(tmp_path: Path) -> None:
    """A cycle ten times larger than the cache: no policy keeps it, its past predicts all of it.

    Counted once probation has found its size, which takes the first few rounds: until then some
    rows leave before their turn, how many depends on which arrive in time.
    """
    cycle = [f"{number % 3}:{number:010x}:{number % 2}" for number in range(KEYS)]
    options = ("--requests", str(2 * KEYS), "--share", "0.1", "--runs", "off,on,cold off,cold on")
    runs, printed = replay(tmp_path, cycle * 14, *options, "--warm", str(6 * KEYS))
    off, on = runs["off"], runs["on"]
    assert off["requests"] == on["requests"] == 2 * KEYS
    assert off["waits"] == off["statements"] == off["rows"]  # one key a statement, none ahead
    assert off["waits"] > 0.8 * 2 * KEYS
    assert off["held"] <= HELD and on["held"] <= HELD
    assert on["waits"] < 0.5 * off["waits"]
    assert on["precision"] > 0.9
    assert on["useful"] + on["late"] <= on["rows"]
    assert runs["cold off"]["waits"] == off["waits"]
    assert runs["cold on"]["waits"] < off["waits"]  # it learns while it serves
    assert f"{on['waits'] / on['requests']:.4f}" in printed


@pytest.mark.timeout(120)
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_cache_aside_holds_as_many_keys_and_counts_its_misses(tmp_path: Path) -> None:
    keys = [f"t:{number * 7919 % 1000:010x}:0" for number in range(3000)]  # three rounds of 1,000
    runs, _ = replay(tmp_path, keys, "--runs", "redis", "--requests", "2000", "--share", "0.4")
    aside = runs["redis"]
    assert abs(aside["held"] - 400) <= 40
    assert aside["waits"] == aside["statements"] == aside["rows"]
    assert 1000 <= aside["waits"] <= 2000  # nothing is there at first; LRU is no help in a cycle


@pytest.mark.timeout(120)
def test_keys_without_tables_are_rows_of_one(tmp_path: Path) -> None:
    """Paths, commas and hashes for keys: each reply is compared with its row by the bench."""
    keys = ["/history/apollo/", "/cgi-bin/map?1,2", "274cb2864fce", "3402501376", "a:b"] * 300
    options = ("--runs", "off", "--requests", "1000", "--share", "1.0")
    runs, _ = replay(tmp_path, keys, *options)
    assert runs["off"]["waits"] == runs["off"]["held"] == 5


def test_a_trace_that_is_not_there_is_skipped_with_a_reason(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(BENCH), "--trace", str(tmp_path / "none.csv.gz")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0
    assert "skipped" in run.stdout and "none.csv.gz" in run.stdout.replace("\n", "")
