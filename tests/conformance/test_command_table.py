"""The command table against redis-server's own COMMAND INFO: arity, flags and key positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from antecache.server import command as table

#: What differs from redis-server 7.0 on purpose: command -> the fields that may.
ALLOWED = {
    "command|getkeys": {"arity"},  # since 7.2 it takes a command without arguments
    "command|getkeysandflags": {"arity"},
    "zrank": {"arity"},  # since 7.2 it takes WITHSCORE
    "zrevrank": {"arity"},
    "debug": {"flags"},  # 7.0 has `protected` too, and does not show it
}

#: Flags that say how Redis finds keys, spreads its cluster or loads modules; not ours to have.
NOT_OURS = {"movablekeys", "module", "asking"}


@pytest.fixture(scope="module")
def theirs(both: Any) -> dict[str, dict[str, Any]]:
    table.load_all()
    names = [row.full_name for row in table.every()]
    answers = both[2].theirs.ask("COMMAND", "INFO", *(n for n in names if "|" not in n))
    return {row["name"]: row for answer in answers if answer for row in flattened(answer)}


def flattened(answer: list[Any]) -> Iterator[dict[str, Any]]:
    """A command of COMMAND INFO and its sub-commands."""
    yield {
        "name": answer[0].decode(),
        "arity": answer[1],
        "flags": set(answer[2]) - NOT_OURS,
        "keys": tuple(answer[3:6]),
        "specs": [plain(spec) for spec in answer[8]],
    }
    for sub in answer[9]:
        yield from flattened(sub)


def plain(spec: Any) -> Any:
    """A key specification as a dictionary, without Redis's notes on it."""
    if not isinstance(spec, list) or not spec or len(spec) % 2 or not isinstance(spec[0], bytes):
        return spec
    pairs = dict(zip(spec[::2], spec[1::2], strict=True))
    pairs.pop(b"notes", None)
    return {name: plain(value) for name, value in pairs.items()}


def test_key_specifications_are_those_of_redis(both: Any, theirs: dict[str, Any]) -> None:
    ours = both[2].ours.ask("COMMAND", "INFO")
    different, known = [], 0
    for row in (row for answer in ours for row in flattened(answer)):
        wanted = theirs.get(row["name"])
        if wanted is not None and wanted["specs"]:
            known += 1
            if row["specs"] != wanted["specs"]:
                different.append(f"{row['name']}: {row['specs']}, in Redis {wanted['specs']}")
    assert known > 150
    assert not different, "\n".join(different)


def test_the_table_says_what_redis_says(theirs: dict[str, dict[str, Any]]) -> None:
    different = []
    known = 0
    for row in table.every():
        name = row.full_name
        if name not in theirs:
            continue
        known += 1
        ours = {
            "arity": row.arity,
            "flags": set(row.flags) - NOT_OURS,
            "keys": (row.first, row.last, row.step),
        }
        for field, value in ours.items():
            wanted = theirs[name][field]
            if value != wanted and field not in ALLOWED.get(name, ()):
                different.append(f"{name}: {field} is {value}, in Redis {wanted}")
    assert known > 80
    assert not different, "\n".join(different)


def test_the_documentation_agrees(both: Any) -> None:
    table.load_all()
    answers = both[2].theirs.ask("COMMAND", "DOCS")
    documented = dict(zip(answers[::2], answers[1::2], strict=True))
    different = []
    for row in table.TABLE.values():
        theirs = documented.get(row.name.encode())
        if theirs is None:
            continue
        facts = dict(zip(theirs[::2], theirs[1::2], strict=True))
        for field, ours in (("since", row.since), ("group", row.group.replace("_", "-"))):
            wanted = facts[field.encode()].decode()
            if ours != wanted:
                different.append(f"{row.name}: {field} is {ours}, in Redis {wanted}")
    assert not different, "\n".join(different)


def test_every_row_is_documented() -> None:
    table.load_all()
    for row in table.every():
        assert row.summary, f"{row.full_name} has no summary"
        assert row.since and row.complexity, row.full_name
        assert row.group, row.full_name
