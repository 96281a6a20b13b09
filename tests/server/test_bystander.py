"""What sessions read between two events: all of it when little, whole sessions when much."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from antecache.predictor.blend import Blend
from antecache.server import bystander
from antecache.server.accesslog import AccessLog
from antecache.server.bystander import Bystander


class Listener(Blend):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(10_000)
        self.told: list[tuple[int, bytes]] = []
        self.deaf = False

    @property
    def listens(self) -> bool:
        return not self.deaf

    def passed(self, session: int, keys: Sequence[bytes]) -> None:
        self.told += [(session, key) for key in keys]


def made() -> tuple[AccessLog, Listener, Bystander]:
    log, listener = AccessLog(), Listener()
    standing_by = Bystander(log, lambda: listener)
    log.reader = standing_by.catch_up
    return log, listener, standing_by


STEPS = st.lists(
    st.tuples(st.sampled_from(["enter", "hit", "miss", "catch up", "drain"]), st.integers(0, 3)),
    max_size=60,
)


@given(STEPS)
def test_of_few_reads_all_that_found_their_keys_are_told_once_and_in_order(
    steps: list[tuple[str, int]],
) -> None:
    log, listener, standing_by = made()
    session, since, expected = 0, 0, []
    for at, (what, number) in enumerate(steps):
        key = b"%d" % at
        if what == "enter":
            session = number
            log.enter(number)
        elif what == "hit":
            log.items.append(key)
            expected.append((session, key))
            since += 1
        elif what == "miss":
            log.miss(key)
            log.trial(b"other", 3, 0.5, False)
        elif what == "drain":
            log.drain()
        if what == "catch up" or since == bystander.MOST:
            standing_by.catch_up()
            since = 0
    standing_by.catch_up()
    assert listener.told == expected


def test_of_many_reads_whole_sessions_are_told() -> None:
    log, listener, standing_by = made()
    for at in range(256):
        log.enter(at % 32)
        log.items.append(b"%d" % at)
    standing_by.catch_up()
    sessions = {session for session, _ in listener.told}
    assert sessions == {0}
    assert listener.told == [(at % 32, b"%d" % at) for at in range(256) if at % 32 in sessions]


def test_one_session_that_reads_much_is_not_told_whole() -> None:
    log, listener, standing_by = made()
    log.items += [b"%d" % at for at in range(50_000)]
    standing_by.catch_up()
    last = b"%d" % 49_999
    assert listener.told[-1] == (0, last)
    assert len(listener.told) <= 2 * bystander.MOST


def test_nothing_is_told_of_who_is_set_aside_nor_to_who_does_not_listen() -> None:
    log, listener, standing_by = made()
    log.aside.add(7)
    log.enter(7)
    log.items.append(b"walked")
    log.enter(8)
    log.items.append(b"read")
    standing_by.catch_up()
    assert listener.told == [(8, b"read")]
    listener.deaf = True
    log.items.append(b"unheard")
    standing_by.catch_up()
    listener.deaf = False
    log.items.append(b"passed over")
    standing_by.catch_up(listening=False)
    log.items.append(b"heard")
    standing_by.catch_up()
    assert listener.told == [(8, b"read"), (8, b"heard")]


def test_a_log_that_others_emptied_is_read_from_its_beginning() -> None:
    log, listener, standing_by = made()
    log.items += [b"1", b"2", b"3"]
    standing_by.catch_up()
    log.items.clear()
    log.enter(5)
    log.items.append(b"4")
    standing_by.catch_up()
    assert listener.told[-1] == (5, b"4")
