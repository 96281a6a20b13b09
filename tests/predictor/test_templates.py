"""Templates predict for ids that were never asked for before."""

from __future__ import annotations

import random

from antecache.predictor.plan import Plan
from antecache.predictor.templates import Templates

BUDGET = 40_000


def visited(templates: Templates, users: range) -> Templates:
    rng = random.Random(3)
    for user in users:
        for key in (b"user:%d", b"cart:%d", b"orders:%d:0"):
            templates.observe(key % (user * 7919 + 13), demand=True)
            templates.observe(b"product:%d" % (10**8 + rng.getrandbits(20)), demand=False)
    return templates


def test_what_belongs_to_an_id_follows_for_a_new_id() -> None:
    templates = visited(Templates(BUDGET), range(100))
    found = templates.candidates(b"user:999999937")
    assert {c.key for c in found[:2]} == {b"cart:999999937", b"orders:999999937:0"}
    assert found[0].rule.startswith("same id user:*>")
    assert found[0].score > 0.6
    # the other way round it never was
    assert b"user:999999937" not in {c.key for c in templates.candidates(b"orders:999999937:0")}


def test_the_next_page_follows() -> None:
    templates = Templates(BUDGET)
    rng = random.Random(1)
    for _ in range(60):
        page = rng.randrange(10**6)
        for step in range(4):
            templates.observe(b"page/%d" % (page + step), demand=True)
    best = templates.candidates(b"page/5000000")[0]
    assert best.key == b"page/5000001"
    assert best.rule == "near id page/*>page/*+1"


def test_hex_ids_have_no_neighbours() -> None:
    templates = Templates(BUDGET)
    for at in range(300):
        templates.observe(b"doc:%010x" % (0xA000000000 + at), demand=True)
    assert templates.candidates(b"doc:b5aa00ff17") == []


def test_what_came_before_tells_more() -> None:
    """After a login of the same user the cart follows, after anything else it does not."""
    templates = Templates(BUDGET)
    rng = random.Random(5)
    for at in range(300):
        user = rng.getrandbits(28)
        if at % 2:
            templates.observe(b"login:%d" % user, demand=True)
            templates.observe(b"user:%d" % user, demand=True)
            templates.observe(b"cart:%d" % user, demand=True)
        else:
            templates.observe(b"search:%d" % rng.getrandbits(28), demand=True)
            templates.observe(b"user:%d" % user, demand=True)
        for _ in range(16):
            templates.observe(b"page:%d" % rng.getrandbits(40), demand=True)
    templates.observe(b"login:77777777", demand=True)
    best = templates.candidates(b"user:77777777")[0]
    assert best.key == b"cart:77777777"
    assert dict(best.why)["confidence"] > 0.9


def test_memory_is_kept_and_rules_can_be_off() -> None:
    for budget in (0, 500, 5_000, BUDGET):
        templates = visited(Templates(budget), range(200))
        assert templates.nbytes <= budget
        templates.candidates(b"user:5")
    templates = visited(Templates(BUDGET), range(100))
    rules = {c.rule for c in templates.candidates(b"user:999999937")}
    templates.adopt(Plan(version=1, disabled=tuple(rules)))
    assert templates.candidates(b"user:999999937") == []


def test_a_state_reads_back() -> None:
    templates = visited(Templates(BUDGET), range(100))
    again = Templates(BUDGET)
    again.load(templates.dump())
    for other in (templates, again):
        other.observe(b"home:7", demand=True)
    held = {c.key: c.score for c in templates.candidates(b"user:31")}
    assert {c.key: c.score for c in again.candidates(b"user:31")} == held
    assert held
