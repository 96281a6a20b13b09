"""The goal of the bench of never-seen keys, on a smaller run: most reads find their key there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from antecache.server import shop

BENCH = Path(__file__).with_name("unseen.py")


@pytest.mark.parametrize(("links", "least", "most"), [("load", 0.6, 1.0), ("off", 0.0, 0.5)])
def test_first_reads_of_ids_that_never_occurred(
    database: Path, links: str, least: float, most: float
) -> None:
    """Links make the difference; what is on its way is waited for, so speed makes none."""
    options = ["--settle", "--pages", "400", "--fresh", "45", "--links", links, "--json"]
    options += ["--database", str(database)]
    done = subprocess.run(
        [sys.executable, BENCH, *options], capture_output=True, text=True, check=True, timeout=50
    )
    counted = json.loads(done.stdout)
    assert counted["reads"] > 100
    assert least <= 1 - counted["waits"] / counted["reads"] <= most


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    shop.create(path)
    return path
