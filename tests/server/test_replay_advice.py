"""What a replay is told beforehand: rules, keys that are never predicted, models.

What this file does not do: check rules (`test_rules.py`) or models
(`predictor/test_challenge.py`); here it counts that a replay obeys them as a server
does.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from typer.testing import CliRunner

from antecache.predictor.challenge import LEAST_TRIALS
from antecache.predictor.plan import Plan
from antecache.server.__main__ import cli
from antecache.server.app import Server
from antecache.server.config_reading import load
from antecache.server.replay import Replay, Result, Setup
from antecache.server.replay_setup import Advice
from antecache.server.replay_trainer import InlineTrainer
from antecache.server.rules import read_rule


def advice(*tables: dict[str, Any], **more: Any) -> Advice:
    return Advice(rules=tuple(map(read_rule, tables)), **more)


def replayed(
    keys: Sequence[bytes],
    told: Advice,
    *,
    times: Sequence[float] | None = None,
    **setup: Any,
) -> Result:
    # misslog: keys that come once give it nothing to say, so what happens is the rules' doing
    made = {"policy": "lru", "predictor": "misslog", "capacity": 200, **setup}
    replay = Replay(Setup(**made, advice=told))
    replay.feed(keys, times=times)
    replay.store.check()
    return replay.finish()


CARTS = {"when": "user:{id}", "then": ["cart:{id}"]}


def test_what_a_rule_names_comes_with_the_miss() -> None:
    keys = [b"%s:%d" % (name, n) for n in range(50) for name in (b"user", b"cart")]
    without, result = replayed(keys, advice()), replayed(keys, advice(CARTS))
    assert (without.waits, without.statements) == (100, 100)
    assert (result.waits, result.rows) == (50, 100)
    assert result.statements == 100  # another table is another statement
    assert result.own_rules == [("rule user:{id}>cart:{id}", 50, 50)]
    same_table = advice({"when": "user:{id}", "then": ["user:{id}:cart"]})
    keys = [b"user:%d%s" % (n, more) for n in range(50) for more in (b"", b":cart")]
    assert replayed(keys, same_table).statements == 50


def test_what_must_never_be_predicted_is_not() -> None:
    keys = [b"%s:%d" % (name, n) for n in range(50) for name in (b"user", b"cart")]
    result = replayed(keys, advice(CARTS, never=("cart:1?", "cart:7")))
    assert result.waits == 50 + 11


def test_what_a_hit_fetches_is_a_statement_for_each_table() -> None:
    then = ["cart:{id}", "cart:{id}:sum", "page:{id}"]
    told = advice({"when": "user:{id}", "then": then, "if": {"on": "hit"}})
    before = [b"x:%d" % number for number in range(100)]  # room for more than one prefetch
    result = replayed([*before, b"user:1"], told)
    assert (result.waits, result.statements, result.rows) == (101, 101, 101)
    after = [b"user:1", b"user:1", b"cart:1", b"cart:1:sum", b"page:1"]
    result = replayed([*before, *after], told)
    assert (result.waits, result.statements, result.rows) == (101, 103, 104)
    assert result.useful == 3


@pytest.mark.parametrize(("arrival", "waits", "late"), [(0, 1, 0), (1, 1, 0), (2, 2, 1)])
def test_what_a_hit_fetches_takes_its_time(arrival: int, waits: int, late: int) -> None:
    told = advice({**CARTS, "if": {"on": "hit"}})
    result = replayed([b"user:1", b"user:1", b"cart:1"], told, arrival=arrival)
    assert (result.waits, result.late, result.rows) == (waits, late, 2)


def test_rules_are_followed_further() -> None:
    told = advice(CARTS, {"when": "cart:{id}", "then": ["price:{id}"]})
    result = replayed([b"user:1", b"price:1", b"cart:1"], told)
    assert (result.waits, result.statements, result.rows) == (1, 3, 3)


def test_rules_of_some_hours_go_by_the_time_of_the_trace() -> None:
    told = advice({**CARTS, "if": {"hour": "8-17"}})
    keys = [b"user:1", b"cart:1", b"user:2", b"cart:2"]
    noon, night = (time.mktime((2024, 3, 4, hour, 0, 0, 0, 0, -1)) for hour in (12, 23))
    assert told.asks_time and not advice(CARTS).asks_time
    assert replayed(keys, told, times=[noon, noon, night, night]).waits == 3


def test_a_wrong_rule_is_switched_off_even_where_few_books_are_kept() -> None:
    keys = [b"user:%d" % number for number in range(3000)]
    told = advice({"when": "user:{id}", "then": ["user:{id}:x"]}, precision_floor=0.5)
    result = replayed(keys, told, unit="total", capacity=60_000)
    assert result.own_rules == result.by_rule[:1]
    assert 30 <= result.own_rules[0][1] < 300


async def test_a_server_does_the_same(tmp_path: Path) -> None:
    """The rules of one file, the same reads: as many waits, statements and rows."""
    config = tmp_path / "antecache.toml"
    config.write_text(
        """
        backing = "memory://?prefix=user&prefix=cart&prefix=page&rows=1000"
        links = "off"
        policy = "lru"
        never-predict = "cart:1?"
        [[rule]]
        when = "user:{id}"
        then = ["cart:{id}", "page:{id}"]
        [[rule]]
        when = "page:{n:int}"
        then = ["page:{n+1}", "cart:{n}"]
        if = { on = "any" }
        """
    )
    draw = random.Random(4)
    keys = [
        b"%s:%d" % (name, number)
        for number in draw.choices(range(40), k=60)
        for name in draw.sample((b"user", b"cart", b"page"), 2)
    ]
    settings = load(config, {}, {"port": "0", "metrics_port": "0"})
    told = Advice(rules=tuple(settings.rules), never=tuple(settings.never_predict.split()))
    result = replayed(keys, told, capacity=1000, predictor="blend")
    server = Server(settings)
    await server.start()
    await server.trainer.stop()  # no Plan on either side, however long it takes
    try:
        async with redis.asyncio.Redis(port=server.port) as client:
            for key in keys:
                await client.get(key)
                await client.ping()  # what a hit gathered is looked at now
                while server.loader.inflight:
                    await client.ping()
        stats = server.stats
        assert server.plan is None
        rows = sum(stats.demand_rows.values()), sum(stats.prefetch_rows.values())
        assert (result.waits, result.rows) == (stats.waits, sum(rows))
        assert result.prefetches == rows[1] > 20
        assert result.statements == sum(stats.statements.values())
    finally:
        await server.stop()


def test_a_model_takes_over_in_a_replay_as_in_the_trainer() -> None:
    published: list[Plan] = []
    trainer = InlineTrainer(published.append, models="tree", lag=500)
    draw = random.Random(7)
    for number in range(LEAST_TRIALS + 300):
        name, share = draw.choice([(b"good", 0.95), (b"bad", 0.2)])
        items: list[Any] = [None, b"a:%d" % number]
        items.append([b"%s:%d" % (name, number), 30 + number % 5, 0.5, False])
        if draw.random() < share:
            items.append(b"%s:%d" % (name, number))
        trainer.feed(items)
        assert not items
        if trainer.contests:
            break
    (report,) = trainer.challenge.reports
    assert report.adopted and {plan.model for plan in published} == {""}
    for number in range(500):
        trainer.feed([b"x:%d" % number])
    assert published[-1].model == "tree" and published[-1].groups["a>good="] > 0.5
    assert [plan.version for plan in published] == sorted(plan.version for plan in published)


def run(*words: object) -> Any:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def halves(tmp_path: Path) -> tuple[Path, Path]:
    """Users, each followed by the cart of the same number: two files of them."""
    draw = random.Random(3)
    paths = tmp_path / "first.csv", tmp_path / "second.csv"
    for path, count in zip(paths, (2500, 10), strict=True):
        numbers = [draw.randrange(800) for _ in range(count)]
        lines = [f"{n},c,{name}:{n},9" for n in numbers for name in ("user", "cart")]
        path.write_text("\n".join(["time,client,key,size", *lines]))
    return paths


def test_a_config_file_and_a_model_are_used(halves: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = halves
    model, config, out = tmp_path / "m", tmp_path / "a.toml", tmp_path / "out.csv"
    done = run("train", first, "-o", model, "--models", "off", "--keys", 100)
    assert done.exit_code == 0, done.output
    common = ("replay", second, "--policy", "lru", "--predictor", "blend", "--size", 50)

    def waits(*words: object) -> int:
        done = run(*common, *words, "--jobs", 1, "--csv", out)
        assert done.exit_code == 0, done.output
        return int(out.read_text().splitlines()[1].split(",")[8])

    without = waits()
    assert waits("--model", model) < 0.8 * without  # "same id" is learned fast, not at once
    config.write_text('[[rule]]\nwhen = "user:{id}"\nthen = ["cart:{id}"]\nname = "[b]carts"\n')
    assert waits("--config", config) < 0.8 * without
    done = run(*common, "--config", config, "--jobs", 1)
    assert "[b]carts>cart:{id}" in done.output and "asked for" in done.output
    config.write_text(f'model = "{model}"\n')
    assert waits("--config", config) < 0.8 * without
    config.write_text('never-predict = "cart:* user:*"\n')
    assert waits("--config", config, "--model", model) > without


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--models", "oracle"), "--models: 'oracle' is none of off, auto, linear"),
        (("--config", "none.toml"), "none.toml: cannot be read: No such file"),
        (("--config", "bad.toml"), "bad.toml: rule: rule 'user:{id}': then: names no key"),
        (("--model", "bad.toml"), "model: bad.toml: is no model of antecache"),
    ],
)
def test_what_cannot_be_used_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text('[[rule]]\nwhen = "user:{id}"\nthen = []\n')
    done = run("replay", "no such trace", *words)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"antecache: {reason}")


def test_a_model_of_another_predictor_is_refused(halves: tuple[Path, Path]) -> None:
    model = halves[0].with_name("m")
    run("train", halves[0], "-o", model, "--models", "off", "--requests", 500)
    done = run("replay", halves[1], "--model", model, "--predictor", "misslog")
    assert done.exit_code == 2
    assert "was made by predictor 'blend'; 'misslog' cannot go on from it" in done.stderr


def test_times_that_are_no_dates_are_said(halves: tuple[Path, Path], tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    config.write_text('[[rule]]\nwhen = "user:{id}"\nthen = ["a"]\nif = { hour = 3 }\n')
    done = run("replay", halves[1], "--config", config, "--size", "5%", "--jobs", 1)
    assert "second: tells no date" in done.stderr
