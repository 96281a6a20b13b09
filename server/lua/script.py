"""What a script says of itself: the shebang with its flags, and whether it can run for long.

A script without loops, functions and ways to load code ends after as many steps as
it has instructions, so it need not run on a thread of its own (`runner.py`). The
words are looked for anywhere in the text, comments and strings too: to be wrong on
that side costs a switch of threads only.
"""

from __future__ import annotations

import re
from typing import Any

from antecache.server.errors import ClientError

FLAGS = frozenset(("no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"))
_LONG = re.compile(
    rb"\b(?:while|for|repeat|function|load|loadstring|coroutine|_G|gsub|sort|foreach|foreachi)\b"
)


class Script:
    """A script of the cache.

    flags      those of its shebang; None without one, which has rules of its own
    code       the text that Lua compiles, its lines numbered as sent
    bounded    whether it cannot run for long
    loaded     SCRIPT LOAD put it there: it stays until SCRIPT FLUSH
    """

    __slots__ = ("body", "bounded", "code", "flags", "function", "loaded", "sha")

    def __init__(self, sha: bytes, body: bytes) -> None:
        self.sha = sha
        self.body = body
        self.flags, self.code = _shebang(body)
        self.bounded = _LONG.search(self.code) is None
        self.loaded = False
        self.function: Any = None

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return len(self.body) + len(self.code) + 512


def _shebang(body: bytes) -> tuple[frozenset[str] | None, bytes]:
    if not body.startswith(b"#!"):
        return None, body
    line, newline, rest = body.partition(b"\n")
    if not newline:
        raise ClientError("ERR Invalid script shebang")
    engine, *options = line.decode("utf-8", "replace").split()
    if engine != "#!lua":
        raise ClientError(f"ERR Unexpected engine in script shebang: {engine}")
    flags: set[str] = set()
    for option in options:
        name, _, value = option.partition("=")
        if name != "flags":
            raise ClientError(f"ERR Unknown lua shebang option: {option}")
        for flag in filter(None, value.split(",")):
            if flag not in FLAGS:
                raise ClientError(f"ERR Unexpected flag in script shebang: {flag}")
            flags.add(flag)
    return frozenset(flags), b"\n" + rest  # so that line 2 is line 2


def line_of_return(code: bytes) -> int:
    """A line for an error whose frame a tail call (`return f()`) has replaced."""
    lines = code.split(b"\n")
    for at in range(len(lines), 0, -1):
        if b"return" in lines[at - 1]:
            return at
    return 1
