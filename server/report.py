"""What a comparison found, as a table for people and as CSV for programs.

Counts stand in the CSV as counts; the table shows them per request, and marks
the configuration that made clients wait least, for each trace and size.

What this file does not do: draw (`plot.py`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.markup import escape
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


def own_rules(rows: Sequence[Row]) -> Table:
    """What became of the operator's rules, in the order of the config file."""
    shown = Table(title="rules", title_justify="left")
    for name in ("trace", "size", "policy", "predictor", "rule"):
        shown.add_column(name)
    for name in ("prefetches", "asked for"):
        shown.add_column(name, justify="right")
    for row in rows:
        setup = row.result.setup
        for rule, issued, used in row.result.own_rules:
            name = escape(rule.removeprefix("rule "))
            share = f"{used / issued:.1%}" if issued else "-"
            size = _percent(row.cache_frac)
            shown.add_row(
                row.trace, size, setup.policy, setup.predictor, name, f"{issued:,}", share
            )
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


def remarks(rows: Sequence[Row]) -> list[str]:
    """What a reader of the table must know to read it right."""
    texts = [_contest(row) for row in rows if row.result.contests]
    setups = [row.result.setup for row in rows]
    if any(setup.policy == BELADY and setup.unit != "keys" for setup in setups):
        texts.append(
            "belady: with entries of different sizes an approximation (size x time to the next "
            f"use, the largest of {SAMPLE} drawn), not a bound"
        )
    if any(setup.predictor != "none" and setup.unit != "total" for setup in setups):
        texts.append("the predictor's memory is not charged to the cache: --unit total does")
    return texts


def _contest(row: Row) -> str:
    """Who ranks candidates in the end, and how near the best challenger came."""
    result, setup = row.result, row.result.setup
    best = max(result.reports, key=lambda report: report.gain)
    times = "1 contest" if result.contests == 1 else f"{result.contests} contests"
    return (
        f"{row.trace} {_percent(row.cache_frac)} {setup.policy}: candidates are ranked by "
        f"{result.ranker} after {times} with models; last the best was {best.model} "
        f"({best.gain:+.1%} waits saved, noise {best.noise:.1%})"
    )


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
