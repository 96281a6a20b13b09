"""The ways that `unions.py` compares read the same rows.

What this file does not do: measure.
"""

from __future__ import annotations

import importlib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(("tables", "keys"), [(2, 1), (4, 3)])
async def test_all_ways_read_the_same_rows(
    tables: int, keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    unions = importlib.import_module("unions")
    monkeypatch.setattr(unions, "ROWS", 50)
    wanted = [[table + 7 * n for n in range(keys)] for table in range(tables)]
    found: dict[str, list[Any]] = {}
    async with unions.sqlite("") as fetch:
        for name, way in unions.ways(unions.DIALECTS["sqlite"], tables, keys).items():
            rows: list[Any] = []
            for number, (sql, of) in enumerate(way.statements):
                params = [key for table in of for key in wanted[table]]
                rows += way.rows(await fetch(number, sql, params))
            found[name] = rows
    assert [row["id"] for row in found["separate"]] == list(chain(*wanted))
    assert set(found) == {"separate", "union", "scalars", "wide"}
    for rows in found.values():
        for row, true in zip(rows, found["separate"], strict=True):
            assert row == pytest.approx(true)
