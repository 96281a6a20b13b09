"""Transactions with a database behind the cache, and what WATCH takes for a change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import hiredis
import pytest

from antecache.server.backing.base import BackingError

JSON = b'{"id":3,"name":"user 3"}'


async def run(client: Any, *lines: str) -> Any:
    """MULTI, these commands, EXEC: its reply."""
    await client.ask("MULTI")
    for line in lines:
        assert await client.ask(*line.split()) == b"QUEUED"
    return await client.ask("EXEC")


# -- loading -------------------------------------------------------------------


async def test_all_that_is_read_is_loaded_first_and_at_once(shop: Any) -> None:
    client = await shop.client()
    reply = await run(
        client, "INCR n", "GET user:3", "HGET user:4 name", "EXISTS user:none", "INCR n"
    )
    assert reply == [1, JSON, b"user 4", 0, 2]
    assert shop.statements == 1


async def test_what_it_removed_itself_reads_as_absent(shop: Any) -> None:
    client = await shop.client()
    await client.ask("GET", "user:3")
    for line in ("DEL user:3", "EXPIRE user:3 -1", "UNLINK user:3"):
        await client.ask("DEL", "n")
        reply = await run(client, "INCR n", line, "GET user:3", "MGET user:3 user:3", "INCR n")
        assert reply == [1, 1, None, [None, None], 2], line
        assert await client.ask("GET", "user:3") == JSON, "afterwards it is loaded again"


async def test_set_after_delete_is_seen(shop: Any) -> None:
    client = await shop.client()
    assert await run(client, "DEL user:3", "SETNX user:3 mine", "GET user:3") == [1, 1, b"mine"]
    assert await client.ask("GET", "user:3") == b"mine"


async def test_a_failing_database_fails_the_reads_alone(shop: Any) -> None:
    client = await shop.client()
    shop.backing.fail_with = BackingError("away")
    reply = await run(client, "INCR n", "GET user:3", "SET user:4 x", "GET user:4", "INCR n")
    assert reply[0] == 1 and reply[2:] == [b"OK", b"x", 2]
    assert str(reply[1]) == "BACKING source 'user': away"
    shop.backing.fail_with = None
    assert await client.ask("GET", "user:3") == JSON


async def test_other_databases_and_swaps_within(shop: Any) -> None:
    client = await shop.client()
    await client.ask("GET", "user:3")
    reply = await run(
        client, "SELECT 1", "SET user:3 mine", "SWAPDB 0 1", "GET user:3", "SELECT 0", "GET user:3"
    )
    assert reply == [b"OK", b"OK", b"OK", JSON, b"OK", b"mine"]
    assert await client.ask("GET", "user:3") == b"mine"
    assert shop.statements == 1


async def test_a_transaction_is_not_interrupted_by_its_load(shop: Any) -> None:
    """Between EXEC and its run others may write; between its commands nobody can."""
    client, other = await shop.client(), await shop.client()
    shop.backing.hang = asyncio.Event()
    await client.ask("MULTI")
    for line in ("GET mine", "GET user:3", "SET mine 2", "GET mine"):
        await client.ask(*line.split())
    client.send("EXEC")
    await waiting(shop)
    assert await other.ask("SET", "mine", "1") == b"OK"
    shop.backing.hang.set()
    assert await client.read() == [b"1", JSON, b"OK", b"2"]


async def waiting(shop: Any) -> None:
    """Returns once the database has been asked."""
    async with asyncio.timeout(5):
        while not shop.server.loader.inflight:
            await asyncio.sleep(0)


# -- WATCH ---------------------------------------------------------------------


async def test_a_load_is_no_change(shop: Any) -> None:
    client, other = await shop.client(), await shop.client()
    await client.ask("WATCH", "user:3", "user:none")
    assert await client.ask("GET", "user:3") == JSON
    assert await other.ask("GET", "user:none") is None
    assert await run(client, "GET user:3") == [JSON]


async def test_the_load_of_exec_itself_is_no_change(shop: Any) -> None:
    client = await shop.client()
    await client.ask("WATCH", "user:3")
    assert await run(client, "GET user:3", "SET user:3 x") == [JSON, b"OK"]


async def test_a_write_while_exec_loads_is_a_change(shop: Any) -> None:
    client, other = await shop.client(), await shop.client()
    shop.backing.hang = asyncio.Event()
    await client.ask("WATCH", "mine")
    await client.ask("MULTI")
    await client.ask("GET", "user:3")
    client.send("EXEC")
    await waiting(shop)
    await other.ask("SET", "mine", "1")
    shop.backing.hang.set()
    assert await client.read() is None


@pytest.mark.parametrize("loaded", [True, False])
async def test_an_invalidation_of_an_owned_key_is_a_change(shop: Any, loaded: bool) -> None:
    client, other = await shop.client(), await shop.client()
    if loaded:
        await client.ask("GET", "user:3")
    await client.ask("WATCH", "user:3")
    await other.ask("GET", "user:3")
    await other.ask("DEL", "user:3")
    assert await run(client, "PING") is None


async def test_expiry_is_a_change_whoever_notices(shop: Any) -> None:
    client, other = await shop.client(), await shop.client()
    for notice in (None, ("GET", "k"), ("DEL", "k")):
        await client.ask("SET", "k", "v", "PX", 100)
        await client.ask("WATCH", "k")
        deadline = await client.ask("PEXPIRETIME", "k") / 1000
        while time.time() <= deadline + 0.002:
            await asyncio.sleep(0.01)
        if notice:
            await other.ask(*notice)
        assert await run(client, "PING") is None, notice


async def test_a_key_that_had_expired_already_may_go(shop: Any) -> None:
    client, other = await shop.client(), await shop.client()
    await client.ask("SET", "k", "v", "PXAT", 1)
    await client.ask("WATCH", "k")
    await other.ask("DEL", "k")
    assert await run(client, "PING") == [b"PONG"]


async def test_eviction_is_a_change(shop: Any) -> None:
    client, other = await shop.client(), await shop.client()
    await client.ask("GET", "user:1")
    await client.ask("WATCH", "user:1")
    shop.store.limit = 1
    for number in range(2, 9):
        await other.ask("GET", f"user:{number}")
    assert shop.entry(b"user:1") is None
    assert await run(client, "PING") is None


@pytest.mark.parametrize("how", ["DISCARD", "UNWATCH", "EXEC", "RESET", "close"])
async def test_nothing_is_watched_for_nobody(shop: Any, how: str) -> None:
    """The store stops reporting changes once no one wants to know."""
    client, other = await shop.client(), await shop.client()
    await client.ask("WATCH", "a", "b")
    await other.ask("WATCH", "a")
    await other.ask("UNWATCH")
    assert shop.store.observed and len(shop.server.watches) == 2
    if how in ("DISCARD", "EXEC"):
        await client.ask("MULTI")
    if how == "close":
        client.close()
        async with asyncio.timeout(5):
            while len(shop.server.clients) > 1:
                await asyncio.sleep(0)
    else:
        await client.ask(how)
    assert not shop.store.observed and not len(shop.server.watches)


async def test_two_watch_the_same_key(shop: Any) -> None:
    clients = [await shop.client() for _ in range(3)]
    for client in clients[:2]:
        await client.ask("WATCH", "k")
    await clients[0].ask("UNWATCH")
    await clients[2].ask("SET", "k", "v")
    assert await run(clients[0], "PING") == [b"PONG"]
    assert await run(clients[1], "PING") is None
    assert await run(clients[1], "PING") == [b"PONG"], "EXEC forgets what was watched"


# -- queueing ------------------------------------------------------------------


async def test_a_counter_under_optimistic_locking(shop: Any) -> None:
    """What WATCH is for: concurrent read-modify-write loses no update."""

    async def add(times: int) -> None:
        client = await shop.client()
        for _ in range(times):
            while True:
                await client.ask("WATCH", "n")
                number = int(await client.ask("GET", "n") or 0)
                await asyncio.sleep(0)
                if await run(client, f"SET n {number + 1}") is not None:
                    break

    await asyncio.gather(*(add(10) for _ in range(5)))
    client = await shop.client()
    assert await client.ask("GET", "n") == b"50"


async def test_a_connection_lost_within_a_transaction_runs_nothing(shop: Any) -> None:
    client, other = await shop.client(), await shop.client()
    await client.ask("MULTI")
    await client.ask("SET", "k", "v")
    client.close()
    async with asyncio.timeout(5):
        while len(shop.server.clients) > 1:
            await asyncio.sleep(0)
    assert await other.ask("EXISTS", "k") == 0


def texts(replies: Sequence[Any]) -> list[str]:
    return [str(reply) for reply in replies if isinstance(reply, hiredis.ReplyError)]


async def test_exec_with_arguments_discards(shop: Any) -> None:
    client = await shop.client()
    await client.ask("MULTI")
    replies = [await client.ask("EXEC", "x"), await client.ask("EXEC")]
    assert texts(replies) == [
        "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command",
        "ERR EXEC without MULTI",
    ]
