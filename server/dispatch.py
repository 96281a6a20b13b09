"""One command, end to end: find its row, check it, run it, count it, encode the reply.

`run` is the hot loop: it executes a batch of parsed commands of one session
synchronously and appends their replies to the session's buffer. There is no
task, no `await` and no closure per command; consecutive fast commands of one kind
share their clock readings; anything unusual (a transaction, a missing password, a
monitor, a pause) is told by one flag of the session and takes the slower way.

When a handler raises `Absent`, the session is parked: the loader fetches what
that command and the consecutive reads behind it lack, as one request, and the
commands then run again on a view of the database that counts them as the misses
they were. Only here is `ClientError` caught; anything else a handler raises is
logged, counted and answered as an internal error, and the connection lives on.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from time import perf_counter_ns
from typing import Any

from antecache.policies.base import Node
from antecache.server import command as table
from antecache.server import errors
from antecache.server.accesslog import AccessLog
from antecache.server.blocked import Blocked, BlockedClients, Waiter
from antecache.server.command import Absent, Argv, Command
from antecache.server.commands import pubsub
from antecache.server.commands.transactions import queue, refused
from antecache.server.encode import BULK, CRLF, SHORT, Encoded, encode
from antecache.server.errors import ClientError
from antecache.server.loader import Loader, Ticket
from antecache.server.stats import Stats
from antecache.server.store import Resumed, Store

log = logging.getLogger(__name__)

join = b"".join
SHARE_ABOVE = 1_000_000  # ns; below it the slow log wants every command's own time
MAX_LOOKAHEAD = 1024  # pipelined reads whose keys are loaded together


class Waiting:
    """A parked session's commands: the first `ahead` of them wait for their keys."""

    __slots__ = ("ahead", "commands", "keys", "ticket", "waited")

    def __init__(
        self, commands: list[Argv], ahead: int, keys: list[bytes], waited: list[bytes]
    ) -> None:
        self.commands = commands
        self.ahead = ahead
        self.keys = keys  # all keys of the waiting commands: pinned
        self.waited = waited  # the ones being loaded
        self.ticket: Ticket | None = None


class Dispatch:
    """Executes commands for sessions; `app.py` builds it from the parts it needs."""

    def __init__(self, store: Store, stats: Stats, loader: Loader, access: AccessLog) -> None:
        self._store = store
        self._stats = stats
        self._loader = loader
        self._access = access
        self.logging = False  # whether accesses are logged
        self.entered: Any = None  # the session whose accesses are being logged
        self._note = access.items.append  # not `store.record`, which may do more for a key
        self._tick_at = 0  # of perf_counter_ns, when store.now must be read anew
        self.slow_ns = sys.maxsize
        self.on_slow: Any = None  # (session, last argv, nanoseconds, row, how many of it)
        self.attention: Any = None  # (session, commands) -> commands: MONITOR, CLIENT PAUSE
        self._rows: dict[bytes, Command] = {}
        self.blocked = BlockedClients(store, self)
        # Sessions whose keys came while a script ran beside the loop; None while none does.
        self.frozen: list[tuple[Any, Any]] | None = None

    # -- the hot loop -------------------------------------------------------

    def run(self, session: Any, commands: Sequence[Argv]) -> None:
        """Execute `commands` in order and write their replies; may park the session."""
        store = self._store
        before = perf_counter_ns()
        if before >= self._tick_at:
            self.set_clock()
        session.last_active_ms = store.now
        if session is not self.entered:
            self._enter(session)
        out = session.out
        rows = self._rows
        share = self._share_clock
        # Whether memory must be looked at before each write. The budget is kept between
        # batches; within one it may be exceeded by what a single chunk of input brings.
        tight = store.used > store.room or store.count > store.limit
        last: Command | None = None  # the row of the commands not yet booked ...
        streak = 0  # ... and how many there are
        index = 0
        size = len(commands)
        while index < size:
            argv = commands[index]
            row = rows.get(argv[0])
            if row is not last:
                if streak:
                    before = self._book(session, commands[index - 1], last, streak, before)
                    streak = 0
                last = row
            if row is None or session.special:
                if self._unusual(session, commands, index):
                    break
                before = perf_counter_ns()
                index += 1
                continue
            batch = row.batch
            if batch is not None and share and not (tight and row.careful):
                try:
                    done = batch(session, commands, index, out)
                except Exception:
                    done = 0  # the handlers meet the same, and it is answered
                if done:
                    streak += done
                    index += done
                    continue
            arity = row.arity
            count = len(argv)
            if count != arity and (arity > 0 or count < -arity):
                self._reject(session, row, errors.wrong_arity(row.full_name))
                index += 1
                continue
            if (
                row.careful
                and (tight or row.multi)
                and self._refused(session, row, commands, index)
            ):
                if session.waiting is not None:
                    break
                index += 1
                continue
            try:
                handler = row.handler
                reply = handler(session, argv)
            except Absent as absence:
                self._park(session, commands, index, absence.keys)
                break
            except Blocked as blocked:
                self._block(session, commands, index, blocked)
                break
            except ClientError as error:
                reply = self._failed(row, error)
            except Exception:
                reply = self._broken(row)
            kind = type(reply)
            if kind is Encoded:
                out.append(reply)
            elif kind is bytes and len(reply) < SHORT:
                out += (BULK[len(reply)], reply, CRLF)
            else:
                encode(reply, session.protocol, out)
            index += 1
            streak += 1
            if not (share and row.fast):
                before = self._book(session, argv, row, streak, before)
                streak = 0
        if streak and last is not None:  # as in _book, which is a call more
            elapsed = perf_counter_ns() - before
            last.calls += streak
            last.nanoseconds += elapsed
            if elapsed >= self._slow_ns:
                self.on_slow(session, commands[-1], elapsed, last, streak)
        session.last_command = commands[-1]
        if store.used > store.room or store.count > store.limit:
            store.enforce()
        if session.busy:
            session.flush()
        elif out:
            data = b"".join(out)
            out.clear()
            session.net_out += len(data)
            session.write(data)

    def run_one(self, session: Any, argv: Argv) -> None:
        """`run` for a batch of one, which is what clients that do not pipeline send.

        The same steps without what only a pipeline needs.
        """
        row = self._rows.get(argv[0])
        store = self._store
        if (
            row is None
            or session.special
            or (row.careful and (row.multi or store.used > store.room or store.count > store.limit))
            or not (len(argv) == row.arity or 0 > row.arity >= -len(argv))
        ):
            self.run(session, (argv,))
            return
        before = perf_counter_ns()
        if before >= self._tick_at:
            self.set_clock()
        session.last_active_ms = store.now
        if session is not self.entered:
            self.entered = session  # as _enter, which is two calls more
            if self.logging:
                number = self._access.session = session.log_id
                note = self._note
                note(number)
        try:
            handler = row.handler
            reply = handler(session, argv)
        except Absent as absence:
            self._park(session, (argv,), 0, absence.keys)
            return
        except Blocked as blocked:
            self._block(session, (argv,), 0, blocked)
            return
        except ClientError as error:
            reply = self._failed(row, error)
        except Exception:
            reply = self._broken(row)
        kind = type(reply)
        if kind is Encoded:
            data = reply
        elif kind is bytes and len(reply) < SHORT:
            data = join((BULK[len(reply)], reply, CRLF))
        else:
            encode(reply, session.protocol, session.out)
            data = b"".join(session.out)
            session.out.clear()
        elapsed = perf_counter_ns() - before
        row.calls += 1
        row.nanoseconds += elapsed
        if elapsed >= self._slow_ns:
            self.on_slow(session, argv, elapsed, row, 1)
        session.last_command = argv
        if row.careful and (store.used > store.room or store.count > store.limit):
            store.enforce()
        session.net_out += len(data)
        write = session.write
        write(data)
        if session.special:  # MULTI, CLIENT REPLY, QUIT ...: whatever the command began
            session.flush()

    def _book(self, session: Any, argv: Argv, row: Command | None, count: int, before: int) -> int:
        """Book `count` commands of one row that began at `before`; returns the time now."""
        now = perf_counter_ns()
        assert row is not None
        row.calls += count
        row.nanoseconds += now - before
        if now - before >= self._slow_ns:
            self.on_slow(session, argv, now - before, row, count)
        return now

    @property
    def slow_ns(self) -> int:
        """Commands that take at least as long (ns) are told to `on_slow`."""
        return self._slow_ns

    @slow_ns.setter
    def slow_ns(self, threshold: int) -> None:
        self._slow_ns = threshold
        # A run of one fast command shares its clock readings, unless single commands of that
        # little time are asked for.
        self._share_clock = threshold >= SHARE_ABOVE

    def set_clock(self) -> None:
        """Read the time. Batches within one millisecond share a reading."""
        now = time.time_ns()
        self._store.now = now // 1_000_000
        self._tick_at = perf_counter_ns() + 1_000_000 - now % 1_000_000

    def current(self) -> Any:
        """The session whose command is being run the slower way, or None."""
        session = self.entered
        return session if session is not None and session.executing else None

    def _enter(self, session: Any) -> None:
        """Another session than the last one asks: the access log notes it."""
        self.entered = session
        if self.logging:
            self._access.enter(session.log_id)

    def _refused(self, session: Any, row: Command, commands: Sequence[Argv], index: int) -> bool:
        """A command that may need memory, or several absent keys: true when it cannot run now."""
        if row.denyoom and self._full():
            self._reject(session, row, errors.OOM)
            return True
        if row.multi and self._store.owner is not None:
            absent = self._absent(session, row.keys(commands[index]))
            if absent:
                self._park(session, commands, index, absent)
                return True
        return False

    # -- the slower way -----------------------------------------------------

    def find(self, argv: Argv) -> Command | None:
        """The row for these arguments; remembers the spelling of plain commands."""
        row = table.find(argv)
        plain = row is not None and not row.subcommands and row.parent is None
        if plain and row is not None and len(self._rows) < 1024:
            self._rows[argv[0]] = row
        return row

    def _unusual(self, session: Any, commands: Sequence[Argv], index: int) -> bool:
        """One command with every check; true when the batch must stop here."""
        argv = commands[index]
        if self.blocked.ready:
            self._serve_blocked(session)
        if self.attention is not None and self.attention(session, argv, commands, index):
            return True
        try:
            reply = self.execute(session, argv, queueing=True)
        except Absent as absence:
            self._park(session, commands, index, absence.keys)
            return True
        except Blocked as blocked:
            self._block(session, commands, index, blocked)
            return True
        session.reply(reply)
        _forget_caching(session, argv)
        return bool(session.closing)

    def execute(self, session: Any, argv: Argv, *, queueing: bool = False) -> Any:
        """Run one command and return its reply, errors as values.

        May raise `Absent` or `Blocked`.

        `queueing` lets an open transaction take the command instead.
        """
        row = self.find(argv)
        refusal = self._refusal(session, row, argv)
        if refusal is None and queueing and session.subscriptions is not None and row is not None:
            refusal = pubsub.refusal(session, row)
        if refusal is not None:
            if row is not None:
                row.rejected += 1
                refusal = refused(session, row, refusal)
            if session.transaction is not None and queueing:
                session.transaction_failed = True
            return self._count_error(ClientError(refusal))
        assert row is not None
        if queueing and session.transaction is not None and row.name not in NOT_QUEUED:
            try:
                return queue(session, row, argv)
            except ClientError as error:
                return self._count_error(error)
        if row.multi and self._store.owner is not None:
            absent = self._absent(session, row.keys(argv))
            if absent:
                raise Absent(absent)
        before = perf_counter_ns()
        nested, session.executing = session.executing, True  # what is pushed follows the reply
        touch = self._store.touch
        if session.no_touch and row.name != "touch":
            self._store.touch = _untouched
        try:
            reply = row.handler(session, argv)
            if session.tracking is not None and row.readonly and row.group != "scripting":
                session.server.tracking.read(session, row.keys(argv))
        except ClientError as error:
            reply = self._failed(row, error)
        except (Absent, Blocked):
            raise
        except Exception:
            reply = self._broken(row)
        finally:
            session.executing = nested
            if self._store.touch is _untouched:
                self._store.touch = touch
        elapsed = perf_counter_ns() - before
        row.calls += 1
        row.nanoseconds += elapsed
        if elapsed >= self._slow_ns:
            self.on_slow(session, argv, elapsed, row, 1)
        return reply

    def _refusal(self, session: Any, row: Command | None, argv: Argv) -> str | None:
        """The error for a command that may not run at all, or None."""
        if row is None:
            return errors.unknown_command(argv)
        if row.subcommands and len(argv) > 1:
            return errors.unknown_subcommand(row.name, argv[1])
        if not row.accepts(len(argv)):
            return errors.wrong_arity(row.full_name)
        if not session.authenticated and "no_auth" not in row.flags:
            return errors.NOAUTH
        if not session.account.unrestricted:
            refusal: str | None = session.server.users.refusal(session, row, argv)
            if refusal is not None:
                return refusal
        if row.denyoom and self._full():
            return errors.OOM
        return None

    def _full(self) -> bool:
        """Whether the store is over its budget and nothing more may leave."""
        store = self._store
        return (store.used > store.room or store.count > store.limit) and not store.enforce()

    def _reject(self, session: Any, row: Command, text: str) -> None:
        row.rejected += 1
        session.reply(self._count_error(ClientError(refused(session, row, text))))

    def _failed(self, row: Command, error: ClientError) -> ClientError:
        row.failed += 1
        return self._count_error(error)

    def _broken(self, row: Command) -> ClientError:
        log.exception("command '%s' failed", row.full_name)
        self._stats.internal_errors += 1
        return self._failed(row, ClientError(errors.INTERNAL))

    def _count_error(self, error: ClientError) -> ClientError:
        self._stats.errors[error.text.partition(" ")[0]] += 1
        return error

    # -- waiting for the database -------------------------------------------

    def absent(self, session: Any, commands: Sequence[Argv]) -> list[bytes]:
        """The keys of these commands that a source owns and that are not there."""
        wanted: dict[bytes, None] = {}
        if self._store.owner is None:
            return []
        for argv in commands:
            row = self.find(argv)
            if row is None or not row.accepts(len(argv)):
                continue
            account = session.account
            if account.unrestricted or account.denies(row, argv) is None:
                wanted.update(dict.fromkeys(self._absent(session, row.keys(argv))))
        return list(wanted)

    def _absent(self, session: Any, keys: list[bytes]) -> list[bytes]:
        database = session.db
        if database.index or self._store.owner is None or not database.loads:
            return []
        waited = database.waited if isinstance(database, Resumed) else ()
        must_load = self._store.must_load
        return [
            key for key in keys if key not in waited and not database.holds(key) and must_load(key)
        ]

    def _park(
        self, session: Any, commands: Sequence[Argv], index: int, absent: Sequence[bytes]
    ) -> None:
        """Load what `commands[index]` lacks, and the consecutive reads behind it lack."""
        rest = list(commands[index:])
        wanted = dict.fromkeys(absent)
        keys: list[bytes] = []
        ahead = 0
        for argv in rest[:MAX_LOOKAHEAD]:
            row = self.find(argv)
            readable = row is not None and row.readonly and row.accepts(len(argv))
            if ahead and (not readable or session.special):
                break
            assert row is not None
            mine = row.keys(argv)
            keys += mine
            ahead += 1
            if not readable:  # it may change what the reads behind it would find
                break
            wanted.update(dict.fromkeys(self._absent(session, mine)))
        waiting = Waiting(rest, ahead, [*keys, *wanted], list(wanted))
        session.waiting = waiting
        self._store.pin(waiting.keys)
        waiting.ticket = self._loader.request(waiting.waited, session.resume)

    def abandon(self, session: Any) -> None:
        """The session has gone while it waited."""
        waiting = session.waiting
        if isinstance(waiting, Waiter):
            session.waiting = None
            self.blocked.forget(waiting)
        elif waiting is not None:
            session.waiting = None
            self._store.unpin(waiting.keys)
            if waiting.ticket is not None:
                waiting.ticket.cancel()

    def resume(self, session: Any, ticket: Ticket) -> None:
        """The keys are there, or cannot be had: run what waited, then the rest."""
        if self.frozen is not None:
            self.frozen.append((session, ticket))
            return
        waiting = session.waiting
        session.waiting = None
        store = self._store
        if session is not self.entered:
            self._enter(session)
        database = session.db
        resumed = Resumed(database, set(waiting.waited), ticket.errors)
        done = 0
        again: Absent | Blocked | None = None
        for argv in waiting.commands[: waiting.ahead]:
            if self.blocked.ready:
                self._serve_blocked(session)
            row = self.find(argv)
            keys = row.keys(argv) if row is not None else []
            error = next((ticket.errors[key] for key in keys if key in ticket.errors), None)
            if error is not None:
                session.reply(self._count_error(ClientError(error)))
                done += 1
                continue
            session.db = resumed
            try:
                reply = self.execute(session, argv)
            except (Absent, Blocked) as stop:
                again = stop
                break
            finally:
                if session.db is resumed:
                    session.db = database
            session.reply(reply)
            _forget_caching(session, argv)
            resumed.waited.difference_update(keys)
            done += 1
            if session.waiting is not None:  # its script goes on beside the loop
                break
        store.unpin(waiting.keys)
        rest = waiting.commands[done:] + session.take_backlog()
        if isinstance(again, Absent):
            self._park(session, rest, 0, again.keys)
            session.flush()
        elif again is not None:
            self._block(session, rest, 0, again)
            session.flush()
        elif rest:
            self.run(session, rest)
        else:
            session.flush()

    def thaw(self) -> None:
        """The script that ran beside the loop is over: sessions whose keys came go on."""
        frozen, self.frozen = self.frozen, None
        for session, ticket in frozen or ():
            if isinstance(session.waiting, Waiting) and session.waiting.ticket is ticket:
                session.resume(ticket)

    # -- waiting for a key ---------------------------------------------------

    def _block(self, session: Any, commands: Sequence[Argv], index: int, blocked: Blocked) -> None:
        """`commands[index]` waits until another client brings what it wants."""
        session.put_back(commands[index + 1 :])
        session.waiting = self.blocked.add(session, commands[index], blocked)

    def _serve_blocked(self, session: Any) -> None:
        """Blocked clients come before the next command of the one that made their keys ready."""
        self.blocked.serve()
        if session is not self.entered:
            self._enter(session)

    def run_again(self, session: Any, argv: Argv) -> Any:
        """The reply of a command that was blocked; raises `Blocked` while it still is."""
        if session is not self.entered:
            self._enter(session)
        database = session.db
        session.db = Resumed(database, set(), loads=False)
        try:
            return self.execute(session, argv)
        finally:
            session.db = database

    def answer_blocked(self, session: Any, argv: Argv, reply: Any) -> None:
        """A blocked command ends without having found anything."""
        row = self.find(argv)
        if row is not None:
            row.calls += 1
            if isinstance(reply, ClientError):
                self._failed(row, reply)
        session.reply(reply)
        session.flush()


def _untouched(node: Node) -> None:
    """What a use does to the eviction order while CLIENT NO-TOUCH is on."""


def _forget_caching(session: Any, argv: Argv) -> None:
    """CLIENT CACHING holds for the command after it, or the transaction."""
    state = session.tracking
    if state is not None and session.transaction is None and argv[0].lower() != b"client":
        state.caching = False


NOT_QUEUED = frozenset(("exec", "discard", "multi", "watch", "quit", "reset"))
"""Commands that an open transaction does not queue."""
