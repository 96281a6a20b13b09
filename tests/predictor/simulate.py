"""A cache of equal-sized values in front of a predictor, for tuning and for tests.

The recommended design of the miss log in one loop: an eviction policy, a
probation queue that sizes its own share, the predictor, and the threshold that
keeps extra rows within a budget. One access at a time; a prefetch arrives with
the miss that it rides along with. It reports what the database would see.

Run as a program it measures traces and prints one line each:

    python tests/predictor/simulate.py orm_busy cp_w106 --share 0.1 --budget 0.05

What this file does not do: stand in for the server's prefetcher, which has the
same rule over real entries, or model time and sizes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from antecache.policies.base import Node
from antecache.policies.registry import find as find_policy
from antecache.predictor import registry
from antecache.predictor.base import Predictor
from antecache.predictor.calibrate import Calibrator
from antecache.predictor.history import HistoryFile
from antecache.predictor.rehearsal import next_fit

TRACES = Path(__file__).resolve().parents[2].parent / "shared" / "traces"


@dataclass
class Outcome:
    """Counts of one simulation; see the house rules for what they mean."""

    requests: int = 0
    waits: int = 0
    statements: int = 0
    rows: int = 0
    useful: int = 0
    wasted: int = 0

    def __str__(self) -> str:
        n, sent = self.requests, self.useful + self.wasted
        return (
            f"waits {self.waits / n:.4f}  statements {self.statements / n:.4f}  "
            f"rows {self.rows / n:.4f}  precision {self.useful / max(1, sent):.3f}"
        )


class Cache:
    """`capacity` keys, the prefetched and unused ones in probation."""

    def __init__(
        self,
        capacity: int,
        predictor: Predictor | None,
        *,
        policy: str = "s3fifo",
        row_budget: float = 0.25,
        lag: int = 0,
    ) -> None:
        self.capacity = capacity
        self.predictor = predictor
        self.row_budget = row_budget
        self.lag = lag  # accesses between the fit of a Plan and its use
        self.calibrator = Calibrator()
        self.outcome = Outcome()
        self.by_rule: dict[str, list[int]] = {}  # issued, useful
        self.theta = 0.5
        self._base = find_policy(policy)()
        self._nodes: dict[bytes, Node] = {}
        self._probation: dict[bytes, str] = {}
        self._room = max(1.0, 0.1 * capacity)
        self._left_probation: dict[bytes, None] = {}
        self._left_base: dict[bytes, None] = {}
        self._rows = self._events = 0.0
        self._event_count = 0
        self._next_fit = 250
        self._waiting: list[tuple[int, object]] = []

    def run(self, keys: Iterable[bytes]) -> Outcome:
        """Ask for some keys, in order."""
        nodes, hit = self._nodes, self._base.hit
        calibrator, predicts = self.calibrator, self.predictor is not None
        requests = 0
        for key in keys:
            requests += 1
            if predicts:
                calibrator.access(key)
            node = nodes.get(key)
            if node is not None:
                hit(node)
                continue
            self._not_cached(key)
            if predicts and calibrator.accesses >= self._next_fit:
                self._fit()
        self.outcome.requests += requests
        return self.outcome

    def _not_cached(self, key: bytes) -> None:
        outcome, predictor = self.outcome, self.predictor
        rule = self._probation.pop(key, None)
        if rule is not None:
            outcome.useful += 1
            self.by_rule[rule][1] += 1
            assert predictor is not None
            predictor.observe(key, demand=False)
        else:
            outcome.waits += 1
            outcome.statements += 1
            outcome.rows += 1
            self._rows += 1
            step = max(0.25, self.capacity / 400)
            least, most = 0.05 * self.capacity + 1, 0.9 * self.capacity
            if key in self._left_probation:
                self._room = min(most, self._room + step)
            elif key in self._left_base:
                self._room = max(least, self._room - step)
            if predictor is not None:
                self._prefetch(key, predictor)
                predictor.observe(key, demand=True)
        if predictor is not None:
            self._event()
        node = self._nodes[key] = Node(key, 1)
        self._base.insert(node)
        self._make_room()

    def _prefetch(self, key: bytes, predictor: Predictor) -> None:
        outcome = self.outcome
        room = min(16, max(1, int(self._room / 2)))
        tables = {_table(key)}
        for follower, score, bucket, rule, why in predictor.candidates(key):
            if follower in self._nodes or follower in self._probation:
                continue
            self.calibrator.trial(follower, bucket, why[0][1])
            if score < self.theta or not room:
                continue
            room -= 1
            self._probation[follower] = rule
            self.by_rule.setdefault(rule, [0, 0])[0] += 1
            outcome.rows += 1
            self._rows += 1
            table = _table(follower)
            if table not in tables:
                tables.add(table)
                outcome.statements += 1
        self._make_room()

    def _make_room(self) -> None:
        while len(self._nodes) + len(self._probation) > self.capacity:
            if len(self._probation) > self._room:
                key = next(iter(self._probation))
                del self._probation[key]
                self.outcome.wasted += 1
                left = self._left_probation
            else:
                node = self._base.evict()
                if node is None:
                    self._room = len(self._probation) - 1
                    continue
                key = node.key
                del self._nodes[key]
                left = self._left_base
            left.pop(key, None)
            left[key] = None
            if len(left) > self.capacity / 10:
                del left[next(iter(left))]

    def _event(self) -> None:
        self._events = self._events * 0.9995 + 1
        self._rows *= 0.9995
        self._event_count += 1
        if self._event_count % 200 == 0:
            excess = self._rows / self._events - (1 + self.row_budget)
            self.theta = min(0.95, max(0.2, 0.5 + 4 * excess))

    def _fit(self) -> None:
        plan = self.calibrator.fit(0.0)
        self._next_fit = next_fit(self.calibrator.accesses)
        if plan is not None and self.predictor is not None:
            self.predictor.adopt(plan)


def _table(key: bytes) -> bytes:
    field, colon, _ = key.partition(b":")
    return field if colon else b""


def trace(name: str, limit: int = 0) -> list[bytes]:
    """The keys of one of the shared traces, in order. Raises HistoryError when it is absent."""
    keys: list[bytes] = []
    for block in HistoryFile(str(TRACES / f"{name}.csv.gz")).blocks():
        keys += block
        if limit and len(keys) >= limit:
            return keys[:limit]
    return keys


def sizes(keys: Sequence[bytes], part: float, share: float, value: int) -> tuple[int, int]:
    """Keys that the cache holds and bytes of the predictor, at equal total memory.

    The budget is `part` of the unique keys at value + key + 100 bytes; a `share` of it is the
    predictor's; ghost lists of the policy and of probation are paid for by the cache.
    """
    unique = set(keys)
    entry = value + sum(map(len, unique)) / len(unique) + 100
    budget = part * len(unique) * entry
    ghosts = 8 * (0.9 + (0.2 if share else 0.0))
    return int(budget * (1 - share) / (entry + ghosts)), int(budget * share)


def main() -> None:
    """Measure traces and print the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traces", nargs="+")
    parser.add_argument("--predictor", default="blend")
    parser.add_argument("--policy", default="s3fifo")
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--part", type=float, default=0.05)
    parser.add_argument("--value", type=int, default=1000)
    parser.add_argument("--row-budget", type=float, default=0.25)
    parser.add_argument("--memory", type=int, help="bytes of the predictor, free of charge")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--rules", action="store_true")
    args = parser.parse_args()
    for name in args.traces:
        keys = trace(name, args.limit)
        capacity, memory = sizes(keys, args.part, 0.0 if args.memory else args.share, args.value)
        memory = args.memory or memory
        predictor = registry.find(args.predictor)(memory) if memory else None
        cache = Cache(capacity, predictor, policy=args.policy, row_budget=args.row_budget)
        started = time.perf_counter()
        outcome = cache.run(keys)
        held = cache.calibrator.plan.held_out
        print(
            f"{name:12} {outcome}  keys {capacity}  theta {cache.theta:.2f} "
            f" brier {held.brier:.3f}/{held.raw_brier:.3f} refused {cache.calibrator.refused}"
            f"  {time.perf_counter() - started:.1f} s",
            flush=True,
        )
        if predictor is not None:
            predictor.check()
        if args.rules:
            kinds: dict[str, list[int]] = {}
            for rule, (issued, useful) in cache.by_rule.items():
                counts = kinds.setdefault(rule.partition(" ")[0], [0, 0])
                counts[0] += issued
                counts[1] += useful
            for kind, (issued, useful) in sorted(kinds.items()):
                print(f"    {kind:12} issued {issued:7}  useful {useful / max(1, issued):.3f}")


if __name__ == "__main__":
    main()
