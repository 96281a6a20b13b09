"""The miss log: candidates as a list of all events would give them, and memory as promised."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.predictor.base import Candidate
from antecache.predictor.misslog import MissLog, StateError, bucket_of
from antecache.predictor.plan import Plan, pack_counters
from antecache.predictor.ring import slots_for

#: room for some hundred events of a few short texts: what is tested wraps around
BUDGET = 2200
KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f", b"g"])
EVENTS = st.lists(st.tuples(KEYS, st.booleans()), max_size=250)


def expected(
    events: list[tuple[bytes, bool]], slots: int, key: bytes, window: int = 24
) -> dict[bytes, tuple[int, int, int, int]]:
    """Visits, visits with the candidate, distance and sameness, straight from the list."""
    newest, previous = dict[bytes, int](), dict[int, int]()
    for now, (event, demand) in enumerate(events):
        known = event in newest and now - newest[event] <= slots
        if known:
            previous[now] = newest[event]
        if known or demand:
            newest[event] = now
    oldest, at, visits = max(0, len(events) - slots), newest.get(key, -1), list[int]()
    while at >= oldest and len(visits) < 3:
        visits.append(at)
        at = previous.get(at, -1)
    found = dict[bytes, list[int]]()
    for visit in visits:
        same = int(visit > oldest and events[visit - 1][0] == events[-1][0])
        counted = set()
        for distance, (event, _) in enumerate(events[visit + 1 : visit + 1 + window], 1):
            if event == key:
                break
            features = found.setdefault(event, [0, distance, same])
            if event not in counted:
                features[0] += 1
                counted.add(event)
    return {event: (len(visits), *features) for event, features in found.items()}  # type: ignore[misc]


def filled(events: list[tuple[bytes, bool]], budget: int = BUDGET) -> MissLog:
    log = MissLog(budget)
    for key, demand in events:
        log.observe(key, demand=demand)
    return log


def features(candidate: Candidate) -> tuple[float, float, float, float]:
    why = dict(candidate.why)
    return (
        why["visits"],
        round(why["confidence"] * why["visits"]),
        why["distance"],
        why["same_before"],
    )


@given(EVENTS, KEYS)
@settings(max_examples=300)
def test_candidates_are_those_of_the_list(events: list[tuple[bytes, bool]], key: bytes) -> None:
    events = [(b"%c" % name, True) for name in b"abcdefg"] + events
    log = filled(events[:7])
    slots = log.slots
    assert 64 <= slots < 150
    for event, demand in events[7:]:
        log.observe(event, demand=demand)
    assert log.slots == slots  # the texts of all keys are there from the start
    found = log.candidates(key)
    model = expected(events, slots, key)
    assert {candidate.key: features(candidate) for candidate in found} == model
    for candidate in found:
        visits, count, distance, same = model[candidate.key]
        share = count / visits
        assert candidate.bucket == bucket_of(visits, share, distance, same)
        assert candidate.score == pytest.approx(0.7 * share)
        assert candidate.why[0] == ("confidence", share)
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
    log.check()


def test_a_candidate_says_how_old_its_evidence_is() -> None:
    log = MissLog(20_000)
    for key in (b"user:1", b"cart:1", *(b"noise:%d" % n for n in range(50))):
        log.observe(key, demand=True)
    (found,) = [c for c in log.candidates(b"user:1") if c.key == b"cart:1"]
    assert dict(found.why)["age"] == 52  # events since, that one included


def test_what_followed_follows() -> None:
    log = MissLog(20_000)
    for n in range(40):
        for key in (b"user:%d" % (n % 8), b"cart:%d" % (n % 8), b"noise:%d" % n):
            log.observe(key, demand=True)
    best = log.candidates(b"user:3")[0]
    assert best.key == b"cart:3"
    assert best.rule == "followed user:*>cart:*"
    assert dict(best.why) == {
        "confidence": 1,
        "visits": 3,
        "distance": 1,
        "same_before": 0,
        "age": 15,
    }


def test_the_plan_decides_the_scores() -> None:
    log = filled([(key, True) for key in (b"a", b"b", b"c") * 5])
    candidate = next(c for c in log.candidates(b"a") if c.key == b"b")
    hits, trials = np.zeros(432), np.zeros(432)
    hits[candidate.bucket], trials[candidate.bucket] = 30, 200
    plan = Plan(version=1, hits=pack_counters(hits), trials=pack_counters(trials))
    log.adopt(plan)
    scored = next(c for c in log.candidates(b"a") if c.key == b"b")
    assert scored.score == pytest.approx((30 + 2.8) / 204)
    assert scored.score == pytest.approx(plan.score(scored.bucket, 1.0))
    assert log.candidates(b"a")[0].key == b"c"
    log.adopt(Plan(version=2, visits=1, window=1))
    assert [c.key for c in log.candidates(b"a")] == [b"b"]
    log.adopt(Plan(version=3, disabled=("followed ?>?",)))
    assert log.candidates(b"a") == []


@given(st.integers(0, 60_000), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_budget_is_kept_whatever_the_keys(budget: int, seed: int) -> None:
    rng = random.Random(seed)
    log = MissLog(budget)
    length = rng.choice((4, 30, 200))
    for _ in range(3000):
        kind = rng.random()
        if kind < 0.5:
            key = b"page:%d" % rng.randrange(2000)
        elif kind < 0.9:
            key = b"text-" + b"%x" % rng.randrange(400) * (length // 4)
        else:
            key = b"%d:%d/%d" % (rng.randrange(50), rng.randrange(50), rng.randrange(50))
        log.observe(key, demand=rng.random() < 0.7)
        assert log.nbytes <= budget or log.slots == 0
        if rng.random() < 0.002:
            budget = rng.randrange(60_000)
            log.resize(budget)
    log.candidates(b"page:7")
    log.check()


def test_the_ring_grows_again_when_texts_are_gone() -> None:
    log = MissLog(40_000)
    full = slots_for(40_000)
    for n in range(3000):
        log.observe(b"session:" + b"%040d" % n + b"-%x" % n * 9, demand=True)
    assert log.slots < full / 3
    for n in range(60_000):
        log.observe(b"page:%d" % (n % 5000), demand=True)
    assert log.slots > full * 0.6
    log.check()


@given(EVENTS)
@settings(deadline=None)
def test_a_state_reads_back_equal(events: list[tuple[bytes, bool]]) -> None:
    log = filled(events)
    again = MissLog(BUDGET)
    again.observe(b"forgotten", demand=True)
    again.load(log.dump())
    again.check()
    assert again.events == log.events
    for key in (b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"forgotten"):
        assert again.candidates(key) == log.candidates(key)
        log.observe(key, demand=True)
        again.observe(key, demand=True)
    assert again.dump() == log.dump()


def test_a_state_larger_than_the_budget_keeps_its_newest_part() -> None:
    log = MissLog(100_000)
    for n in range(9000):
        log.observe(b"page:%d" % (n % 900), demand=True)
    small = MissLog(30_000)
    small.load(log.dump())
    small.check()
    assert small.candidates(b"page:5")[0].key == b"page:6"


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1])
def test_a_broken_state_is_refused_and_nothing_changes(cut: int) -> None:
    log = filled([(key, True) for key in (b"a", b"b", b"c") * 5])
    before = log.dump()
    with pytest.raises(StateError, match="cannot be used"):
        log.load(filled([(b"z", True)] * 9).dump()[:cut])
    assert log.dump() == before


@given(st.integers(0, 5000), st.integers(0, 255))
def test_a_poisoned_state_is_refused_or_harmless(position: int, byte: int) -> None:
    log = filled([(b"page:%d" % (n % 50), True) for n in range(200)] + [(b"text", True)])
    state = bytearray(log.dump())
    state[position % len(state)] = byte
    other = MissLog(BUDGET)
    try:
        other.load(bytes(state))
    except StateError:
        return
    for n in range(100):
        other.observe(b"page:%d" % (n % 50), demand=True)
        other.candidates(b"page:%d" % (n % 50))
