"""A warm restart: what was learned and hot is there again, within its limits and without harm."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import redis.asyncio

from antecache.predictor.model_file import load
from antecache.server.app import Server
from antecache.server.backing.base import Row
from antecache.server.config_reading import load as load_config

ROWS = 2000


async def started(state: Path, **changes: Any) -> Server:
    settings: dict[str, Any] = {
        "port": "0",
        "metrics_port": "0",
        "backing": f"memory://?prefix=a&prefix=b&rows={ROWS}",
        "state_file": str(state),
        "models": "off",
        "maxkeys": "400",
        **changes,
    }
    server = Server(load_config(None, {}, settings))
    await server.start()
    return server


async def use(server: Server, numbers: range) -> None:
    """Read a:n and b:n, the hot ones (n below 40) again and again."""
    async with redis.asyncio.Redis(port=server.port) as client:
        for number in numbers:
            for key in (f"a:{number}", f"b:{number}", f"a:{number % 40}", f"b:{number % 40}"):
                await client.get(key)


async def warm(server: Server) -> None:
    while server.restart.progress["state"] == "running":
        await asyncio.sleep(0.01)


def resident(server: Server) -> set[bytes]:
    return {key for data in server.store.databases[0].dicts for key in data}


async def test_hot_keys_and_what_was_learned_are_there_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = await started(state)
    await use(first, range(600))
    before = resident(first)
    plan = first.plan
    await first.stop()
    saved = load(state)
    assert saved.keys[0][1] >= saved.keys[-1][1]
    assert {key for key, _ in saved.keys} <= before

    second = await started(state)
    try:
        assert plan is None or second.plan == plan
        await warm(second)
        now = resident(second)
        assert second.restart.progress["loaded"] == len(now)
        assert len(now) > 0.8 * len(before) and now <= before
        assert {b"a:%d" % number for number in range(40)} <= now
        statements = sum(second.stats.statements.values())
        assert statements < len(now) / 20  # in batches
        waits = second.stats.waits
        await use(second, range(40))
        assert second.stats.waits == waits
        assert not second.ledger.outcomes["useful"]  # warming is no prefetching
        second.store.check()
    finally:
        await second.stop()


async def test_times_to_live_are_spread(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = await started(state, ttl="100s")
    await use(first, range(200))
    await first.stop()
    second = await started(state, ttl="100s")
    try:
        await warm(second)
        now = second.store.now
        entries = [e for data in second.store.databases[0].dicts for e in data.values()]
        left = sorted((entry.expire_at - now) / 1000 for entry in entries)  # type: ignore[union-attr]
        assert 15 < left[0] < 40 and 80 < left[-1] <= 100
    finally:
        await second.stop()


async def test_no_more_than_was_allowed_and_than_there_is_room(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = await started(state)
    await use(first, range(600))
    await first.stop()
    few = await started(state, warm_keys="50")
    await warm(few)
    assert len(resident(few)) == 50
    await few.stop()
    # the state of 50 keys was written over the one of 400; a smaller cache takes what fits
    small = await started(state, maxkeys="20")
    await warm(small)
    assert 15 <= len(resident(small)) <= 20
    await small.stop()
    none = await started(state, warm_keys="0")
    assert none.restart.progress["state"] == "off"
    assert not resident(none)
    await none.stop()


async def test_what_changed_meanwhile_is_loaded_anew_and_what_is_written_stays(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    first = await started(state)
    await use(first, range(40))
    await first.stop()
    second = await started(state, backing=f"memory://?prefix=a&prefix=b&rows={ROWS}&latency=50ms")
    try:
        backing: Any = second.backing
        backing.rows[b"a:7"] = Row(("id", "name"), (7, "another name"))
        async with redis.asyncio.Redis(port=second.port) as client:
            await client.set("a:8", "written while it was loaded")
            await client.delete("a:9")
            await warm(second)
            assert b"another name" in (await client.get("a:7") or b"")
            assert await client.get("a:8") == b"written while it was loaded"
    finally:
        await second.stop()


async def test_a_flush_ends_the_warming(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = await started(state)
    await use(first, range(300))
    await first.stop()
    second = await started(state, backing=f"memory://?prefix=a&prefix=b&rows={ROWS}&latency=50ms")
    try:
        async with redis.asyncio.Redis(port=second.port) as client:
            await client.flushall()
            await warm(second)
            assert await client.dbsize() == 0
    finally:
        await second.stop()


async def test_a_database_that_is_away_does_not_keep_the_server_from_serving(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    first = await started(state)
    await use(first, range(600))
    await first.stop()
    second = await started(state)
    try:
        second.backing.fail_with = OSError("away")  # type: ignore[union-attr]
        await warm(second)
        assert second.restart.progress["state"] in ("broken off", "done")
        assert not resident(second)
        async with redis.asyncio.Redis(port=second.port) as client:
            assert await client.ping()
    finally:
        await second.stop()


async def test_a_damaged_state_is_passed_over(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for damage in (b"", b"not at all", None):
        first = await started(state)
        await use(first, range(40))
        await first.stop()
        data = state.read_bytes()
        state.write_bytes(data[:-5] if damage is None else damage)
    last = await started(state)
    assert not resident(last) and last.restart.progress["state"] == "off"
    await last.stop()
    assert load(state)  # and a good one was written


async def test_the_state_is_written_every_so_often(tmp_path: Path) -> None:
    state = tmp_path / "state"
    server = await started(state, state_interval="50ms")
    try:
        await use(server, range(50))
        while not state.exists() or not load(state).keys:
            await asyncio.sleep(0.02)
        assert {key for key, _ in load(state).keys} <= resident(server)
    finally:
        await server.stop()
