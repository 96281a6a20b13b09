"""A trace as a database: one row of about a kilobyte for every key that it ever asks for.

A trace whose keys all look like `table:id:part` becomes that many tables with
the two-column primary key (id, part), which antecache reflects without being
told anything; any other trace becomes one table, `entries`, that a `[[source]]`
gives the whole key space. The SQLite file is kept under data/ between runs; it
is built beside its place and renamed, so it is complete or not there.

What this file does not do: replay anything (`replay.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import gzip
import hashlib
import json
import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

VALUE_CHARACTERS = 960  # with key columns and JSON's punctuation about 1 kB
MOST_TABLES = 200
_PARTED = re.compile(rb"([^:]+):([^:]+):(0|[1-9][0-9]{0,8})")
_BLOCK = 1000


def read_trace(path: Path) -> list[bytes]:
    """The keys of a trace in the order they were asked for; equal keys are one object."""
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    seen: dict[str, bytes] = {}
    keys = []
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)  # the header
        for _, _, key, _ in rows:
            known = seen.get(key)
            if known is None:
                known = seen[key] = key.encode()
            keys.append(known)
    return keys


def write_history(keys: Sequence[bytes], path: Path) -> None:
    """The accesses as a file that PREDICTOR IMPORT reads: `time,client,key,size`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time", "client", "key", "size"))
        writer.writerows((at, 0, key.decode(), 1) for at, key in enumerate(keys))


def value_of(key: bytes) -> str:
    """The text in a key's row: the same for the same key, and nothing a compressor would like."""
    return hashlib.shake_128(key).hexdigest(VALUE_CHARACTERS // 2)


class Layout:
    """How a trace's keys become rows.

    config  text of the config file that antecache needs beside the URL; may be empty
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self.keys = list(dict.fromkeys(keys))
        parted = [_PARTED.fullmatch(key) for key in self.keys]
        heads = dict.fromkeys(found[1] for found in parted if found is not None)
        self.parted = all(parted) and len(heads) <= MOST_TABLES
        self.config = ""
        if not self.parted:
            self.config = '[[source]]\ntable = "entries"\nmatch = "{key:path}"\n'
        self.metadata = sa.MetaData()
        names = [head.decode() for head in heads] if self.parted else ["entries"]
        self.tables = {name: self._table(name) for name in names}

    def _table(self, name: str) -> sa.Table:
        key = (
            [
                sa.Column("id", sa.String(64), primary_key=True),
                sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
            ]
            if self.parted
            else [sa.Column("key", sa.String(512), primary_key=True)]
        )
        return sa.Table(name, self.metadata, *key, sa.Column("value", sa.Text, nullable=False))

    def row(self, key: bytes) -> tuple[str, dict[str, Any]]:
        """The table of a key, and its primary key's columns."""
        if not self.parted:
            return "entries", {"key": key.decode()}
        table, id_, part = key.decode().split(":")
        return table, {"id": id_, "part": int(part)}

    def json(self, key: bytes) -> dict[str, Any]:
        """What the row of a key must read as."""
        return {**self.row(key)[1], "value": value_of(key)}

    def _filled(self) -> Iterator[tuple[sa.Table, list[dict[str, Any]]]]:
        """All rows, in blocks of one table."""
        waiting: dict[str, list[dict[str, Any]]] = {name: [] for name in self.tables}
        for key in self.keys:
            name, row = self.row(key)
            rows = waiting[name]
            rows.append({**row, "value": value_of(key)})
            if len(rows) == _BLOCK:
                yield self.tables[name], rows
                waiting[name] = []
        for name, rows in waiting.items():
            if rows:
                yield self.tables[name], rows

    def build_sqlite(self, path: Path) -> None:
        """Make the file at `path` unless it is there."""
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        building = path.with_name(f".{path.name}.building")
        building.unlink(missing_ok=True)
        engine = sa.create_engine(f"sqlite:///{building}")
        with engine.begin() as connection:
            self.metadata.create_all(connection)
            for table, rows in self._filled():
                connection.execute(table.insert(), rows)
        engine.dispose()
        building.replace(path)

    async def build(self, url: str) -> None:
        """Fill the database at an async URL unless it holds exactly these keys' rows.

        Raises RuntimeError, with nothing changed, when tables of these names
        hold other rows.
        """
        engine = create_async_engine(url)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(self.metadata.create_all)
                held = await self._count(connection)
                if held == len(self.keys):
                    return
                if held:
                    raise RuntimeError(
                        f"the tables hold {held:,} other rows; give an empty database"
                    )
                for table, rows in self._filled():
                    await connection.execute(table.insert(), rows)
        finally:
            await engine.dispose()

    async def _count(self, connection: AsyncConnection) -> int:
        counts = [
            await connection.scalar(sa.select(sa.func.count()).select_from(table))
            for table in self.tables.values()
        ]
        return sum(count or 0 for count in counts)

    @contextlib.contextmanager
    def application(self, url: str) -> Iterator[Callable[[bytes], bytes]]:
        """What a program without antecache does on a miss: one SELECT, the row as JSON."""
        read = self._sqlite(url) if url.startswith("sqlite") else self._through_asyncio(url)
        with read as row_of:

            def load(key: bytes) -> bytes:
                return json.dumps(row_of(key), separators=(",", ":")).encode()

            yield load

    @contextlib.contextmanager
    def _sqlite(self, url: str) -> Iterator[Callable[[bytes], dict[str, Any]]]:
        connection = sqlite3.connect(url.partition("///")[2])
        connection.row_factory = sqlite3.Row
        where = " and ".join(f"{name} = :{name}" for name in self.row(self.keys[0])[1])
        queries = {name: f'select * from "{name}" where {where}' for name in self.tables}

        def row_of(key: bytes) -> dict[str, Any]:
            name, bound = self.row(key)
            return dict(connection.execute(queries[name], bound).fetchone())

        yield row_of
        connection.close()

    @contextlib.contextmanager
    def _through_asyncio(self, url: str) -> Iterator[Callable[[bytes], dict[str, Any]]]:
        with asyncio.Runner() as runner:
            engine = create_async_engine(url, isolation_level="AUTOCOMMIT")

            async def select(key: bytes) -> dict[str, Any]:
                name, bound = self.row(key)
                table = self.tables[name]
                query = sa.select(table).where(*(table.c[n] == v for n, v in bound.items()))
                return dict((await held[0].execute(query)).mappings().one())

            async def connect() -> AsyncConnection:
                return await engine.connect()

            held = [runner.run(connect())]
            yield lambda key: runner.run(select(key))
            runner.run(_closed(held[0].close()))
            runner.run(_closed(engine.dispose()))


async def _closed(closing: Awaitable[None]) -> None:
    await closing
