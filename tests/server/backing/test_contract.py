"""What every backing promises, whichever database is behind it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from antecache.server.backing.base import BackingError, Row

ABSENT = b"products:999999"


def name_of(value: Any) -> str:
    assert isinstance(value, Row)
    return str(json.loads(value.json())["name"])


async def fill(world: Any) -> tuple[Any, Any]:
    """A backing with the products 1 to 20, and its source of products."""
    backing, sources = await world.open()
    source = world.source(sources, "products")
    rows = {b"products:%d" % n: {"id": n, "name": f"name {n}"} for n in range(1, 21)}
    await backing.put_many(source, rows)
    return backing, source


async def test_rows_come_back_by_key_and_absent_keys_are_missing(world: Any) -> None:
    backing, source = await fill(world)
    loaded = await backing.get_many(source, [b"products:3", ABSENT, b"products:20"])
    assert {key: name_of(row) for key, row in loaded.values.items()} == {
        b"products:3": "name 3",
        b"products:20": "name 20",
    }
    assert loaded.statements == 1


async def test_one_key_and_no_key(world: Any) -> None:
    backing, source = await fill(world)
    assert name_of((await backing.get_many(source, [b"products:7"])).values[b"products:7"])
    assert (await backing.get_many(source, [ABSENT])).values == {}


async def test_a_key_asked_for_twice_is_one_row(world: Any) -> None:
    backing, source = await fill(world)
    loaded = await backing.get_many(source, [b"products:1"] * 3)
    assert list(loaded.values) == [b"products:1"]


async def test_a_row_is_hash_and_json(world: Any) -> None:
    backing, source = await fill(world)
    row = (await backing.get_many(source, [b"products:5"])).values[b"products:5"]
    assert isinstance(row, Row)
    assert row.fields()[b"name"] == b"name 5"
    assert row.get(b"name") == b"name 5"
    assert row.get(b"no such column") is None
    assert json.loads(row.json())["id"] == 5


async def test_put_overwrites_and_delete_removes(world: Any) -> None:
    backing, source = await fill(world)
    await backing.put_many(source, {b"products:1": {"id": 1, "name": "new"}})
    await backing.delete_many(source, [b"products:2", ABSENT])
    loaded = await backing.get_many(source, [b"products:1", b"products:2", b"products:3"])
    assert {key: name_of(row) for key, row in loaded.values.items()} == {
        b"products:1": "new",
        b"products:3": "name 3",
    }


async def test_many_loads_at_once_each_get_their_own(world: Any) -> None:
    backing, source = await fill(world)
    keys = [b"products:%d" % (1 + n % 20) for n in range(100)]
    loads = await asyncio.gather(*(backing.get_many(source, [key]) for key in keys))
    assert [list(loaded.values) for loaded in loads] == [[key] for key in keys]


async def test_cancelled_loads_leave_it_usable(world: Any) -> None:
    backing, source = await fill(world)
    for steps in range(6):
        tasks = [
            asyncio.create_task(backing.get_many(source, [b"products:%d" % n]))
            for n in range(1, 21)
        ]
        for _ in range(steps):
            await asyncio.sleep(0)  # lets each get a little further before it is cancelled
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    loaded = await backing.get_many(source, [b"products:%d" % n for n in range(1, 21)])
    assert len(loaded.values) == 20


async def test_a_source_of_another_backing_is_refused_or_answers_nothing(world: Any) -> None:
    backing, _ = await fill(world)
    other, sources = await world.open()
    foreign = world.source(sources, "users")
    assert foreign.backing is other
    assert (await backing.get_many(foreign, [b"users:nobody"])).values == {}


async def test_close_twice_and_use_after_close(world: Any) -> None:
    backing, source = await fill(world)
    await backing.close()
    await backing.close()
    if world.kind != "memory":
        with pytest.raises(BackingError, match="closed"):
            await backing.get_many(source, [b"products:1"])


async def test_only_canonical_keys_are_owned(world: Any) -> None:
    _, sources = await world.open()
    assert sources.owner(b"products:42").name == "products"
    assert sources.owner(b"other:42") is None
    assert sources.owner(b"products") is None
    if world.kind != "memory":
        for key in (b"products:042", b"products:+1", b"products:1:2", b"products: 1", b"products:"):
            assert sources.owner(key) is None, key
