"""The safety bench on a small walk: a bot is set aside, and nobody is the worse for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).with_name("safety.py")


@pytest.mark.parametrize("case", ["bot", "comings"])
def test_a_bot_does_no_harm(case: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ["--cases", case, "--walk", "1200", "--scan", "3000", "--visits", "60"]
    where = ["--data", tmp_path, "--json", report]
    subprocess.run(
        [sys.executable, BENCH, *options, *where], capture_output=True, check=True, timeout=100
    )
    lines = json.loads(report.read_text())["lines"]
    values = {what: value for _, what, value, _, _ in lines}
    assert values["readers set aside"] == 1
    assert values["of its reads, not learned from"] > 0.5
    assert values["all rows beyond those without, share"] < 0.25
