"""Operator's rules: what they say, when they fire, and what is refused with which reason."""

from __future__ import annotations

import calendar
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis.asyncio

from antecache.predictor.plan import Plan, pack_counters
from antecache.server.app import Server
from antecache.server.backing.memory import MemoryBacking
from antecache.server.config_reading import load
from antecache.server.errors import ConfigError
from antecache.server.rules import BELIEF, FIRST_BUCKET, RuleBook, read_rule


def book(*tables: dict[str, Any], clock: Any = time.time) -> RuleBook:
    return RuleBook(map(read_rule, tables), clock=clock)


def keys(book: RuleBook, key: bytes, *, hit: bool = False) -> list[bytes]:
    return [candidate.key for candidate in book.candidates(key, hit=hit)]


def test_fields_of_the_key_are_put_into_what_follows() -> None:
    rules = book({"when": "user:{id}", "then": ["cart:{id}", "user:{id}:orders", "news"]})
    assert keys(rules, b"user:bob") == [b"cart:bob", b"user:bob:orders", b"news"]
    assert keys(rules, b"user:bob:orders") == []
    assert keys(rules, b"user:bob", hit=True) == []
    assert rules.names() == [
        "rule user:{id}>cart:{id}",
        "rule user:{id}>user:{id}:orders",
        "rule user:{id}>news",
    ]


def test_numbers_can_be_counted_on() -> None:
    rules = book({"when": "page:{n:int}", "then": ["page:{n+1}", "page:{n-1}", "{{{n}}}"]})
    assert keys(rules, b"page:0") == [b"page:1", b"{0}"]
    assert keys(rules, b"page:7") == [b"page:8", b"page:6", b"{7}"]


@pytest.mark.parametrize(("on", "miss", "hit"), [("miss", 1, 0), ("hit", 0, 1), ("any", 1, 1)])
def test_hit_or_miss(on: str, miss: int, hit: int) -> None:
    rules = book({"when": "a:{x}", "then": ["b:{x}"], "if": {"on": on}})
    assert len(keys(rules, b"a:1")) == miss
    assert len(keys(rules, b"a:1", hit=True)) == hit
    assert rules.on_hit == (frozenset([b"a:"]) if hit else frozenset())


def test_hours_and_weekdays() -> None:
    now = [0.0]
    rules = book(
        {"when": "a", "then": ["night"], "if": {"hour": "22-5"}},
        {"when": "a", "then": ["weekend"], "if": {"weekday": ["sat", "sunday"]}},
        {"when": "a", "then": ["noon on a weekday"], "if": {"hour": [12], "weekday": "mon-fri"}},
        clock=lambda: now[0],
    )
    seen: dict[bytes, int] = {}
    monday = time.mktime((2024, 3, 4, 0, 30, 0, 0, 0, 0))
    assert time.localtime(monday).tm_wday == calendar.MONDAY
    for hour in range(7 * 24):
        now[0] = monday + 3600 * hour
        for key in keys(rules, b"a"):
            seen[key] = seen.get(key, 0) + 1
    assert seen == {b"night": 7 * 8, b"weekend": 2 * 24, b"noon on a weekday": 5}


def test_what_was_measured_replaces_belief() -> None:
    rules = book({"when": "a:{x}", "then": ["b:{x}", "c:{x}"]})
    assert [c.score for c in rules.candidates(b"a:1", hit=False)] == [BELIEF, BELIEF]
    hits, trials = np.zeros(FIRST_BUCKET + 2), np.zeros(FIRST_BUCKET + 2)
    trials[-1] = 96
    rules.adopt(Plan(hits=pack_counters(hits), trials=pack_counters(trials)))
    scores = [c.score for c in rules.candidates(b"a:1", hit=False)]
    assert scores == pytest.approx([BELIEF, 4 * BELIEF / 100])


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ('then = ["a"]', "missing required field `when`"),
        ('when = "user:{id}"', "rule 'user:{id}'.*`then`"),
        ('when = "user:{id}"\nthen = []', "then: names no key"),
        ('when = "user:{id}"\nthen = "cart"', "Expected `array`, got `str` - at `then`"),
        ('when = "user:{id}"\nthen = ["cart:{nr}"]', r"no field 'nr' \(it has: id\)"),
        ('when = "user:{id}"\nthen = ["cart:{id+1}"]', "write {id:int}"),
        ('when = "user:{id"\nthen = ["cart"]', "a lone '{'"),
        ('when = "user:{id}"\nthen = ["cart:{id"]', "then: 'cart:{id'"),
        ('name = "carts"\nwhen = "u"\nthen = ["c"]\nif = { hour = 24 }', "'carts': if.hour: '24'"),
        ('when = "u"\nthen = ["c"]\nif = { weekday = "moonday" }', "if.weekday: 'moonday'"),
        ('when = "u"\nthen = ["c"]\nif = { on = "load" }', "'load' - at `if.on`"),
        ('when = "u"\nthen = ["c"]\nunless = 1', "unknown field `unless`"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(tmp_path: Path, table: str, reason: str) -> None:
    path = tmp_path / "antecache.toml"
    path.write_text(f"[[rule]]\n{table}\n")
    with pytest.raises(ConfigError, match=reason) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: rule: rule '")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """Users, carts and pages, and rules that are right, wrong, and about hits."""
    path = tmp_path / "antecache.toml"
    path.write_text(
        """
        backing = "memory://?prefix=user&prefix=cart&prefix=page&rows=1000"
        never-predict = "cart:13 secret:*"

        [[rule]]
        when = "user:{id}"
        then = ["cart:{id}"]

        [[rule]]
        name = "wrong"
        when = "page:{n:int}"
        then = ["page:{n+500}"]

        [[rule]]
        when = "session:{id}"
        then = ["user:{id}", "nobody:{id}"]
        if = { on = "any" }
        """
    )
    server = Server(load(path, {}, {"port": "0", "metrics_port": "0"}))
    await server.start()
    yield server
    server.store.check()
    await server.stop()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis(port=server.port, protocol=3) as client:
        yield client


def asked(server: Server) -> list[bytes]:
    assert isinstance(server.backing, MemoryBacking)
    return [key for keys in server.backing.calls for key in keys]


async def test_a_rule_fetches_what_it_names(server: Server, client: redis.asyncio.Redis) -> None:
    await client.get("user:7")
    while b"cart:7" not in asked(server):
        await client.ping()
    assert await client.get("cart:7") is not None
    assert asked(server).count(b"cart:7") == 1
    assert server.ledger.rules["rule user:{id}>cart:{id}"].issued == 1
    explained = await client.execute_command("PREDICTOR", "EXPLAIN", "user:8")
    (decision,) = explained[b"would-fetch"]
    assert decision[b"rule"] == b"rule user:{id}>cart:{id}"
    assert decision[b"decision"] == b"sent"


async def test_a_hit_and_a_miss_of_a_client_s_own_key_fire(
    server: Server, client: redis.asyncio.Redis
) -> None:
    assert await client.get("session:5") is None
    while b"user:5" not in asked(server):
        await client.ping()
    await client.set("session:6", "x")
    assert b"user:6" not in asked(server)
    await client.get("session:6")
    while b"user:6" not in asked(server):
        await client.ping()
    assert b"nobody:6" not in asked(server)  # no source owns it


async def test_clients_that_take_turns_are_answered_while_hits_fire_rules(
    server: Server, client: redis.asyncio.Redis
) -> None:
    """Who asks is noted in the log beside the keys, and no rule may take it for one."""
    assert server.followups.rules.on_hit
    async with redis.asyncio.Redis(port=server.port, retry=None) as other:
        for number in range(10, 30):  # lone commands of one size take the shortest way
            for each in (client, other):
                assert await each.get(f"user:{number}") is not None


async def test_never_predict(server: Server, client: redis.asyncio.Redis) -> None:
    await client.get("user:13")
    await client.get("user:14")
    while b"cart:14" not in asked(server):
        await client.ping()
    assert b"cart:13" not in asked(server)
    assert await client.get("cart:13") is not None  # reading it is nobody's business


async def test_a_wrong_rule_is_switched_off(server: Server, client: redis.asyncio.Redis) -> None:
    server.config.maxkeys = 40
    server.store.limit = 40
    for number in range(400):
        await client.get(f"page:{number}")
    book = server.ledger.rules["rule wrong>page:{n+500}"]
    assert 0 < book.issued < book.held_back  # the first Plan forgives once what was sent before it


async def test_rules_lists_those_that_have_not_fired(client: redis.asyncio.Redis) -> None:
    listed = {rule[b"rule"]: rule for rule in await client.execute_command("PREDICTOR", "RULES")}
    assert listed[b"rule user:{id}>cart:{id}"][b"issued"] == 0
    assert len(listed) == 4
