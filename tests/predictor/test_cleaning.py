"""Cleaning: what is missing is filled in, doubles and bots leave, and runs of one client stay."""

from __future__ import annotations

import math
import random

from antecache.predictor.cleaning import Cleaned, clean, find_bots


def cleaned(accesses: list[tuple[float, bytes, bytes]], **options: object) -> Cleaned:
    """Clean accesses (time, client, key)."""
    keys = list(dict.fromkeys(key for _, _, key in accesses))
    names = list(dict.fromkeys(client for _, client, _ in accesses))
    return clean(
        keys,
        [keys.index(key) for _, _, key in accesses],
        [time for time, _, _ in accesses],
        [names.index(client) for _, client, _ in accesses],
        names,
        **options,  # type: ignore[arg-type]
    )


def test_what_was_logged_twice_counts_once() -> None:
    made = cleaned([(1, b"x", b"a"), (1, b"x", b"a"), (2, b"x", b"a"), (2, b"y", b"a")])
    assert list(made.kept) == [0, 2, 3]
    assert made.dropped == {"duplicate": 1}


def test_without_times_nothing_is_a_duplicate() -> None:
    made = cleaned([(0, b"x", b"a"), (0, b"x", b"a")])
    assert len(made.kept) == 2


def test_missing_times_and_clients_are_filled_in_and_counted() -> None:
    made = cleaned([(5, b"x", b"a"), (math.nan, b"-", b"b"), (3, b"", b"c"), (7, b"x", b"d")])
    assert list(made.times) == [5, 5, 5, 7]
    assert made.missing == {"time": 2, "client": 2}
    assert len(made.kept) == 4


def test_keys_that_must_never_be_predicted_leave() -> None:
    made = cleaned(
        [(1, b"x", b"session:1"), (2, b"x", b"a")], never=lambda key: key.startswith(b"session:")
    )
    assert list(made.kept) == [1]
    assert made.dropped == {"never": 1}


def traffic(bot: list[bytes]) -> list[tuple[float, bytes, bytes]]:
    """Three visitors who read at random, and a client that reads `bot`."""
    rng = random.Random(1)
    made = []
    for at, key in enumerate(bot):
        people = (b"ann", b"bob", b"cy")
        made += [(float(at), name, b"products:%d" % rng.randrange(500)) for name in people]
        made.append((float(at), b"bot", key))
    return made


def test_a_client_that_walks_ids_is_a_bot() -> None:
    made = cleaned(traffic([b"products:%d" % number for number in range(400)]))
    assert made.bots == [b"bot"]
    assert made.dropped == {"bot": 400}
    down = cleaned(traffic([b"p/%d.html" % (9000 - 2 * number) for number in range(400)]))
    assert down.bots == [b"bot"]


def test_a_bot_of_a_capture_that_changes_its_connection_is_known_by_its_address() -> None:
    reads: list[tuple[float, bytes, bytes]] = []
    for at, name, key in traffic([b"products:%d" % number for number in range(400)]):
        port = 20_000 + int(at) if name == b"bot" else 6000
        host = {b"bot": b"[2001:db8::7]", b"ann": b"10.0.0.1"}.get(name, b"10.0.0.2")
        reads.append((at, b"%s:%d" % (host, port), key))
    made = cleaned(reads)
    assert made.bots == [b"[2001:db8::7]"]
    assert made.dropped == {"bot": 400}
    assert len(made.kept) == 1200


def test_those_who_come_back_or_jump_are_none() -> None:
    rng = random.Random(2)
    again = [b"products:%d" % (number % 50) for number in range(400)]
    jumps = [b"products:%d" % rng.randrange(10**6) for _ in range(400)]
    words = [b"products:%s" % bytes([97 + number % 26]) for number in range(400)]
    for reads in (again, jumps, words):
        assert cleaned(traffic(reads)).bots == []


def test_runs_of_a_log_of_one_client_are_what_there_is_to_learn() -> None:
    keys = [b"%d" % number for number in range(1000)]
    assert find_bots(keys, range(1000), [0] * 1000, [b"disk"]) == set()
