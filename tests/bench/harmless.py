"""`make bench-harmless`: what prediction costs where nothing can be predicted.

Rows of a table in SQLite are read in random order, so no read says anything about
the next. Two servers, with prediction and without, are asked the same keys in
alternating rounds, one request after the other and 16 in a pipeline; what counts is
the CPU time that the server process used per request (from /proc).
The trainer is a process of its own, at low priority, and is shown apart.

    few keys      any of 10,000 rows, where `maxkeys` holds 500
    little memory any of 40,000 rows, where `maxmemory` holds a tenth or so
    new, few keys each row once, where `maxkeys` holds 500
    new, no limit each row once, and all of them fit

The first requests, in which prediction finds out that there is nothing to learn, are
shown apart too. Then, in this process, what the log of accesses costs: appending a
key, and encoding a block and writing it to the trainer's pipe.

Targets: prediction costs at most 3% of the server's CPU, in a pipeline 15%; the log
at most 0.25 microseconds an access.

What this file does not do: measure reads that are hits, of which prediction
only appends the key to a list (`hotpath.py`, whose server predicts).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hiredis
import redis
from measure import DATA, children, cpu_seconds, one_core
from rich.console import Console
from rich.table import Table

from antecache.predictor.messages import frame
from antecache.server.accesslog import AccessLog
from antecache.server.spawn import Child, start

ROWS = 200_000
TARGETS = {1: 0.03, 16: 0.15}  # of the server's CPU, at most, by requests in a pipeline
LOG_TARGET = 0.25  # microseconds an access
ROUND = 4000  # requests
FIRST = 20_000  # requests before the rounds
BLOCK = 1000  # accesses that the log gathers until it is drained
PASSES = 200

console = Console()


class Scene(NamedTuple):
    """A server and the keys that it is asked; `memory` is bytes of maxmemory for entries."""

    settings: dict[str, object]
    keys: Callable[[], Iterator[int]]
    memory: int = 0


def _any(rows: int) -> Iterator[int]:
    rng = random.Random(1)
    while True:
        yield rng.randrange(rows) + 1


def _once() -> Iterator[int]:
    order = list(range(1, ROWS + 1))
    random.Random(2).shuffle(order)
    return iter(order)


SCENES = {
    "few keys": Scene({"maxkeys": 500}, lambda: _any(10_000)),
    "little memory": Scene({}, lambda: _any(40_000), memory=2 << 20),
    "new, few keys": Scene({"maxkeys": 500}, _once),
    "new, no limit": Scene({}, _once),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure all; 1 when `--strict` and something costs more than its target."""
    options = _options(argv)
    options.data.mkdir(parents=True, exist_ok=True)
    database = options.data / "harmless.db"
    if not database.exists():
        _create(database)
    table = Table("", "requests", "off", "on", "added", "wanted", "trainer")
    found: dict[str, Any] = {}
    for name in options.scenes:
        scene = SCENES[name]
        settings = {"backing": f"sqlite:///{database}", **scene.settings}
        with (
            start({**settings, "prediction": "off"}) as off,
            start({**settings, "prediction": "on"}) as on,
        ):
            servers = {"off": off, "on": on}
            for server in servers.values():
                _limit(server, scene.memory)
            found[name] = _measure(servers, scene, options)
        for what, costs in found[name].items():
            wanted = costs.get("wanted")
            table.add_row(
                name,
                what,
                f"{costs['off']:.1f} µs",
                f"{costs['on']:.1f} µs",
                f"{costs['added']:+.1%}",
                "" if wanted is None else f"{wanted:.0%} {_verdict(costs['added'] <= wanted)}",
                f"{costs['trainer']:.1f} µs",
            )
    console.print("CPU a request")
    console.print(table)
    append, drain = _log_costs()
    good = append + drain <= LOG_TARGET
    console.print(
        f"the log costs {append + drain:.3f} µs an access: append {append:.3f}, drain "
        f"{drain:.3f} (wanted <= {LOG_TARGET}) {_verdict(good)}"
    )
    missed = not good or any(
        costs["added"] > costs.get("wanted", costs["added"])
        for scene in found.values()
        for costs in scene.values()
    )
    if options.json:
        result = {"scenes": found, "log": {"append": append, "drain": drain}, "missed": missed}
        options.json.write_text(json.dumps(result, indent=1))
    return 1 if options.strict and missed else 0


def _verdict(good: bool) -> str:
    return "ok" if good else "MISSED"


def _create(path: Path) -> None:
    """The rows, of some 150 bytes each."""
    making = path.with_suffix(".new")
    making.unlink(missing_ok=True)
    with sqlite3.connect(making) as database:
        database.execute("create table things (id integer primary key, name text, note text)")
        rows = ((number, f"thing {number}", f"{number:0120d}") for number in range(1, ROWS + 1))
        database.executemany("insert into things values (?, ?, ?)", rows)
    database.close()
    making.rename(path)


def _limit(server: Child, memory: int) -> None:
    """Give entries so many bytes beyond what the process takes."""
    if memory:
        with redis.Redis(port=server.port) as client:
            used = client.info("memory")["used_memory"]
            client.config_set("maxmemory", used + memory)


# -- servers -----------------------------------------------------------------


def _measure(servers: dict[str, Child], scene: Scene, options: argparse.Namespace) -> Any:
    """Microseconds of CPU a request, and what is added: the median of what each pair says."""
    keys = scene.keys()
    count = max(512, int(FIRST * options.scale))
    found = {"the first": _compare(servers, [_requests(keys, count)], 1)}
    count = max(512, int(ROUND * options.scale))
    for depth in options.depths:
        rounds = [_requests(keys, count) for _ in range(options.rounds)]
        what = "later" if depth == 1 else f"later, {depth} in a pipeline"
        found[what] = {**_compare(servers, rounds, depth), "wanted": TARGETS[depth]}
    return found


def _compare(servers: dict[str, Child], rounds: list[list[bytes]], depth: int) -> dict[str, Any]:
    costs: dict[str, list[float]] = {name: [] for name in servers}
    trained = _trainer(servers["on"])
    for number, requests in enumerate(rounds):
        # Who goes first alternates, so that a drift of the machine favours nobody.
        order = list(servers.items())
        for name, server in order if number % 2 else reversed(order):
            before = _run_seconds(server.pid)
            _ask(server, requests, depth)
            costs[name].append((_run_seconds(server.pid) - before) / len(requests) * 1e6)
    pairs = zip(costs["on"], costs["off"], strict=True)
    asked = sum(map(len, rounds))
    return {
        "off": statistics.median(costs["off"]),
        "on": statistics.median(costs["on"]),
        "added": statistics.median(on / max(off, 1e-9) for on, off in pairs) - 1,
        "trainer": (_trainer(servers["on"]) - trained) / asked * 1e6,
        "rounds": costs,
    }


def _trainer(server: Child) -> float:
    return sum(_run_seconds(child) for child in children(server.pid))


def _run_seconds(pid: int) -> float:
    """As `cpu_seconds`, to the nanosecond where the kernel keeps such books.

    Only threads that live count: a process whose threads come and go seems cheaper.
    """
    spent = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        spent += int(path.read_text("ascii").split()[0])
    return spent / 1e9 or cpu_seconds(pid)


def _requests(numbers: Iterator[int], count: int) -> list[bytes]:
    keys = (b"things:%d" % next(numbers) for _ in range(count))
    return [b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key) for key in keys]


def _ask(server: Child, requests: list[bytes], depth: int) -> None:
    """Send `depth` at once when all replies before have come; every reply must be a value."""
    with (
        one_core(server.pid),
        socket.create_connection(("127.0.0.1", server.port)) as connection,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = hiredis.Reader()
        for first in range(0, len(requests), depth):
            sent = requests[first : first + depth]
            connection.sendall(b"".join(sent))
            waiting = len(sent)
            while waiting:
                reply = reader.gets()
                if reply is False:
                    data = connection.recv(1 << 16)
                    if not data:
                        raise RuntimeError("the server closed the connection")
                    reader.feed(data)
                elif isinstance(reply, bytes):
                    waiting -= 1
                else:
                    raise RuntimeError(f"GET answered {reply!r}")


# -- the log -----------------------------------------------------------------


def _log_costs() -> tuple[float, float]:
    """Microseconds an access for appending, and for encoding a block and writing it to a pipe."""
    log = AccessLog()
    keys = [b"things:%d" % number for number in range(BLOCK)]
    append = log.items.append
    out, into = os.pipe()
    appending, draining, looping = [], [], []
    for _ in range(PASSES):
        started = time.process_time_ns()
        for _key in keys:
            pass
        looped = time.process_time_ns()
        for key in keys:
            append(key)
        appended = time.process_time_ns()
        os.write(into, frame(log.drain() or b""))
        drained = time.process_time_ns()
        while len(os.read(out, 1 << 20)) == 1 << 16:
            pass
        looping.append(looped - started)
        appending.append(appended - looped)
        draining.append(drained - appended)
    os.close(out)
    os.close(into)
    loop = statistics.median(looping)
    return (
        (statistics.median(appending) - loop) / BLOCK / 1000,
        statistics.median(draining) / BLOCK / 1000,
    )


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-harmless", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--scale", type=float, default=1.0, help="of requests")
    parser.add_argument("--scenes", nargs="+", choices=list(SCENES), default=list(SCENES))
    parser.add_argument("--depths", nargs="+", type=int, choices=list(TARGETS), default=[1, 16])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the database, kept")
    parser.add_argument("--json", type=Path, help="write the results there too")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when it costs more")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
