"""`make bench-hotpath`: what a command costs the server, beside redis-server in the same run.

redis-benchmark (50 clients, 100-byte values, 100,000 keys) asks both servers in
alternating rounds; what counts is the CPU time that the server process used per
request (user and system, from /proc), because client and server share a machine
and the rate mostly measures the client. antecache runs as in production: the
sample shop as its database, prediction on, every access logged, an eviction
policy active over all keys; redis-server with allkeys-lru.

Then the policy `auto` beside `lru` (`policycost.py`), and latency: GETs one after
the other while nothing else happens, and while the trainer learns from a million
accesses and fits a Plan.

Targets: GET and SET within 1.25 times redis-server without pipelining, within
2 times with 16 commands in a pipeline.

What this file does not do: measure what the clients wait for under load.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import socket
import statistics
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import redis
from measure import DATA, children, cpu_seconds, has_redis, one_core, quantile, redis_server
from policycost import MANY_KEYS, compare_policies
from rich.console import Console
from rich.table import Table

from antecache.server.shop import create
from antecache.server.spawn import Child, start

COMMANDS = ("get", "set", "incr", "hset", "mset")
DEPTHS = {1: 200_000, 16: 1_000_000}  # requests a round, so that a clock tick (10 ms) is below 1%
KEYS = 100_000
TARGETS = {1: 1.25, 16: 2.0}  # GET and SET, times redis-server
MEMORY = 1 << 30
LEARNED = 1_000_000

console = Console()

Costs = dict[str, list[float]]  # microseconds of CPU a request, by server


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 when `--strict` and a target was missed."""
    options = _options(argv)
    options.data.mkdir(parents=True, exist_ok=True)
    database = options.data / "shop.db"
    if not database.exists():
        create(database)
    result: dict[str, Any] = {}
    missed: list[str] = []
    settings = {
        "backing": f"sqlite:///{database}",
        "policy": "allkeys-s3fifo",
        "maxmemory": MEMORY,
    }
    if options.profile:
        with start(settings) as server:
            _profile(server, options)
        return 0
    if not (has_redis() and shutil.which("redis-benchmark")):
        console.print("bench-hotpath: skipped, redis-server and redis-benchmark are not installed")
    else:
        with (
            start(settings) as server,
            redis_server(maxmemory=str(MEMORY), maxmemory_policy="allkeys-lru") as other,
        ):
            servers = {"antecache": (server.port, server.pid), "redis": (other.port, other.pid)}
            result["cost"], missed = _compare(servers, options)
            trainers = sum(cpu_seconds(child) for child in children(server.pid))
            console.print(f"CPU of the trainer meanwhile: {trainers:.1f} s")
        if not options.no_policies:
            result["policies"], more = compare_policies(
                settings,
                lambda *what: _cost(*what, options.scale / 2, MANY_KEYS),
                lambda port: _fill(port, options.scale, MANY_KEYS),
                rounds=options.rounds,
                depths=options.depths,
                console=console,
            )
            missed += more
    if not options.no_training:
        with start(settings) as server:
            result["training"] = _training(server, options)
    if options.json:
        options.json.write_text(json.dumps({**result, "missed": missed}, indent=1))
    return 1 if missed and options.strict else 0


# -- CPU per request -----------------------------------------------------------


def _compare(
    servers: dict[str, tuple[int, int]], options: argparse.Namespace
) -> tuple[dict[str, Any], list[str]]:
    """Medians of all rounds as plain data, and which targets were missed."""
    for port, _ in servers.values():
        _fill(port, options.scale)
    found: dict[tuple[str, int], Costs] = {}
    for round_ in range(options.rounds):
        for depth in options.depths:
            for command in options.commands:
                costs = found.setdefault((command, depth), {name: [] for name in servers})
                # Who goes first alternates, so that a drift of the machine favours nobody.
                order = list(servers.items())
                for name, (port, pid) in order if round_ % 2 else reversed(order):
                    costs[name].append(_cost(port, pid, command, depth, options.scale))
    table = Table(title="server CPU per request, µs (median of rounds)")
    for heading in ("command", "pipeline", *servers, "ratio", "wanted"):
        table.add_column(heading, justify="left" if heading == "command" else "right")
    plain: dict[str, Any] = {}
    missed = []
    for (command, depth), costs in found.items():
        medians = {name: statistics.median(each) for name, each in costs.items()}
        ratio = medians["antecache"] / max(medians["redis"], 1e-9)
        wanted = ""
        if command in ("get", "set") and depth in TARGETS:
            wanted = f"{TARGETS[depth]:g}"
            if ratio > TARGETS[depth]:
                wanted += " MISSED"
                missed.append(f"{command} P={depth}")
        shown = [f"{value:.2f}" for value in medians.values()]
        table.add_row(command.upper(), str(depth), *shown, f"{ratio:.2f}", wanted)
        plain[f"{command} P={depth}"] = {**medians, "ratio": ratio, "rounds": costs}
    console.print(table)
    return plain, missed


def _fill(port: int, scale: float, keys: int = KEYS) -> None:
    _benchmark(port, "set", 16, max(1000, int(4 * keys * min(1.0, scale))), keys)


def _cost(port: int, pid: int, command: str, depth: int, scale: float, keys: int = KEYS) -> float:
    count = max(1000, int(DEPTHS.get(depth, DEPTHS[16]) * scale))
    if command == "mset":  # ten keys each
        count = max(1000, count // 5)
    before = cpu_seconds(pid)
    _benchmark(port, command, depth, count, keys)
    return (cpu_seconds(pid) - before) / count * 1e6


def _benchmark(port: int, command: str, depth: int, count: int, keys: int = KEYS) -> None:
    words = ["redis-benchmark", "-p", str(port), "-t", command, "-P", str(depth), "-q", "--csv"]
    words += ["-n", str(count), "-c", "50", "-d", "100", "-r", str(keys)]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    if answer.returncode or "rror" in answer.stdout + answer.stderr:
        raise RuntimeError(f"redis-benchmark {command}: {answer.stdout}{answer.stderr}")


# -- latency while the trainer works -------------------------------------------


def _training(server: Child, options: argparse.Namespace) -> dict[str, Any]:
    """GET latency while idle, and while a history is learned and a Plan is fitted."""
    history = options.data / "hotpath-history.csv"
    lines = max(10_000, int(LEARNED * options.scale))
    _write_history(history, lines)
    with redis.Redis(port=server.port, protocol=3) as client, one_core(server.pid):
        for at in range(10_000):
            client.set(f"key:{at:012d}", b"x" * 100)
        seconds = max(1.0, 10 * options.scale)
        idle = _latencies(server.port, lambda elapsed: elapsed < seconds)
        client.execute_command("PREDICTOR", "IMPORT", str(history))
        fitting = _latencies(server.port, lambda _: _importing(client))
        asked = client.execute_command("PREDICTOR", "RETRAIN")
        after = _latencies(server.port, lambda elapsed: elapsed < seconds / 5)
        state = client.execute_command("PREDICTOR", "STATUS")[b"import"]
    if state.get(b"state") != b"done" or asked != b"OK":
        raise RuntimeError(f"the import ended as {state}")
    table = Table(title=f"GET latency, µs, one client; the trainer learns {lines:,} accesses")
    for heading in ("", "reads", "p50", "p99", "p99.9", "max"):
        table.add_column(heading, justify="right")
    plain = {}
    for name, latencies in (("idle", idle), ("learning", fitting), ("after RETRAIN", after)):
        ordered = sorted(latencies)
        values = [quantile(ordered, share) / 1e3 for share in (0.5, 0.99, 0.999, 1.0)]
        table.add_row(name, f"{len(ordered):,}", *(f"{value:.0f}" for value in values))
        plain[name] = dict(zip(("p50", "p99", "p999", "max"), values, strict=True))
    console.print(table)
    plain["p99 ratio"] = plain["learning"]["p99"] / plain["idle"]["p99"]
    console.print(f"p99 while learning / idle: {plain['p99 ratio']:.2f}")
    return plain


def _importing(client: redis.Redis) -> bool:
    state = client.execute_command("PREDICTOR", "STATUS")[b"import"].get(b"state")
    return bool(state == b"running")


def _latencies(port: int, going_on: Callable[[float], bool]) -> array[int]:
    """Nanoseconds of GETs one after the other, over a bare socket, a thousand between two looks."""
    found = array("Q")
    rng = random.Random(1)
    requests = [b"*2\r\n$3\r\nGET\r\n$16\r\nkey:%012d\r\n" % at for at in range(10_000)]
    clock = time.perf_counter_ns
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not found or going_on(time.monotonic() - started):
            for request in rng.choices(requests, k=1000):
                before = clock()
                connection.sendall(request)
                reply = connection.recv(4096)
                found.append(clock() - before)
                if not reply.startswith(b"$100\r\n"):
                    raise RuntimeError(f"GET answered {reply[:80]!r}")
    return found


def _write_history(path: Path, lines: int) -> None:
    """Accesses of the shop in runs: what followed once follows again, most of the time."""
    rng = random.Random(2)
    with path.open("w") as file:
        file.write("time,client,key,size\n")
        at = 0
        while at < lines:
            product = int(5_000 * rng.random() ** 2) + 1
            for key in (
                f"products:{product}",
                f"categories:{product % 40 + 1}",
                *(f"reviews:{(product * 7 + n) % 8_000 + 1}" for n in range(4)),
                f"customers:{rng.randrange(10_000) + 1}",
            ):
                file.write(f"{at},0,{key},1\n")
                at += 1


# -- profile -------------------------------------------------------------------


def _profile(server: Child, options: argparse.Namespace) -> None:
    """Where the server's time goes for each command: py-spy's samples, by function."""
    py_spy = Path(sys.executable).with_name("py-spy")
    if not py_spy.exists():
        raise SystemExit("bench-hotpath: --profile needs py-spy")
    _benchmark(server.port, "set", 16, 4 * KEYS)
    for depth in options.depths:
        for command in options.commands:
            out = options.data / f"profile-{command}-{depth}.txt"
            words = [str(py_spy), "record", "-p", str(server.pid), "-d", "5", "-r", "500"]
            spy = subprocess.Popen(
                [*words, "-n", "-f", "raw", "-o", str(out)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            while spy.poll() is None:
                _benchmark(server.port, command, depth, DEPTHS[depth] // 4)
            _show_profile(out, f"{command.upper()} P={depth}")


def _show_profile(path: Path, title: str) -> None:
    own: dict[str, int] = {}
    for line in path.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        leaf = stack.rpartition(";")[2]
        own[leaf] = own.get(leaf, 0) + int(count)
    total = sum(own.values()) or 1
    table = Table("share", "function (its own time)", title=title)
    for name, count in sorted(own.items(), key=lambda item: -item[1])[:25]:
        table.add_row(f"{count / total:.1%}", name)
    console.print(table)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-hotpath", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--commands", type=lambda text: text.split(","), default=COMMANDS)
    parser.add_argument("--depths", type=_depths, default=tuple(DEPTHS), help="of the pipeline")
    parser.add_argument("--scale", type=float, default=1.0, help="of requests and history")
    parser.add_argument("--no-training", action="store_true", help="leave out the latency part")
    parser.add_argument("--no-policies", action="store_true", help="leave out auto against lru")
    parser.add_argument("--profile", action="store_true", help="py-spy instead of comparing")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of database and profiles")
    parser.add_argument("--json", type=Path, help="write the results there too")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when a target is missed")
    return parser.parse_args(argv)


def _depths(text: str) -> list[int]:
    return [int(depth) for depth in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
