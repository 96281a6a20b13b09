"""What else makes a key likely: the operator's rules, links in values, and hits.

The predictor's evidence is about misses. This file brings the rest to the same
prefetcher, and so under the same budgets and precision floor; links, which are
learned, under the same gate too:

- on a miss, and on the first use of a prefetched key, what the `[[rule]]`s say;
- on a hit, what rules with `on = "hit"` say, and, with `links = "read"`, what the
  value names. Hits are gathered until the loop comes round; without such a rule
  or setting a hit costs nothing more;
- when a row arrives, the keys that its fields name (`predictor/links.py`). Of a
  row that was itself prefetched, with the joint probability; and what a link or a
  rule brought is followed further, `DEEPEST` steps at most.

Keys that match `never_predict` are not candidates, whoever names them.

What this file does not do: decide what is fetched, or keep books (`prefetch.py`,
`ledger.py`).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from antecache.predictor.base import Candidate, merged
from antecache.predictor.features import group_of
from antecache.predictor.links import Links
from antecache.predictor.plan import Plan
from antecache.server.backing.base import Link, Source
from antecache.server.fields import fields_of
from antecache.server.glob import matcher
from antecache.server.prefetch import Prefetcher
from antecache.server.rules import RuleBook
from antecache.server.store import Entry, Evidence, Store

#: steps that a chain of links and rules is followed, and hits looked at in one round of the loop
DEEPEST: Final = 4
_MOST_HITS: Final = 64
#: values of a source that are looked into whole, and of which share after that
_LOOKED_INTO: Final = 200
_PROBE: Final = 20
#: and after so many in which no field ever named a key
_IN_VAIN: Final = 400
_SELDOM: Final = 256
#: keys that are asked for after a value, of which it may name one
_COMPARED: Final = 64
#: events that are remembered, for EXPLAIN and FORECAST
_EVENTS: Final = 32
#: scores that no weight of a group lifts above the lowest threshold are left alone
_UNLIKELY: Final = 0.05
#: evidence whose own followers are looked for when it arrives
_FOLLOWED: Final = ("link ", "rule ")


class Event(NamedTuple):
    """A demand miss or a first use of a prefetched key; `at` is Unix milliseconds."""

    key: bytes
    kind: str
    at: int


class _Watch:
    """How many values of a source were looked into whole, how many more are to come until the
    next, and which fields of those to look at.
    """

    __slots__ = ("fields", "left", "looked")

    def __init__(self) -> None:
        self.looked = self.left = 0
        self.fields: frozenset[str] = frozenset()


class Followups:
    """Rules and links in front of a prefetcher. `links_on` is the setting `links`.

    soon    takes what is to be done when the loop comes round; a replay has no loop
    """

    def __init__(
        self,
        store: Store,
        prefetcher: Prefetcher,
        rules: RuleBook,
        *,
        links_on: str = "load",
        never_predict: Iterable[str] = (),
        soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._store = store
        self._prefetcher = prefetcher
        self.rules = rules
        self.links = Links()
        self.links_on = links_on
        self._never = [matcher(pattern.encode()) for pattern in never_predict]
        self._pending: list[tuple[bytes, bool]] = []
        self._soon = soon or _when_the_loop_comes_round
        self._watches: dict[str, _Watch] = {}
        self._compared = 0  # keys that are yet to be compared with the values that came
        self._groups: dict[str, float] = {}  # what a model adds to the log-odds
        self._events: deque[tuple[bytes, str, int]] = deque(maxlen=_EVENTS)
        if rules or self._never:
            prefetcher.more = self.beside
        prefetcher.on_plan = self.adopt

    def seed(self, links: Iterable[Link], sources: Iterable[Source]) -> None:
        """Take over the foreign keys of a database whose targets have keys of one field."""
        by_table = {source.name: source for source in sources}
        for link in sorted(links):
            target = by_table.get(link.target_table)
            pattern = getattr(target, "pattern", None)
            if pattern is None or pattern.names != (link.target_column,):
                continue
            at = pattern.parts.index(pattern.fields[0])
            head, tail = b"".join(pattern.parts[:at]), b"".join(pattern.parts[at + 1 :])
            if link.table in by_table:
                self.links.seed(link.table, link.column, head, tail)

    def adopt(self, plan: Plan) -> None:
        """Score rules and links by a new Plan."""
        self.rules.adopt(plan)
        self.links.adopt(plan)
        self._groups = plan.groups
        asked = self.rules or self._never or self._groups
        self._prefetcher.more = self.beside if asked else None

    @property
    def events(self) -> list[Event]:
        """The last demand misses that found a row, and first uses, oldest first."""
        return [Event(*event) for event in self._events]

    def never(self, key: bytes) -> bool:
        """Whether `key` must never be predicted."""
        return any(fits(key) for fits in self._never)

    # -- a miss -------------------------------------------------------------

    def beside(self, key: bytes, found: list[Candidate]) -> list[Candidate]:
        """The predictor's candidates for a miss of `key` and those of the rules, best first."""
        if self._groups:
            found = self._weighed(key, found)
        said = self.rules.candidates(key, hit=False) if self.rules else []
        return self._allowed(merged(found, said) if said else found)

    def _weighed(self, key: bytes, found: list[Candidate]) -> list[Candidate]:
        """With what the model in charge adds to the log-odds of each group."""
        groups, made = self._groups, list(found)
        for place, candidate in enumerate(found):
            score = candidate.score
            if score < _UNLIKELY:  # best first: the rest is below any threshold
                break
            added = groups.get(group_of(key, candidate.key))
            if added and score < 1.0:
                odds = score / (1 - score) * math.exp(added)
                why = (*candidate.why, ("group", added))
                made[place] = candidate._replace(score=odds / (1 + odds), why=why)
        made.sort(key=lambda candidate: candidate.score, reverse=True)
        return made

    def _allowed(self, found: list[Candidate]) -> list[Candidate]:
        if not self._never:
            return found
        return [candidate for candidate in found if not self.never(candidate.key)]

    # -- a row arrives, or is used for the first time -------------------------

    def loaded(self, key: bytes, source: Source, value: Any, evidence: Evidence | None) -> None:
        """A value came from its source, asked for, or (with `evidence`) predicted."""
        if not self._prefetcher.enabled:
            return
        if evidence is None:
            self._events.append((key, "miss", self._store.now))
            watch = self._watches.get(source.name)
            if watch is not None and watch.left > 1 and not (watch.fields or self._compared):
                watch.left -= 1  # most values by far: nobody looks into them
                return
        if self.links_on == "off":
            fields: list[tuple[str, bytes]] = []
        else:
            fields = self._fields(source, value)
            if evidence is None:
                self._read(key, source, fields)
        found = self.named(key, source, fields) if fields else []
        if evidence is not None:
            depth = 1 + next((int(size) for name, size in evidence.why if name == "depth"), 0)
            if depth > DEEPEST:
                return
            if evidence.rule.startswith(_FOLLOWED):
                found = merged(found, self.beside(key, self._prefetcher.predictor.candidates(key)))
            found = [_chained(candidate, evidence.score, depth) for candidate in found]
        if found:
            self._prefetcher.pursue(key, found)

    def first_use(self, entry: Entry, evidence: Evidence) -> None:
        """A prefetched entry was used: without prediction it would have been loaded now."""
        self._prefetcher.first_use(entry, evidence)
        if not self._prefetcher.enabled or self._prefetcher.asked_aside:
            return
        key, found = entry.key, []
        self._events.append((key, "first use", self._store.now))
        if self.links_on != "off":
            fields = self._fields(evidence.source, entry.value)
            self._read(key, evidence.source, fields)
            found = self.named(key, evidence.source, fields) if fields else []
        if self.rules:
            found = merged(found, self._allowed(self.rules.candidates(key, hit=False)))
        if found:
            self._prefetcher.pursue(key, found)

    def _fields(self, source: Source, value: Any) -> list[tuple[str, bytes]]:
        """The fields to look at: all of the first values of a source, and of some later ones.

        Otherwise those that are known to name keys: most values name none, and looking into one
        takes some 20 µs.
        """
        watch = self._watches.get(source.name)
        if watch is None:
            watch = self._watches[source.name] = _Watch()
        watch.left -= 1
        if watch.left > 0:
            return list(fields_of(value, watch.fields)) if watch.fields else []
        watch.looked += 1
        if watch.looked > _LOOKED_INTO:
            watch.fields = self.links.promising(source.name)
            watch.left = _PROBE if watch.fields or watch.looked < _IN_VAIN else _SELDOM
        return list(fields_of(value))

    def _read(self, key: bytes, source: Source, fields: list[tuple[str, bytes]]) -> None:
        """A client gets this value, which it would have waited for: learn from it."""
        if self._compared:
            self._compared -= 1
            self.links.asked(key)
        if fields:
            self._compared = _COMPARED
            self.links.arrived(source.name, key, fields, self._is_absent)

    def named(
        self,
        key: bytes,
        source: Source,
        fields: Iterable[tuple[str, bytes]],
        wanted: Callable[[bytes], bool] | None = None,
    ) -> list[Candidate]:
        """The keys that a value of `key` names, of those that are `wanted`: the absent ones.

        None while the gate is closed because prediction does harm.
        """
        if self._prefetcher.worth.closed:
            return []
        wanted = wanted or self._is_absent
        return self._allowed(self.links.candidates(source.name, key, fields, wanted))

    def _is_absent(self, key: bytes) -> bool:
        return self._store.databases[0].peek(key) is None

    # -- a hit --------------------------------------------------------------

    def recorder(self, append: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """What notes a hit: `append` itself unless a rule or a setting fires on hits."""
        heads = None if self.links_on == "read" else self.rules.on_hit
        if heads is not None and not heads:
            return append
        self.keep_entries()

        def record(key: bytes) -> None:
            append(key)
            if heads is None or key[: key.find(b":") + 1] in heads:
                self._gather(key, True)

        return record

    def keep_entries(self) -> None:
        """Where hits matter, a client's own strings need entries: bare ones tell of no hit."""
        heads = self.rules.on_hit
        if (heads is None or heads) and self._store.bare:
            self._store.bare = False
            for database in self._store.databases:
                database.inflate_all()

    def miss_recorder(self, miss: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """What notes a miss: `miss` itself without rules; keys of no source fire theirs here."""
        if not self.rules:
            return miss

        def record(key: bytes) -> None:
            miss(key)
            if self._store.owner is None or self._store.owner(key) is None:
                self._gather(key, False)

        return record

    def _gather(self, key: bytes, hit: bool) -> None:
        if not self._pending:
            self._soon(self._flush)
        if len(self._pending) < _MOST_HITS:
            self._pending.append((key, hit))

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        for key, hit in dict.fromkeys(pending):
            found = self._allowed(self.rules.candidates(key, hit=hit))
            if hit and self.links_on == "read":
                entry = self._store.databases[0].peek(key)
                if entry is not None and entry.origin is not None:
                    source = entry.origin.source
                    found = merged(found, self.named(key, source, fields_of(entry.value)))
            if found:
                self._prefetcher.pursue(key, found)

    @property
    def nbytes(self) -> int:
        """Estimated bytes of the links; rules are as few as the operator writes."""
        return self.links.nbytes


def _when_the_loop_comes_round(work: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(work)


def _chained(candidate: Candidate, score: float, depth: int) -> Candidate:
    """A candidate that holds only if what it follows is asked for too."""
    return candidate._replace(
        score=candidate.score * score,
        why=(*candidate.why, ("chained", score), ("depth", float(depth))),
    )
