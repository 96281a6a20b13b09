"""When dispatch must ask before each command: MONITOR, CLIENT PAUSE, a script that runs long.

`Dispatch` calls `attention` only while there is something to attend to, so these
cost nothing otherwise. Every session is told when that begins and ends, because
only a session that is `special` takes the way on which dispatch asks.

What this file does not do: format what monitors see (`monitor.py`) or know what
may run beside a script (`lua/scripts.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from antecache.server import command, monitor
from antecache.server.command import Argv
from antecache.server.dispatch import Dispatch
from antecache.server.lua.scripts import Scripts
from antecache.server.store import Store

NOT_PAUSED = frozenset(("client", "shutdown", "quit"))
WRITES = frozenset(("exec", "publish", "spublish"))  # held by CLIENT PAUSE WRITE, beside writes


class Attention:
    """`on` says whether every command is looked at. `monitors` is the server's set of them."""

    def __init__(
        self,
        dispatch: Dispatch,
        store: Store,
        scripts: Scripts,
        monitors: Collection[Any],
        clients: Mapping[int, Any],
    ) -> None:
        self._dispatch = dispatch
        self._store = store
        self._scripts = scripts
        self._monitors = monitors
        self._clients = clients
        self._paused_until = 0  # Unix ms
        self._mode = "all"
        self.on = False

    def look(self) -> None:
        """Whether there is anything to attend to may have changed."""
        paused = self._paused_until > self._store.now
        wanted = bool(self._monitors) or paused or self._scripts.busy
        attend: Callable[..., bool] | None = self._attend if wanted else None
        self._dispatch.attention = attend
        if self.on != wanted:
            self.on = wanted
            for session in self._clients.values():
                session.look()

    def pause(self, until_ms: int, mode: str) -> None:
        """CLIENT PAUSE and UNPAUSE (`until_ms` 0); `mode` is "all" or "write"."""
        if until_ms:
            until_ms = max(until_ms, self._paused_until)
        self._paused_until, self._mode = until_ms, mode
        self.look()
        if not until_ms:
            for session in list(self._clients.values()):
                if session.held:
                    asyncio.get_running_loop().call_soon(session.release)

    def tick(self) -> None:
        """End a pause whose time is up."""
        if self._paused_until and self._paused_until <= self._store.now:
            self.pause(0, "all")

    def _attend(self, session: Any, argv: Argv, commands: Sequence[Argv], index: int) -> bool:
        """Feed the monitors; true when this command and the rest must wait or were answered."""
        if self._scripts.busy:
            self._scripts.attend(session, commands, index)
            session.flush()
            return True
        row = command.find(argv)
        if row is None:
            return False
        paused = self._paused_until > self._store.now
        if paused and (row.parent or row).name not in NOT_PAUSED:
            writes = row.write or row.name in WRITES
            if writes or self._mode == "all":
                session.hold(list(commands[index:]))
                session.flush()
                return True
        if self._monitors:
            monitor.feed(self._monitors, session, argv, row)
        return False
