"""SQL that the dialects with positional parameters share: SQLite and MariaDB or MySQL.

Reading many rows of a table is `WHERE key IN (?, ?, ...)`, the list padded to a
power of two by repeating its last value, so that the database sees few texts
and keeps their plans. A configured query is asked for many keys by UNION ALL of
bound copies, each a sub-select with the number of its key in front, which keeps
a LIMIT or ORDER BY inside. Copies are not padded: each would be run.

What this file does not do: know what a parameter or an upsert looks like in a
dialect (the drivers), or which values are asked for (`sqlsources.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from antecache.server.backing.driver import (
    BoundQuery,
    BoundTable,
    Statement,
    Values,
    padded,
)
from antecache.server.backing.reflect import Column, Table
from antecache.server.backing.sqltext import Query

#: Copies of a query in one statement. SQLite allows 500 terms; parsing grows with each.
COPIES = 64


class PositionalTable(BoundTable):
    """A table by `quote` and one `place` for every parameter; `conflict` ends an upsert.

    conflict(columns) is what follows VALUES (...): the columns to overwrite are
    given quoted. With `joined`, several composite keys are joined with the table:
    SQLite scans the whole table for `(a, b) IN (VALUES ...)` with more than one row.
    """

    __slots__ = ("_conflict", "_joined", "_keys", "_name", "_place", "_quote", "_select", "_sizes")

    def __init__(
        self,
        table: Table,
        limit: int,
        quote: Callable[[str], str],
        place: str,
        joined: bool,
        conflict: Callable[[Sequence[str], Sequence[str]], str],
    ) -> None:
        self.table = table
        self.limit = limit // len(table.key)
        self._quote = quote
        self._place = place
        self._joined = joined
        self._conflict = conflict
        self._name = quote(table.name)
        self._keys = [quote(table.columns[place].name) for place in table.key]
        columns = ", ".join(f"{self._name}.{quote(column.name)}" for column in table.columns)
        self._select = f"SELECT {columns} FROM "
        self._sizes: dict[int, str] = {}

    def select(self, keys: Sequence[Values]) -> tuple[str, Sequence[Any]]:
        size = padded(len(keys), self.limit)
        sql = self._sizes.get(size)
        if sql is None:
            sql = self._sizes[size] = self._select + self._from(size)
        params = list(chain.from_iterable(keys))
        params.extend(chain.from_iterable([keys[-1]] * (size - len(keys))))
        return sql, params

    def _where(self, size: int) -> str:
        if size == 1:
            return " AND ".join(f"{key} = {self._place}" for key in self._keys)
        if len(self._keys) == 1:
            return f"{self._keys[0]} IN ({', '.join([self._place] * size)})"
        one = f"({', '.join([self._place] * len(self._keys))})"
        return f"({', '.join(self._keys)}) IN ({', '.join([one] * size)})"

    def _from(self, size: int) -> str:
        if size == 1 or len(self._keys) == 1 or not self._joined:
            return f"{self._name} WHERE {self._where(size)}"
        one = f"({', '.join([self._place] * len(self._keys))})"
        equal = " AND ".join(
            f"{self._name}.{key} = wanted.column{number}"
            for number, key in enumerate(self._keys, 1)
        )
        wanted = f"(VALUES {', '.join([one] * size)}) AS wanted"
        # CROSS JOIN keeps the order: for each wanted key one look-up in the index.
        return f"{wanted} CROSS JOIN {self._name} ON {equal}"

    def upsert(self, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Statement:
        names = [self._quote(column.name) for column in columns]
        overwritten = [name for name in names if name not in self._keys]
        return Statement(
            f"INSERT INTO {self._name} ({', '.join(names)}) "
            f"VALUES ({', '.join([self._place] * len(names))}) "
            + self._conflict(self._keys, overwritten),
            rows,
        )

    def update(self, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Statement:
        names = [self._quote(column.name) for column in columns][: -len(self._keys)]
        assigned = ", ".join(f"{name} = {self._place}" for name in names)
        return Statement(f"UPDATE {self._name} SET {assigned} WHERE {self._where(1)}", rows)

    def delete(self, keys: Sequence[Values]) -> Statement:
        return Statement(f"DELETE FROM {self._name} WHERE {self._where(1)}", keys)


class UnionQuery(BoundQuery):
    """A configured query, asked for many keys by UNION ALL.

    names    the parameters of one copy, in the order in which they are bound
    place    the text of a parameter: of which copy (0 ...), and its name
    picks    for each of `names`, the position of its value among the key's fields
    endless  what ends a query that has an ORDER BY and no LIMIT: without a limit a database may
             drop the order of a sub-select
    inline   whether the number is added to the query's own columns where its text allows, each
             copy in parentheses: MariaDB writes a sub-select with text columns to a file first
             (8 copies: 10 ms so, 0.3 ms inline)
    """

    __slots__ = ("_copies", "_endless", "_inline", "_one", "_picks", "_place", "_query", "_text")

    def __init__(
        self,
        query: Query,
        fields: Sequence[str],
        names: Sequence[str],
        place: Callable[[int, str], str],
        columns: tuple[str, ...],
        decode: Mapping[str, Any],
        limit: int,
        endless: str,
        text: Callable[[str], str] = str,
        inline: bool = False,
    ) -> None:
        self.columns = columns
        self.decode = decode
        self.limit = max(1, min(COPIES, limit // max(1, len(names))))
        self._query = query
        self._place = place
        self._picks = [fields.index(name) for name in names]
        self._endless = endless if query.ordered else ""
        self._text = text
        self._inline = inline and query.extensible
        self.number = -1 if self._inline else 0
        self._one = query.render(lambda name: place(0, name), text)
        self._copies: list[str] = []

    def one(self, values: Values) -> tuple[str, Sequence[Any]]:
        return self._one, [values[pick] for pick in self._picks]

    def many(self, keys: Sequence[Values]) -> tuple[str, Sequence[Any]]:
        for number in range(len(self._copies), len(keys)):
            self._copies.append(self._copy(number))
        params = [values[pick] for values in keys for pick in self._picks]
        return "\nUNION ALL\n".join(self._copies[: len(keys)]), params

    def _copy(self, number: int) -> str:
        column = f"{number} AS antecache_n" if self._inline else ""
        body = self._query.render(lambda name: self._place(number, name), self._text, column)
        if self._inline:
            return f"({body}{self._endless}\n)"
        return (
            f"SELECT {number} AS antecache_n, antecache_q.* "
            f"FROM (\n{body}{self._endless}\n) AS antecache_q"
        )
