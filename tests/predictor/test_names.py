"""Names within a budget: a number means its key, or nothing, and never another key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.predictor.names import NAME_BYTES, Names

keys = st.binary(max_size=40)


@given(st.lists(keys, max_size=200), st.integers(0, 3000))
def test_a_number_never_means_another_key(asked: list[bytes], budget: int) -> None:
    names = Names(budget)
    given_out: dict[int, bytes] = {}
    for key in asked:
        number = names.number(key)
        names.check()
        if number < 0:
            assert len(key) + NAME_BYTES > budget
            continue
        assert number < 1 << 30
        assert names.key(number) == key
        assert names.find(key) == number
        assert given_out.setdefault(number, key) == key  # places are given 256 times at most here
        for old, its in given_out.items():
            assert names.key(old) in (None, its)


def test_what_is_met_again_stays() -> None:
    names = Names(10 * (NAME_BYTES + 4))
    favourite = names.number(b"here")
    for at in range(1000):
        names.number(b"%04d" % at)
        assert names.number(b"here") == favourite
        names.check()
    assert names.find(b"0000") == -1
    assert len(names) == 10


@given(st.lists(keys, max_size=60), st.integers(0, 3000))
def test_names_read_back(asked: list[bytes], budget: int) -> None:
    names = Names(budget)
    numbers = {key: names.number(key) for key in asked}
    again = Names.load(*names.dump(), budget)
    again.check()
    for key, number in numbers.items():
        if number >= 0:
            assert again.key(number) == names.key(number)
        assert again.find(key) == names.find(key)


def test_names_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="turns"):
        Names.load([b"a"], b"", 1000)
    with pytest.raises(ValueError, match="twice"):
        Names.load([b"a", b"a"], b"\0\0", 1000)
    with pytest.raises(ValueError, match="budget"):
        Names.load([b"a"], b"\0", 10)
