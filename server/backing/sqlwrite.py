"""What is written: rows by key, turned into statements for one table.

Values are bytes, text or what the columns hold; they reach the driver as bytes
or text, and the database parses them, so that what it accepts is what a client
may write. A row that lacks a column which a new row must have can only update
the row that is there.

What this file does not do: run anything (`sql.py`), or know a dialect.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from antecache.server.backing.base import BackingError, Source, to_bytes
from antecache.server.backing.driver import Statement
from antecache.server.backing.reflect import Column, Table
from antecache.server.backing.sqlsources import TableSource


def put_statements(source: Source, rows: Mapping[bytes, Mapping[str, Any]]) -> list[Statement]:
    """Insert or update `rows`: one statement for all rows with the same columns.

    Raises BackingError for a column that does not exist, a key column that
    differs from the key, or bytes that are no text for a column of text.
    """
    owner = _writable(source)
    table = owner.bound.table
    groups: dict[tuple[str, ...], list[tuple[bytes, list[Any]]]] = defaultdict(list)
    for key, row in rows.items():
        names, values = _to_write(owner, table, key, row)
        groups[names].append((key, values))
    needed = {column.name for column in table.columns if column.required}
    statements: list[Statement] = []
    for names, group in groups.items():
        columns = [_column(table, name) for name in names]
        missing = needed - set(names)
        if not missing:
            statements.append(owner.bound.upsert(columns, [values for _, values in group]))
            continue
        for key, values in group:  # one by one: which of them was not there matters
            absent = BackingError(
                f"source '{source.name}': {key!r} is not there, and a new row needs "
                + ", ".join(sorted(missing))
            )
            update = owner.bound.update(columns, [values])
            statements.append(update._replace(must_hit=absent))
    return statements


def delete_statements(source: Source, keys: Sequence[bytes]) -> list[Statement]:
    """Delete the rows of `keys`; those that the source does not own are left out."""
    owner = _writable(source)
    values = [values for key in keys if (values := source.match(key)) is not None]
    return [owner.bound.delete(values)] if values else []


def _writable(source: Source) -> TableSource:
    if not isinstance(source, TableSource):
        raise BackingError(f"source '{source.name}' cannot be written")
    return source


def _column(table: Table, name: str) -> Column:
    for column in table.columns:
        if column.name == name:
            return column
    raise BackingError(f"table '{table.name}' has no column '{name}'")


def _to_write(
    source: Source, table: Table, key: bytes, row: Mapping[str, Any]
) -> tuple[tuple[str, ...], list[Any]]:
    """The columns to write and their values: those of `row`, then the key's."""
    values = source.match(key)
    if values is None:
        raise BackingError(f"source '{source.name}' does not own the key")
    own = [table.columns[place].name for place in table.key]
    names, written = [], []
    for name, value in row.items():
        column = _column(table, name)
        if name in own:
            if value is None or to_bytes(value) != to_bytes(values[own.index(name)]):
                raise BackingError(f"column '{name}' differs from the key")
        elif not column.computed:
            names.append(name)
            written.append(_plain(column, value))
    return (*names, *own), [*written, *values]


def _plain(column: Column, value: Any) -> Any:
    """A value as the drivers bind it: bytes for binary columns, else text; None for NULL."""
    if value is None:
        return None
    data = to_bytes(value)
    if column.binary:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BackingError(f"column '{column.name}' takes text, not bytes") from None
