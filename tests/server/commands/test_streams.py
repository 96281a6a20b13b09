"""Streams with the stock client: readers that wait, groups, and what Redis 7.0 does not show."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio as redis
from redis.exceptions import ResponseError


@pytest.fixture(params=[2, 3])
async def client(serve: Any, request: Any) -> Any:
    server = await serve()
    client = redis.Redis(port=server.port, protocol=request.param)
    yield client
    server.store.check()
    for database in server.store.databases:
        for key in list(database.keys()):
            if (entry := database.peek(key)).kind == "stream":
                entry.value.check()
    await client.aclose()


def entries_of(found: Any) -> Any:
    """The entries of the first stream in a reply of XREAD, which differs by protocol."""
    if not found:
        return None
    return next(iter(found.values()))[0] if isinstance(found, dict) else found[0][1]


async def read(client: Any, line: str) -> Any:
    """The entries that answer XREAD or XREADGROUP."""
    return entries_of(await client.execute_command(*line.split()))


async def test_a_queue_with_two_workers(client: Any) -> None:
    """What a group is for: each job is done once, and the job of a dead worker by another."""
    await client.xgroup_create("jobs", "workers", "0", mkstream=True)
    for number in range(4):
        await client.xadd("jobs", {"job": number})

    async def take(worker: str, count: int) -> list[bytes]:
        found = await client.xreadgroup("workers", worker, {"jobs": ">"}, count=count)
        return [entry_id for entry_id, _ in entries_of(found)]

    mine, others = await take("a", 3), await take("b", 3)
    assert (len(mine), len(others)) == (3, 1)
    assert not await client.xreadgroup("workers", "a", {"jobs": ">"})
    assert await client.xack("jobs", "workers", *mine[:2], others[0]) == 3
    pending = await client.xpending("jobs", "workers")
    assert pending["pending"] == 1 and pending["min"] == mine[2]
    (listed,) = await client.xpending_range("jobs", "workers", "-", "+", 10)
    assert (listed["consumer"], listed["times_delivered"]) == (b"a", 1)
    following, claimed, deleted = await client.xautoclaim("jobs", "workers", "b", 0)
    assert [entry_id for entry_id, _ in claimed] == [mine[2]] and not deleted
    assert following == b"0-0"
    assert await client.xack("jobs", "workers", mine[2]) == 1
    assert (await client.xpending("jobs", "workers"))["pending"] == 0


async def waiting(client: Any, count: int = 1) -> None:
    """Until that many clients wait for a key."""
    while (await client.info("clients"))["blocked_clients"] < count:
        await asyncio.sleep(0)


async def test_a_reader_waits_for_what_comes(client: Any) -> None:
    await client.xadd("s", {"old": 1}, id="1-1")
    reading = asyncio.create_task(read(client, "XREAD BLOCK 0 STREAMS s none $ $"))
    await waiting(client)
    await client.xadd("s", {"new": 2}, id="5-1")
    assert await reading == [(b"5-1", {b"new": b"2"})]


async def test_one_consumer_of_a_group_is_served_and_the_others_wait_on(client: Any) -> None:
    await client.xgroup_create("s", "g", "$", mkstream=True)
    command = "XREADGROUP GROUP g {} BLOCK 0 STREAMS s >"
    first = asyncio.create_task(read(client, command.format("a")))
    await waiting(client)
    second = asyncio.create_task(read(client, command.format("b")))
    await waiting(client, 2)
    await client.xadd("s", {"f": 1}, id="1-0")
    assert await first == [(b"1-0", {b"f": b"1"})]
    await waiting(client)
    assert not second.done()
    await client.xadd("s", {"f": 2}, id="2-0")
    assert await second == [(b"2-0", {b"f": b"2"})]


@pytest.mark.parametrize("end", ["XGROUP DESTROY s g", "DEL s", "RENAME other s"])
async def test_who_waits_in_a_group_is_told_of_its_end(client: Any, end: str) -> None:
    await client.xgroup_create("s", "g", "$", mkstream=True)
    await client.xadd("other", {"f": 1})
    reading = asyncio.create_task(read(client, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >"))
    await waiting(client)
    await client.execute_command(*end.split())
    with pytest.raises(ResponseError, match="NOGROUP No such key 's' or consumer group 'g' in XR"):
        await reading


async def test_a_timeout_is_a_null(client: Any) -> None:
    assert not await read(client, "XREAD BLOCK 1 STREAMS s $")
    await client.xgroup_create("s", "g", "$", mkstream=True)
    assert not await read(client, "XREADGROUP GROUP g c BLOCK 1 STREAMS s >")
    # In a transaction nothing waits.
    pipe = client.pipeline(transaction=True)
    pipe.execute_command(*"XREAD BLOCK 0 STREAMS s $".split())
    assert not (await pipe.execute())[0]


async def test_plus_is_the_last_entry_there_is(client: Any) -> None:
    """Since Redis 7.4."""
    assert not await read(client, "XREAD STREAMS s +")
    for number in (1, 2, 3):
        await client.xadd("s", {"f": number}, id=f"{number}-0")
    await client.xdel("s", "3-0")
    assert await read(client, "XREAD STREAMS s +") == [(b"2-0", {b"f": b"2"})]
    await client.xgroup_create("s", "g", "0")
    with pytest.raises(ResponseError, match="The \\+ ID is meaningless"):
        await client.execute_command(*"XREADGROUP GROUP g c STREAMS s +".split())


async def test_information(client: Any) -> None:
    for number in range(1, 13):
        await client.xadd("s", {"f": number}, id=f"{number}-0")
    await client.xgroup_create("s", "g", "0")
    await client.xgroup_createconsumer("s", "g", "idle")
    await client.xreadgroup("g", "c", {"s": ">"}, count=5)
    await client.xdel("s", "2-0")
    stream = await client.xinfo_stream("s")
    assert (stream["length"], stream["entries-added"], stream["groups"]) == (11, 12, 1)
    assert stream["max-deleted-entry-id"] == b"2-0"
    assert stream["first-entry"][0] == b"1-0" and stream["last-entry"][0] == b"12-0"
    full = await client.xinfo_stream("s", full=True)
    (group,) = full["groups"]
    group = {str(key, "ascii") if isinstance(key, bytes) else key: group[key] for key in group}
    assert (group["pel-count"], group["entries-read"], group["lag"]) == (5, 5, 7)
    assert len(full["entries"]) == 10
    (info,) = await client.xinfo_groups("s")
    assert (info["entries-read"], info["lag"], info["consumers"]) == (5, 7, 2)
    reader, idler = await client.xinfo_consumers("s", "g")
    assert (reader["name"], reader["pending"], idler["pending"]) == (b"c", 5, 0)
    assert reader["inactive"] >= 0 and idler["inactive"] == -1
    help_ = await client.execute_command("XINFO", "HELP")
    assert help_[-1] == b"    Prints this help."


async def test_lag_after_a_deletion_ahead_is_unknown_until_it_is_passed(client: Any) -> None:
    """Redis 7.4's reckoning; 7.0 answers otherwise where entries were deleted."""
    for number in range(1, 7):
        await client.xadd("s", {"f": number}, id=f"{number}-0")
    await client.xgroup_create("s", "g", "0")
    await client.xreadgroup("g", "c", {"s": ">"}, count=1)
    await client.xdel("s", "3-0")
    (info,) = await client.xinfo_groups("s")
    assert (info["entries-read"], info["lag"]) == (1, None)
    await client.xreadgroup("g", "c", {"s": ">"})
    (info,) = await client.xinfo_groups("s")
    assert (info["entries-read"], info["lag"]) == (6, 0)


async def test_xsetid_goes_not_below_what_was_deleted(client: Any) -> None:
    await client.xadd("s", {"f": 1}, id="5-0")
    await client.xdel("s", "5-0")
    with pytest.raises(ResponseError, match="smaller than current max_deleted_entry_id"):
        await client.execute_command("XSETID", "s", "4-0")
    assert await client.execute_command("XSETID", "s", "9-0", "ENTRIESADDED", 7) in (b"OK", "OK")
    assert (await client.xinfo_stream("s"))["entries-added"] == 7
    with pytest.raises(ResponseError, match="equal or smaller than the target stream top item"):
        await client.xadd("s", {"f": 1}, id="9-0")


async def test_a_millisecond_may_be_full(client: Any) -> None:
    """Redis 7.0 says that the elements are too large."""
    await client.xadd("s", {"f": 1}, id="4-18446744073709551615")
    with pytest.raises(ResponseError, match="equal or smaller than the target stream top item"):
        await client.xadd("s", {"f": 1}, id="4-*")


async def test_a_copy_is_a_stream_of_its_own(client: Any) -> None:
    await client.xadd("s", {"f": 1}, id="1-0")
    await client.xgroup_create("s", "g", "0")
    await client.xreadgroup("g", "c", {"s": ">"})
    await client.copy("s", "t")
    await client.xack("s", "g", "1-0")
    await client.xdel("s", "1-0")
    assert await client.xlen("t") == 1
    assert (await client.xpending("t", "g"))["pending"] == 1
    assert await client.type("t") == b"stream"
    assert await client.object("encoding", "t") == b"stream"
    assert await client.memory_usage("t") > 1000


async def test_getkeys_knows_the_streams(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    ask = "COMMAND GETKEYS XREADGROUP GROUP STREAMS c COUNT 1 STREAMS a b > >"
    assert await client.ask(*ask.split()) == [b"a", b"b"]


async def test_a_row_is_no_stream(shop: Any) -> None:
    client = await shop.client()
    for argv in (
        ("XADD", "user:1", "*", "f", "v"),
        ("XLEN", "user:2"),
        ("XREAD", "STREAMS", "user:3", "0"),
        ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "user:4", ">"),
        ("XINFO", "STREAM", "user:5"),
        ("XGROUP", "CREATE", "user:6", "g", "0", "MKSTREAM"),
    ):
        assert "WRONGTYPE" in str(await client.ask(*argv))
