"""`antecache train` and `antecache convert`: models from recorded accesses, and their formats.

Whatever is wrong with the command line or a file is said in one line, with exit
code 2, and nothing is written then.

Only this file understands the flags; the parts are imported when they run.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from antecache.predictor.model_file import Saved
    from antecache.server.train import Outcome

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="Recorded accesses: CSV (time,client,key,size), a capture of redis-cli monitor, an "
        "access-log, .gz and .zst too; or Parquet.",
    ),
]


def train(
    files: Files,
    output: Annotated[Path, typer.Option("-o", "--output", help="The model to write.")],
    start: Annotated[
        Path | None,
        typer.Option("--from", help="Go on from this model: its calibration and links."),
    ] = None,
    keys: Annotated[
        int,
        typer.Option(min=0, help="Keys that the cache will hold [a tenth of the different ones]."),
    ] = 0,
    memory: Annotated[str, typer.Option(help="What the predictor may occupy.")] = "32mb",
    predictor: Annotated[str, typer.Option(help="Where predictions come from.")] = "blend",
    models: Annotated[
        str, typer.Option(help="Which models may take over from counting: auto, off or one name.")
    ] = "auto",
    requests: Annotated[
        int, typer.Option(min=0, help="Read only the first so many accesses of each file.")
    ] = 0,
    never_predict: Annotated[
        str, typer.Option(help="Patterns of keys to leave out, separated by spaces.")
    ] = "",
    plot: Annotated[
        Path | None, typer.Option(help="Draw the calibration there: .png, .svg or .pdf.")
    ] = None,
) -> None:
    """Learn from recorded accesses, for antecache serve --model."""
    from antecache.predictor import model_file, registry
    from antecache.predictor.challenge import SETTINGS
    from antecache.server.glob import matcher
    from antecache.server.traces import TraceError
    from antecache.server.train import Order
    from antecache.server.train import train as run
    from antecache.server.units import parse_memory

    if predictor not in registry.names():
        _refuse(f"--predictor: '{predictor}' is none of {', '.join(registry.names())}")
    if models not in SETTINGS:
        _refuse(f"--models: '{models}' is none of {', '.join(SETTINGS)}")
    try:
        budget = parse_memory(memory)
    except ValueError as error:
        _refuse(f"--memory: {error}")
    if not os.access(output.parent, os.W_OK) or output.is_dir():
        _refuse(f"{output}: cannot be written there")
    if plot is not None:
        from antecache.server.plot import problem

        if reason := problem(plot):
            _refuse(reason)
    fits = [matcher(pattern.encode()) for pattern in never_predict.split()]
    order = Order(
        paths=files,
        predictor=predictor,
        keys=keys,
        memory=max(budget, 1),
        models=models,
        limit=requests,
        never=lambda key: any(fit(key) for fit in fits),
    )
    try:
        before = model_file.load(start) if start is not None else None
        saved, outcome = run(order, before, tick=_tell)
        size = model_file.save(output, saved)
    except (TraceError, model_file.ModelError) as error:
        _refuse(str(error))
    except ValueError as error:
        _refuse(f"{start}: {error}")
    except OSError as error:
        _refuse(f"{output}: {error.strerror}")
    except KeyboardInterrupt:
        _refuse("interrupted", code=130)
    _report(saved, outcome)
    if plot is not None:
        from antecache.server.calibration_plot import draw

        try:
            draw(outcome.curves, plot)
        except OSError as error:
            _refuse(f"{plot}: {error.strerror}")
    print(f"{output}: {size:,} bytes")


def convert(
    files: Files,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="What to write: .parquet, .csv or .csv.gz.")
    ],
) -> None:
    """Rewrite recorded accesses as Parquet or CSV, several files as one."""
    from antecache.predictor.history import HistoryError
    from antecache.server.convert import KINDS, write
    from antecache.server.traces import TraceError

    if not output.name.endswith(KINDS):
        _refuse(f"{output}: the name must end with {', '.join(KINDS)}")
    if not os.access(output.parent, os.W_OK):
        _refuse(f"{output}: cannot be written there")
    try:
        count = write(files, output)
    except (TraceError, HistoryError) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"{output}: {error.strerror}")
    print(f"{output}: {count:,} accesses")


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what} ...", end="", file=sys.stderr, flush=True)


def _report(saved: Saved, outcome: Outcome) -> None:
    """What was read, what it is worth, and who ranks candidates from now on."""
    from antecache.predictor.plan import MAX_BYTES, Plan

    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    print(f"{outcome.accesses:,} accesses to {outcome.keys:,} keys in {outcome.seconds:.1f} s")
    for what, counts in (("left out", outcome.dropped), ("without", outcome.missing)):
        for reason, count in sorted(counts.items()):
            print(f"  {what} {reason}: {count:,}")
    if outcome.broken:
        print(f"  lines that could not be read: {outcome.broken:,}")
    for name in outcome.bots[:5]:
        print(f"  a bot that walks ids: client {name.decode('utf-8', 'replace')}")
    first, last = saved.window
    if last > 1e9:  # Unix time
        shown = [time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) for at in (first, last)]
        print(f"  from {shown[0]} to {shown[1]}")
    share = outcome.waits / max(outcome.accesses, 1)
    print(f"reads that waited, replayed: {share:.3f} (in the first tenth {outcome.early:.3f})")
    plan = Plan.from_bytes(saved.plan)
    held = plan.held_out
    print(
        f"calibration error {held.calibration_error:.3f}, log loss {held.log_loss:.3f} "
        f"(uncalibrated {held.raw_log_loss:.3f}) on {held.trials:,} later candidates"
    )
    if outcome.reports:
        head = f"\n{'challenger':12}{'gain':>8}{'noise':>8}{'AUC':>7}{'log loss':>10}"
        print(f"{head}{'compiled':>10}{'calibr.':>9}  verdict")
        champion = outcome.reports[0]
        print(
            f"{'counting':12}{'':16}{champion.champion_auc:7.3f}"
            f"{champion.champion_log_loss:10.4f}{'':10}{champion.champion_calibration_error:9.4f}"
        )
    for report in outcome.reports:
        whole = report.log_loss - report.compile_loss
        print(
            f"{report.model:12}{report.gain:+8.1%}{report.noise:8.1%}{report.auc:7.3f}"
            f"{whole:10.4f}{report.log_loss:10.4f}{report.calibration_error:9.4f}  "
            f"{'adopted: ' if report.adopted else ''}{report.reason}"
        )
    best = next((report for report in outcome.reports if report.adopted), None)
    if best is not None:
        shown = [f"{name} {loss:.4f}" for name, loss in list(best.importances.items())[:5]]
        print("importances: " + ", ".join(shown))
    print(f"candidates are ranked by: {plan.model or 'counting'}")
    print(
        f"Plan: {len(saved.plan):,} bytes ({plan.buckets:,} buckets, {len(plan.groups):,} groups; "
        f"at most {MAX_BYTES:,}); memory of keys: {len(saved.state):,} bytes"
    )


def _refuse(reason: str, code: int = 2) -> NoReturn:
    print(f"antecache: {reason}", file=sys.stderr)
    raise typer.Exit(code)
