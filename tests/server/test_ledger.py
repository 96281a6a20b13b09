"""The ledger: every prefetch ends once, and a rule that disappoints is switched off."""

from __future__ import annotations

from antecache.server.backing.base import SourceOptions
from antecache.server.backing.memory import MemoryBacking, MemorySource
from antecache.server.backing.patterns import compile_pattern
from antecache.server.ledger import EVIDENCE, MAX_RULES, OTHER, PROBE, Ledger
from antecache.server.store import Evidence, Origin

ORIGIN = Origin(MemorySource("a", SourceOptions(), MemoryBacking(), compile_pattern("a:{id}")))


def evidence(rule: str = "followed a:*>b:*", score: float = 0.7) -> Evidence:
    return Evidence(ORIGIN, b"a:1", rule, 3, score, 1000)


def run(
    ledger: Ledger, outcomes: list[str], rule: str = "followed a:*>b:*", score: float = 0.7
) -> None:
    for outcome in outcomes:
        ledger.issue(evidence(rule, score))
        ledger.close(b"b:1", evidence(rule, score), outcome, 2000)


def test_totals_and_precision_count_late_as_used_and_leave_dropped_out() -> None:
    ledger = Ledger()
    assert ledger.precision is None
    run(ledger, ["useful"] * 5 + ["late"] + ["wasted"] * 2 + ["dropped"] * 9)
    assert ledger.issued == 17
    assert ledger.outcomes == {"useful": 5, "late": 1, "wasted": 2, "dropped": 9}
    assert ledger.precision == 6 / 8
    assert [outcome.outcome for outcome in ledger.history(b"b:1")][-1] == "useful"


def test_a_rule_below_the_floor_is_off_probes_and_comes_back() -> None:
    ledger = Ledger(floor=0.25)
    rule = "followed a:*>b:*"
    run(ledger, ["wasted"] * (EVIDENCE - 1))
    assert ledger.allows(rule), "too little evidence to judge"
    run(ledger, ["wasted"])
    allowed = [ledger.allows(rule) for _ in range(3 * PROBE)]
    assert sum(allowed) == 3, "one candidate in PROBE still goes out"
    assert not ledger.allows(rule, probe=False)
    assert ledger.active_rules() == 0
    run(ledger, ["useful"] * 30)
    assert ledger.allows(rule) and ledger.active_rules() == 1
    assert ledger.allows("never heard of")


def test_old_success_does_not_excuse_present_failure() -> None:
    ledger = Ledger(floor=0.25)
    run(ledger, ["useful"] * 5000)
    failures = 0
    while ledger.allows("followed a:*>b:*"):
        run(ledger, ["wasted"])
        failures += 1
        assert failures < 2000
    assert failures > 100, "but a short bad spell does"


def test_books_are_bounded() -> None:
    ledger = Ledger()
    for number in range(MAX_RULES + 100):
        run(ledger, ["useful"], f"rule {number}")
    assert len(ledger.rules) == MAX_RULES + 1
    assert ledger.rules[OTHER].issued == 100
    assert sum(book.issued for book in ledger.rules.values()) == ledger.issued


def test_a_reset_keeps_what_decides_about_rules() -> None:
    ledger = Ledger()
    run(ledger, ["wasted"] * 100)
    ledger.reset()
    assert ledger.issued == 0 and ledger.precision is None
    assert ledger.active_rules() == 0


def test_likely_candidates_bring_a_rule_back_soon() -> None:
    ledger = Ledger(floor=0.25)
    run(ledger, ["wasted"] * 60, "mixed", score=0.3)
    sent = 0
    while not ledger.allows("mixed", probe=False):
        if ledger.allows("mixed", score=0.9):
            run(ledger, ["useful"], "mixed")
        sent += 1
        assert sent < 150
    assert sent > 30  # but not at once: a score may be wrong, too


def test_likely_candidates_that_come_to_nothing_are_no_reason_to_try_more_often() -> None:
    """A Plan that is sure of everything would have a third of it sent."""
    ledger = Ledger(floor=0.25)
    run(ledger, ["wasted"] * 60, "liar", score=0.99)
    sent = sum(ledger.allows("liar", score=0.99) for _ in range(1000))
    assert sent == 1000 // PROBE


def test_failures_before_the_first_plan_are_forgiven() -> None:
    ledger = Ledger()
    for _ in range(100):
        ledger.close(b"k", evidence("guessed"), "wasted", 0)
    assert not ledger.allows("guessed", probe=False)
    ledger.forgive()
    assert ledger.allows("guessed", probe=False)
    assert ledger.outcomes["wasted"] == 100  # what happened is still told


def test_rules_of_rows_that_are_not_there_take_no_book_from_others() -> None:
    ledger = Ledger(most=40)
    for number in range(30):
        run(ledger, ["useful"], f"real {number}")
    for number in range(500):
        run(ledger, ["dropped"], f"made up {number}")
    run(ledger, ["wasted"], "newcomer")
    assert {f"real {number}" for number in range(30)} <= ledger.rules.keys()
    assert ledger.rules["newcomer"].wasted == 1
    assert len(ledger.rules) <= 41
    for number in range(100):
        run(ledger, ["useful"], f"busy {number}")
    assert OTHER in ledger.rules, "when all have ended well or badly, the rest share one"
    assert len(ledger.rules) <= 41
