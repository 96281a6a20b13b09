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


def test_a_sample_tells_the_same_ages_of_a_quarter_of_the_keys() -> None:
    probation = watching(4000)
    probation.sample(True)
    keys = [b"key:%d" % number for number in range(8000)]
    for key in keys:
        probation.left_policy(key)
    sampled = [number for number, key in enumerate(keys) if probation.sampled(key)]
    assert 0.2 < len(sampled) / len(keys) < 0.3
    assert probation.departures == 8000
    ages = {number: probation.since_left(keys[number]) for number in range(4200, 8000)}
    known = {number: age for number, age in ages.items() if age >= 0}
    assert len(known) > 0.9 * sum(number >= 4200 for number in sampled)
    assert all(abs(age - (8000 - number)) < 400 for number, age in known.items())
