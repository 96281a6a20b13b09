"""The server's own parts driven by a trace instead of sockets: offline simulation.

Store, policy, probation, predictor, prefetcher and ledger are the ones that
serve; what is replaced is time (the position in the trace), the database (a
prefetch that rides along arrives with its miss) and the trainer's process (it
runs inline, and its Plans are adopted `plan_lag` accesses late). So a figure
printed here is a promise about the server, and it is the same every time.

A *table* is the text of a key before its first `:`. A miss is one statement,
plus one for each further table that its riders touch.

What a budget counts depends on its unit: `keys` (every key 1), `bytes` (the
sizes in the trace) or `total` (value, key and 100 bytes of entry, and out of the
same budget the policy's ghosts and all metadata of prediction).

It does not read files (`traces.py`) and prints nothing (`report.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from antecache.policies import registry as policies
from antecache.predictor import registry as predictors
from antecache.predictor.calibrate import Calibrator
from antecache.predictor.plan import Plan
from antecache.predictor.rehearsal import next_fit
from antecache.server.accesslog import AccessLog
from antecache.server.backing.base import Source, SourceOptions
from antecache.server.ledger import Ledger
from antecache.server.prefetch import Planned, Prefetcher
from antecache.server.store import Evidence, Store

ENTRY_BYTES = 100  # of the unit `total`, as in the published comparisons
MEASURE = 1000  # requests between two looks at what the metadata takes


@dataclass(frozen=True, slots=True)
class Setup:
    """One configuration to replay.

    capacity      keys or bytes, by `unit`
    unit          keys | bytes | total
    value_size    bytes of every value, for `total` where the trace has no sizes
    predictor     a predictor's name, or none
    memory_share  of the capacity, for the predictor, in the unit `total`
    memory_bytes  of the predictor in the other units, where it is not charged
    row_budget    extra rows prefetching may read, as a share
    arrival       requests until a prefetch that does not ride along arrives
    plan_lag      accesses between the fit of a Plan and its adoption
    """

    policy: str = "s3fifo"
    predictor: str = "none"
    capacity: int = 1000
    unit: str = "keys"
    value_size: int = 1000
    memory_share: float = 0.10
    memory_bytes: int = 32 << 20
    row_budget: float = 0.25
    arrival: int = 0
    plan_lag: int = 0
    seed: int = 0


@dataclass(slots=True)
class Result:
    """What a replay counted; see the README for the terms."""

    setup: Setup
    requests: int = 0
    waits: int = 0
    misses: int = 0
    statements: int = 0
    rows: int = 0
    prefetches: int = 0
    useful: int = 0
    late: int = 0
    wasted: int = 0
    bytes_missed: int = 0
    metadata_bytes: int = 0
    seconds: float = 0.0
    plans: int = 0
    held_out: Any = None
    by_rule: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """(useful + late) / (useful + late + wasted); 0 before any prefetch ended."""
        used = self.useful + self.late
        return used / (used + self.wasted) if used + self.wasted else 0.0


class _Table(Source):
    """The keys of one table of a trace."""

    __slots__ = ()

    @property
    def prefix(self) -> bytes:
        return self.name.encode()

    def match(self, key: bytes) -> tuple[Any, ...] | None:
        return (key,)


class _Tables:
    """Which table owns a key: every key of a trace has one."""

    def __init__(self) -> None:
        self._tables: dict[bytes, Source] = {}
        self._options = SourceOptions()

    def owner(self, key: bytes) -> Source:
        name = key.partition(b":")[0] if b":" in key else b""
        table = self._tables.get(name)
        if table is None:
            made = _Table(name.decode("utf-8", "replace"), self._options, None)  # type: ignore[arg-type]
            table = self._tables[name] = made
        return table


class Replay:
    """One pass over a trace with one setup; `feed` may be called in pieces."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        choice = policies.parse_maxmemory_policy(setup.policy)
        self.store = Store(
            policies.find(choice.name)(seed=setup.seed), scope="loadable", databases=1, shards=1
        )
        self.result = Result(setup)
        self.ledger = Ledger()
        self.inflight: dict[bytes, Evidence] = {}  # prefetches that do not ride along
        self._arriving: deque[tuple[int, bytes, Source]] = deque()
        self._tables = _Tables()
        self._access = AccessLog()
        self._sizes: dict[bytes, int] = {}
        self._prefetcher: Prefetcher | None = None
        self._calibrator = Calibrator()
        self._next_fit = 250
        self._lagging: deque[tuple[int, Plan]] = deque()
        self.store.owner = self._tables.owner
        if setup.predictor != "none":
            self._predict(setup)
        self._measure()

    def _predict(self, setup: Setup) -> None:
        budget = setup.memory_bytes
        if setup.unit == "total":
            budget = int(setup.capacity * setup.memory_share)
        predictor = predictors.find(setup.predictor)(max(budget, 1))
        prefetcher = self._prefetcher = Prefetcher(
            self.store,
            self._tables.owner,
            predictor,
            self.ledger,
            self,
            self._access,
            row_budget=setup.row_budget,
        )
        self.store.record = self._access.items.append
        self.store.record_miss = self._access.miss
        self.store.on_first_use = prefetcher.first_use
        self.store.on_unused = prefetcher.unused

    def feed(self, keys: Sequence[bytes], sizes: Sequence[int] | None = None) -> None:
        """Replay requests: keys in order, and for the unit `bytes` their sizes."""
        store, result = self.store, self.result
        data = store.databases[0].dicts[0]
        read = store.databases[0].read
        miss = self._miss
        predicting = self._prefetcher is not None
        unit = self.setup.unit
        for index, key in enumerate(keys):
            if self._arriving and self._arriving[0][0] <= result.requests:
                self._arrive()
            if key in data:
                read(key)
            else:
                size = sizes[index] if sizes is not None else 1
                miss(key, size if unit == "bytes" else self._cost(key, size))
            if predicting and len(self._access.items) >= 256:
                self._learn()
            result.requests += 1
            if result.requests % MEASURE == 0:
                self._measure()

    def _cost(self, key: bytes, size: int) -> int:
        if self.setup.unit == "keys":
            return 1
        value = size if size > 1 else self.setup.value_size
        return value + len(key) + ENTRY_BYTES

    def _miss(self, key: bytes, size: int) -> None:
        """A demand miss: one statement for the key and its riders of the same table."""
        store, result = self.store, self.result
        store.now += 1
        store.misses += 1
        result.bytes_missed += size
        self._sizes[key] = size
        source = self._tables.owner(key)
        put = store.databases[0].put
        riders: Iterable[Planned] = ()
        if self._prefetcher is not None:
            store.record_miss(key)
            evidence = self.inflight.pop(key, None)
            if evidence is not None:
                self._prefetcher.late(key, evidence)
            riders = self._prefetcher.riders((key,))
        else:
            evidence = None
        if evidence is None:
            result.statements += 1
            result.rows += 1
        put(key, None, origin=store.origin(source), quiet=True, cost=size)
        if riders:
            tables = set()
            for rider, owner, evidence in riders:
                tables.add(owner)
                # A key never asked for has no size yet; the miss's own is the best guess.
                put(rider, None, origin=evidence, quiet=True, cost=self._sizes.get(rider, size))
                result.rows += 1
            result.statements += len(tables - {source})
        store.enforce()

    def prefetch(self, key: bytes, source: Source, evidence: Evidence) -> bool:
        """A prefetch of its own statement: it arrives `arrival` requests from now."""
        self.inflight[key] = evidence
        self._arriving.append((self.result.requests + self.setup.arrival, key, source))
        self.result.statements += 1
        self.result.rows += 1
        return True

    def _arrive(self) -> None:
        while self._arriving and self._arriving[0][0] <= self.result.requests:
            _, key, _ = self._arriving.popleft()
            evidence = self.inflight.pop(key, None)
            if evidence is not None:
                size = self._sizes.get(key, self._cost(key, 1))
                self.store.databases[0].put(key, None, origin=evidence, quiet=True, cost=size)
        self.store.enforce()

    def _learn(self) -> None:
        """The trainer's part: resolve trials, fit at its pace, adopt with the lag."""
        items = self._access.items
        self._calibrator.feed(items)
        items.clear()
        now = self._calibrator.accesses
        if now >= self._next_fit:
            self._next_fit = next_fit(now)
            plan = self._calibrator.fit(float(now))
            if plan is not None:
                self._lagging.append((now + self.setup.plan_lag, plan))
        while self._lagging and self._lagging[0][0] <= now:
            assert self._prefetcher is not None
            self._prefetcher.adopt(self._lagging.popleft()[1])

    def _measure(self) -> None:
        """Give the entries what the budget leaves them."""
        store, setup = self.store, self.setup
        if setup.unit == "keys":
            store.limit = setup.capacity
            return
        metadata = self.metadata_bytes if setup.unit == "total" else 0
        store.room = max(setup.capacity - metadata, 1)

    @property
    def metadata_bytes(self) -> int:
        """Bytes of everything but the entries: ghosts, predictor, books."""
        predictor = self._prefetcher.predictor.nbytes if self._prefetcher is not None else 0
        return predictor + self.store.policy.metadata_bytes + self.store.probation.nbytes

    def finish(self) -> Result:
        """The counts; prefetches still waiting for their use count neither way."""
        result, outcomes = self.result, self.ledger.outcomes
        result.misses = result.waits = self.store.misses
        result.prefetches = self.ledger.issued
        result.useful, result.late = outcomes["useful"], outcomes["late"]
        result.wasted = outcomes["wasted"]
        result.metadata_bytes = self.metadata_bytes
        if self._prefetcher is not None and self._prefetcher.plan is not None:
            result.plans = self._prefetcher.plan.version
            result.held_out = self._prefetcher.plan.held_out
        books = sorted(self.ledger.rules.values(), key=lambda book: -book.issued)
        result.by_rule = [(book.rule, book.issued, book.useful) for book in books[:20]]
        return result
