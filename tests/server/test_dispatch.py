"""Sessions and dispatch on real sockets: order, batching, backlog, faults of the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from antecache.server.app import Server
from antecache.server.backing.base import BackingError
from antecache.server.backing.memory import MemoryBacking
from antecache.server.config_reading import load


class Connection:
    """A raw client: bytes out, exactly as many bytes in as expected."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *commands: str) -> None:
        """Write commands given as words, as one chunk."""
        data = b""
        for line in commands:
            words = line.encode().split()
            data += b"*%d\r\n" % len(words)
            data += b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
        self.writer.write(data)

    async def expect(self, data: bytes) -> None:
        """Read exactly `data`."""
        got = await asyncio.wait_for(self.reader.readexactly(len(data)), 5)
        assert got == data

    async def line(self) -> bytes:
        """Read one line."""
        return await asyncio.wait_for(self.reader.readline(), 5)


class Running:
    """A server on a memory backing with rows a:0 ... a:99 and b:0 ... b:99."""

    def __init__(self, server: Server) -> None:
        self.server = server
        assert isinstance(server.backing, MemoryBacking)
        self.backing = server.backing
        self.open: list[Connection] = []

    async def connect(self) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        connection = Connection(reader, writer)
        self.open.append(connection)
        return connection


@pytest.fixture
async def running(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    settings: dict[str, Any] = {
        "port": "0",
        "metrics_port": "0",
        "prediction": "off",
        "backing": "memory://?prefix=a&prefix=b",
        "load_timeout": "0.2",
        **getattr(request, "param", {}),
    }
    server = Server(load(None, {}, settings))
    await server.start()
    running = Running(server)
    for prefix in (b"a", b"b"):
        for number in range(100):
            running.backing.rows[b"%b:%d" % (prefix, number)] = b"%b%02d" % (prefix, number)
    yield running
    for connection in running.open:
        connection.writer.close()
    server.store.check()
    assert not server.store.pinned, "every pin was undone"
    await server.stop()


async def test_replies_keep_the_order_of_the_pipeline(running: Running) -> None:
    client = await running.connect()
    client.send("SET x 1", "GET a:1", "INCR x", "GET a:2", "GET nothing", "GET a:1", "PING")
    await client.expect(b"+OK\r\n$3\r\na01\r\n:2\r\n$3\r\na02\r\n$-1\r\n$3\r\na01\r\n+PONG\r\n")


async def test_consecutive_pipelined_reads_are_one_statement(running: Running) -> None:
    client = await running.connect()
    client.send(*(f"GET a:{number}" for number in range(50)), "SET x 1", "GET a:60")
    for number in range(50):
        await client.expect(b"$3\r\na%02d\r\n" % number)
    await client.expect(b"+OK\r\n$3\r\na60\r\n")
    assert [len(keys) for keys in running.backing.calls] == [50, 1]
    assert running.server.stats.waits == 51
    assert running.server.store.misses == 51 and running.server.store.hits == 0


async def test_mget_loads_what_it_lacks_in_one_statement_a_source(running: Running) -> None:
    client = await running.connect()
    client.send("GET a:1")
    await client.expect(b"$3\r\na01\r\n")
    client.send("MGET a:1 a:2 a:3 b:1 nothing a:2")
    await client.expect(
        b"*6\r\n$3\r\na01\r\n$3\r\na02\r\n$3\r\na03\r\n$3\r\nb01\r\n$-1\r\n$3\r\na02\r\n"
    )
    assert sorted(map(sorted, running.backing.calls)) == [[b"a:1"], [b"a:2", b"a:3"], [b"b:1"]]
    assert running.server.stats.waits == 4
    assert running.server.store.hits == 1


@pytest.mark.parametrize("running", [{"maxkeys": "5"}], indirect=True)
async def test_a_large_mget_does_not_evict_its_own_keys(running: Running) -> None:
    client = await running.connect()
    client.send("MGET " + " ".join(f"a:{number}" for number in range(40)))
    await client.expect(b"*40\r\n" + b"".join(b"$3\r\na%02d\r\n" % n for n in range(40)))
    assert running.server.store.count <= 5


async def test_a_hit_is_answered_while_other_clients_wait(running: Running) -> None:
    waiting, other = await running.connect(), await running.connect()
    other.send("GET a:1")
    await other.expect(b"$3\r\na01\r\n")
    running.backing.hang = asyncio.Event()
    waiting.send("GET a:2")
    other.send("GET a:1", "PING")
    await other.expect(b"$3\r\na01\r\n+PONG\r\n")
    running.backing.hang.set()
    await waiting.expect(b"$3\r\na02\r\n")


async def test_what_arrives_while_waiting_is_executed_afterwards_in_order(
    running: Running,
) -> None:
    client = await running.connect()
    running.backing.hang = asyncio.Event()
    client.send("GET a:1")
    while not running.backing.calls:
        await asyncio.sleep(0)
    client.send("SET x 5", "GET a:2")
    client.send("GET x")
    running.backing.hang.set()
    await client.expect(b"$3\r\na01\r\n+OK\r\n$3\r\na02\r\n$1\r\n5\r\n")


async def test_a_client_that_leaves_while_waiting_leaves_nothing_behind(running: Running) -> None:
    client, other = await running.connect(), await running.connect()
    running.backing.hang = asyncio.Event()
    client.send("GET a:1", "MGET a:2 a:3")
    while not running.backing.calls:
        await asyncio.sleep(0)
    client.writer.transport.abort()
    while len(running.server.clients) > 1:
        await asyncio.sleep(0)
    assert not running.server.store.pinned
    running.backing.hang.set()
    other.send("GET a:1")
    await other.expect(b"$3\r\na01\r\n")


async def test_a_failing_database_is_an_error_and_cached_keys_go_on(running: Running) -> None:
    client = await running.connect()
    client.send("GET a:1")
    await client.expect(b"$3\r\na01\r\n")
    running.backing.fail_with = BackingError("connection refused")
    client.send("GET a:1", "GET a:2", "MGET a:1 b:1", "PING")
    await client.expect(b"$3\r\na01\r\n")
    assert await client.line() == b"-BACKING source 'a': connection refused\r\n"
    assert await client.line() == b"-BACKING source 'b': connection refused\r\n"
    await client.expect(b"+PONG\r\n")
    running.backing.fail_with = None
    client.send("GET a:2")
    await client.expect(b"$3\r\na02\r\n")


async def test_a_hanging_database_is_an_error_in_time_and_recovers(running: Running) -> None:
    client, other = await running.connect(), await running.connect()
    other.send("GET a:1")
    await other.expect(b"$3\r\na01\r\n")
    hang = running.backing.hang = asyncio.Event()
    client.send("GET a:2", "GET a:1")
    assert await client.line() == b"-BACKING source 'a': did not answer within 0.2 s\r\n"
    await client.expect(b"$3\r\na01\r\n")
    hang.set()
    running.backing.hang = None
    client.send("GET a:2")
    await client.expect(b"$3\r\na02\r\n")


async def test_read_modify_write_loads_first_and_set_does_not(running: Running) -> None:
    running.backing.rows[b"a:7"] = b"41"
    client = await running.connect()
    client.send("INCR a:7", "APPEND a:8 !", "SET a:9 mine", "SETNX a:10 mine", "GET a:9")
    await client.expect(b":42\r\n:4\r\n+OK\r\n:0\r\n$4\r\nmine\r\n")
    assert sorted(key for call in running.backing.calls for key in call) == [
        b"a:10",
        b"a:7",
        b"a:8",
    ]


async def test_del_invalidates_and_the_next_read_loads(running: Running) -> None:
    client = await running.connect()
    client.send("GET a:1")
    await client.expect(b"$3\r\na01\r\n")
    running.backing.rows[b"a:1"] = b"new"
    client.send("DEL a:1", "GET a:1")
    await client.expect(b":1\r\n$3\r\nnew\r\n")


async def test_exec_loads_its_keys_before_it_starts(running: Running) -> None:
    client = await running.connect()
    client.send("MULTI", "INCR x", "GET a:1", "INCR x", "GET a:2", "EXEC")
    await client.expect(
        b"+OK\r\n" + b"+QUEUED\r\n" * 4 + b"*4\r\n:1\r\n$3\r\na01\r\n:2\r\n$3\r\na02\r\n"
    )
    assert sorted(map(sorted, running.backing.calls)) == [[b"a:1", b"a:2"]]


async def test_a_bad_frame_is_refused_after_the_replies_before_it(running: Running) -> None:
    client = await running.connect()
    client.writer.write(b"*1\r\n$4\r\nPING\r\n*1\r\n:4\r\n")
    await client.expect(b"+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n")
    assert await client.reader.read() == b""


async def test_an_internal_error_is_answered_and_the_connection_lives_on(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    client = await running.connect()
    client.send("PING")
    await client.expect(b"+PONG\r\n")
    row = running.server.dispatch.find([b"STRLEN", b"x"])
    assert row is not None
    monkeypatch.setattr(row, "handler", broken)
    client.send("STRLEN x", "PING")
    await client.expect(b"-ERR internal error\r\n+PONG\r\n")
    assert running.server.stats.internal_errors == 1
    assert "a bug" in caplog.text


async def test_a_client_that_does_not_read_is_not_read_from(running: Running) -> None:
    client, other = await running.connect(), await running.connect()
    other.send(f"SET big {'x' * 100_000}")
    await other.expect(b"+OK\r\n")
    client.send(*["GET big"] * 400)  # 40 MB of replies that nobody reads
    sessions = running.server.clients.values()
    for _ in range(10_000):
        if any(session.paused for session in sessions):
            break
        await asyncio.sleep(0.001)
    assert any(session.paused for session in sessions)
    for _ in range(400):
        await client.expect(b"$100000\r\n" + b"x" * 100_000 + b"\r\n")
    client.send("PING")
    await client.expect(b"+PONG\r\n")


@pytest.mark.parametrize("running", [{"maxclients": "2"}], indirect=True)
async def test_too_many_clients_are_told_so(running: Running) -> None:
    await running.connect()
    await running.connect()
    third = await running.connect()
    assert await third.line() == b"-ERR max number of clients reached\r\n"
    assert await third.reader.read() == b""
    assert running.server.stats.rejected_connections == 1


@pytest.mark.parametrize("running", [{"requirepass": "secret"}], indirect=True)
async def test_nothing_runs_before_the_password(running: Running) -> None:
    client = await running.connect()
    client.send("GET a:1", "AUTH wrong", "AUTH secret", "GET a:1")
    assert await client.line() == b"-NOAUTH Authentication required.\r\n"
    assert (await client.line()).startswith(b"-WRONGPASS")
    await client.expect(b"+OK\r\n$3\r\na01\r\n")
