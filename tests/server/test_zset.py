"""The value of a sorted set against a plain model: a dictionary, sorted anew at every look."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from antecache.server import zset
from antecache.server.zset import SortedSet

members = st.one_of(
    st.sampled_from([b"", b"a", b"b", b"aa", b"\x00", b"\xff\xff"]), st.binary(max_size=70)
)
scores = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.5, -1.0, math.inf, -math.inf, 5e-324, 1e308]),
    st.floats(allow_nan=False),
)


class AsTheModel(RuleBasedStateMachine):
    """Any sequence of changes; places, slices, sizes and scans are those of the model."""

    def __init__(self) -> None:
        super().__init__()
        # So low that a few members pass the borders between the forms.
        self.kept = zset.LISTPACK_ENTRIES, zset.FEW
        zset.LISTPACK_ENTRIES, zset.FEW = 4, 8
        self.set = SortedSet()
        self.model: dict[bytes, float] = {}
        self.was_large = False

    def teardown(self) -> None:
        zset.LISTPACK_ENTRIES, zset.FEW = self.kept

    def pairs(self) -> list[tuple[float, bytes]]:
        return sorted((score, member) for member, score in self.model.items())

    @rule(member=members, score=scores)
    def add(self, member: bytes, score: float) -> None:
        old = self.model.get(member)
        wanted = None if old == score else old is None
        assert self.set.add(member, score) is wanted
        self.model[member] = score
        self.was_large |= len(member) > zset.LISTPACK_VALUE
        self.was_large |= len(self.model) > zset.LISTPACK_ENTRIES

    @rule(member=members)
    def discard(self, member: bytes) -> None:
        assert self.set.discard(member) == (self.model.pop(member, None) is not None)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def discard_one_of_them(self, data: Any) -> None:
        self.discard(data.draw(st.sampled_from(sorted(self.model))))

    @rule(start=st.integers(0, 6), size=st.integers(0, 3))
    def remove_slice(self, start: int, size: int) -> None:
        gone = self.pairs()[start : start + size]
        assert self.set.remove_slice(start, start + size) == gone
        for _, member in gone:
            del self.model[member]

    @rule()
    def go_on_with_one_made_of_its_scores(self) -> None:
        self.set = SortedSet(self.model.copy())
        self.was_large = len(self.model) > zset.LISTPACK_ENTRIES or any(
            len(member) > zset.LISTPACK_VALUE for member in self.model
        )

    @rule()
    def go_on_with_a_copy(self) -> None:
        before, self.set = self.set, self.set.copy()
        before.add(b"only there", 7.0)

    @rule(score=scores)
    def places(self, score: float) -> None:
        found = [value for value, _ in self.pairs()]
        assert self.set.first_at(score) == sum(value < score for value in found)
        assert self.set.first_above(score) == sum(value <= score for value in found)

    @rule(start=st.integers(0, 9), stop=st.integers(0, 9))
    def slices(self, start: int, stop: int) -> None:
        assert self.set.slice(start, stop) == self.pairs()[start:stop]

    @invariant()
    def is_the_model(self) -> None:
        pairs = self.pairs()
        assert list(self.set) == pairs and len(self.set) == len(pairs)
        assert self.set.scores == self.model
        for place, (_, member) in enumerate(pairs):
            assert self.set.rank(member) == place
            assert self.set.at(place) == pairs[place]
            assert self.set.score(member) == self.model[member]
        assert self.set.rank(b"not a member" * 9) is None
        assert self.set.score(b"not a member" * 9) is None
        assert self.set.encoding == ("skiplist" if self.was_large else "listpack")
        self.set.check()

    @invariant()
    def scans_return_every_member(self) -> None:
        position, found = 0, []
        while True:
            position, page = self.set.scan(position, 2)
            found += page
            if not position:
                break
        assert sorted(found) == sorted(self.model)


AsTheModel.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAsTheModel = AsTheModel.TestCase


def test_members_of_one_score_are_found_by_bisection() -> None:
    for size in (100, 1000, 3000):
        held = SortedSet({b"%04d" % n: 1.0 for n in range(size)})
        assert held.first_member(lambda member: member >= b"0070") == 70
        assert held.first_member(lambda member: member > b"0070") == 71
        assert held.first_member(lambda member: True) == 0
        assert held.first_member(lambda member: False) == size


@pytest.mark.parametrize("count", [zset.LISTPACK_ENTRIES, zset.LISTPACK_ENTRIES + 1])
def test_a_set_that_was_large_stays_a_skiplist(count: int) -> None:
    held = SortedSet()
    for n in range(count):
        held.add(b"%d" % n, n)
    wanted = "listpack" if count == zset.LISTPACK_ENTRIES else "skiplist"
    assert held.encoding == wanted
    held.remove_slice(1, count)
    assert held.encoding == held.copy().encoding == wanted
