"""Eviction policies over whole real traces, against the best that others reach.

For every trace and cache size: the miss ratio of LRU and of the policies asked
for (`auto` unless told otherwise), that of the best policy libCacheSim has (by
name, the best of some twenty chosen in hindsight) and Belady's optimum, which
knows the future. Ratios are ours over the best peer's. Targets for `auto`: mean
ratio at most 1.02, none above 1.12, and on traces with real sizes, in bytes, at
most 1.05 of GDSF.

    .venv/bin/python tests/bench/policies.py [--traces a,b] [--policies auto,s3fifo]

Peers and Belady come from `baselines.csv` beside the traces, measured with
libcachesim 0.3.5. Everything takes minutes to an hour; two traces run at a time.

What this file does not do: use the server. A dictionary and a policy are driven
as the store drives them.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from antecache.policies.base import Node, Policy
from antecache.policies.registry import find, names

TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"
NOT_PEERS = ("Belady", "LRU+")  # the future, and prefetchers
MEAN, WORST, SIZED = 1.02, 1.12, 1.05


class Case(NamedTuple):
    """A trace at a size, with what others reach there. `capacity` is keys or bytes."""

    trace: str
    unit: str
    share: float
    capacity: int
    peer: str
    peer_ratio: float
    gdsf_ratio: float
    belady_ratio: float


class Outcome(NamedTuple):
    """One policy on one case."""

    case: Case
    policy: str
    ratio: float
    seconds: float
    requests: int


def cases() -> Iterator[Case]:
    """Every trace and size that the baselines know."""
    rows: dict[tuple[str, str, float, int], dict[str, float]] = defaultdict(dict)
    with (TRACES / "baselines.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            case = (row["trace"], row["unit"], float(row["cache_frac"]), int(row["cache_size"]))
            rows[case][row["policy"]] = float(row["miss_ratio"])
    for (trace, unit, share, capacity), found in rows.items():
        # 0 stands where their code refused a size: no cache misses nothing
        peers = {
            name: ratio for name, ratio in found.items() if ratio and not name.startswith(NOT_PEERS)
        }
        peer = min(peers, key=lambda name: peers[name])
        yield Case(
            trace,
            unit,
            share,
            capacity,
            peer,
            peers[peer],
            found["GDSF"],
            found.get("BeladySize", found["Belady"]),
        )


def read(trace: str) -> tuple[list[bytes], list[int]]:
    """Key and size of every request; equal keys are one object."""
    known: dict[str, bytes] = {}
    keys, sizes = [], []
    with gzip.open(TRACES / f"{trace}.csv.gz", "rt") as file:
        rows = csv.reader(file)
        next(rows)
        for _, _, key, size in rows:
            keys.append(known.setdefault(key, key.encode()))
            sizes.append(int(size))
    return keys, sizes


def replay(policy: Policy, keys: list[bytes], sizes: list[int] | None, capacity: int) -> int:
    """Misses of a cache of `capacity`, in keys where `sizes` is None."""
    held: dict[bytes, Node] = {}
    misses = 0
    hit, get = policy.hit, held.get
    for number, key in enumerate(keys):
        node = get(key)
        if node is not None:
            hit(node)
            continue
        misses += 1
        held[key] = node = Node(key, 1 if sizes is None else sizes[number])
        policy.insert(node)
        while policy.total > capacity:
            victim = policy.evict()
            if victim is None:
                break
            del held[victim.key]
    return misses


def run(trace: str, chosen: list[Case], policies: list[str]) -> list[Outcome]:
    """All cases of one trace, in one process."""
    keys, sizes = read(trace)
    outcomes = []
    for case in chosen:
        for name in policies:
            began = time.perf_counter()
            policy = find(name)()
            misses = replay(policy, keys, sizes if case.unit == "bytes" else None, case.capacity)
            policy.check()
            seconds = time.perf_counter() - began
            outcomes.append(Outcome(case, name, misses / len(keys), seconds, len(keys)))
    return outcomes


def table(outcomes: list[Outcome], policies: list[str]) -> Table:
    """One row a case, one column a policy with its ratio to the best peer."""
    shown = Table(title="Miss ratios (in brackets: over the best peer's)")
    for title in ("trace", "unit", "size", "Belady", "best peer"):
        shown.add_column(title)
    for name in policies:
        shown.add_column(name, justify="right")
    by_case: dict[Case, dict[str, Outcome]] = defaultdict(dict)
    for outcome in outcomes:
        by_case[outcome.case][outcome.policy] = outcome
    for case in sorted(by_case):
        cells = [
            case.trace,
            case.unit,
            f"{case.share:.0%}",
            f"{case.belady_ratio:.4f}",
            f"{case.peer_ratio:.4f} {case.peer}",
        ]
        for name in policies:
            ratio = by_case[case][name].ratio
            cells.append(f"{ratio:.4f} ({ratio / case.peer_ratio:.3f})")
        shown.add_row(*cells)
    return shown


def summary(outcomes: list[Outcome], name: str) -> tuple[str, bool]:
    """Mean and worst ratio of a policy, its speed, and whether it reaches the targets."""
    own = [outcome for outcome in outcomes if outcome.policy == name]
    counted = [o.ratio / o.case.peer_ratio for o in own if o.case.unit == "objects"]
    sized = [o.ratio / o.case.gdsf_ratio for o in own if o.case.unit == "bytes"]
    speed = sum(o.requests for o in own) / sum(o.seconds for o in own)
    text, good = f"{name}:", True
    if counted:
        mean, worst = sum(counted) / len(counted), max(counted)
        good = mean <= MEAN and worst <= WORST
        text += f" {len(counted)} cases in keys, mean {mean:.4f}, worst {worst:.4f};"
    if sized:
        good = good and max(sized) <= SIZED
        text += f" in bytes at most {max(sized):.4f} of GDSF;"
    return f"{text} {speed:,.0f} requests/s", good


def main() -> int:
    """Run, print, and return 1 when `auto` misses a target."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--traces", default="", help="comma-separated; all by default")
    parser.add_argument("--policies", default="auto", help=f"of {', '.join(names())}")
    parser.add_argument(
        "--shares", default="", help="comma-separated, such as 0.05; all by default"
    )
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        console.width = 120  # a file has room for the names
    if not (TRACES / "baselines.csv").exists():
        console.print("no traces: ../shared/traces beside the repository is not there")
        return 2
    policies = ["lru", *(name for name in arguments.policies.split(",") if name != "lru")]
    wanted, shares = arguments.traces, arguments.shares
    chosen: dict[str, list[Case]] = defaultdict(list)
    for case in cases():
        if wanted and case.trace not in wanted.split(","):
            continue
        if shares and case.share not in [float(share) for share in shares.split(",")]:
            continue
        chosen[case.trace].append(case)
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(arguments.processes) as pool:
        futures = {
            pool.submit(run, trace, found, policies): trace for trace, found in chosen.items()
        }
        for future in as_completed(futures):
            outcomes += future.result()
            console.print(f"{futures[future]} done", highlight=False)
    console.print(table(outcomes, policies))
    reached = True
    for name in policies:
        text, good = summary(outcomes, name)
        reached = reached and (good or name != "auto")
        console.print(text, highlight=False)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
