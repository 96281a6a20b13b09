"""Libraries of functions: FUNCTION LOAD's metadata, registration, and the dump format.

A library is code that registers functions when it is loaded; all of it becomes
visible at once, or nothing does. The payload of FUNCTION DUMP is Redis's: for each
library the type byte 245 and its code as an RDB string, then the RDB version and a
CRC-64 of all that.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from antecache.server.crc64 import crc64
from antecache.server.dump import FOOTER, VERSION, WRITTEN
from antecache.server.errors import ClientError
from antecache.server.lua.script import FLAGS, line_of_return
from antecache.server.rdb import Reader, string

LIBRARY = 245  # RDB_OPCODE_FUNCTION2
PATIENCE = 0.5  # seconds that the code of a library may run
NAME = re.compile(rb"[A-Za-z0-9_]+\Z")
BAD_NAME = (
    "Library names can only contain letters, numbers, or underscores(_) and must be at least "
    "one character long"
)


class Function(NamedTuple):
    """A registered function; `callback` is Lua's."""

    name: bytes
    callback: Any
    flags: frozenset[str]
    description: bytes | None


class Library(NamedTuple):
    """A loaded library."""

    name: bytes
    code: bytes
    functions: dict[bytes, Function]


class Loading:
    """The code of a library at work (`interpreter.Run`): it registers, and little more."""

    def __init__(self, code: bytes) -> None:
        self._code = code
        self.protocol = 2
        self.functions: dict[bytes, Function] = {}
        self._until = time.monotonic() + PATIENCE

    def call(self, argv: list[bytes]) -> Any:
        """Not while a library is loaded."""
        return ClientError("ERR redis.call/pcall can only be called inside a script invocation")

    def poll(self) -> bytes | None:
        """The code of a library has little time."""
        return b"FUNCTION LOAD timeout" if time.monotonic() > self._until else None

    def may_run(self, argv: list[bytes]) -> bool | None:
        """Nothing may run yet."""
        return False

    def place(self) -> tuple[str, int]:
        """Where the code of a library fails, when Lua cannot tell."""
        return "user_function", line_of_return(self._code)

    def register(self, arguments: list[Any]) -> str | None:
        """redis.register_function(name, callback) or of one table; what is wrong with it."""
        if not 1 <= len(arguments) <= 2:
            return "wrong number of arguments to redis.register_function"
        if len(arguments) == 1:
            if not isinstance(arguments[0], dict):
                return (
                    "calling redis.register_function with a single argument is only applicable "
                    "to Lua table (representing named arguments)."
                )
            return self._named(arguments[0])
        name, callback = _text(arguments[0]), arguments[1]
        if not isinstance(name, bytes):
            return "first argument to redis.register_function must be a string"
        if not callable(callback):
            return "second argument to redis.register_function must be a function"
        return self._add(name, callback, frozenset(), None)

    def _named(self, given: dict[Any, Any]) -> str | None:
        name = callback = description = None
        flags: frozenset[str] = frozenset()
        for key, given_value in given.items():
            value = given_value if key in (b"callback", b"flags") else _text(given_value)
            if key == b"function_name":
                if not isinstance(value, bytes):
                    return (
                        "function_name argument given to redis.register_function must be a string"
                    )
                name = value
            elif key == b"description":
                if not isinstance(value, bytes):
                    return "description argument given to redis.register_function must be a string"
                description = value
            elif key == b"callback":
                if not callable(value):
                    return "callback argument given to redis.register_function must be a function"
                callback = value
            elif key == b"flags":
                if not isinstance(value, list):
                    return (
                        "flags argument to redis.register_function must be a table "
                        "representing function flags"
                    )
                known = [flag.decode("latin-1") for flag in value if isinstance(flag, bytes)]
                if len(known) != len(value) or not set(known) <= FLAGS:
                    return "unknown flag given"
                flags = frozenset(known)
            else:
                return "unknown argument given to redis.register_function"
        if name is None:
            return "redis.register_function must get a function name argument"
        if callback is None:
            return "redis.register_function must get a callback argument"
        return self._add(name, callback, flags, description)

    def _add(
        self, name: bytes, callback: Any, flags: frozenset[str], description: bytes | None
    ) -> str | None:
        if NAME.match(name) is None:
            return BAD_NAME
        if name in self.functions:
            return "Function already exists in the library"
        self.functions[name] = Function(name, callback, flags, description)
        return None


def _text(value: Any) -> Any:
    """A number as Lua writes it; other values as they are."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return b"%.14g" % value if number else value


def parse(code: bytes) -> tuple[bytes, bytes]:
    """The name of a library and the code to compile; raises ClientError."""
    if not code.startswith(b"#!"):
        raise ClientError("ERR Missing library metadata")
    line, newline, rest = code.partition(b"\n")
    if not newline:
        raise ClientError("ERR Invalid library metadata")
    words = line[2:].split()
    engine = words[0] if words else b""
    name: bytes | None = None
    for word in words[1:]:
        key, _, value = word.partition(b"=")
        if key != b"name":
            shown = word.decode("utf-8", "replace")
            raise ClientError(f"ERR Invalid metadata value given: {shown}")
        if name is not None:
            raise ClientError("ERR Invalid metadata value, name argument was given multiple times")
        name = value
    if name is None:
        raise ClientError("ERR Library name was not given")
    if NAME.match(name) is None:
        raise ClientError(f"ERR {BAD_NAME}")
    if engine.lower() != b"lua":
        raise ClientError(f"ERR Engine '{engine.decode('utf-8', 'replace')}' not found")
    return name, b"\n" + rest


def dump(codes: Iterable[bytes]) -> bytes:
    """FUNCTION DUMP."""
    data = b"".join(bytes((LIBRARY,)) + string(code) for code in codes)
    data += WRITTEN.to_bytes(2, "little")
    return data + crc64(data).to_bytes(8, "little")


def undump(payload: bytes) -> list[bytes]:
    """The codes in a payload; raises ClientError."""
    body, version = payload[:-FOOTER], int.from_bytes(payload[-FOOTER:-8], "little")
    checksum = int.from_bytes(payload[-8:], "little")
    if len(payload) < FOOTER or version > VERSION or checksum != crc64(payload[:-8]):
        raise ClientError("ERR DUMP payload version or checksum are wrong")
    reader = Reader(body)
    codes = []
    try:
        while not reader.ended:
            if reader.byte() != LIBRARY:
                raise ClientError("ERR given type is not a function")
            codes.append(reader.string())
    except ValueError:
        raise ClientError("ERR failed loading functions") from None
    return codes
