"""What `auto` costs the server beside `lru`: the part of `make bench-hotpath` about policies.

Two servers that differ by the policy alone hold the same keys. First all of them
fit, so that each request is a hit, which auto's ghost caches have to hear of where
the key is in the sample. Then `maxmemory` is set to what two thirds of the keys
take: every third SET brings a key that was evicted and evicts another, and the
ghosts are charged to the same memory.

Target: at most 1.10 times the CPU of `lru`.

What this file does not do: send requests (`hotpath.py`), or judge what is kept
(`policies.py`).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from antecache.server.spawn import Child, start

TARGET = 1.10
MANY_KEYS = 300_000  # two thirds of them are memory enough for auto's ghost caches
COMMANDS = ("get", "set")
POLICIES = ("auto", "lru")
KEPT = 2 / 3  # of the keys' memory, where not all fit

Cost = Callable[[int, int, str, int], float]  # port, pid, command, depth: microseconds a request
Fill = Callable[[int], None]  # port


def compare_policies(
    settings: dict[str, Any],
    cost: Cost,
    fill: Fill,
    *,
    rounds: int,
    depths: Sequence[int],
    console: Console,
) -> tuple[dict[str, Any], list[str]]:
    """Medians of all rounds as plain data, and which rows missed the target."""
    table = Table(title="server CPU per request by policy, µs (median of rounds)")
    for heading in ("command", "pipeline", "keys", *POLICIES, "ratio", "wanted"):
        table.add_column(heading, justify="left" if heading in ("command", "keys") else "right")
    plain: dict[str, Any] = {}
    missed = []
    with (
        start({**settings, "policy": "allkeys-auto"}) as one,
        start({**settings, "policy": "allkeys-lru"}) as other,
    ):
        servers = dict(zip(POLICIES, (one, other), strict=True))
        full = {name: _fill(server, fill) for name, server in servers.items()}
        for keys in ("all fit", "two of three"):
            if keys != "all fit":
                for name, server in servers.items():
                    redis.Redis(port=server.port).config_set("maxmemory", full[name])
                    fill(server.port)
            found = _measure(servers, cost, rounds, depths)
            for (command, depth), medians in found.items():
                ratio = medians["auto"] / max(medians["lru"], 1e-9)
                wanted = f"{TARGET:g}"
                if ratio > TARGET:
                    wanted += " MISSED"
                    missed.append(f"auto {command} P={depth}, {keys}")
                shown = [f"{medians[name]:.2f}" for name in POLICIES]
                table.add_row(command.upper(), str(depth), keys, *shown, f"{ratio:.2f}", wanted)
                plain[f"{command} P={depth}, {keys}"] = {**medians, "ratio": ratio}
    console.print(table)
    return plain, missed


def _fill(server: Child, fill: Fill) -> int:
    """Write all keys; the maxmemory with which two thirds of them would fit."""
    client = redis.Redis(port=server.port)
    before = client.info("memory")["used_memory"]
    fill(server.port)
    return int(before + KEPT * (client.info("memory")["used_memory"] - before))


def _measure(
    servers: dict[str, Child], cost: Cost, rounds: int, depths: Sequence[int]
) -> dict[tuple[str, int], dict[str, float]]:
    costs: dict[tuple[str, int], dict[str, list[float]]] = {}
    for round_ in range(rounds):
        for depth in depths:
            for command in COMMANDS:
                row = costs.setdefault((command, depth), {name: [] for name in servers})
                order = list(servers.items())
                for name, server in order if round_ % 2 else reversed(order):
                    row[name].append(cost(server.port, server.pid, command, depth))
    return {
        case: {name: statistics.median(each) for name, each in row.items()}
        for case, row in costs.items()
    }
