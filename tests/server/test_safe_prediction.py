"""What a client might do to make prediction harmful, and what comes of it: nothing."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from antecache.predictor.blend import Blend
from antecache.predictor.plan import Plan, pack_counters
from antecache.server.accesslog import LONGEST
from antecache.server.app import Server

Serve = Callable[..., Awaitable[Server]]
Connect = Callable[[Any], Awaitable[Any]]


async def settled(server: Server, client: Any) -> None:
    while server.loader.inflight:
        await client.ask("PING")


def mapped(reply: list[Any]) -> dict[bytes, Any]:
    return dict(zip(reply[::2], reply[1::2], strict=True))


@pytest.fixture
async def server(serve: Serve) -> Server:
    return await serve(
        prediction=True,
        predictor="blend",
        backing="memory://?prefix=open&prefix=secret&rows=5000",
        maxkeys=200,
    )


# -- what a user may not read ------------------------------------------------


@pytest.fixture
async def spy(server: Server, connect: Connect) -> Any:
    """A user that may ask about prediction and read `open:*`, after others read pairs."""
    admin, spy = await connect(server), await connect(server)
    rules = ["on", ">s", "~open:*", "+@all"]
    assert await admin.ask("ACL", "SETUSER", "spy", *rules) == b"OK"
    for _ in range(3):
        for number in range(150):
            await admin.ask("GET", f"open:{number}")
            await admin.ask("GET", f"secret:{number}")
    assert await spy.ask("AUTH", "spy", "s") == b"OK"
    return spy


def texts(reply: Any) -> list[bytes]:
    if isinstance(reply, list):
        return [text for item in reply for text in texts(item)]
    return [reply] if isinstance(reply, bytes) else []


async def test_no_key_is_told_to_who_may_not_read_it(
    server: Server, spy: Any, connect: Connect
) -> None:
    admin = await connect(server)
    everything = texts(await admin.ask("PREDICTOR", "LEDGER", 1000))
    everything += texts(await admin.ask("PREDICTOR", "FORECAST", 1000))
    everything += texts(await admin.ask("PREDICTOR", "EXPLAIN", "open:7"))
    assert any(text.startswith(b"secret:1") for text in everything), "there is something to hide"
    told = texts(await spy.ask("PREDICTOR", "LEDGER", 1000))
    told += texts(await spy.ask("PREDICTOR", "FORECAST", 1000))
    told += texts(await spy.ask("PREDICTOR", "FORECAST"))
    for number in range(150):
        told += texts(await spy.ask("PREDICTOR", "EXPLAIN", f"open:{number}"))
    assert not [text for text in told if text.startswith(b"secret:") and text[7:8].isdigit()]
    for words in (("PREFETCH", "secret:1"), ("PREDICTOR", "EXPLAIN", "secret:1")):
        assert str(await spy.ask(*words)).startswith("NOPERM")


# -- hints --------------------------------------------------------------------


async def test_who_hints_in_vain_is_not_heard_for_long(server: Server, connect: Connect) -> None:
    client = await connect(server)
    queued = 0
    for first in range(0, 4000, 20):
        queued += await client.ask("PREFETCH", *(f"open:{first + at}" for at in range(20)))
        await settled(server, client)
    assert queued < 400, f"{queued} of 4,000 hints that nobody made use of"
    book = server.ledger.rules["hint open"]
    assert server.ledger.is_off(book) and book.held_back > 3000
    assert await client.ask("PREFETCH", "secret:1") == 1, "another source is not to blame"


async def test_hints_name_nothing_outside_the_sources_and_nothing_enormous(
    server: Server, connect: Connect
) -> None:
    client = await connect(server)
    enormous = "open:" + "9" * LONGEST
    odd = ["", "open", "open:", "OPEN:1", "xopen:1", "*", "secret\0:1"]
    assert {key: await client.ask("PREFETCH", key) for key in odd} == dict.fromkeys(odd, 0)
    assert await client.ask("PREFETCH", "nobody's", *odd, enormous) == 0
    assert not server.loader.inflight and server.ledger.issued == 0


# -- keys and names of enormous length ------------------------------------------


async def test_enormous_keys_and_names_leave_nothing_behind(serve: Serve, connect: Connect) -> None:
    server = await serve(
        prediction=True, predictor="blend", backing="memory://?prefix=t&rows=10", maxkeys=50
    )
    server.trainer._drain = lambda: None  # nothing is taken out of the log
    client = await connect(server)
    filler = "x" * 300_000
    for number in range(30):
        assert await client.ask("GET", f"t:{number}{filler}") is None
        assert await client.ask("GET", f"nobody's {number}{filler}") is None
        assert await client.ask("PREDICTOR", "SESSION", f"{number}{filler}") == b"OK"
        await client.ask("PREFETCH", f"t:{number}{filler}")
    held = [item for item in server.access.items if type(item) is bytes and len(item) > LONGEST]
    assert not held
    assert not [key for key in server.store.negative if len(key) > LONGEST]
    assert not [one for one in server.ledger.recent if len(one.key) + len(one.trigger) > LONGEST]
    assert server.prefetcher.predictor.nbytes <= server.prefetcher.predictor.budget_bytes


# -- a Plan that lies -----------------------------------------------------------


async def test_a_plan_that_is_sure_of_everything_is_stopped_by_the_floor(
    server: Server, connect: Connect
) -> None:
    """All candidates come true, it says; nothing that it sends does."""
    client = await connect(server)
    certain = pack_counters(np.full(Blend.buckets, 400.0))
    server.plans.adopt(Plan(version=1, created=1.0, hits=certain, trials=certain))
    assert server.plan is not None and server.plan.score(3, 0.0) > 0.98
    server.trainer._drain = lambda: None  # and it is not put right
    server.prefetcher.adopt(server.plan)
    rng = random.Random(1)
    ids = list(range(3000))
    for _ in range(2):  # who followed whom the first time says nothing of the second
        rng.shuffle(ids)
        for number in ids:
            await client.ask("GET", f"open:{number}")
    stats = server.stats
    demand, ahead = sum(stats.demand_rows.values()), sum(stats.prefetch_rows.values())
    assert 10 < ahead < 0.25 * demand, "believed at first, and then judged by what came of it"
    assert mapped(await client.ask("PREDICTOR", "STATUS"))[b"plan-version"] == 1
    used = server.ledger.outcomes["useful"] + server.ledger.outcomes["late"]
    assert used < 0.25 * server.ledger.issued


async def test_sessions_by_the_thousand_cost_a_number_each_at_most(
    server: Server, connect: Connect
) -> None:
    client = await connect(server)
    for number in range(3000):
        client.send("PREDICTOR", "SESSION", f"visitor {number}")
        client.send("GET", f"open:{number % 1000}")
    for _ in range(6000):
        await client.read()
    budget = server.prefetcher.predictor.budget_bytes
    assert server.prefetcher.walkers.nbytes <= budget // 512
