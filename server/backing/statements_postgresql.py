"""SQL for PostgreSQL: arrays of keys, LATERAL, and values that the server parses.

Many rows are `WHERE key = ANY($1)`, or a join with `unnest($1, $2)` for keys of
several columns. A configured query runs once for each of the unnested keys by
LATERAL. Written values are bytes or text, cast to the column's type.

What this file does not do: talk to the server (`driver_postgresql.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from antecache.server.backing.driver import BoundQuery, BoundTable, Statement, Values
from antecache.server.backing.reflect import Column, Table
from antecache.server.backing.sqltext import Query
from antecache.server.backing.statements import UnionQuery

#: Parameters of one statement: a 16-bit number in the protocol, of which asyncpg uses 32,767.
#: Arrays have no such limit; a load of that many keys is one message of a few hundred kB.
BINDS = 32767


class ArrayTable(BoundTable):
    """A table read by arrays of keys."""

    __slots__ = ("_all", "_name", "_one", "_own")

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


class LateralQuery(BoundQuery):
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


def with_text_columns(query: Query, native: Mapping[str, bool]) -> Query:
    """The query with the columns that are not native as text."""
    columns = ", ".join(
        f"q.{_quoted(name)}" + ("" if own else f"::text AS {_quoted(name)}")
        for name, own in native.items()
    )
    parts = (f"SELECT {columns} FROM (\n", *query.parts, "\n) AS q")
    return replace(query, parts=parts, ordered=False)


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
