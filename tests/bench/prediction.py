"""`make bench-prediction`: what prediction is worth on real traces, at equal total memory.

Every trace at 1, 5, 10 and 25% of its keys, one configuration for all, by the code
of `antecache replay`. A budget is that share of all values, keys and entries; the
policy's ghosts and everything that prediction remembers are paid for out of it.
Each line compares

    LRU, best, Belady   the miss ratio of LRU, of the best of some twenty demand policies (in
                        hindsight), and of the optimum that knows the future but never prefetches
    Mithril             the best setting of that prefetcher, on LRU; it pays for no memory
    without             the same policy without prediction, with the whole budget
    waits               ours: reads that waited for the database, a request
    late                prefetches asked for before they arrived, a request
    a8                  waits when what does not ride along arrives 8 requests late
    statements, rows    what the database was asked, over the same without prediction
    precision           share of the prefetches that were used
    metadata            bytes of log, tables, ghosts and books at the end

The first four come from `baselines.csv` beside the traces. `--strict` fails when a
target is missed: waits at most as listed in `TARGETS` with rows at most 1.4 times
as many, and on traces where nothing is predictable no more than .003 above the
same policy without prediction.

What this file does not do: use a server (`make bench-replay`), or time anything.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from antecache.server.replay import Result
from antecache.server.replay_setup import Advice
from antecache.server.sweep import Size, SweepError, Task, compare, parse_size
from antecache.server.units import parse_memory

TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"
NAMES: Final = (
    "orm_busy cp_w106 arc_P3 lirs_multi1 lirs_multi2 lirs_ps lirs_gli "
    "nasa_jul web12 corda_vault cdn_adaptsize kosarak"
).split()
HARMLESS: Final = ("web12", "corda_vault", "cdn_adaptsize", "kosarak", "nasa_jul")
HARM: Final = 0.003
SIZES: Final = (0.01, 0.05, 0.10, 0.25)
#: waits at most, by trace and value size, at SIZES
TARGETS: Final = {
    ("orm_busy", 1000): (0.175, 0.080, 0.065, 0.050),
    ("cp_w106", 1000): (0.135, 0.050, 0.034, 0.024),
    ("arc_P3", 1000): (0.10, 0.09, 0.085, 0.060),
    ("lirs_multi2", 1000): (0.70, 0.42, 0.30, 0.245),
    ("orm_busy", 200): (0.218, 0.097, 0.074, 0.053),
    ("cp_w106", 200): (0.156, 0.066, 0.040, 0.023),
    ("arc_P3", 200): (0.116, 0.091, 0.085, 0.066),
    ("lirs_multi2", 200): (0.826, 0.560, 0.522, 0.271),
    ("orm_busy", 4000): (0.123, 0.069, 0.059, 0.047),
    ("cp_w106", 4000): (0.112, 0.042, 0.029, 0.021),
    ("arc_P3", 4000): (0.094, 0.085, 0.080, 0.057),
    ("lirs_multi2", 4000): (0.559, 0.287, 0.259, 0.238),
    ("lirs_multi1", 1000): (1.0, 0.314, 1.0, 1.0),
    ("lirs_ps", 1000): (1.0, 0.414, 1.0, 1.0),
    ("lirs_gli", 1000): (1.0, 0.645, 1.0, 1.0),
}
ROWS: Final = 1.4
LATE: Final = 8  # requests until what does not ride along arrives


class Peers(NamedTuple):
    """Misses a request that others reach at a size; None where they were not measured."""

    lru: float | None = None
    best: float | None = None
    belady: float | None = None
    mithril: float | None = None


class Line(NamedTuple):
    """A trace, size and value size, and what came of it; `delayed` with late arrival."""

    trace: str
    size: float
    value: int
    peers: Peers
    without: Result
    ours: Result
    delayed: Result | None

    @property
    def rows(self) -> float:
        """Rows read, over those read without prediction."""
        return self.ours.rows / self.without.rows

    @property
    def target(self) -> float | None:
        """Waits a request at most; None where none is set."""
        if self.trace in HARMLESS:
            return ratio(self.without) + HARM
        targets = TARGETS.get((self.trace, self.value))
        found = dict(zip(SIZES, targets, strict=True)).get(self.size, 1.0) if targets else 1.0
        return found if found < 1.0 else None

    @property
    def missed(self) -> str:
        """Which target was missed, or nothing."""
        target = self.target
        if target is None:
            return ""
        found = []
        if ratio(self.ours) > target:
            found.append("waits")
        if self.rows > ROWS:
            found.append("rows")
        return "+".join(found)


def ratio(result: Result) -> float:
    """Waits a request."""
    return result.waits / max(result.requests, 1)


def peers_of(path: Path) -> dict[tuple[str, float], Peers]:
    """What others reach, by trace and share of the keys."""
    found: dict[tuple[str, float], dict[str, float]] = defaultdict(dict)
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                # 0 stands where their code refused a size: no cache misses nothing
                if row["unit"] == "objects" and float(row["miss_ratio"]):
                    place = row["trace"], float(row["cache_frac"])
                    found[place][row["policy"]] = float(row["miss_ratio"])
    peers = {}
    for place, ratios in found.items():
        demand = [r for name, r in ratios.items() if not name.startswith(("Belady", "LRU+"))]
        mithril = [r for name, r in ratios.items() if name.startswith("LRU+Mithril")]
        peers[place] = Peers(
            ratios.get("LRU"),
            min(demand, default=None),
            ratios.get("Belady"),
            min(mithril, default=None),
        )
    return peers


def tasks_of(options: argparse.Namespace, path: str, size: float, value: int) -> list[Task]:
    """Without prediction, with it, and with it arriving late."""
    plain = Task(
        path=path,
        size=Size(size, 0),
        unit="total",
        policy=options.policy,
        value_size=value,
        limit=options.requests,
    )
    ours = replace(
        plain,
        predictor=options.predictor,
        row_budget=options.row_budget,
        advice=Advice(models=options.models),
    )
    if options.memory:
        ours = replace(ours, memory_share=options.memory)
    return [plain, ours] + ([replace(ours, arrival=LATE)] if options.late else [])


def lines_of(options: argparse.Namespace, name: str) -> list[Line]:
    """All lines of a trace. Raises SweepError."""
    path = str(options.folder / f"{name}.csv.gz")
    places = [(value, size) for value in options.values for size in options.sizes]
    tasks = [task for value, size in places for task in tasks_of(options, path, size, value)]
    rows = iter(compare(tasks, jobs=options.jobs))
    peers = peers_of(options.folder / "baselines.csv") if not options.requests else {}
    lines = []
    for value, size in places:
        without, ours = next(rows).result, next(rows).result
        delayed = next(rows).result if options.late else None
        lines.append(
            Line(name, size, value, peers.get((name, size), Peers()), without, ours, delayed)
        )
    return lines


COLUMNS: Final = (
    "trace value size LRU best Belady Mithril without waits late a8 target missed "
    "statements rows precision metadata"
).split()


def cells(line: Line) -> list[str]:
    """A line as texts, under `COLUMNS`."""
    ours, delayed, count = line.ours, line.delayed, line.ours.requests

    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    return [
        line.trace,
        str(line.value),
        f"{100 * line.size:g}%",
        *map(share, line.peers),
        share(ratio(line.without)),
        share(ratio(ours)),
        share((delayed or ours).late / count),
        share(ratio(delayed) if delayed is not None else None),
        share(line.target),
        line.missed or "-",
        f"{ours.statements / line.without.statements:.3f}",
        f"{line.rows:.3f}",
        f"{ours.precision:.3f}",
        str(ours.metadata_bytes),
    ]


def table(lines: Iterable[Line]) -> Table:
    """The lines of one trace."""
    shown = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        shown.add_column(name, justify="left" if name in ("trace", "missed") else "right")
    for line in lines:
        shown.add_row(*cells(line))
    return shown


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--traces", default=",".join(NAMES), help="comma-separated")
    parser.add_argument("--sizes", default="1%,5%,10%,25%", help="of all keys, comma-separated")
    parser.add_argument("--values", default="1000", help="bytes of a value, comma-separated")
    parser.add_argument("--policy", default="s3fifo")
    parser.add_argument("--predictor", default="blend")
    parser.add_argument("--models", default="auto", help="that may take over, as the setting")
    parser.add_argument("--row-budget", type=float, default=0.25)
    parser.add_argument("--memory", type=float, default=0.0, help="largest share that remembers")
    parser.add_argument("--requests", type=int, default=0, help="only the first so many")
    parser.add_argument("--no-late", dest="late", action="store_false", help="skip late arrival")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--folder", type=Path, default=TRACES)
    parser.add_argument("--csv", type=Path, help="write the lines there too")
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    options = parser.parse_args(arguments)
    try:
        options.sizes = [parse_size(text, "total").share for text in options.sizes.split(",")]
        options.values = [parse_memory(text) for text in options.values.split(",")]
    except ValueError as error:
        parser.error(str(error))
    if not all(options.sizes) or not all(options.values):
        parser.error("sizes are shares such as 5%, and values have bytes")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when `--strict` and a target is missed, 2 without traces."""
    options = parse(arguments)
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    lines = []
    for name in options.traces.split(","):
        if not (options.folder / f"{name}.csv.gz").exists():
            console.print(f"{name}: skipped, there is no {options.folder / name}.csv.gz")
            continue
        try:
            found = lines_of(options, name)
        except SweepError as error:
            console.print(f"{name}: {error}")
            return 2
        console.print(table(found))
        console.print()
        lines += found
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(map(cells, lines))
    missed = [line for line in lines if line.missed]
    with_target = sum(line.target is not None for line in lines)
    console.print(f"{with_target - len(missed)} of {with_target} targets reached")
    if not lines:
        return 2
    return 1 if options.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
