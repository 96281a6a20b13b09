"""A little shop in every kind of database, for the tests of this folder.

`world` is one database with the same tables and rows as the others, as far as
its types allow; `sql_world` leaves out the kinds without SQL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from antecache.server.backing.base import DEFAULT_OPTIONS, Backing, Source, SourceOptions
from antecache.server.backing.registry import open_backing
from antecache.server.backing.sources import Sources, SourceSpec, read_spec

TABLES = ("items", "products", "users", "tokens", "events", "odd names")

TYPES = {
    "sqlite": {"json": "JSON", "blob": "BLOB", "time": "DATETIME", "uuid": "UUID", "real": "REAL"},
    "postgresql": {
        "json": "JSONB", "blob": "BYTEA", "time": "TIMESTAMP", "uuid": "UUID",
        "real": "DOUBLE PRECISION",
    },
    "mariadb": {
        "json": "JSON", "blob": "BLOB", "time": "DATETIME", "uuid": "UUID", "real": "DOUBLE",
    },
}  # fmt: skip

SCHEMA = """
CREATE TABLE products (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, price DECIMAL(10, 2),
    sold BOOLEAN, made DATE, seen {time}, photo {blob}, extra {json}, big BIGINT, ratio {real});
CREATE TABLE users (name VARCHAR(30) PRIMARY KEY, city VARCHAR(30));
CREATE TABLE items (order_id INTEGER, item VARCHAR(20), amount INTEGER NOT NULL,
    product_id INTEGER, PRIMARY KEY (order_id, item),
    FOREIGN KEY (product_id) REFERENCES products (id));
CREATE TABLE tokens (id {uuid} PRIMARY KEY, owner VARCHAR(30));
CREATE TABLE events (what VARCHAR(30));
CREATE TABLE {quote}odd names{quote} ({quote}per%cent{quote} INTEGER PRIMARY KEY,
    {quote}a:b{quote} VARCHAR(20), {quote}order{quote} INTEGER)
"""


class World:
    """One database, and what a test needs to do with it."""

    def __init__(self, kind: str, url: str, shops: set[str]) -> None:
        self.kind = kind
        self._shops = shops
        self.url = url
        self.backings: list[Backing] = []
        if kind != "memory":
            driver = {"sqlite": "aiosqlite", "postgresql": "asyncpg", "mariadb": "asyncmy"}[kind]
            name = "mysql" if kind == "mariadb" else kind
            self._engine = create_async_engine(
                make_url(url).set(drivername=f"{name}+{driver}"), poolclass=NullPool
            )

    async def execute(self, *statements: str) -> list[Any]:
        """Run statements, past the backing; the rows of the last."""
        async with self._engine.begin() as connection:
            for sql in statements:
                result = await connection.exec_driver_sql(
                    sql.replace("%", "%%") if self.kind == "mariadb" else sql
                )
            return list(result.all()) if result.returns_rows else []

    async def create(self) -> None:
        """The tables, empty; made anew only when a test changed them (`spoil`)."""
        quote = "`" if self.kind == "mariadb" else '"'
        if self.url in self._shops:
            await self.execute(*(f"DELETE FROM {quote}{table}{quote}" for table in TABLES))
            return
        self._shops.add(self.url)
        types = {**TYPES[self.kind], "quote": quote}
        await self.execute(
            *(f"DROP TABLE IF EXISTS {quote}{table}{quote}" for table in TABLES),
            *SCHEMA.format(**types).split(";"),
        )

    async def spoil(self, sql: str) -> None:
        """Change the tables themselves."""
        self._shops.discard(self.url)
        await self.execute(sql)

    async def open(
        self,
        *specs: dict[str, Any] | SourceSpec,
        options: SourceOptions = DEFAULT_OPTIONS,
        parameters: str = "",
    ) -> tuple[Backing, Sources]:
        """A new backing on this database, closed after the test."""
        read = [spec if isinstance(spec, SourceSpec) else read_spec(spec) for spec in specs]
        backing = open_backing(self.url + parameters, read, options)
        self.backings.append(backing)
        return backing, Sources(await backing.open())

    def source(self, sources: Sources, name: str) -> Source:
        """A source by name; it must be there."""
        found = sources.by_name(name)
        assert found is not None, f"{name} is not one of {[source.name for source in sources]}"
        return found

    async def close(self) -> None:
        for backing in self.backings:
            await backing.close()
        if self.kind != "memory":
            await self._engine.dispose()


@pytest.fixture(scope="session")
def shops() -> set[str]:
    """URLs of databases that have the tables."""
    return set()


async def _world(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> World:
    shops = request.getfixturevalue("shops")
    if kind == "memory":
        return World(kind, "memory://?prefix=products&prefix=users", shops)
    if kind == "sqlite":
        (tmp_path / "shop.db").touch()
        world = World(kind, f"sqlite:///{tmp_path}/shop.db", shops)
    else:
        fixture = "postgres_url" if kind == "postgresql" else "mariadb_url"
        world = World(kind, request.getfixturevalue(fixture), shops)
    await world.create()
    return world


KINDS: Sequence[str] = ("memory", "sqlite", "postgresql", "mariadb")


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Every kind of backing in turn."""
    made = await _world(request.param, request, tmp_path)
    yield made
    await made.close()


@pytest.fixture(params=KINDS[1:])
async def sql_world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Every SQL database in turn."""
    made = await _world(request.param, request, tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def sqlite_world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """SQLite, for what is the same everywhere or only there."""
    made = await _world("sqlite", request, tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def postgres_world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """PostgreSQL, for what is only there."""
    made = await _world("postgresql", request, tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def mariadb_world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """MariaDB, for what is only there."""
    made = await _world("mariadb", request, tmp_path)
    yield made
    await made.close()
