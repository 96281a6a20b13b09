"""PREDICTOR EXPLAIN, RULES, LEDGER and FORECAST: what is expected, why, and what came of it.

These commands read the books of the prefetcher and the ledger; the figures about
the future come from `forecast.py`, through the server. A user is told of no key
that it may not read, neither as what is expected nor as what led there.
"""

from __future__ import annotations

from typing import Any

from antecache.server.command import Argv, command
from antecache.server.commands.prediction import rounded
from antecache.server.errors import NOT_INTEGER, SYNTAX, ClientError
from antecache.server.glob import MATCHES_ALL, matcher
from antecache.server.ledger import Book, Outcome, family_of
from antecache.server.store import Evidence

MOST_FORECAST = 1000


@command(
    "predictor|rules",
    -2,
    flags="loading stale",
    since="0.1.0",
    complexity="O(N) with N being the number of rules.",
    summary="Lists the rules that prefetched, with what came of each; most used first.",
)
def rules(client: Any, argv: Argv) -> list[dict[str, Any]]:
    """One map a rule whose name matches the glob pattern (all without one)."""
    if len(argv) > 3:
        raise ClientError(SYNTAX)
    ledger = client.server.ledger
    fits = matcher(argv[2] if len(argv) == 3 else MATCHES_ALL)
    # the operator's rules are listed before they have fired
    said = {name: Book(name) for name in client.server.followups.rules.names()}
    books = [book for book in (said | ledger.rules).values() if fits(book.rule.encode())]
    books.sort(key=lambda book: book.issued, reverse=True)
    return [_book(book, ledger.is_off(book)) for book in books]


def _book(book: Book, off: bool) -> dict[str, Any]:
    return {
        "rule": book.rule.encode(),
        "state": "off" if off else "on",
        "precision": rounded(book.precision),
        "issued": book.issued,
        "useful": book.useful,
        "late": book.late,
        "wasted": book.wasted,
        "dropped": book.dropped,
        "held-back": book.held_back,
    }


@command(
    "predictor|ledger",
    -2,
    flags="loading stale",
    since="0.1.0",
    complexity="O(N) with N being the number of rules.",
    summary="Sums up what prefetching brought, by kind of evidence, and lists the last outcomes.",
)
def ledger(client: Any, argv: Argv) -> dict[str, Any]:
    """LEDGER [count]: totals, a map of families, and the last `count` outcomes (10)."""
    books, may_read = client.server.ledger, client.account.may_read
    count = _count(argv, 10)
    families: dict[str, Book] = {}
    off: dict[str, int] = {}
    for book in books.rules.values():
        name = family_of(book.rule)
        total = families.setdefault(name, Book(name))
        for field in ("issued", "useful", "late", "wasted", "dropped", "held_back"):
            setattr(total, field, getattr(total, field) + getattr(book, field))
        off[name] = off.get(name, 0) + books.is_off(book)
    return {
        "issued": books.issued,
        **books.outcomes,
        "precision": "n/a" if books.precision is None else rounded(books.precision),
        "precision-floor": rounded(books.floor),
        "families": {
            name.encode(): _family(total, off[name])
            for name, total in sorted(families.items(), key=lambda item: -item[1].issued)
        },
        "recent": [
            {"key": outcome.key, **_outcome(outcome)}
            for outcome in list(books.recent)[: -count - 1 : -1]
            if may_read(outcome.key) and may_read(outcome.trigger)
        ],
    }


def _family(total: Book, off: int) -> dict[str, Any]:
    used = total.useful + total.late
    ended = used + total.wasted
    return {
        "issued": total.issued,
        "useful": total.useful,
        "late": total.late,
        "wasted": total.wasted,
        "dropped": total.dropped,
        "held-back": total.held_back,
        "precision": rounded(used / ended) if ended else "n/a",
        "rules-off": off,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "at-ms": outcome.at,
        "rule": outcome.rule.encode(),
        "trigger": outcome.trigger,
        "score": rounded(outcome.score),
        "outcome": outcome.outcome,
    }


@command(
    "predictor|forecast",
    -2,
    flags="loading stale",
    since="0.1.0",
    complexity="O(N) with N being the number of events remembered, 32 at most.",
    summary="Lists the keys that are most likely to be asked for next, cached or not.",
)
def forecast(client: Any, argv: Argv) -> list[dict[str, Any]]:
    """FORECAST [count]: a map for each of the `count` (10) likeliest keys, likeliest first."""
    count = _count(argv, 10)
    may_read = client.account.may_read
    found = [
        one
        for one in client.server.foresight.expected().values()
        if may_read(one.candidate.key) and may_read(one.trigger)
    ]
    best = sorted(found, key=lambda one: one.candidate.score, reverse=True)[:count]
    return [
        {
            "key": one.candidate.key,
            "probability": rounded(one.candidate.score),
            "after": one.trigger,
            "rule": one.candidate.rule.encode(),
            "decision": one.decision.reason,
            "saves-ms": rounded(one.benefit_ms),
        }
        for one in best
    ]


def _count(argv: Argv, default: int) -> int:
    if len(argv) > 3:
        raise ClientError(SYNTAX)
    if len(argv) < 3:
        return default
    if not (argv[2].isdigit() and 0 < int(argv[2]) <= MOST_FORECAST):
        raise ClientError(NOT_INTEGER)
    return int(argv[2])


@command(
    "predictor|explain",
    3,
    flags="loading stale",
    since="0.1.0",
    summary="Explains a key: how it came here or why not, and what it leads to.",
)
def explain(client: Any, argv: Argv) -> dict[str, Any]:
    """A map: the key's source and entry, what expects it, its past, and what it leads to."""
    server, key, may_read = client.server, argv[2], client.account.may_read
    source = server.sources.owner(key)
    entry = server.store.databases[0].peek(key)
    answer: dict[str, Any] = {
        "key": key,
        "source": None if source is None else source.name.encode(),
        "cached": "yes" if entry is not None else "no",
    }
    if entry is not None and type(entry.origin) is Evidence:
        answer["brought-by"] = _evidence(server, entry.origin, used=entry.where >= 0)
        if not may_read(entry.origin.trigger):
            answer["brought-by"]["trigger"] = None
    elif entry is not None:
        answer["brought-by"] = "a read" if entry.origin is not None else "a client's write"
    else:
        answer["absent-because"] = _why_absent(server, key, source)
    answer["history"] = [
        _outcome(outcome) for outcome in server.ledger.history(key) if may_read(outcome.trigger)
    ]
    answer["expected-after"] = [
        {"event": event.kind, "at-ms": event.at, "trigger": event.key, **_expected(server, one)}
        for event, one in server.foresight.leading_to(key)
        if may_read(event.key)
    ]
    answer["would-fetch"] = [
        {"key": one.candidate.key, **_expected(server, one)}
        for one in server.foresight.led_by(key)
        if may_read(one.candidate.key)
    ]
    due = server.schedule.due(key)
    if due is not None:
        answer["due"] = {
            "rule": due.rule.encode(),
            "at-ms": round(1000 * due.at),
            "period-ms": round(1000 * due.period),
            "spread-ms": round(1000 * due.spread),
            "probability": rounded(due.confidence),
        }
    answer["threshold"] = rounded(server.prefetcher.budget.theta)
    return answer


def _why_absent(server: Any, key: bytes, source: Any) -> str:
    """One sentence; what is measured stands beside it."""
    if source is None:
        return "no source owns it, and no client has written it"
    if key in server.loader.inflight:
        return "it is on its way"
    if server.store.known_absent(key):
        return "its source has no such row"
    if not source.options.prefetch:
        return "nobody has read it, and its source is not prefetched"
    if server.foresight.never(key):
        return "nobody has read it, and never-predict forbids to expect it"
    last = next(server.ledger.history(key), None)
    if last is not None and last.outcome == "wasted":
        return "it was prefetched and left before anybody used it"
    if not server.prefetcher.enabled:
        return "nobody has read it, and prediction is off"
    return "nobody has read it lately, and nothing that expects it was sure enough"


def _expected(server: Any, one: Any) -> dict[str, Any]:
    candidate = one.candidate
    book = server.ledger.rules.get(candidate.rule)
    return {
        "probability": rounded(candidate.score),
        "lift": rounded(one.lift),
        "decision": one.decision.reason,
        "rule": candidate.rule.encode(),
        "past-precision": "n/a" if book is None else rounded(book.precision),
        "saves-ms": rounded(one.benefit_ms),
        "costs-ms": rounded(one.cost_ms),
        "because": {name: rounded(value) for name, value in candidate.why},
    }


def _evidence(server: Any, evidence: Evidence, *, used: bool) -> dict[str, Any]:
    book = server.ledger.rules.get(evidence.rule)
    return {
        "rule": evidence.rule.encode(),
        "trigger": evidence.trigger,
        "probability": rounded(evidence.score),
        "past-precision": "n/a" if book is None else rounded(book.precision),
        "at-ms": evidence.at,
        "used": "yes" if used else "not yet",
        "because": {name: rounded(value) for name, value in evidence.why},
    }
