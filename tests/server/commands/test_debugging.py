"""DEBUG where it is allowed, WAIT and WAITAOF, LOLWUT, and redis-cli --hotkeys."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any

import pytest


async def test_debug_is_off_unless_the_configuration_says_otherwise(
    serve: Any, connect: Any
) -> None:
    client = await connect(await serve())
    assert str(await client.ask("DEBUG", "SLEEP", 0)).startswith("ERR DEBUG command not allowed.")
    assert await client.ask("CONFIG", "GET", "enable-debug-command") == [
        b"enable-debug-command",
        b"no",
    ]
    refused = await client.ask("CONFIG", "SET", "enable-debug-command", "yes")
    assert "immutable" in str(refused)
    local = await connect(await serve(enable_debug_command="local"))
    assert await local.ask("DEBUG", "SLEEP", 0) == b"OK"


@pytest.fixture
async def client(serve: Any, connect: Any) -> Any:
    return await connect(await serve(enable_debug_command="yes"))


async def test_debug_object(client: Any) -> None:
    await client.ask("SET", "k", "hello")
    text = str(await client.ask("DEBUG", "OBJECT", "k"), "ascii")
    assert text.startswith("Value at:0x")
    facts = dict(part.split(":") for part in text.removeprefix("Value ").split())
    assert (facts["refcount"], facts["encoding"], facts["serializedlength"]) == ("1", "embstr", "6")
    assert facts["lru_seconds_idle"] == "0"
    assert str(await client.ask("DEBUG", "OBJECT", "no")) == "ERR no such key"
    for line in ("XADD s * f v", "SETBIT b 1000000 1", "HSET h f v"):
        argv = line.split()
        await client.ask(*argv)
        assert b"serializedlength:" in await client.ask("DEBUG", "OBJECT", argv[1])


async def test_keys_expire_only_when_looked_at_while_the_cycle_is_off(
    serve: Any, connect: Any
) -> None:
    server = await serve(enable_debug_command="yes")
    client = await connect(server)
    await client.ask("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    soon = server.store.now + 20
    await client.ask("SET", "k", "v", "PXAT", soon)
    while server.store.now <= soon:
        await client.ask("PING")
    assert server.store.expire_cycle() == 0
    assert await client.ask("DBSIZE") == 1
    assert await client.ask("GET", "k") is None
    await client.ask("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    soon = server.store.now + 20
    await client.ask("SET", "k", "v", "PXAT", soon)
    while server.store.now <= soon:
        await client.ask("PING")
    server.store.expire_cycle()
    assert await client.ask("DBSIZE") == 0


async def test_debug_populate_leaves_what_is_there(client: Any) -> None:
    await client.ask("SET", "key:1", "mine")
    assert await client.ask("DEBUG", "POPULATE", 3) == b"OK"
    assert await client.ask("MGET", "key:0", "key:1", "key:2") == [b"value:0", b"mine", b"value:2"]
    await client.ask("DEBUG", "POPULATE", 2, "p", 10)
    assert await client.ask("GET", "p:1") == b"value:1\0\0\0"
    assert "out of range" in str(await client.ask("DEBUG", "POPULATE", -1))


TYPES = "string integer double bignum null array set map push attrib verbatim true false"


@pytest.mark.parametrize("protocol", [2, 3])
async def test_debug_protocol_shows_every_type_as_redis_does(client: Any, protocol: int) -> None:
    await client.ask("HELLO", protocol)
    found = [await client.bytes_of("DEBUG", "PROTOCOL", name) for name in TYPES.split()]
    none = b"-ERR RESP2 is not supported by this command\r\n"
    same = [b"$11\r\nHello World\r\n", b":12345\r\n"]
    digits = b"1234567999999999999999999999999999999\r\n"
    if protocol == 2:
        assert found == [
            *same,
            *(b"$5\r\n3.141\r\n", b"$37\r\n" + digits, b"$-1\r\n"),
            *(b"*3\r\n:0\r\n:1\r\n:2\r\n", b"*3\r\n:0\r\n:1\r\n:2\r\n"),
            *(b"*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n", none, none),
            *(b"$25\r\nThis is a verbatim\nstring\r\n", b":1\r\n", b":0\r\n"),
        ]
    else:
        assert found[:8] == [
            *same,
            *(b",3.141\r\n", b"(" + digits, b"_\r\n", b"*3\r\n:0\r\n:1\r\n:2\r\n"),
            *(b"~3\r\n:0\r\n:1\r\n:2\r\n", b"%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"),
        ]
        assert found[8].startswith(b">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n$40\r\n")
        assert found[9].startswith(b"|1\r\n$14\r\nkey-popularity\r\n")
        assert found[10:] == [b"=29\r\ntxt:This is a verbatim\nstring\r\n", b"#t\r\n", b"#f\r\n"]


async def test_other_parts_of_debug(client: Any) -> None:
    assert str(await client.ask("DEBUG", "ERROR", "MINE it is")) == "MINE it is"
    assert await client.ask("DEBUG", "LOG", "a word") == b"OK"
    assert await client.ask("DEBUG", "SLEEP", "0.001") == b"OK"
    assert b"HELP" in await client.ask("DEBUG", "HELP")
    for argv in (("JMAP",), ("SLEEP",), ("OBJECT",), ("RELOAD",)):
        assert f"for '{argv[0]}'. Try DEBUG HELP." in str(await client.ask("DEBUG", *argv))


async def test_waitaof_says_that_nothing_is_acknowledged(client: Any) -> None:
    assert await asyncio.wait_for(client.ask("WAITAOF", 0, 3, 0), 5) == [0, 0]
    for argv, text in (
        ((1, 0, 0), "appendonly is disabled"),
        ((2, 0, 0), "value must between 0 and 1"),
        ((0, -1, 0), "must be positive"),
        ((0, 0, -1), "timeout is negative"),
        ((0, 0, "x"), "timeout is not an integer"),
    ):
        assert text in str(await client.ask("WAITAOF", *argv))


async def test_lolwut_draws_what_is_asked_for(client: Any) -> None:
    text = str(await client.ask("LOLWUT"), "utf-8")
    assert "Redis ver. 7.4" in text and "antecache" in text
    assert len(text.splitlines()) == 14
    drawn = str(await client.ask("LOLWUT", "VERSION", 6, 30, 4, 90), "utf-8").splitlines()
    assert len(drawn) == 6 and drawn[-1].startswith("Rule 90.")
    assert all(len(line) <= 30 and set(line) <= set(" ▀▄█") for line in drawn[:4])
    assert "not an integer" in str(await client.ask("LOLWUT", "VERSION", "x"))
    # Rule 204 keeps every cell as it is: each character is empty or full.
    still = str(await client.ask("LOLWUT", 20, 3, 204), "utf-8").splitlines()[:3]
    assert len(set(still)) == 1 and set(still[0]) <= {" ", "█"}


async def test_hotkeys_of_redis_cli(serve: Any, connect: Any) -> None:
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not installed")
    server = await serve(policy="allkeys-lfu")
    client = await connect(server)
    await client.ask("MSET", *(part for n in range(30) for part in (f"cold:{n}", n)))
    await client.ask("SET", "hot", 1)
    for _ in range(500):
        await client.ask("GET", "hot")
    process = await asyncio.create_subprocess_exec(
        *("redis-cli", "-p", str(server.port), "--hotkeys"), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    first = next(line for line in out.decode().splitlines() if line.startswith("hot key found"))
    assert first.endswith('keyname: "hot"') or first.endswith("keyname: hot")
