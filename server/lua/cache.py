"""The scripts that a server knows by their digest.

SCRIPT LOAD keeps one until SCRIPT FLUSH. What EVAL brings is kept too, but of that
only the last so many that were used, as in Redis 7.4: applications that write values
into their scripts would fill the memory.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable

from antecache.server.errors import ClientError
from antecache.server.lua.handover import ScriptError
from antecache.server.lua.interpreter import Interpreter
from antecache.server.lua.script import Script

MAX_EVALUATED = 500  # LRU_CACHE_SCRIPTS of Redis 7.4


class ScriptCache:
    """Scripts by digest; `lua` gives the interpreter that compiles them."""

    def __init__(self, lua: Callable[[], Interpreter]) -> None:
        self._lua = lua
        self._scripts: OrderedDict[bytes, Script] = OrderedDict()
        self._evaluated = 0  # of them, those that only EVAL brought
        self.evicted = 0
        self.nbytes = 0  # what the texts take

    def __len__(self) -> int:
        return len(self._scripts)

    def find(self, sha: bytes) -> Script | None:
        """The script of a digest, whatever its case."""
        script = self._scripts.get(sha.lower())
        if script is not None and not script.loaded:
            self._scripts.move_to_end(script.sha)
        return script

    def add(self, body: bytes, *, load: bool = False) -> Script:
        """The script of this text, compiled; raises ClientError with the compiler's words."""
        sha = hashlib.sha1(body).hexdigest().encode()
        script = self.find(sha)
        if script is None:
            script = Script(sha, body)
            try:
                script.function = self._lua().compile(script.code, b"@user_script")
            except ScriptError as error:
                text = f"ERR Error compiling script (new function): {error.text}"
                raise ClientError(text) from None
            self._scripts[sha] = script
            self._evaluated += 1
            self.nbytes += script.size
        if load and not script.loaded:
            script.loaded = True
            self._evaluated -= 1
        if self._evaluated > MAX_EVALUATED:
            oldest = next(one for one in self._scripts.values() if not one.loaded)
            del self._scripts[oldest.sha]
            self.nbytes -= oldest.size
            self._evaluated -= 1
            self.evicted += 1
        return script

    def flush(self) -> None:
        """Forget them all."""
        self._scripts.clear()
        self._evaluated = self.nbytes = 0
