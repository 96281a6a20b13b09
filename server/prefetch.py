"""The prefetcher: which predicted keys ride along with a demand miss.

On a demand miss the predictor names candidates with calibrated probabilities.
Those already cached, on their way, known to be absent or owned by no source are
out. The rest go out, best first, while their probability reaches the threshold
and probation has room; a candidate in another table than the missed key's, which
costs a statement of its own, must be a third likelier.

The threshold keeps the extra rows within `row_budget`: it rises as the decayed
rows read exceed (1 + budget) times the events (demand misses and first uses of
prefetched keys, which without prediction would have been misses); see
`predictor/budget.py`.

It does not decide who is told of a miss, and when (`witnesses.py`), or when to learn
(the trainer), and keeps no books (the ledger).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from antecache.predictor.base import Candidate, Predictor, merged
from antecache.predictor.budget import HIGHEST
from antecache.predictor.plan import Plan
from antecache.server.accesslog import LONGEST, AccessLog
from antecache.server.backing.base import Source
from antecache.server.ledger import Ledger
from antecache.server.store import Entry, Evidence, Store
from antecache.server.witnesses import Witnesses

MOST = 32  # prefetches a miss
ELSEWHERE = 1.3  # a candidate in another table must be this much likelier

ELSE = ("link ", "rule ")  # evidence that is not the predictor's

Planned = tuple[bytes, Source, Evidence]


class Courier(Protocol):
    """Who fetches: the loader, or in a replay the trace's own stand-in."""

    @property
    def inflight(self) -> Mapping[bytes, object]:
        """Keys on their way."""

    def prefetch(self, key: bytes, source: Source, evidence: Evidence) -> bool:
        """Fetch a key that no client waits for; whether it was accepted."""


class Decision(NamedTuple):
    """What would happen to one candidate, and why; EXPLAIN prints it.

    source  where it would be fetched from; None when it would not be
    reason  `sent`, or what speaks against it
    """

    candidate: Candidate
    source: Source | None
    reason: str


#: Reasons that leave a candidate absent, so that a read of it would show it was right.
TRIED = frozenset(("below the threshold", "no room"))


class Prefetcher:
    """Turns candidates into loads, within the budget.

    charged  whether what the predictor remembers takes memory from the values
    """

    def __init__(
        self,
        store: Store,
        owner: Callable[[bytes], Source | None],
        predictor: Predictor,
        ledger: Ledger,
        loader: Courier,
        access: AccessLog,
        *,
        row_budget: float = 0.25,
        enabled: bool = True,
        charged: bool = True,
    ) -> None:
        self._store = store
        self._owner = owner
        self.ledger = ledger
        self._loader = loader
        self._access = access
        self.plan: Plan | None = None
        self.witnesses = Witnesses(
            store, access, ledger, predictor, row_budget=row_budget, charged=charged
        )
        self.budget, self.worth = self.witnesses.budget, self.witnesses.worth
        self.interest, self.walkers = self.witnesses.interest, self.witnesses.walkers
        self.enabled = enabled
        predictor.settle(self.worth.price, 1.0)
        # Further evidence: what is beside the predictor's candidates for a miss, and who else
        # wants to know of new Plans (`followups.py`).
        self.more: Callable[[bytes, list[Candidate]], list[Candidate]] | None = None
        self.on_plan: Callable[[Plan], None] | None = None

    @property
    def asked_aside(self) -> bool:
        """Whether the session that asks now is one that nothing is learned from."""
        return self._access.session < 0

    @property
    def predictor(self) -> Predictor:
        """Who names candidates; another one after what it learned was replaced."""
        return self.witnesses.predictor

    @predictor.setter
    def predictor(self, predictor: Predictor) -> None:
        self.witnesses.predictor = predictor

    @property
    def enabled(self) -> bool:
        """PREDICTOR ON | OFF."""
        return self.witnesses.enabled

    @enabled.setter
    def enabled(self, on: bool) -> None:
        self.witnesses.enable(on)

    # -- the loader's questions ---------------------------------------------

    def riders(self, keys: Sequence[bytes]) -> list[Planned]:
        """The predicted keys to fetch along with a demand miss of `keys`; records the miss."""
        planned: list[Planned] = []
        if not self.enabled:
            return planned
        witnesses, interest = self.witnesses, self.interest
        if self.more is None and witnesses.notes(keys):
            return planned
        witnesses.catch_up()
        session = self._access.asking
        self.predictor.session = session
        closed = self.worth.closed
        witnesses.overhear()
        for key in keys:
            if (interest.close and not closed) or self._access.session < 0:
                self.walkers.event(session, key)
            if self._access.session < 0:  # nothing is learned from who asks
                planned += self._ahead(session, key)
                continue
            own = witnesses.missed(key)
            looks = interest.looking and not closed and not self.predictor.idle
            if looks or self.more is not None:
                source = self._owner(key)
                if source is not None and source.options.prefetch:
                    found = None if looks or self.more is None else self.more(key, [])
                    planned += self._consider(key, source, {k for k, _, _ in planned}, found)
            witnesses.observe(key, demand=True)
            self.budget.row()
            witnesses.event(own=own)
        witnesses.plan_ahead()
        return planned

    def _ahead(self, session: int, key: bytes) -> Iterable[Planned]:
        """What a reader that is set aside will read next, by its own step alone."""
        walk, source = self.walkers.walk_of(session), self._owner(key)
        if walk is None or source is None or not source.options.prefetch or self.worth.closed:
            return ()
        score = walk.walks
        rule = f"walk {source.name}"
        found = [Candidate(k, score, -1, rule, (("confidence", score),)) for k in walk.ahead()]
        return self._consider(key, source, set(), found)

    def pursue(self, key: bytes, candidates: list[Candidate]) -> int:
        """Fetch what a hit of `key`, or its value, makes likely; how many were queued.

        Nothing rides along: each candidate must be worth a statement of its own.
        """
        planned = self._consider(key, None, set(), candidates) if self.enabled else ()
        return sum(self._loader.prefetch(*plan) for plan in planned)

    def _consider(
        self,
        key: bytes,
        source: Source | None,
        taken: set[bytes],
        candidates: list[Candidate] | None = None,
    ) -> Iterable[Planned]:
        store = self._store
        room = min(MOST, max(1, int(store.probation.room(store.residents) / 2)))
        trial = self._access.trial
        waiting = self.predictor.waiting() if candidates is None else []
        decisions = self.decide(key, source, room, candidates=candidates, waiting=waiting)
        if candidates is None:
            absent = (c for c, owner, why in decisions if owner is not None or why in TRIED)
            self.interest.looked(len(decisions), absent)
        for candidate, owner, reason in decisions:
            if owner is not None or reason in TRIED:
                raw = candidate.why[0][1]  # the estimate before calibration
                trial(candidate.key, candidate.bucket, raw, owner is not None)
            elif reason == "cached" and candidate.score >= self.budget.theta:
                store.protect(candidate.key)
            if owner is None or candidate.key in taken:
                continue
            evidence = Evidence(
                store.origin(owner),
                key,
                candidate.rule,
                candidate.bucket,
                candidate.score,
                store.now,
                candidate.why,
            )
            self.ledger.issue(evidence)
            self.budget.row()
            yield candidate.key, owner, evidence

    def decide(
        self,
        key: bytes,
        source: Source | None,
        room: int = MOST,
        *,
        probe: bool = True,
        candidates: list[Candidate] | None = None,
        waiting: Sequence[Candidate] = (),
    ) -> list[Decision]:
        """What a miss of `key` would fetch, or which of `candidates`; sends nothing.

        With `probe`, one candidate in a while of a switched-off rule passes. Most
        candidates are cached or unlikely: that is asked before their source, which
        takes a regular expression each.
        """
        decisions = []
        store, inflight, find = self._store, self._loader.inflight, self._owner
        peek = store.databases[0].peek
        here = self.budget.theta
        elsewhere = max(here, min(here * ELSEWHERE, HIGHEST))
        if candidates is None:
            candidates = [] if self.worth.closed else self.predictor.candidates(key)
            if not self.worth.closed:
                candidates = merged(candidates, waiting)
            if self.more is not None:
                candidates = self.more(key, candidates)
        calibrated = self.plan is not None  # until then a score is a guess, or an operator's word
        for candidate in candidates:
            wanted, score = candidate.key, candidate.score
            owner = None
            if peek(wanted) is not None:
                reason = "cached"
            elif wanted in inflight:
                reason = "on its way"
            elif score < here:
                reason = "below the threshold"
            elif (owner := find(wanted)) is None:
                reason = "no source owns it"
            elif not owner.options.prefetch:
                reason = "its source is not prefetched"
            elif store.known_absent(wanted):
                reason = "known to be absent"
            elif owner is not source and score < elsewhere:
                reason = "below the threshold"
            elif room <= 0:
                reason = "no room"
            elif not self.ledger.allows(candidate.rule, probe=probe, score=score * calibrated):
                reason = "its rule is off"
            else:
                room -= 1
                decisions.append(Decision(candidate, owner, "sent"))
                continue
            decisions.append(Decision(candidate, None, reason))
        return decisions

    def late(self, key: bytes, evidence: Evidence) -> None:
        """A prefetch on its way was asked for."""
        self.ledger.close(key, evidence, "late", self._store.now)
        self._used(key, evidence)

    def dropped(self, key: bytes, evidence: Evidence) -> None:
        """A prefetch came to nothing."""
        self.ledger.close(key, evidence, "dropped", self._store.now)

    # -- the store's news ---------------------------------------------------

    def first_use(self, entry: Entry, evidence: Evidence) -> None:
        """A prefetched entry was used."""
        self.ledger.close(entry.key, evidence, "useful", self._store.now)
        if self.enabled:
            self._access.first_use(entry, evidence)
            self._used(entry.key, evidence)

    def _used(self, key: bytes, evidence: Evidence) -> None:
        witnesses = self.witnesses
        witnesses.wake()
        if self.interest.close or self._access.session < 0:
            self.walkers.event(self._access.asking, key)
        if self._access.session < 0:
            self.budget.event()
            return
        witnesses.overhear()
        self.interest.event(key)
        saved = self.worth.used(self._store.probation.since_left(key))
        if saved and evidence.bucket >= 0:
            self.predictor.credit(evidence.bucket, evidence.why)
            if not evidence.rule.startswith(ELSE):
                self.interest.used()
        self.predictor.session = self._access.asking
        witnesses.observe(key, demand=False)
        witnesses.event(own=saved)

    def unused(self, entry: Entry, evidence: Evidence) -> None:
        """A prefetched entry left before anybody used it."""
        self.ledger.close(entry.key, evidence, "wasted", self._store.now)

    # -- hints, plans, budget -----------------------------------------------

    def hint(self, keys: Sequence[bytes]) -> int:
        """PREFETCH: queue keys that a client says will be asked; how many were queued.

        Hints are judged like any other evidence, for each source: who cries wolf is not heard.
        """
        queued = 0
        for key in keys:
            source = self._owner(key)
            if source is None or len(key) > LONGEST or not self._store.must_load(key):
                continue
            if self._store.databases[0].peek(key) is not None or key in self._loader.inflight:
                continue
            rule = f"hint {source.name}"
            if not self.ledger.allows(rule):
                continue
            evidence = Evidence(self._store.origin(source), b"", rule, -1, 1.0, self._store.now)
            self.ledger.issue(evidence)
            queued += self._loader.prefetch(key, source, evidence)
        return queued

    def adopt(self, plan: Plan) -> None:
        """A new Plan was published."""
        self.predictor.adopt(plan)
        if self.plan is None:
            self.ledger.forgive()
        self.plan = plan
        if self.on_plan is not None:
            self.on_plan(plan)
