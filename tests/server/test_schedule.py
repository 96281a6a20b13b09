"""Polls at regular intervals find what they ask for, although it expires in between.

The clock is the test's own: server, log and trainer read it, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from antecache.predictor.periods import Due
from antecache.server import rounds
from antecache.server.app import Server
from antecache.server.config_reading import load

START = 1_800_000_000.0
SOURCE = """
[[source]]
match = "report:{id:int}"
query = "select :id as id"
ttl = "30s"
"""


class Clock:
    """Unix time that passes only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = START
        monkeypatch.setattr(time, "time_ns", lambda: int(self.now * 1e9))
        monkeypatch.setattr(time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
async def server(
    request: pytest.FixtureRequest, clock: Clock, tmp_path: Path
) -> AsyncIterator[Server]:
    config = tmp_path / "antecache.toml"
    config.write_text(SOURCE)
    settings: dict[str, Any] = {
        "port": "0",
        "metrics_port": "0",
        "backing": f"sqlite:///{tmp_path / 'empty.db'}",
        **getattr(request, "param", {}),
    }
    (tmp_path / "empty.db").touch()
    server = Server(load(config, {}, settings))
    await server.start()
    yield server
    server.store.check()
    await server.stop()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis(port=server.port, protocol=3) as client:
        yield client


async def go_round(server: Server) -> None:
    """One background round now, and what it fetches."""
    rounds._round(server, 1)
    while server.loader.inflight:
        await asyncio.sleep(0)


async def told(server: Server) -> None:
    """Hand the log to the trainer."""
    while server.trainer.state != "running":
        await server.trainer.changed()
    while any(type(item) is bytes for item in server.access.items):
        server.trainer.poke()
        await asyncio.sleep(0)


async def poll(server: Server, client: redis.asyncio.Redis, clock: Clock, times: int) -> list[int]:
    """A report every 60 seconds, with rounds in between; which of the polls waited."""
    waited = []
    expected, take = asyncio.Event(), server.trainer._expect

    def told_of(dues: list[Due]) -> None:
        take(dues)
        expected.set()

    server.trainer._expect = told_of
    for at in range(times):
        before = server.stats.waits
        assert await client.get("report:7") is not None
        if server.stats.waits > before:
            waited.append(at)
        await told(server)
        if at == 4 and server.config.prediction:  # four gaps: the trainer says so
            await expected.wait()
        due = clock.now + 60
        while clock.now < due - 0.15:
            clock.now = min(due - 0.1, clock.now + (10 if clock.now < due - 11 else 0.1))
            await go_round(server)
        clock.now = due
    return waited


async def test_a_poll_every_minute_of_what_lives_half_a_minute_waits_no_more(
    server: Server, client: redis.asyncio.Redis, clock: Clock
) -> None:
    assert await poll(server, client, clock, 20) == [0, 1, 2, 3, 4]
    book = server.ledger.rules["period 60s"]
    assert (book.issued, book.useful, book.wasted) == (15 + 1, 15, 0)  # the last one is ready
    explained = await client.execute_command("PREDICTOR", "EXPLAIN", "report:7")
    assert explained[b"brought-by"][b"rule"] == b"period 60s"
    assert explained[b"due"][b"period-ms"] == pytest.approx(60_000, abs=200)
    status = await client.execute_command("PREDICTOR", "STATUS")
    assert status[b"keys-with-a-period"] == 1
    ledger = await client.execute_command("PREDICTOR", "LEDGER")
    assert "period" in str(ledger)


@pytest.mark.parametrize("server", [{"never_predict": "report:*"}], indirect=True)
async def test_keys_that_must_never_be_predicted_are_not(
    server: Server, client: redis.asyncio.Redis, clock: Clock
) -> None:
    assert await poll(server, client, clock, 8) == list(range(8))
    assert server.ledger.issued == 0


async def test_what_stays_is_not_fetched_and_what_expires_before_is(
    server: Server, client: redis.asyncio.Redis, clock: Clock
) -> None:
    async def rounds_until(at: float) -> None:
        while clock.now < START + at - 0.01:
            clock.now += 0.1
            await go_round(server)

    due = Due(b"report:1", START + 10, 60.0, 0.2, 0.95)
    assert await client.get("report:1") is not None
    server.schedule.replace([due])
    await rounds_until(11)
    assert server.ledger.issued == 0  # it lives until 27 at least
    assert await client.pexpire("report:1", 58_800) == 1  # until 69.8
    await rounds_until(69.7)
    assert server.ledger.issued == 0
    await rounds_until(70)
    assert server.ledger.issued == 1
    assert server.store.databases[0].peek(b"report:1") is not None


async def test_without_news_four_visits_are_expected_and_none_twice(
    server: Server, client: redis.asyncio.Redis, clock: Clock
) -> None:
    due = Due(b"report:1", START + 60, 60.0, 0.2, 0.95)
    server.schedule.replace([due])
    for step in range(1, 4000):
        clock.now = START + step / 5
        await go_round(server)
        if step == 299:  # news of a visit that is prepared already
            server.schedule.replace([due])
    assert server.ledger.issued == 5
    assert len(server.schedule) == 0
    assert server.ledger.rules["period 60s"].wasted >= 4


async def test_nonsense_is_not_expected(server: Server) -> None:
    nan = float("nan")
    server.schedule.replace(
        [
            Due(b"report:1", nan, 60.0, 0.0, 1.0),
            Due(b"report:2", START, 0.0, 0.0, 1.0),
            Due(b"report:3", START, 60.0, -1.0, 1.0),
            Due(b"report:4", START, 60.0, 0.0, 7.0),
            Due(b"elsewhere", START, 60.0, 0.0, 1.0),
        ]
    )
    assert len(server.schedule) == 1
    await go_round(server)
    assert server.ledger.issued == 0


@pytest.mark.parametrize("server", [{"prediction": "off"}], indirect=True)
async def test_without_prediction_every_poll_waits(
    server: Server, client: redis.asyncio.Redis, clock: Clock
) -> None:
    for _ in range(8):
        assert await client.get("report:7") is not None
        clock.now += 60
        await go_round(server)
    assert server.stats.waits == 8
