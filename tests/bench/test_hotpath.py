"""The hot path bench end to end, as small as it goes: it measures, and prints what it measured.

What this file does not do: hold the product to its targets; `make bench-hotpath` does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).with_name("hotpath.py")

pytestmark = [
    pytest.mark.skipif(
        not (shutil.which("redis-server") and shutil.which("redis-benchmark")),
        reason="redis-server and redis-benchmark are not installed",
    ),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads CPU times from /proc"),
]


@pytest.mark.timeout(180)
def test_it_compares_cost_and_latency(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    words = ["--scale", "0.1", "--rounds", "1", "--commands", "get,mset", "--depths", "16"]
    run = subprocess.run(
        [sys.executable, str(BENCH), *words, "--data", str(tmp_path), "--json", str(result)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "160"},
    )
    assert run.returncode == 0, run.stderr + run.stdout
    read = json.loads(result.read_text())
    get, mset = read["cost"]["get P=16"], read["cost"]["mset P=16"]
    for row in (get, mset):
        assert 0.1 < row["redis"] < 1000  # microseconds of CPU
        assert row["ratio"] == pytest.approx(row["antecache"] / row["redis"])
    assert mset["antecache"] > get["antecache"]  # ten keys against one
    policies = read["policies"]
    assert {name.partition(", ")[2] for name in policies} == {"all fit", "two of three"}
    for row in policies.values():
        assert 0.1 < row["lru"] < 1000
        assert row["ratio"] == pytest.approx(row["auto"] / row["lru"])
    latency = read["training"]
    for part in ("idle", "learning", "after RETRAIN"):
        assert 0 < latency[part]["p50"] <= latency[part]["p99"] <= latency[part]["max"]
    assert f"{get['antecache']:.2f}" in run.stdout
