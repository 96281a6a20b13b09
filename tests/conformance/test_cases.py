"""The public case list of resp-compatibility: every case of the commands there are."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from antecache.server import command as table

CASES = Path(__file__).parents[3] / "shared" / "resp-compatibility" / "cts.json"
LATEST = (7, 4)  # the newest Redis whose commands we mean to have


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    if not CASES.is_file():
        pytest.skip("the case list is not there (../shared/resp-compatibility/cts.json)")
    listed = json.loads(CASES.read_text("utf-8"))
    return [
        case
        for case in listed
        # "cluster" repeats a case with hash tags, which one server treats like any other key.
        if not case.get("skipped") and tuple(map(int, case["since"].split(".")))[:2] <= LATEST
    ]


def arguments(case: dict[str, Any], line: str) -> list[bytes]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.escape, lexer.commenters = True, "", ""
    if not case.get("command_binary"):  # backslashes are meant as they stand
        return [word.encode() for word in lexer]
    return [word.encode().decode("unicode_escape").encode("latin-1") for word in lexer]


def plain(reply: Any) -> Any:
    """A reply as the list writes it."""
    if isinstance(reply, list):
        return [plain(item) for item in reply]
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply


def group_of(name: bytes, redis: Any) -> str:
    """The group of a command that only redis-server has."""
    _, documented = redis.ask("COMMAND", "DOCS", name)
    return str(documented[documented.index(b"group") + 1].decode())


def same(got: Any, wanted: Any, case: dict[str, Any]) -> bool:
    if case.get("sort_result"):
        got, wanted = _sorted(got), _sorted(wanted)
    if case.get("float_result"):
        return _close(got, wanted)
    return bool(got == wanted)


def _sorted(value: Any) -> Any:
    if isinstance(value, list):
        return sorted(map(_sorted, value), key=repr)
    return value


def _close(got: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return isinstance(got, list) and len(got) == len(wanted) and all(map(_close, got, wanted))
    try:
        return abs(float(got) - float(wanted)) <= 1e-9 * max(1.0, abs(float(wanted)))
    except (TypeError, ValueError):
        return bool(got == wanted)


def test_every_case_of_the_commands_there_are(
    cases: list[dict[str, Any]],
    antecache_server: Any,
    both: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    passed, missing, failures = 0, Counter[str](), []
    for case in cases:
        commands = [arguments(case, line) for line in case["command"]]
        unknown = [argv for argv in commands if table.find(argv) is None]
        if unknown:
            missing[group_of(unknown[0][0], both[2].theirs)] += 1
            continue
        with antecache_server.connect() as client:
            client.ask("FLUSHALL")
            replies = [plain(client.ask(*argv)) for argv in commands]
        wrong = [
            f"{case['name']}: {line} -> {got!r}, not {wanted!r}"
            # Two cases of the list have a result too many.
            for line, got, wanted in zip(case["command"], replies, case["result"], strict=False)
            if not same(got, wanted, case)
        ]
        passed += not wrong
        failures += wrong
    with capsys.disabled():
        absent = ", ".join(f"{name} ({count})" for name, count in missing.most_common())
        print(f"\nresp-compatibility: {passed} of {len(cases)} cases pass")
        if absent:
            print(f"  cases of groups that are not all there yet: {absent}")
    assert not failures, "\n".join(failures)
    assert passed + missing.total() == len(cases)
