"""Finding a backing by URL scheme, in this package and in other distributions."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from antecache.server.backing import registry
from antecache.server.backing.base import Backing, SourceOptions
from antecache.server.backing.memory import MemoryBacking
from antecache.server.backing.registry import GROUP, open_backing, schemes
from antecache.server.backing.sources import read_spec
from antecache.server.backing.sql import SqlBacking
from antecache.server.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory://?prefix=a", MemoryBacking),
        ("sqlite:///shop.db", SqlBacking),
        ("sqlite+aiosqlite:///shop.db", SqlBacking),
        ("postgresql://host/shop", SqlBacking),
        ("postgresql+asyncpg://host/shop", SqlBacking),
        ("postgres://host/shop", SqlBacking),
        ("mysql://host/shop", SqlBacking),
        ("mariadb+asyncmy://host/shop", SqlBacking),
        ("SQLite:///shop.db", SqlBacking),
    ],
)
def test_the_scheme_decides(url: str, kind: type[Backing]) -> None:
    spec = read_spec({"match": "a:{b}"})
    options = SourceOptions(ttl=7)
    backing = open_backing(url, [spec], options)
    assert type(backing) is kind
    assert (backing.url, backing.specs, backing.options) == (url, (spec,), options)


@pytest.mark.parametrize("url", ["", "shop.db", "://x", "gopher://host", "/var/lib/shop.db"])
def test_an_unknown_scheme_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        open_backing(url)
    assert {"memory", "sqlite", "postgresql", "mysql", "mariadb"} <= set(schemes())


def test_every_scheme_finds_a_class_that_says_it_serves_it() -> None:
    for scheme in schemes():
        assert scheme in registry.find(scheme).schemes


def test_only_the_chosen_file_and_driver_are_imported() -> None:
    program = (
        "import sys; from antecache.server.backing.registry import open_backing, schemes\n"
        "schemes(); open_backing('memory://')\n"
        "print(sorted(m for m in sys.modules if m in ('sqlalchemy', 'aiosqlite', 'asyncpg',"
        " 'asyncmy') or m.startswith('antecache.server.backing.')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = {"base", "memory", "patterns", "registry", "sources"}
    assert done.stdout.strip() == str(sorted(f"antecache.server.backing.{n}" for n in names))


def test_another_distribution_brings_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "somedb.py").write_text(
        "from antecache.server.backing.memory import MemoryBacking\n"
        "class SomeBacking(MemoryBacking):\n    schemes = ('somedb',)\n"
        "nonsense = 7\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [
        EntryPoint("somedb", "somedb:SomeBacking", GROUP),
        EntryPoint("broken", "no_such_module:X", GROUP),
        EntryPoint("nonsense", "somedb:nonsense", GROUP),
    ]
    monkeypatch.setattr(registry, "_foreign", lambda: points)
    assert type(open_backing("somedb://x")).__name__ == "SomeBacking"
    assert "somedb" in schemes()
    with pytest.raises(ConfigError, match="cannot be loaded"):
        open_backing("broken://x")
    with pytest.raises(ConfigError, match="not a Backing"):
        open_backing("nonsense://x")
