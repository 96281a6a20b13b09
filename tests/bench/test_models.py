"""The bench of models on a made-up trace: a line for each way and model, and the calibration."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

BENCH = Path(__file__).with_name("models.py")


def test_counting_and_a_model_are_judged(tmp_path: Path) -> None:
    draw = random.Random(3)
    trace, picture = tmp_path / "made.csv", tmp_path / "calibration.svg"
    numbers = [draw.randrange(800) for _ in range(2500)]
    lines = [f"{n},c,{name}:{n},1" for n in numbers for name in ("user", "cart")]
    trace.write_text("\n".join(lines))
    options = ["--models", "tree", "--size", "10%", "--svg", str(picture)]
    done = subprocess.run(
        [sys.executable, BENCH, trace, *options],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    shown = done.stdout.splitlines()
    ways = [line[14:26].strip() for line in shown[1:5]]
    assert ways == ["nothing", "counting", "tree", "with models"]
    waits = [float(line[91:98]) for line in (shown[1], shown[2], shown[4])]
    assert waits[1] < 0.8 * waits[0]
    judged = int(shown[2][26:36].replace(",", ""))
    assert judged > 300 and f"{judged:,}" in shown[3]
    assert 0.5 < float(shown[2][36:42]) <= 1
    assert any(text in shown[3] for text in ("saves", "the best", "are off by"))
    assert any(line.startswith("made") for line in shown[6:])
    assert "●" in done.stdout and "predicted" in done.stdout
    assert "predicted" in "".join(ElementTree.parse(picture).getroot().itertext())
