"""The bench of restarts on a small shop's traffic: the warm start waits much less than the cold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

BENCH = Path(__file__).with_name("restart.py")


def test_a_warm_start_hits_sooner(tmp_path: Path) -> None:
    options = ["--before", "1800", "--after", "500", "--maxkeys", "1200", "--json"]
    options += ["--svg", str(tmp_path / "restart.svg")]
    done = subprocess.run(
        [sys.executable, BENCH, *options], capture_output=True, text=True, check=True, timeout=50
    )
    counted = json.loads(done.stdout)
    _, cold_waits, nothing = counted["cold"]
    _, warm_waits, loaded = counted["warm"]
    assert nothing == 0 and loaded > 500
    assert warm_waits < 0.8 * cold_waits
    shown = "".join(ElementTree.parse(tmp_path / "restart.svg").getroot().itertext())
    assert "hit\xa0ratio" in shown and "reads\xa0since\xa0the\xa0start" in shown
