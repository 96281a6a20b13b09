"""What a small table may take: a little at first, then in proportion to what it saves."""

from __future__ import annotations

from itertools import pairwise

from antecache.predictor.allowance import Allowance

CACHE = 1_000_000
PRICE = 0.2 / CACHE  # waits an event a byte: all of the cache is worth 0.2


def decide(room: Allowance, saved: int, *, met: bool = True, closed: bool = False) -> int:
    for _ in range(saved):
        room.credit()
    return room.decide(PRICE, 1000, CACHE, 0.95, met=met, closed=closed)


def test_it_grows_with_what_it_saves_and_costs_an_eighth_of_it_at_most() -> None:
    room = Allowance()
    first = decide(room, 0)
    assert 0 < first < 0.01 * CACHE
    sizes = [decide(room, 100) for _ in range(40)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 5 * first
    saved_an_event = 100 / (1 - 0.95) / 1000
    assert sizes[-1] * PRICE <= saved_an_event / 8


def test_what_saves_nothing_is_given_up_and_tried_again_more_and_more_rarely() -> None:
    room = Allowance()
    given = [decide(room, 0) > 0 for _ in range(1000)]
    assert given[0] and not all(given)
    starts = [at for at in range(1, 1000) if given[at] and not given[at - 1]]
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert len(starts) > 2
    assert pauses == sorted(pauses) and pauses[-1] > 1.5 * pauses[0]
    assert sum(given[500:]) < sum(given[:500])


def test_a_closed_gate_leaves_nothing() -> None:
    room = Allowance()
    assert decide(room, 1000, closed=True) == 0
    assert decide(room, 1000) > 0


def test_a_cache_too_small_for_any_table_gives_none() -> None:
    assert Allowance().decide(PRICE, 100, 50_000, 0.95, met=True, closed=False) == 0


def test_free_memory_is_taken() -> None:
    assert Allowance().decide(0.0, 100, 50_000, 0.95, met=True, closed=False) == 50_000


def test_before_evidence_of_its_kind_is_met_no_trial_is_spent() -> None:
    room = Allowance()
    assert all(decide(room, 0, met=False) > 0 for _ in range(200))
