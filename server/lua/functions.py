"""The functions of a server: which libraries are loaded, and which function is whose.

A library is read as a whole (compiled, run, its functions collected) before anything
changes, so that loading one that is wrong leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from antecache.server.errors import ClientError
from antecache.server.lua import libraries
from antecache.server.lua.handover import ScriptError
from antecache.server.lua.interpreter import Interpreter
from antecache.server.lua.libraries import Function, Library


class Functions:
    """Libraries by name, and functions by theirs; `lua` gives the interpreter they live in."""

    def __init__(self, lua: Callable[[], Interpreter]) -> None:
        self._lua = lua
        self.libraries: dict[bytes, Library] = {}
        self.by_name: dict[bytes, tuple[Library, Function]] = {}

    def load(self, code: bytes, *, replace: bool = False) -> bytes:
        """FUNCTION LOAD; the library's name. Raises ClientError, and then nothing has changed."""
        library = self._read(code)
        old = self.libraries.get(library.name)
        if old is not None and not replace:
            raise ClientError(f"ERR Library '{library.name.decode()}' already exists")
        for name in library.functions:
            owner = self.by_name.get(name)
            if owner is not None and owner[0] is not old:
                raise ClientError(f"ERR Function {name.decode()} already exists")
        if old is not None:
            self.delete(library.name)
        self.libraries[library.name] = library
        self.by_name.update({name: (library, one) for name, one in library.functions.items()})
        return library.name

    def _read(self, code: bytes) -> Library:
        name, text = libraries.parse(code)
        lua = self._lua()
        loading = libraries.Loading(text)
        try:
            chunk = lua.compile(text, b"@user_function")
        except ScriptError as error:
            raise ClientError(f"ERR Error compiling function: {error.text}") from None
        try:
            lua.run_library(loading, chunk)
        except ScriptError as error:
            raise ClientError(f"ERR Error registering functions: {error.text}") from None
        if not loading.functions:
            raise ClientError("ERR No functions registered")
        return Library(name, code, loading.functions)

    def delete(self, name: bytes) -> None:
        """FUNCTION DELETE; raises ClientError when there is no such library."""
        library = self.libraries.pop(name, None)
        if library is None:
            raise ClientError("ERR Library not found")
        for function in library.functions:
            del self.by_name[function]

    def flush(self) -> None:
        """FUNCTION FLUSH."""
        self.libraries.clear()
        self.by_name.clear()

    def restore(self, codes: Sequence[bytes], *, replace: bool, flush: bool) -> None:
        """FUNCTION RESTORE; raises ClientError, and then nothing has changed."""
        before = dict(self.libraries), dict(self.by_name)
        if flush:
            self.flush()
        try:
            for code in codes:
                self.load(code, replace=replace)
        except ClientError:
            self.libraries, self.by_name = before
            raise
