"""`make bench-safety`: what prediction does when it is attacked, or when things go wrong.

A real server over a SQLite database, and people who read it (`safety_world.py`).
Each case is run with prediction and, where that says something, without:

    poisoned   models that are damaged, absurd, or sure of everything
    runaway    a trainer that is stopped or killed while reads come as fast as they can
    scan       keys of a large table, each read once, in no order
    bot        a client that walks ids in order, one read after the other
    comings    the same, on a new connection for each read
    shuffled   an application's trace in random order: nothing can be learned

Every line is a measured value and what it may be at most (or least); `--strict` exits
with 1 when one is missed. Waits are those of the people, as a share of their reads.

What this file does not do: attack the protocol (`fuzz.py`), or measure what prediction
gains (`replay.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import safety_readers
from measure import DATA, TRACES, children, cpu_seconds, quantile
from safety_poison import poisoned
from safety_report import Findings, console
from safety_world import PIPELINE, Line, World, build, resident
from tracedb import Layout, read_trace

from antecache.server.spawn import Child, start

HELD = 2000
LOGS = 200_000


class Bench:
    """What the cases share: the database, the size of the run, and where findings go."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.found = Findings()
        self.database = options.data / f"safety-{options.scan}.db"
        build(self.database, options.scan)

    def case(self, name: str) -> Callable[[], None]:
        """What runs a case."""
        if name == "poisoned":
            return lambda: poisoned(self)
        found: Callable[[], None] = getattr(self, name)
        return found

    @contextmanager
    def world(self, prediction: str, **settings: object) -> Iterator[tuple[Child, World]]:
        """A server with or without prediction, and people who have read for a while."""
        chosen = {"backing": f"sqlite:///{self.database}", "maxkeys": HELD, "models": "off"}
        chosen["load-timeout"] = "30s"  # a busy machine must not turn a slow read into an error
        with start({**chosen, "prediction": prediction, **settings}) as server:
            world = World(server.port)
            try:
                world.visits(2 * self.options.visits)
                yield server, world
            finally:
                world.close()

    # -- a runaway log -------------------------------------------------------

    def runaway(self) -> None:
        """The trainer is stopped, then killed, while reads come as fast as they can."""
        with self.world("on") as (server, world):
            reader, hot = (
                Line(world.port),
                [b"products:%d" % (1 + at % 50) for at in range(PIPELINE)],
            )
            reader.read(hot)
            usual = self._pace(world, reader, hot)
            held = resident(server.pid)
            (trainer,) = children(server.pid)
            os.kill(trainer, signal.SIGSTOP)
            try:
                stopped = self._pace(world, reader, hot, most := [0])
                grown = resident(server.pid) - held
                told = world.info()
            finally:
                os.kill(trainer, signal.SIGCONT)
            self.found.at_most(
                "runaway", "trainer stopped: items of the log at once", most[0], 200_000
            )
            self.found.at_least(
                "runaway", "items dropped, and counted", told["access_log_dropped"], 1
            )
            self.found.at_most("runaway", "memory grown, MB", grown / 1e6, 64)
            self.found.at_most(
                "runaway", "median read of people, of the usual", stopped / usual, 1.5
            )
            os.kill(trainer, signal.SIGKILL)
            killed = self._pace(world, reader, hot)
            until = time.monotonic() + 30
            while world.info()["trainer_state"] != "running" and time.monotonic() < until:
                time.sleep(0.1)
            told = world.info()
            self.found.at_most(
                "runaway", "trainer killed: median read, of the usual", killed / usual, 1.5
            )
            self.found.at_least("runaway", "trainers started again", told["trainer_restarts"], 1)
            reader.close()

    def _pace(
        self, world: World, reader: Line, hot: list[bytes], most: list[int] | None = None
    ) -> float:
        """The median of people's reads (ns) while the reader sends `--flood` reads."""
        world.latencies.clear()
        for at in range(self.options.flood // PIPELINE):
            reader.read(hot)
            if at % 20 == 0:
                world.visits(2)
            if most is not None and at % 100 == 0:
                most[0] = max(most[0], world.info()["access_log_items"])
        return quantile(sorted(world.latencies), 0.5)

    # -- readers who disturb -------------------------------------------------

    def scan(self) -> None:
        """See `safety_readers.py`, which has the next two as well."""
        safety_readers.scan(self)

    def bot(self) -> None:
        """As told there."""
        safety_readers.bot(self)

    def comings(self) -> None:
        """As told there."""
        safety_readers.comings(self)

    # -- nothing to learn ----------------------------------------------------

    def shuffled(self) -> None:
        """The requests of a trace in random order, with prediction and without."""
        trace = TRACES / "orm_busy.csv.gz"
        if not trace.exists():
            console.print("  shuffled: skipped, the trace is not there")
            return
        keys = read_trace(trace)
        layout = Layout(keys)
        database = self.options.data / "orm_busy.db"
        layout.build_sqlite(database)
        asked = keys[: self.options.shuffled]
        random.Random(4).shuffle(asked)
        runs = {}
        for name in ("off", "on"):
            chosen = {"backing": f"sqlite:///{database}", "maxkeys": len(layout.keys) // 20}
            chosen["load-timeout"] = "30s"
            with start({**chosen, "prediction": name, "models": "off"}) as server:
                world = World(server.port)
                reader, cpu = Line(world.port), cpu_seconds(server.pid)
                for key in asked:
                    reader.read([key])
                runs[name] = world.counts(), cpu_seconds(server.pid) - cpu
                reader.close()
                world.close()
        (off, cpu_off), (on, cpu_on) = runs["off"], runs["on"]
        self.found.at_most(
            "shuffled",
            f"waits ({off.waits / len(asked):.3f} without), the difference",
            (on.waits - off.waits) / len(asked),
            0.003,
        )
        extra = on.rows / off.rows - 1
        self.found.at_most("shuffled", "rows beyond those without, share", extra, 0.25)
        ended = max(on.useful + on.wasted, 1)
        self.found.at_least("shuffled", "precision", on.useful / ended, 0.25)
        self.found.at_most("shuffled", "CPU of the server, of that without", cpu_on / cpu_off, 1.15)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases; 1 when `--strict` and a bound was missed."""
    options = _options(argv)
    bench = Bench(options)
    cases: dict[str, Callable[[], None]] = {name: bench.case(name) for name in options.cases}
    for name, run in cases.items():
        started = time.monotonic()
        console.print(name)
        run()
        console.print(f"  {time.monotonic() - started:.0f} s")
    bench.found.show()
    if options.json:
        options.json.write_text(
            json.dumps({"lines": bench.found.lines, "missed": bench.found.missed})
        )
    return 1 if bench.found.missed and options.strict else 0


CASES = ("poisoned", "runaway", "scan", "bot", "comings", "shuffled")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-safety", description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=_cases, default=CASES, help=f"of {', '.join(CASES)}")
    parser.add_argument("--scan", type=int, default=LOGS, help="rows of the large table")
    parser.add_argument("--walk", type=int, default=20_000, help="ids that the bot walks")
    parser.add_argument("--flood", type=int, default=500_000, help="reads of a runaway log")
    parser.add_argument("--shuffled", type=int, default=60_000, help="requests of the trace")
    parser.add_argument("--visits", type=int, default=700, help="of people, before and after")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of databases, kept")
    parser.add_argument("--json", type=Path, help="write the lines there too")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when a bound is missed")
    return parser.parse_args(argv)


def _cases(text: str) -> Sequence[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = set(names) - set(CASES)
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no case {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
