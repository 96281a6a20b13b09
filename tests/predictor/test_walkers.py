"""Bots and scans among others are told apart; lonely readers and people never are."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from antecache.predictor.walkers import Walkers
from antecache.server.traces import read_trace

BOT, PEOPLE = 99, range(6)


BUDGET = 100 << 20


def made(budget: int = BUDGET) -> Walkers:
    return Walkers(set(), lambda: budget)


def visits(rng: random.Random, keys: int = 400) -> Iterator[bytes]:
    """What a visitor asks for: a few popular things, now and then something rare."""
    while True:
        yield b"products:%d" % (keys * rng.random() ** 3)
        if rng.random() < 0.1:
            yield b"products:%d" % rng.randrange(1_000_000)


def play(
    walkers: Walkers, bot: Iterable[bytes], *, seed: int = 1, people: Iterable[int] = PEOPLE
) -> None:
    """The bot's reads, and one of somebody else after each third."""
    rng = random.Random(seed)
    others = list(people)
    views = {person: visits(rng) for person in others}
    for at, key in enumerate(bot):
        walkers.event(BOT, key)
        if at % 3 == 0 and others:
            person = rng.choice(others)
            walkers.event(person, next(views[person]))


def warmed() -> Walkers:
    walkers = made()
    play(walkers, [], people=())
    rng = random.Random(2)
    views = {person: visits(rng) for person in PEOPLE}
    for _ in range(4000):
        person = rng.choice(PEOPLE)
        walkers.event(person, next(views[person]))
    return walkers


@pytest.mark.parametrize("step", [1, -1, 3])
def test_a_bot_that_walks_ids_beside_people_is_set_aside_and_they_are_not(step: int) -> None:
    walkers = warmed()
    play(walkers, (b"orders:%d" % (100_000 + step * at) for at in range(600)))
    assert walkers.aside == {BOT}
    assert walkers.found == 1
    (sentence,) = walkers.described().values()
    assert "walks ids in order" in sentence and "orders:*" in sentence


def test_gaps_and_other_tables_do_not_hide_a_walk() -> None:
    walkers, rng = warmed(), random.Random(3)
    ids, keys = 0, []
    for _ in range(300):
        ids += rng.choice((1, 1, 1, 2, 5))
        keys += [b"orders:%d" % ids, b"lines:%d:0" % ids]
    play(walkers, keys)
    assert walkers.aside == {BOT}


def test_a_scan_without_order_is_set_aside_where_others_come_again() -> None:
    walkers, rng = warmed(), random.Random(4)
    play(walkers, (b"orders:%d" % rng.randrange(1 << 40) for _ in range(2100)))
    assert walkers.aside == {BOT}
    assert "once each" in walkers.described()[BOT]


def test_at_a_cold_start_nobody_scans() -> None:
    walkers, rng = made(), random.Random(5)
    for _ in range(9000):
        walkers.event(rng.choice(PEOPLE), b"products:%d" % rng.randrange(1 << 40))
    assert not walkers.aside


@pytest.mark.parametrize("people", [(), (1,)])
def test_a_reader_with_hardly_anybody_beside_it_is_what_there_is_to_learn_from(
    people: tuple[int, ...],
) -> None:
    walkers = made()
    play(walkers, (b"%d" % at for at in range(5000)), people=people)
    assert not walkers.aside


def test_workers_who_all_walk_are_learned_from() -> None:
    walkers = made()
    for at in range(3000):
        for worker in range(5):
            walkers.event(worker, b"blocks:%d" % (worker * 1_000_000 + at))
    assert not walkers.aside


def test_a_walker_that_comes_by_again_is_learned_from() -> None:
    walkers = warmed()
    play(walkers, (b"orders:%d" % (at % 200) for at in range(3000)))
    assert not walkers.aside


def test_nothing_is_kept_while_there_are_only_two() -> None:
    walkers = made()
    for at in range(1000):
        walkers.event(at % 2, b"%d" % at)
    assert walkers.nbytes == 0


def test_a_small_cache_spends_nothing_on_it() -> None:
    walkers = made(1 << 20)
    play(walkers, (b"%d" % at for at in range(1000)))
    assert walkers.nbytes == 0 and not walkers.aside


def test_who_does_something_else_is_learned_from_again_and_it_is_told() -> None:
    told: list[int] = []
    walkers = warmed()
    walkers.on_change = told.append
    play(walkers, (b"orders:%d" % at for at in range(1000)))
    assert told == [BOT]
    views = visits(random.Random(6))
    play(walkers, (next(views) for _ in range(3000)))
    assert told == [BOT, BOT]
    assert not walkers.aside and not walkers.described()


def test_sessions_by_the_million_take_no_memory() -> None:
    walkers = made()
    for session in range(30_000):
        walkers.event(session, b"products:%d" % session)
    assert walkers.nbytes <= BUDGET // 512
    play(walkers, (b"orders:%d" % at for at in range(700)))
    assert walkers.aside == {BOT}, "the flood does not hide a bot"


def test_a_walk_is_continued_by_its_own_step_and_only_while_it_lasts() -> None:
    walkers = made()
    for at in range(3):
        walkers.event(at, b"a:1")
    for at in range(40):
        walkers.event(BOT, b"t:%d:x" % (1000 - 2 * at))
    walk = walkers.walk_of(BOT)
    assert walk is not None
    assert walk.ahead() == [b"t:%d:x" % (922 - 2 * at) for at in range(1, 9)]
    walkers.event(BOT, b"t:5:x")
    assert walk.ahead() == []
    for at in range(30):
        walkers.event(BOT, b"t:%d:x" % (29 - at))
    assert walk.ahead() == [], "there are no ids below 0"
    walkers.event(BOT, b"no number")
    assert walk.ahead() == []


HOME, OFFICE = 10**9, 10**9 + 1


def play_from_homes(
    walkers: Walkers, bot: Iterable[bytes], sessions: int, *, people: int = OFFICE, seed: int = 1
) -> None:
    """The bot takes its connections in turns, from HOME; the others are at home in `people`."""
    rng = random.Random(seed)
    walkers.home_of = lambda session: HOME if session >= 1000 else people if session < BOT else 0
    views = {person: visits(rng) for person in PEOPLE}
    for at, key in enumerate(bot):
        walkers.event(HOME if HOME in walkers.aside else 1000 + at % sessions, key)
        if at % 3 == 0:
            person = rng.choice(PEOPLE)
            walkers.event(person, next(views[person]))


@pytest.mark.parametrize("sessions", [12, 1 << 40])
def test_a_bot_that_changes_its_connection_is_known_by_its_address(sessions: int) -> None:
    """A pool of a dozen, or one for each read."""
    walkers = warmed()
    play_from_homes(walkers, (b"orders:%d" % at for at in range(400)), sessions)
    assert walkers.aside == {HOME}
    walk = walkers.walk_of(HOME)
    assert walk is not None and walk.ahead()[0] == b"orders:400"
    assert walkers.nbytes <= BUDGET // 512


def test_a_scan_from_many_connections_is_known_where_others_ask_as_much() -> None:
    rng = random.Random(8)
    keys = [b"orders:%d" % rng.randrange(1 << 40) for _ in range(2200)]
    walkers = warmed()
    play_from_homes(walkers, keys, 1 << 40)
    assert walkers.aside == {HOME}
    lonely = warmed()
    lonely.home_of = lambda session: HOME if session >= 1000 else OFFICE
    for at, key in enumerate(keys):
        lonely.event(1000 + at, key)
    assert not lonely.aside, "where hardly anybody else asks, it may be an application's server"


def test_an_address_of_people_and_a_bot_is_not_set_aside_for_the_bot_s_sake() -> None:
    """The bot has a connection of its own, so it alone is."""
    walkers, rng = warmed(), random.Random(9)
    walkers.home_of = lambda session: HOME if session == BOT or session < 3 else OFFICE
    views = {person: visits(rng) for person in PEOPLE}
    for at in range(1500):
        walkers.event(BOT, b"orders:%d" % at)
        if at % 8 == 0:
            person = rng.choice(PEOPLE)
            walkers.event(person, next(views[person]))
    assert walkers.aside == {BOT}


def test_where_all_come_from_one_address_there_is_nobody_to_tell_it_from() -> None:
    walkers = made()
    play_from_homes(walkers, (b"orders:%d" % at for at in range(3000)), 1 << 40, people=HOME)
    assert not walkers.aside


def test_an_address_that_does_something_else_is_learned_from_again() -> None:
    walkers = warmed()
    play_from_homes(walkers, (b"orders:%d" % at for at in range(1000)), 1 << 40)
    views = visits(random.Random(6))
    play_from_homes(walkers, (next(views) for _ in range(3000)), 1 << 40)
    assert walkers.found >= 1 and not walkers.aside


@pytest.mark.parametrize("name", ["nasa_jul", "orm_busy", "lirs_multi2"])
def test_the_readers_of_recorded_traffic_are_not_set_aside_by_their_addresses(
    name: str, shared_traces: Path
) -> None:
    """Each read on a connection of its own, from the client's address, or from one of three."""
    trace = read_trace(str(shared_traces / f"{name}.csv.gz"), limit=150_000)
    walkers = made(1 << 30)
    clients = trace.clients if len(trace.client_names) > 3 else [n % 3 for n in range(len(trace))]
    homes: dict[int, int] = {}
    walkers.home_of = lambda session: HOME + homes[session]
    cached: dict[bytes, None] = {}
    events = 0
    for at, (number, client) in enumerate(zip(trace.ids, clients, strict=True)):
        key = trace.keys[number]
        if key in cached:
            cached[key] = cached.pop(key)
            continue
        cached[key] = None
        if len(cached) > len(trace.keys) // 20:
            del cached[next(iter(cached))]
        homes = {at: client}
        home = HOME + client
        walkers.event(home if home in walkers.aside else at, key)
        events += 1
    assert events > 4000
    assert not walkers.found
