"""The length of the log: what pays is taken, what does not is not; closed, only scouts stay."""

from __future__ import annotations

import random

import pytest

from antecache.predictor.loglength import LogLength
from antecache.predictor.misslog import MissLog

BUDGET = 500_000
CHEAP, DEAR = 0.02 / (2 * BUDGET), 2.0 / (2 * BUDGET)


def decided(
    keys: list[bytes], price: float, *, closed: bool = False, saved: int = 0, age: int = 0
) -> LogLength:
    """What is decided after these events, looked at every 200 of them.

    saved  every how many events the log saved a wait, by what it had noted `age` events before
    """
    log = MissLog(0)
    length = LogLength(log, BUDGET)
    for at, key in enumerate(keys):
        length.observe(key)
        log.observe(key, demand=True)
        if saved and not at % saved:
            length.credit(age)
        if at % 200 == 199:
            if length.decide(price, BUDGET, 2 * BUDGET, closed=closed):
                log.resize(length.bytes_for(length.target))
            length.fade(0.98)
    log.check()
    return length


def cycle(count: int, turns: int) -> list[bytes]:
    return [b"page:%d" % at for at in range(count)] * turns


def draws(count: int) -> list[bytes]:
    rng = random.Random(3)
    return [b"page:%d" % rng.randrange(3000) for _ in range(count)]


def test_a_cycle_gets_a_log_of_its_length_also_where_memory_is_dear() -> None:
    for price in (CHEAP, DEAR):
        length = decided(cycle(2500, 8), price)
        assert length.target >= 2500
    assert length.target < 6000
    assert length.promise > 1


def test_draws_get_what_costs_next_to_nothing() -> None:
    dear, cheap = decided(draws(12_000), DEAR), decided(draws(12_000), CHEAP)
    assert dear.target * 10.7 * DEAR < 0.005
    assert cheap.target * 10.7 * CHEAP < 0.005
    assert dear.target < cheap.target
    assert dear.promise < 3


def test_a_first_lap_is_remembered_whatever_it_costs() -> None:
    lap = int(0.03 * 2 * BUDGET / 12)
    assert decided(draws(lap), DEAR).log.filled > lap / 2
    assert decided(draws(6 * lap), DEAR).log.filled < lap / 8


def test_free_memory_is_taken_whole() -> None:
    length = decided(draws(600), 0.0)
    assert 0.85 * BUDGET < length.bytes_for(length.target) <= 1.01 * BUDGET


def test_a_closed_gate_leaves_only_the_scouts() -> None:
    events = cycle(2500, 8)
    length = decided(events, DEAR, closed=True)
    assert length.target == length.log.slots == 0
    assert length.promise > 6  # and the scouts go on


def test_a_log_that_saves_much_may_be_long_before_the_scouts_know_why() -> None:
    events = draws(4000)
    assert decided(events, DEAR, saved=3).target > 3 * decided(events, DEAR).target


def test_what_was_learned_reads_back() -> None:
    length = decided(cycle(2500, 8), DEAR)
    again = LogLength(MissLog(0), BUDGET)
    again.load(length.dump())
    assert again.scouts.worth() == length.scouts.worth()
    assert again.saved == length.saved
    assert again.decide(DEAR, BUDGET, 2 * BUDGET, closed=False)
    assert again.target >= 2500
    scouts, saved, expected, text = length.dump()
    with pytest.raises(ValueError, match="cannot be"):
        again.load((scouts, [-1.0, *saved[1:]], expected, text))
    with pytest.raises(ValueError, match="cannot be"):
        again.load((scouts, saved[1:], expected, text))
    with pytest.raises(ValueError, match="form"):
        again.load(([[1.0], [], []], saved, expected, text))


def test_what_saves_by_old_evidence_is_long_and_what_saves_by_new_is_short() -> None:
    """Two cycles take turns: the scouts speak for the log of the longer one, and for less."""
    short, long = cycle(150, 6), [b"other:%d" % at for at in range(1500)]
    events = (short + long) * 6
    dear = 6 * DEAR
    by_new = decided(events, dear, saved=4, age=150)
    by_old = decided(events, dear, saved=4, age=2300)
    assert by_old.target > 2000
    assert by_new.target < 1000


def test_texts_that_turn_out_longer_get_their_memory() -> None:
    """The target stays, but the budget for it does not."""
    log = MissLog(0)
    length = LogLength(log, BUDGET)
    for turn in range(6):
        for at in range(900):
            # the same shape at first; later no template packs them
            key = b"page:%d" % at if turn < 3 else b"a text %d and much beside it - %d" % (at, at)
            length.observe(key)
            log.observe(key, demand=True)
            if at % 200 == 199:
                if length.decide(CHEAP, BUDGET, 2 * BUDGET, closed=False):
                    log.resize(length.bytes_for(length.target))
                length.fade(0.98)
    assert log.slots >= 900
    assert length.bytes_for(length.target) < 1.2 * log.budget_bytes
