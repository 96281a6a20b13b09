"""Fixtures for all tests: real servers, started once and when first needed, and the traces.

What this file does not do: start antecache itself; each part's tests do that as
they need it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str) -> ModuleType:
    """A helper module next to this file: importlib mode puts nothing on sys.path."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"antecache_tests_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


services = _load("services")


def _running(start: Callable[[], Any]) -> Iterator[Any]:
    service = start()
    yield service
    service.remove()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Any]:
    """A real redis-server: `.url`, `.port`, `stop()`, `start()`."""
    yield from _running(services.redis)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """A real PostgreSQL: `.url`, `stop()`, `start()`. Whoever stops it starts it again."""
    yield from _running(services.postgres)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Any]:
    """A real MariaDB: `.url`, `stop()`, `start()`. Whoever stops it starts it again."""
    yield from _running(services.mariadb)


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Any) -> str:
    """URL of a database in which tests create what they need under names of their own."""
    return str(postgres_server.url)


@pytest.fixture(scope="session")
def mariadb_url(mariadb_server: Any) -> str:
    """URL of a database in which tests create what they need under names of their own."""
    return str(mariadb_server.url)


@pytest.fixture(scope="session")
def shared_traces() -> Path:
    """The folder of the recorded traces; skips where they are not laid out."""
    folder = Path(__file__).parents[2] / "shared" / "traces"
    if not folder.is_dir():
        pytest.skip("the traces are not there (../shared/traces beside the repository)")
    return folder
