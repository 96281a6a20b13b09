"""The ledger: what every prefetch was for, and what became of it.

Each prefetch is issued once and ends once:

    useful   it was used before it left
    late     it was asked for while still on its way: the client waited, but less
    wasted   it left (evicted, expired, deleted) before anybody used it
    dropped  it came to nothing: no such row, a failed load, a write overtook it

Books are kept per rule (the grain at which evidence names itself), and a rule
whose measured precision is below the floor is switched off by itself; one
candidate in `PROBE` of a switched-off rule still goes out, so that it can come
back when the traffic changes. Counts halve at `MEMORY` outcomes, so old success
does not excuse present failure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from antecache.server.store import Evidence

MAX_RULES = 4096
OTHER = "other"  # the book of every rule beyond the most there may be
BOOK_BYTES = 320  # a book, its texts, its place in the dictionary
EVIDENCE = 30  # outcomes before a rule may be switched off
MEMORY = 400
PROBE = 50
LIKELY = 0.5  # a score from which a switched-off rule is probed more often
PROBE_LIKELY = 3
RECENT = 1024
LOOKED_AT = 8  # books, for one that may be closed where there are as many as there may be


@dataclass(slots=True)
class Book:
    """One rule's counts. `good` and `bad` are the halved ones that decide."""

    rule: str
    issued: int = 0
    useful: int = 0
    late: int = 0
    wasted: int = 0
    dropped: int = 0
    good: float = 0.0
    bad: float = 0.0
    held_back: int = 0  # candidates not sent because the rule is off
    # of those that were likely by their own score, halved too: what such a score is worth
    likely_good: float = 0.0
    likely_bad: float = 0.0

    @property
    def precision(self) -> float:
        """Posterior mean of the share of prefetches used, from a uniform prior."""
        return (self.good + 1) / (self.good + self.bad + 2)


FAMILIES = ("followed", "same id", "near id", "session", "period", "link", "rule", "hint", "warm")


def family_of(rule: str) -> str:
    """The kind of evidence that a rule's name opens with: `followed`, `same id`, `link` ..."""
    return next((name for name in FAMILIES if rule.startswith(name)), rule.partition(" ")[0])


class Outcome(NamedTuple):
    """One finished prefetch, for EXPLAIN."""

    at: int
    key: bytes
    rule: str
    trigger: bytes
    score: float
    outcome: str


class Ledger:
    """Totals, the book of each rule (at most `most`, then one for all others), and the last
    outcomes.
    """

    def __init__(self, *, floor: float = 0.25, most: int = MAX_RULES) -> None:
        self.floor = floor
        self.most = most
        self.issued = 0
        self.outcomes = {"useful": 0, "late": 0, "wasted": 0, "dropped": 0}
        self.rules: dict[str, Book] = {}
        self.recent: deque[Outcome] = deque(maxlen=RECENT)

    def allows(self, rule: str, *, probe: bool = True, score: float = 0.0) -> bool:
        """Whether a candidate of this rule may go out; a probe counts what it holds back.

        A rule names many kinds of candidates. One that is likely by its own `score` is tried
        more often while the rule is off, so that unlikely ones do not stand in its way for long;
        unless those that were likely so far came to next to nothing.
        """
        book = self.rules.get(rule)
        if book is None or not self.is_off(book):
            return True
        if not probe:
            return False
        book.held_back += 1
        likely = score >= LIKELY and not self._misjudged(book)
        return book.held_back % (PROBE_LIKELY if likely else PROBE) == 0

    def _misjudged(self, book: Book) -> bool:
        """Whether likely scores of this rule are contradicted by what became of them."""
        good, bad = book.likely_good, book.likely_bad
        return good + bad >= EVIDENCE and (good + 1) / (good + bad + 2) < self.floor / 2

    def is_off(self, book: Book) -> bool:
        """Whether the book's measured precision is below the floor."""
        return book.good + book.bad >= EVIDENCE and book.precision < self.floor

    def issue(self, evidence: Evidence) -> None:
        """A prefetch was queued."""
        self.issued += 1
        self.book(evidence.rule).issued += 1

    def close(self, key: bytes, evidence: Evidence, outcome: str, now: int) -> None:
        """A prefetch ended as `useful`, `late`, `wasted` or `dropped` at `now` (Unix ms)."""
        self.outcomes[outcome] += 1
        book = self.book(evidence.rule)
        setattr(book, outcome, getattr(book, outcome) + 1)
        if outcome != "dropped":
            if outcome == "wasted":
                book.bad += 1
            else:
                book.good += 1
            if book.good + book.bad >= MEMORY:
                book.good /= 2
                book.bad /= 2
            if evidence.score >= LIKELY:
                book.likely_bad += outcome == "wasted"
                book.likely_good += outcome != "wasted"
                if book.likely_good + book.likely_bad >= MEMORY:
                    book.likely_good /= 2
                    book.likely_bad /= 2
        self.recent.append(
            Outcome(now, key, evidence.rule, evidence.trigger, evidence.score, outcome)
        )

    def forgive(self) -> None:
        """The first Plan is there: what was sent before, on guesses, says nothing of the rules."""
        for book in self.rules.values():
            book.good = book.bad = book.likely_good = book.likely_bad = 0.0

    def book(self, rule: str) -> Book:
        """The book of a rule, opened at its first prefetch."""
        book = self.rules.get(rule)
        if book is None:
            if len(self.rules) - (OTHER in self.rules) >= self.most and not self._make_room():
                rule = OTHER
            book = self.rules.setdefault(rule, Book(rule))
        return book

    @property
    def precision(self) -> float | None:
        """(useful + late) / (useful + late + wasted) since the start; None before any."""
        used = self.outcomes["useful"] + self.outcomes["late"]
        ended = used + self.outcomes["wasted"]
        return used / ended if ended else None

    def _make_room(self) -> bool:
        """Close a book in which nothing ended but what came to nothing, of the next few.

        Else names that somebody makes up, for rows that are not there, would take all books.
        """
        for rule in list(islice(self.rules, LOOKED_AT)):
            book = self.rules.pop(rule)
            ended = book.useful + book.late + book.wasted + book.good + book.bad
            if rule != OTHER and not ended and book.issued <= book.dropped:
                return True
            self.rules[rule] = book
        return False

    def active_rules(self) -> int:
        """How many rules are not switched off."""
        return sum(not self.is_off(book) for book in self.rules.values())

    def history(self, key: bytes) -> Iterator[Outcome]:
        """The remembered outcomes of a key, newest first."""
        return (outcome for outcome in reversed(self.recent) if outcome.key == key)

    def reset(self) -> None:
        """CONFIG RESETSTAT: totals start anew; what decides about rules stays."""
        self.issued = 0
        self.outcomes = dict.fromkeys(self.outcomes, 0)
        self.recent.clear()
        for book in self.rules.values():
            book.issued = book.useful = book.late = book.wasted = book.dropped = 0

    @property
    def nbytes(self) -> int:
        """Estimated bytes of the books; the one of all others is a constant, as the totals are."""
        return BOOK_BYTES * (len(self.rules) - (OTHER in self.rules)) + 250 * len(self.recent)
