"""Charts of characters for the benches' output, and the same as SVG by `rich`.

A chart is a plane of cells between two axes; later marks cover earlier ones. The SVG
is a picture of the terminal, for where matplotlib is too much.

What this file does not do: measure anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console

from antecache.predictor.judging import Bin


class Plane:
    """A chart of `width` times `height` cells; x runs from 0 to `right`, y from `low` to 1."""

    def __init__(self, width: int, height: int, *, right: float = 1.0, low: float = 0.0) -> None:
        self._cells = [[" "] * width for _ in range(height)]
        self._right = right
        self._low = low

    def mark(self, x: float, y: float, sign: str) -> None:
        """Put a character at a place; what lies outside is not drawn."""
        height, width = len(self._cells), len(self._cells[0])
        y = (y - self._low) / (1 - self._low)
        column = int(x / self._right * width) if x < self._right else width - 1
        row = height - 1 - (int(y * height) if y < 1 else height - 1)
        if 0 <= column < width and 0 <= row < height:
            self._cells[row][column] = sign

    def line(self, y: float, sign: str) -> None:
        """Mark a height all along."""
        width = len(self._cells[0])
        for column in range(width):
            self.mark((column + 0.5) * self._right / width, y, sign)

    def lines(self, unit: str = "") -> list[str]:
        """The chart with its axes, line by line, all of one length."""
        height, width = len(self._cells), len(self._cells[0])
        names = {0: "1.0", height - 1: f"{self._low:.1f}"}
        names[height // 2] = f"{(1 + self._low) / 2:.2g}"
        made = [
            f"{names.get(row, ''):>4} │{''.join(cells)}" for row, cells in enumerate(self._cells)
        ]
        end = f"{self._right:,.0f}" if self._right > 1 else f"{self._right:.1f}"
        below = f"0{unit:^{max(width - 1 - len(end), 0)}}{end}"
        return [*made, f"     └{'─' * width}", f"      {below}"]


def reliability(name: str, bins: Sequence[Bin]) -> list[str]:
    """Predicted probability (right) against measured frequency (up): ● by bin, · as predicted.

    A bin of less than 30 candidates, which says little, is an ○.
    """
    plane = Plane(30, 10)
    for place in range(30):
        plane.mark((place + 0.5) / 30, (place + 0.5) / 30, "·")
    for one in bins:
        plane.mark(one.predicted, one.measured, "●" if one.trials >= 30 else "○")
    return [f"{name:<36}"[:36], *plane.lines("predicted")]


def courses(
    curves: Mapping[str, Iterable[tuple[float, float]]],
    goal: float,
    *,
    right: float,
    unit: str,
    width: int = 72,
    height: int = 16,
) -> list[str]:
    """Several courses over x, each marked with the first letter of its name; `goal` is dotted."""
    made = {name: list(points) for name, points in curves.items()}
    least = min((y for points in made.values() for _, y in points), default=0.0)
    plane = Plane(width, height, right=right, low=int(10 * least) / 10 if least < 1 else 0.0)
    plane.line(goal, "·")
    for name, points in made.items():
        for x, y in points:
            plane.mark(x, y, name[0])
    return plane.lines(unit)


def beside(charts: Sequence[Sequence[str]], columns: int = 3) -> list[str]:
    """Charts of the same height, some in a row."""
    made: list[str] = []
    for first in range(0, len(charts), columns):
        row = charts[first : first + columns]
        wide = max(len(line) for chart in row for line in chart)
        made += [
            "   ".join(f"{line:<{wide}}" for line in lines).rstrip()
            for lines in zip(*row, strict=True)
        ]
        made.append("")
    return made


def save_svg(lines: Iterable[str], path: Path, title: str) -> None:
    """The lines as a picture. Raises OSError."""
    console = Console(record=True, width=120, file=StringIO())
    for line in lines:
        console.print(line, markup=False, highlight=False)
    path.write_text(console.export_svg(title=title), "utf-8")
