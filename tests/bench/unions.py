"""`python tests/bench/unions.py`: is one statement that reads several tables worth it?

A miss whose riders live in other tables sends a statement to each of those, beside its
own. They could be one:

    union    a UNION ALL whose rows are JSON texts, each with the number of its table
    scalars  a SELECT of scalar sub-selects, each the rows of a table as one JSON array
    wide     a UNION ALL of the columns of all tables side by side, NULL where a row is none
             of theirs: values keep their types

This measures them against separate statements, for two to four tables of rows of ten
columns and about 1 kB, and one to eight keys of each, through antecache's drivers.

    first    until the rows of the first table, for which a client waits, are there, in µs
    all      until the others are there too
    client   CPU of this process, with what makes a dictionary of a row, which both need
    database CPU of the server; SQLite has none, it is in `client`
    new      as `all`, of a text that no driver or database has met: tables come together in
             many ways (of 29, in 850 within 300,000 reads of an application), and more texts
             than are kept prepared

What this file does not do: go through antecache.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec
from measure import children, cpu_seconds, database_server
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

TABLES, ROWS = 4, 20_000
COLUMNS = ("id", "owner", "state", "price", "made", "name", "city", "title", "note", "body")
WIDTHS = {"name": 20, "city": 15, "title": 40, "note": 200, "body": 600}
CASES = [(tables, keys) for tables in (2, 3, 4) for keys in (1, 2, 8)]
DATABASES = ("sqlite", "postgres", "mariadb")

console = Console()
Row = dict[str, Any]


class Dialect(NamedTuple):
    """How a database writes what is needed here.

    place  a parameter, by its number from 1
    null   no value, of the type of a column
    row    a row of a table as JSON
    array  the rows of a table as one JSON array
    """

    place: Callable[[int], str]
    null: Callable[[str], str]
    row: str
    array: str


def _object(function: str) -> str:
    pairs = ", ".join(f"'{name}', {name}" for name in COLUMNS)
    return f"{function}({pairs})"


DIALECTS = {
    "sqlite": Dialect(
        lambda n: f"?{n}",
        lambda _: "NULL",
        _object("json_object"),
        f"json_group_array({_object('json_object')})",
    ),
    "postgres": Dialect(
        lambda n: f"${n}",
        lambda column: f"NULL::{_kind(column).removesuffix(' PRIMARY KEY')}",
        "row_to_json(t)::text",
        "json_agg(t)::text",
    ),
    "mariadb": Dialect(
        lambda _: "%s",
        lambda _: "NULL",
        _object("json_object"),
        f"json_arrayagg({_object('json_object')})",
    ),
}


class Way(NamedTuple):
    """One way to read `keys` of each of some tables: what is sent, and how rows are made.

    statements  SQL and the tables whose keys are its parameters
    """

    statements: Sequence[tuple[str, Sequence[int]]]
    rows: Callable[[Sequence[Sequence[Any]]], list[Row]]


def ways(dialect: Dialect, tables: int, keys: int) -> dict[str, Way]:
    """The ways by name."""

    def where(table: int, first: int) -> str:
        places = ", ".join(dialect.place(first + n) for n in range(keys))
        return f"FROM t{table} AS t WHERE id IN ({places})"

    columns = ", ".join(COLUMNS)
    alone = [(f"SELECT {columns} {where(table, 1)}", (table,)) for table in range(tables)]
    union = " UNION ALL ".join(
        f"SELECT {table}, {dialect.row} {where(table, 1 + table * keys)}" for table in range(tables)
    )
    scalars = ", ".join(
        f"(SELECT {dialect.array} {where(table, 1 + table * keys)})" for table in range(tables)
    )
    nulls = ", ".join(map(dialect.null, COLUMNS))
    wide = " UNION ALL ".join(
        f"SELECT {table}, {', '.join([nulls] * table + [columns] + [nulls] * (tables - table - 1))}"
        f" {where(table, 1 + table * keys)}"
        for table in range(tables)
    )
    decode = msgspec.json.Decoder().decode
    size = len(COLUMNS)

    def own(row: Sequence[Any]) -> Row:
        first = 1 + row[0] * size
        return dict(zip(COLUMNS, row[first : first + size], strict=True))

    return {
        "separate": Way(alone, lambda rows: [dict(zip(COLUMNS, r, strict=True)) for r in rows]),
        "union": Way([(union, range(tables))], lambda rows: [decode(row[1]) for row in rows]),
        "scalars": Way(
            [("SELECT " + scalars, range(tables))],
            lambda rows: [row for text in rows[0] for row in decode(text)],
        ),
        "wide": Way([(wide, range(tables))], lambda rows: [own(tuple(row)) for row in rows]),
    }


class Measured(NamedTuple):
    """Medians in µs of first, all and new; means of the CPU times."""

    first: float
    all: float
    client: float
    database: float
    new: float = 0.0


Fetch = Callable[[int, str, list[int]], Awaitable[Sequence[Sequence[Any]]]]


async def measure(
    way: Way, keys: int, fetch: Fetch, pid: int, rounds: int, *, new: bool = False
) -> Measured:
    """Run one way `rounds` times with other keys each time; with `new`, other texts too."""
    rng = random.Random(5)
    first, whole = [], []
    client = database = 0.0
    for turn in range(rounds + 20):
        if turn == 20:  # plans and caches are warm
            client, database = time.process_time(), _database_cpu(pid)
        wanted = [[rng.randrange(ROWS) for _ in range(keys)] for _ in range(TABLES)]
        began = time.perf_counter()
        times = [0.0] * len(way.statements)

        async def one(
            number: int,
            statement: tuple[str, Sequence[int]],
            wanted: list[list[int]] = wanted,
            times: list[float] = times,
        ) -> int:
            sql, tables = statement
            if new:
                sql = f"{sql} /* {time.perf_counter_ns()} */"
            rows = await fetch(number, sql, [key for table in tables for key in wanted[table]])
            made = way.rows(rows)
            times[number] = time.perf_counter()
            return len(made)

        counts = await asyncio.gather(*(one(n, s) for n, s in enumerate(way.statements)))
        expected = sum(len(set(wanted[t])) for _, tables in way.statements for t in tables)
        if sum(counts) != expected:
            raise RuntimeError(f"{sum(counts)} rows instead of {expected}")
        first.append(times[0] - began)
        whole.append(max(times) - began)
    client, database = time.process_time() - client, _database_cpu(pid) - database
    return Measured(
        1e6 * median(first[20:]),
        1e6 * median(whole[20:]),
        1e6 * client / rounds,
        1e6 * database / rounds,
    )


def _database_cpu(pid: int) -> float:
    return sum(cpu_seconds(one) for one in (pid, *children(pid))) if pid else 0.0


# -- the databases ----------------------------------------------------------


def _rows(table: int) -> Iterator[tuple[Any, ...]]:
    rng = random.Random(table)
    for number in range(ROWS):
        texts = [f"{rng.getrandbits(4 * width):0{width}x}" for width in WIDTHS.values()]
        yield (number, rng.randrange(1000), number % 7, rng.random(), 1.7e9 + number, *texts)


def _create(table: int) -> str:
    return f"CREATE TABLE t{table} ({', '.join(f'{name} {_kind(name)}' for name in COLUMNS)})"


def _kind(column: str) -> str:
    if column in WIDTHS:
        return f"VARCHAR({WIDTHS[column]})"
    kinds = {"id": "INTEGER PRIMARY KEY", "owner": "INTEGER", "state": "INTEGER"}
    return kinds.get(column, "FLOAT")


@contextlib.asynccontextmanager
async def sqlite(_: str) -> Any:
    """A fetch over four connections to a file, and no process."""
    import aiosqlite

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "unions.db"
        with contextlib.closing(sqlite3.connect(path)) as database:
            for table in range(TABLES):
                database.execute(_create(table))
                marks = ", ".join("?" * len(COLUMNS))
                database.executemany(f"INSERT INTO t{table} VALUES ({marks})", _rows(table))
            database.commit()
        async with contextlib.AsyncExitStack() as stack:
            pool = [await stack.enter_async_context(aiosqlite.connect(path)) for _ in range(TABLES)]

            async def fetch(number: int, sql: str, params: list[int]) -> Any:
                return await pool[number].execute_fetchall(sql, params)

            yield fetch


@contextlib.asynccontextmanager
async def postgres(url: str) -> Any:
    """As `sqlite`."""
    import asyncpg

    plain = url.replace("postgresql+asyncpg", "postgresql")
    async with contextlib.AsyncExitStack() as stack:
        pool = []
        for _ in range(TABLES):
            pool.append(await asyncpg.connect(plain))
            stack.push_async_callback(pool[-1].close)
        for table in range(TABLES):
            await pool[0].execute(_create(table))
            await pool[0].copy_records_to_table(f"t{table}", records=_rows(table))
        await pool[0].execute("VACUUM ANALYZE")

        async def fetch(number: int, sql: str, params: list[int]) -> Any:
            return await pool[number].fetch(sql, *params)

        yield fetch


@contextlib.asynccontextmanager
async def mariadb(url: str) -> Any:
    """As `sqlite`."""
    import asyncmy

    parts = make_url(url)
    at = {"host": parts.host, "port": parts.port, "unix_socket": parts.query.get("unix_socket")}
    who = {"user": parts.username, "password": parts.password or "", "db": parts.database}
    pool = [
        await asyncmy.connect(**{k: v for k, v in {**at, **who}.items() if v is not None})
        for _ in range(TABLES)
    ]
    async with pool[0].cursor() as cursor:
        marks = ", ".join(["%s"] * len(COLUMNS))
        for table in range(TABLES):
            await cursor.execute(_create(table))
            await cursor.executemany(f"INSERT INTO t{table} VALUES ({marks})", list(_rows(table)))
        await pool[0].commit()
    for connection in pool:
        await connection.autocommit(True)  # type: ignore[no-untyped-call]

    async def fetch(number: int, sql: str, params: list[int]) -> Any:
        async with pool[number].cursor() as cursor:
            await cursor.execute(sql, params)
            return await cursor.fetchall()

    yield fetch
    for connection in pool:
        connection.close()


OPEN = {"sqlite": sqlite, "postgres": postgres, "mariadb": mariadb}


async def compare(kind: str, url: str, pid: int, rounds: int) -> None:
    """All cases on one database, as a table."""
    shown = Table(title=f"{kind}: µs a load; separate / union / scalars / wide")
    for name in ("tables x keys", "first", "all", "client", "database", "new"):
        shown.add_column(name, justify="right")
    async with OPEN[kind](url) as fetch:
        for tables, keys in CASES:
            found = []
            for way in ways(DIALECTS[kind], tables, keys).values():
                known = await measure(way, keys, fetch, pid, rounds)
                fresh = await measure(way, keys, fetch, pid, rounds // 4, new=True)
                found.append(known._replace(new=fresh.all))
            columns = zip(*found, strict=True)
            shown.add_row(
                f"{tables} x {keys}", *(" / ".join(f"{v:,.0f}" for v in c) for c in columns)
            )
    console.print(shown)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure on the databases that were asked for and are installed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=DATABASES, help="one database")
    parser.add_argument("--rounds", type=int, default=600)
    options = parser.parse_args(argv)
    for kind in (options.only,) if options.only else DATABASES:
        if kind == "sqlite":
            asyncio.run(compare(kind, "", 0, options.rounds))
            continue
        try:
            with database_server(kind) as url:
                (pid,) = children(os.getpid())
                asyncio.run(compare(kind, url, pid, options.rounds))
        except RuntimeError as error:
            console.print(f"{kind}: skipped, {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
