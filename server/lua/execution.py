"""One script while it runs: what redis.call may do, and what ends it.

A script sees the server as a client of its own (`ScriptClient`): its database, its
protocol, and everything else as the caller has it. Keys that a database owns were
loaded before it started, as far as it declared them; what it reads beyond them is
what is in the store, since it must not stop half-way to wait.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from antecache.server import errors, monitor
from antecache.server.blocked import Blocked
from antecache.server.command import Argv, Command
from antecache.server.errors import ClientError
from antecache.server.lua.script import line_of_return
from antecache.server.store import Resumed

log = logging.getLogger(__name__)

UNKNOWN = "ERR Unknown Redis command called from script"
ARITY = "ERR Wrong number of args calling Redis command from script"
NOT_ALLOWED = "ERR This Redis command is not allowed from script"
MAY_REPLICATE = frozenset(("publish", "spublish", "pfcount"))  # writes too, to a script
READ_ONLY = "ERR Write commands are not allowed from read-only scripts."


class ScriptClient:
    """The caller, but for what a script has of its own; `transaction` keeps it from waiting."""

    def __init__(self, caller: Any) -> None:
        view = caller.db
        self._caller = caller
        self._waited = view.waited if isinstance(view, Resumed) else set()
        self._errors = view.errors if isinstance(view, Resumed) else {}
        self.address = "lua"
        self.protocol = 2
        self.transaction: list[Argv] | None = []
        self.select(view.index)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._caller, name)

    def select(self, index: int) -> None:
        """SELECT, which leaves the caller where it is."""
        databases = self._caller.server.store.databases
        if not 0 <= index < len(databases):
            raise ClientError(errors.DB_OUT_OF_RANGE)
        self.db = Resumed(databases[index], self._waited, self._errors, loads=False)


class Execution:
    """A script at work; `interpreter.Run` for the one that is called by a client.

    name        the digest of a script, or the name of a function
    function    whether it is a function: FUNCTION KILL ends it, not SCRIPT KILL
    code        what Lua compiled
    flags       those it declares; None for a script without a shebang
    read_only   called by a command that ends in _RO
    on_store    runs what touches the store where and when it may (`runner.py`)
    """

    def __init__(
        self,
        caller: Any,
        name: bytes,
        argv: Argv,
        flags: frozenset[str] | None,
        *,
        code: bytes,
        function: bool = False,
        read_only: bool = False,
        on_store: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self.name = name
        self.argv = argv
        self._code = code
        self.function = function
        self.started = time.monotonic()
        self.wrote = False
        self.killed = False
        self._server = caller.server
        self._on_store = on_store
        self._client: Any = ScriptClient(caller)
        declared = flags or frozenset()
        self._read_only = read_only or "no-writes" in declared
        self._any_memory = bool(declared & {"allow-oom", "no-writes"})
        self._full = self._is_full()
        self._now = self._server.store.now
        if flags is not None and "no-writes" not in declared:
            if read_only:
                raise ClientError(
                    "ERR Can not execute a script with write flag using *_ro command."
                )
            if self._full and not self._any_memory:
                raise ClientError(
                    "OOM allow-oom flag is not set on the script, can not run it when used "
                    "memory > 'maxmemory'"
                )

    @property
    def protocol(self) -> int:
        """What redis.setresp chose: the protocol of replies to the script, and of its own."""
        return int(self._client.protocol)

    @protocol.setter
    def protocol(self, version: int) -> None:
        self._client.protocol = version

    def _is_full(self) -> bool:
        store = self._server.store
        return (store.used > store.room or store.count > store.limit) and not store.enforce()

    def poll(self) -> bytes | None:
        """The error that ends the script, once it is killed."""
        if not self.killed:
            return None
        return b"Script killed by user with %s KILL." % (
            b"FUNCTION" if self.function else b"SCRIPT"
        )

    def place(self) -> tuple[str, int]:
        """Where the script fails, when Lua cannot tell."""
        return "user_function" if self.function else "user_script", line_of_return(self._code)

    def register(self, arguments: list[Any]) -> str | None:
        """Only the code of a library registers functions."""
        return "redis.register_function can only be called on FUNCTION LOAD command"

    # -- redis.call -----------------------------------------------------------

    def call(self, argv: Argv) -> Any:
        """Run one command; the reply, an error as a value."""
        end = self.poll()
        if end is not None:  # sooner than its instructions would tell
            return ClientError(f"ERR {end.decode()}")
        try:
            return self._on_store(lambda: self._run(argv))
        except RuntimeError:  # the loop that would have run it is closed
            self.killed = True
            return ClientError(errors.INTERNAL)

    def _run(self, argv: Argv) -> Any:
        server = self._server
        row: Command | None = server.dispatch.find(argv)
        refusal = self._refusal(row, argv)
        if refusal is not None:
            if row is not None:
                row.rejected += 1
            return self._counted(ClientError(refusal))
        assert row is not None
        if row.write:
            self.wrote = True
        if server.monitors:
            monitor.feed(server.monitors, self._client, argv, row)
        store = server.store
        now, store.now = store.now, self._now  # for a script time stands still
        before = time.perf_counter_ns()
        try:
            reply = row.handler(self._client, argv)
            if self._client.tracking is not None and row.readonly:
                server.tracking.read(self._client, row.keys(argv))
        except ClientError as error:
            row.failed += 1
            reply = self._counted(error)
        except Blocked as blocked:
            reply = blocked.at_once
        except Exception:
            log.exception("command '%s' failed in a script", row.full_name)
            server.stats.internal_errors += 1
            row.failed += 1
            reply = self._counted(ClientError(errors.INTERNAL))
        finally:
            store.now = max(now, store.now)
        client = self._client
        if client.tracking is not None and row.readonly and type(reply) is not ClientError:
            server.tracking.read(client, row.keys(argv))
        row.calls += 1
        row.nanoseconds += time.perf_counter_ns() - before
        return reply

    def _refusal(self, row: Command | None, argv: Argv) -> str | None:
        if row is None or (row.subcommands and len(argv) > 1):
            return UNKNOWN
        if not row.accepts(len(argv)):
            return ARITY
        if "noscript" in row.flags:
            return NOT_ALLOWED
        account = self._client.account
        if not account.unrestricted:
            refusal = self._server.users.refusal(self._client, row, argv, "lua")
            if refusal is not None:
                return f"ERR ACL failure in script: {refusal.removeprefix('NOPERM ')}"
        if self._read_only and (row.write or row.name in MAY_REPLICATE):
            return READ_ONLY
        if row.denyoom and self._full and not self.wrote and not self._any_memory:
            return errors.OOM
        return None

    def _counted(self, error: ClientError) -> ClientError:
        self._server.stats.errors[error.text.partition(" ")[0]] += 1
        return error

    def may_run(self, argv: Argv) -> bool | None:
        """Whether the caller may run a command; None when there is no such command."""
        row: Command | None = self._server.dispatch.find(argv)
        if row is None or (row.subcommands and len(argv) > 1):
            return None
        account = self._client.account
        return bool(account.unrestricted or account.denies(row, argv) is None)
