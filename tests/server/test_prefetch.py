"""Prediction in a whole server: learned live, riding along, explained, and never in the way."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from antecache.server.app import Server
from antecache.server.backing.memory import MemoryBacking
from antecache.server.config_reading import load

KEYS = 400


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """Rows a:0 ... and b:0 ...; a tenth of the keys fits."""
    settings: dict[str, Any] = {
        "port": "0",
        "metrics_port": "0",
        "backing": f"memory://?prefix=a&prefix=b&rows={KEYS}",
        "maxkeys": str(2 * KEYS // 10),
        **getattr(request, "param", {}),
    }
    server = Server(load(None, {}, settings))
    await server.start()
    yield server
    server.store.check()
    await server.stop()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis(port=server.port, protocol=3) as client:
        yield client


async def visit(client: redis.asyncio.Redis, order: list[int]) -> None:
    """What an application does: a:n, and then b:n."""
    for number in order:
        assert await client.get(f"a:{number}") is not None
        assert await client.get(f"b:{number}") is not None


async def learned(server: Server, client: redis.asyncio.Redis) -> None:
    """Wait until the trainer has fitted a Plan to all that was asked so far."""
    trainer = server.trainer
    while trainer.state != "running":
        await trainer.changed()
    before = trainer.status()["fits"]
    await client.execute_command("PREDICTOR", "RETRAIN")
    while trainer.status()["fits"] == before:
        await trainer.changed()


def backing_of(server: Server) -> MemoryBacking:
    assert isinstance(server.backing, MemoryBacking)
    return server.backing


async def test_what_followed_is_fetched_along_and_the_database_sees_less(
    server: Server, client: redis.asyncio.Redis
) -> None:
    rng = random.Random(1)
    await visit(client, [rng.randrange(KEYS) for _ in range(1500)])
    stats = server.stats
    before = stats.waits, sum(stats.statements.values())
    useful = server.ledger.outcomes["useful"]
    await visit(client, [rng.randrange(KEYS) for _ in range(1000)])
    waits = stats.waits - before[0]
    assert server.ledger.outcomes["useful"] - useful > 600
    assert waits < 1300, f"{waits} waits of 2,000 reads; without prediction some 1,800"
    assert server.ledger.precision is not None and server.ledger.precision > 0.8
    status = await client.execute_command("PREDICTOR", "STATUS")
    assert status[b"prefetches-useful"] == server.ledger.outcomes["useful"]


async def test_the_follower_of_the_same_table_rides_in_the_same_statement(
    server: Server, client: redis.asyncio.Redis
) -> None:
    rng = random.Random(2)

    async def visit_pairs(count: int) -> None:
        for _ in range(count):
            number = rng.randrange(KEYS // 2)
            await client.get(f"a:{number}")
            await client.get(f"a:{number + KEYS // 2}")

    for _ in range(4):
        await visit_pairs(300)
        await learned(server, client)
    stats, store = server.stats, server.store
    backing_of(server).calls.clear()
    before = sum(stats.statements.values()), store.hits + store.misses
    await visit_pairs(300)
    ridden = [keys for keys in backing_of(server).calls if len(keys) > 1]
    assert len(ridden) > 100
    reads = store.hits + store.misses - before[1]
    assert sum(stats.statements.values()) - before[0] < 0.6 * reads


async def test_every_prefetch_can_be_explained(server: Server, client: redis.asyncio.Redis) -> None:
    rng = random.Random(3)
    await visit(client, [rng.randrange(KEYS) for _ in range(1500)])
    entries = [entry for data in server.store.databases[0].dicts for entry in data.values()]
    cached = {e.key for e in entries if e.key.startswith(b"b:") and e.where >= 0}
    explained = [await client.execute_command("PREDICTOR", "EXPLAIN", key) for key in cached]
    brought = [
        answer[b"brought-by"] for answer in explained if isinstance(answer[b"brought-by"], dict)
    ]
    assert brought, "most b:n came as followers of a:n"
    for evidence in brought:
        assert evidence[b"trigger"].startswith((b"a:", b"b:"))
        assert evidence[b"because"] and evidence[b"used"] == b"yes"
    absent = next(f"a:{n}" for n in range(KEYS) if f"a:{n}".encode() not in cached)
    answer = await client.execute_command("PREDICTOR", "EXPLAIN", absent)
    assert {b"source", b"cached", b"would-fetch", b"threshold"} <= answer.keys()
    rules = await client.execute_command("PREDICTOR", "RULES")
    assert rules[0][b"issued"] >= rules[-1][b"issued"]
    assert sum(rule[b"useful"] for rule in rules) == server.ledger.outcomes["useful"]
    assert await client.execute_command("PREDICTOR", "RULES", "no such rule*") == []


async def test_hints_are_fetched_without_waiting(
    server: Server, client: redis.asyncio.Redis
) -> None:
    assert await client.execute_command("PREFETCH", "a:1", "a:2", "nobody's", "a:1") == 2
    while server.loader.inflight:
        await asyncio.sleep(0)
    waits = server.stats.waits
    await client.get("a:1")
    assert server.stats.waits == waits
    assert server.ledger.outcomes["useful"] == 1
    assert await client.execute_command("PREFETCH", "a:1") == 0, "it is here already"


async def test_off_stops_everything_and_on_goes_on_with_what_was_learned(
    server: Server, client: redis.asyncio.Redis
) -> None:
    rng = random.Random(4)
    await visit(client, [rng.randrange(KEYS) for _ in range(1200)])
    await client.execute_command("PREDICTOR", "OFF")
    while server.trainer.state != "stopped":
        await asyncio.sleep(0.01)
    issued = server.ledger.issued
    assert issued > 0
    await visit(client, [rng.randrange(KEYS) for _ in range(200)])
    assert server.ledger.issued == issued
    assert server.access.items == []
    await client.execute_command("PREDICTOR", "ON")
    while not server.prefetcher.enabled:
        await asyncio.sleep(0.01)
    await visit(client, [rng.randrange(KEYS) for _ in range(200)])
    assert server.ledger.issued > issued


async def test_on_and_off_in_quick_succession_leave_one_trainer_or_none(
    server: Server, client: redis.asyncio.Redis
) -> None:
    for word in ("OFF", "ON", "ON", "OFF", "ON", "OFF", "ON"):
        await client.execute_command("PREDICTOR", word)
    while server.trainer.state != "running":
        await server.trainer.changed()
    assert (await client.execute_command("PREDICTOR", "RETRAIN")) == b"OK"
    await client.execute_command("PREDICTOR", "OFF")
    while server.trainer.state != "stopped":
        await server.trainer.changed()
    with pytest.raises(redis.ResponseError, match="prediction is off"):
        await client.execute_command("PREDICTOR", "RETRAIN")


@pytest.mark.parametrize("server", [{"prediction": "on"}], indirect=True)
async def test_what_the_trainer_cannot_do_now_is_an_error(
    server: Server, client: redis.asyncio.Redis
) -> None:
    while server.trainer.state != "running":
        await server.trainer.changed()
    os.kill(server.trainer.status()["pid"], signal.SIGKILL)
    while server.trainer.state == "running":
        await server.trainer.changed()
    with pytest.raises(redis.ResponseError, match="the trainer is not running"):
        await client.execute_command("PREDICTOR", "RETRAIN")


async def test_nothing_predictable_costs_few_rows(
    server: Server, client: redis.asyncio.Redis
) -> None:
    rng = random.Random(5)

    async def visits(count: int) -> tuple[int, int]:
        """Rows read for clients, and ahead of them, over `count` reads of any keys."""
        stats = server.stats
        before = sum(stats.demand_rows.values()), sum(stats.prefetch_rows.values())
        for _ in range(count):
            await client.get(f"{rng.choice('ab')}:{rng.randrange(KEYS)}")
        demand, ahead = sum(stats.demand_rows.values()), sum(stats.prefetch_rows.values())
        return demand - before[0], ahead - before[1]

    for _ in range(4):
        await visits(1000)
        await learned(server, client)
    demand, ahead = await visits(2000)
    assert ahead < 0.1 * demand


@pytest.mark.parametrize("server", [{"prediction": "on"}], indirect=True)
async def test_a_killed_trainer_is_started_again_and_nobody_notices(
    server: Server, client: redis.asyncio.Redis
) -> None:
    while (pid := server.trainer.status().get("pid")) is None:
        await asyncio.sleep(0.01)
    os.kill(int(pid), signal.SIGKILL)
    rng = random.Random(6)
    await visit(client, [rng.randrange(KEYS) for _ in range(300)])
    for _ in range(1000):
        status = server.trainer.status()
        if status["restarts"] >= 1 and status["pid"] not in (None, pid):
            break
        await asyncio.sleep(0.01)
    assert status["restarts"] == 1
    version = server.plan.version if server.plan else 0
    await visit(client, [rng.randrange(KEYS) for _ in range(600)])
    await client.execute_command("PREDICTOR", "RETRAIN")
    for _ in range(1000):
        if server.plan is not None and server.plan.version > version:
            break
        await asyncio.sleep(0.01)
    assert server.plan is not None and server.plan.version > version


async def test_history_makes_a_new_server_predict_at_once(
    server: Server, client: redis.asyncio.Redis, tmp_path: Path
) -> None:
    rng = random.Random(7)
    file = tmp_path / "history.csv"
    with file.open("w") as out:
        out.write("time,client,key,size\n")
        for second in range(3000):
            number = rng.randrange(KEYS)
            out.write(f"{second},1,a:{number},1\n{second},1,b:{number},1\nbroken line\n")
    reply = await client.execute_command("PREDICTOR", "IMPORT", str(file))
    assert reply == b"Background import started"
    while server.learning.imports["state"] == "running":
        await asyncio.sleep(0.01)
    assert server.learning.imports["state"] == "done", server.learning.imports
    assert (
        server.learning.imports["accesses"] == 6000 and server.learning.imports["skipped"] == 3000
    )
    await visit(client, [rng.randrange(KEYS) for _ in range(100)])
    assert server.ledger.outcomes["useful"] > 40


async def test_a_history_that_is_not_there_is_a_clear_failure(
    server: Server, client: redis.asyncio.Redis
) -> None:
    await client.execute_command("PREDICTOR", "IMPORT", "/no/such/file.csv")
    while server.learning.imports["state"] == "running":
        await asyncio.sleep(0.01)
    assert server.learning.imports["state"] == "failed"
    assert "/no/such/file.csv" in server.learning.imports["reason"]


async def test_the_gate_and_the_memory_are_shown(
    server: Server, client: redis.asyncio.Redis
) -> None:
    rng = random.Random(4)
    await visit(client, [rng.randrange(KEYS) for _ in range(400)])
    status = await client.execute_command("PREDICTOR", "STATUS")
    assert status[b"gate"] == b"open" and status[b"attention"] == b"every miss"
    assert 0 < status[b"memory-bytes"] <= status[b"memory-budget-bytes"]
    info = await client.info("prediction")
    assert info["prediction_gate"] == "open"
    assert info["prediction_memory_most"] == status[b"memory-budget-bytes"]
    worth = server.prefetcher.worth
    worth.closed, worth.balance = True, -1e9
    before = server.ledger.issued
    await visit(client, [rng.randrange(KEYS) for _ in range(400)])
    assert (await client.info("prediction"))["prediction_gate"] == "closed"
    assert server.ledger.issued == before, "a closed gate prefetches nothing"
