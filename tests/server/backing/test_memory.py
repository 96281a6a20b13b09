"""The backing in a dictionary: what its URL says, and the faults that tests ask of it."""

from __future__ import annotations

import asyncio

import pytest

from antecache.server.backing.base import BackingError, BackingTimeout, Row
from antecache.server.backing.memory import MemoryBacking
from antecache.server.backing.registry import open_backing
from antecache.server.backing.sources import Sources, read_spec
from antecache.server.errors import ConfigError


async def test_the_url_says_what_exists() -> None:
    backing = MemoryBacking("memory://?prefix=user&prefix=page&rows=10&latency=2ms")
    sources = Sources(await backing.open())
    user = sources.owner(b"user:3")
    assert user is not None and user.name == "user"
    loaded = await backing.get_many(user, [b"user:3", b"user:10", b"user:a:b"])
    assert set(loaded.values) == {b"user:3"}
    row = loaded.values[b"user:3"]
    assert isinstance(row, Row) and row.json() == b'{"id":3,"name":"user 3"}'
    assert sources.owner(b"other:3") is None
    assert backing.latency == 0.002
    assert (backing.statements, backing.asked, backing.calls[-1][1]) == (1, 3, b"user:10")


async def test_a_source_table_owns_more_keys() -> None:
    spec = read_spec({"match": "cart:{id:int}", "ttl": 5})
    backing = MemoryBacking("memory://?prefix=cart", [spec])
    sources = Sources(await backing.open())
    assert [source.name for source in sources] == ["cart:{id}", "cart"]
    owner = sources.owner(b"cart:1")
    assert owner is not None and owner.options.ttl == 5
    with pytest.raises(ConfigError, match="no queries"):
        await MemoryBacking("memory://", [read_spec({"match": "a", "query": "select 1"})]).open()


@pytest.mark.parametrize("query", ["prefx=a", "rows=many&prefix=a", "latency=soon"])
async def test_a_url_that_cannot_be_read(query: str) -> None:
    with pytest.raises(ConfigError, match="memory://"):
        await open_backing(f"memory://?{query}").open()


async def test_faults() -> None:
    backing = MemoryBacking("memory://?prefix=a&rows=3")
    (source,) = await backing.open()
    backing.fail_with = BackingTimeout("late")
    with pytest.raises(BackingTimeout, match="late"):
        await backing.get_many(source, [b"a:1"])
    backing.fail_with = OSError("gone")
    with pytest.raises(BackingError, match="gone"):
        await backing.put_many(source, {b"a:1": {"x": 1}})
    backing.fail_with = None
    backing.hang = asyncio.Event()
    load = asyncio.create_task(backing.get_many(source, [b"a:1"]))
    await asyncio.sleep(0)
    assert not load.done()
    backing.hang.set()
    assert set((await load).values) == {b"a:1"}
