"""`make bench-transfer`: what a model is worth to keys that it has never seen.

A trace is cut in two. A model is trained on the first half, and every key of the
second half is renamed, so that what was remembered of single keys is of no use: what
is left are rules over tables and steps, the calibration, and the weights of models.
A number becomes another number (a constant is added, so steps stay steps), any other
key keeps its table. Then the second half is learned and replayed, without the model
and from it:

    train    reads that waited while `antecache train` went through it, without and with --from
    replay   the same in `antecache replay` (10% of the keys, of 1 kB, unit total) with --model

each over its first tenth and over all of it; and the bytes of the model's file, of its
Plan, and of what it remembers of keys.

    python tests/bench/transfer.py [--requests 200000] [--traces orm_busy,cp_w106]

What this file does not do: use a server.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from measure import TRACES

from antecache.predictor import model_file
from antecache.server.replay_setup import Advice
from antecache.server.sweep import Task, parse_size, run
from antecache.server.traces import Trace, read_trace
from antecache.server.train import Order, train

DEFAULT = "cp_w106,arc_P3,lirs_multi2,orm_busy"
MOVED = 10**12  # what is added to a number: larger than any, and a multiple of any usual step
HEAD = (
    f"{'trace':14}{'by':8}{'accesses':>9}{'first tenth':>13}{'from model':>12}{'all':>8}"
    f"{'from model':>12}{'model':>10}{'Plan':>9}{'memory':>10}"
)


def renamed(key: bytes) -> bytes:
    """Another key of the same table; of a number, another number."""
    if key.isdigit():
        return b"%d" % (int(key) + MOVED)
    table, colon, rest = key.rpartition(b":") if key.count(b":") == 1 else key.partition(b":")
    return table + colon + (renamed(rest) if rest.isdigit() else b"renamed-" + rest)


def write(trace: Trace, first: int, last: int, path: Path, name: Callable[[bytes], bytes]) -> None:
    """Part of a trace as CSV, its keys renamed."""
    keys = [name(key).decode("utf-8", "surrogateescape") for key in trace.keys]
    sizes = trace.sizes or [1] * len(trace)
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        for at in range(first, last):
            client = trace.client_names[trace.clients[at]].decode("utf-8", "surrogateescape")
            rows.writerow((trace.times[at], client, keys[trace.ids[at]], sizes[at]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="traces of your own")
    parser.add_argument("--traces", default=DEFAULT, help="names of recorded ones, with commas")
    parser.add_argument("--requests", type=int, default=200_000, help="of each trace, 0: all")
    parser.add_argument("--models", default="auto")
    options = parser.parse_args()
    names = [name for name in options.traces.split(",") if name]
    print(HEAD)
    for path in options.files or [TRACES / f"{name}.csv.gz" for name in names]:
        with tempfile.TemporaryDirectory() as folder:
            measure(read_trace(str(path), limit=options.requests), options.models, Path(folder))


def measure(trace: Trace, models: str, folder: Path) -> None:
    """Print the two lines of a trace."""
    middle = len(trace) // 2
    first, second, model = folder / "first.csv", folder / "second.csv", folder / "model"
    write(trace, 0, middle, first, lambda key: key)
    write(trace, middle, len(trace), second, renamed)
    saved, _ = train(Order(paths=[str(first)], models=models))
    size = model_file.save(model, saved)
    _, cold = train(Order(paths=[str(second)], models="off"))
    _, warm = train(Order(paths=[str(second)], models="off"), model_file.load(model))
    count = len(trace) - middle
    sizes = (
        f"{size / 1000:7,.0f} kB{len(saved.plan) / 1000:6,.0f} kB{len(saved.state) / 1000:7,.0f} kB"
    )
    ratios = [cold.early, warm.early, cold.waits / cold.accesses, warm.waits / warm.accesses]
    print(f"{trace.name:14}{'train':8}{count:9,}{shown(ratios)}{sizes}", flush=True)
    task = Task(
        path=str(second),
        size=parse_size("10%", "total"),
        unit="total",
        policy="s3fifo",
        predictor="blend",
        value_size=1000,
    )
    half = read_trace(str(second))
    # the cache is as large for the first tenth as for the whole
    task = replace(task, size=parse_size(str(half.amount("total", 1000) // 10), "total"))
    ratios = []
    for limit in (count // 10, 0):
        part = read_trace(str(second), limit=limit)
        for advice in (Advice(models=models), Advice(models=models, model=str(model))):
            ratios.append(run(replace(task, advice=advice), part).waits_per_request)
    print(f"{'':14}{'replay':8}{count:9,}{shown(ratios)}\n", flush=True)


def shown(ratios: list[float]) -> str:
    """Waits a read: first tenth without and from the model, all without and from the model."""
    return f"{ratios[0]:13.4f}{ratios[1]:12.4f}{ratios[2]:8.4f}{ratios[3]:12.4f}"


if __name__ == "__main__":
    main()
