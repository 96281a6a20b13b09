"""Keys that left lately: their age in departures, in six bytes a key."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.server.store.recent import Recent


def test_ages_are_departures() -> None:
    recent = Recent()
    recent.span(500)
    for at in range(2000):
        recent.push(b"%d" % at)
    known = {at: recent.age(b"%d" % at) for at in range(2000)}
    assert known[1999] <= 1 and known[1899] in range(99, 102)
    found = sum(age >= 0 for at, age in known.items() if at >= 1500)
    assert found > 0.9 * 500  # a full bucket forgets its oldest
    assert sum(age >= 0 for at, age in known.items() if at < 1490) <= 2  # other keys' tags
    assert recent.nbytes < 500 * 9


@settings(max_examples=50)
@given(st.lists(st.binary(min_size=1, max_size=2), max_size=200), st.integers(1, 70))
def test_many_at_once_leave_as_one_by_one(keys: list[bytes], together: int) -> None:
    alone, at_once = Recent(), Recent()
    for recent in (alone, at_once):
        recent.span(100)
    for key in keys:
        alone.push(key)
    for first in range(0, len(keys), together):
        at_once.push_all(keys[first : first + together])
    assert [at_once.age(key) for key in keys] == [alone.age(key) for key in keys]


def test_a_key_that_is_back_is_forgotten() -> None:
    recent = Recent()
    recent.span(10)
    recent.push(b"a")
    recent.forget(b"a")
    assert recent.age(b"a") == -1


def test_a_longer_reach_keeps_what_is_known() -> None:
    recent = Recent()
    recent.span(100)
    for at in range(100):
        recent.push(b"%d" % at)
    known = [at for at in range(100) if recent.age(b"%d" % at) >= 0]
    recent.span(1000)
    assert [at for at in range(100) if recent.age(b"%d" % at) >= 0] == known
    size = recent.nbytes
    recent.span(10)
    assert recent.nbytes < size


def test_a_long_reach_counts_in_steps() -> None:
    recent = Recent()
    recent.span(100_000)
    for at in range(300_000):
        recent.push(b"%d" % at)
    for ago in (10, 1000, 50_000):
        age = recent.age(b"%d" % (299_999 - ago))
        assert age == -1 or abs(age - ago) < 300
    assert recent.age(b"7") == -1


@given(st.lists(st.integers(0, 60), max_size=300), st.integers(1, 40))
@settings(deadline=None)
def test_what_is_said_to_have_left_did(keys: list[int], reach: int) -> None:
    recent, exact = Recent(), OrderedDict[int, int]()
    recent.span(reach)
    for at, key in enumerate(keys):
        recent.push(b"%d" % key)
        exact[key] = at
    for key in range(61):
        age = recent.age(b"%d" % key)
        if age >= 0:
            assert age in (len(keys) - 1 - exact[key], len(keys) - exact[key])
            assert age <= reach
