"""PostgreSQL through asyncpg: prepared statements, one array for any number of keys.

Many rows are `WHERE key = ANY($1)`: one text, one plan, however many keys. A
configured query runs once a key by LATERAL over the unnested keys; where its
text does not allow that (a parameter in LIMIT), by UNION ALL of copies.

Parameters are typed by the key's pattern: `{id:int}` is a bigint whatever the
column is, so that a number too large for the column finds nothing instead of
failing the statement for all keys. Text keeps the type PostgreSQL infers if it
is a kind of text, and is `text` otherwise.

Columns whose Python value would not mean what the column holds (ranges,
intervals, addresses, points ...) are read as PostgreSQL's own text. Written
values are text that the server parses (`CAST($1::text AS numeric)`), so what it
accepts is what a client may write.

What this file does not do: tables that are not found by their bare name, along
the connection's search_path.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from antecache.server.backing.driver import (
    Answer,
    BoundQuery,
    BoundTable,
    Driver,
    Raw,
    Statement,
)
from antecache.server.backing.patterns import Field
from antecache.server.backing.reflect import Column, Reflected, Table
from antecache.server.backing.sqltext import Query
from antecache.server.backing.statements import UnionQuery
from antecache.server.backing.statements_postgresql import (
    BINDS,
    ArrayTable,
    LateralQuery,
    with_text_columns,
)

#: Types (pg_type.typname) whose value in Python means what the column holds.
NATIVE = frozenset(
    "int2 int4 int8 oid numeric float4 float8 bool text varchar bpchar citext name bytea uuid "
    "json jsonb date time timetz timestamp timestamptz".split()
)
INTEGERS = frozenset({"int2", "int4", "int8"})
TEXTS = frozenset({"text", "varchar", "bpchar", "citext", "name"})

_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS written,
       t.typname AS name, coalesce(e.typname, t.typname) AS element
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_type d ON d.oid = a.atttypid
JOIN pg_type t ON t.oid = CASE d.typtype WHEN 'd' THEN d.typbasetype ELSE d.oid END
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
WHERE pg_table_is_visible(c.oid) AND c.relnamespace <> 'pg_catalog'::regnamespace
  AND c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
"""


class PostgresDriver(Driver):
    """`postgresql://user:password@host/database`; `sslmode` is understood as libpq does."""

    dialect = "postgresql+asyncpg"
    extra = "postgresql"

    def __init__(self, url: sa.URL) -> None:
        settings = dict(url.query)
        self._cache_size = settings.pop("statement_cache_size", None)
        if "sslmode" in settings:  # libpq's name, as in most URLs; asyncpg calls it ssl
            settings["ssl"] = settings.pop("sslmode")
        super().__init__(url.set(query=settings))

    def check(self) -> None:
        """Nothing to check without a server."""

    def connect_args(self) -> dict[str, Any]:
        args: dict[str, Any] = {"timeout": 10, "server_settings": {"application_name": "antecache"}}
        if self._cache_size is not None:  # 0 behind PgBouncer's transaction pooling
            args["statement_cache_size"] = int(str(self._cache_size))
            args["prepared_statement_cache_size"] = int(str(self._cache_size))
        return args

    async def prepare(self, raw: Raw) -> None:
        # asyncpg is in autocommit until a transaction is asked for.
        for name, decode in _DECODERS.items():
            await raw.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=decode)

    async def refine(self, connection: AsyncConnection, found: Reflected) -> None:
        types = {
            (row.relname, row.attname): row for row in await connection.execute(sa.text(_COLUMNS))
        }
        for name, table in found.tables.items():
            columns = tuple(_refined(column, types[name, column.name]) for column in table.columns)
            found.tables[name] = replace(table, columns=columns)

    def bind_table(self, table: Table) -> BoundTable:
        return ArrayTable(table)

    async def bind_query(
        self, connection: AsyncConnection, query: Query, fields: Sequence[Field]
    ) -> BoundQuery:
        raw: Raw = (await connection.get_raw_connection()).driver_connection
        kinds = {field.name: field.kind for field in fields}
        numbers = {name: number for number, name in enumerate(query.names, 1)}

        def numbered(types: dict[str, str]) -> str:
            return query.render(lambda name: f"${numbers[name]}{types[name]}")

        loose = {name: "::bigint" if kinds[name] == "int" else "" for name in query.names}
        try:
            statement = await _prepared(raw, numbered(loose))
            inferred = [parameter.name for parameter in statement.get_parameters()]
        except ValueError:  # perhaps only because nothing says what type they are
            inferred = [""] * len(query.names)
        types = {}
        for name, told in zip(query.names, inferred, strict=True):
            kept = told in TEXTS or told == "uuid" == kinds[name]
            types[name] = "bigint" if kinds[name] == "int" else told if kept else "text"
        casts = {name: f"::{types[name]}" for name in query.names}
        attributes = (await _prepared(raw, numbered(casts))).get_attributes()
        columns = tuple(attribute.name for attribute in attributes)
        for column in columns:
            if columns.count(column) > 1:
                raise ValueError(f"column '{column}' appears twice; rename one with AS")
        native = {
            attribute.name: attribute.type.name.removesuffix("[]") in NATIVE
            for attribute in attributes
        }
        if not all(native.values()):
            query = with_text_columns(query, native)
        names = [field.name for field in fields]
        union = UnionQuery(
            query,
            names,
            query.names,
            lambda copy, name: f"${copy * len(query.names) + numbers[name]}::{types[name]}",
            columns,
            {},
            BINDS,
            "",
        )
        if not query.names:
            return union
        lateral = LateralQuery(union, query, [types[name] for name in query.names], names)
        try:
            await _prepared(raw, lateral.sql)
        except ValueError:
            return union
        return lateral

    async def fetch(self, raw: Raw, sql: str, params: Sequence[Any]) -> Answer:
        rows = await raw.fetch(sql, *params)
        return Answer(tuple(rows[0].keys()) if rows else (), rows)

    async def write(self, raw: Raw, statements: Sequence[Statement]) -> None:
        async with raw.transaction():
            for sql, many, must_hit in statements:
                if must_hit is None:
                    await raw.executemany(sql, many)
                    continue
                for params in many:
                    if (await raw.execute(sql, *params)).endswith(" 0"):
                        raise must_hit

    def usable(self, raw: Raw) -> bool:
        return not raw.is_closed()

    def lost(self, raw: Raw, error: Exception) -> bool:
        import asyncpg

        return raw.is_closed() or isinstance(
            error,
            OSError
            | asyncpg.PostgresConnectionError
            | asyncpg.AdminShutdownError
            | asyncpg.CrashShutdownError
            | asyncpg.CannotConnectNowError,
        )

    def refused(self, error: Exception) -> bool:
        import asyncpg

        return isinstance(error, asyncpg.DataError)  # SQLSTATE class 22

    async def abandon(self, raw: Raw) -> None:
        try:
            await raw.close()  # waits until the server confirms that it cancelled the statement
        finally:
            raw.terminate()


async def _prepared(raw: Raw, sql: str) -> Any:
    """The statement as the server understands it; ValueError with what it has against it."""
    import asyncpg

    try:
        return await raw.prepare(sql)
    except asyncpg.PostgresError as error:
        raise ValueError(str(error).partition("\n")[0]) from None


def _date(text: str) -> Any:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return text


def _moment(text: str) -> Any:
    try:
        moment = dt.datetime.fromisoformat(text)
        return moment.astimezone(dt.UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return text


#: By type, from its text. Whether SQLAlchemy has JSON decoded differs between its versions, and
#: asyncpg fails on dates that Python cannot hold (the year 10000, before Christ) and takes
#: `infinity` for 9999-12-31: one such row would make a load of many fail. They stay text.
_DECODERS: dict[str, Callable[[str], Any]] = {
    "json": msgspec.json.decode,
    "jsonb": msgspec.json.decode,
    "date": _date,
    "timestamp": _moment,
    "timestamptz": _moment,
}


def _refined(column: Column, told: Any) -> Column:
    kind = "int" if told.name in INTEGERS else "str" if told.name in TEXTS else ""
    return replace(
        column,
        kind="uuid" if told.name == "uuid" else kind,
        sql_type=told.written,
        padded=told.name == "bpchar",
        binary=told.name == "bytea",
        as_text=told.element not in NATIVE,
    )
