"""Sessions: what the same client came for next, whoever came between."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from antecache.predictor.rows import Rows
from antecache.predictor.sessions import Sessions

BUDGET = 100_000


def visits(count: int, *, seed: int = 1, visitors: int = 12) -> Iterator[tuple[int, bytes]]:
    """Visitors at the same time, each on one of 30 tours of four pages after another."""
    rng = random.Random(seed)
    tours: dict[int, list[bytes]] = {}
    for _ in range(count):
        visitor = rng.randrange(visitors)
        left = tours.get(visitor)
        if not left:
            tour = rng.randrange(30)
            left = tours[visitor] = [b"page:%d" % (tour * 10 + step) for step in range(4)]
        yield visitor, left.pop(0)


def fed(sessions: Sessions, events: Iterator[tuple[int, bytes]]) -> Sessions:
    for session, key in events:
        sessions.session = session
        sessions.observe(key, demand=True)
    return sessions


def test_what_the_same_session_came_for_next_is_expected() -> None:
    sessions = fed(Sessions(BUDGET), visits(6000))
    for tour in range(30):
        found = sessions.candidates(b"page:%d" % (10 * tour))
        likely = {c.key for c in found if dict(c.why)["confidence"] > 0.8}
        assert likely == {b"page:%d" % (10 * tour + step) for step in (1, 2, 3)}
        assert {c.rule for c in found} == {"session page:*>page:*"}
        assert found[0].score > 0.5


def test_nothing_is_kept_of_a_single_session_nor_of_one_after_the_other() -> None:
    alone = fed(Sessions(BUDGET), ((7, key) for _, key in visits(3000)))
    one_by_one = fed(Sessions(BUDGET), ((at // 5, key) for at, (_, key) in enumerate(visits(3000))))
    for sessions in (alone, one_by_one):
        assert not sessions.met
        assert sessions.idle
        assert sessions.nbytes == 0
        assert sessions.candidates(b"page:0") == []


def test_a_pool_of_connections_expects_nothing_much() -> None:
    """Whose reads they are is lost: what comes next on a connection is anybody's."""
    rng = random.Random(3)
    pooled = fed(Sessions(BUDGET), ((rng.randrange(12), key) for _, key in visits(6000)))
    named = fed(Sessions(BUDGET), visits(6000))

    def likely(sessions: Sessions) -> int:
        found = [c for at in range(30) for c in sessions.candidates(b"page:%d" % (10 * at))]
        return sum(c.score > 0.3 for c in found)

    assert likely(pooled) < likely(named) / 10


def test_memory_is_bounded_whatever_sessions_and_keys_there_are() -> None:
    rng = random.Random(5)
    sessions = Sessions(20_000)
    for at in range(20_000):
        sessions.session = rng.randrange(1 << 40) if at % 2 else at % 7
        sessions.observe(rng.randbytes(rng.randrange(60)), demand=True)
        assert sessions.nbytes <= 20_000
    sessions.check()
    assert not sessions.idle


@pytest.mark.parametrize("budget", [2 * BUDGET, BUDGET // 2])
def test_another_budget(budget: int) -> None:
    """A larger table goes on from what it has; a smaller one begins anew, and learns again."""
    sessions = fed(Sessions(BUDGET), visits(6000))
    before = sessions.candidates(b"page:0")
    sessions.resize(budget)
    sessions.check()
    assert sessions.candidates(b"page:0") == (before if budget > BUDGET else [])
    fed(sessions, visits(6000, seed=2))
    sessions.check()
    assert sessions.candidates(b"page:0")


def test_a_table_reads_back_without_its_connections() -> None:
    sessions = fed(Sessions(BUDGET), visits(6000))
    again = Sessions(BUDGET)
    again.load(sessions.dump())
    again.check()
    assert again.met
    assert again.nbytes < sessions.nbytes
    for at in range(30):
        key = b"page:%d" % (10 * at)
        assert again.candidates(key) == sessions.candidates(key)


def test_reads_that_find_their_keys_teach_and_wait_for_the_next_miss() -> None:
    """Every tour begins with one of the three pages that are always there."""
    rng = random.Random(2)
    sessions = Sessions(BUDGET)
    at: dict[int, int] = {}
    for _ in range(3000):
        visitor = rng.randrange(8)
        tour = rng.randrange(3)
        sessions.session = visitor
        if visitor not in at:
            at[visitor] = tour
            sessions.passed(visitor, [b"home:%d" % tour])
        else:
            sessions.observe(b"page:%d" % at.pop(visitor), demand=True)
    sessions.waiting()
    assert sessions.waiting() == []
    sessions.passed(5, [b"home:1"])
    found = sessions.waiting()
    assert b"page:1" in {c.key for c in found}
    assert ("after a hit", 1.0) in found[0].why
    assert sessions.waiting() == []  # said once
    sessions.session = 6
    sessions.observe(b"home:2", demand=False)  # the first use of a prefetched key
    assert b"page:2" in {c.key for c in sessions.waiting()}
    sessions.check()


def test_what_is_passed_before_there_is_a_table_makes_none() -> None:
    sessions = Sessions(BUDGET)
    for at in range(1000):
        sessions.passed(at % 7, [b"%d" % at])
    assert sessions.idle
    assert not sessions.listens
    assert sessions.waiting() == []


def test_a_single_follower_is_counted_as_several_are() -> None:
    rng = random.Random(4)
    one, several = Rows(8, 4, 33), Rows(8, 4, 33)
    for _ in range(5000):
        context, value = rng.randrange(12), rng.choice((1, 2, 3, rng.randrange(1, 20)))
        row = one.occurred(context)
        assert several.occurred(context) == row
        one.follow(row, value)
        several.followed(row, [value])
        assert one.dump() == several.dump()
