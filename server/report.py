"""What a comparison found, as a table for people and as CSV for programs.

Counts stand in the CSV as counts; the table shows them per request, and marks
the configuration that made clients wait least, for each trace and size.

What this file does not do: draw (`plot.py`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.table import Table

from antecache.server.belady import SAMPLE
from antecache.server.sweep import BELADY, Row

COLUMNS = (
    "trace unit cache_frac capacity policy predictor arrival requests waits misses statements "
    "rows prefetches precision late metadata_bytes"
).split()


def table(rows: Sequence[Row]) -> Table:
    """The rows as a table, in their order."""
    shown = Table(title="per request", title_justify="left")
    for name in ("trace", "size", "policy", "predictor"):
        shown.add_column(name)
    for name in "waits misses statements rows prefetches precision late metadata".split():
        shown.add_column(name, justify="right")
    best: dict[tuple[str, int], int] = {}
    for row in rows:
        if row.result.setup.policy != BELADY:
            place = row.trace, row.result.setup.capacity
            best[place] = min(row.result.waits, best.get(place, row.result.waits))
    previous: tuple[str, int] | None = None
    for row in rows:
        place = row.trace, row.result.setup.capacity
        if previous is not None and place != previous:
            shown.add_section()
        previous = place
        shown.add_row(*_cells(row, best.get(place)))
    return shown


def _cells(row: Row, best: int | None) -> list[str]:
    result, setup = row.result, row.result.setup
    waits = _ratio(row.waits_per_request)
    if setup.policy != BELADY and result.waits == best:
        waits = f"[bold]{waits}[/bold]"
    predicted = setup.predictor != "none"
    return [
        row.trace,
        _percent(row.cache_frac),
        setup.policy,
        setup.predictor if predicted else "-",
        waits,
        _ratio(result.misses / result.requests),
        _ratio(result.statements / result.requests),
        _ratio(result.rows / result.requests),
        _ratio(result.prefetches / result.requests) if predicted else "-",
        _ratio(result.precision) if predicted else "-",
        _ratio(result.late / result.requests) if predicted else "-",
        _bytes(result.metadata_bytes),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%" if share < 1 else f"{100 * share:,.0f}%"


def _ratio(value: float) -> str:
    return f"{value:.4f}"


def _bytes(count: int) -> str:
    if count < 10_000:
        return str(count)
    return f"{count / 1000:,.0f} kB" if count < 10_000_000 else f"{count / 1e6:,.0f} MB"


def remarks(rows: Iterable[Row]) -> list[str]:
    """What a reader of the table must know to read it right."""
    texts = []
    setups = [row.result.setup for row in rows]
    if any(setup.policy == BELADY and setup.unit != "keys" for setup in setups):
        texts.append(
            "belady: with entries of different sizes an approximation (size x time to the next "
            f"use, the largest of {SAMPLE} drawn), not a bound"
        )
    if any(setup.predictor != "none" and setup.unit != "total" for setup in setups):
        texts.append("the predictor's memory is not charged to the cache: --unit total does")
    return texts


def write_csv(rows: Iterable[Row], path: Path) -> None:
    """One line a row, under `COLUMNS`. Raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            result, setup = row.result, row.result.setup
            writer.writerow(
                (
                    row.trace,
                    setup.unit,
                    f"{row.cache_frac:.6g}",
                    setup.capacity,
                    setup.policy,
                    setup.predictor,
                    setup.arrival,
                    result.requests,
                    result.waits,
                    result.misses,
                    result.statements,
                    result.rows,
                    result.prefetches,
                    f"{result.precision:.6f}",
                    result.late,
                    result.metadata_bytes,
                )
            )
