"""Read-through: one load for all who wait, nothing resurrected, nobody left hanging."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from antecache.policies import registry
from antecache.server.backing.base import BackingError, Loaded, Source, SourceOptions
from antecache.server.backing.memory import MemoryBacking
from antecache.server.loader import Loader, Ticket
from antecache.server.stats import Stats
from antecache.server.store import Evidence, Store


class World:
    """A store and a loader on a memory backing whose keys are `a:*` and `b:*`."""

    def __init__(self, sources: dict[bytes, Source], backing: MemoryBacking) -> None:
        self.backing = backing
        self.store = Store(registry.find("s3fifo")())
        self.stats = Stats()
        self.owner: Callable[[bytes], Source | None] = lambda key: sources.get(key[:1])
        self.store.owner = self.owner
        self.loader = Loader(self.store, self.owner, self.stats)

    @classmethod
    async def make(cls, **options: float) -> World:
        backing = MemoryBacking(
            "memory://?prefix=a&prefix=b&rows=100",
            (),
            SourceOptions(**{"timeout": 0.3, **options}),  # type: ignore[arg-type]
        )
        sources = await backing.open()
        return cls({source.name.encode(): source for source in sources}, backing)

    def ask(self, *keys: bytes) -> asyncio.Future[Ticket]:
        done: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        self.loader.request(keys, lambda ticket: done.set_result(ticket))
        return done

    def cached(self, key: bytes) -> bool:
        return self.store.databases[0].peek(key) is not None


class Riders:
    """An observer that sends fixed keys along and notes what it is told."""

    def __init__(self, world: World, keys: Sequence[bytes]) -> None:
        self.world, self.keys = world, keys
        self.told: list[tuple[str, bytes]] = []

    def riders(self, keys: Sequence[bytes]) -> list[tuple[bytes, Source, Evidence]]:
        found = []
        for key in self.keys:
            source = self.world.owner(key)
            assert source is not None
            origin = self.world.store.origin(source)
            found.append((key, source, Evidence(origin, keys[0], "test", 0, 0.9, 0)))
        return found

    def late(self, key: bytes, evidence: Evidence) -> None:
        self.told.append(("late", key))

    def dropped(self, key: bytes, evidence: Evidence) -> None:
        self.told.append(("dropped", key))


async def test_a_hundred_clients_share_one_load() -> None:
    world = await World.make()
    tickets = await asyncio.gather(*(world.ask(b"a:1") for _ in range(100)))
    assert not any(ticket.errors for ticket in tickets)
    assert world.backing.statements == 1 and world.backing.asked == 1
    assert world.stats.waits == 100 and world.stats.joins == 99
    assert world.cached(b"a:1") and not world.loader.inflight


async def test_keys_asked_in_one_tick_are_one_statement_a_source() -> None:
    world = await World.make()
    await asyncio.gather(world.ask(b"a:1", b"a:2", b"b:1"), world.ask(b"a:3", b"b:1"))
    assert sorted(map(sorted, world.backing.calls)) == [[b"a:1", b"a:2", b"a:3"], [b"b:1"]]
    assert dict(world.stats.statements) == {"a": 1, "b": 1}
    assert dict(world.stats.demand_rows) == {"a": 3, "b": 1}


async def test_riders_travel_in_the_statement_of_the_miss() -> None:
    world = await World.make()
    riders = world.loader.observer = Riders(world, [b"a:2", b"a:3", b"b:9", b"a:1"])
    await world.ask(b"a:1")
    while world.loader.inflight:
        await asyncio.sleep(0)
    assert sorted(map(sorted, world.backing.calls)) == [[b"a:1", b"a:2", b"a:3"], [b"b:9"]]
    assert world.stats.prefetch_rows == {"a": 2, "b": 1}
    assert len(world.store.probation) == 3
    assert riders.told == []
    world.store.check()


async def test_a_prefetch_on_its_way_that_is_asked_for_is_late_and_shared() -> None:
    world = await World.make()
    riders = world.loader.observer = Riders(world, [b"a:2"])
    world.backing.hang = asyncio.Event()
    first = world.ask(b"a:1")
    await asyncio.sleep(0)
    riders.keys = []
    second = world.ask(b"a:2")
    world.backing.hang.set()
    await asyncio.gather(first, second)
    assert riders.told == [("late", b"a:2")]
    assert world.backing.statements == 1
    assert len(world.store.probation) == 0, "it was asked for: no longer a guess"


async def test_a_key_without_a_row_is_remembered_as_absent() -> None:
    world = await World.make(negative_ttl=60)
    world.loader.observer = Riders(world, [b"a:900"])
    ticket = await world.ask(b"a:500")
    assert not ticket.errors
    assert not world.store.must_load(b"a:500") and not world.store.must_load(b"a:900")
    assert world.loader.observer.told == [("dropped", b"a:900")]


async def test_a_write_during_a_load_is_not_undone_by_it() -> None:
    world = await World.make()
    world.backing.hang = asyncio.Event()
    waiting = world.ask(b"a:1")
    await asyncio.sleep(0)
    world.store.databases[0].put(b"a:1", b"new")
    world.backing.hang.set()
    await waiting
    while world.loader.inflight:
        await asyncio.sleep(0)
    entry = world.store.databases[0].peek(b"a:1")
    assert entry is not None and entry.value == b"new"
    assert world.backing.statements == 1


async def test_an_invalidation_during_a_load_loads_again() -> None:
    world = await World.make()
    hang = world.backing.hang = asyncio.Event()
    waiting = world.ask(b"a:1")
    await asyncio.sleep(0)
    world.store.databases[0].delete(b"a:1")  # the row changed after we read it
    hang.set()
    ticket = await waiting
    assert not ticket.errors
    assert world.backing.statements == 2, "the first answer may be older than the change"
    assert world.cached(b"a:1")


async def test_a_flush_during_a_prefetch_keeps_it_out() -> None:
    world = await World.make()
    world.store.on_flush = world.loader.overtake_all
    riders = world.loader.observer = Riders(world, [])
    source = world.owner(b"a:1")
    assert source is not None
    evidence = Evidence(world.store.origin(source), b"", "hint", -1, 1.0, 0)
    world.backing.hang = asyncio.Event()
    world.loader.prefetch(b"a:1", source, evidence)
    await asyncio.sleep(0)
    world.store.databases[0].flush()
    world.backing.hang.set()
    while world.loader.inflight:
        await asyncio.sleep(0)
    assert not world.cached(b"a:1")
    assert riders.told == [("dropped", b"a:1")]


async def test_a_failing_database_is_a_clear_error_and_recovers() -> None:
    world = await World.make()
    world.backing.fail_with = BackingError("connection refused")
    ticket = await world.ask(b"a:1", b"b:1")
    assert ticket.errors == {
        b"a:1": "BACKING source 'a': connection refused",
        b"b:1": "BACKING source 'b': connection refused",
    }
    assert {name: text for name, (text, _) in world.loader.failing.items()} == {
        "a": "connection refused",
        "b": "connection refused",
    }
    assert not world.loader.inflight
    world.backing.fail_with = None
    ticket = await world.ask(b"a:1")
    assert not ticket.errors and world.cached(b"a:1")
    assert list(world.loader.failing) == ["b"]


async def test_a_key_that_the_database_refuses_fails_alone() -> None:
    world = await World.make()
    answer = world.backing.get_many

    async def refusing(source: Source, keys: Sequence[bytes]) -> Loaded:
        loaded = await answer(source, keys)
        loaded.values.pop(b"a:2")
        loaded.errors[b"a:2"] = BackingError("invalid input syntax for type date")
        return loaded

    world.backing.get_many = refusing  # type: ignore[method-assign]
    ticket = await world.ask(b"a:1", b"a:2")
    assert ticket.errors == {b"a:2": "BACKING source 'a': invalid input syntax for type date"}
    assert world.cached(b"a:1")
    assert world.store.must_load(b"a:2"), "a refusal is not the absence of a row"


async def test_a_hanging_database_answers_every_client_in_time() -> None:
    world = await World.make(timeout=0.1, concurrency=1)
    world.backing.hang = asyncio.Event()
    started = asyncio.get_running_loop().time()
    tickets = await asyncio.gather(*(world.ask(b"a:%d" % n) for n in range(20)))
    late = world.ask(b"a:50")  # queued behind a slot that is taken
    tickets.append(await late)
    assert asyncio.get_running_loop().time() - started < 1.0
    for ticket in tickets:
        (text,) = ticket.errors.values()
        assert text == "BACKING source 'a': did not answer within 0.1 s"
    world.backing.hang.set()
    world.backing.hang = None
    for _ in range(100):
        ticket = await world.ask(b"a:1")
        if not ticket.errors:
            break
    assert not ticket.errors, "it recovers by itself"


@pytest.mark.parametrize("way", ["fails", "hangs"])
async def test_a_stale_value_answers_while_the_database_is_away(way: str) -> None:
    world = await World.make(ttl=10, stale_for=60, timeout=0.1, jitter=0)
    await world.ask(b"a:1")
    world.store.now += 11_000
    db = world.store.databases[0]
    assert db.peek(b"a:1") is None and len(world.store.attic) == 1
    if way == "fails":
        world.backing.fail_with = BackingError("gone")
    else:
        world.backing.hang = asyncio.Event()
    ticket = await world.ask(b"a:1")
    assert not ticket.errors
    assert world.cached(b"a:1") and world.stats.stale_served == 1
    world.store.now += 1_001  # soon it is tried again, and the window does not slide
    assert db.peek(b"a:1") is None
    world.store.now += 60_000
    ticket = await world.ask(b"a:1")
    assert ticket.errors, "past its time a stale value is not served"
    world.store.check()


async def test_a_client_that_leaves_does_not_stop_the_load() -> None:
    world = await World.make()
    world.backing.hang = asyncio.Event()
    called: list[Ticket] = []
    ticket = world.loader.request([b"a:1"], called.append)
    await asyncio.sleep(0)
    ticket.cancel()
    world.backing.hang.set()
    while world.loader.inflight:
        await asyncio.sleep(0)
    assert called == [] and world.cached(b"a:1")


async def turns() -> None:
    """Let everything that is ready run: a flush, its task, and the query it starts."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_prefetches_leave_slots_for_demand() -> None:
    world = await World.make(concurrency=4)
    world.loader.observer = Riders(world, [])
    source = world.owner(b"a:1")
    assert source is not None
    world.backing.hang = asyncio.Event()
    for number in range(10):
        evidence = Evidence(world.store.origin(source), b"", "hint", -1, 1.0, 0)
        world.loader.prefetch(b"a:%d" % number, source, evidence)
        await turns()
    assert world.backing.statements == 2
    done = world.ask(b"a:99")
    await turns()
    assert world.backing.statements == 3
    world.backing.hang.set()
    await done
