"""Databases that refuse, hang, break off and come back."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import make_url

from antecache.server.backing.base import BackingError, BackingTimeout
from antecache.server.backing.driver import backing_error
from antecache.server.backing.registry import open_backing
from antecache.server.errors import ConfigError

#: A query that hangs for longer than any test waits. SQLite has no sleep: it counts.
HANGS = {
    "sqlite": "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000000)"
    " select max(i) as i from n where i > :id",
    "postgresql": "select pg_sleep(300)::text as i from products where id = :id",
    # not sleep(): that one looks whether its client is still there, and no other statement does
    "mariadb": "select benchmark(100000000000, md5('x')) as i from products where id = :id",
}

HANGING = {
    "sqlite": None,
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(300)%'"
    " AND state = 'active' AND pid <> pg_backend_pid()",
    "mariadb": "SELECT count(*) FROM information_schema.processlist"
    " WHERE info LIKE '%benchmark(%' AND id <> connection_id()",
}


async def shop(world: Any, parameters: str = "") -> tuple[Any, Any]:
    """A backing, and its source of the products 1 and 2."""
    backing, source, _ = await slow_shop(world, parameters)
    return backing, source


async def slow_shop(world: Any, parameters: str) -> tuple[Any, Any, Any]:
    """The same with a source whose query hangs."""
    await world.execute("INSERT INTO products (id, name) VALUES (1, 'one'), (2, 'two')")
    spec = {"name": "slow", "match": "slow:{id:int}", "query": HANGS[world.kind]}
    backing, sources = await world.open(spec, parameters=parameters)
    return backing, world.source(sources, "products"), world.source(sources, "slow")


async def read(backing: Any, source: Any) -> None:
    loaded = await backing.get_many(source, [b"products:1", b"products:2"])
    assert len(loaded.values) == 2


async def until(world: Any, query: str, wanted: bool) -> None:
    """Wait until the database says that statements hang, or no longer do."""
    while bool((await world.execute(query))[0][0]) is not wanted:
        await asyncio.sleep(0.02)


async def test_a_hanging_statement_given_up_is_stopped_and_the_pool_is_free(sql_world: Any) -> None:
    backing, source, slow = await slow_shop(sql_world, "?pool_size=2")
    for turn in range(3):
        loads = [asyncio.create_task(backing.get_many(slow, [b"slow:1"])) for _ in range(2)]
        asked = HANGING[sql_world.kind]
        if asked and turn:
            await until(sql_world, asked, True)
        else:  # given up at once, perhaps before it has begun
            await asyncio.sleep(0.02 * turn)
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        async with asyncio.timeout(5):  # both connections were taken: both are free again
            await asyncio.gather(*(read(backing, source) for _ in range(4)))
        if asked:
            await until(sql_world, asked, False)


async def test_waiting_for_a_connection_can_be_given_up(sql_world: Any) -> None:
    backing, source, slow = await slow_shop(sql_world, "?pool_size=1")
    hanging = asyncio.create_task(backing.get_many(slow, [b"slow:1"]))
    await asyncio.sleep(0.05)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await read(backing, source)
    hanging.cancel()
    async with asyncio.timeout(5):
        await read(backing, source)


async def test_connections_that_the_server_ended_are_replaced(sql_world: Any) -> None:
    end = {
        "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'antecache'",
        "mariadb": "SELECT id FROM information_schema.processlist WHERE id <> connection_id()"
        " AND user = 'shop'",
    }
    if sql_world.kind not in end:
        pytest.skip("SQLite has no server")
    backing, source = await shop(sql_world)
    for _ in range(3):
        await asyncio.gather(*(read(backing, source) for _ in range(5)))
        rows = await sql_world.execute(end[sql_world.kind])
        assert rows
        if sql_world.kind == "mariadb":
            for row in rows:
                await sql_world.execute(f"KILL {row[0]}")
        await asyncio.gather(*(read(backing, source) for _ in range(5)))


async def test_postgresql_goes_away_and_comes_back(
    postgres_world: Any, postgres_server: Any
) -> None:
    await _goes_and_comes_back(postgres_world, postgres_server, signal.SIGQUIT)


async def test_mariadb_goes_away_and_comes_back(mariadb_world: Any, mariadb_server: Any) -> None:
    await _goes_and_comes_back(mariadb_world, mariadb_server, signal.SIGKILL)


async def _goes_and_comes_back(world: Any, server: Any, how: signal.Signals) -> None:
    backing, source = await shop(world)
    await read(backing, source)
    await asyncio.to_thread(server.stop, how)
    try:
        for _ in range(2):
            with pytest.raises(BackingError) as caught:
                await read(backing, source)
            assert "\n" not in str(caught.value)
    finally:
        server.start()
    await read(backing, source)
    await backing.put_many(source, {b"products:1": {"name": "changed"}})


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
async def test_errors_tell_no_password(kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres_url" if kind == "postgresql" else "mariadb_url")
    password = url.split(":")[2].split("@")[0]
    assert len(password) > 6
    right = make_url(url)
    for broken in (
        right.set(password=password + "x"),
        right.set(port=1),
        right.set(database="no_such_database"),
        right.set(username="nobody"),
        right.set(host="no such host"),
    ):
        backing = open_backing(broken.render_as_string(hide_password=False))
        with pytest.raises((BackingError, ConfigError)) as caught:
            await backing.open()
        assert password not in str(caught.value)
        assert "\n" not in str(caught.value)
        await backing.close()


def test_no_error_text_tells_the_password_or_the_statement() -> None:
    url = make_url("postgresql://shop:open-sesame@host/db")
    for error in (
        OSError(111, "cannot reach postgresql://shop:open-sesame@host/db\nsecond line"),
        sa.exc.OperationalError("SELECT secret", ("x",), Exception("no: open-sesame\nDETAIL: y")),
        TimeoutError(),
        Exception(),
    ):
        text = str(backing_error(error, url))
        assert text.startswith("postgresql: ") and len(text) > len("postgresql: ")
        assert "open-sesame" not in text and "SELECT" not in text and "\n" not in text
    assert isinstance(backing_error(TimeoutError(), url), BackingTimeout)


async def test_a_missing_file_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with pytest.raises(BackingError, match="no file"):
        await open_backing(f"sqlite:///{path}").open()
    assert not path.exists()


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("hello, I am a text file, and long enough to look like something " * 20)
    backing = open_backing(f"sqlite:///{path}")
    with pytest.raises(BackingError, match="not a database"):
        await backing.open()
    await backing.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///x?mode=memory"])
async def test_memory_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="memory"):
        await open_backing(url).open()


@pytest.mark.parametrize(
    "url",
    ["sqlite:///x.db?pool_size=0", "sqlite:///x.db?pool_size=many", "postgresql://h:port/db"],
)
async def test_a_url_that_cannot_be_read(url: str) -> None:
    with pytest.raises(ConfigError):
        await open_backing(url).open()


async def test_a_path_with_every_odd_character(tmp_path: Path) -> None:
    path = tmp_path / "my shop #1 100% é.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
    connection.execute("INSERT INTO t VALUES (1, 'here')")
    connection.commit()
    connection.close()
    backing = open_backing(f"sqlite:///{path}")
    sources = await backing.open()
    assert (await backing.get_many(sources[0], [b"t:1"])).values
    await backing.close()


async def test_read_only_refuses_writes_and_reads_on(sqlite_world: Any) -> None:
    backing, source = await shop(sqlite_world, parameters="?mode=ro")
    with pytest.raises(BackingError, match="readonly"):
        await backing.put_many(source, {b"products:1": {"name": "x"}})
    await read(backing, source)


async def test_a_locked_sqlite_file_does_not_stop_reads(sqlite_world: Any) -> None:
    backing, source = await shop(sqlite_world)
    path = sqlite_world.url.removeprefix("sqlite:///")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    await read(backing, source)
    writer.execute("UPDATE products SET name = 'three' WHERE id = 1")
    await read(backing, source)
    writer.execute("COMMIT")
    writer.close()
    loaded = await backing.get_many(source, [b"products:1"])
    assert loaded.values[b"products:1"].get(b"name") == b"three"


async def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in ("asyncpg", "asyncmy"):
        monkeypatch.setitem(sys.modules, name, None)
    for url, extra in (("postgresql://h/d", "postgresql"), ("mysql://h/d", "mysql")):
        backing = open_backing(url)
        with pytest.raises(ConfigError, match=rf"pip install antecache\[{extra}\]"):
            await backing.open()
        await backing.close()
