"""The sources of an SQL database: a reflected table, or a query that the config names.

`TableSource` turns a row into the key it belongs to by the row's own primary
key, not by its place in the answer: a database that compares `BOB` and `bob` as
equal returns the row `bob`, which is not the row of the key `users:BOB`.

What this file does not do: talk to the database (`sql.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from antecache.server.backing.base import Backing, Row, Source, SourceOptions, to_bytes
from antecache.server.backing.driver import BoundQuery, BoundTable, Values
from antecache.server.backing.patterns import Field, Pattern
from antecache.server.backing.reflect import Column
from antecache.server.errors import ConfigError

Decoders = Sequence[tuple[int, Callable[[Any], Any]]]


class TableSource(Source):
    """A table whose rows are `name:key`, or what its `match` in the config says."""

    __slots__ = ("_columns", "_decoders", "_fields", "_places", "bound", "pattern")

    def __init__(
        self,
        name: str,
        options: SourceOptions,
        backing: Backing,
        bound: BoundTable,
        pattern: Pattern | None = None,
    ) -> None:
        super().__init__(name, options, backing)
        table = bound.table
        key = [table.columns[place] for place in table.key]
        if pattern is None:
            parts: list[bytes | Field] = [table.name.encode() + b":"]
            for column in key:
                parts += [Field(column.name, column.kind), b":"]
            pattern = Pattern(parts[:-1])
        else:
            pattern = _typed(name, pattern, key)
        self.bound = bound
        self.pattern = pattern
        self._fields = [pattern.names.index(column.name) for column in key]
        self._columns = tuple(column.name for column in table.columns)
        self._decoders: Decoders = [
            (place, column.decode)
            for place, column in enumerate(table.columns)
            if column.decode is not None
        ]
        self._places = [
            (place, column.kind == "int", column.padded)
            for place, column in zip(table.key, key, strict=True)
        ]

    @property
    def prefix(self) -> bytes:
        return self.pattern.prefix

    def match(self, key: bytes) -> Values | None:
        """The primary key's values, in its order; None for a value that no column can hold."""
        values = self.pattern.values(key)
        if values is None:
            return None
        if len(values) > 1:
            values = tuple(values[field] for field in self._fields)
        table = self.bound.table
        for place, value in zip(table.key, values, strict=True):
            length = table.columns[place].length
            if length and isinstance(value, str) and len(value) > length:
                return None
        return values

    def key_of(self, raw: Sequence[Any]) -> Values:
        """The primary key's values of a row as the driver gave it, as `match` gives them."""
        return tuple(
            raw[place]
            if is_int
            else (str(raw[place]).rstrip(" ") if is_padded else str(raw[place]))
            for place, is_int, is_padded in self._places
        )

    def row(self, raw: Sequence[Any]) -> Row:
        """The row as it is cached."""
        return Row(self._columns, _decoded(raw, self._decoders))


class QuerySource(Source):
    """Keys whose value is what a query yields.

    as_  `json` (all rows), `hash`, `row` or `column:NAME` (the first row)
    """

    __slots__ = ("_as", "_column", "_columns", "_decoders", "bound", "pattern")

    def __init__(
        self,
        name: str,
        options: SourceOptions,
        backing: Backing,
        bound: BoundQuery,
        pattern: Pattern,
        as_: str,
    ) -> None:
        super().__init__(name, options, backing)
        self.bound = bound
        self.pattern = pattern
        self._as, _, self._column = as_.partition(":")
        self._columns: tuple[str, ...] = ()
        self._decoders: Decoders = ()
        self._learn(bound.columns)
        if self._column and self._column not in bound.columns:
            known = ", ".join(bound.columns)
            raise ConfigError(f"source '{name}': as = '{as_}': the query's columns are {known}")

    def _learn(self, columns: tuple[str, ...]) -> None:
        self._columns = columns
        self._decoders = [
            (place, self.bound.decode[column])
            for place, column in enumerate(columns)
            if column in self.bound.decode
        ]

    @property
    def prefix(self) -> bytes:
        return self.pattern.prefix

    def match(self, key: bytes) -> Values | None:
        return self.pattern.values(key)

    def value(
        self, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
    ) -> Row | bytes | dict[bytes, bytes] | None:
        """What a key with these rows is cached as; None when it is absent."""
        if rows and columns != self._columns:  # `select *` of a table that was altered
            self._learn(columns)
        if self._as == "json":
            return b"[" + b",".join(self._row(raw).json() for raw in rows) + b"]"
        if not rows:
            return None
        row = self._row(rows[0])
        if self._as == "row":
            return row
        if self._as == "hash":
            return row.fields() or None
        value = row.values[row.columns.index(self._column)] if self._column in row.columns else None
        return None if value is None else to_bytes(value)

    def _row(self, raw: Sequence[Any]) -> Row:
        return Row(self._columns, _decoded(raw, self._decoders))


def _typed(name: str, pattern: Pattern, key: Sequence[Column]) -> Pattern:
    """The pattern of a table's `match`, its fields typed as the key's columns are."""
    if set(pattern.names) != {column.name for column in key}:
        raise ConfigError(
            f"source '{name}': `match` must have the fields "
            + ", ".join(f"'{column.name}'" for column in key)
        )
    kinds = {column.name: column.kind for column in key}
    parts: list[bytes | Field] = []
    for part in pattern.parts:
        if isinstance(part, Field) and part.kind != kinds[part.name]:
            if part.kind == "str":  # nothing said
                part = Field(part.name, kinds[part.name])
            elif (part.kind, kinds[part.name]) != ("path", "str"):
                raise ConfigError(
                    f"source '{name}': '{part.name}' is {kinds[part.name]} in the table, "
                    f"{part.kind} in `match`"
                )
        parts.append(part)
    return Pattern(parts)


def _decoded(raw: Sequence[Any], decoders: Decoders) -> tuple[Any, ...]:
    if not decoders:
        return tuple(raw)
    values = list(raw)
    for place, decode in decoders:
        if values[place] is not None:
            values[place] = decode(values[place])
    return tuple(values)


def split_rows(rows: Sequence[Sequence[Any]], count: int, number: int) -> list[list[Sequence[Any]]]:
    """The rows of `BoundQuery.many` by the key's number, without it; `number` is its place."""
    split: list[list[Sequence[Any]]] = [[] for _ in range(count)]
    for row in rows:
        split[row[number]].append(row[:-1] if number else row[1:])
    return split
