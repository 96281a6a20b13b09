"""Links in values: known ones fire at once, learned ones after a few confirmations, all bounded."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from antecache.predictor.links import _MOST_LINKS, BUCKETS, FIRST_BUCKET, RECENT, Links
from antecache.predictor.plan import Plan, pack_counters


def named(links: Links, source: str, key: bytes, *fields: tuple[str, bytes]) -> list[bytes]:
    return [candidate.key for candidate in links.candidates(source, key, fields)]


def test_a_foreign_key_names_keys_that_never_occurred() -> None:
    links = Links()
    links.seed("orders", "customer_id", b"customers:")
    fields = [("id", b"17"), ("customer_id", b"8518")]
    (candidate,) = links.candidates("orders", b"orders:17", fields)
    assert candidate.key == b"customers:8518"
    assert candidate.rule == "link orders.customer_id>customers:*"
    assert named(links, "carts", b"carts:17", *fields) == []
    assert links.candidates("orders", b"orders:17", fields, lambda _: False) == []


def test_links_are_learned_from_what_is_asked_next() -> None:
    links = Links()
    for number in range(6):
        fields = [("owner", b"u%d" % (900 + number)), ("size", b"3")]
        links.arrived("docs", b"doc:%d" % number, fields)
        links.asked(b"profile/u%d/page" % (900 + number))
    assert named(links, "docs", b"doc:77", ("owner", b"u1"), ("size", b"3")) == [b"profile/u1/page"]


def test_what_is_rarely_asked_names_nothing() -> None:
    links = Links()
    for number in range(200):
        links.arrived("docs", b"doc:%d" % number, [("owner", b"%d" % (1000 + number))])
        if number % 25 == 0:
            links.asked(b"user:%d" % (1000 + number))
    assert named(links, "docs", b"doc:7", ("owner", b"5")) == []


def test_the_key_s_own_id_is_left_to_the_templates() -> None:
    links = Links()
    for number in range(10):
        links.arrived("users", b"users:%d" % number, [("id", b"%d" % number)])
        links.asked(b"carts:%d" % number)
    assert links.count == 0


def test_probabilities_come_from_the_plan() -> None:
    links = Links()
    links.seed("orders", "customer_id", b"customers:")
    (link,) = links.all()
    hits, trials = np.zeros(FIRST_BUCKET + BUCKETS), np.zeros(FIRST_BUCKET + BUCKETS)
    hits[FIRST_BUCKET + link.bucket], trials[FIRST_BUCKET + link.bucket] = 95, 96
    links.adopt(Plan(hits=pack_counters(hits), trials=pack_counters(trials)))
    (candidate,) = links.candidates("orders", b"orders:1", [("customer_id", b"2")])
    assert 0.95 < candidate.score < 1
    links.adopt(Plan(disabled=(link.rule,)))
    assert named(links, "orders", b"orders:1", ("customer_id", b"2")) == []


def test_a_dump_is_taken_over_beside_what_is_known() -> None:
    links = Links()
    for number in range(6):
        links.arrived("docs", b"doc:%d" % number, [("owner", b"u%d" % number)])
        links.asked(b"user:u%d" % number)
    other = Links()
    other.seed("orders", "customer_id", b"customers:")
    other.load([*links.dump(), ("x", "y", b"z:", b"", -5.0, 1e9)])
    assert named(other, "docs", b"doc:9", ("owner", b"u9")) == [b"user:u9"]
    assert other.count == 3
    assert all(0 <= link.hits <= link.trials for link in other.all())


texts = st.sampled_from([b"%d" % number for number in range(30)] + [b"a", b"", b":"])


@given(st.lists(st.tuples(texts, st.lists(st.tuples(st.sampled_from("abc"), texts)), texts)))
def test_any_traffic_keeps_the_books(traffic: list[tuple]) -> None:
    links = Links()
    for key, fields, asked in traffic:
        links.arrived("s", b"k:" + key, fields)
        links.asked(b"t:" + asked + b":x")
        for candidate in links.candidates("s", b"k:" + key, fields):
            assert 0 <= candidate.score <= 1
            assert FIRST_BUCKET <= candidate.bucket < FIRST_BUCKET + BUCKETS
    assert links.count == len(links.all()) <= _MOST_LINKS
    held = sum(len(place) for place in links._values.values())
    assert held == sum(len(arrival.values) for arrival in links._recent)
    assert len(links._recent) <= RECENT


def test_ever_new_fields_are_bounded() -> None:
    links = Links()
    for number in range(3000):
        links.arrived("s", b"k", [(f"field{number}", b"v%d" % number)])
        links.asked(b"t:v%d" % number)
    assert links.count <= _MOST_LINKS
    assert links.nbytes < 1 << 20
