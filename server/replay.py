"""The server's own parts driven by a trace instead of sockets: offline simulation.

Store, policy, probation, predictor, prefetcher and ledger are the ones that
serve; what is replaced is time (the position in the trace), the database (a
statement is answered before the next request) and the trainer's process (it runs
inline, and its Plans are adopted `plan_lag` accesses late). So a figure printed
here is a promise about the server, and it is the same every time.

A *table* is the text of a key before its first `:`. A miss is one statement, and
its riders of the same table come with it. Each further table that riders touch
is a statement of its own, which nobody waits for: those riders arrive `arrival`
requests later, and who asks for one meanwhile waits (*late*). So does what a rule
fetches on a hit or on the first use of a prefetched key. A key that costs more than
the whole cache is a miss and is not stored.

What a budget counts depends on its unit: `keys` (every key 1), `bytes` (the
sizes in the trace) or `total` (value, key and 100 bytes of entry, and out of the
same budget the policy's ghosts and all metadata of prediction: log, tables,
probation's ghosts, the ledger's books). What the log does not occupy yet, values
may; after no request is the total above the budget.

It does not read files (`traces.py`), put prediction together
(`replay_prediction.py`) or print (`report.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from antecache.policies import registry as policies
from antecache.policies.base import Policy
from antecache.server.accesslog import AccessLog
from antecache.server.backing.base import Source
from antecache.server.ledger import Ledger
from antecache.server.prefetch import Planned
from antecache.server.replay_prediction import Prediction
from antecache.server.replay_setup import Result, Setup, Tables
from antecache.server.store import Entry, Evidence, Store
from antecache.server.traces import ENTRY_BYTES
from antecache.server.whatif import Ghostly

LEARN = 256  # items of the access log that are handed to the trainer at once


class Replay:
    """One pass over a trace with one setup; `feed` may be called in pieces.

    known  what keys cost that may be prefetched before anybody asks for them; others are
           taken to cost what the key does that brought them

    Raises ModelError when the setup names a model that cannot be used.
    """

    def __init__(self, setup: Setup, known: Mapping[bytes, int] | None = None) -> None:
        self.setup = setup
        choice = policies.parse_maxmemory_policy(setup.policy)
        self.store = Store(
            policies.find(choice.name)(seed=setup.seed), scope="loadable", databases=1, shards=1
        )
        self.result = Result(setup)
        self.ledger = Ledger()
        self.inflight: dict[bytes, Evidence] = {}  # prefetches that do not ride along
        self._arriving: deque[tuple[int, bytes, int]] = deque()  # when, key, cost
        self._tables = Tables()
        self.access = AccessLog()
        self._client = -1
        self._costs: dict[bytes, int] = dict(known or {})
        self.prediction: Prediction | None = None
        # the sources that are asked beside the misses of this request, each in one statement
        self._asked: tuple[int, set[Source]] = (-1, set())
        self._used_first = False  # whether the last hit was the first use of a prefetched key
        self._ghost_bytes = 0
        # a policy that does not say what its ghosts take has none
        self._has_ghosts = type(self.store.policy).metadata_bytes is not Policy.metadata_bytes
        self._ghostly = self.store.policy if isinstance(self.store.policy, Ghostly) else None
        self.store.owner = self._tables.owner
        self.store.limit = setup.capacity if setup.unit == "keys" else self.store.limit
        self.store.room = setup.capacity if setup.unit != "keys" else self.store.room
        if setup.predictor != "none":
            made = self.prediction = Prediction(
                setup, self.store, self._tables.owner, self, self.access
            )
            self.ledger = made.ledger
            self.store.on_first_use = self._first_use
        if setup.unit == "total":
            self._settle()

    def feed(
        self,
        keys: Sequence[bytes],
        costs: Sequence[int] | None = None,
        clients: Sequence[int] | None = None,
        times: Sequence[float] | None = None,
    ) -> None:
        """Replay requests: keys in order, what each costs in the unit, who asks for it, and when.

        Without costs a key costs 1, or in the unit `total` what `value_size` makes of it. Times
        are Unix seconds, which rules of certain hours ask for, and keys with a period.
        """
        store, result = self.store, self.result
        data = store.databases[0].dicts[0]
        read = store.databases[0].read
        miss, arriving, items = self._miss, self._arriving, self.access.items
        prediction = self.prediction
        predicting = prediction is not None
        soon = prediction.soon if prediction is not None else []
        clock = prediction.clock if prediction and times is not None and self.setup.timed else None
        charged = self.setup.unit == "total" and (predicting or self._has_ghosts)
        for index, key in enumerate(keys):
            if clock is not None and times is not None:
                clock.advance(times[index])
            if arriving and arriving[0][0] <= result.requests:
                self._arrive()
            if prediction is not None and times is not None:
                prediction.time = times[index]
            if predicting and clients is not None and clients[index] != self._client:
                self._client = clients[index]
                self.access.enter(self._client)
            if key in data:
                read(key)
                if charged:
                    self._settle_after_hit()
            else:
                miss(key, self._cost(key) if costs is None else costs[index])
            if soon:
                soon.pop()()
            if prediction is not None and len(items) >= LEARN:
                if clock is not None:
                    clock.read_log()
                    clock.emptied()
                prediction.learn()
            result.requests += 1

    def _cost(self, key: bytes) -> int:
        return self.setup.value_size + len(key) + ENTRY_BYTES if self.setup.unit == "total" else 1

    def _miss(self, key: bytes, cost: int) -> None:
        """A demand miss: one statement for the key and its riders of the same table."""
        store, result = self.store, self.result
        store.now += 1
        store.misses += 1
        result.bytes_missed += cost
        source = self._tables.owner(key)
        expected = None
        riders: Iterable[Planned] = ()
        if self.prediction is not None:
            self._costs[key] = cost
            store.record_miss(key)
            expected = self.inflight.pop(key, None)
            if expected is not None:
                self.prediction.prefetcher.late(key, expected)
            else:
                riders = self.prediction.prefetcher.riders((key,))
        if expected is None:
            result.statements += 1
            result.rows += 1
        if cost <= (store.limit if self.setup.unit == "keys" else store.room):
            origin = store.origin(source)
            store.databases[0].put(key, None, origin=origin, quiet=True, cost=cost)
        if riders:
            self._send(source, riders, cost)
        self._settle()

    def _send(self, source: Source, riders: Iterable[Planned], cost: int) -> None:
        """The riders of a miss that costs `cost`: with it, or in statements beside it."""
        result, due = self.result, self.result.requests + self.setup.arrival
        tables = {source}
        for key, owner, evidence in riders:
            result.rows += 1
            tables.add(owner)
            its_cost = self._costs.get(key, cost)
            if owner is source or not self.setup.arrival:
                self._place(key, evidence, its_cost)
            else:
                self.inflight[key] = evidence
                self._arriving.append((due, key, its_cost))
        result.statements += len(tables) - 1

    def _place(self, key: bytes, evidence: Evidence, cost: int) -> None:
        store = self.store
        if cost > (store.limit if self.setup.unit == "keys" else store.room):
            self.ledger.close(key, evidence, "wasted", store.now)
            return
        store.databases[0].put(key, None, origin=evidence, quiet=True, cost=cost)
        if self.prediction is not None and self.prediction.followups.rules:
            self.prediction.followups.loaded(key, evidence.source, None, evidence)

    def prefetch(self, key: bytes, source: Source, evidence: Evidence) -> bool:
        """What rides along with no miss arrives `arrival` requests from now.

        What is wanted of one table at once is one statement, as the loader has it.
        """
        result = self.result
        if key in self.inflight:
            return False
        self.inflight[key] = evidence
        cost = self._costs.get(key) or self._cost(key)
        self._arriving.append((result.requests + self.setup.arrival, key, cost))
        since, asked = self._asked
        if since != result.requests:
            asked = set()
            self._asked = (result.requests, asked)
        result.statements += source not in asked
        result.rows += 1
        asked.add(source)
        return True

    def _arrive(self) -> None:
        arriving, now = self._arriving, self.result.requests
        while arriving and arriving[0][0] <= now:
            self._asked = (-1, set())  # what follows from what arrives is asked for after it
            due = []
            while arriving and arriving[0][0] <= now:
                due.append(arriving.popleft())
            for _, key, cost in due:
                evidence = self.inflight.pop(key, None)
                if evidence is not None:
                    self._place(key, evidence, cost)
        self._settle()

    def _first_use(self, entry: Entry, evidence: Evidence) -> None:
        assert self.prediction is not None
        self._used_first = True
        self.prediction.followups.first_use(entry, evidence)

    # -- the budget ---------------------------------------------------------

    def _settle(self) -> None:
        """Evict until the budget is kept; of a total, entries get what the metadata leaves."""
        store = self.store
        if self.setup.unit != "total":
            store.enforce()
            return
        while True:  # evicting makes ghosts grow
            self._used_first = False
            self._ghost_bytes = store.policy.metadata_bytes
            store.room = max(self.setup.capacity - self.metadata_bytes, 0)
            if self._ghostly is not None:
                self._ghostly.memory = store.room + self._ghost_bytes
            if not store.over() or not store.enforce():
                return

    def _settle_after_hit(self) -> None:
        """A hit changes the metadata only by a first use, or where ghost caches look on."""
        if self._used_first or (
            self._has_ghosts and self.store.policy.metadata_bytes != self._ghost_bytes
        ):
            self._settle()

    @property
    def metadata_bytes(self) -> int:
        """Bytes of everything but the entries: ghosts, predictor, books."""
        store = self.store
        predictor = 0
        if self.prediction is not None:
            prefetcher = self.prediction.prefetcher
            predictor = prefetcher.predictor.nbytes + prefetcher.walkers.nbytes
            predictor += self.prediction.clock.schedule.nbytes
        return predictor + self.ledger.nbytes + store.policy.metadata_bytes + store.probation.nbytes

    def finish(self) -> Result:
        """The counts."""
        result = self.result
        result.misses = result.waits = self.store.misses
        result.metadata_bytes = self.metadata_bytes
        if self.prediction is not None:
            self.prediction.report(result)
        return result


__all__ = ["Replay", "Result", "Setup"]
