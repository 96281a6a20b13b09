"""Clients that wait for a key: BLPOP, BZPOPMIN, XREAD BLOCK, WAIT and their like.

A handler that finds nothing to answer raises `Blocked`. Dispatch parks the session, and
its command is run again, just as it stands, when a key it waits for has changed and holds
its type: after the command, the transaction or the script that changed it, and before
anything else. Who waits longest is served first; whoever finds nothing after all keeps the
place. So a handler needs no second form for clients that were waiting, and what wakes them
is every way in which a key can come to be: a push, a RENAME, a RESTORE.

The registry observes the store only while somebody waits. It notes which keys changed, and
marks the session whose command did it, so that `serve` runs before that session's next
command; at the end of a batch it runs as the loop's next callback, before more is read.

What this file does not do: read timeouts out of arguments (`commands/blocking.py`), or
hold back what a waiting client sends meanwhile (`session.py`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from antecache.server.command import Argv
from antecache.server.encode import NULL_ARRAY
from antecache.server.errors import ClientError
from antecache.server.store import Store
from antecache.server.store.kinds import kind_of

Place = tuple[int, bytes]  # a database's number and a key

UNBLOCKED = "UNBLOCKED client unblocked via CLIENT UNBLOCK"
LONGEST = 365 * 86400.0  # seconds that a timer is set for; it is set anew when they are over


class Blocked(Exception):
    """Raised by a handler: the command must wait for `keys`, or only for `timeout`.

    keys      of the client's database; none for a command that waits for something else
    kind      the type they must hold for the command to be run again: "list", "zset", "stream"
    timeout   milliseconds, 0 for none
    argv      what to run again instead of the command as it was sent (XREAD's `$` replaced)
    reply     what answers it at the timeout
    at_once   what answers it where nothing may block (EXEC, a script); `reply` unless given
    always    run it again at any change of a key, its end included (XREADGROUP)
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        kind: str,
        timeout: int,
        *,
        argv: Argv | None = None,
        reply: Any = NULL_ARRAY,
        at_once: Any = ...,
        always: bool = False,
    ) -> None:
        super().__init__(keys)
        self.keys = keys
        self.kind = kind
        self.timeout = timeout
        self.argv = argv
        self.reply = reply
        self.at_once = reply if at_once is ... else at_once
        self.always = always


class Waiter:
    """A session that waits, and its command."""

    __slots__ = ("always", "argv", "deadline", "kind", "places", "reply", "session", "timer")

    def __init__(self, session: Any, argv: Argv, blocked: Blocked) -> None:
        self.session = session
        self.argv = argv if blocked.argv is None else blocked.argv
        self.kind = blocked.kind
        self.always = blocked.always
        self.reply = blocked.reply
        self.places = [(session.db.index, key) for key in dict.fromkeys(blocked.keys)]
        self.deadline = 0.0  # of the loop's clock; 0 for none
        self.timer: asyncio.TimerHandle | None = None


class BlockedClients:
    """Who waits for which key, in the order of arrival."""

    def __init__(self, store: Store, dispatch: Any) -> None:
        self._store = store
        self._dispatch = dispatch
        self._queues: dict[Place, dict[Waiter, None]] = {}
        self._waiters: set[Waiter] = set()
        self.ready: dict[Place, None] = {}  # keys that changed, in that order
        self._marked: list[Any] = []  # sessions that changed them
        self._answered: list[Waiter] = []  # their sessions have not gone on yet
        self._serving = False
        self._scheduled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self.suspended = False  # while set (a script runs beside the loop) nobody is served

    # -- what INFO shows ----------------------------------------------------

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def keys(self) -> int:
        """How many keys are waited for."""
        return len(self._queues)

    @property
    def keys_always(self) -> int:
        """How many of them by somebody who wants to know of their end."""
        return sum(any(one.always for one in queue) for queue in self._queues.values())

    @property
    def timers(self) -> int:
        """How many clients wait with a timeout."""
        return sum(one.timer is not None for one in self._waiters)

    # -- waiting ------------------------------------------------------------

    def add(self, session: Any, argv: Argv, blocked: Blocked) -> Waiter:
        """The command of `session` waits from now on."""
        waiter = Waiter(session, argv, blocked)
        loop = self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._waiters.add(waiter)
        for place in waiter.places:
            self._queues.setdefault(place, {})[waiter] = None
        if self._queues:
            self._store.observe(self._changed, strings=False)
        if blocked.timeout:
            waiter.deadline = loop.time() + blocked.timeout / 1000
            self._set_timer(waiter)
        return waiter

    def _set_timer(self, waiter: Waiter) -> None:
        assert self._loop is not None
        left = waiter.deadline - self._loop.time()
        waiter.timer = self._loop.call_later(min(max(left, 0.0), LONGEST), self._overdue, waiter)

    def _overdue(self, waiter: Waiter) -> None:
        assert self._loop is not None
        if waiter.deadline > self._loop.time() + 1:
            self._set_timer(waiter)
        else:
            self.answer(waiter, waiter.reply)
            self._go_on()

    def forget(self, waiter: Waiter) -> None:
        """It waits no longer: it is answered, or its client has gone."""
        self._waiters.discard(waiter)
        if waiter.timer is not None:
            waiter.timer.cancel()
        for place in waiter.places:
            queue = self._queues.get(place)
            if queue is not None:
                queue.pop(waiter, None)
                if not queue:
                    del self._queues[place]
        if not self._queues:
            self._store.unobserve(self._changed, strings=False)

    def unblock(self, session: Any, *, error: bool) -> bool:
        """CLIENT UNBLOCK: as if it had timed out, or with an error; whether it was waiting."""
        waiter = session.waiting
        if not isinstance(waiter, Waiter) or waiter not in self._waiters:
            return False
        self.answer(waiter, ClientError(UNBLOCKED) if error else waiter.reply)
        self._later()
        return True

    def answer(self, waiter: Waiter, reply: Any) -> None:
        """Answer a waiting command; its session goes on after the command under way."""
        self.forget(waiter)
        self._answered.append(waiter)
        self._dispatch.answer_blocked(waiter.session, waiter.argv, reply)

    # -- serving ------------------------------------------------------------

    def _changed(self, db: int, key: bytes) -> None:
        place = (db, key)
        queue = self._queues.get(place)
        if queue is None:
            return
        database = self._store.databases[db]
        # Not `peek`: the key may be about to expire, and would be reported from within a report.
        held = database.dicts[hash(key) & database.mask].get(key)
        kind = None if held is None else kind_of(getattr(held, "value", held)).name
        if not any(waiter.always or waiter.kind == kind for waiter in queue):
            return
        self.ready[place] = None
        session = self._dispatch.entered
        if session is not None and not session.served_next:
            session.served_next = True
            self._marked.append(session)
        self._later()

    def _later(self) -> None:
        """Serve, and let the answered go on, as the loop's next callback."""
        if self._scheduled or self._loop is None:
            return
        self._scheduled = True
        if threading.get_ident() == self._thread:
            self._loop.call_soon(self._scheduled_round)
        else:
            self._loop.call_soon_threadsafe(self._scheduled_round)

    def _scheduled_round(self) -> None:
        self._scheduled = False
        self.serve()
        self._go_on()

    def serve(self) -> None:
        """Run the commands again whose keys are ready; each of them may make others ready."""
        if self._serving or self.suspended:
            return
        for session in self._marked:
            session.served_next = False
        self._marked.clear()
        self._serving = True
        try:
            while self.ready:
                ready, self.ready = self.ready, {}
                for place in ready:
                    self._serve_key(place)
        finally:
            self._serving = False
        if self._answered:
            self._later()

    def _serve_key(self, place: Place) -> None:
        db, key = place
        database = self._store.databases[db]
        for waiter in list(self._queues.get(place, ())):
            if waiter not in self._waiters or waiter.session.closing:
                continue
            if not waiter.always:
                entry = database.peek(key)
                if entry is None:
                    return
                if entry.kind != waiter.kind:
                    continue
            try:
                reply = self._dispatch.run_again(waiter.session, waiter.argv)
            except Blocked:
                continue  # nothing for it after all: it keeps its place and its deadline
            self.forget(waiter)
            self._answered.append(waiter)
            waiter.session.reply(reply)
            waiter.session.flush()

    def _go_on(self) -> None:
        """Sessions that were answered run what they sent meanwhile."""
        while self._answered:
            waiter = self._answered.pop(0)
            if waiter.session.waiting is waiter:
                waiter.session.go_on()
