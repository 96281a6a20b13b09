"""What is expected next, and what it is worth: the figures behind EXPLAIN and FORECAST.

The last events (demand misses, first uses of prefetched keys) are asked again what
they lead to, by the same evidence that decides about prefetches, now. Nothing is
recorded for this beyond the events themselves, and nothing is sent.

What this file does not do: decide (`prefetch.py`), or answer clients
(`commands/prediction_explain.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from antecache.predictor.base import Candidate
from antecache.server.backing.base import Source
from antecache.server.fields import fields_of
from antecache.server.followups import Event, Followups
from antecache.server.prefetch import Decision, Prefetcher
from antecache.server.store import Store


class Expected(NamedTuple):
    """One key that an access to `trigger` leads to, and what fetching it now is worth.

    benefit_ms  probability times the milliseconds that a load of it takes
    cost_ms     of its statement, where none is under way that it can ride along with
    lift        the probability against that of the mean candidate; 0 before any was tried
    """

    decision: Decision
    trigger: bytes
    benefit_ms: float
    cost_ms: float
    lift: float

    @property
    def candidate(self) -> Candidate:
        """Key, probability, rule and features."""
        return self.decision.candidate


class Foresight:
    """Answers about the future from the parts that decide about it."""

    def __init__(
        self,
        store: Store,
        owner: Callable[[bytes], Source | None],
        prefetcher: Prefetcher,
        followups: Followups,
    ) -> None:
        self._store = store
        self._owner = owner
        self._prefetcher = prefetcher
        self._followups = followups

    def led_by(self, key: bytes) -> list[Expected]:
        """What a miss of `key`, and the value that is cached under it, lead to; best first."""
        prefetcher, source = self._prefetcher, self._owner(key)
        made: list[tuple[Decision, Source | None]] = []
        if source is not None and source.options.prefetch:
            made = [(d, source) for d in prefetcher.decide(key, source, probe=False)]
        entry = self._store.databases[0].peek(key)
        if entry is not None and entry.origin is not None:
            owner = entry.origin.source
            fields = fields_of(entry.value)
            named = self._followups.named(key, owner, fields, lambda _: True)
            decisions = prefetcher.decide(key, None, probe=False, candidates=named)
            made += [(decision, None) for decision in decisions]
        mean = self.base_rate()
        found = [self._expected(decision, key, source, mean) for decision, source in made]
        return sorted(found, key=lambda one: one.candidate.score, reverse=True)

    def _expected(
        self, decision: Decision, trigger: bytes, source: Source | None, mean: float
    ) -> Expected:
        owner = decision.source or self._owner(decision.candidate.key)
        cost = 1000 * self._store.origin(owner).cost if owner is not None else 0.0
        score = decision.candidate.score
        rides = owner is source
        return Expected(
            decision, trigger, score * cost, 0.0 if rides else cost, score / mean if mean else 0.0
        )

    def base_rate(self) -> float:
        """The share of all candidates, likely or not, that were asked for in time."""
        plan = self._prefetcher.plan
        if plan is None:
            return 0.0
        hits, trials = plan.counters(0, plan.buckets)
        tried = float(trials.sum())
        return float(hits.sum()) / tried if tried else 0.0

    def expected(self) -> dict[bytes, Expected]:
        """The keys that the last events lead to, each with the evidence that is most sure."""
        best: dict[bytes, Expected] = {}
        for event in self.events():
            for one in self.led_by(event.key):
                held = best.get(one.candidate.key)
                if held is None or held.candidate.score < one.candidate.score:
                    best[one.candidate.key] = one
        return best

    def leading_to(self, key: bytes) -> Iterator[tuple[Event, Expected]]:
        """Of the last events, those that lead to `key`, newest first."""
        for event in self.events():
            for one in self.led_by(event.key):
                if one.candidate.key == key:
                    yield event, one
                    break

    def events(self) -> list[Event]:
        """The last events, newest first, a key once."""
        return list({event.key: event for event in reversed(self._followups.events)}.values())

    def never(self, key: bytes) -> bool:
        """Whether the operator has said that `key` must never be predicted."""
        return self._followups.never(key)
