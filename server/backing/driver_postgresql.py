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
    Values,
)
from antecache.server.backing.patterns import Field
from antecache.server.backing.reflect import Column, Reflected, Table
from antecache.server.backing.sqltext import Query
from antecache.server.backing.statements import UnionQuery

#: Parameters of one statement: a 16-bit number in the protocol, of which asyncpg uses 32,767.
#: Arrays have no such limit; a load of that many keys is one message of a few hundred kB.
BINDS = 32767

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
        return _ArrayTable(table)

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
            query = _as_text(query, native)
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
        lateral = _LateralQuery(union, query, [types[name] for name in query.names], names)
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


class _ArrayTable(BoundTable):
    """A table read by arrays of keys."""

    __slots__ = ("_all", "_columns", "_name", "_one", "_own")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.limit = BINDS
        self._own = [table.columns[place] for place in table.key]
        self._name = _quoted(table.name)
        columns = ", ".join(
            f"t.{_quoted(column.name)}" + (f"::text AS {_quoted(column.name)}" * column.as_text)
            for column in table.columns
        )
        self._one = f"SELECT {columns} FROM {self._name} AS t WHERE {self._where('t.')}"
        if len(self._own) == 1:
            own = self._own[0]
            array = "$1::bigint[]" if own.kind == "int" else "$1"
            where = f"t.{_quoted(own.name)} = ANY({array})"
            self._all = f"SELECT {columns} FROM {self._name} AS t WHERE {where}"
            return
        arrays = ", ".join(f"${n}::{_key_type(own)}[]" for n, own in enumerate(self._own, 1))
        names = ", ".join(f"k{n}" for n in range(len(self._own)))
        equal = " AND ".join(f"t.{_quoted(own.name)} = k.k{n}" for n, own in enumerate(self._own))
        self._all = (
            f"SELECT {columns} FROM unnest({arrays}) AS k({names}) "
            f"JOIN {self._name} AS t ON {equal}"
        )

    def _where(self, table: str = "", first: int = 1) -> str:
        """Equality with the key's values from parameter `first` on."""
        return " AND ".join(
            f"{table}{_quoted(own.name)} = ${n}" + ("::bigint" if own.kind == "int" else "")
            for n, own in enumerate(self._own, first)
        )

    def select(self, keys: Sequence[Values]) -> tuple[str, Sequence[Any]]:
        if len(keys) == 1:
            return self._one, keys[0]
        return self._all, [list(values) for values in zip(*keys, strict=True)]

    def upsert(self, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Statement:
        names = ", ".join(_quoted(column.name) for column in columns)
        own = {column.name for column in self._own}
        values = ", ".join(
            f"${n}::{_key_type(column)}" if column.name in own else _written(column, n)
            for n, column in enumerate(columns, 1)
        )
        overwritten = ", ".join(
            f"{_quoted(column.name)} = excluded.{_quoted(column.name)}"
            for column in columns
            if column.name not in own
        )
        keys = ", ".join(_quoted(column.name) for column in self._own)
        return Statement(
            f"INSERT INTO {self._name} ({names}) OVERRIDING SYSTEM VALUE VALUES ({values}) "
            f"ON CONFLICT ({keys}) "
            + (f"DO UPDATE SET {overwritten}" if overwritten else "DO NOTHING"),
            rows,
        )

    def update(self, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Statement:
        changed = columns[: -len(self._own)]
        assigned = ", ".join(
            f"{_quoted(column.name)} = {_written(column, n)}" for n, column in enumerate(changed, 1)
        )
        where = self._where(first=len(changed) + 1)
        return Statement(f"UPDATE {self._name} SET {assigned} WHERE {where}", rows)

    def delete(self, keys: Sequence[Values]) -> Statement:
        return Statement(f"DELETE FROM {self._name} WHERE {self._where()}", keys)


class _LateralQuery(BoundQuery):
    """A configured query, run for each of the unnested keys in one statement."""

    __slots__ = ("_one", "_picks", "sql")

    def __init__(
        self, one: UnionQuery, query: Query, types: Sequence[str], fields: Sequence[str]
    ) -> None:
        self.columns = one.columns
        self.decode = one.decode
        self.number = 0
        self.limit = BINDS
        self._one = one
        self._picks = [fields.index(name) for name in query.names]
        places = {name: f"antecache_k.p{number}" for number, name in enumerate(query.names)}
        body = query.render(places.__getitem__)
        arrays = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(types, 1))
        names = ", ".join(f"p{number}" for number in range(len(types)))
        self.sql = (
            f"SELECT antecache_k.n - 1 AS antecache_n, antecache_q.* "
            f"FROM unnest({arrays}) WITH ORDINALITY AS antecache_k({names}, n) "
            f"CROSS JOIN LATERAL (\n{body}\n) AS antecache_q"
        )

    def one(self, values: Values) -> tuple[str, Sequence[Any]]:
        return self._one.one(values)

    def many(self, keys: Sequence[Values]) -> tuple[str, Sequence[Any]]:
        return self.sql, [[values[pick] for values in keys] for pick in self._picks]


async def _prepared(raw: Raw, sql: str) -> Any:
    """The statement as the server understands it; ValueError with what it has against it."""
    import asyncpg

    try:
        return await raw.prepare(sql)
    except asyncpg.PostgresError as error:
        raise ValueError(str(error).partition("\n")[0]) from None


def _as_text(query: Query, native: dict[str, bool]) -> Query:
    """The query with the columns that are not native as text."""
    columns = ", ".join(
        f"q.{_quoted(name)}" + ("" if own else f"::text AS {_quoted(name)}")
        for name, own in native.items()
    )
    parts = (f"SELECT {columns} FROM (\n", *query.parts, "\n) AS q")
    return replace(query, parts=parts, ordered=False)


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


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _key_type(column: Column) -> str:
    """The type of a key column in an array: wide enough for any key, and still indexed."""
    if column.kind == "int":
        return "bigint"
    if column.kind == "uuid":
        return "uuid"
    return "bpchar" if column.padded else "text"


def _written(column: Column, number: int) -> str:
    """Parameter `number`, bytes or text, as a value for `column`."""
    if column.binary:
        return f"${number}::bytea"
    text = f"${number}::text"
    if column.kind == "str":  # no cast: one to varchar(5) would cut the text off silently
        return text
    if column.sql_type.endswith("[]"):  # an array is read as JSON, and so written
        elements = f"ARRAY(SELECT jsonb_array_elements_text(CAST({text} AS jsonb)))"
        return f"CASE WHEN {text} IS NULL THEN NULL ELSE CAST({elements} AS {column.sql_type}) END"
    return f"CAST({text} AS {column.sql_type})"


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
