"""`make bench-restart`: reads until a restarted server hits as often as the old one did.

Visitors walk through the sample shop (`antecache shop`, SQLite) behind a server of
`--maxkeys` keys, with prediction, until its hit ratio is settled. Then it is
stopped and started again, once without its state file (cold) and once with it
(warm), and the next day's visitors come, to whom the same things are popular. What
is printed is after how many reads the first window of `--window` reads begins whose
hit ratio is 90% of the old one, the waits of all reads, the rows that the warm start
loaded, and a chart of the hit ratio over the reads since the start; `--svg` keeps it
as a picture, `--plot` has matplotlib draw one.

What this file does not do: pause between the start and the first read. Warming up
and serving run side by side, as they would.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from charts import courses, save_svg

from antecache.server import shop, spawn
from antecache.server.demo_shoppers import SOURCES, Crowd, show

PRODUCTS, CUSTOMERS = 5000, 10_000
SHARE = 0.9


@dataclass
class Run:
    """One life of a server: hit ratios of windows, by reads; and what it took."""

    name: str
    reads: int = 0
    until: int | None = None
    waits: int = 0
    loaded: int = 0
    curve: list[tuple[int, float]] = field(default_factory=list)

    @property
    def settled(self) -> float:
        """The hit ratio over the last half of the windows."""
        half = self.curve[len(self.curve) // 2 :]
        return sum(ratio for _, ratio in half) / max(len(half), 1)


def live(
    name: str, settings: dict[str, Any], crowd: Crowd, *, reads: int, window: int, goal: float
) -> Run:
    """Serve `reads` reads on a fresh server, and stop it."""
    run = Run(name)
    with spawn.start(settings) as server, redis.Redis(port=server.port, protocol=3) as client:
        missed: deque[bool] = deque(maxlen=window)
        known = [0]

        def read(key: str) -> Any:
            value = client.get(key)
            now = client.execute_command("PREDICTOR", "STATUS")[b"waits"]
            missed.append(now > known[0])
            known[0] = now
            run.reads += 1
            ratio = 1 - sum(missed) / len(missed)
            if run.reads % (window // 5) == 0:
                run.curve.append((run.reads, ratio))
            if len(missed) == window and run.until is None and ratio >= goal:
                run.until = run.reads - window
            return None if value is None else json.loads(value)

        for page, told in crowd.pages():
            told(show(page, read))
            if run.reads >= reads:
                break
        status = client.execute_command("PREDICTOR", "STATUS")
        run.waits = status[b"waits"]
        run.loaded = int(status[b"warming"].get(b"loaded", 0))
    return run


def measure(
    folder: Path,
    *,
    maxkeys: int = 4000,
    before: int = 15_000,
    after: int = 6000,
    window: int = 500,
    seed: int = 1,
    note: Callable[[str], None] = lambda _: None,
) -> list[Run]:
    """The old life, then a cold and a warm one."""
    database = folder / "shop.db"
    if not database.exists():
        shop.create(database)
    config, state = folder / "antecache.toml", folder / "state"
    config.write_text(SOURCES)
    settings = {
        "config": config,
        "backing": f"sqlite:///{database}",
        "maxkeys": maxkeys,
        "models": "off",
    }

    def crowd(day: int) -> Crowd:
        """Visitors of a day: the same things are popular, and other people come."""
        made = Crowd(products=PRODUCTS, customers=CUSTOMERS, seed=seed)
        made._rng.seed(1000 * seed + day)
        return made

    note("the old server")
    warm = {**settings, "state-file": state}
    old = live("old", warm, crowd(0), reads=before, window=window, goal=2.0)
    goal = SHARE * old.settled
    runs = [old]
    for name, chosen in (("cold", settings), ("warm", warm)):
        note(f"a {name} start")
        runs.append(live(name, chosen, crowd(1), reads=after, window=window, goal=goal))
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--maxkeys", type=int, default=4000)
    parser.add_argument("--before", type=int, default=15_000, help="reads of the old server")
    parser.add_argument("--after", type=int, default=6000, help="reads of each new one")
    parser.add_argument("--window", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="draw the hit ratios there: .png, .svg")
    parser.add_argument("--svg", type=Path, help="the chart as a picture")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = measure(
            Path(folder),
            maxkeys=options.maxkeys,
            before=options.before,
            after=options.after,
            window=options.window,
            seed=options.seed,
            note=lambda text: print(text, file=sys.stderr, flush=True),
        )
    goal = SHARE * runs[0].settled
    if options.json:
        print(json.dumps({run.name: [run.until, run.waits, run.loaded] for run in runs}))
    else:
        print(f"hit ratio of the old server {runs[0].settled:.3f}; 90% of it is {goal:.3f}")
        print(f"{'start':8}{'reads until then':>18}{'waits':>8}{'rows loaded at the start':>26}")
        for run in runs[1:]:
            until = "never" if run.until is None else f"{run.until:,}"
            print(f"{run.name:8}{until:>18}{run.waits:>8,}{run.loaded:>26,}")
        print("\n" + "\n".join(chart(runs, goal, options.window)))
    if options.svg is not None:
        save_svg(chart(runs, goal, options.window), options.svg, "hit ratio after a restart")
    if options.plot is not None:
        draw(runs, goal, options.plot)


def chart(runs: list[Run], goal: float, window: int) -> list[str]:
    """Hit ratio of the last window (up) by reads since the start: c(old) and w(arm)."""
    head = f"hit ratio of the last {window} reads: c cold, w warm; ··· 90% of the old one"
    curves = {run.name: run.curve for run in runs[1:]}
    right = max((reads for points in curves.values() for reads, _ in points), default=1)
    return [head, "", *courses(curves, goal, right=float(right), unit="reads since the start")]


def draw(runs: list[Run], goal: float, path: Path) -> None:
    """Hit ratio of a window over the reads since the start."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for run in runs[1:]:
        axes.plot(*zip(*run.curve, strict=True), label=f"{run.name} start")
    axes.axhline(goal, color="grey", linestyle="--", label="90% of the old hit ratio")
    axes.set(xlabel="reads since the start", ylabel="hit ratio", ylim=(0, 1))
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
