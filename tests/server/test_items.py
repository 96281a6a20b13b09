"""Values of lists, short and long ones, do what a Python list of all the items would."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.server import items
from antecache.server.items import FEW, PASSED

item = st.sampled_from([b"a", b"b", b"c", b"d"])
place = st.integers(0, 3 * PASSED)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.lists(item, min_size=1, max_size=FEW), st.booleans()),
        st.tuples(st.just("pop"), st.sampled_from([0, 1, 2, 5, 200, 5000]), st.booleans()),
        st.tuples(st.just("between"), place, place),
        st.tuples(st.just("cut"), place, place),
        st.tuples(st.just("without"), item, st.sampled_from([0, 1, -1, 3, -3, 40, -40, 900])),
        st.tuples(st.just("find"), item, st.sampled_from([1, -1, 2, -2, 50, -50])),
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([1, FEW - 1, FEW, FEW + 1, 2 * FEW, 4 * PASSED]), steps)
def test_any_sequence_of_changes(length: int, steps: list[tuple[Any, ...]]) -> None:
    model = [b"abcd"[n % 4 : n % 4 + 1] for n in range(length)]
    value = items.new(model)
    for what, first, second in steps:
        if what == "push":
            value = items.push(value, first, left=second)
            model = first[::-1] + model if second else model + first
        elif what == "pop":
            got = items.pop(value, first, left=second)
            if second:
                assert got == model[:first]
                model = model[first:]
            else:
                assert got == model[::-1][:first]
                model = model[: max(len(model) - first, 0)]
        elif what == "without":
            there, left = model.count(first), abs(second) or len(model)
            value, gone = items.without(value, first, second)
            assert gone == min(there, left)
            if second < 0:
                model.reverse()
            for _ in range(gone):
                model.remove(first)
            if second < 0:
                model.reverse()
        elif what == "find":
            found = [at for at, one in enumerate(model) if one == first]
            ranked = found[second - 1 :] if second > 0 else found[::-1][-second - 1 :]
            assert list(items.positions(value, first, second, 0)) == ranked
            if abs(second) == 1:
                first_of_all = items.position(value, first, backwards=second < 0)
                assert first_of_all == (ranked[0] if ranked else None)
        else:
            start, stop = sorted(min(end, len(model)) for end in (first, second))
            if what == "between":
                assert items.between(value, start, stop) == model[start:stop]
            else:
                gone = items.cut(value, start, stop)
                kept = model[start:stop]
                assert sorted(gone + kept) == sorted(model)
                model = kept
        assert list(value) == model


@pytest.mark.parametrize("left", [True, False])
def test_a_long_list_becomes_a_deque_at_once(left: bool) -> None:
    value = items.new([b"x"] * FEW)
    assert type(value) is list
    assert type(items.push(value, [b"y"], left=left)) is deque
    assert type(items.new([b"x"] * (FEW + 1))) is deque
