"""One client connection: an asyncio protocol that feeds the parser and the dispatcher.

Bytes in, commands out, replies written once per batch. While a command waits for
the database the session stops executing, keeps the pipeline in order and goes on
reading into a bounded backlog, because a paused uvloop transport notices neither
FIN nor RST; only beyond the bound does it pause. A client that does not read its
replies is paused too, so neither direction grows without bound.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from antecache.server import errors
from antecache.server.accesslog import session_number
from antecache.server.askers import is_named
from antecache.server.blocked import Waiter
from antecache.server.command import Argv
from antecache.server.encode import encode
from antecache.server.errors import ClientError
from antecache.server.loader import Ticket
from antecache.server.pubsub import Subscriptions
from antecache.server.resp import Parser
from antecache.server.setting_texts import OutputLimit
from antecache.server.store import Database
from antecache.server.tracking import Tracked

log = logging.getLogger(__name__)

MAX_BACKLOG = 1 << 20  # bytes read ahead while a command waits
_ids = itertools.count(1)
_NOT_CONNECTED = asyncio.Transport()


class Session(asyncio.Protocol):
    """State of one connection; handlers see it as `ClientView`."""

    # More attributes than an instance dictionary can share between objects: slots are faster.
    __slots__ = (
        "_authenticated",
        "_backlog",
        "_backlog_bytes",
        "_closing",
        "_held",
        "_lone",
        "_lost",
        "_monitoring",
        "_parser",
        "_reply_mode",
        "_run",
        "_run_one",
        "_served_next",
        "_soft_since",
        "_transaction",
        "_transport",
        "_waiting",
        "account",
        "address",
        "busy",
        "created",
        "db",
        "executing",
        "fd",
        "id",
        "last_active_ms",
        "last_command",
        "lib_name",
        "lib_version",
        "local_address",
        "log_id",
        "name",
        "net_in",
        "net_out",
        "no_evict",
        "no_touch",
        "out",
        "paused",
        "protocol",
        "pushes",
        "server",
        "special",
        "subscriptions",
        "tracking",
        "transaction_dirty",
        "transaction_failed",
        "user",
        "watched",
        "write",
    )

    def __init__(self, server: Any) -> None:
        self.server = server
        self.id = next(_ids)
        self.log_id = self.id  # the session in the access log; see `asks_as`
        self.db: Database = server.store.databases[0]
        self.protocol = 2
        self.name = b""
        self.user = b"default"
        self.lib_name = b""
        self.lib_version = b""
        self.created = time.time()
        self.last_active_ms = server.store.now
        self.last_command: Argv | None = None
        self.watched: set[tuple[int, bytes]] = set()
        self.no_touch = self.no_evict = False
        self._closing = False
        self.special = self.busy = False
        self.executing = False  # a command of this client is being run, the slower way
        self.pushes: list[bytes] = []  # what was delivered meanwhile: it follows the reply
        self.subscriptions: Subscriptions | None = None
        self.tracking: Tracked | None = None
        self.net_in = self.net_out = 0
        self.transaction_failed = False
        self.transaction_dirty = False
        self._waiting: Any = None
        self._held = False
        self._served_next = False
        self.out: list[bytes] = []
        self.address = self.local_address = ""
        self.fd = -1
        self.account = server.users.default
        self._authenticated = bool(server.users.open)
        self._transaction: list[Argv] | None = None
        self._reply_mode = "on"
        self._monitoring = False
        self._backlog: list[Argv] = []
        self._backlog_bytes = 0
        self._transport: asyncio.Transport = _NOT_CONNECTED
        self.write: Callable[[bytes], None] = self._transport.write
        self._lost = False
        self.paused = False
        self._soft_since = 0.0  # Unix time since when the soft output limit is exceeded
        config = server.config
        self._parser = Parser(
            max_bulk=config.proto_max_bulk_len, query_buffer_limit=config.client_query_buffer_limit
        )
        self._parser.authenticated = self._authenticated
        # Bound once: these are called for every chunk.
        self._lone = self._parser.lone
        self._run = server.dispatch.run
        self._run_one = server.dispatch.run_one
        self._look()

    # -- state that makes a session special ---------------------------------

    def _look(self) -> None:
        """Whether dispatch must take the slower way for this session, or may not run at all."""
        self.busy = self._waiting is not None or self._held or self._closing
        self.special = (
            self.server.attention.on
            or not self._authenticated
            or not self.account.unrestricted
            or self._transaction is not None
            or self._reply_mode != "on"
            or self._monitoring
            or self.subscriptions is not None
            or self.tracking is not None
            or self.no_touch
            or self._closing
            or self._served_next
        )

    def look(self) -> None:
        """Something that makes a session special began or ended (MONITOR, SUBSCRIBE ...)."""
        self._look()

    @property
    def waiting(self) -> Any:
        """`dispatch.Waiting` or `blocked.Waiter` while parked, else None."""
        return self._waiting

    @waiting.setter
    def waiting(self, waiting: Any) -> None:
        self._waiting = waiting
        self.busy = waiting is not None or self._held or self._closing

    @property
    def held(self) -> bool:
        """Whether CLIENT PAUSE holds its commands back."""
        return self._held

    @held.setter
    def held(self, value: bool) -> None:
        self._held = value
        self._look()

    @property
    def blocked(self) -> Argv | None:
        """The command that waits for another client (BLPOP), or None."""
        waiting = self._waiting
        return waiting.argv if isinstance(waiting, Waiter) else None

    @property
    def served_next(self) -> bool:
        """Whether it made a key ready: blocked clients are served before its next command."""
        return self._served_next

    @served_next.setter
    def served_next(self, value: bool) -> None:
        self._served_next = value
        self._look()

    @property
    def closing(self) -> bool:
        """Set to close once the replies so far are written."""
        return self._closing

    @closing.setter
    def closing(self, value: bool) -> None:
        self._closing = value
        self._look()

    @property
    def authenticated(self) -> bool:
        """Whether this client may run commands."""
        return self._authenticated

    @authenticated.setter
    def authenticated(self, value: bool) -> None:
        self._authenticated = value
        self._parser.authenticated = value
        self._look()

    @property
    def transaction(self) -> list[Argv] | None:
        """Commands queued since MULTI; None outside a transaction."""
        return self._transaction

    @transaction.setter
    def transaction(self, queued: list[Argv] | None) -> None:
        self._transaction = queued
        self.transaction_failed = False
        self._look()

    @property
    def reply_mode(self) -> str:
        """`on`, `off`, or `skip`: the next reply is not sent (CLIENT REPLY)."""
        return self._reply_mode

    @reply_mode.setter
    def reply_mode(self, mode: str) -> None:
        self._reply_mode = mode
        self._look()

    @property
    def monitoring(self) -> bool:
        """Whether this client is a MONITOR."""
        return self._monitoring

    @monitoring.setter
    def monitoring(self, value: bool) -> None:
        self._monitoring = value
        self._look()

    # -- asyncio ------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register, or refuse when there are too many clients already."""
        self._transport = cast(asyncio.Transport, transport)
        self.write = self._transport.write
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.local_address = _address(local)
        # On a Unix socket a client has no address of its own; Redis shows the socket's.
        self.address = _address(peer or local)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            self.fd = sock.fileno()
            _keep_alive(sock, int(self.server.config.tcp_keepalive))
        self.server.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything about this client."""
        self._lost = True
        self.closing = True
        self._backlog.clear()
        self.server.dispatch.abandon(self)
        self.server.disconnected(self)

    def data_received(self, data: bytes) -> None:
        """Parse, and execute what is complete unless an earlier command waits."""
        self.net_in += len(data)
        parser = self._parser
        if parser.idle and not self.busy:
            lone = self._lone
            argv = lone(data)
            if argv is not None:
                run_one = self._run_one
                run_one(self, argv)
                return
        commands = parser.feed(data)
        if self.busy:
            self._postpone(commands, len(data))
        elif commands:
            self._run(self, commands)
        if not parser.idle:
            self._look_at_parser()

    def _postpone(self, commands: list[Argv], size: int) -> None:
        """An earlier command waits, or the session is closing: nothing runs now."""
        if self.closing:
            return
        self._backlog += commands
        self._backlog_bytes += size
        if self._backlog_bytes > MAX_BACKLOG:
            self._pause()

    def _look_at_parser(self) -> None:
        """The parser refuses a frame, holds too much, or waits to see whether AUTH succeeded."""
        parser = self._parser
        if parser.paused:
            self.data_received(b"")  # whether AUTH succeeded is known now: go on, or refuse
        elif parser.error is not None and self.waiting is None and not self.held:
            self._refuse_frame()
        elif parser.overflow:
            log.warning("closing %s: it exceeds client-query-buffer-limit", self.address)
            self.abort()

    def pause_writing(self) -> None:
        """The client does not read: stop reading from it."""
        self.server.slow_readers.add(self)
        self._pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.server.slow_readers.discard(self)
        self._soft_since = 0.0
        self._unpause()

    def check_output(self, limit: OutputLimit, now: float) -> None:
        """Close a client whose unread replies exceed client-output-buffer-limit."""
        waiting = self.output_buffer
        over = bool(limit.hard) and waiting > limit.hard
        if limit.soft and waiting > limit.soft:
            self._soft_since = self._soft_since or now
            over = over or now - self._soft_since > limit.seconds
        else:
            self._soft_since = 0.0
        if over:
            log.warning("closing %s: it exceeds client-output-buffer-limit", self.address)
            self.server.stats.output_disconnections += 1
            self.abort()

    def _pause(self) -> None:
        if not self.paused:
            self.paused = True
            self._transport.pause_reading()

    def _unpause(self) -> None:
        if self.paused and not self._transport.is_closing():
            self.paused = False
            self._transport.resume_reading()

    def _refuse_frame(self) -> None:
        error = self._parser.error
        assert error is not None
        self.server.stats.protocol_errors += 1
        self.server.stats.errors["ERR"] += 1
        encode(ClientError(f"ERR Protocol error: {error.text}"), self.protocol, self.out)
        self.closing = True
        self.flush()

    # -- dispatch -----------------------------------------------------------

    def reply(self, reply: Any) -> None:
        """Append one reply, unless CLIENT REPLY says otherwise."""
        if self._reply_mode == "on":
            encode(reply, self.protocol, self.out)
        elif self._reply_mode == "skip":
            self.reply_mode = "on"
        elif self._reply_mode == "skip next":  # the reply of CLIENT REPLY SKIP itself
            self.reply_mode = "skip"
        if self.pushes:
            self._append_pushes()

    def _append_pushes(self) -> None:
        self.out += self.pushes
        self.pushes.clear()

    def push(self, reply: Any) -> None:
        """Send something outside the order of replies."""
        pieces: list[bytes] = []
        encode(reply, self.protocol, pieces)
        self.deliver_soon(b"".join(pieces))

    def deliver(self, data: bytes) -> None:
        """Send encoded bytes outside the order of replies: now, or behind those due before."""
        if self.executing:
            self.pushes.append(data)
        elif not self._closing:
            self.out.append(data)
            self.flush()
            if self.paused:
                self.server.check_output(self)

    def deliver_soon(self, data: bytes) -> None:
        """As `deliver`, together with what else comes in this turn of the loop.

        One write costs as much as dozens of messages.
        """
        if self.executing:
            self.pushes.append(data)
        elif not self._closing:
            if not self.out:
                self.server.flush_soon(self)
            self.out.append(data)

    def flush_delivered(self) -> None:
        """Write what was delivered, unless replies have taken it along or the client is gone."""
        if self.out and not self._closing:
            self.flush()
            if self.paused:
                self.server.check_output(self)

    def flush(self) -> None:
        """Write the replies so far; closes when the session is to be closed."""
        if self.pushes:
            self._append_pushes()
        data = b"".join(self.out)
        self.out.clear()
        if not self._lost:
            self.net_out += len(data)
            self.write(data)
        if self._closing:
            self._transport.close()

    def resume(self, ticket: Ticket) -> None:
        """The keys a parked command waited for are there, or cannot be had."""
        self.server.dispatch.resume(self, ticket)
        if not self.closing:
            self._look_at_parser()

    def go_on(self) -> None:
        """A command that was blocked is answered: run what was sent meanwhile."""
        self.waiting = None
        commands = self.take_backlog()
        if self.closing:
            return
        if commands:
            self.server.dispatch.run(self, commands)
        self._look_at_parser()

    def put_back(self, commands: Sequence[Argv]) -> None:
        """Run these later, before what is read from now on."""
        self._backlog[:0] = commands

    def hold(self, commands: list[Argv]) -> None:
        """CLIENT PAUSE: keep these commands for later."""
        self.held = True
        self.put_back(commands)

    def release(self) -> None:
        """The pause is over."""
        self.held = False
        commands = self.take_backlog()
        if commands and not self.closing:
            self.server.dispatch.run(self, commands)

    def take_backlog(self) -> list[Argv]:
        """The commands read while waiting; reading goes on."""
        backlog, self._backlog = self._backlog, []
        self._backlog_bytes = 0
        self._unpause()
        return backlog

    # -- what handlers call -------------------------------------------------

    def select(self, index: int) -> None:
        """SELECT."""
        databases = self.server.store.databases
        if not 0 <= index < len(databases):
            raise ClientError(errors.DB_OUT_OF_RANGE)
        self.db = databases[index]

    def kill(self) -> None:
        """Close the connection once what was written has gone."""
        if self.out:
            self.flush()
        self.closing = True
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self.closing = True
        self._transport.abort()

    def asks_as(self, name: bytes, *, declared: bool = False) -> None:
        """Whose session the reads from now on are, for prediction: one name, one session.

        CLIENT SETNAME names it; PREDICTOR SESSION (`declared`) does so whatever the connection
        is called, until it is given an empty name.
        """
        access = self.server.access
        if declared or not is_named(self.log_id, declared=True):
            if name or (declared and self.name):
                named = session_number(name or self.name, declared=declared and bool(name))
                number = access.shown(named)
            else:
                number = self.server.askers.number_of(self)
            if number != self.log_id:
                self.log_id = number
                if self.server.dispatch.logging:
                    access.enter(max(number, ~number))

    def reset(self) -> None:
        """RESET: back to the state of a new connection."""
        self.db = self.server.store.databases[0]
        self.protocol = 2
        self.name = b""
        self.asks_as(b"", declared=True)
        self.no_touch = self.no_evict = False
        self._monitoring = False
        self._reply_mode = "on"
        self.server.pubsub.forget(self)
        self.server.tracking.end(self)
        self.transaction = None
        self.server.watches.forget(self)
        self.user = b"default"
        self.account = self.server.users.default
        self.authenticated = self.server.users.open

    @property
    def last_active(self) -> float:
        """Unix seconds of the last batch of commands."""
        return float(self.last_active_ms / 1000)

    @property
    def query_buffer(self) -> int:
        """Bytes received that are no complete command yet, or wait their turn."""
        return self._parser.pending + self._backlog_bytes

    @property
    def output_buffer(self) -> int:
        """Bytes of replies the client has not read yet."""
        return 0 if self._lost else self._transport.get_write_buffer_size()


def _keep_alive(sock: Any, seconds: int) -> None:
    """Have the system ask a silent peer whether it is still there, as Redis does it."""
    if not seconds or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(seconds // 3, 1))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def _address(name: Any) -> str:
    if isinstance(name, tuple):
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"{name}:0" if name else ""
