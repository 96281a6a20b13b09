"""Hand-picked commands at the edges: errors, overflows, options, wrong types, empty arguments.

The scripts of `edges*.txt` are sent to antecache and to redis-server on a connection
each, in both protocols; every reply must be the same byte for byte.
"""

from __future__ import annotations

import random
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

TEXT = "\n".join(
    path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("edges*.txt"))
)
WORDS = {
    "$MAX": "9223372036854775807",
    "$MIN": "-9223372036854775808",
    "$BIG": "9223372036854775808",
}


def scripts() -> dict[str, list[list[str]]]:
    """The commands of each script."""
    found: dict[str, list[list[str]]] = {}
    for line in TEXT.splitlines():
        if line.startswith("["):
            commands = found[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            for word, meaning in WORDS.items():
                line = line.replace(word, meaning)
            line = re.sub(r"\$X(\d+)", lambda size: "x" * int(size[1]), line)
            commands += [shlex.split(command) for command in line.split(";")]
    return found


SCRIPTS = scripts()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", SCRIPTS)
def test_edge(both: Any, name: str, protocol: int) -> None:
    pair = both[protocol]
    pair.clear()
    commands = SCRIPTS[name]
    different = [
        (argv, ours, theirs)
        for argv, (ours, theirs) in zip(commands, pair.raw(*commands), strict=True)
        if ours != theirs
    ]
    assert not different, "\n".join(f"{argv}\n  {a!r}\n  {b!r}" for argv, a, b in different)
    pair.check()


def test_large_hash(both: Any) -> None:
    pair = both[2]
    pair.clear()
    fields = [part for n in range(600) for part in (f"field:{n}", n)]
    pair.raw(("HSET", "h", *fields[:1024]), ("OBJECT", "ENCODING", "h"))
    for line in ("OBJECT ENCODING h", "HSET h one more", "OBJECT ENCODING h", "HLEN h"):
        ((ours, theirs),) = pair.raw(line.split())
        assert ours == theirs, line
    pair.raw(("HSET", "h", *fields))
    for options in ((), ("COUNT", 7), ("COUNT", 10_000), ("MATCH", "*5*")):
        walked = [walk(side, "HSCAN", "h", *options) for side in (pair.ours, pair.theirs)]
        assert walked[0] == walked[1]
    assert walk(pair.ours, "HSCAN", "h", "NOVALUES") == {
        f"field:{n}".encode() for n in range(600)
    } | {b"one"}
    pair.check()


def walk(connection: Any, *command: Any) -> set[Any]:
    """Everything a scan returns: names, or (name, value) pairs."""
    cursor, found = b"0", []
    while True:
        cursor, page = connection.ask(*command[:2], cursor, *command[2:])
        found += page
        if cursor == b"0":
            break
    if "NOVALUES" in command:
        return set(found)
    return set(zip(found[::2], found[1::2], strict=True))


def test_long_common_subsequences(both: Any) -> None:
    pair = both[2]
    rng = random.Random(7)
    for size, letters in ((3, "ab"), (40, "ab"), (200, "abcd"), (700, "abcdefghij")):
        for _ in range(12):
            one, two = ("".join(rng.choices(letters, k=rng.randint(0, size))) for _ in "12")
            for argv in (("LCS", "x", "y"), ("LCS", "x", "y", "IDX"), ("LCS", "x", "y", "LEN")):
                pair.raw(("MSET", "x", one, "y", two))
                ((ours, theirs),) = pair.raw(argv)
                assert ours == theirs, (argv, one, two)


def test_glob_patterns(both: Any) -> None:
    pair = both[2]
    pair.clear()
    rng = random.Random(11)
    names = {"".join(rng.choices("ab]-^\\[*", k=rng.randint(0, 5))) for _ in range(300)}
    names |= {bytes(rng.choices(range(120, 140), k=2)) for _ in range(40)}
    pair.raw(("MSET", *(part for name in names for part in (name, "1"))))
    for _ in range(600):
        if rng.random() < 0.2:
            pattern: Any = b"[" + bytes(rng.choices([*range(120, 140), 45, 93], k=4)) + b"]*"
        else:
            pattern = "".join(rng.choices("ab]-^\\[*?", k=rng.randint(0, 7)))
        ours, theirs = (set(side.ask("KEYS", pattern)) for side in (pair.ours, pair.theirs))
        assert ours == theirs, pattern
