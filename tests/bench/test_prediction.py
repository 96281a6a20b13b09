"""The prediction bench end to end: traces whose counts are known, its columns and its verdicts.

What this file does not do: hold the product to its targets; `make bench-prediction` does.
"""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).with_name("prediction.py")
KEYS = 2000
HELD = 0.25


def bench(folder: Path, keys: list[str], name: str, *more: str) -> tuple[dict[str, str], int]:
    """The line of a trace of these keys, by column, and the exit status."""
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time", "client", "key", "size"))
        writer.writerows((at, 0, key, 1) for at, key in enumerate(keys))
    packed = folder / f"{name}.csv"
    subprocess.run(["gzip", "-f", str(packed)], check=True)
    (folder / "baselines.csv").write_text(
        "trace,unit,cache_frac,policy,miss_ratio\n"
        f"{name},objects,0.25,LRU,0.75\n"
        f"{name},objects,0.25,Sieve,0.5\n"
        f"{name},objects,0.25,Belady,0.25\n"
        f"{name},objects,0.25,LRU+Mithril,0.125\n"
    )
    result = folder / "result.csv"
    words = ["--traces", name, "--folder", str(folder), "--csv", str(result), "--sizes", "25%"]
    run = subprocess.run(
        [sys.executable, str(BENCH), *words, *more], capture_output=True, text=True, check=False
    )
    assert run.returncode in (0, 1), run.stderr + run.stdout
    with result.open(newline="") as file:
        (line,) = csv.DictReader(file)
    return line, run.returncode


def test_a_cycle_is_learned_and_its_counts_stand_beside_those_of_others(tmp_path: Path) -> None:
    cycle = [f"{number % 3}:{number:010x}:{number % 2}" for number in range(KEYS)]
    line, status = bench(tmp_path, cycle * 10, "cycle", "--strict", "--no-late")
    assert status == 0  # no target is set for a trace that nobody knows
    assert float(line["without"]) > 0.7
    assert float(line["waits"]) < 0.7 * float(line["without"])
    assert float(line["precision"]) > 0.8
    assert 0 < int(line["metadata"]) < HELD * KEYS * 1200
    assert [line[name] for name in ("LRU", "best", "Belady", "Mithril")] == [
        "0.7500",
        "0.5000",
        "0.2500",
        "0.1250",
    ]
    assert line["a8"] == "-"


def test_what_nobody_can_predict_is_held_to_the_policy_alone(tmp_path: Path) -> None:
    draw = random.Random(7)
    keys = [f"item:{int(draw.paretovariate(0.6)) % KEYS}" for _ in range(6 * KEYS)]
    line, _ = bench(tmp_path, keys, "web12", "--strict")
    assert float(line["target"]) == pytest.approx(float(line["without"]) + 0.003, abs=2e-4)
    assert float(line["a8"]) >= 0.9 * float(line["waits"])
    assert (line["missed"] == "-") == (float(line["waits"]) <= float(line["target"]))


def test_a_missed_target_fails_only_when_asked_to(tmp_path: Path) -> None:
    keys = [str(number * 7919 % 100_003) for number in range(3 * KEYS)]  # nothing comes twice
    line, status = bench(tmp_path, keys, "cp_w106", "--no-late")
    assert (line["missed"], status) == ("waits", 0)
    assert bench(tmp_path, keys, "cp_w106", "--no-late", "--strict")[1] == 1
