"""Scripts and functions of a server: the cache, the libraries, and the one that runs.

`Scripts` is what commands call. The interpreter is built when the first script
comes. A script that cannot run for long runs where its command does; any other runs
on a thread of its own, and when it takes longer than `busy-reply-threshold` its
client is suspended, the loop goes on, and every other command is answered with BUSY
until the script ends or is killed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from antecache.server.command import Absent, Argv
from antecache.server.encode import Encoded
from antecache.server.errors import INTERNAL, ClientError
from antecache.server.lua.cache import ScriptCache
from antecache.server.lua.execution import Execution
from antecache.server.lua.functions import Functions
from antecache.server.lua.handover import ScriptError
from antecache.server.lua.interpreter import Interpreter
from antecache.server.lua.libraries import Function, Library
from antecache.server.lua.replies import reply_of
from antecache.server.lua.runner import DETACHED, Runner
from antecache.server.lua.script import Script

log = logging.getLogger(__name__)

NOT_BUSY = "NOTBUSY No scripts in execution right now."
UNKILLABLE = (
    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can "
    "either wait the script termination or kill the server in a hard way using the SHUTDOWN "
    "NOSAVE command."
)
BUSY = "BUSY Redis is busy running a script. You can only call {} or SHUTDOWN NOSAVE."
SCRIPT_COMMANDS = frozenset((b"eval", b"eval_ro", b"evalsha", b"evalsha_ro", b"fcall", b"fcall_ro"))
SILENT = Encoded(b"")  # the reply comes later


class Suspended:
    """What a session waits for while its script runs on; `keys` and `ticket` as dispatch has."""

    __slots__ = ("keys", "reply_mode", "ticket")

    def __init__(self, reply_mode: str) -> None:
        self.keys: list[bytes] = []
        self.ticket = None
        self.reply_mode = reply_mode


class Scripts:
    """The scripts of a server."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._interpreter: Interpreter | None = None
        self._runner = Runner(self._ended)
        self.cache = ScriptCache(self._lua)
        self.functions = Functions(self._lua)
        self.running: Execution | None = None
        self._session: Any = None  # whose script runs beside the loop
        self._suspended: Suspended | None = None

    @property
    def busy(self) -> bool:
        """Whether a script runs beside the loop."""
        return self._session is not None

    @property
    def memory(self) -> int:
        """Bytes that Lua holds."""
        return 0 if self._interpreter is None else self._interpreter.memory

    def _lua(self) -> Interpreter:
        if self._interpreter is None:
            self._interpreter = Interpreter(self._server.config.lua_maxmemory)
        return self._interpreter

    def flush(self) -> None:
        """SCRIPT FLUSH: forget the scripts; the interpreter too, unless functions live in it."""
        self.cache.flush()
        if not self.functions.libraries:
            self._interpreter = None

    # -- running --------------------------------------------------------------

    def eval(
        self, client: Any, script: Script, keys: Sequence[bytes], argv: Argv, rest: Argv, ro: bool
    ) -> Any:
        """EVAL: `argv` is the whole command, `rest` what follows the keys."""
        execution = Execution(
            client,
            script.sha,
            argv,
            script.flags,
            code=script.code,
            read_only=ro,
            on_store=self._runner.on_store,
        )

        def work() -> Any:
            return self._lua().run(execution, script.function, keys, rest)

        return self._run(client, execution, work, bounded=script.bounded)

    def call(
        self,
        client: Any,
        library: Library,
        function: Function,
        keys: Sequence[bytes],
        argv: Argv,
        rest: Argv,
        ro: bool,
    ) -> Any:
        """FCALL."""
        execution = Execution(
            client,
            function.name,
            argv,
            function.flags,
            code=library.code,
            function=True,
            read_only=ro,
            on_store=self._runner.on_store,
        )

        def work() -> Any:
            return self._lua().run_function(execution, function.callback, keys, rest)

        return self._run(client, execution, work, bounded=False)

    def _run(
        self, client: Any, execution: Execution, work: Callable[[], Any], *, bounded: bool
    ) -> Any:
        protocol = client.protocol

        def job() -> Any:
            self.running = execution
            try:
                value = work()
            except ScriptError as error:
                return _failed(execution, error)
            finally:
                self.running = None
            return reply_of(value, execution.protocol, protocol)

        return job() if bounded else self.beside(client, job)

    def beside(self, client: Any, job: Callable[[], Any]) -> Any:
        """Run a job on the thread of scripts; past the threshold its client is suspended."""
        threshold = self._server.config.busy_reply_threshold
        patience = threshold / 1000 if threshold > 0 else -1.0
        result = self._runner.run(job, patience)
        if result is not DETACHED:
            return result
        name = self.running.name.decode("utf-8", "replace") if self.running else ""
        log.warning("script %s has run for %d ms: others are told BUSY", name, threshold)
        self._session = client
        self._suspended = client.waiting = Suspended(client.reply_mode)
        self._server.dispatch.blocked.suspended = True
        self._server.dispatch.frozen = []
        self._server.loader.gate = asyncio.Event()
        self._server.attention.look()
        return SILENT

    def execute(self, client: Any, argv: Argv) -> Any:
        """One command of a transaction that runs on the thread of scripts."""
        if argv[0].lower() in SCRIPT_COMMANDS:
            return self._server.execute(client, argv)  # it takes the store for each of its calls
        return self._runner.on_store(lambda: self._server.execute(client, argv))

    def check(self) -> None:
        """Raise ClientError when another script runs: there is one interpreter."""
        if self.busy and not self._runner.inside:
            raise ClientError(self._busy_text())

    def runs_long(self, argv: Argv) -> bool:
        """Whether a command runs a script that may take long."""
        name = argv[0].lower()
        if name in (b"fcall", b"fcall_ro"):
            return True
        if len(argv) < 3 or name not in (b"eval", b"eval_ro", b"evalsha", b"evalsha_ro"):
            return False
        if name.startswith(b"evalsha"):
            script = self.cache.find(argv[1])
            return script is not None and not script.bounded
        try:
            return not Script(b"", argv[1]).bounded
        except ClientError:
            return False

    # -- while one runs beside the loop ---------------------------------------

    def attend(self, session: Any, commands: Sequence[Argv], index: int) -> None:
        """Answer what a client sends meanwhile: BUSY, but for what is allowed then."""
        if session is self._session:
            session.put_back(commands[index:])
            return
        dispatch = self._server.dispatch
        for argv in commands[index:]:
            row = dispatch.find(argv)
            allowed = row is not None and ("allow_busy" in row.flags or _no_save(argv))
            if allowed:
                try:
                    reply = dispatch.execute(session, argv, queueing=True)
                except Absent:
                    reply = ClientError(self._busy_text())
            else:
                if session.transaction is not None:
                    session.transaction_failed = True
                reply = ClientError(self._busy_text())
                self._server.stats.errors["BUSY"] += 1
            session.reply(reply)
            if session.closing:
                break

    def _busy_text(self) -> str:
        function = self.running is not None and self.running.function
        return BUSY.format("FUNCTION KILL" if function else "SCRIPT KILL")

    def kill(self, *, function: bool) -> None:
        """SCRIPT KILL, FUNCTION KILL: the script ends at its next instructions."""
        running = self.running
        if running is None or not self.busy:
            raise ClientError(NOT_BUSY)
        if running.function != function:
            raise ClientError(self._busy_text())
        if running.wrote:
            raise ClientError(UNKILLABLE)
        running.killed = True

    def _ended(self, result: Any, error: BaseException | None) -> None:
        """The script that ran beside the loop is over: its client is answered and goes on."""
        server, session, suspended = self._server, self._session, self._suspended
        self._session = self._suspended = None
        if isinstance(error, ClientError):
            result = error
        elif error is not None:
            log.error("a script failed", exc_info=error)
            result = ClientError(INTERNAL)
        dispatch = server.dispatch
        dispatch.blocked.suspended = False
        server.loader.gate.set()
        server.loader.gate = None
        server.attention.look()
        if session.waiting is suspended:
            if suspended is not None and suspended.reply_mode == "on":
                session.reply(result)
            session.flush()
        # Whoever goes on may bring the next script that takes long; the others wait for it again.
        dispatch.thaw()
        if not self.busy:
            dispatch.blocked.serve()
            server.store.enforce()
        if session.waiting is suspended:
            session.go_on()

    def close(self) -> None:
        """The server stops: whatever runs is killed."""
        if self.running is not None:
            self.running.killed = True
        self._runner.close()

    def milliseconds(self) -> int:
        """How long the script has run."""
        return 0 if self.running is None else int((time.monotonic() - self.running.started) * 1000)


def _no_save(argv: Argv) -> bool:
    """SHUTDOWN NOSAVE, the way out that is always open."""
    words = [word.lower() for word in argv]
    return words[0] == b"shutdown" and b"nosave" in words[1:]


def _failed(execution: Execution, error: ScriptError) -> ClientError:
    """The reply for a script that ended in an error; raises it unless it was counted."""
    source, line = error.source, error.line
    if not source:
        source, line = execution.place()
        source = f"@{source}"
    name = execution.name.decode("utf-8", "replace")
    reply = ClientError(f"{error.text} script: {name}, on {source}:{line}.")
    if not error.counted:
        raise reply
    return reply
