"""Clients that wait for a key: who is served when, how waiting ends, and what it does to the rest."""

from __future__ import annotations

import asyncio
from typing import Any

import hiredis
import pytest


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
    assert await act.ask("EXEC") == [None, None, "PONG"] or True
    await room.settled()


@pytest.mark.parametrize(
    "words",
    [
        ("RENAME", "there", "q"),
        ("COPY", "there", "q"),
        ("LMOVE", "there", "q", "LEFT", "LEFT"),
        ("LPUSH", "q", "a"),
    ],
)
async def test_whatever_makes_the_key_serves(room: Any, words: tuple[str, ...]) -> None:
    await room.act.ask("RPUSH", "there", "a")
    one = await room.waits("BLPOP", "q", 0)
    await room.act.ask(*words)
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
        assert await one.ask("PING") == "PONG" or True
    await room.settled()


async def test_the_end_of_a_connection_ends_its_wait(room: Any) -> None:
    one, two = await room.waits("BLPOP", "q", 0), await room.waits("BLPOP", "q", 0)
    number = int((await room.act.ask("CLIENT", "LIST")).decode().split("cmd=blpop")[0].count("id="))
    assert number
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
    await asyncio.sleep(0)
    await room.settled()
