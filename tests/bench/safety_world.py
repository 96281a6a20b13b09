"""The world of the safety bench: a database, people who read it, and whoever disturbs them.

A SQLite file of three tables that belong together by id (products, carts, stocks) and
a large one (`logs`) that nobody but scans and bots reads. People come in visits, one
product with its cart and stock, the popular ones more often; what they read is the
same for the same seed, with prediction and without.

What this file does not do: judge (`safety.py`).
"""

from __future__ import annotations

import random
import socket
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hiredis
import redis

PRODUCTS = 5_000
TABLES = ("products", "carts", "stocks")
PIPELINE = 500


def build(path: Path, logs: int) -> None:
    """Make the file at `path`, unless it is there with so many rows of logs."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_suffix(".making")
    making.unlink(missing_ok=True)
    with sqlite3.connect(making) as database:
        for table, rows in (*((table, PRODUCTS) for table in TABLES), ("logs", logs)):
            database.execute(f"create table {table} (id integer primary key, text text not null)")
            database.execute(
                f"with recursive n(id) as (select 1 union all select id + 1 from n limit {rows}) "
                f"insert into {table} select id, hex(randomblob(100)) from n"
            )
    database.close()
    making.rename(path)


class Line:
    """One connection that reads keys, in pipelines."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def read(self, keys: Sequence[bytes]) -> None:
        """GET each key, all in one pipeline; raises RuntimeError on an error reply."""
        parts = (b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in keys)
        self._socket.sendall(b"".join(parts))
        left = len(keys)
        while left:
            reply = self._reader.gets()
            if reply is False:
                data = self._socket.recv(1 << 18)
                if not data:
                    raise RuntimeError("the server has closed the connection")
                self._reader.feed(data)
            elif isinstance(reply, hiredis.ReplyError):
                raise RuntimeError(str(reply))
            else:
                left -= 1

    def close(self) -> None:
        self._socket.close()


class Comings:
    """A reader from another address of this machine that makes a connection for every read."""

    def __init__(self, port: int, address: str = "127.0.0.9") -> None:
        self._port = port
        self._address = (address, 0)

    def read(self, keys: Sequence[bytes]) -> None:
        """GET each key, on a connection of its own; raises RuntimeError where one has no value."""
        for key in keys:
            with socket.create_connection(("127.0.0.1", self._port), 60, self._address) as one:
                one.sendall(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key))
                reply = one.recv(1 << 16)
                if not reply.startswith(b"$") or reply.startswith(b"$-1"):
                    raise RuntimeError(reply.decode())

    def close(self) -> None:
        """Nothing: it is gone after each read."""


class Counts(NamedTuple):
    """What a server has counted so far; differences are what happened in between."""

    waits: int
    demand: int
    ahead: int
    useful: int
    wasted: int

    def since(self, before: Counts) -> Counts:
        return Counts(*(now - then for now, then in zip(self, before, strict=True)))

    @property
    def rows(self) -> int:
        return self.demand + self.ahead


class World:
    """A running server as the bench sees it: some people, and `client` to ask it."""

    def __init__(self, port: int, people: int = 4, seed: int = 1) -> None:
        self.port = port
        self.client = redis.Redis(port=port, protocol=3, socket_timeout=60)
        self._people = [Line(port) for _ in range(people)]
        self._rng = random.Random(seed)
        self.latencies: list[int] = []  # of people's reads, ns
        self.reads = self.waits = 0

    def status(self) -> dict[str, Any]:
        """PREDICTOR STATUS."""
        reply = self.client.execute_command("PREDICTOR", "STATUS")
        return {name.decode(): value for name, value in reply.items()}

    def info(self) -> dict[str, Any]:
        """INFO, all of it."""
        return dict(self.client.info("everything"))

    def counts(self) -> Counts:
        now = self.status()
        return Counts(
            now["waits"],
            now["demand-rows"],
            now["prefetch-rows"],
            now["prefetches-useful"] + now["prefetches-late"],
            now["prefetches-wasted"],
        )

    def visits(self, count: int) -> float:
        """People come; the share of their reads that waited for the database."""
        before, reads = self.counts().waits, 0
        clock = time.perf_counter_ns
        for _ in range(count):
            person = self._rng.choice(self._people)
            number = 1 + int(PRODUCTS * self._rng.random() ** 3)
            for table in TABLES:
                started = clock()
                person.read([b"%b:%d" % (table.encode(), number)])
                self.latencies.append(clock() - started)
                reads += 1
        waits = self.counts().waits - before
        self.reads += reads
        self.waits += waits
        return waits / reads

    def close(self) -> None:
        for person in self._people:
            person.close()
        self.client.close()


def blocks(keys: Iterable[bytes], size: int) -> Iterable[list[bytes]]:
    """Keys in lists of `size`."""
    block: list[bytes] = []
    for key in keys:
        block.append(key)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def resident(pid: int) -> int:
    """Resident bytes of a process (Linux)."""
    pages = Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]
    return int(pages) * 4096
