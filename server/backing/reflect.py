"""What a database says about its tables, reduced to what reading and writing rows needs.

A table is a source when it has a primary key whose columns are integers, text
or UUIDs; the others are listed with the reason, so that the log can say why
`events:1` is an ordinary Redis key.

What this file does not do: build SQL (the drivers), or run at any other time
than when the backing opens.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn

from antecache.server.backing.base import Link

#: Kinds of key fields (`patterns.py`) by SQL type; checked in this order.
KEY_TYPES: tuple[tuple[type[Any], str], ...] = (
    (sa.Integer, "int"),
    (sa.Uuid, "uuid"),
    (sa.String, "str"),
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    kind      of a key field: `int`, `str` or `uuid`; "" when it cannot be part of a key
    sql_type  its SQL type, as written in a CAST
    length    characters at most, where the database enforces it; 0 otherwise
    padded    whether the database pads its values with spaces (CHAR(n) in PostgreSQL)
    binary    whether it holds bytes
    required  whether a new row must give it: NOT NULL, and no default
    computed  whether it cannot be written
    as_text   whether it is read as the database's own text of it
    decode    applied to values that are not NULL; None where the driver's values are right
    """

    name: str
    kind: str
    sql_type: str
    length: int = 0
    padded: bool = False
    binary: bool = False
    required: bool = False
    computed: bool = False
    as_text: bool = False
    decode: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its columns in order; `key` are the positions of the primary key's columns."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[int, ...]


@dataclass(slots=True)
class Reflected:
    """What was found: tables that are sources, their foreign keys, and why others are none."""

    tables: dict[str, Table] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def reflect(connection: sa.Connection) -> Reflected:
    """Read the tables of the default schema that have a primary key, and all foreign keys.

    Runs inside `AsyncConnection.run_sync`. `settle` decides which tables are
    sources, once the driver has corrected what SQLAlchemy says of the columns.
    """
    found = Reflected()
    inspector = sa.inspect(connection)
    with warnings.catch_warnings():  # of types SQLAlchemy does not know; they are read all the same
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        columns = inspector.get_multi_columns()
        keys = inspector.get_multi_pk_constraint()
        foreign = inspector.get_multi_foreign_keys()
    for where in sorted(columns, key=lambda where: where[1]):
        name = where[1]
        read = tuple(_column(column, connection.dialect) for column in columns[where])
        places = {column.name: place for place, column in enumerate(read)}
        constraint = keys.get(where)
        names = constraint["constrained_columns"] if constraint else []
        key = tuple(places[own] for own in names)
        if key:
            found.tables[name] = Table(name, read, key)
        else:
            found.skipped[name] = "it has no primary key"
    for (_, name), constraints in sorted(foreign.items(), key=lambda item: item[0][1]):
        for foreign_key in constraints:
            pairs = zip(
                foreign_key["constrained_columns"], foreign_key["referred_columns"], strict=False
            )
            target = foreign_key["referred_table"]
            found.links += [Link(name, column, target, other) for column, other in pairs]
    return found


def settle(found: Reflected) -> None:
    """Keep only tables whose keys can be written as text, and the links among them."""
    for name, table in list(found.tables.items()):
        for place in table.key:
            column = table.columns[place]
            if not column.kind:
                found.skipped[name] = (
                    f"its primary key '{column.name}' is neither an integer nor text nor a UUID"
                )
                found.tables.pop(name, None)
    found.links = [
        link
        for link in found.links
        if link.table in found.tables and link.target_table in found.tables
    ]


def _column(column: ReflectedColumn, dialect: sa.Dialect) -> Column:
    type_ = column["type"]
    kind = next((kind for cls, kind in KEY_TYPES if isinstance(type_, cls)), "")
    if isinstance(type_, sa.Enum):  # an Enum is a String to SQLAlchemy, not to PostgreSQL
        kind = "" if dialect.name == "postgresql" else "str"
    try:
        sql_type = type_.compile(dialect=dialect)
    except sa.exc.SQLAlchemyError:  # a type SQLAlchemy does not know
        sql_type = ""
    enforced = dialect.name != "sqlite" and isinstance(type_, sa.String)
    computed = column.get("computed") is not None
    identity = column.get("identity")
    return Column(
        name=column["name"],
        kind=kind,
        sql_type=sql_type,
        length=(getattr(type_, "length", None) or 0) if enforced else 0,
        padded=dialect.name == "postgresql" and isinstance(type_, sa.CHAR),
        binary=_is_binary(type_),
        required=not (
            column["nullable"]
            or column.get("default") is not None
            or computed
            or identity is not None
            or column.get("autoincrement") is True
        ),
        computed=computed,
    )


def _is_binary(type_: sa.types.TypeEngine[Any]) -> bool:
    try:
        return type_.python_type is bytes
    except NotImplementedError:  # a type SQLAlchemy does not know
        return False
