"""The ring against a list of all events: the same visits, followers and links."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.predictor.ring import LINK_BITS, REACH, STEP, Ring, bytes_for, slots_for

STEPS = st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=200)


def visits(ring: Ring, code: int) -> list[int]:
    """Ages of the visits that the ring finds, newest first (0 is the last event)."""
    found = []
    slot = ring.newest(code)
    while slot >= 0:
        found.append((ring.head - 1 - slot) % ring.slots)
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
    same_bucket = [5 + ring.buckets * n for n in range(6)]
    for code in same_bucket:
        ring.append(code, True)
    assert [ring.newest(code) >= 0 for code in same_bucket] == [
        False,
        False,
        True,
        True,
        True,
        True,
    ]


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


@given(st.integers(30, 60), STEPS, st.integers(24, 60))
def test_a_ring_that_is_not_full_is_cut_in_place(
    slots: int, steps: list[tuple[int, bool]], other: int
) -> None:
    """Whether it was cut or built anew, what follows is the same."""
    cut = Ring(slots)
    for code, demand in steps[: slots - 5]:
        cut.append(code, demand)
    made, _ = cut.resized(other)
    if not cut.cut(other):
        assert other <= cut.filled or other > slots
        return
    for code, demand in steps[slots - 5 :]:
        assert cut.append(code, demand) == made.append(code, demand)
    assert cut.ordered().tolist() == made.ordered().tolist()
    assert [visits(cut, code) for code in range(13)] == [visits(made, code) for code in range(13)]
    assert Ring.load(*cut.dump()).dump() == cut.dump()
    cut.check()


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
