"""`make bench-replay`: a real trace through a real server, with and without prediction.

The keys of a trace (`orm_busy`: an e-commerce application on a busy day) become
rows of a database. The first 1.2 million requests are history that the server
learns from; the last 300,000 are replayed through one redis-py connection with
a cache of 5% of the keys, each run on a fresh server process:

    off, on             prediction off; prediction on, after learning the history
    redis               the same requests cache-aside: redis-server (allkeys-lru, as many keys
                        held), and the application reads the database on a miss
    cold off, cold on   the first 300,000 requests, nothing learned before

A *wait* is a key read that waited for the database, a *statement* a SELECT
sent, a *row* a key asked of it, *precision* the share of ended prefetches that
were used. Targets: waits on/off at most 0.35, statements 0.65, rows 1.4, precision
at least 0.7, and antecache without prediction waits no more than cache-aside.

What this file does not do: simulate. Every number comes from the server's own
counters or the client's clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import redis
from measure import (
    DATA,
    TRACES,
    cpu_seconds,
    database_server,
    has_redis,
    one_core,
    quantile,
    redis_server,
)
from rich.console import Console
from rich.table import Table
from tracedb import Layout, read_trace, write_history

from antecache.server.spawn import Child, start

REPLAYED = 300_000
SHARE = 0.05
CHECK_EVERY = 997  # one reply in so many is compared with the row
SERVERS = ("postgres", "mariadb")  # that `--backing` starts
RUNS = ("off", "on", "redis", "cold off", "cold on")
TARGETS = {"waits": 0.35, "statements": 0.65, "rows": 1.4}  # on/off, at most
PRECISION = 0.7  # at least

console = Console()


@dataclass(slots=True)
class Result:
    """One run. Latencies are nanoseconds in order; counts are over the run."""

    name: str
    requests: int
    seconds: float
    cpu: float  # seconds of the server process
    waits: int
    statements: int
    rows: int
    held: int  # keys resident at the end
    useful: int = 0
    late: int = 0
    wasted: int = 0
    memory: int = 0  # bytes of the predictor
    latencies: Sequence[int] = field(default_factory=list)

    @property
    def precision(self) -> float | None:
        """(useful + late) / (useful + late + wasted)."""
        ended = self.useful + self.late + self.wasted
        return (self.useful + self.late) / ended if ended else None

    @property
    def late_share(self) -> float | None:
        """Of the prefetches that were asked for, those still on their way then."""
        used = self.useful + self.late
        return self.late / used if used else None


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 when `--strict` and a target was missed."""
    options = _options(argv)
    if not options.trace.exists():
        console.print(f"bench-replay: skipped, there is no trace {options.trace}")
        return 0
    if options.backing not in SERVERS:
        return _compare(options, options.backing or "")
    with database_server(options.backing) as url:
        return _compare(options, url)


def _compare(options: argparse.Namespace, url: str) -> int:
    """All runs over the database at `url`, a SQLite file of its own where that is empty."""
    keys = read_trace(options.trace)
    layout = Layout(keys)
    if url:
        asyncio.run(layout.build(url))
    else:
        url = _sqlite(layout, options.data / f"{_stem(options.trace)}.db")
    count = min(options.requests, len(keys))
    capacity = max(1, round(options.share * len(layout.keys)))
    history = options.data / f"{_stem(options.trace)}-history.csv"
    warm = min(options.warm, len(keys) - count)
    before = keys[len(keys) - count - warm : len(keys) - count]
    write_history(keys[: len(keys) - count - warm], history)
    console.print(
        f"{options.trace.name}: {len(keys):,} requests of {len(layout.keys):,} keys; "
        f"{count:,} replayed, {capacity:,} keys held; database {url.partition(':')[0]}"
    )
    bench = Bench(layout, url, capacity, history, before)
    ways: dict[str, Callable[[], Result]] = {
        "off": lambda: bench.antecache("off", keys[-count:], prediction=False, warm=True),
        "on": lambda: bench.antecache("on", keys[-count:], prediction=True, learn=True, warm=True),
        "redis": lambda: bench.cache_aside("redis", keys[-count:]),
        "cold off": lambda: bench.antecache("cold off", keys[:count], prediction=False),
        "cold on": lambda: bench.antecache("cold on", keys[:count], prediction=True),
    }
    results = {}
    for name in options.runs:
        if name == "redis" and not has_redis():
            console.print("no cache-aside run: redis-server is not installed")
            continue
        results[name] = ways[name]()
    _show(results)
    missed = _verdicts(results)
    if options.json:
        texts = {name: _plain(result) for name, result in results.items()}
        options.json.write_text(json.dumps({"runs": texts, "missed": missed}, indent=1))
    return 1 if missed and options.strict else 0


class Bench:
    """What all runs have in common: the rows, where they are, and how many keys are held.

    before  what is asked, and not counted, before the requests of every run that is not cold
    """

    def __init__(
        self, layout: Layout, url: str, capacity: int, history: Path, before: Sequence[bytes] = ()
    ) -> None:
        self._layout = layout
        self._url = url
        self._capacity = capacity
        self._history = history
        self._before = before
        self._config = history.with_name("replay.toml")
        self._config.write_text(layout.config)

    def antecache(
        self,
        name: str,
        keys: Sequence[bytes],
        *,
        prediction: bool,
        learn: bool = False,
        warm: bool = False,
    ) -> Result:
        """Replay through a fresh antecache."""
        settings = {
            "config": self._config,
            "backing": self._url,
            "maxkeys": self._capacity,
            "prediction": "on" if prediction else "off",
            "load-timeout": "30s",  # a busy machine must not turn a slow read into an error
        }
        with start(settings) as server, _client(server.port) as client:
            if learn:
                self._learn(client, server)
            if warm:
                with one_core(server.pid):
                    self._drive(name, client.get, self._before)
            before = status(client)
            cpu = cpu_seconds(server.pid)
            with one_core(server.pid):
                latencies, seconds = self._drive(name, client.get, keys)
            cpu = cpu_seconds(server.pid) - cpu
            after = status(client)
            held = client.dbsize()
        change = {key: after[key] - before[key] for key in after if isinstance(after[key], int)}
        return Result(
            name,
            len(keys),
            seconds,
            cpu,
            waits=change["waits"],
            statements=change["statements"],
            rows=change["demand-rows"] + change["prefetch-rows"],
            held=held,
            useful=change["prefetches-useful"],
            late=change["prefetches-late"],
            wasted=change["prefetches-wasted"],
            memory=after["memory-bytes"],
            latencies=latencies,
        )

    def cache_aside(self, name: str, keys: Sequence[bytes]) -> Result:
        """Replay as an application does that keeps its cache itself, in redis-server."""
        misses = 0
        policy = {"maxmemory": "0", "maxmemory_policy": "allkeys-lru"}
        with (
            redis_server(**policy) as server,
            _client(server.port) as client,
            self._layout.application(self._url) as load,
        ):

            def get(key: bytes) -> Any:
                nonlocal misses
                value = client.get(key)
                if value is None:
                    misses += 1
                    value = load(key)
                    client.set(key, value)
                return value

            self._calibrate(client, load)
            self._drive(name, get, self._before)
            misses = 0
            cpu = cpu_seconds(server.pid)
            with one_core(server.pid):
                latencies, seconds = self._drive(name, get, keys)
            cpu = cpu_seconds(server.pid) - cpu
            held = client.dbsize()
        return Result(
            name, len(keys), seconds, cpu, misses, misses, misses, held, latencies=latencies
        )

    def _calibrate(self, client: redis.Redis, load: Callable[[bytes], bytes]) -> None:
        """Find the maxmemory that holds as many keys; leaves the server empty."""
        some = self._layout.keys[: 3 * self._capacity + 100]
        base = int(client.info("memory")["used_memory"])
        for key in some[: self._capacity]:
            client.set(key, load(key))
        limit = int(client.info("memory")["used_memory"])
        each = max((limit - base) / min(len(some), self._capacity), 1)
        for _ in range(8):
            client.config_set("maxmemory", limit)
            client.flushall()
            for key in some:
                client.set(key, load(key))
            over = client.dbsize() - min(len(some), self._capacity)
            if abs(over) <= self._capacity // 200:
                break
            limit -= int(over * each)
        client.flushall()

    def _learn(self, client: redis.Redis, server: Child) -> None:
        started = time.monotonic()
        client.execute_command("PREDICTOR", "IMPORT", str(self._history))
        while True:
            now = status(client)
            state = now["import"].get("state")
            if state == "failed":
                raise RuntimeError(f"the history was not learned: {now['import'].get('reason')}")
            if state == "done":
                break
            if not server.running:
                raise RuntimeError(f"the server ended: {server.complaints()}")
            time.sleep(0.1)
        console.print(f"history learned in {time.monotonic() - started:.1f} s: {now['import']}")

    def _drive(
        self, name: str, get: Callable[[bytes], Any], keys: Sequence[bytes]
    ) -> tuple[array[int], float]:
        """Ask for every key, one after the other; each reply must be the key's row."""
        latencies = array("Q")
        record, clock = latencies.append, time.perf_counter_ns
        begun = time.perf_counter()
        for at, key in enumerate(keys):
            before = clock()
            reply = get(key)
            record(clock() - before)
            if reply is None:
                raise RuntimeError(f"{name}: no row for {key!r}")
            if at % CHECK_EVERY == 0 and json.loads(reply) != self._layout.json(key):
                raise RuntimeError(f"{name}: the wrong row for {key!r}")
        return latencies, time.perf_counter() - begun


def status(client: redis.Redis) -> dict[str, Any]:
    """PREDICTOR STATUS as text and numbers."""
    reply: dict[str, Any] = _text(client.execute_command("PREDICTOR", "STATUS"))
    return reply


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text(key): _text(each) for key, each in value.items()}
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _client(port: int) -> redis.Redis:
    return redis.Redis(port=port, protocol=3, single_connection_client=True, socket_timeout=30)


def _sqlite(layout: Layout, path: Path) -> str:
    layout.build_sqlite(path)
    return f"sqlite:///{path}"


def _stem(trace: Path) -> str:
    return trace.name.partition(".")[0]


def _show(results: dict[str, Result]) -> None:
    shown = Table(title="per request")
    shown.add_column("")
    for name in results:
        shown.add_column(name, justify="right")
    rows: dict[str, Callable[[Result], str]] = {
        "waits": lambda r: f"{r.waits / r.requests:.4f}",
        "statements": lambda r: f"{r.statements / r.requests:.4f}",
        "rows": lambda r: f"{r.rows / r.requests:.4f}",
        "prefetch precision": lambda r: _share(r.precision),
        "late share": lambda r: _share(r.late_share),
        "read latency, mean µs": lambda r: f"{sum(r.latencies) / len(r.latencies) / 1e3:.1f}",
        "p50 µs": lambda r: f"{quantile(sorted(r.latencies), 0.5) / 1e3:.1f}",
        "p99 µs": lambda r: f"{quantile(sorted(r.latencies), 0.99) / 1e3:.1f}",
        "server CPU µs": lambda r: f"{r.cpu / r.requests * 1e6:.1f}",
        "requests a second": lambda r: f"{r.requests / r.seconds:,.0f}",
        "keys held at the end": lambda r: f"{r.held:,}",
        "predictor memory kB": lambda r: f"{r.memory / 1000:,.0f}" if r.memory else "-",
    }
    for label, text in rows.items():
        shown.add_row(label, *(text(result) for result in results.values()))
    console.print(shown)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _verdicts(results: dict[str, Result]) -> list[str]:
    """Print the ratios that have a target; the names of those that miss it."""
    missed = []

    def verdict(label: str, value: float, sign: str, target: float) -> None:
        good = value <= target if sign == "<=" else value >= target
        console.print(
            f"{label}: {value:.3f} (wanted {sign} {target:g}) {'ok' if good else 'MISSED'}"
        )
        if not good:
            missed.append(label)

    for prefix in ("", "cold "):
        off, on = results.get(f"{prefix}off"), results.get(f"{prefix}on")
        if off is None or on is None:
            continue
        for label, target in TARGETS.items():
            ratio = getattr(on, label) / max(getattr(off, label), 1)
            if prefix:  # nothing was learned before: shown, not held to the targets
                console.print(f"{prefix}{label} on/off: {ratio:.3f}")
            else:
                verdict(f"{label} on/off", ratio, "<=", target)
        if not prefix:
            verdict("precision", on.precision or 0.0, ">=", PRECISION)
    if "off" in results and "redis" in results:
        ratio = results["off"].waits / max(results["redis"].waits, 1)
        verdict("waits off/cache-aside", ratio, "<=", 1.0)
    return missed


def _plain(result: Result) -> dict[str, Any]:
    ordered = sorted(result.latencies)
    return {
        **{name: value for name, value in asdict(result).items() if name != "latencies"},
        "precision": result.precision,
        "late_share": result.late_share,
        "mean_us": sum(ordered) / len(ordered) / 1e3,
        "p50_us": quantile(ordered, 0.5) / 1e3,
        "p99_us": quantile(ordered, 0.99) / 1e3,
    }


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-replay", description=__doc__.partition("\n")[0])
    parser.add_argument("--trace", type=Path, default=TRACES / "orm_busy.csv.gz")
    parser.add_argument(
        "--backing",
        help="instead of SQLite: postgres or mariadb (started here), or the async URL of an "
        "empty database",
    )
    parser.add_argument("--requests", type=int, default=REPLAYED, help="replayed in each run")
    parser.add_argument("--warm", type=int, default=0, help="asked and not counted before that")
    parser.add_argument("--share", type=float, default=SHARE, help="of the keys held")
    parser.add_argument("--runs", type=_runs, default=RUNS, help=f"of {', '.join(RUNS)}")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of databases, kept")
    parser.add_argument("--json", type=Path, help="write the results there too")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when a target is missed")
    return parser.parse_args(argv)


def _runs(text: str) -> Iterable[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = set(names) - set(RUNS)
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no run {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
