"""An SQL database as the backing: SQLite, PostgreSQL, MariaDB and MySQL.

Tables are reflected when it opens: `products:42` is the row of `products` whose
primary key is 42, `lines:7:3` a row with the two-column key (7, 3). A
`[[source]]` of the config adds a query, or says more about a table. Many keys of
one source are one statement, and every statement is a SELECT in autocommit:
nothing is sent around it.

A statement that fails because its connection broke is sent once more on a fresh
one. A cancelled statement costs its connection: what runs is stopped, in the
database too, and another connection is opened when it is needed.

What this file does not do: speak a dialect (`driver_*.py`), hold connections
(`connections.py`), time out or share loads (the loader).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from antecache.server.backing.base import (
    DEFAULT_OPTIONS,
    Backing,
    BackingError,
    Link,
    Loaded,
    Source,
    SourceOptions,
)
from antecache.server.backing.connections import Connections
from antecache.server.backing.driver import Answer, Driver, Statement, Values, backing_error
from antecache.server.backing.patterns import compile_pattern
from antecache.server.backing.reflect import Reflected
from antecache.server.backing.sources import SourceSpec
from antecache.server.backing.sqlsources import QuerySource, TableSource, split_rows
from antecache.server.backing.sqltext import read_query
from antecache.server.backing.sqlwrite import delete_statements, put_statements
from antecache.server.errors import ConfigError

#: The file and class that speak a scheme's dialect.
DRIVERS = {
    "sqlite": ("driver_sqlite", "SqliteDriver"),
    "postgresql": ("driver_postgresql", "PostgresDriver"),
    "postgres": ("driver_postgresql", "PostgresDriver"),
    "mysql": ("driver_mysql", "MysqlDriver"),
    "mariadb": ("driver_mysql", "MysqlDriver"),
}

#: Connections unless the URL says `?pool_size=`: as many statements as a source may have in flight.
POOL_SIZE = 8


class _Refused(BackingError):
    """The database refused a value, not the statement.

    impossible  whether no row of a table can have it in its key
    """

    def __init__(self, text: str, impossible: bool) -> None:
        super().__init__(text)
        self.impossible = impossible


class SqlBacking(Backing):
    """Reads through to an SQL database.

    skipped  after `open`: tables that are no sources, with the reason
    """

    schemes = ("sqlite", "postgresql", "postgres", "mysql", "mariadb")

    def __init__(
        self,
        url: str,
        specs: Sequence[SourceSpec] = (),
        options: SourceOptions = DEFAULT_OPTIONS,
    ) -> None:
        super().__init__(url, specs, options)
        self._links: list[Link] = []
        self._driver: Driver | None = None
        self._connections: Connections | None = None

    async def open(self) -> Sequence[Source]:
        """Connect, reflect, and have the database check the configured queries.

        Sources: the configured ones as in `specs`, then the tables, by name. A
        table that a spec names is not there a second time.
        """
        url, size = _read_url(self.url)
        module, name = DRIVERS[url.drivername.partition("+")[0]]
        driver: Driver = getattr(import_module(f"{__package__}.{module}"), name)(url)
        driver.check()
        self._driver = driver
        self._connections = Connections(driver, size)
        connection = driver.engine.connect()
        try:
            await connection.start()
        except Exception as error:  # whatever the driver raises: there is no common class
            raise backing_error(error, driver.url) from error
        try:
            found = await driver.reflect(connection)
            configured = [
                await self._configured(driver, connection, found, spec) for spec in self.specs
            ]
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise backing_error(error, driver.url) from error
        finally:
            await connection.close()
        self._links = found.links
        self.skipped = found.skipped
        named = {spec.table for spec in self.specs}
        tables = [
            TableSource(name, self.options, self, driver.bind_table(table))
            for name, table in found.tables.items()
            if name not in named
        ]
        return [*configured, *tables]

    async def _configured(
        self, driver: Driver, connection: AsyncConnection, found: Reflected, spec: SourceSpec
    ) -> Source:
        options = spec.options(self.options)
        if spec.table:
            table = found.tables.get(spec.table)
            if table is None:
                reason = found.skipped.get(spec.table, "there is no such table")
                raise ConfigError(f"source '{spec.label}': table '{spec.table}': {reason}")
            pattern = compile_pattern(spec.match) if spec.match else None
            return TableSource(spec.label, options, self, driver.bind_table(table), pattern)
        pattern = compile_pattern(spec.match)
        try:
            if not spec.query:
                raise ValueError("needs a `query` or a `table`")
            query = read_query(spec.query, driver.url.get_backend_name())
            for name in query.names:
                if name not in pattern.names:
                    raise ValueError(f"the query's :{name} is not a field of '{spec.match}'")
            bound = await driver.bind_query(connection, query, pattern.fields)
        except ValueError as error:
            raise ConfigError(f"source '{spec.label}': {error}") from None
        return QuerySource(spec.label, options, self, bound, pattern, spec.as_ or "json")

    def links(self) -> Sequence[Link]:
        return self._links

    async def get_many(self, source: Source, keys: Sequence[bytes]) -> Loaded:
        loaded = Loaded()
        wanted: dict[Values, bytes] = {}
        for key in keys:
            values = source.match(key)
            if values is not None:
                wanted[values] = key
        if not isinstance(source, TableSource | QuerySource):
            raise BackingError(f"source '{source.name}' is not one of this backing")
        asked = list(wanted)
        for at in range(0, len(asked), source.bound.limit):
            await self._ask(source, wanted, asked[at : at + source.bound.limit], loaded)
        if loaded.errors and not loaded.values:
            raise next(iter(loaded.errors.values()))
        return loaded

    async def _ask(
        self,
        source: TableSource | QuerySource,
        wanted: Mapping[Values, bytes],
        asked: Sequence[Values],
        loaded: Loaded,
    ) -> None:
        """One statement; halves of it when the database refuses some key's value."""
        try:
            if isinstance(source, TableSource):
                await self._rows(source, wanted, asked, loaded)
            else:
                await self._query(source, wanted, asked, loaded)
        except _Refused as error:
            if len(asked) > 1:
                half = len(asked) // 2
                await self._ask(source, wanted, asked[:half], loaded)
                await self._ask(source, wanted, asked[half:], loaded)
            elif not (error.impossible and isinstance(source, TableSource)):
                loaded.errors[wanted[asked[0]]] = error

    async def _rows(
        self,
        source: TableSource,
        wanted: Mapping[Values, bytes],
        asked: Sequence[Values],
        loaded: Loaded,
    ) -> None:
        sql, params = source.bound.select(asked)
        for raw in (await self._fetch(sql, params, loaded)).rows:
            owner = wanted.get(source.key_of(raw))
            if owner is not None:
                loaded.values[owner] = source.row(raw)

    async def _query(
        self,
        source: QuerySource,
        wanted: Mapping[Values, bytes],
        asked: Sequence[Values],
        loaded: Loaded,
    ) -> None:
        if len(asked) == 1:
            sql, params = source.bound.one(asked[0])
            columns, rows = await self._fetch(sql, params, loaded)
            answers: Sequence[Sequence[Sequence[Any]]] = [rows]
        else:
            sql, params = source.bound.many(asked)
            columns, rows = await self._fetch(sql, params, loaded)
            number = source.bound.number
            columns = columns[:-1] if number else columns[1:]
            answers = split_rows(rows, len(asked), number)
        for values, answer in zip(asked, answers, strict=True):
            value = source.value(columns, answer)
            if value is not None:
                loaded.values[wanted[values]] = value

    async def put_many(self, source: Source, rows: Mapping[bytes, Mapping[str, Any]]) -> None:
        """Insert or update rows by key, in one transaction.

        Raises BackingError, with nothing changed, for what `put_statements`
        refuses, a value the database refuses, or an update of a row that is
        not there.
        """
        await self._write(put_statements(source, rows))

    async def delete_many(self, source: Source, keys: Sequence[bytes]) -> None:
        statements = delete_statements(source, keys)
        if statements:
            await self._write(statements)

    async def close(self) -> None:
        if self._connections is not None:
            await self._connections.close()
        if self._driver is not None:
            await self._driver.close()

    async def _fetch(self, sql: str, params: Sequence[Any], loaded: Loaded) -> Answer:
        """Run one SELECT on some connection, once more when the connection was dead."""
        driver, connections = self._open()
        for again in (True, False):
            raw = await self._connect()
            loaded.statements += 1
            try:
                answer = await driver.fetch(raw, sql, params)
            except asyncio.CancelledError:
                connections.drop(raw)
                raise
            except Exception as error:
                if not self._give_back(raw, error) or not again:
                    told = backing_error(error, driver.url)
                    if driver.refused(error):
                        told = _Refused(str(told), driver.impossible(error))
                    raise told from error
            else:
                connections.give(raw)
                return answer
        raise AssertionError("unreachable")

    async def _write(self, statements: Sequence[Statement]) -> None:
        """Run statements in one transaction, not a second time: it may have been committed."""
        driver, connections = self._open()
        raw = await self._connect()
        try:
            await driver.write(raw, statements)
        except asyncio.CancelledError:
            connections.drop(raw)
            raise
        except BackingError:
            connections.give(raw)
            raise
        except Exception as error:
            self._give_back(raw, error)
            raise backing_error(error, driver.url) from error
        connections.give(raw)

    def _open(self) -> tuple[Driver, Connections]:
        if self._driver is None or self._connections is None:
            raise BackingError("the backing is not open")
        return self._driver, self._connections

    async def _connect(self) -> Any:
        driver, connections = self._open()
        try:
            return await connections.take()
        except (BackingError, ConfigError):
            raise
        except Exception as error:
            raise backing_error(error, driver.url) from error

    def _give_back(self, raw: Any, error: Exception) -> bool:
        """Give back a connection after `error`; whether the connection was lost."""
        driver, connections = self._open()
        if driver.lost(raw, error):
            connections.drop(raw)
            connections.drop_idle()
            return True
        connections.give(raw)
        return False


def _read_url(text: str) -> tuple[sa.URL, int]:
    """SQLAlchemy's URL without our own parameters, and the number of connections."""
    try:
        url = sa.make_url(text)
        size = int(str(url.query.get("pool_size", POOL_SIZE)))
        if size < 1:
            raise ValueError(f"pool_size = {size} is not 1 or more")
    except (sa.exc.ArgumentError, ValueError) as error:
        raise ConfigError(f"backing: {error}") from None
    if url.drivername.startswith("postgres:") or url.drivername == "postgres":
        url = url.set(drivername="postgresql")
    return url.difference_update_query(["pool_size"]), size
