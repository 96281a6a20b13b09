"""`make bench-harmless`: what prediction costs where nothing can be predicted.

Customers of the sample shop are read in uniformly random order through a cache
that holds a small part of them, so nearly every read is a demand miss and no
read says anything about the next. Two servers, with prediction and without,
are asked the same keys in alternating rounds, one request after the other; what
counts is the CPU time that the server process used per request (user and system,
from /proc). The trainer is a process of its own, at low priority, and is shown
apart.

Target: prediction costs at most 3% of the server's CPU.

What this file does not do: measure reads that are hits, of which prediction
only appends the key to a list (`hotpath.py`, whose server predicts).
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
from measure import DATA, children, cpu_seconds, one_core
from rich.console import Console
from rich.table import Table

from antecache.server.shop import create
from antecache.server.spawn import Child, start

CUSTOMERS = 10_000
HELD = 500
TARGET = 0.03  # of the server's CPU, at most
ROUND = 4000  # requests
WARMING = 20_000

console = Console()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure both; 1 when `--strict` and prediction costs more than the target."""
    options = _options(argv)
    options.data.mkdir(parents=True, exist_ok=True)
    database = options.data / "shop.db"
    if not database.exists():
        create(database)
    limit = {"maxmemory": options.maxmemory} if options.maxmemory else {"maxkeys": HELD}
    settings = {"backing": f"sqlite:///{database}", **limit}
    with (
        start({**settings, "prediction": "off"}) as off,
        start({**settings, "prediction": "on"}) as on,
    ):
        result = _measure({"off": off, "on": on}, options)
        with redis.Redis(port=on.port, protocol=3) as client:
            status = client.execute_command("PREDICTOR", "STATUS")
    added = result["added"]
    good = added <= TARGET
    for name in ("off", "on"):
        console.print(f"prediction {name}: {result[name]:.2f} µs of CPU a request")
    if options.verbose:
        table = Table("", "prediction on")
        for field, value in status.items():
            table.add_row(field.decode(), str(value))
        console.print(table)
    console.print(f"the trainer, a process of its own: {result['trainer']:.2f} µs a request")
    console.print(
        f"prediction costs {added:+.1%} of the server's CPU, median of {options.rounds} rounds "
        f"(wanted <= {TARGET:.0%}) {'ok' if good else 'MISSED'}"
    )
    if options.json:
        options.json.write_text(json.dumps({**result, "missed": not good}, indent=1))
    return 1 if options.strict and not good else 0


def _measure(servers: dict[str, Child], options: argparse.Namespace) -> dict[str, Any]:
    """Microseconds of CPU a request: means, and the median of what each pair of rounds says."""
    rng = random.Random(1)
    costs: dict[str, list[float]] = {name: [] for name in servers}
    warming = _requests(rng, max(500, int(WARMING * options.scale)))
    for server in servers.values():
        _ask(server, warming)
    trained = _trainer(servers["on"])
    for round_ in range(options.rounds):
        requests = _requests(rng, max(500, int(ROUND * options.scale)))
        # Who goes first alternates, so that a drift of the machine favours nobody.
        order = list(servers.items())
        for name, server in order if round_ % 2 else reversed(order):
            before = cpu_seconds(server.pid)
            _ask(server, requests)
            spent = cpu_seconds(server.pid) - before
            costs[name].append(spent / len(requests) * 1e6)
    pairs = zip(costs["on"], costs["off"], strict=True)
    requested = options.rounds * max(500, int(ROUND * options.scale))
    return {
        "off": statistics.mean(costs["off"]),
        "on": statistics.mean(costs["on"]),
        "added": statistics.median(on / max(off, 1e-9) for on, off in pairs) - 1,
        "trainer": (_trainer(servers["on"]) - trained) / requested * 1e6,
        "rounds": costs,
    }


def _trainer(server: Child) -> float:
    return sum(cpu_seconds(child) for child in children(server.pid))


def _requests(rng: random.Random, count: int) -> list[bytes]:
    keys = (b"customers:%d" % (rng.randrange(CUSTOMERS) + 1) for _ in range(count))
    return [b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key) for key in keys]


def _ask(server: Child, requests: list[bytes]) -> None:
    """Send each when the reply to the one before it has come; every reply must be a value."""
    with (
        one_core(server.pid),
        socket.create_connection(("127.0.0.1", server.port)) as connection,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            connection.sendall(request)
            reply = connection.recv(65_536)
            length, separator, value = reply.partition(b"\r\n")
            if not reply.startswith(b"$") or not separator or length == b"$-1":
                raise RuntimeError(f"GET answered {reply[:80]!r}")
            missing = int(length[1:]) + 2 - len(value)
            while missing > 0:
                more = connection.recv(65_536)
                if not more:
                    raise RuntimeError("the server closed the connection")
                missing -= len(more)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-harmless", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scale", type=float, default=1.0, help="of requests")
    parser.add_argument("--maxmemory", help=f"a limit in bytes instead of {HELD} keys")
    parser.add_argument("--verbose", action="store_true", help="show PREDICTOR STATUS")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the database, kept")
    parser.add_argument("--json", type=Path, help="write the results there too")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when it costs more")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
