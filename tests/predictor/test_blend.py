"""The blend: every family is heard, and one key is one candidate."""

from __future__ import annotations

import random

import numpy as np

from antecache.predictor.blend import Blend
from antecache.predictor.misslog import MissLog
from antecache.predictor.plan import Plan, pack_counters
from antecache.predictor.ring import slots_for
from antecache.predictor.sessions import Sessions
from antecache.predictor.strides import Strides
from antecache.predictor.templates import Templates

BUDGET = 200_000


def mixed(blend: Blend) -> Blend:
    rng = random.Random(1)
    for at in range(1500):
        user = rng.randrange(200)
        for key in (b"user:%d" % user, b"cart:%d" % user, b"%d" % (90_000 + at)):
            blend.observe(key, demand=rng.random() < 0.7)
        blend.observe(b"/page/" + b"x" * rng.randrange(40), demand=True)
    return blend


def test_every_family_is_heard() -> None:
    blend = mixed(Blend(BUDGET))
    families = {}
    for key in (b"user:7", b"user:999999", b"91500"):
        for candidate in blend.candidates(key):
            families.setdefault(candidate.rule.split()[0], set()).add(candidate.bucket)
    assert {"followed", "same", "stride"} <= set(families)
    first, second = MissLog.buckets, MissLog.buckets + Templates.buckets
    assert all(bucket < first for bucket in families["followed"])
    assert all(first <= bucket < second for bucket in families["same"])
    third = second + Strides.buckets
    assert all(second <= bucket < third for bucket in families["stride"])
    assert Blend.buckets == third + Sessions.buckets


def test_a_key_of_several_families_is_one_candidate_with_the_best_score() -> None:
    blend = mixed(Blend(BUDGET))
    parts = [blend.misslog, blend.templates, blend.strides, blend.sessions]
    for user in range(50):
        key = b"user:%d" % user
        found = blend.candidates(key)
        assert len({candidate.key for candidate in found}) == len(found)
        best = dict[bytes, float]()
        for part in parts:
            for candidate in part.candidates(key):
                best[candidate.key] = max(candidate.score, best.get(candidate.key, 0))
        assert {candidate.key: candidate.score for candidate in found} == best
        scores = [candidate.score for candidate in found]
        assert scores == sorted(scores, reverse=True)


def in_turns(blend: Blend) -> Blend:
    """Two readers of the same seven books, who never wait for each other."""
    rng = random.Random(2)
    at = {1: 0, 2: 0}
    for _ in range(3000):
        blend.session = rng.choice((1, 2))
        step = at[blend.session]
        blend.observe(b"%d.%d" % (step // 6 * 3 % 7, step % 6), demand=True)
        at[blend.session] += 1
    return blend


def test_beside_sessions_that_prove_as_certain_the_log_counts_a_quarter() -> None:
    blend = in_turns(Blend(BUDGET))
    key, first = b"5.1", blend.sessions.first_bucket
    log = {c.key: c.score for c in blend.misslog.candidates(key)}
    tables = [*blend.templates.candidates(key), *blend.sessions.candidates(key)]
    said: dict[bytes, float] = {}
    for candidate in tables:
        said[candidate.key] = max(candidate.score, said.get(candidate.key, 0.0))
    assert b"5.2" in said
    assert b"5.2" in log
    # a bucket of sessions, or of the log, that says nothing of the candidates here
    for certain, part in ((first + 17, 0.25), (400, 1.0)):
        hits, trials = np.zeros(Blend.buckets), np.zeros(Blend.buckets)
        trials[certain] = hits[certain] = 100
        blend.adopt(Plan(version=1, hits=pack_counters(hits), trials=pack_counters(trials)))
        found = {c.key: c for c in blend.candidates(key)}
        for other in log.keys() | said.keys():
            expected = max(part * log.get(other, 0.0), said.get(other, 0.0))
            assert abs(found[other].score - expected) < 1e-6


def test_hits_teach_sessions_until_these_prove_to_tell_nothing() -> None:
    blend = in_turns(Blend(BUDGET))
    assert blend.listens
    blend.passed(1, [b"5.1", b"5.2"])
    assert blend.waiting() == []  # nobody knows yet whether sessions tell more than the log
    for certain, trained_on, listens in ((400, 1000, True), (400, 9000, False)):
        hits, trials = np.zeros(Blend.buckets), np.zeros(Blend.buckets)
        trials[certain] = hits[certain] = 100
        counters = pack_counters(hits), pack_counters(trials)
        blend.adopt(Plan(version=1, trained_on=trained_on, hits=counters[0], trials=counters[1]))
        assert blend.listens is listens
    hits, trials = np.zeros(Blend.buckets), np.zeros(Blend.buckets)
    certain = blend.sessions.first_bucket + 17
    trials[certain] = hits[certain] = 100
    blend.adopt(
        Plan(version=2, trained_on=9000, hits=pack_counters(hits), trials=pack_counters(trials))
    )
    assert blend.listens
    blend.passed(1, [b"5.1", b"5.2"])
    assert b"5.3" in {candidate.key for candidate in blend.waiting()}


def test_sessions_that_are_met_get_memory_at_once() -> None:
    blend = Blend(BUDGET)
    blend.settle(0.0, 1.0)
    in_turns(blend)
    assert not blend.sessions.idle
    blend.check()


def test_the_plan_reaches_every_family() -> None:
    blend = mixed(Blend(BUDGET))
    none = np.zeros(Blend.buckets)
    blend.adopt(Plan(version=1, hits=pack_counters(none), trials=pack_counters(none + 396)))
    for key in (b"user:7", b"user:999999", b"91500"):
        assert all(candidate.score < 0.01 for candidate in blend.candidates(key))


def test_the_log_has_what_the_tables_leave() -> None:
    blend = Blend(BUDGET)
    for at in range(40_000):
        blend.observe(b"page:%d" % (at * 7919 % 100_003), demand=True)
        assert blend.nbytes <= BUDGET
    without_numbers = blend.misslog.slots
    assert blend.strides.nbytes == 0
    assert without_numbers > 0.8 * slots_for(BUDGET)
    for at in range(20_000):
        blend.observe(b"%d" % (at * 7919 % 100_003), demand=True)
        assert blend.nbytes <= BUDGET
    assert blend.strides.nbytes > 0
    assert blend.misslog.slots < without_numbers
    blend.check()
    blend.resize(BUDGET // 3)
    blend.check()
    assert blend.misslog.slots > 0


def test_a_state_reads_back_also_into_another_budget() -> None:
    blend, again, small = mixed(Blend(BUDGET)), Blend(BUDGET), Blend(BUDGET // 4)
    state = blend.dump()
    for other in (again, small):
        other.load(state)
        other.check()
    for user in range(50):
        key = b"user:%d" % user
        expected = [(c.key, c.score) for c in blend.misslog.candidates(key)]
        assert [(c.key, c.score) for c in again.misslog.candidates(key)] == expected
    assert small.misslog.candidates(b"user:7")
    for key in (b"user:999999", b"91500"):
        assert {c.key for c in again.candidates(key)} == {c.key for c in blend.candidates(key)}


def test_what_fits_is_kept_while_the_index_of_the_log_is_replaced() -> None:
    """Both indexes take memory for a while: that must not cost events."""
    log = MissLog(1 << 20)
    for at in range(60_000):
        log.observe(b"user:%d" % (at % 20_000), demand=True)
    log.resize(4 << 20)  # a longer ring, so a larger index, made piece by piece
    held = log.filled
    log.resize(log.nbytes - 4 * 25_000)
    assert log.filled > 0.9 * held
    log.check()


def test_a_state_is_read_back_where_less_than_chance_was_found() -> None:
    rng = random.Random(4)
    learned = Blend(100_000)
    learned.settle(0.0, 1.0)
    for _ in range(20_000):
        learned.observe(b"page:%d" % rng.randrange(500), demand=True)
    learned.settle(0.0, 0.99)
    fresh = Blend(100_000)
    fresh.load(learned.dump())
    assert fresh.misslog.filled > 0.9 * learned.misslog.filled


def test_what_is_only_noted_is_in_the_log_and_leaves_a_gap_in_the_tables() -> None:
    blend = Blend(BUDGET)
    for number in range(400):
        blend.observe(b"user:%d" % number, demand=True)
        blend.note(b"cart:%d" % number, demand=True)
        blend.note(b"%d" % number, demand=True)
    assert blend.misslog.events == 1200
    assert [c.key for c in blend.misslog.candidates(b"user:350")][:1] == [b"cart:350"]
    assert blend.templates.candidates(b"user:7") == []
    assert not blend.strides.met
    for number in range(400, 500):
        blend.observe(b"user:%d" % number, demand=True)
        blend.observe(b"cart:%d" % number, demand=True)
    assert b"cart:7" in [c.key for c in blend.templates.candidates(b"user:7")]


def test_misses_that_are_noted_together_are_remembered_as_if_noted_one_by_one() -> None:
    rng = random.Random(1)
    alone, together = Blend(BUDGET), Blend(BUDGET)
    for blend in (alone, together):
        blend.settle(1e-9, 0.99)
    misses = [(b"user:%d" % rng.randrange(3000), rng.randrange(20)) for _ in range(6000)]
    for key, session in misses:
        alone.session = session
        alone.note(key, demand=True)
    for first in range(0, len(misses), 100):
        together.note_all(misses[first : first + 100])
    assert together.misslog.events == alone.misslog.events == 6000
    assert together.misslog.filled > 0.95 * alone.misslog.filled > 0  # laps end a little later
    asked = [b"user:%d" % number for number in range(300)]
    told = [together.misslog.candidates(key) == alone.misslog.candidates(key) for key in asked]
    assert sum(told) > 0.9 * len(asked)
