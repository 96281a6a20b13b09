"""Probation's memory of what left: ages at the time of a miss, also when it is told late."""

from __future__ import annotations

from antecache.server.store.probation import Probation


def watching(span: int) -> Probation:
    probation = Probation()
    probation.watch(True)
    probation.span(span, span)
    return probation


def test_a_miss_that_is_told_late_is_as_old_as_it_was() -> None:
    probation = watching(1000)
    for number in range(100):
        probation.left_policy(b"%d" % number)
    missed_at = probation.departures
    now = probation.missed(b"60", 1000)
    assert 35 <= now <= 41
    for number in range(100, 300):
        probation.left_policy(b"%d" % number)
    assert abs(probation.missed(b"60", 1000, missed_at) - now) <= 2
    assert probation.missed(b"60", 1000) >= now + 190


def test_one_that_has_left_again_since_had_not_left() -> None:
    probation = watching(1000)
    missed_at = probation.departures
    for number in range(100):
        probation.left_policy(b"%d" % number)
    assert probation.missed(b"60", 1000, missed_at) == -1


def test_what_left_before_somebody_watches_is_not_known() -> None:
    probation = watching(1000)
    probation.left_policy(b"a")
    assert probation.since_left(b"a") >= 0
    probation.watch(False)
    probation.left_policy(b"b")
    probation.watch(True)
    assert probation.since_left(b"a") == probation.since_left(b"b") == -1
