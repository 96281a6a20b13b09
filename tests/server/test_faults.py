"""A server in front of a real PostgreSQL that hangs, goes away and comes back.

Reads of cached keys go on, others get a clear error within the timeout, and all
recovers by itself: through a stock client, as an application would see it.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import redis.asyncio
import redis.exceptions

from antecache.server.app import Server
from antecache.server.config_reading import load

TIMEOUT = 0.5


@pytest.fixture
async def world(postgres_server: Any) -> AsyncIterator[tuple[Server, redis.asyncio.Redis]]:
    """A server on a table of a hundred rows, and a client of it."""
    plain = postgres_server.url.replace("postgresql+asyncpg://", "postgresql://")
    database = await asyncpg.connect(plain)
    await database.execute("DROP TABLE IF EXISTS parcels")
    await database.execute("CREATE TABLE parcels (id integer PRIMARY KEY, name text)")
    await database.execute(
        "INSERT INTO parcels SELECT n, 'parcel ' || n FROM generate_series(1, 100) n"
    )
    await database.close()
    settings = {
        "port": "0",
        "metrics_port": "0",
        "backing": postgres_server.url,
        "load_timeout": str(TIMEOUT),
    }
    server = Server(load(None, {}, settings))
    await server.start()
    async with redis.asyncio.Redis(port=server.port, decode_responses=True) as client:
        yield server, client
    await server.stop()


async def fails(client: redis.asyncio.Redis, key: str) -> str:
    """The error a read of an absent key gets; it must come within the timeout, about."""
    started = time.monotonic()
    with pytest.raises(redis.exceptions.ResponseError) as caught:
        await client.get(key)
    assert time.monotonic() - started < TIMEOUT + 2
    return str(caught.value)


async def recovers(client: redis.asyncio.Redis, key: str) -> None:
    """Reads of `key` succeed again before long, without anybody doing anything."""
    for _ in range(100):
        try:
            assert "parcel" in str(await client.get(key))
        except redis.exceptions.ResponseError:
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError("the server did not recover")


async def test_a_database_that_hangs(
    world: tuple[Server, redis.asyncio.Redis], postgres_server: Any
) -> None:
    server, client = world
    before = await client.get("parcels:1")
    postgres_server.freeze()
    try:
        text = await fails(client, "parcels:2")
        assert text == f"BACKING source 'parcels': did not answer within {TIMEOUT:g} s"
        assert await client.get("parcels:1") == before
        texts = await asyncio.gather(*(fails(client, f"parcels:{n}") for n in range(10, 40)))
        assert set(texts) == {text}
        assert await client.hget("parcels:1", "name") == "parcel 1"
    finally:
        postgres_server.thaw()
    await recovers(client, "parcels:2")
    assert not server.loader.inflight


async def test_a_database_that_is_gone(
    world: tuple[Server, redis.asyncio.Redis], postgres_server: Any
) -> None:
    _, client = world
    before = await client.get("parcels:1")
    await asyncio.to_thread(postgres_server.stop, signal.SIGQUIT)
    try:
        text = await fails(client, "parcels:2")
        assert text.startswith("BACKING source 'parcels': ") and "\n" not in text
        assert await client.get("parcels:1") == before
        assert await client.set("mine", "1") and await client.incr("mine") == 2
    finally:
        postgres_server.start()
    await recovers(client, "parcels:2")
