"""How closely misses are looked at: hardly where nothing follows anything, soon where it does.

What this file does not do: measure what that saves (`tests/bench/harmless.py`).
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.predictor.base import Candidate
from antecache.predictor.blend import Blend
from antecache.server import interest, witnesses
from antecache.server.interest import (
    CLOSELY,
    CREDIT,
    LONGEST_ROUND,
    LOOK,
    PROBES,
    ROUND,
    WAIT,
    Interest,
)
from antecache.server.prefetch import Prefetcher
from antecache.server.replay import Replay, Setup

KEYS = 5000


def candidate(key: bytes, confidence: float) -> Candidate:
    return Candidate(key, 0.01, 0, "followed x:*>x:*", (("confidence", confidence),))


def bored() -> Interest:
    """One that has looked in vain until it had no credit."""
    made = Interest()
    for number in range(CREDIT // LOOK + 1):
        made.event(b"once:%d" % number)
        if made.looking:
            made.looked(0, ())
    assert not made.close
    return made


def looks(made: Interest, keys: list[bytes], expect: Callable[[int], bytes]) -> int:
    """Tell it of these misses; how many it looked at, each naming `expect(place)`."""
    count = 0
    for place, key in enumerate(keys):
        made.event(key)
        if made.looking:
            count += 1
            made.looked(20, [candidate(b"unlikely", 0.1), candidate(expect(place), 0.9)])
    return count


def test_a_look_that_finds_much_costs_more() -> None:
    made = Interest()
    for number in range(CREDIT // (LOOK + 92)):
        assert made.close, number
        made.event(b"%d" % number)
        made.looked(92, ())
    assert not made.close


def test_used_prefetches_pay_for_looking() -> None:
    made = Interest()
    for number in range(20_000):
        made.event(b"%d" % number)
        assert made.looking and made.thorough
        made.looked(60, ())
        if number % 50 == 0:  # one in fifty: 4,000 for 50 x 68
            made.used()
    assert made.close


def test_without_credit_only_probes_are_looked_at_ever_more_seldom() -> None:
    made = bored()
    keys = [b"k:%d" % number for number in range(40 * LONGEST_ROUND)]
    seldom = len(keys) // LONGEST_ROUND
    assert seldom * PROBES <= looks(made, keys, lambda _: b"never asked") <= (seldom + 3) * PROBES
    rounds, thorough = 10, 0
    for key in keys[: rounds * LONGEST_ROUND]:
        made.event(key)
        thorough += made.thorough
        if made.looking:
            made.looked(0, ())
    assert rounds * CLOSELY <= thorough <= (rounds + 1) * (CLOSELY + PROBES)


def test_events_that_are_told_late_change_nothing_about_the_next_ones() -> None:
    at_once, late = bored(), bored()
    keys = [b"k:%d" % number for number in range(20 * ROUND)]
    place = looks_late = looks_at_once = 0
    while place < len(keys):
        together = keys[place : place + max(1, late.spare)]
        late.passed(together)
        for key in together:
            at_once.event(key)
            looks_at_once += at_once.looking
        looks_late += late.looking
        assert (late.looking, late.thorough) == (at_once.looking, at_once.thorough)
        if late.looking:
            late.looked(20, [candidate(b"never asked", 0.9)])
            at_once.looked(20, [candidate(b"never asked", 0.9)])
        place += len(together)
    assert looks_late == looks_at_once > 2 * PROBES


def test_one_that_comes_true_is_noticed_late_but_noticed() -> None:
    made = bored()
    keys = [b"k:%d" % number for number in range(6 * ROUND)]
    place = 0
    while place < len(keys) and not made.close:
        together = keys[place : place + max(1, made.spare)]
        made.passed(together)
        place += len(together)
        if made.looking and place < len(keys):
            made.looked(20, [candidate(keys[place], 0.9)])
    assert made.close and place < 3 * ROUND


def test_probes_that_come_true_wake_it_within_two_rounds() -> None:
    made = bored()
    keys = [b"k:%d" % number for number in range(2 * ROUND)]
    looks(made, keys, lambda place: keys[min(place + 1, len(keys) - 1)])
    assert made.close


def test_a_used_prefetch_wakes_it_for_as_long_as_it_is_worth() -> None:
    made = bored()
    made.used()
    assert made.close
    keys = [b"k:%d" % number for number in range(WAIT // (LOOK + 20) + 1)]
    looks(made, keys, lambda _: b"never asked")
    assert not made.close


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(600, 20_000))
def test_chance_does_not_wake_it_for_long(seed: int, keys: int) -> None:
    made, rng = bored(), random.Random(seed)
    count = 40_000
    order = [b"%d" % rng.randrange(keys) for _ in range(count)]
    assert looks(made, order, lambda _: b"%d" % rng.randrange(keys)) < 0.15 * count


def test_evidence_of_the_past_does_not_keep_it_awake() -> None:
    made = bored()
    keys = [b"k:%d" % number for number in range(20 * ROUND)]
    looks(made, keys, lambda place: keys[min(place + 1, len(keys) - 1)])
    assert made.close
    after = [b"n:%d" % number for number in range(60 * ROUND)]
    assert looks(made, after, lambda _: b"never asked") < interest.CREDIT / 20
    assert not made.close


# -- in a whole cache --------------------------------------------------------


def prefetcher_of(replay: Replay) -> Prefetcher:
    assert replay.prediction is not None
    return replay.prediction.prefetcher


def asked(replay: Replay) -> list[int]:
    """Counts, in its only item, how often candidates are asked for from now on."""
    predictor = prefetcher_of(replay).predictor
    candidates, count = predictor.candidates, [0]

    def counting(key: bytes) -> list[Candidate]:
        count[0] += 1
        return candidates(key)

    predictor.candidates = counting  # type: ignore[method-assign]
    return count


def shuffled(rng: random.Random, count: int) -> list[bytes]:
    return [b"item:%d" % rng.randrange(KEYS) for _ in range(count)]


def test_hardly_a_miss_is_looked_at_where_nothing_follows_anything() -> None:
    replay, rng = Replay(Setup(predictor="blend", capacity=KEYS // 20)), random.Random(1)
    replay.feed(shuffled(rng, 20_000))
    count, misses = asked(replay), replay.store.misses
    replay.feed(shuffled(rng, 20_000))
    assert count[0] < 0.03 * (replay.store.misses - misses)


def test_pairs_are_noticed_after_long_chaos() -> None:
    replay, rng = Replay(Setup(predictor="blend", capacity=KEYS // 20)), random.Random(2)
    replay.feed(shuffled(rng, 20_000))
    assert not prefetcher_of(replay).interest.close
    keys = []
    for _ in range(2000):
        number = rng.randrange(KEYS)
        keys += [b"user:%d" % number, b"cart:%d" % number]
    replay.feed(keys[:1000])
    assert prefetcher_of(replay).interest.close
    useful = replay.ledger.outcomes["useful"]
    replay.feed(keys[1000:])
    assert replay.ledger.outcomes["useful"] - useful > 1000, "of 1,500 pairs"


def test_misses_that_nobody_looks_at_are_told_late_but_all_of_them() -> None:
    replays = []
    for together in (1, witnesses.TOGETHER):
        rng = random.Random(3)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(witnesses, "TOGETHER", together)
            replay = Replay(Setup(policy="lru", predictor="blend", capacity=KEYS // 5))
            replay.feed(shuffled(rng, 30_000))
        prefetcher_of(replay).witnesses.catch_up()
        replays.append(replay)
    alone, late = (prefetcher_of(replay).predictor for replay in replays)
    assert isinstance(alone, Blend) and isinstance(late, Blend)
    for replay, blend in zip(replays, (alone, late), strict=True):
        outcomes = replay.ledger.outcomes
        assert blend.misslog.events == replay.store.misses + outcomes["useful"]
    assert abs(late.misslog.events - alone.misslog.events) < 0.01 * alone.misslog.events


def test_harm_where_memory_is_free_only_makes_it_look_less() -> None:
    """The gate has nothing to give back there: the log stays, and pairs are noticed at once."""
    replay, rng = Replay(Setup(predictor="blend", capacity=KEYS // 20)), random.Random(2)
    replay.feed(shuffled(rng, 20_000))
    prefetcher = prefetcher_of(replay)
    assert prefetcher.worth.closings and not prefetcher.worth.closed
    assert not prefetcher.interest.close
    assert prefetcher.predictor.nbytes > 100_000
