"""A bot beside people: answered like anybody, and nothing is learned from it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis.asyncio

from antecache.server.accesslog import session_number
from antecache.server.app import Server
from antecache.server.askers import address_number, host_of
from antecache.server.backing.memory import MemoryBacking

ROWS, HELD = 20_000, 400
PEOPLE = 4
Serve = Callable[..., Awaitable[Server]]


class Crowd:
    """A server, some people who read popular pairs of keys, and a connection for a bot."""

    def __init__(self, server: Server, people: list[Any], bot: Any) -> None:
        self.server, self.people, self.bot = server, people, bot
        self._rng = random.Random(1)

    async def people_read(self, count: int) -> None:
        for at in range(count):
            number = int(ROWS / 10 * self._rng.random() ** 2)
            person = self.people[at % PEOPLE]
            assert await person.get(f"a:{number}") is not None
            assert await person.get(f"b:{number}") is not None

    async def bot_walks(self, first: int, count: int) -> None:
        for at in range(first, first + count):
            assert await self.bot.get(f"a:{at}") is not None
            if at % 8 == 0:
                await self.people_read(1)

    async def told(self) -> dict[bytes, Any]:
        answer: dict[bytes, Any] = await self.bot.execute_command("PREDICTOR", "STATUS")
        return answer


@pytest.fixture
async def crowd(serve: Serve) -> AsyncIterator[Crowd]:
    server = await serve(
        backing=f"memory://?prefix=a&prefix=b&rows={ROWS}",
        maxkeys=HELD,
        prediction=True,
        predictor="blend",
    )
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(redis.asyncio.Redis(port=server.port, protocol=3))
            for _ in range(PEOPLE + 1)
        ]
        made = Crowd(server, clients[1:], clients[0])
        await made.people_read(300)
        yield made


async def trained(server: Server) -> dict[str, Any]:
    """The trainer's figures once it has read all of the log."""
    while server.trainer.state != "running":
        await server.trainer.changed()
    version = server.trainer.status()["fits"] or 0
    server.trainer.retrain()
    while (server.trainer.status()["fits"] or 0) <= version:
        await asyncio.sleep(0.01)
    return server.trainer.status()


async def test_a_bot_is_answered_and_set_aside_and_its_accesses_are_not_learned(
    crowd: Crowd,
) -> None:
    server, bot = crowd.server, crowd.bot
    await crowd.bot_walks(5000, 700)
    number = await bot.client_id()
    status = await crowd.told()
    ((name, sentence),) = status[b"readers-set-aside"].items()
    assert name == b"client %d" % number
    assert sentence.startswith(b"walks ids in order, lately a:*")
    assert (await bot.info("prediction"))["readers_set_aside"] == 1
    before = await trained(server)
    log = server.prefetcher.predictor.misslog  # type: ignore[attr-defined]
    remembered = log.events
    for at in range(9000, 9200):
        assert await bot.get(f"a:{at}") is not None
    after = await trained(server)
    assert after["accesses"] == before["accesses"], "a walk is no access of anybody"
    assert after["accesses_aside"] - before["accesses_aside"] == 200
    assert after["trials"] == before["trials"]
    assert log.events == remembered > 0


async def test_what_a_bot_walks_is_read_ahead_of_it_and_hardly_any_row_in_vain(
    crowd: Crowd,
) -> None:
    server = crowd.server
    await crowd.bot_walks(5000, 400)
    assert server.access.aside
    stats, backing = server.stats, server.backing
    assert isinstance(backing, MemoryBacking)
    waits, rows = stats.waits, sum(stats.prefetch_rows.values()) + sum(stats.demand_rows.values())
    for at in range(7000, 7900):
        assert await crowd.bot.get(f"a:{at}") is not None
    assert stats.waits - waits < 0.4 * 900
    rows = sum(stats.prefetch_rows.values()) + sum(stats.demand_rows.values()) - rows
    assert rows <= 1.1 * 900
    book = server.ledger.rules["walk a"]
    assert book.precision > 0.9


async def test_a_name_is_set_aside_on_whatever_connection_it_comes(crowd: Crowd) -> None:
    server, bot, other = crowd.server, crowd.bot, crowd.people[0]
    await bot.client_setname("crawler")
    await crowd.bot_walks(5000, 500)
    (number,) = server.access.aside
    (name,) = (await crowd.told())[b"readers-set-aside"]
    assert name.startswith(b"name ")
    await other.client_setname("crawler")
    assert [s.log_id for s in server.clients.values() if s.name == b"crawler"] == [~number] * 2
    await other.client_setname("ann")
    assert sum(session.log_id == ~number for session in server.clients.values()) == 1
    await bot.execute_command("PREDICTOR", "SESSION", "somebody else")
    assert all(session.log_id >= 0 for session in server.clients.values())


async def test_a_bot_that_behaves_is_learned_from_again(crowd: Crowd) -> None:
    server = crowd.server
    await crowd.bot_walks(5000, 500)
    assert server.access.aside
    rng = random.Random(7)
    for _ in range(4000):
        await crowd.bot.get(f"b:{int(2000 * rng.random() ** 2)}")
        if not server.access.aside:
            break
    assert not server.access.aside
    assert (await crowd.told())[b"readers-set-aside"] == {}
    assert all(session.log_id >= 0 for session in server.clients.values())
    before = await trained(server)
    await crowd.bot.get("a:1")
    assert (await trained(server))["accesses"] == before["accesses"] + 1


async def once(port: int, host: str, *keys: str) -> None:
    """A connection from another address of this machine that reads some keys and goes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
    for key in keys:
        writer.write(b"GET %s\r\n" % key.encode())
        assert (await reader.readline()).startswith(b"$")
        await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_bot_with_a_connection_for_each_read_is_known_by_its_address(crowd: Crowd) -> None:
    server, bot = crowd.server, "127.0.0.7"
    for at in range(600):
        await once(server.port, bot, f"a:{5000 + at}")
        if at % 16 == 0:
            await crowd.people_read(PEOPLE)
        if server.access.aside:
            break
    status = await crowd.told()
    ((name, sentence),) = status[b"readers-set-aside"].items()
    assert name == b"address 127.0.0.7"
    assert sentence.startswith(b"walks ids in order, lately a:*")
    assert all(session.log_id >= 0 for session in server.clients.values()), "people are not"
    before = await trained(server)
    log = server.prefetcher.predictor.misslog  # type: ignore[attr-defined]
    remembered = log.events
    for at in range(9000, 9100):
        await once(server.port, bot, f"a:{at}")
    after = await trained(server)
    assert after["accesses"] == before["accesses"]
    assert after["accesses_aside"] - before["accesses_aside"] == 100
    assert log.events == remembered > 0


async def test_who_goes_by_a_name_is_not_taken_for_its_address(crowd: Crowd) -> None:
    """And an address that behaves is learned from again, with all its connections."""
    server, bot = crowd.server, "127.0.0.7"
    number = address_number(f"{bot}:1")
    assert number != address_number("127.0.0.1:1")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=(bot, 0))
    writer.write(b"CLIENT ID\r\n")
    mine = server.clients[int((await reader.readline())[1:])]
    server.access.aside.add(number)
    server.askers.set_aside(number)
    assert mine.log_id == ~number
    writer.write(b"CLIENT SETNAME ann\r\n")
    await reader.readline()
    assert mine.log_id == session_number(b"ann")
    writer.write(b'CLIENT SETNAME ""\r\n')
    await reader.readline()
    assert mine.log_id == ~number
    writer.write(b"PREDICTOR SESSION bob\r\n")
    await reader.readline()
    assert mine.log_id == session_number(b"bob", declared=True)
    writer.write(b'PREDICTOR SESSION ""\r\n')
    await reader.readline()
    assert mine.log_id == ~number
    server.access.aside.discard(number)
    server.askers.set_aside(number)
    assert mine.log_id == mine.id
    assert (await crowd.told())[b"readers-set-aside"] == {}
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("10.1.2.3:5000", "10.1.2.3"),
        ("[::1]:5000", "::"),
        ("[2001:db8:1:2:3:4:5:6]:5000", "2001:db8:1:2::"),
        ("[2001:db8:1:2:ffff::9]:1", "2001:db8:1:2::"),
        ("[fe80::1%eth0]:5000", "fe80::"),
        ("[::ffff:10.1.2.3]:5000", "10.1.2.3"),
        ("/run/antecache.sock:0", ""),
        ("", ""),
    ],
)
def test_the_address_is_the_host_or_the_network_of_an_ipv6_customer(
    address: str, host: str
) -> None:
    assert host_of(address) == host
    assert (address_number(address) > 0) == bool(host)
