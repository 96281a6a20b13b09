"""The memory of keys that left: against a plain list, whatever is done to it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.policies._ghost import Ghosts

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["push", "push", "within", "take", "pop", "trim", "get"]),
        st.integers(0, 60),
    ),
    max_size=400,
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_like_a_list(steps: list[tuple[str, int]]) -> None:
    ghosts, model = Ghosts(), dict[bytes, int]()  # a dictionary keeps the order of insertion
    for number, (what, value) in enumerate(steps):
        key = b"k%d" % value
        if what == "push" and key not in model:
            ghosts.push(key, number)
            model[key] = number
        elif what == "within" and key not in model:
            most = max(1, len(model) - number % 3 + 1)  # as many as there are, fewer, or one more
            ghosts.push_within(key, number, most)
            model[key] = number
            for oldest in list(model)[: max(0, len(model) - most)]:
                del model[oldest]
        elif what == "take":
            assert ghosts.take(key) == model.pop(key, None)
        elif what == "get":
            assert ghosts.get(key) == model.get(key)
        elif what == "pop":
            oldest = next(iter(model), None)
            assert ghosts.pop() == (None if oldest is None else model.pop(oldest))
        elif what == "trim":
            ghosts.trim(value)
            for oldest in list(model)[: max(0, len(model) - value)]:
                del model[oldest]
        assert len(ghosts) == len(model)
    ghosts.check()
    assert list(ghosts) == [(hash(key), payload) for key, payload in model.items()]


def test_memory_is_that_of_the_largest_count() -> None:
    """Room is used again: a million keys through a list of a thousand take a thousand places."""
    ghosts = Ghosts()
    for number in range(20_000):
        ghosts.push(b"%d" % number, number)
        ghosts.trim(1000)
    ghosts.check()
    assert ghosts.count == 1000
    assert ghosts.nbytes < 28 * 1010
    assert ghosts.get(b"19999") == 19999 and ghosts.get(b"18999") is None


def test_chains_stay_short() -> None:
    """The table grows with the count, so that a look-up stays a look-up."""
    ghosts = Ghosts()
    for number in range(50_000):
        ghosts.push(b"key:%d" % number)
    longest = 0
    for head in ghosts._heads:
        length, slot = 0, head
        while slot:
            length, slot = length + 1, ghosts._chain[slot]
        longest = max(longest, length)
    assert longest <= 16
    ghosts.check()


def test_one_key_may_be_in_it_twice() -> None:
    """Two databases can evict a key of the same name."""
    ghosts = Ghosts()
    ghosts.push(b"k", 1)
    ghosts.push(b"k", 2)
    assert {ghosts.take(b"k"), ghosts.take(b"k")} == {1, 2}
    assert ghosts.take(b"k") is None and ghosts.count == 0
    ghosts.check()
