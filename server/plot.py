"""Miss-ratio curves as a picture: LRU, the best policy, Belady's optimum, and ours.

One panel a trace; the cache's size goes to the right, what clients waited for
goes up. The format follows from the file's name: PNG, SVG, or another that
matplotlib knows, which is imported only here and need not be installed.

What this file does not do: replay anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from antecache.server.sweep import BELADY, Row

MISSING = "--plot needs matplotlib: pip install 'antecache[plot]'"
SUFFIXES = (".png", ".svg", ".pdf")
ACROSS = 3  # panels beside each other
OURS = "auto + "  # the server's own way
OTHERS = ("tab:orange", "tab:purple", "tab:brown", "tab:pink")
Curve = list[tuple[float, float]]


def problem(path: Path) -> str | None:
    """Why nothing could be drawn to `path`; None when it could."""
    if path.suffix.lower() not in SUFFIXES:
        return f"--plot: '{path}' ends in none of {', '.join(SUFFIXES)}"
    return MISSING if find_spec("matplotlib") is None else None


def curves(rows: Sequence[Row]) -> dict[str, Curve]:
    """The lines of one trace: name to (share of the whole, waits per request), by size.

    `best policy` is the lowest of all policies without prediction at each size; it
    is there when several were replayed.
    """
    lines: dict[str, Curve] = defaultdict(list)
    plain: dict[float, list[float]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.cache_frac):
        setup = row.result.setup
        point = row.cache_frac, row.waits_per_request
        if setup.predictor != "none":
            lines[f"{setup.policy} + {setup.predictor}"].append(point)
        else:
            lines[setup.policy].append(point)
            if setup.policy != BELADY:
                plain[row.cache_frac].append(row.waits_per_request)
    if max(map(len, plain.values()), default=0) > 1:
        lines["best policy"] = [(share, min(ratios)) for share, ratios in sorted(plain.items())]
    return dict(lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw to `path`. Raises OSError; ImportError without matplotlib."""
    rc_context = import_module("matplotlib").rc_context
    figure_of = import_module("matplotlib.figure").Figure
    by_trace: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_trace[row.trace].append(row)
    across = min(ACROSS, len(by_trace))
    down = -(-len(by_trace) // across)
    # the same rows give the same file
    with rc_context({"svg.hashsalt": "antecache"}):
        figure = figure_of(figsize=(5.2 * across, 3.9 * down), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False).flat
        for panel, (trace, of_trace) in zip(panels, by_trace.items(), strict=False):
            _panel(panel, trace, of_trace)
        for panel in list(panels)[len(by_trace) :]:
            panel.set_visible(False)
        kind = path.suffix.lower()[1:]
        figure.savefig(path, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {})


def _panel(panel: Any, trace: str, rows: Sequence[Row]) -> None:
    others = iter(OTHERS * len(rows))
    for name, points in curves(rows).items():
        style: dict[str, Any] = {"label": name, "marker": "o", "markersize": 3}
        if name == "lru":
            style |= {"color": "tab:gray", "label": "LRU"}
        elif name == BELADY:
            style |= {"color": "black", "linestyle": "--", "label": "Belady"}
        elif name == "best policy":
            style |= {"color": "tab:green", "linewidth": 3, "alpha": 0.5, "zorder": 1}
        elif name == "auto":
            style |= {"color": "tab:blue"}
        elif name.startswith(OURS):
            style |= {"color": "tab:red", "linewidth": 2}
        elif " + " in name:
            style |= {"color": next(others)}
        else:
            style |= {"color": "lightgray", "linewidth": 1, "marker": "", "zorder": 0}
        panel.plot([100 * share for share, _ in points], [ratio for _, ratio in points], **style)
    sizes = sorted({100 * row.cache_frac for row in rows})
    if len(sizes) > 1:
        panel.set_xscale("log")
    panel.set_xticks(sizes, [f"{size:.3g}%" for size in sizes])
    panel.minorticks_off()
    panel.set_ylim(bottom=0)
    panel.set_title(trace)
    unit = rows[0].result.setup.unit
    whole = {"keys": "keys", "bytes": "bytes", "total": "bytes, metadata included"}[unit]
    panel.set_xlabel(f"cache size, share of all {whole}")
    panel.set_ylabel("waits per request")
    panel.grid(alpha=0.3)
    panel.legend(fontsize="small")
