"""The connection's own commands, on real sockets, held against a real redis-server."""

from __future__ import annotations

import asyncio
import shlex
from typing import Any

import pytest
import redis.asyncio

# One connection, in order; replies must be the same bytes.
CONVERSATION = r"""
PING
PING hello
PING a b
ECHO
ECHO x
SELECT 3
SELECT 16
SELECT -1
SELECT a
SELECT 99999999999999999999
SELECT 0
AUTH x
AUTH default x
AUTH somebody x
AUTH a b c
AUTH
HELLO 4
HELLO x
HELLO 3 FOO
HELLO 3 SETNAME
HELLO 3 AUTH a
HELLO 2 AUTH foo x
HELLO 2 SETNAME 'a b'
CLIENT
CLIENT FOO
CLIENT ID 3
CLIENT SETNAME 'a b'
CLIENT SETNAME ab
CLIENT GETNAME
CLIENT SETNAME ''
CLIENT GETNAME
CLIENT LIST TYPE foo
CLIENT LIST TYPE master
CLIENT LIST TYPE normal x
CLIENT LIST ID
CLIENT LIST ID 99999
CLIENT LIST ID a
CLIENT LIST FOO
CLIENT KILL
CLIENT KILL 1.2.3.4:5
CLIENT KILL ID 99999
CLIENT KILL ID a
CLIENT KILL ID 0
CLIENT KILL ID
CLIENT KILL ID 1 TYPE
CLIENT KILL FOO 1
CLIENT KILL TYPE foo
CLIENT KILL USER foo
CLIENT KILL SKIPME maybe
CLIENT KILL SKIPME yes ID 99999
CLIENT KILL ADDR 1.2.3.4:5 LADDR 1.2.3.4:5
CLIENT KILL TYPE pubsub
CLIENT NO-EVICT on
CLIENT NO-EVICT off
CLIENT NO-EVICT foo
CLIENT NO-EVICT
CLIENT REPLY foo
CLIENT REPLY on
CLIENT UNBLOCK 99999
CLIENT UNBLOCK a
CLIENT UNBLOCK 1 foo
CLIENT UNBLOCK 99999 timeout
CLIENT UNBLOCK 99999 error
CLIENT PAUSE
CLIENT PAUSE a
CLIENT PAUSE -1
CLIENT PAUSE 10 foo
CLIENT PAUSE 10 write x
CLIENT UNBLOCK 1 error x
CLIENT CACHING
CLIENT UNPAUSE
CLIENT GETREDIR
CLIENT TRACKINGINFO
CLIENT TRACKING off
CLIENT TRACKING foo
CLIENT CACHING yes
CLIENT CACHING maybe
RESET
"""


@pytest.mark.parametrize("protocol", [2, 3])
async def test_replies_are_redis_s_to_the_byte(
    serve: Any, connect: Any, redis_server: Any, protocol: int
) -> None:
    ours, theirs = await connect(await serve()), await connect(redis_server)
    for one in (ours, theirs):
        await one.ask("HELLO", protocol)
    for line in CONVERSATION.strip().splitlines():
        words = shlex.split(line)
        assert await ours.bytes_of(*words) == await theirs.bytes_of(*words), line
        if words[0] in ("HELLO", "RESET"):
            for one in (ours, theirs):
                await one.ask("HELLO", protocol)


@pytest.mark.parametrize("protocol", [2, 3])
async def test_hello_names_the_server_as_redis_does(
    serve: Any, connect: Any, redis_server: Any, protocol: int
) -> None:
    answers = []
    for server in (await serve(), redis_server):
        reply = await (await connect(server)).ask("HELLO", protocol)
        if isinstance(reply, list):
            reply = dict(zip(reply[::2], reply[1::2], strict=True))
        answers.append({**reply, b"id": 0, b"version": b""})
        assert reply[b"proto"] == protocol
    assert answers[0] == answers[1]


async def test_setinfo_takes_what_libraries_send(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    assert await client.ask("CLIENT", "SETINFO", "lib-name", "redis-py") == b"OK"
    assert await client.ask("CLIENT", "SETINFO", "LIB-VER", "5.0") == b"OK"
    assert str(await client.ask("CLIENT", "SETINFO", "lib-name", "a b")) == (
        "ERR lib-name cannot contain spaces, newlines or special characters."
    )
    assert str(await client.ask("CLIENT", "SETINFO", "foo", "b")) == (
        "ERR Unrecognized option 'foo'"
    )
    line = await client.ask("CLIENT", "INFO")
    assert b" lib-name=redis-py lib-ver=5.0 " in line


@pytest.mark.parametrize("protocol", [2, 3])
async def test_redis_py_connects(serve: Any, protocol: int) -> None:
    server = await serve()
    async with redis.asyncio.Redis(
        port=server.port, protocol=protocol, client_name="me", db=2
    ) as client:
        assert await client.ping()
        line = await client.client_info()
        assert (line["name"], int(line["db"]), int(line["resp"])) == ("me", 2, protocol)
        assert line["lib-name"].startswith("redis-py")
        assert await client.client_id() == int(line["id"])
        assert len(await client.client_list()) == 1


# -- passwords -----------------------------------------------------------------


async def test_nothing_runs_before_the_password(serve: Any, connect: Any) -> None:
    client = await connect(await serve(requirepass="secret"))
    assert str(await client.ask("PING")).startswith("NOAUTH")
    assert str(await client.ask("CONFIG", "GET", "requirepass")).startswith("NOAUTH")
    assert str(await client.ask("HELLO", 3)).startswith("NOAUTH HELLO must be called")
    assert str(await client.ask("AUTH", "wrong")).startswith("WRONGPASS")
    assert str(await client.ask("AUTH", "somebody", "secret")).startswith("WRONGPASS")
    assert str(await client.ask("PING")).startswith("NOAUTH")
    assert await client.ask("AUTH", "secret") == b"OK"
    assert await client.ask("PING") == b"PONG"


async def test_a_password_may_be_any_bytes(serve: Any, connect: Any) -> None:
    server = await serve()
    client, other = await connect(server), await connect(server)
    password = bytes(range(256))
    assert await client.ask("CONFIG", "SET", "requirepass", password) == b"OK"
    assert await client.ask("CONFIG", "GET", "requirepass") == [b"requirepass", password]
    assert str(await other.ask("AUTH", password[:-1])).startswith("WRONGPASS")
    assert await other.ask("AUTH", "default", password) == b"OK"


async def test_hello_authenticates_and_names_in_one_step(serve: Any, connect: Any) -> None:
    client = await connect(await serve(requirepass="secret"))
    wrong = await client.ask("HELLO", 3, "AUTH", "default", "bad", "SETNAME", "me")
    assert str(wrong).startswith("WRONGPASS")
    reply = await client.ask("HELLO", 3, "AUTH", "default", "secret", "SETNAME", "me")
    assert reply[b"proto"] == 3
    assert await client.ask("CLIENT", "GETNAME") == b"me"


async def test_a_new_password_leaves_who_is_in_alone(serve: Any, connect: Any) -> None:
    server = await serve()
    inside = await connect(server)
    assert await inside.ask("CONFIG", "SET", "requirepass", "secret") == b"OK"
    assert await inside.ask("PING") == b"PONG"
    outside = await connect(server)
    assert str(await outside.ask("PING")).startswith("NOAUTH")
    assert await inside.ask("RESET") == b"RESET"
    assert str(await inside.ask("PING")).startswith("NOAUTH"), "RESET takes the login away"


# -- the end of a connection ---------------------------------------------------


async def test_quit_answers_closes_and_ignores_the_rest(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    for words in (("SET", "k", "1"), ("QUIT",), ("SET", "k", "2"), ("PING",)):
        client.send(*words)
    assert await client.closed() == b"+OK\r\n+OK\r\n"
    other = await connect(await serve())
    assert await other.ask("PING") == b"PONG"


async def test_quit_stops_what_follows_in_the_pipeline(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    for words in (("SET", "k", "1"), ("QUIT",), ("SET", "k", "2")):
        client.send(*words)
    await client.closed()
    assert await (await connect(server)).ask("GET", "k") == b"1"


async def test_reset_undoes_everything_about_a_connection(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.ask("HELLO", 3, "SETNAME", "me")
    await client.ask("SELECT", 5)
    await client.ask("CLIENT", "NO-EVICT", "on")
    await client.ask("CLIENT", "NO-TOUCH", "on")
    await client.ask("WATCH", "k")
    await client.ask("MULTI")
    assert await client.bytes_of("RESET") == b"+RESET\r\n"
    await client.ask("WATCH", "k")
    await client.ask("MONITOR")
    assert (await client.bytes_of("RESET")).endswith(b"+RESET\r\n")
    line = dict(field.split(b"=", 1) for field in (await client.ask("CLIENT", "INFO")).split())
    assert line[b"flags"] == b"N"
    assert (line[b"db"], line[b"name"], line[b"resp"]) == (b"0", b"", b"2")
    assert (line[b"multi"], line[b"watch"]) == (b"-1", b"0")
    assert not server.monitors


# -- CLIENT REPLY, LIST, KILL --------------------------------------------------


async def test_reply_off_skip_and_on(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    for words in (
        ("CLIENT", "REPLY", "SKIP"),
        ("ECHO", "not shown"),
        ("ECHO", "shown"),
        ("CLIENT", "REPLY", "OFF"),
        ("ECHO", "not shown"),
        ("NOSUCHCOMMAND",),
        ("CLIENT", "REPLY", "SKIP"),
        ("ECHO", "not shown"),
        ("CLIENT", "REPLY", "ON"),
        ("ECHO", "shown again"),
    ):
        client.send(*words)
    assert [await client.read() for _ in range(3)] == [b"shown", b"OK", b"shown again"]
    assert await client.bytes_of("PING") == b"+PONG\r\n"


async def test_list_shows_who_is_there_and_what_they_do(serve: Any, connect: Any) -> None:
    server = await serve()
    one, two = await connect(server), await connect(server)
    await one.ask("CLIENT", "SETNAME", "first")
    await two.ask("MULTI")
    await two.ask("SET", "k", "v")
    lines = [
        dict(field.split("=", 1) for field in line.split())
        for line in (await one.ask("CLIENT", "LIST")).decode().splitlines()
    ]
    assert [line["name"] for line in lines] == ["first", ""]
    assert [line["cmd"] for line in lines] == ["client|list", "set"]
    assert [line["flags"] for line in lines] == ["N", "x"]
    assert [line["multi"] for line in lines] == ["-1", "1"]
    first, second = (int(line["id"]) for line in lines)
    only = await one.ask("CLIENT", "LIST", "ID", second, 999999)
    assert only.startswith(b"id=%d " % second) and only.count(b"\n") == 1
    assert (await one.ask("CLIENT", "LIST", "TYPE", "normal")).count(b"\n") == 2
    assert first < second


async def test_a_line_has_redis_s_fields_in_its_order(
    serve: Any, connect: Any, redis_server: Any
) -> None:
    names = []
    for server in (await serve(), redis_server):
        line = await (await connect(server)).ask("CLIENT", "INFO")
        names.append([field.split(b"=")[0] for field in line.split()])
    ours, theirs = names
    assert [name for name in ours if name in theirs] == theirs
    # of 7.4 and later, which the redis-server at hand may not have
    assert set(ours) - set(theirs) <= {
        *(b"watch", b"lib-name", b"lib-ver", b"tot-net-in", b"tot-net-out")
    }


async def test_kill_by_every_filter(serve: Any, connect: Any) -> None:
    server = await serve()
    killer = await connect(server)

    async def victim() -> tuple[Any, dict[str, str]]:
        raw = await connect(server)
        line = (await raw.ask("CLIENT", "INFO")).decode()
        return raw, dict(field.split("=", 1) for field in line.split())

    raw, line = await victim()
    assert await killer.ask("CLIENT", "KILL", line["addr"]) == b"OK"
    assert await raw.closed() == b""
    raw, line = await victim()
    assert await killer.ask("CLIENT", "KILL", "ID", line["id"], "ADDR", "1.2.3.4:5") == 0
    assert await killer.ask("CLIENT", "KILL", "ID", line["id"], "MAXAGE", 3600) == 0
    assert await killer.ask("CLIENT", "KILL", "ID", line["id"], "USER", "default") == 1
    assert await raw.closed() == b""
    assert str(await killer.ask("CLIENT", "KILL", "MAXAGE", "0")) == (
        "ERR maxage should be greater than 0"
    )
    crowd = [(await victim())[0] for _ in range(3)]
    assert await killer.ask("CLIENT", "KILL", "TYPE", "normal", "LADDR", line["laddr"]) == 3
    assert [await one.closed() for one in crowd] == [b""] * 3
    assert await killer.ask("PING") == b"PONG", "it spares itself unless told otherwise"
    assert await killer.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no") == 1
    assert await killer.closed() == b""
    assert not server.clients


async def test_killing_oneself_is_answered_first(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    line = (await client.ask("CLIENT", "INFO")).decode()
    address = dict(field.split("=", 1) for field in line.split())["addr"]
    client.send("CLIENT", "KILL", address)
    assert await client.closed() == b"+OK\r\n"


# -- CLIENT PAUSE, TRACKING ----------------------------------------------------


async def test_pause_all_holds_reads_too_and_ends_by_itself(serve: Any, connect: Any) -> None:
    server = await serve(hz=100)
    operator, client = await connect(server), await connect(server)
    assert await operator.ask("CLIENT", "PAUSE", 200) == b"OK"
    client.send("SET", "k", "v")
    client.send("GET", "k")
    started = asyncio.get_running_loop().time()
    assert await asyncio.wait_for(client.read(), 5) == b"OK"
    assert asyncio.get_running_loop().time() - started > 0.1
    assert await client.read() == b"v"


async def test_pause_write_lets_reads_through_until_unpaused(serve: Any, connect: Any) -> None:
    server = await serve()
    operator, client = await connect(server), await connect(server)
    await client.ask("SET", "k", "v")
    assert await operator.ask("CLIENT", "PAUSE", 60_000, "WRITE") == b"OK"
    assert await client.ask("GET", "k") == b"v"
    client.send("SET", "k", "w")
    client.send("GET", "k")
    assert await operator.ask("GET", "k") == b"v"
    assert await operator.ask("CLIENT", "UNPAUSE") == b"OK"
    assert [await client.read(), await client.read()] == [b"OK", b"w"]
