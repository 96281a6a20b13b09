"""`make bench-memory`: what keys cost in memory, beside redis-server, and whether maxmemory holds.

First a million keys of 16 bytes with values of 100 go into antecache and into
redis-server; compared are the resident sets of both processes, and antecache's
own estimate (INFO used_memory) with its resident set. Then a server with
`maxmemory 200mb` gets a stream of strings of mixed sizes, several times what fits;
its resident set is looked at all the while.

Targets: at most 1.75 times redis-server's resident set, the estimate within 10% of
it, and never more than 115% of maxmemory.

What this file does not do: measure the trainer, a process of its own with a limit
of its own (`trainer-maxmemory`).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
from measure import has_redis, redis_server
from rich.console import Console
from rich.table import Table

from antecache.server.spawn import start

KEYS = 1_000_000
VALUE = 100
LIMIT = 200 << 20
STREAM = 5  # times maxmemory, in bytes of values
RATIO, ESTIMATE, HELD = 1.75, 0.10, 1.15  # targets

console = Console()


def main(argv: Sequence[str] | None = None) -> int:
    """Run both parts; 1 when `--strict` and a target was missed."""
    parser = argparse.ArgumentParser(prog="bench-memory", description=__doc__)
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--policy", default="auto", help="of the server that is filled")
    parser.add_argument("--stream", type=float, default=STREAM, help="times maxmemory")
    parser.add_argument("--json", type=Path, help="write the results there too")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when a target is missed")
    options = parser.parse_args(argv)
    found: dict[str, Any] = {**_filled(options), **_streamed(options)}
    wanted = {"ratio": RATIO, "estimate_error": ESTIMATE, "highest_share": HELD}
    table = Table(title=f"memory, {options.keys:,} keys of 16 + {VALUE} bytes")
    for heading in ("", "measured", "wanted"):
        table.add_column(heading, justify="left" if not heading else "right")
    missed = []
    for name, value in found.items():
        limit = wanted.get(name)
        bad = limit is not None and value > limit
        missed += [name] if bad else []
        shown = f"{value:,.0f}" if value > 100 else f"{value:.3f}"
        table.add_row(name, shown, "" if limit is None else f"{limit:g}{' MISSED' * bad}")
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps({**found, "missed": missed}, indent=1))
    return 1 if missed and options.strict else 0


def _filled(options: argparse.Namespace) -> dict[str, float]:
    """A million keys in each server: resident bytes, and our estimate."""
    result: dict[str, float] = {}
    with start({"policy": options.policy}) as server:
        empty = resident(server.pid)
        _fill(server.port, options.keys)
        client = redis.Redis(port=server.port)
        estimate = client.info("memory")["used_memory"]
        ours = resident(server.pid)
        result["empty_bytes"] = empty
        result["antecache_bytes"] = ours
        result["bytes_a_key"] = (ours - empty) / options.keys
        result["estimate_error"] = abs(estimate - ours) / ours
    if has_redis():
        with redis_server() as other:
            _fill(other.port, options.keys)
            theirs = resident(other.pid)
        result["redis_bytes"] = theirs
        result["ratio"] = ours / theirs
    else:
        console.print("redis-server is not installed: nothing to compare with")
    return result


def _streamed(options: argparse.Namespace) -> dict[str, float]:
    """Strings of 10 bytes to 20 kB, log-uniform, into a server that may hold 200 MB."""
    rng = random.Random(1)
    highest = written = 0
    with start({"policy": "allkeys-s3fifo", "maxmemory": LIMIT}) as server:
        client = redis.Redis(port=server.port)
        number = 0
        while written < options.stream * LIMIT:
            pipeline = client.pipeline(transaction=False)
            for _ in range(500):
                size = int(10 * 2000 ** rng.random())
                pipeline.set(f"stream:{number}", b"x" * size)
                written += size
                number += 1
            pipeline.execute()
            highest = max(highest, resident(server.pid))
        keys = client.dbsize()
    return {"streamed_keys": number, "keys_held": keys, "highest_share": highest / LIMIT}


def _fill(port: int, keys: int) -> None:
    client = redis.Redis(port=port)
    for first in range(0, keys, 2000):
        pipeline = client.pipeline(transaction=False)
        for number in range(first, min(first + 2000, keys)):
            pipeline.set(b"key:%012d" % number, b"%0*d" % (VALUE, number))
        pipeline.execute()


def resident(pid: int) -> int:
    """The resident set of a process, in bytes (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")


if __name__ == "__main__":
    sys.exit(main())
