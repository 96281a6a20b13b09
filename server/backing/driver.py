"""What a database's driver must do for `sql.py`: the contract, one dialect a file.

SQLAlchemy understands the URL, connects and reflects. Rows are read through
the driver's own connection, because that is what a miss waits for: one row from
SQLite takes 95 µs here and 330 µs through `AsyncConnection.exec_driver_sql` (500
with a checkout from SQLAlchemy's pool).

What this file does not do: hold connections (`connections.py`) or know sources.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from antecache.server.backing.base import BackingError, BackingTimeout
from antecache.server.backing.patterns import Field
from antecache.server.backing.reflect import Column, Reflected, Table, reflect, settle
from antecache.server.backing.sqltext import Query
from antecache.server.errors import ConfigError

#: A driver's connection: aiosqlite, asyncpg or asyncmy share no type.
Raw = Any
Values = tuple[Any, ...]  # of a key's fields


class Answer(NamedTuple):
    """The rows of a statement; `columns` may be empty when there is none."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


class Statement(NamedTuple):
    """SQL that changes rows, run once for each of `many`.

    must_hit  what to raise when a run changes no row; None when that is fine
    """

    sql: str
    many: Sequence[Sequence[Any]]
    must_hit: BackingError | None = None


class BoundQuery(ABC):
    """A configured query, checked by the database, that can be asked for many keys at once.

    columns  its columns, in order
    decode   what to apply to the values of a column, by its name
    limit    keys in one statement
    number   where `many` puts the key's number: 0 for the first column, -1 for the last
    """

    __slots__ = ("columns", "decode", "limit", "number")

    columns: tuple[str, ...]
    decode: Mapping[str, Any]
    limit: int
    number: int

    @abstractmethod
    def one(self, values: Values) -> tuple[str, Sequence[Any]]:
        """The statement for one key: its rows in the query's order."""

    @abstractmethod
    def many(self, keys: Sequence[Values]) -> tuple[str, Sequence[Any]]:
        """The statement for many keys: rows have one column more, the key's number, from 0.

        They come in any order of the numbers, and in the query's order among
        those of one number.
        """


class BoundTable(ABC):
    """A reflected table, ready to be read and written by primary key."""

    __slots__ = ("limit", "table")

    table: Table
    limit: int  # keys in one statement

    @abstractmethod
    def select(self, keys: Sequence[Values]) -> tuple[str, Sequence[Any]]:
        """The statement that reads the rows of `keys`, all columns, in any order."""

    @abstractmethod
    def upsert(self, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Statement:
        """Insert or update whole rows; the values are in the order of `columns`."""

    @abstractmethod
    def update(self, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Statement:
        """Update; `columns` (and each row) end with the key's columns."""

    @abstractmethod
    def delete(self, keys: Sequence[Values]) -> Statement:
        """Delete the rows of `keys`."""


class Driver(ABC):
    """One database through its asyncio driver. `url` is checked, then kept for connecting."""

    dialect: ClassVar[str]  #: SQLAlchemy's `dialect+driver`
    extra: ClassVar[str] = ""  #: the optional dependency that brings the driver

    def __init__(self, url: sa.URL) -> None:
        self.url = url.set(drivername=self.dialect)
        self._engine: AsyncEngine | None = None

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine, made at the first use; ConfigError when the driver is missing."""
        if self._engine is None:
            try:
                self._engine = create_async_engine(
                    self.url,
                    poolclass=sa.NullPool,
                    isolation_level="AUTOCOMMIT",
                    connect_args=self.connect_args(),
                )
            except ModuleNotFoundError as error:
                extra = f"[{self.extra}]" if self.extra else ""
                raise ConfigError(
                    f"{self.url.get_backend_name()} needs the module '{error.name}': "
                    f"pip install antecache{extra}"
                ) from error
            except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
                raise ConfigError(f"backing: {error}") from None
        return self._engine

    async def close(self) -> None:
        """Let go of SQLAlchemy's engine."""
        if self._engine is not None:
            await self._engine.dispose()

    async def connect(self) -> Raw:
        """A connection of the driver, detached from SQLAlchemy, ready for `fetch`."""
        fairy = await self.engine.raw_connection()
        raw = fairy.driver_connection
        fairy.detach()
        try:
            await self.prepare(raw)
        except BaseException:
            await self.abandon(raw)
            raise
        return raw

    async def reflect(self, connection: AsyncConnection) -> Reflected:
        """The tables of the default schema."""
        found = await connection.run_sync(reflect)
        await self.refine(connection, found)
        settle(found)
        return found

    # What the dialects fill in.

    @abstractmethod
    def check(self) -> None:
        """Raise BackingError or ConfigError for a URL that cannot work, before connecting."""

    @abstractmethod
    def connect_args(self) -> dict[str, Any]:
        """Arguments for the driver's connect."""

    @abstractmethod
    async def prepare(self, raw: Raw) -> None:
        """Set up a new connection: autocommit, decoding."""

    @abstractmethod
    async def refine(self, connection: AsyncConnection, found: Reflected) -> None:
        """Correct what SQLAlchemy reflected where it says too little."""

    @abstractmethod
    def bind_table(self, table: Table) -> BoundTable:
        """The statements of a table."""

    @abstractmethod
    async def bind_query(
        self, connection: AsyncConnection, query: Query, fields: Sequence[Field]
    ) -> BoundQuery:
        """Have the database check the query; ValueError with what it says against it.

        `fields` are the parameters' fields of the key, in the order of the key.
        """

    @abstractmethod
    async def fetch(self, raw: Raw, sql: str, params: Sequence[Any]) -> Answer:
        """Run a SELECT."""

    @abstractmethod
    async def write(self, raw: Raw, statements: Sequence[Statement]) -> None:
        """Run statements in one transaction.

        After an error nothing is changed, and the connection may be used again.
        """

    @abstractmethod
    def usable(self, raw: Raw) -> bool:
        """Whether an idle connection looks alive; costs no round trip."""

    @abstractmethod
    def lost(self, raw: Raw, error: Exception) -> bool:
        """Whether `error` means that the connection is gone, so that another may succeed."""

    @abstractmethod
    def refused(self, error: Exception) -> bool:
        """Whether `error` is about a value of one key, so that the other keys may succeed."""

    def impossible(self, error: Exception) -> bool:
        """Whether a refused value is one that no row of a table can have in its key."""
        return False

    @abstractmethod
    async def abandon(self, raw: Raw) -> None:
        """Stop what runs on the connection, in the database too, and close it."""


def padded(count: int, limit: int) -> int:
    """The power of two that holds `count`, at most `limit`: few texts, so plans are reused."""
    return min(1 << (count - 1).bit_length(), limit)


def one_line(error: BaseException, url: sa.URL) -> str:
    """The first line of what a driver says, without SQL and without the password."""
    told: BaseException = error
    if isinstance(error, sa.exc.DBAPIError) and error.orig is not None:
        told = error.orig
    while told.__cause__ is not None and isinstance(error, sa.exc.DBAPIError):
        told = told.__cause__  # SQLAlchemy's emulated DBAPI error hides the driver's own
    words = told.args[1] if len(told.args) == 2 and isinstance(told.args[0], int) else told
    lines = str(words).strip().splitlines()  # (number, text): asyncmy, and OSError
    text = lines[0] if lines else type(told).__name__
    for secret in filter(None, {url.password, url.render_as_string(hide_password=False)}):
        text = text.replace(str(secret), "***")
    return text


def backing_error(error: BaseException, url: sa.URL) -> BackingError:
    """`error` as what a client may see: the database's name, then its own words."""
    if isinstance(error, TimeoutError):
        return BackingTimeout(f"{url.get_backend_name()}: no answer")
    return BackingError(f"{url.get_backend_name()}: {one_line(error, url)}")
