"""Calibration as a picture: what was predicted against what came true, on later candidates.

On the diagonal a probability of 0.7 came true seven times in ten. The uncalibrated
confidence stands beside it, and below how many candidates there were.

What this file does not do: measure anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from antecache.predictor.judging import Bin


def draw(curves: Mapping[str, Sequence[Bin]], path: Path) -> None:
    """Draw the named curves to `path`. Raises OSError; ImportError without matplotlib."""
    figure_class = import_module("matplotlib.figure").Figure
    figure = figure_class(figsize=(6, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.plot((0, 1), (0, 1), color="grey", linestyle="--", label="as predicted")
    for name, bins in curves.items():
        predicted, measured = [one.predicted for one in bins], [one.measured for one in bins]
        above.plot(predicted, measured, marker="o", label=name)
        below.step(predicted, [one.trials for one in bins], where="mid", label=name)
    above.set(ylabel="asked for in time", ylim=(0, 1), xlim=(0, 1))
    above.legend()
    below.set(xlabel="predicted probability", ylabel="candidates", yscale="log")
    figure.savefig(path)
