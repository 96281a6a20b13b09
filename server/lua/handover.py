"""What crosses between Lua and Python: arguments, errors, how much room a reply takes.

Small functions without state that the interpreter hands to sandbox.lua or uses
around a call. It knows nothing of who calls (`interpreter.py`).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from antecache.server.lua.replies import text_of
from antecache.server.version import REDIS_VERSION

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
MAX_WHOLE = 1 << 62  # beyond it a number is shown as %.17g, as double2ll has it in Redis
LEVELS = (logging.DEBUG, logging.INFO, logging.INFO, logging.WARNING)


class Failure(Exception):
    """redis.call failed: the error leaves the script unless it is caught there."""


class ScriptError(Exception):
    """A script ended in an error: its text, where, and whether it was counted already."""

    def __init__(self, text: str, source: str = "", line: int = 0, counted: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.source = source
        self.line = line
        self.counted = counted


def constants() -> dict[bytes, Any]:
    """What scripts find in `redis` beside its functions."""
    major, minor, patch = map(int, REDIS_VERSION.split("."))
    return {
        b"LOG_DEBUG": 0,
        b"LOG_VERBOSE": 1,
        b"LOG_NOTICE": 2,
        b"LOG_WARNING": 3,
        b"REPL_NONE": 0,
        b"REPL_AOF": 1,
        b"REPL_SLAVE": 2,
        b"REPL_REPLICA": 2,
        b"REPL_ALL": 3,
        b"REDIS_VERSION": REDIS_VERSION.encode(),
        b"REDIS_VERSION_NUM": major << 16 | minor << 8 | patch,
    }


def source(name: str) -> bytes:
    """A file of Lua that stands beside this one."""
    return (HERE / f"{name}.lua").read_bytes()


def no_attributes(value: object, name: object, setting: bool) -> None:
    """What lupa asks before a script reaches into an object of Python: never."""
    raise AttributeError("scripts see no attributes")


def text_of_failure(error: Any) -> bytes | None:
    """The text of what a function of Python raised; None for anything else."""
    if isinstance(error, Failure):
        return str(error).encode("utf-8", "surrogateescape")
    if isinstance(error, BaseException):
        log.error("a script met an unexpected error", exc_info=error)
        return b"ERR internal error"
    return None


def arguments(args: tuple[Any, ...]) -> list[bytes] | None:
    """Strings and numbers as the arguments of a command, or None."""
    argv = []
    for arg in args:
        kind = type(arg)
        if kind is bytes:
            argv.append(arg)
        elif kind is int and -MAX_WHOLE <= arg <= MAX_WHOLE:
            argv.append(b"%d" % arg)
        elif kind is int or kind is float:
            argv.append(b"%.17g" % arg)
        else:
            return None
    return argv


def weight(reply: Any) -> int:
    """Bytes that a reply takes as a value of Lua, about."""
    if isinstance(reply, (bytes, str)):
        return 64 + len(reply)
    if isinstance(reply, dict):
        return 64 + sum(weight(key) + weight(value) for key, value in reply.items())
    if isinstance(reply, (list, tuple, set, frozenset)):
        return 64 + sum(map(weight, reply))
    return 64 + len(getattr(reply, "data", b""))


def log_message(*args: Any) -> Any:
    """redis.log(level, text ...): `(None, text)` for an error."""
    if len(args) < 2:
        return None, b"redis.log() requires two arguments or more."
    level, *words = args
    if not isinstance(level, (int, float)) or isinstance(level, bool):
        return None, b"First argument must be a number (log level)."
    if level not in (0, 1, 2, 3):
        return None, b"Invalid debug level."
    text = " ".join(text_of(word) for word in words if isinstance(word, (bytes, int, float)))
    log.log(LEVELS[int(level)], "script: %s", text)
    return None


def set_repl(count: int, flags: Any = None) -> Any:
    """redis.set_repl(flags): nothing is replicated, so only the flags are checked."""
    if count != 1:
        return None, b"redis.set_repl() requires one argument."
    if flags not in (0, 1, 2, 3):
        text = b"Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."
        return None, text
    return None
