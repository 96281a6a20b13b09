"""SQLite through aiosqlite: a thread a connection, so several read at once.

The file must exist: it is opened with `mode=rw`, which never creates one (and
falls back to reading when the file may not be written). SQLite stores what it
is given, so decimals, booleans, dates and JSON are decoded by the *declared*
type of the column; the columns of a configured query get theirs from a temporary
view of it, which also has SQLite check the query when the backing opens.

What this file does not do: `:memory:` (no one else could put rows there).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote as url_quote

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from antecache.server.backing.base import BackingError
from antecache.server.backing.driver import Answer, BoundQuery, BoundTable, Driver, Raw, Statement
from antecache.server.backing.patterns import Field
from antecache.server.backing.reflect import Column, Reflected, Table
from antecache.server.backing.sqltext import Param, Query
from antecache.server.backing.statements import PositionalTable, UnionQuery
from antecache.server.errors import ConfigError

#: SQLITE_MAX_VARIABLE_NUMBER: 999 before 3.32, 32,766 since (sqlite.org/limits.html, 9).
BINDS = 32766 if sqlite3.sqlite_version_info >= (3, 32) else 999

#: How SQLite's errors about values begin; they have no code of their own.
_REFUSALS = ("integer overflow", "malformed JSON", "bad JSON path", "datatype mismatch")

_VIEW = "antecache_query"
_RENAMED = re.compile(r"(.+):\d+", re.DOTALL)  # how SQLite tells equal names of a sub-select apart

#: What stands for a parameter while the columns of a query are asked for.
_SAMPLES = {"int": "1", "str": "''", "path": "''", "uuid": "''"}


class SqliteDriver(Driver):
    """`sqlite:///relative.db`, `sqlite:////absolute.db`; `?mode=ro` and other URI parameters."""

    dialect = "sqlite+aiosqlite"

    def __init__(self, url: sa.URL) -> None:
        name = url.database or ""
        if name.startswith("file:"):
            super().__init__(url.update_query_dict({"uri": "true"}))
            self._path = None
        else:
            self._path = Path(name) if name and name != ":memory:" else None
            uri = "file:" + url_quote(str(Path(name).absolute()))
            query = {"mode": "rw", **url.query, "uri": "true"}
            super().__init__(url.set(database=uri, query=query))
        if not name or ":memory:" in name or url.query.get("mode") == "memory":
            raise ConfigError("sqlite: a database in memory has no rows; name a file")

    def check(self) -> None:
        if self._path is not None and not self._path.is_file():
            raise BackingError(f"sqlite: there is no file '{self._path}'")

    def connect_args(self) -> dict[str, Any]:
        return {"isolation_level": None, "cached_statements": 512}

    async def prepare(self, raw: Raw) -> None:
        raw.row_factory = sqlite3.Row  # names the columns without another trip to the thread

    async def refine(self, connection: AsyncConnection, found: Reflected) -> None:
        for name, table in found.tables.items():
            declared = await _declared(connection, "main", name)
            columns = [_refined(column, declared[column.name]) for column in table.columns]
            found.tables[name] = replace(table, columns=tuple(columns))

    def bind_table(self, table: Table) -> BoundTable:
        return PositionalTable(table, BINDS, _quoted, "?", True, _conflict)

    async def bind_query(
        self, connection: AsyncConnection, query: Query, fields: Sequence[Field]
    ) -> BoundQuery:
        kinds = {field.name: field.kind for field in fields}
        sample = query.render(lambda name: _SAMPLES[kinds[name]])
        try:
            await connection.exec_driver_sql(f"CREATE TEMP VIEW {_VIEW} AS {sample}")
            try:
                declared = await _declared(connection, "temp", _VIEW)
            finally:
                await connection.exec_driver_sql(f"DROP VIEW temp.{_VIEW}")
        except sa.exc.DBAPIError as error:
            raise ValueError(str(error.orig).partition("\n")[0]) from None
        columns = tuple(declared)
        for column in columns:
            renamed = _RENAMED.fullmatch(column)
            if renamed and renamed[1] in declared:
                raise ValueError(f"column '{renamed[1]}' appears twice; rename one with AS")
        return UnionQuery(
            query,
            [field.name for field in fields],
            [part.name for part in query.parts if isinstance(part, Param)],
            lambda _copy, _name: "?",
            columns,
            {name: decode for name in columns if (decode := decoder(declared[name]))},
            BINDS,
            "\nLIMIT -1",
        )

    async def fetch(self, raw: Raw, sql: str, params: Sequence[Any]) -> Answer:
        try:
            rows = await raw.execute_fetchall(sql, params)
        except sqlite3.OperationalError as error:
            if not str(error).startswith("Could not decode to UTF-8"):
                raise
            raw.text_factory = _text  # slower, so only once such a row was met
            rows = await raw.execute_fetchall(sql, params)
        return Answer(tuple(rows[0].keys()) if rows else (), rows)

    async def write(self, raw: Raw, statements: Sequence[Statement]) -> None:
        await raw.execute_fetchall("BEGIN IMMEDIATE")
        try:
            for sql, many, must_hit in statements:
                cursor = await raw.executemany(sql, many)
                if must_hit is not None and cursor.rowcount < len(many):
                    raise must_hit
                await cursor.close()
            await raw.execute_fetchall("COMMIT")
        except Exception:
            if raw.in_transaction:
                await raw.execute_fetchall("ROLLBACK")
            raise

    def usable(self, raw: Raw) -> bool:
        return True

    def lost(self, raw: Raw, error: Exception) -> bool:
        return isinstance(error, ValueError) and str(error) in (
            "Connection closed",
            "no active connection",
        )

    def refused(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.Error) and str(error).startswith(_REFUSALS)

    async def abandon(self, raw: Raw) -> None:
        closing = asyncio.ensure_future(raw.close())  # it waits behind the statement
        while not closing.done():
            with suppress(ValueError):  # closed meanwhile
                await raw.interrupt()  # in vain if the statement has not begun: so again
            await asyncio.wait({closing}, timeout=0.05)
        closing.result()


def _text(data: bytes) -> str | bytes:
    """Text, or the bytes that somebody stored as text."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def decoder(declared: str) -> Callable[[Any], Any] | None:
    """What to apply to the values of a column by its declared type; None for nothing.

    Values that are not of that type stay as they are: SQLite lets anything in.
    """
    name, _, rest = declared.upper().partition("(")
    name = name.strip()
    if name in ("DECIMAL", "NUMERIC", "NUMBER", "MONEY"):
        scale = rest.rstrip(") ").partition(",")[2].strip()
        return _decimal(int(scale) if scale.isdigit() else None)
    return _DECODERS.get(name)


def _decimal(scale: int | None) -> Callable[[Any], Any]:
    def decode(value: Any) -> Any:
        if type(value) is int or type(value) is float:
            return Decimal(repr(value) if scale is None else f"{value:.{scale}f}")
        return value

    return decode


def _boolean(value: Any) -> Any:
    return bool(value) if value in (0, 1) else value


def _datetime(value: Any) -> Any:
    try:
        return dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value


def _json(value: Any) -> Any:
    try:
        return msgspec.json.decode(value)
    except (TypeError, msgspec.DecodeError):
        return value


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "BOOLEAN": _boolean,
    "BOOL": _boolean,
    "DATETIME": _datetime,  # '2024-05-01 10:00:00': dates and times are in ISO form as they are
    "TIMESTAMP": _datetime,
    "JSON": _json,
    "JSONB": _json,
}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _conflict(keys: Sequence[str], columns: Sequence[str]) -> str:
    if not columns:
        return f"ON CONFLICT ({', '.join(keys)}) DO NOTHING"
    assigned = ", ".join(f"{name} = excluded.{name}" for name in columns)
    return f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {assigned}"


async def _declared(connection: AsyncConnection, schema: str, table: str) -> dict[str, str]:
    """The declared types of a table's or view's columns, in order."""
    result = await connection.exec_driver_sql(
        "SELECT name, type FROM pragma_table_xinfo(?, ?) ORDER BY cid", (table, schema)
    )
    return {str(row.name): str(row.type) for row in result}


def _refined(column: Column, declared: str) -> Column:
    kind = column.kind
    if not kind and not column.binary:
        kind = "str"  # compared as text, and the row's own key decides: see TableSource.key_of
    return replace(column, kind=kind, decode=decoder(declared), sql_type=declared)
