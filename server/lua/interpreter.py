"""The Lua interpreter: lupa's runtime with the sandbox of sandbox.lua inside.

lupa is imported when the first script comes. Bytes go in and come out as they are.
No Python object is ever in reach of a script: functions are held by Lua closures,
attributes are refused, and what a function raises is cleaned up before a script's
`pcall` returns it.

Memory: the allocator has a hard limit, but where it refuses while Python pushes a
value nothing could catch the error; so everything that Python hands over is weighed
first against a lower limit, and the script is looked at as it runs. What runs a
script, on which thread, and what redis.call does is not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from antecache.server.errors import ClientError
from antecache.server.lua import natives
from antecache.server.lua.handover import (
    Failure,
    ScriptError,
    arguments,
    constants,
    log_message,
    no_attributes,
    set_repl,
    source,
    text_of_failure,
    weight,
)
from antecache.server.lua.replies import NIL, text_of, to_lua

NO_MEMORY = "ERR not enough memory"
SHORT = 4096  # bytes of a reply for which there is always room
MARGIN = 1 << 20  # bytes that must be left for what is not weighed


class Run(Protocol):
    """What the interpreter asks of the script that is running."""

    protocol: int  # what redis.setresp chose

    def call(self, argv: list[bytes]) -> Any:
        """redis.call: the reply, an error as a value."""

    def poll(self) -> bytes | None:
        """Asked again and again while the script runs: the error that ends it, or None."""

    def may_run(self, argv: list[bytes]) -> bool | None:
        """redis.acl_check_cmd; None when there is no such command."""

    def place(self) -> tuple[str, int]:
        """The name of the chunk, and the line of an error whose place Lua has lost."""

    def register(self, arguments: list[Any]) -> str | None:
        """redis.register_function; returns what is wrong."""


class Interpreter:
    """One Lua state; everything but the construction happens while a script runs."""

    def __init__(self, max_memory: int) -> None:
        from lupa import lua51

        self._errors = (lua51.LuaError, lua51.LuaSyntaxError)
        self._tables = type(lua51.LuaRuntime(encoding=None).table())
        self._limit = max_memory
        self._hard_limit = max_memory + max_memory // 4 + 2 * MARGIN
        self._lua = lua51.LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=no_attributes,
            max_memory=self._hard_limit,
        )
        self._table = self._lua.table_from
        # Lua keeps what Python refers to in a table of its own, and hands out free places of it
        # before it asks for memory, which it might not get.
        del [self._table(()) for _ in range(1024)][:]
        self.current: Run | None = None
        self._exhausted = False
        chunk = self._lua.compile(source("sandbox"), name=b"=antecache")
        native = self._table(self._natives())
        (self._run_script, self._run_function, self._run_library, self._rearm, self._fields) = (
            chunk(native, max_memory // 1024)
        )

    @property
    def memory(self) -> int:
        """Bytes in use by Lua."""
        return int(self._lua.get_memory_used(total=True) or 0)

    def _natives(self) -> dict[bytes, Any]:
        return {
            b"constants": self._table(constants()),
            b"cjson": source("cjson"),
            b"cmsgpack": source("cmsgpack"),
            b"numbers": source("numbers"),
            b"sha1": natives.sha1,
            b"bit": natives.bit,
            b"struct_pack": self._struct_pack,
            b"struct_unpack": self._struct_unpack,
            b"struct_size": natives.struct_size,
            b"call": self._call,
            b"pcall": self._pcall,
            b"poll": self._poll,
            b"failure": text_of_failure,
            b"log": log_message,
            b"setresp": self._setresp,
            b"set_repl": set_repl,
            b"acl_check": self._acl_check,
            b"register": self._register,
            b"place": self._place,
        }

    # -- running --------------------------------------------------------------

    def compile(self, code: bytes, name: bytes) -> Any:
        """A function of Lua; raises ScriptError with the compiler's words."""
        if code[:1] == b"\x1b":  # bytecode can break out of any sandbox
            raise ScriptError(f"{name[1:].decode()}:1: unexpected symbol near 'char(27)'")
        self._make_room(2 * len(code))
        try:
            return self._lua.compile(code, name=name)
        except self._errors as error:
            text = text_of(error.args[0] if error.args else NO_MEMORY)
            text = text.removeprefix("error loading code: ")
            raise ScriptError(text) from None

    def run(self, run: Run, function: Any, keys: Sequence[bytes], argv: Sequence[bytes]) -> Any:
        """Run a script with KEYS and ARGV; returns a scalar or the flat sequence of a table."""
        return self._enter(run, self._run_script, function, keys, argv)

    def run_function(
        self, run: Run, function: Any, keys: Sequence[bytes], argv: Sequence[bytes]
    ) -> Any:
        """Call a registered function with its keys and arguments."""
        return self._enter(run, self._run_function, function, keys, argv)

    def run_library(self, run: Run, chunk: Any) -> None:
        """Run the code of a library, which registers its functions."""
        self._enter(run, self._run_library, chunk)

    def _enter(self, run: Run, entry: Any, function: Any, *lists: Sequence[bytes]) -> Any:
        self._make_room(sum(64 + len(item) for items in lists for item in items))
        self.current = run
        try:
            found = entry(function, *(self._table(items) for items in lists))
        except self._errors as error:
            self._recover()
            text = text_of(error.args[0]).partition("\n")[0] if error.args else NO_MEMORY
            raise ScriptError(text) from None
        finally:
            self.current = None
        if self._exhausted:
            self._recover()
        ok, *rest = found if isinstance(found, tuple) else (found,)
        if not ok:
            self._recover()
            text, source, line, counted = [*rest, None, None, None][:4]
            where = text_of(source) if source is not None else ""
            raise ScriptError(text_of(text), where, int(line or 0), bool(counted))
        value = rest[0] if rest else None
        return list(value.values()) if isinstance(value, self._tables) else value

    def _recover(self) -> None:
        """After an error: Lua may be full of garbage, or still armed to end a killed script."""
        self._exhausted = False
        self._collect()
        self._rearm()

    def _collect(self) -> None:
        """Free what nobody refers to. That takes memory, and where there is none, Lua gives up."""
        self._lua.set_max_memory(2 * self._hard_limit)
        self._lua.gccollect()
        self._lua.set_max_memory(self._hard_limit + (MARGIN if self._exhausted else 0))

    def _exhaust(self) -> None:
        """The script holds too much: its end, whatever it makes of the error."""
        if not self._exhausted:
            self._exhausted = True
            self._lua.set_max_memory(self._hard_limit + MARGIN)  # for the errors it is told

    def _make_room(self, size: int) -> None:
        """Raise ScriptError unless `size` bytes more may be handed to Lua."""
        if not self._fits(size):
            raise ScriptError(NO_MEMORY)

    def _fits(self, size: int) -> bool:
        lua = self._lua
        if lua.get_memory_used() + size <= self._limit:
            return True
        self._collect()
        # Less than an eighth free is full: it would be collected again and again.
        return bool(lua.get_memory_used() + size <= self._limit - self._limit // 8)

    # -- what sandbox.lua calls -----------------------------------------------

    def _call(self, *args: Any) -> Any:
        reply = self._invoke(args)
        if type(reply) is bytes and len(reply) < SHORT:
            return reply
        if not isinstance(reply, ClientError):
            reply, failed = self._value(reply)
            if not failed:
                return reply
        text = reply.text
        del args, reply  # lupa keeps the exception, and with it this frame, until the next one
        raise Failure(text)

    def _pcall(self, *args: Any) -> Any:
        reply = self._invoke(args)
        if not isinstance(reply, ClientError):
            reply, failed = self._value(reply)
            if not failed:
                return reply
        text = reply.text.encode("utf-8", "surrogateescape")
        return self._table({b"err": text, b"ignore_error_stats_update": True})

    def _value(self, reply: Any) -> tuple[Any, bool]:
        """What the script gets; or the error that there is no room for it, and true."""
        if not self._fits(weight(reply)):
            return ClientError(NO_MEMORY), True
        run = self.current
        value = to_lua(reply, run.protocol if run is not None else 2, self._table)
        return None if value is NIL else value, False

    def _invoke(self, args: tuple[Any, ...]) -> Any:
        run = self.current
        if run is None:
            return ClientError("ERR redis.call/pcall can only be called inside a script invocation")
        if not args:
            return ClientError("ERR Please specify at least one argument for this redis lib call")
        argv = arguments(args)
        if argv is None:
            return ClientError("ERR Lua redis lib command arguments must be strings or integers")
        if self._exhausted or not self._fits(0):
            self._exhaust()
            return ClientError(NO_MEMORY)
        return run.call(argv)

    def _struct_pack(self, *args: Any) -> Any:
        data = natives.struct_pack(*args)
        return data if self._fits(weight(data)) else (None, b"not enough memory")

    def _struct_unpack(self, *args: Any) -> Any:
        values = natives.struct_unpack(*args)
        return values if self._fits(weight(values)) else (None, b"not enough memory")

    def _poll(self) -> bytes | None:
        if self._exhausted:
            return NO_MEMORY.removeprefix("ERR ").encode()
        return self.current.poll() if self.current is not None else None

    def _place(self) -> bytes:
        source, line = self.current.place() if self.current is not None else ("", 0)
        return f"{source}:{line}".encode()

    def _setresp(self, count: int, version: Any = None) -> Any:
        if count != 1:
            return None, b"redis.setresp() requires one argument."
        if version not in (2, 3):
            return None, b"RESP version must be 2 or 3."
        if self.current is not None:
            self.current.protocol = int(version)
        return None

    def _acl_check(self, *args: Any) -> Any:
        if not args:
            return None, b"Please specify at least one argument for this redis lib call"
        argv = arguments(args)
        if argv is None:
            return None, b"redis.acl_check_cmd() require arguments to be strings or integers"
        allowed = self.current.may_run(argv) if self.current is not None else None
        if allowed is None:
            return None, b"Invalid command passed to redis.acl_check_cmd()"
        return allowed

    def _register(self, count: int, *args: Any) -> Any:
        given: list[Any] = list(args[:count])
        if len(given) == 1 and isinstance(given[0], self._tables):
            flat = list(self._fields(given[0]).values())
            given = [dict(zip(flat[::2], flat[1::2], strict=True))]
            for name, value in given[0].items():
                if isinstance(value, self._tables):
                    given[0][name] = list(value.values())
        if self.current is None:
            return None, b"redis.register_function can only be called on FUNCTION LOAD command"
        refusal = self.current.register(given)
        return None if refusal is None else (None, refusal.encode())
