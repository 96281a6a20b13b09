"""Both servers, side by side: antecache in a thread, redis-server as it is installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from antecache.server.store import size


def _load(name: str) -> ModuleType:
    """A helper module of `tests/`: importlib mode puts nothing on sys.path."""
    full = f"antecache_tests_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            full, Path(__file__).parents[1] / f"{name}.py"
        )
        assert spec is not None and spec.loader is not None
        sys.modules[full] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[full]


wire = _load("wire")


@pytest.fixture(scope="session")
def antecache_server() -> Iterator[Any]:
    """A `Running` antecache."""
    running = wire.Running()
    yield running
    running.stop()


class Both:
    """A connection to each server; commands go to both."""

    def __init__(self, ours: Any, theirs: Any, running: Any) -> None:
        self.ours, self.theirs, self.running = ours, theirs, running

    def clear(self) -> None:
        """Empty both, and leave transactions, watched keys and other databases behind."""
        for connection in (self.ours, self.theirs):
            connection.raw(("DISCARD",), ("UNWATCH",), ("SELECT", 0), ("FLUSHALL",))

    def raw(self, *commands: Any) -> list[tuple[bytes, bytes]]:
        """Our and their bytes for each command."""
        return list(zip(self.ours.raw(*commands), self.theirs.raw(*commands), strict=True))

    def check(self) -> None:
        """Our store's books are right, as a whole and for each key."""
        self.running.call(lambda: check_sizes(self.running.server.store))


def check_sizes(store: Any) -> None:
    """What is charged for a key is what a recount of its value says, but for rounding."""
    store.check()
    for database in store.databases:
        for key in list(database.keys()):  # a look may make an entry of a bare string
            entry = database.peek(key)
            kind = type(entry.value) is bytes
            cost = (size.of_string if kind else size.of_entry)(key, entry.value)
            cost += size.DEADLINE if entry.expire_at else 0
            assert abs(entry.size - cost) < 16, (key, entry.value, entry.size, cost)


@pytest.fixture(scope="session")
def both(antecache_server: Any, redis_server: Any) -> Iterator[dict[int, Both]]:
    """`Both`, by protocol."""
    pairs = {
        protocol: Both(
            wire.Wire(antecache_server.port, protocol),
            wire.Wire(redis_server.port, protocol),
            antecache_server,
        )
        for protocol in (2, 3)
    }
    yield pairs
    for pair in pairs.values():
        pair.ours.close()
        pair.theirs.close()
