"""The command log between two drains: bounded, in order, and never somebody else's accesses."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.server import accesslog
from antecache.server.accesslog import AccessLog

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.integers(0, 3)),
        st.tuples(st.just("hit"), st.integers(0, 9)),
        st.tuples(st.just("miss"), st.integers(0, 3)),
    ),
    max_size=60,
)


def items_of(block: bytes | None) -> list[Any]:
    assert block is not None
    read = msgspec.msgpack.decode(block)
    assert read["kind"] == "log"
    return list(read["items"])


def asked(items: list[Any]) -> list[tuple[int, bytes, str, int]]:
    """Session, key, kind, and how many trials a miss opened, of each access."""
    found: list[tuple[int, bytes, str, int]] = []
    session, kind = -1, "hit"
    for item in items:
        if item is None:
            kind = "miss"
        elif type(item) is int:
            session = item
        elif type(item) is bytes:
            found.append((session, item, kind, 0))
            kind = "hit"
        else:
            *known, trials = found[-1]  # a trial without its miss would fail here
            assert known[2] == "miss"
            found[-1] = (*known, trials + 1)  # type: ignore[arg-type]
    return found


@settings(deadline=None)
@given(STEPS, st.integers(4, 20))
def test_what_is_left_of_too_much_is_the_newest_whole_and_its_own_sessions(
    steps: list[tuple[str, int]], limit: int
) -> None:
    log, usual = AccessLog(), accesslog.LIMIT
    log.enter(1)  # of which `True` is not to be told apart by mistake
    expected: list[tuple[int, bytes, str, int]] = []
    session = 1
    for at, (what, number) in enumerate(steps):
        key = b"k%d" % at
        if what == "enter":
            session = number
            log.enter(number)
        elif what == "hit":
            log.items.append(key)
            expected.append((session, key, "hit", 0))
        else:
            log.miss(key)
            for bucket in range(number):
                log.trial(b"t", bucket, 0.5, True)
            expected.append((session, key, "miss", number))
    before = len(log.items)
    accesslog.LIMIT = limit
    try:
        block = log.drain()
    finally:
        accesslog.LIMIT = usual
    if block is None:
        assert not expected
        return
    items = items_of(block)
    kept = asked(items)
    assert kept == expected[len(expected) - len(kept) :]
    if before <= limit:
        assert kept == expected
        assert log.dropped == 0
    else:
        assert len(items) <= limit // 2 + 1
        assert log.dropped + len(items) in (before, before + 1)  # one more: announced again
    assert log.items == [session]


def test_an_idle_log_has_no_block() -> None:
    log = AccessLog()
    assert log.drain() is None
    log.enter(7)
    assert log.drain() is None, "who asks is of no interest before they ask"
    log.items.append(b"key")
    assert items_of(log.drain()) == [7, b"key"]
    assert log.drain() is None
    log.items.append(b"key")
    assert items_of(log.drain()) == [7, b"key"]


def test_what_nobody_can_take_is_counted_and_whose_turn_it_is_is_not_forgotten() -> None:
    log = AccessLog()
    log.enter(5)
    for _ in range(3):
        log.miss(b"key")
    assert log.discard() == 7
    assert log.dropped == 7
    assert log.discard() == 0
    log.items.append(b"next")
    assert items_of(log.drain()) == [5, b"next"]


def test_enormous_keys_are_not_noted() -> None:
    log = AccessLog()
    log.miss(b"x" * (accesslog.LONGEST + 1))
    assert log.items == []
    log.miss(b"x" * accesslog.LONGEST)
    assert len(log.items) == 2


def test_a_block_of_enormous_keys_is_not_sent() -> None:
    log = AccessLog()
    log.enter(3)
    long = b"x" * (1 << 20)
    log.items += [long] * 40  # hits: the key of an entry, which is in memory already
    assert log.drain() is None
    assert log.dropped == 41
    assert log.items == [3]
