"""Clients that wait for a key: who is served when, how waiting ends, what it does to the rest."""

from __future__ import annotations

import asyncio
from typing import Any

import hiredis
import pytest
import redis.asyncio


class Room:
    """A server, a client that acts, and clients that wait."""

    def __init__(self, server: Any, connect: Any) -> None:
        self.server, self._connect = server, connect
        self.act: Any = None

    async def client(self) -> Any:
        return await self._connect(self.server)

    async def waits(self, *words: Any, then: tuple[tuple[Any, ...], ...] = ()) -> Any:
        """A client that has sent a command (and more behind it), and is blocked by it."""
        before = await self.blocked()
        one = await self.client()
        one.send(*words)
        for more in then:
            one.send(*more)
        while await self.blocked() == before:
            pass
        return one

    async def info(self, name: str) -> int:
        """A figure of INFO clients."""
        text = (await self.act.ask("INFO", "clients")).decode()
        return int(text.partition(f"\r\n{name}:")[2].partition("\r\n")[0])

    async def blocked(self) -> int:
        return await self.info("blocked_clients")

    async def settled(self) -> None:
        """Nobody waits, and nothing is left of those who did."""
        assert await self.blocked() == await self.info("total_blocking_keys") == 0
        assert not self.server.store.observed


@pytest.fixture
async def room(serve: Any, connect: Any) -> Any:
    room = Room(await serve(), connect)
    room.act = await room.client()
    yield room
    room.server.store.check()


async def test_a_push_serves_who_waits(room: Any) -> None:
    one = await room.waits("BLPOP", "q", 0)
    assert await room.act.ask("RPUSH", "q", "a", "b") == 2
    assert await one.read() == [b"q", b"a"]
    assert await room.act.ask("LRANGE", "q", 0, -1) == [b"b"]
    await room.settled()


async def test_first_come_first_served(room: Any) -> None:
    waiting = [await room.waits("BLPOP", "other", "q", 0) for _ in range(4)]
    assert await room.act.ask("RPUSH", "q", "a", "b", "c") == 3
    assert [await one.read() for one in waiting[:3]] == [[b"q", b"a"], [b"q", b"b"], [b"q", b"c"]]
    assert await room.blocked() == 1
    assert await room.act.ask("RPUSH", "other", "d") == 1
    assert await waiting[3].read() == [b"other", b"d"]
    await room.settled()


async def test_served_before_the_next_command_of_a_pipeline(room: Any) -> None:
    one = await room.waits("BLPOP", "q", 0)
    room.act.send("RPUSH", "q", "a")
    room.act.send("LLEN", "q")
    room.act.send("RPUSH", "q", "b")
    room.act.send("LLEN", "q")
    assert [await room.act.read() for _ in range(4)] == [1, 0, 1, 1]
    assert await one.read() == [b"q", b"a"]


async def test_served_after_the_transaction(room: Any) -> None:
    one = await room.waits("BLPOP", "q", 0)
    for words in (("MULTI",), ("RPUSH", "q", "a"), ("LLEN", "q"), ("RPUSH", "q", "b"), ("EXEC",)):
        room.act.send(*words)
    room.act.send("LRANGE", "q", 0, -1)
    replies = [await room.act.read() for _ in range(6)]
    assert replies[4:] == [[1, 1, 2], [b"b"]]
    assert await one.read() == [b"q", b"a"]


async def test_a_key_gone_again_within_the_transaction_serves_nobody(room: Any) -> None:
    one = await room.waits("BLPOP", "q", 0)
    for words in (("MULTI",), ("RPUSH", "q", "a"), ("DEL", "q"), ("EXEC",)):
        await room.act.ask(*words)
    assert await room.blocked() == 1
    await room.act.ask("RPUSH", "q", "b")
    assert await one.read() == [b"q", b"b"]


async def test_blocked_commands_do_not_block_in_a_transaction(room: Any) -> None:
    act = room.act
    await act.ask("MULTI")
    for words in (("BLPOP", "q", 0), ("BLMOVE", "q", "r", "LEFT", "LEFT", 0), ("PING",)):
        await act.ask(*words)
    assert await act.bytes_of("EXEC") == b"*3\r\n*-1\r\n$-1\r\n+PONG\r\n"
    await room.settled()


@pytest.mark.parametrize(
    "words",
    [
        ("RENAME", "there", "q"),
        ("COPY", "there", "q"),
        ("LMOVE", "there", "q", "LEFT", "LEFT"),
        ("LPUSH", "q", "a"),
        ("SORT", "there", "ALPHA", "STORE", "q"),
        ("SWAPDB", "0", "1"),
        ("RESTORE", "q", "0", "<payload>", "REPLACE"),
        ("EVAL", "redis.call('RPUSH', KEYS[1], 'a')", "1", "q"),
    ],
)
async def test_whatever_makes_the_key_serves(room: Any, words: tuple[str, ...]) -> None:
    act = room.act
    await act.ask("RPUSH", "there", "a")
    payload = await act.ask("DUMP", "there")
    await act.ask("COPY", "there", "q", "DB", 1)
    one = await room.waits("BLPOP", "q", 0)
    await act.ask(*(payload if word == "<payload>" else word for word in words))
    assert await one.read() == [b"q", b"a"]
    await room.settled()


async def test_what_was_sent_behind_it_runs_afterwards_and_in_order(room: Any) -> None:
    one = await room.waits("BLPOP", "q", 0, then=(("RPUSH", "seen", 1), ("RPUSH", "seen", 2)))
    assert await room.act.ask("EXISTS", "seen") == 0
    await room.act.ask("RPUSH", "q", "a")
    assert [await one.read() for _ in range(3)] == [[b"q", b"a"], 1, 2]
    assert await room.act.ask("LRANGE", "seen", 0, -1) == [b"1", b"2"]


async def test_one_pushes_what_another_waits_for(room: Any) -> None:
    last = await room.waits("BLPOP", "c", 0)
    middle = await room.waits("BLMOVE", "b", "c", "LEFT", "RIGHT", 0)
    first = await room.waits("BLMOVE", "a", "b", "LEFT", "RIGHT", 0)
    room.act.send("RPUSH", "a", "x")
    room.act.send("EXISTS", "a", "b", "c")
    assert [await room.act.read(), await room.act.read()] == [1, 0]
    assert [await first.read(), await middle.read()] == [b"x", b"x"]
    assert await last.read() == [b"c", b"x"]
    await room.settled()


async def test_the_timeout(room: Any) -> None:
    one, two = await room.client(), await room.client()
    assert await one.bytes_of("BLPOP", "q", "0.01") == b"*-1\r\n"
    assert await one.bytes_of("BLMOVE", "q", "r", "LEFT", "LEFT", "0.01") == b"*-1\r\n"
    await two.ask("HELLO", 3)
    assert await two.bytes_of("BLPOP", "q", "0.01") == b"_\r\n"
    await room.settled()


async def test_another_type_does_not_end_the_wait(room: Any) -> None:
    one = await room.waits("BLPOP", "q", 0)
    await room.act.ask("SET", "q", "text")
    await room.act.ask("DEL", "q")
    await room.act.ask("HSET", "q", "f", "v")
    assert await room.blocked() == 1
    await room.act.ask("DEL", "q")
    await room.act.ask("RPUSH", "q", "a")
    assert await one.read() == [b"q", b"a"]


async def test_client_unblock(room: Any) -> None:
    one = await room.client()
    number = await one.ask("CLIENT", "ID")
    assert await room.act.ask("CLIENT", "UNBLOCK", number) == 0
    for reason, reply in (("TIMEOUT", None), ("ERROR", "error"), (None, None)):
        one.send("BLPOP", "q", 0)
        while not await room.blocked():
            pass
        assert await room.act.ask("CLIENT", "UNBLOCK", number, *([reason] if reason else [])) == 1
        got = await one.read()
        if reply:
            assert isinstance(got, hiredis.ReplyError)
            assert str(got) == "UNBLOCKED client unblocked via CLIENT UNBLOCK"
        else:
            assert got is None
        assert await one.ask("PING") == b"PONG"
    await room.settled()


async def test_the_end_of_a_connection_ends_its_wait(room: Any) -> None:
    one, two = await room.waits("BLPOP", "q", 0), await room.waits("BLPOP", "q", 0)
    one.close()
    while await room.blocked() == 2:
        pass
    await room.act.ask("RPUSH", "q", "a")
    assert await two.read() == [b"q", b"a"]
    await room.settled()


async def test_client_kill_takes_no_item_along(room: Any) -> None:
    await room.waits("BLPOP", "q", 0)
    lines = (await room.act.ask("CLIENT", "LIST")).decode().splitlines()
    (line,) = [line for line in lines if "flags=b" in line]
    assert "cmd=blpop" in line
    number = line.split()[0].partition("=")[2]
    room.act.send("CLIENT", "KILL", "ID", number)
    room.act.send("RPUSH", "q", "a")
    room.act.send("LLEN", "q")
    assert [await room.act.read() for _ in range(3)] == [1, 1, 1]
    while await room.blocked():
        pass
    await room.settled()


async def test_a_value_of_another_type_that_is_replaced_by_a_list(room: Any) -> None:
    one = await room.waits("BLPOP", "q", 0)
    await room.act.ask("ZADD", "q", 1, "a")
    await room.act.ask("SORT", "q", "ALPHA", "STORE", "q")
    assert await one.read() == [b"q", b"a"]


async def test_lists_and_sorted_sets_are_waited_for_under_one_name(room: Any) -> None:
    first, second = await room.waits("BLPOP", "q", 0), await room.waits("BZPOPMIN", "q", 0)
    await room.act.ask("ZADD", "q", 1, "a")
    assert await second.read() == [b"q", b"a", b"1"]
    await room.act.ask("RPUSH", "q", "b")
    assert await first.read() == [b"q", b"b"]


async def test_of_several_keys_the_first_that_is_there_counts(room: Any) -> None:
    one = await room.waits("BLPOP", "p", "q", "r", 0)
    for words in (("MULTI",), ("RPUSH", "r", 3), ("RPUSH", "q", 2), ("EXEC",)):
        await room.act.ask(*words)
    assert await one.read() == [b"q", b"2"]
    assert await room.act.ask("LLEN", "r") == 1
    await room.settled()


async def test_who_finds_nothing_keeps_the_place(room: Any) -> None:
    first = await room.waits("BLMPOP", 0, 1, "q", "LEFT", "COUNT", 2)
    second = await room.waits("BLPOP", "q", 0)
    await room.act.ask("MULTI")
    await room.act.ask("RPUSH", "q", 1)
    await room.act.ask("LPOP", "q")
    await room.act.ask("EXEC")
    await room.act.ask("RPUSH", "q", 1, 2, 3)
    assert await first.read() == [b"q", [b"1", b"2"]]
    assert await second.read() == [b"q", b"3"]


async def test_an_error_ends_the_wait_and_moves_nothing(room: Any) -> None:
    one = await room.waits("BLMOVE", "q", "text", "LEFT", "LEFT", 0)
    await room.act.ask("SET", "text", "x")
    await room.act.ask("RPUSH", "q", "a")
    assert str(await one.read()).startswith("WRONGTYPE ")
    assert await room.act.ask("LRANGE", "q", 0, -1) == [b"a"]
    await room.settled()


async def test_databases_are_apart(room: Any) -> None:
    one = await room.client()
    await one.ask("SELECT", 1)
    one.send("BLPOP", "q", 0)
    while not await room.blocked():
        pass
    await room.act.ask("RPUSH", "q", "zero")
    assert await room.blocked() == 1
    await room.act.ask("MOVE", "q", 1)
    assert await one.read() == [b"q", b"zero"]


async def test_a_blocked_command_counts_when_it_is_answered(room: Any) -> None:
    async def calls() -> str:
        text = (await room.act.ask("INFO", "commandstats")).decode()
        return text.partition("cmdstat_blpop:")[2].partition(",usec")[0]

    await room.act.ask("CONFIG", "RESETSTAT")
    one = await room.waits("BLPOP", "q", 0)
    assert await calls() == ""
    await room.act.ask("RPUSH", "q", "a")
    await one.read()
    assert await calls() == "calls=1"
    await one.ask("BLPOP", "q", "0.001")
    assert await calls() == "calls=2"


async def test_what_follows_may_block_again_or_end(room: Any) -> None:
    one = await room.waits("BLPOP", "p", 0, then=(("BLPOP", "q", 0), ("PING",), ("QUIT",)))
    await room.act.ask("RPUSH", "p", 1)
    assert await one.read() == [b"p", b"1"]
    assert await room.blocked() == 1
    await room.act.ask("RPUSH", "q", 2)
    assert [await one.read() for _ in range(3)] == [[b"q", b"2"], b"PONG", b"OK"]
    assert await one.closed() == b""
    await room.settled()


async def test_a_broken_frame_behind_it_is_refused_afterwards(room: Any) -> None:
    one = await room.waits("BLPOP", "q", 0)
    one.writer.write(b"*1\r\n$x\r\n")
    await room.act.ask("RPUSH", "q", 1)
    assert await one.read() == [b"q", b"1"]
    assert str(await one.read()) == "ERR Protocol error: invalid bulk length"
    assert await one.closed() == b""


async def test_a_flood_behind_it_waits(room: Any) -> None:
    one = await room.waits("BLPOP", "q", 0)
    for _ in range(300):
        one.send("RPUSH", "seen", b"x" * 10_000)  # more than is read ahead
    await room.act.ask("RPUSH", "q", 1)
    assert await one.read() == [b"q", b"1"]
    assert [await one.read() for _ in range(300)] == list(range(1, 301))


async def test_a_client_in_a_transaction_may_be_what_others_wait_for(room: Any) -> None:
    one = await room.waits("BLPOP", "q", 0, then=(("MULTI",), ("RPUSH", "p", 1), ("EXEC",)))
    two = await room.waits("BLPOP", "p", 0)
    await room.act.ask("RPUSH", "q", 1)
    assert [await one.read() for _ in range(4)] == [[b"q", b"1"], b"OK", b"QUEUED", [1]]
    assert await two.read() == [b"p", b"1"]
    await room.settled()


async def test_unblocked_in_a_transaction(room: Any) -> None:
    one = await room.client()
    number = await one.ask("CLIENT", "ID")
    one.send("BLPOP", "q", 0)
    one.send("PING")
    while not await room.blocked():
        pass
    for words in (("MULTI",), ("CLIENT", "UNBLOCK", number), ("RPUSH", "q", 1), ("EXEC",)):
        last = await room.act.ask(*words)
    assert last == [1, 1]
    assert [await one.read(), await one.read()] == [None, b"PONG"]
    assert await room.act.ask("LLEN", "q") == 1


async def test_an_idle_limit_spares_who_waits(serve: Any, connect: Any) -> None:
    room = Room(await serve(timeout=1), connect)
    room.act = await room.client()
    one, idle = await room.waits("BLPOP", "q", 0), await room.client()
    await idle.ask("PING")
    while room.server.stats.connections == 3 and len(room.server.clients) == 3:
        await room.act.ask("PING")  # until the idle one is closed
    await room.act.ask("RPUSH", "q", 1)
    assert await one.read() == [b"q", b"1"]


async def test_who_waits_does_not_ask_the_source_again(shop: Any) -> None:
    room = Room(shop.server, shop.connect)
    room.act = await room.client()
    one = await room.waits("BLPOP", "user:none", "user:never", 0)
    assert await room.act.ask("RPUSH", "user:none2", 1) == 1  # its row was asked for, too
    assert shop.statements
    shop.store.negative.clear()
    await room.act.ask("RENAME", "user:none2", "user:never")
    assert await one.read() == [b"user:never", b"1"]
    assert not shop.statements
    reply = await room.act.ask("BLPOP", "user:3", 0)
    assert str(reply).startswith("WRONGTYPE ")


async def test_workers_of_a_stock_client_get_every_job_once(serve: Any) -> None:
    server = await serve()
    done: list[int] = []

    async def work() -> None:
        async with redis.asyncio.Redis(port=server.port, protocol=3) as client:
            while (job := int((await client.blpop("jobs"))[1])) >= 0:
                done.append(job)

    workers = [asyncio.create_task(work()) for _ in range(3)]
    async with redis.asyncio.Redis(port=server.port) as client:
        for job in range(0, 200, 2):
            await client.rpush("jobs", job, job + 1)
        await client.rpush("jobs", *([-1] * 3))
    await asyncio.wait_for(asyncio.gather(*workers), 20)
    assert sorted(done) == list(range(200))


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("DEL", "s"), "NOGROUP "),
        (("SET", "s", "text"), "WRONGTYPE "),
        (("RENAME", "s", "t"), "NOGROUP "),
        (("XGROUP", "DESTROY", "s", "g"), "NOGROUP "),
        (("FLUSHALL",), "NOGROUP "),
        (("PEXPIREAT", "s", 1), "NOGROUP "),
    ],
)
async def test_a_group_that_is_gone_ends_the_wait_for_it(
    room: Any, words: tuple[Any, ...], error: str
) -> None:
    await room.act.ask("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    one = await room.waits("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    assert await room.info("total_blocking_keys_on_nokey") == 1
    await room.act.ask(*words)
    assert str(await one.read()).startswith(error)
    await room.settled()
