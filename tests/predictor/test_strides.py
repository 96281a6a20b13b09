"""Strides predict numbers that were never asked for before."""

from __future__ import annotations

import random

import pytest

from antecache.predictor.plan import Plan
from antecache.predictor.rows import bytes_for
from antecache.predictor.strides import Strides

BUDGET = 100_000


def test_a_scan_is_continued_where_nobody_was_before() -> None:
    strides = Strides(BUDGET)
    for start in (1000, 500_000):
        for at in range(200):
            strides.observe(b"%d" % (start + at), demand=True)
    strides.observe(b"7000001", demand=True)
    strides.observe(b"7000002", demand=True)
    found = strides.candidates(b"7000003")
    assert {b"7000004", b"7000005", b"7000006"} <= {c.key for c in found[:12]}
    best = found[0]
    assert best.rule in ("stride", "stride pair", "address class")
    assert dict(best.why)["difference"] > 0
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)


def test_two_alternating_steps_need_both() -> None:
    strides, at = Strides(BUDGET), 0
    for step in [3, 100] * 300:
        at += step
        strides.observe(b"%d" % at, demand=True)
    found = {c.key: dict(c.why)["confidence"] for c in strides.candidates(b"%d" % (at + 3))}
    assert found[b"%d" % (at + 103)] == found[b"%d" % (at + 206)] == 1
    assert found.get(b"%d" % (at + 6), 0) < 0.6  # the last step alone would say so


def test_whether_a_key_was_seen_is_another_kind_of_evidence() -> None:
    strides = Strides(BUDGET)
    for at in [*range(200), 1000, 1001]:
        strides.observe(b"%d" % at, demand=True)
    strides.observe(b"998", demand=True)
    buckets = {dict(c.why)["seen"]: c.bucket for c in strides.candidates(b"999")}
    assert set(buckets) == {0.0, 1.0}
    assert len(set(buckets.values())) == 2


def test_keys_that_are_no_integers_cost_nothing() -> None:
    strides = Strides(BUDGET)
    for at in range(500):
        for key in (b"user:%d" % at, b"%05d" % at, b"", b"-3", b"%d" % 10**20, b"\xb2"):
            strides.observe(key, demand=True)
            assert strides.candidates(key) == []
    assert strides.nbytes == 0


def test_memory_is_kept_and_rules_can_be_off() -> None:
    for budget in (0, 100, bytes_for(10, 16), BUDGET, 10 * BUDGET):
        strides = Strides(budget)
        rng = random.Random(1)
        for _ in range(300):
            strides.observe(b"%d" % rng.randrange(10**9), demand=True)
        assert strides.nbytes <= budget
        strides.candidates(b"5")
    strides = Strides(BUDGET)
    for at in range(200):
        strides.observe(b"%d" % at, demand=True)
    strides.adopt(Plan(version=1, disabled=("stride", "stride pair", "address class")))
    assert strides.candidates(b"200") == []


def test_a_state_reads_back() -> None:
    strides, again = Strides(BUDGET), Strides(BUDGET)
    for at in range(0, 2000, 3):
        strides.observe(b"%d" % at, demand=True)
    again.load(strides.dump())
    for other in (strides, again):
        for key in (b"70000", b"70003"):
            other.observe(key, demand=True)
    expected = {c.key: c.score for c in strides.candidates(b"70006")}
    assert {c.key: c.score for c in again.candidates(b"70006")} == pytest.approx(expected, abs=0.03)
