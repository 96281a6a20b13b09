"""Sessions from the connection to the prefetch: whose reads they are makes them predictable."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

import redis.asyncio

from antecache.server.app import Server
from antecache.server.config_reading import load
from antecache.server.replay import Replay, Result, Setup

VISITORS, TOURS, STEPS = 8, 200, 5


def crowd(count: int, seed: int = 1) -> list[tuple[int, bytes]]:
    """Visitors at the same time, each on one tour through five pages after another."""
    rng = random.Random(seed)
    tours: dict[int, list[bytes]] = {}
    order = random.Random(0).sample(range(TOURS * STEPS), TOURS * STEPS)
    made = []
    for _ in range(count):
        visitor = rng.randrange(VISITORS)
        left = tours.get(visitor)
        if not left:
            tour = rng.randrange(TOURS)
            pages = order[tour * STEPS : (tour + 1) * STEPS]
            left = tours[visitor] = [b"a:%d" % page for page in pages]
        made.append((visitor, left.pop(0)))
    return made


def replayed(reads: list[tuple[int, bytes]], clients: list[int] | None, **setup: Any) -> Result:
    replay = Replay(Setup(predictor="blend", capacity=100, **setup))
    replay.feed([key for _, key in reads], clients=clients)
    replay.store.check()
    return replay.finish()


def test_who_asks_makes_a_crowd_predictable() -> None:
    reads = crowd(7000)
    known = replayed(reads, [visitor for visitor, _ in reads])
    unknown = replayed(reads, None)
    assert known.waits < 0.87 * unknown.waits
    assert any(rule.startswith("session ") and useful for rule, _, useful in known.by_rule)
    assert known.rows < 1.4 * known.requests


def test_one_client_costs_nothing_and_changes_nothing() -> None:
    reads = crowd(3000)
    for unit, capacity in (("keys", 100), ("total", 110_000)):
        results = []
        for clients in (None, [5] * len(reads)):
            replay = Replay(Setup(predictor="blend", capacity=capacity, unit=unit))
            replay.feed([key for _, key in reads], clients=clients)
            results.append(asdict(replay.finish()))
        assert results[0] == results[1]


async def test_a_shared_connection_is_told_whose_reads_they_are() -> None:
    settings = {
        "port": "0",
        "metrics_port": "0",
        "backing": f"memory://?prefix=a&rows={TOURS * STEPS}",
        "maxkeys": "100",
    }
    server = Server(load(None, {}, settings))
    await server.start()
    try:
        async with redis.asyncio.Redis(port=server.port, protocol=3) as client:
            book = None
            for _ in range(12):  # the trainer says what is likely in its own time
                async with client.pipeline(transaction=False) as pipe:
                    for at, (visitor, key) in enumerate(crowd(5000)):
                        pipe.execute_command("PREDICTOR", "SESSION", f"visitor-{visitor}")
                        pipe.get(key)
                        if at % 500 == 499:
                            await pipe.execute()
                book = server.ledger.rules.get("session a:*>a:*")
                if book is not None and book.useful > 30:
                    break
            rules = await client.execute_command("PREDICTOR", "RULES", "session *")
            assert "session a:*>a:*" in str(rules)
            assert book is not None and book.useful > 30
            server.store.check()
    finally:
        await server.stop()
