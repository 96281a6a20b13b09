"""The bench of transfer on runs of blocks: other blocks wait less from the model of the first."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).with_name("transfer.py")


def test_runs_of_other_blocks_are_known_from_the_model(tmp_path: Path) -> None:
    draw = random.Random(5)
    starts = [draw.randrange(10**6) for _ in range(2000)]
    blocks = [start + 8 * step for start in starts for step in range(8)]
    trace = tmp_path / "runs.csv"
    trace.write_text("\n".join(f"{at},c,{block},1" for at, block in enumerate(blocks)))
    done = subprocess.run(
        [sys.executable, BENCH, trace, "--models", "off"],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    _, trained, replayed = done.stdout.splitlines()[:3]
    assert trained.split()[:3] == ["runs", "train", "8,000"]
    assert replayed.split()[:2] == ["replay", "8,000"]
    for line in (trained, replayed):
        cold, warm = float(line[31:44]), float(line[44:56])
        assert 0 < warm < 0.95 * cold
    assert "kB" in trained
