"""The pool: never more than its size, nobody forgotten, nothing leaked."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from antecache.server.backing.base import BackingError
from antecache.server.backing.connections import Connections


class Line:
    """A connection that knows whether it is open."""

    def __init__(self) -> None:
        self.open = True
        self.broken = False


class Lines:
    """A driver of nothing: counts what is open, and can be told to fail or to be slow."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.made = 0
        self.fail = False
        self.slow: asyncio.Event | None = None

    async def connect(self) -> Line:
        if self.slow is not None:
            await self.slow.wait()
        await asyncio.sleep(0)
        if self.fail:
            raise OSError("refused")
        self.now += 1
        self.made += 1
        self.most = max(self.most, self.now)
        return Line()

    def usable(self, line: Line) -> bool:
        return not line.broken

    async def abandon(self, line: Line) -> None:
        assert line.open, "closed twice"
        line.open = False
        await asyncio.sleep(0)
        self.now -= 1


def pool(size: int) -> tuple[Any, Lines]:
    lines = Lines()
    driver: Any = lines
    return Connections(driver, size), lines


async def test_a_quiet_pool_keeps_one_connection() -> None:
    connections, lines = pool(4)
    for _ in range(10):
        connections.give(await connections.take())
    assert lines.made == 1


async def test_those_who_wait_get_what_is_given_back_in_order() -> None:
    connections, lines = pool(1)
    line = await connections.take()
    order: list[int] = []

    async def use(number: int) -> None:
        mine = await connections.take()
        order.append(number)
        connections.give(mine)

    users = [asyncio.create_task(use(number)) for number in range(5)]
    await asyncio.sleep(0)
    connections.give(line)
    await asyncio.gather(*users)
    assert order == list(range(5))
    assert lines.made == 1


async def test_a_failed_connect_frees_its_place_for_others() -> None:
    connections, lines = pool(1)
    lines.fail = True
    failed = await asyncio.gather(*(connections.take() for _ in range(5)), return_exceptions=True)
    assert [str(error) for error in failed] == ["refused"] * 5
    lines.fail = False
    connections.give(await connections.take())
    assert connections.count == 1


async def test_a_cancelled_connect_frees_its_place() -> None:
    connections, lines = pool(1)
    lines.slow = asyncio.Event()
    first = asyncio.create_task(connections.take())
    second = asyncio.create_task(connections.take())
    await asyncio.sleep(0)
    first.cancel()
    lines.slow.set()
    assert (await second).open
    assert connections.count == 1


async def test_a_waiter_cancelled_as_it_is_served_passes_it_on() -> None:
    connections, _ = pool(1)
    line = await connections.take()
    first = asyncio.create_task(connections.take())
    second = asyncio.create_task(connections.take())
    await asyncio.sleep(0)
    connections.give(line)  # to the first, which is cancelled before it runs
    first.cancel()
    assert await second is line


async def test_dead_idle_connections_are_not_handed_out() -> None:
    connections, lines = pool(2)
    one, two = await connections.take(), await connections.take()
    connections.give(one)
    connections.give(two)
    one.broken = two.broken = True
    assert (await connections.take()) not in (one, two)
    assert lines.most <= 2


async def test_close_waits_wakes_and_takes_back() -> None:
    connections, lines = pool(1)
    line = await connections.take()
    waiting = asyncio.create_task(connections.take())
    await asyncio.sleep(0)
    await connections.close()
    with pytest.raises(BackingError, match="closed"):
        await waiting
    assert line.open
    connections.give(line)
    await connections.close()
    assert (lines.now, connections.count) == (0, 0)
    with pytest.raises(BackingError, match="closed"):
        await connections.take()


@pytest.mark.parametrize("seed", range(20))
async def test_random_use_with_faults_and_cancellation(seed: int) -> None:
    rng = random.Random(seed)
    size = rng.randint(1, 4)
    connections, lines = pool(size)
    held: set[int] = set()

    async def use() -> None:
        line = await connections.take()
        assert id(line) not in held, "two users of one connection"
        assert line.open
        held.add(id(line))
        broken = rng.random() < 0.2
        try:
            for _ in range(rng.randint(0, 3)):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            broken = True
            raise
        finally:
            held.discard(id(line))
            if broken:
                connections.drop(line)
                if rng.random() < 0.5:
                    connections.drop_idle()
            else:
                line.broken = rng.random() < 0.1
                connections.give(line)

    tasks: list[asyncio.Task[None]] = []
    for _ in range(300):
        lines.fail = rng.random() < 0.1
        tasks.append(asyncio.create_task(use()))
        if rng.random() < 0.3:
            rng.choice(tasks).cancel()
        if rng.random() < 0.5:
            await asyncio.sleep(0)
        assert lines.now <= size
    lines.fail = False
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks, return_exceptions=True)
        lent = [await connections.take() for _ in range(size)]  # every place still works
    for line in lent:
        connections.give(line)
    await connections.close()
    assert (lines.now, connections.count) == (0, 0)
    assert lines.most <= size
    failed = [task.exception() for task in tasks if not task.cancelled()]
    assert all(error is None or str(error) == "refused" for error in failed)
