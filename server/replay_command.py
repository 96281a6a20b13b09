"""`antecache replay`: what a cache would have done with recorded accesses.

Reads traces, replays them through the server's own parts for every combination
of size, policy and predictor, and prints a table; CSV and a plot on request.
Whatever is wrong with the command line is said before anything is replayed.

Only this file understands the flags; the parts are imported when they run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from antecache.server.replay_setup import Advice
    from antecache.server.sweep import Row, Task

WIDE = 150  # columns of a table that goes to a file or a pipe


def replay(
    traces: Annotated[
        list[str],
        typer.Argument(
            metavar="TRACE...",
            help="Files of accesses: CSV (time,client,key,size) or a capture of redis-cli "
            "monitor; .gz and .zst too.",
        ),
    ],
    size: Annotated[
        list[str],
        typer.Option(help="Cache size: a share (5%), a number of keys or bytes, or 10mb."),
    ] = ["1%", "5%", "10%", "25%"],  # noqa: B006
    unit: Annotated[
        str,
        typer.Option(
            help="What a size counts: keys, bytes of values, or total: values, keys, entries, "
            "ghosts and all metadata of prediction."
        ),
    ] = "keys",
    value_size: Annotated[
        str | None,
        typer.Option(
            help="Bytes of every value, for --unit total [as the trace says, 1000 if it doesn't]."
        ),
    ] = None,
    policy: Annotated[
        list[str],
        typer.Option(help="Eviction policy, or belady: the optimum that knows the future."),
    ] = ["lru", "auto", "belady"],  # noqa: B006
    predictor: Annotated[list[str], typer.Option(help="Predictor, or none.")] = ["none", "blend"],  # noqa: B006
    arrival: Annotated[
        int,
        typer.Option(
            min=0,
            help="Requests until a prefetch arrives that rides along with no miss of its table.",
        ),
    ] = 0,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A server's config file: its [[rule]]s and what it says of prediction are used. "
            "Links are not, they need values, which no trace has."
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Start from what antecache train has learned.")
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            help="Which models of scikit-learn may take over from counting: auto, off or one "
            "name [as the config file says, else auto]."
        ),
    ] = None,
    row_budget: Annotated[
        str | None,
        typer.Option(
            help="Rows that prefetching may read beyond those asked for [as the config file "
            "says, else 25%]."
        ),
    ] = None,
    prediction_memory: Annotated[
        str | None,
        typer.Option(
            help="Largest share of the cache that remembers, for --unit total [as the config "
            "file says, else 50%]."
        ),
    ] = None,
    plan_lag: Annotated[
        int, typer.Option(min=0, help="Accesses by which what was learned is used late.")
    ] = 0,
    requests: Annotated[
        int, typer.Option(min=0, help="Replay only the first so many of each trace.")
    ] = 0,
    jobs: Annotated[
        int, typer.Option(min=0, help="Processes [as many as there are processors].")
    ] = 0,
    csv: Annotated[Path | None, typer.Option(help="Write the results there too.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw miss-ratio curves there: .png, .svg or .pdf.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what policies draw at random.")] = 0,
) -> None:
    """Compare policies and predictors on recorded accesses, offline.

    Every size is replayed with every policy and every predictor.
    """
    from antecache.server import report
    from antecache.server.errors import ConfigError
    from antecache.server.replay_advice import advice_of, read_config
    from antecache.server.sweep import SweepError

    try:
        settings = read_config(config)
        advice = advice_of(settings, predictor, model=model, models=models)
    except ConfigError as error:
        _refuse(str(error))
    if row_budget is None:
        row_budget = str(settings.row_budget)
    if prediction_memory is None:
        prediction_memory = str(settings.prediction_memory)
    tasks = _tasks(
        traces,
        size,
        unit=unit,
        value_size=value_size,
        policy_names=policy,
        predictor_names=predictor,
        arrival=arrival,
        row_budget=_share("row-budget", row_budget),
        memory_share=_share("prediction-memory", prediction_memory, most=0.9),
        plan_lag=plan_lag,
        requests=requests,
        seed=seed,
        advice=advice,
    )
    for path in (csv, plot):
        if path is not None and not os.access(path.parent, os.W_OK):
            _refuse(f"{path}: cannot be written there")
    if plot is not None:
        from antecache.server import plot as picture

        if reason := picture.problem(plot):
            _refuse(reason)
    try:
        rows = _run(tasks, jobs or os.cpu_count() or 1)
    except SweepError as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        _refuse("interrupted", code=130)
    _print(rows)
    try:
        if csv is not None:
            report.write_csv(rows, csv)
        if plot is not None:
            picture.draw(rows, plot)
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror}")


def _tasks(
    traces: list[str],
    sizes: list[str],
    *,
    unit: str,
    value_size: str | None,
    policy_names: list[str],
    predictor_names: list[str],
    arrival: int,
    row_budget: float,
    memory_share: float,
    plan_lag: int,
    requests: int,
    seed: int,
    advice: Advice,
) -> list[Task]:
    """Every combination, each once, in the order of the table."""
    from antecache.server.sweep import BELADY, Task, parse_size
    from antecache.server.traces import UNITS
    from antecache.server.units import parse_memory

    if unit not in UNITS:
        _refuse(f"--unit: '{unit}' is none of {', '.join(UNITS)}")
    _check_names(policy_names, predictor_names)
    try:
        cache_sizes = [parse_size(text, unit) for text in sizes]
    except ValueError as error:
        _refuse(f"--size: {error}")
    try:
        value = parse_memory(value_size) if value_size is not None else 0
        if value_size is not None and not value:
            raise ValueError("a value of 0 bytes is none")
    except ValueError as error:
        _refuse(f"--value-size: {error}")
    tasks = [
        Task(
            path=path,
            size=size,
            unit=unit,
            policy=policy,
            predictor=predictor,
            value_size=value,
            memory_share=memory_share,
            row_budget=row_budget,
            arrival=arrival,
            plan_lag=plan_lag,
            seed=seed,
            limit=requests,
            advice=advice,
        )
        for path in traces
        for size in cache_sizes
        for policy in policy_names
        for predictor in (["none"] if policy == BELADY else predictor_names)
    ]
    return list(dict.fromkeys(tasks))


def _check_names(policy_names: list[str], predictor_names: list[str]) -> None:
    from antecache.policies import registry as policies
    from antecache.predictor import registry as predictors
    from antecache.server.sweep import BELADY

    # a cache that never evicts has no size
    known = [*(name for name in policies.names() if policies.find(name).evicts), BELADY]
    for name in policy_names:
        if name not in known:
            _refuse(f"--policy: '{name}' is none of {', '.join(known)}")
    known = [*predictors.names(), "none"]
    for name in predictor_names:
        if name not in known:
            _refuse(f"--predictor: '{name}' is none of {', '.join(known)}")


def _share(name: str, text: str, most: float = 100.0) -> float:
    """`25%` or `0.25` as 0.25."""
    try:
        percent = text.strip().endswith("%")
        share = float(text.strip().rstrip("%")) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= most:
        _refuse(f"--{name}: '{text}' is not a share between 0% and {most:.0%}")
    return share


def _run(tasks: list[Task], jobs: int) -> list[Row]:
    """Run the tasks under a progress bar, which only a terminal gets to see."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from antecache.server.sweep import compare

    console = Console(stderr=True)
    with Progress(
        TextColumn("replaying"),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total:.0f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bar = progress.add_task("replaying", total=len(tasks))
        return compare(
            tasks,
            jobs=jobs,
            tick=lambda done: progress.advance(bar, done),
            note=lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
        )


def _print(rows: list[Row]) -> None:
    from rich.console import Console

    from antecache.server import report

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    console.print(report.table(rows))
    if any(row.result.own_rules for row in rows):
        console.print(report.own_rules(rows))
    replayed = [row for row in rows if row.result.setup.policy != "belady"]
    requests = sum(row.result.requests for row in replayed)
    seconds = sum(row.result.seconds for row in replayed)
    if seconds:
        print(f"{requests:,} requests replayed, {requests / seconds:,.0f} a second of CPU")
    for text in report.remarks(rows):
        print(text)


def _refuse(reason: str, code: int = 2) -> NoReturn:
    print(f"antecache: {reason}", file=sys.stderr)
    raise typer.Exit(code)
