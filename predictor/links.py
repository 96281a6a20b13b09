"""Links in values: `orders:17` holds customer_id 8518, so `customers:8518` may follow.

A link says: the values of a field, in what a source yields, put into a text, name
keys. Foreign keys of the database are known from the start; others are learned: a
key that is asked for soon after a value arrived, and that contains one of its
values, makes a link or confirms one. So keys can be expected that never occurred.

A link's confidence is the share of the keys it named (those not cached) that were
asked for among the next `RECENT` arrivals; each link has a calibration bucket of
its own, so the probability it is given is measured, as everywhere.

Values of fields come as text (`customer_id`, or `[].id` for the items of a list).
What occurs in the trigger's own key is left to the templates.

What this file does not do: read values (the server knows rows, hashes and JSON), or
follow links of links (the server does, while the joint probability pays).
"""

from __future__ import annotations

import re
from binascii import crc32
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from antecache.predictor.base import Candidate
from antecache.predictor.plan import PRIOR_SHARE, PRIOR_TRIALS, Plan

#: calibration buckets of this family: the first, and how many there are
FIRST_BUCKET, BUCKETS = 5120, 1024
#: arrivals that are remembered, and values of one that are
RECENT: Final = 32
_MOST_VALUES: Final = 64
#: links in all, and of one field
_MOST_LINKS: Final = 512
_MOST_FORMS: Final = 8
_MOST_CANDIDATES: Final = 16
_LONGEST_VALUE: Final = 64
#: confirmations before a learned link names candidates, and its least confidence
_LEAST_HITS, _LEAST_CONFIDENCE = 3, 0.1
_HALVE_AT: Final = 128
#: keys that a link has named in vain until its field is watched less
_TRIED: Final = 48
#: what a foreign key starts from: this many keys named, this share of them asked for
_SEED_TRIALS, _SEED_SHARE = 8.0, 0.5
_LINK_BYTES, _VALUE_BYTES = 450, 260

_TOKEN = re.compile(rb"[^:/|]+")

Field = tuple[str, str]
"""Source and field."""


class Link:
    """One link and its counts; `hits` of `trials` keys it named were asked for soon."""

    __slots__ = ("bucket", "field", "head", "hits", "known", "rule", "tail", "trials")

    def __init__(self, source: str, field: str, head: bytes, tail: bytes, *, known: bool) -> None:
        self.field = (source, field)
        self.head = head
        self.tail = tail
        self.known = known  # a foreign key: never forgotten
        form = (head + b"*" + tail).decode("utf-8", "backslashreplace")
        self.rule = f"link {source}.{field}>{form}"
        self.bucket = crc32(self.rule.encode()) % BUCKETS
        self.trials = _SEED_TRIALS if known else 0.0
        self.hits = _SEED_TRIALS * _SEED_SHARE if known else 0.0

    @property
    def confidence(self) -> float:
        """Share of the named keys that were asked for."""
        return min(1.0, self.hits / self.trials) if self.trials else 0.0

    @property
    def usable(self) -> bool:
        """Whether it names candidates."""
        if self.known:
            return True
        return self.hits >= _LEAST_HITS and self.confidence >= _LEAST_CONFIDENCE


class _Arrival:
    """What arrived lately: its fields, and which links its values have confirmed."""

    __slots__ = ("confirmed", "values")

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.confirmed: set[tuple[Link, bytes]] = set()


class Links:
    """All links, foreign keys and learned ones. See the file for what they are."""

    def __init__(self) -> None:
        self._links: dict[Field, list[Link]] = {}
        self.count = 0
        self._recent: deque[_Arrival] = deque()
        self._values: dict[bytes, list[tuple[_Arrival, Field]]] = {}
        self._base = [0.0] * BUCKETS
        self._scale = [PRIOR_SHARE] * BUCKETS
        self._disabled: frozenset[str] = frozenset()

    def seed(self, source: str, field: str, head: bytes, tail: bytes = b"") -> None:
        """A foreign key: values of `field` between `head` and `tail` are keys."""
        held = self._links.setdefault((source, field), [])
        if all((link.head, link.tail) != (head, tail) for link in held):
            held.append(Link(source, field, head, tail, known=True))
            self.count += 1

    def all(self) -> list[Link]:
        """Every link, foreign keys and learned ones."""
        return [link for held in self._links.values() for link in held]

    def promising(self, source: str) -> frozenset[str]:
        """The fields of a source that name keys, or whose links are still on trial."""
        return frozenset(
            field
            for (own, field), held in self._links.items()
            if own == source and any(link.usable or link.trials < _TRIED for link in held)
        )

    # ------------------------------------------------------------------ naming keys

    def candidates(
        self,
        source: str,
        key: bytes,
        fields: Iterable[tuple[str, bytes]],
        absent: Callable[[bytes], bool] = lambda _: True,
    ) -> list[Candidate]:
        """The keys that the fields of a value of `key` name and that are absent, best first."""
        best: dict[bytes, Candidate] = {}
        for field, value in fields:
            for link in self._links.get((source, field), ()):
                if not link.usable or link.rule in self._disabled:
                    continue
                named = link.head + value + link.tail
                if named == key or named in best or not absent(named):
                    continue
                confidence = link.confidence
                bucket = link.bucket
                best[named] = Candidate(
                    named,
                    self._base[bucket] + self._scale[bucket] * confidence,
                    FIRST_BUCKET + bucket,
                    link.rule,
                    (("confidence", confidence), ("support", round(link.trials, 1))),
                )
        found = sorted(best.values(), key=lambda candidate: candidate.score, reverse=True)
        return found[:_MOST_CANDIDATES]

    # ------------------------------------------------------------------ learning

    def arrived(
        self,
        source: str,
        key: bytes,
        fields: Iterable[tuple[str, bytes]],
        absent: Callable[[bytes], bool] = lambda _: True,
    ) -> None:
        """A value of `key` was loaded: its fields are watched for a while."""
        own = set(_TOKEN.findall(key))
        arrival = _Arrival()
        for field, value in fields:
            if value in own or not 0 < len(value) <= _LONGEST_VALUE:
                continue
            if len(arrival.values) >= _MOST_VALUES:
                break
            place = (source, field)
            arrival.values.append(value)
            self._values.setdefault(value, []).append((arrival, place))
            for link in self._links.get(place, ()):
                if absent(link.head + value + link.tail):
                    link.trials += 1
                    if link.trials >= _HALVE_AT:
                        link.trials /= 2
                        link.hits /= 2
        self._recent.append(arrival)
        if len(self._recent) > RECENT:
            self._forget(self._recent.popleft())

    def _forget(self, arrival: _Arrival) -> None:
        for value in arrival.values:
            held = self._values.get(value)
            if held is None:
                continue
            held = [item for item in held if item[0] is not arrival]
            if held:
                self._values[value] = held
            else:
                del self._values[value]

    def asked(self, key: bytes) -> None:
        """A demand miss of `key`, or the first use of a prefetched one."""
        values = self._values
        if not values:
            return
        for found in _TOKEN.finditer(key):
            held = values.get(found[0])
            if held is not None:
                head, tail = key[: found.start()], key[found.end() :]
                if head or tail:
                    for arrival, place in held[-4:]:
                        self._confirm(arrival, place, found[0], head, tail)

    def _confirm(
        self, arrival: _Arrival, place: Field, value: bytes, head: bytes, tail: bytes
    ) -> None:
        held = self._links.setdefault(place, [])
        link = next((link for link in held if link.head == head and link.tail == tail), None)
        if link is None:
            full = len(held) >= _MOST_FORMS or self.count >= _MOST_LINKS
            if full and not self._make_room(held):
                return
            link = Link(*place, head, tail, known=False)
            link.trials = 1.0  # the arrival that is being confirmed
            held.append(link)
            self.count += 1
        if (link, value) not in arrival.confirmed:
            arrival.confirmed.add((link, value))
            link.hits += 1

    def _make_room(self, held: list[Link]) -> bool:
        """Give up the least confirmed link of a field, or wear it down."""
        learned = [link for link in held if not link.known]
        if not learned:
            return False
        weakest = min(learned, key=lambda link: link.hits)
        if weakest.hits > 1:
            weakest.hits -= 0.5
            return False
        held.remove(weakest)
        self.count -= 1
        return True

    # ------------------------------------------------------------------ plans and books

    def adopt(self, plan: Plan) -> None:
        """Score by what this Plan has measured."""
        hits, trials = plan.counters(FIRST_BUCKET, BUCKETS)
        weight = trials + PRIOR_TRIALS
        self._base = (hits / weight).tolist()
        self._scale = (PRIOR_TRIALS * PRIOR_SHARE / weight).tolist()
        self._disabled = frozenset(plan.disabled)

    def dump(self) -> list[tuple[str, str, bytes, bytes, float, float]]:
        """The links with their counts, for `load`."""
        return [(*link.field, link.head, link.tail, link.hits, link.trials) for link in self.all()]

    def load(self, links: Iterable[tuple[str, str, bytes, bytes, float, float]]) -> None:
        """Take over what `dump` gave, beside what is known; too many are left out."""
        for source, field, head, tail, hits, trials in links:
            held = self._links.setdefault((source, field), [])
            link = next((link for link in held if (link.head, link.tail) == (head, tail)), None)
            if link is None:
                if len(held) >= _MOST_FORMS or self.count >= _MOST_LINKS:
                    continue
                link = Link(source, field, head, tail, known=False)
                held.append(link)
                self.count += 1
            link.trials = min(max(trials, 0.0), float(_HALVE_AT))
            link.hits = min(max(hits, 0.0), link.trials)

    @property
    def nbytes(self) -> int:
        """Estimated bytes of links, arrivals and both score tables."""
        values = sum(len(arrival.values) for arrival in self._recent)
        return _LINK_BYTES * self.count + _VALUE_BYTES * values + 32 * BUCKETS
