"""The ring against a list of all events: the same visits, followers and links."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.predictor.ring import LINK_BITS, REACH, STEP, Ring, bytes_for, slots_for
from antecache.predictor.ring_batch import append_all

STEPS = st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=200)


def visits(ring: Ring, code: int) -> list[int]:
    """Ages of the visits that the ring finds, newest first (0 is the last event)."""
    found = []
    slot = ring.newest(code)
    while slot >= 0:
        found.append((ring.head - 1 - slot) % ring.room)
        slot = ring.earlier(slot)
    return found


@given(st.integers(24, 60), STEPS)
@settings(max_examples=200)
def test_visits_and_followers_are_those_of_the_list(
    slots: int, steps: list[tuple[int, bool]]
) -> None:
    """Thirteen codes never overfill the buckets, so the model may be exact."""
    ring, events = Ring(slots), list[int]()
    newest, previous = dict[int, int](), dict[int, int]()  # by code; by number of event
    for now, (code, demand) in enumerate(steps):
        gone = ring.append(code, demand)
        events.append(code)
        assert gone == (events[now - slots] if now >= slots else -1)
        known = code in newest and now - newest[code] <= slots
        if known:
            previous[now] = newest[code]
        if known or demand:
            newest[code] = now
    oldest = max(0, len(events) - slots)
    assert [word >> LINK_BITS for word in ring.ordered().tolist()] == events[oldest:]
    for code in range(13):
        expected, at = [], newest.get(code, -1)
        while at >= oldest:
            expected.append(len(events) - 1 - at)
            at = previous.get(at, -1)
        assert visits(ring, code) == expected
        for age in expected:
            slot, number = (ring.head - 1 - age) % slots, len(events) - 1 - age
            after = [word >> LINK_BITS for word in ring.after(slot, 5)]
            assert after == events[number + 1 : number + 6]
            assert ring.before(slot) == (events[number - 1] if number > oldest else -1)
    ring.check()
    assert Ring.load(*ring.dump()).dump() == ring.dump()


@given(
    st.integers(24, 300),
    st.integers(0, 300),
    st.integers(1, 3000),
    st.lists(st.integers(1, 200), max_size=12),
    st.integers(0, 1 << 30),
)
@settings(max_examples=100, deadline=None)
def test_events_in_batches_make_the_same_ring(
    slots: int, spare: int, keys: int, batches: list[int], seed: int
) -> None:
    """All but which entries of full buckets made room; and what is found is truly there."""
    rng = random.Random(seed)
    one, all_ = Ring(slots, room=slots + spare), Ring(slots, room=slots + spare)
    events: list[int] = []
    for count in batches:
        codes = [rng.randrange(keys) for _ in range(count)]
        events += codes
        gone = [old for code in codes if (old := one.append(code, True)) >= 0]
        assert append_all(all_, codes) == gone
        assert (all_.head, all_.filled) == (one.head, one.filled)
        all_.check()
    held = events[len(events) - all_.filled :]
    assert [word >> LINK_BITS for word in all_.ordered().tolist()] == held
    for code in set(held):
        ages = [age for age, other in enumerate(reversed(held)) if other == code]
        found = visits(all_, code)
        if not found:
            continue  # its entry made room
        assert found == ages[: len(found)]
        if keys <= 13:  # too few to fill a bucket: nothing makes room
            assert found == ages == visits(one, code)
    if keys <= 13:
        assert all(visits(all_, code) for code in set(held))


def test_batches_index_as_many_keys_as_single_events() -> None:
    rng = random.Random(1)
    one, all_ = Ring(2000, room=6000), Ring(2000, room=6000)
    for _ in range(100):
        codes = [rng.randrange(3000) for _ in range(200)]
        append_all(all_, codes)
        for code in codes:
            one.append(code, True)
    found, alone = (sum(ring.newest(code) >= 0 for code in range(3000)) for ring in (all_, one))
    assert found > 0.98 * alone


def test_a_demanded_key_is_found_and_a_prefetched_one_only_if_known() -> None:
    ring = Ring(60)
    ring.append(5, False)
    assert ring.newest(5) == -1
    ring.append(5, True)
    assert visits(ring, 5) == [0]
    ring.append(7, True)
    ring.append(5, False)
    assert visits(ring, 5) == [0, 2]


@pytest.mark.parametrize(
    "distance", [1, 8191, 8192, 8193, 8200, 65535, 65536, 100_000, REACH - STEP, REACH]
)
def test_links_reach_far(distance: int) -> None:
    ring = Ring(REACH + 100)
    ring.append(7, True)
    for at in range(distance - 1):
        ring.append(1000 + at % 5, True)
    ring.append(7, True)
    assert visits(ring, 7) == [0, distance]
    for _ in range(50):  # both visits move on together
        ring.append(1, True)
    assert visits(ring, 7) == [50, 50 + distance]


def test_a_link_that_is_too_long_is_none() -> None:
    ring = Ring(REACH + 100)
    ring.append(7, True)
    for at in range(REACH):
        ring.append(1000 + at % 5, True)
    ring.append(7, True)
    assert visits(ring, 7) == [0]


def test_the_index_forgets_the_farthest() -> None:
    ring = Ring(600)
    same_bucket = [5 + ring.buckets * n for n in range(18)]
    for code in same_bucket:
        ring.append(code, True)
    assert [ring.newest(code) >= 0 for code in same_bucket] == [False] * 2 + [True] * 16


@given(st.integers(24, 60), st.integers(24, 90), STEPS)
def test_another_size_keeps_the_newest(
    slots: int, other: int, steps: list[tuple[int, bool]]
) -> None:
    ring = Ring(slots)
    for code, demand in steps:
        ring.append(code, demand)
    made, lost = ring.resized(other)
    before = [word >> LINK_BITS for word in ring.ordered().tolist()]
    assert [word >> LINK_BITS for word in made.ordered().tolist()] == before[-other:]
    assert lost.tolist() == before[: max(0, len(before) - other)]
    made.check()
    for code in range(13):
        assert visits(made, code) == [age for age in visits(ring, code) if age < other]


# All are indexed: one that need not be is, by chance, where it overwrites one of its bucket.
INDEXED = st.lists(st.tuples(st.integers(0, 12), st.just(True)), max_size=150)
SIZES = st.lists(st.tuples(st.integers(24, 90), INDEXED), min_size=1, max_size=6)


@given(SIZES)
@settings(deadline=None)
def test_a_window_that_grows_and_shrinks_is_as_a_ring_built_anew(
    sizes: list[tuple[int, list[tuple[int, bool]]]],
) -> None:
    moving, events = Ring(24, room=90), list[int]()
    for slots, steps in sizes:
        rebuilt, lost = moving.resized(slots)
        assert moving.set_slots(slots).tolist() == lost.tolist()
        for code, demand in steps:
            assert moving.append(code, demand) == rebuilt.append(code, demand)
            events.append(code)
        assert moving.ordered().tolist() == rebuilt.ordered().tolist()
        codes = [word >> LINK_BITS for word in moving.ordered().tolist()]
        assert codes == events[len(events) - len(codes) :] and len(codes) <= slots
        for code in range(13):
            ages = [(moving.head - 1 - slot) % moving.room for slot in slots_of(moving, code)]
            assert ages == visits(rebuilt, code)
        assert Ring.load(*moving.dump()).dump() == moving.dump()
        moving.check()


def slots_of(ring: Ring, code: int) -> list[int]:
    """Where the ring finds a code, newest first."""
    found = [ring.newest(code)]
    while found[-1] >= 0:
        found.append(ring.earlier(found[-1]))
    return found[:-1]


def test_a_large_index_is_replaced_piece_by_piece_and_nothing_is_lost() -> None:
    ring = Ring(60_000, room=200_000)
    for at in range(60_000):
        ring.append(at % 20_000, True)
    ring.set_slots(120_000)
    assert ring.full_nbytes > bytes_for(120_000)  # both indexes
    for at in range(3000):
        code = at * 7 % 20_000
        assert ring.newest(code) >= 0
        ring.append(code, False)
    assert ring.full_nbytes == bytes_for(120_000)
    found = sum(ring.newest(code) >= 0 for code in range(20_000))
    assert found > 19_900  # a bucket may overflow
    ring.set_slots(20_000)
    for at in range(3000):
        ring.append(at % 20_000, True)
    assert ring.full_nbytes == bytes_for(20_000)
    ring.check()


def test_pages_behind_the_window_are_given_back() -> None:
    ring = Ring(10_000, room=200_000)
    for at in range(150_000):
        ring.append(at % 5000 + 1, True)
    untouched = sum(1 for at in range(0, 100_000, 100) if ring.words[at] == 0)
    assert untouched > 990
    assert visits(ring, 5) and all(ring.words[slot] for slot in slots_of(ring, 5))


@given(st.integers(0, 1 << 24))
def test_a_budget_is_kept(budget: int) -> None:
    slots = slots_for(budget)
    assert bytes_for(slots) <= budget
    assert bytes_for(slots) > 0.98 * budget - 400


def test_an_empty_ring_answers() -> None:
    ring = Ring(0)
    assert ring.newest(3) == -1
    assert ring.last == -1
    assert ring.nbytes == 0


@pytest.mark.parametrize(
    ("part", "value"),
    [(0, 99), (1, 7), (2, 61), (3, b"short"), (4, b"\xff" * 16)],
)
def test_a_state_that_cannot_be_is_refused(part: int, value: object) -> None:
    ring = Ring(60)
    for code in range(10):
        ring.append(code, True)
    state = list(ring.dump())
    state[part] = value if part != 4 else b"\xff" * len(state[4])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"ring|index"):
        Ring.load(*state)  # type: ignore[arg-type]
