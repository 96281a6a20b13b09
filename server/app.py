"""Builds the server from a `Config`; the only file that names all the parts.

`Server` owns the parts, is what handlers see as `ServerView`, and runs the
background round (`hz` times a second): expiry, memory, idle clients, garbage.
`run.py` makes a process of it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from antecache.policies import registry as policies
from antecache.policies.base import Policy
from antecache.predictor import registry as predictors
from antecache.predictor.messages import Hello
from antecache.predictor.plan import Plan
from antecache.predictor.trainer import Trainer
from antecache.server import command, errors, monitor, process
from antecache.server.accesslog import AccessLog
from antecache.server.acl.users import Users
from antecache.server.backing.base import Backing, Source
from antecache.server.backing.registry import open_backing
from antecache.server.backing.sources import Sources
from antecache.server.blocked import Blocked
from antecache.server.commands.client import describe
from antecache.server.config import Config
from antecache.server.dispatch import Dispatch
from antecache.server.errors import ClientError, ConfigError
from antecache.server.followups import Followups
from antecache.server.forecast import Foresight
from antecache.server.histogram import Histogram
from antecache.server.http import MetricsServer
from antecache.server.hugepages import HugePages
from antecache.server.ledger import Ledger
from antecache.server.listeners import Listeners
from antecache.server.loader import Loader
from antecache.server.lua.scripts import Scripts
from antecache.server.notifications import Notifications
from antecache.server.plans import Plans
from antecache.server.prefetch import Prefetcher
from antecache.server.pubsub import PubSub
from antecache.server.rates import Rates
from antecache.server.restart import Parts, Restart
from antecache.server.rules import RuleBook
from antecache.server.session import Session
from antecache.server.slowlog import SlowLog
from antecache.server.spikes import Spikes
from antecache.server.stats import Stats
from antecache.server.store import Store
from antecache.server.timings import EXACT_NS, Timings
from antecache.server.tracking import Tracking
from antecache.server.watch import Watches
from antecache.server.whatif import Ghostly, Lately

log = logging.getLogger(__name__)

DEFAULT_CACHE = 1 << 30  # the cache a history is rehearsed with where nothing limits it
NEWS = 10.0  # seconds for which a failed load makes its source unreachable
AT_ONCE = 512  # connections that messages are written to before others get their turn
TYPICAL_ENTRY = 1024  # bytes, where only bytes are limited


class Server:
    """The parts of one server and what holds them together."""

    def __init__(self, config: Config, file: Path | None = None) -> None:
        command.load_all()
        self.config = config
        self.config_file = str(file.resolve()) if file is not None else None
        self.clients: dict[int, Session] = {}
        self.stats = Stats(live=self.clients.values)
        self.monitors: set[Any] = set()
        self.slow_readers: set[Session] = set()  # clients whose replies pile up
        self._delivered: list[Session] = []  # connections with messages to be written
        self.slowlog = SlowLog(config.slowlog_log_slower_than, config.slowlog_max_len)
        self.load_seconds = Histogram()
        self.rates = Rates()
        self.lately = Lately()
        self.started = time.time()
        self.run_id = secrets.token_hex(20)
        self.port = config.port
        self.loop_lag = 0.0
        self.huge_pages = HugePages()
        self.attending = False  # whether every command is looked at (MONITOR, CLIENT PAUSE)
        self.unreachable: dict[str, str] = {}
        self.policy_choice = policies.parse_maxmemory_policy(config.policy)
        self.store = Store(
            self._policy(),
            scope=self.policy_choice.scope,
            databases=config.databases,
            shards=config.shards,
            maxkeys=config.maxkeys,
        )
        self.watches = Watches(self.store)
        self.scripts = Scripts(self)
        self.users = Users(self, lambda client: describe([client], client, client.last_command))
        self.pubsub = PubSub()
        self.notifications = Notifications(self.store, self.pubsub)
        self.notifications.listen(config.notify_keyspace_events)
        self.sources = Sources([])
        self.access = AccessLog()
        self.loader = Loader(self.store, self._owner, self.stats, observe_seconds=self._load_took)
        self.store.on_flush = self.loader.overtake_all
        self.ledger = Ledger(floor=config.precision_floor)
        self.predictor = predictors.find(config.predictor)(max(config.prediction_bytes, 1))
        self.prefetcher = Prefetcher(
            self.store,
            self._owner,
            self.predictor,
            self.ledger,
            self.loader,
            self.access,
            row_budget=config.row_budget,
        )
        self.followups = Followups(
            self.store,
            self.prefetcher,
            RuleBook(config.rules),
            links_on=config.links,
            never_predict=config.never_predict.split(),
        )
        self.foresight = Foresight(self.store, self._owner, self.prefetcher, self.followups)
        self.loader.observer = self.prefetcher
        self.loader.on_loaded = self.followups.loaded
        self.store.on_first_use = self.followups.first_use
        self.store.on_unused = self.prefetcher.unused
        self.dispatch = Dispatch(self.store, self.stats, self.loader, self.access)
        self.tracking = Tracking(
            self.store, self.clients, self.dispatch.current, config.tracking_table_max_keys
        )
        self.dispatch.on_slow = self._slow
        self.timings = Timings(config.latency_tracking)
        self.spikes = Spikes(config.latency_monitor_threshold)
        self.watch_slow()
        self.plans = Plans(self.prefetcher.adopt)
        self.trainer = Trainer(
            drain=self.access.drain,
            publish=self.plans.adopt,
            adopt_history=self._adopt_history,
            settings=self._hello(),
        )
        self.restart = Restart(
            Parts(
                config,
                self.store,
                self.stats,
                self._owner,
                self.loader,
                self.prefetcher,
                self.followups,
                self.trainer,
            )
        )
        self.backing: Backing | None = None
        self.base_memory = process.resident_bytes()
        self.peak_memory = self.base_memory
        self.listeners = Listeners(config, lambda: Session(self))
        self._metrics = MetricsServer(self, config.metrics_host, config.metrics_port)
        self._round: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._switching = asyncio.Lock()
        self._paused_until = 0
        self._pause_mode = "all"
        self._tasks: set[asyncio.Task[None]] = set()
        self.imports: dict[str, Any] = {}

    # -- starting and stopping ----------------------------------------------

    async def start(self) -> None:
        """Open the database, listen, and start learning.

        Raises ConfigError, BackingError or OSError.
        """
        config = self.config
        saved = self.restart.read()
        if config.backing:
            self.backing = open_backing(config.backing, config.sources, config.source_options)
            self.sources = Sources(await self.backing.open())
            self.store.owner = self.sources.owner
            self.followups.seed(self.backing.links(), self.sources)
            for name, reason in self.backing.skipped.items():
                log.warning("table '%s' is not served: %s", name, reason)
        elif config.sources:
            raise ConfigError("[[source]] needs a database: set 'backing' to its URL")
        loop = asyncio.get_running_loop()
        await self.listeners.open()
        self.port = self.listeners.port
        await self._metrics.start()
        process.manual_collection()
        self.base_memory = process.resident_bytes()
        self._check_maxmemory()
        self.restart.start(saved)
        await self.set_prediction(config.prediction)
        self._measure()
        self.restart.begin(saved)
        self._round = loop.create_task(self._rounds())
        if config.history:
            self.import_history(config.history)

    async def stop(self) -> None:
        """Close everything that `start` opened; may be called after a failed start."""
        self.listeners.close()
        if self._round is not None:
            self._round.cancel()
        self.scripts.close()
        for session in list(self.clients.values()):
            session.abort()
        await self.restart.stop()
        await self.trainer.stop()
        await self._metrics.stop()
        await self.loader.close()
        if self.backing is not None:
            await self.backing.close()

    async def serve(self) -> None:
        """Serve until `shutdown`."""
        await self._stopping.wait()

    def shutdown(self) -> None:
        """SHUTDOWN, SIGTERM."""
        self._stopping.set()

    def _check_maxmemory(self) -> None:
        limit = self.config.maxmemory
        if limit and limit < self.base_memory:
            raise ConfigError(
                f"maxmemory: {limit >> 20} MiB is less than the process itself takes "
                f"({self.base_memory >> 20} MiB)"
            )

    # -- connections --------------------------------------------------------

    @property
    def protected(self) -> bool:
        """Whether only this machine may connect: protected mode without a password."""
        return self.config.protected_mode and self.users.default.no_password

    def connected(self, session: Session) -> None:
        """A connection was made: register it, or say why not and close."""
        self.stats.connections += 1
        text = None
        if len(self.clients) >= self.config.maxclients:
            text = errors.MAX_CLIENTS
        elif self.protected and not _is_local(session.address):
            text = errors.PROTECTED
        if text is not None:
            self.stats.rejected_connections += 1
            session.push(ClientError(text))
            session.kill()
            return
        self.clients[session.id] = session
        session.look()  # what is attended to may have changed since the session was made

    def disconnected(self, session: Session) -> None:
        """A connection was lost."""
        if self.clients.pop(session.id, None) is not None:
            self.stats.ended_in += session.net_in
            self.stats.ended_out += session.net_out
        self.monitors.discard(session)
        self.slow_readers.discard(session)
        self.watches.forget(session)
        self.pubsub.forget(session)
        self.tracking.end(session)
        self.look_around()

    def look_around(self) -> None:
        """Whether dispatch must ask before each command: MONITOR or CLIENT PAUSE is on."""
        paused = self._paused_until > self.store.now
        watching = bool(self.monitors) or paused or self.scripts.busy
        self.dispatch.attention = self._attend if watching else None
        if self.attending != watching:
            self.attending = watching
            for session in self.clients.values():
                session.look()

    def _attend(
        self, session: Session, argv: list[bytes], commands: Sequence[list[bytes]], index: int
    ) -> bool:
        """Feed the monitors; true when a pause holds this command and the rest back."""
        if self.scripts.busy:
            self.scripts.attend(session, commands, index)
            session.flush()
            return True
        row = command.find(argv)
        if row is None:
            return False
        exempt = (row.parent or row).name in ("client", "shutdown", "quit")
        paused = self._paused_until > self.store.now and not exempt
        writes = row.write or row.name in ("exec", "publish", "spublish")
        if paused and (writes or self._pause_mode == "all"):
            session.hold(list(commands[index:]))
            session.flush()
            return True
        if self.monitors:
            monitor.feed(self.monitors, session, argv, row)
        return False

    def pause(self, until_ms: int, mode: str) -> None:
        """CLIENT PAUSE and UNPAUSE (`until_ms` 0)."""
        if until_ms:
            until_ms = max(until_ms, self._paused_until)
        self._paused_until, self._pause_mode = until_ms, mode
        self.look_around()
        if not until_ms:
            for session in list(self.clients.values()):
                if session.held:
                    asyncio.get_running_loop().call_soon(session.release)

    def watch_slow(self) -> None:
        """Work out from when on a command is slow: SLOWLOG, LATENCY and its histograms ask."""
        wanted = [self.slowlog.threshold_ns]
        if self.spikes.threshold:
            wanted.append(self.spikes.threshold * 1_000_000)
        if self.timings.enabled:
            wanted.append(EXACT_NS)
        self.dispatch.slow_ns = min(wanted)

    def _slow(
        self,
        session: Session,
        argv: list[bytes],
        nanoseconds: int,
        row: command.Command,
        count: int,
    ) -> None:
        """`count` commands of a row took long together; `argv` is the last of them."""
        self.timings.tell(row, count, nanoseconds)
        self.spikes.add("fast-command" if row.fast else "command", nanoseconds // count)
        if nanoseconds >= self.slowlog.threshold_ns and "skip_slowlog" not in row.flags:
            self.slowlog.add(argv, nanoseconds // 1000, session.address, session.name)

    def _load_took(self, seconds: float) -> None:
        self.load_seconds.observe(seconds)
        self.spikes.add("load", int(seconds * 1e9))

    # -- ServerView ---------------------------------------------------------

    @property
    def plan(self) -> Plan | None:
        """The Plan in use."""
        return self.prefetcher.plan

    def execute(self, client: Any, argv: list[bytes]) -> Any:
        """Run one command inside another; returns its reply, errors as values."""
        try:
            return self.dispatch.execute(client, argv)
        except Blocked as blocked:  # nothing may wait half-way through a transaction
            return blocked.at_once

    def absent(self, client: Any, commands: Sequence[list[bytes]]) -> list[bytes]:
        """The keys of these commands that must be loaded before they run."""
        return self.dispatch.absent(client, commands)

    def metadata(self) -> dict[str, int]:
        """Bytes beyond entries and process, by part."""
        return {
            "predictor": self.predictor.nbytes,
            "links": self.followups.nbytes if self.config.prediction else 0,
            "ledger": self.ledger.nbytes,
            "accesslog": 16 * len(self.access.items),
            "scripts": self.scripts.memory + self.scripts.cache.nbytes,
            "store": self.store.metadata_bytes,
            "tracking": self.tracking.table.nbytes,
            "stale": self.store.attic.size,
        }

    def memory(self) -> int:
        """Bytes in use: the entries, the metadata and the process itself."""
        return self.base_memory + self.store.used + sum(self.metadata().values())

    def trainer_status(self) -> dict[str, Any]:
        """What the trainer does and did."""
        return self.trainer.status()

    def set_policy(self, text: str) -> None:
        """CONFIG SET maxmemory-policy; ValueError when there is no such policy."""
        self.policy_choice = policies.parse_maxmemory_policy(text)
        self.config.policy = text
        self.store.use(self._policy(), self.policy_choice.scope)
        self.followups.keep_entries()

    def set_maxmemory(self, size: int) -> None:
        """CONFIG SET maxmemory."""
        self.config.maxmemory = size
        self._measure()
        self.store.enforce()

    def _policy(self) -> Policy:
        found: type[Policy] = policies.find(self.policy_choice.name)
        options = {"log_factor": self.config.lfu_log_factor} if found.name == "lfu" else {}
        return found(**options)

    def _owner(self, key: bytes) -> Source | None:
        return self.sources.owner(key)

    # -- prediction ---------------------------------------------------------

    async def set_prediction(self, on: bool) -> None:
        """Start or stop logging, learning and prefetching."""
        self.config.prediction = on
        self.prefetcher.enabled = on
        self.dispatch.logging = on
        self.dispatch.entered = None
        store = self.store
        if on:
            self.predictor.resize(self.config.prediction_bytes)
            store.record = self.followups.recorder(self.access.items.append)
            store.record_miss = self.followups.miss_recorder(self.access.miss)
        else:
            store.record = _nothing
            store.record_miss = _nothing
        async with self._switching:  # the process follows, at its own pace, the last word
            if on and self.config.prediction:
                await self.trainer.start()
            elif not on:
                await self.trainer.stop()
                self.access.items.clear()

    def predict(self, on: bool) -> None:
        """PREDICTOR ON | OFF."""
        self._spawn(self.set_prediction(on))

    def import_history(self, path: str) -> None:
        """PREDICTOR IMPORT, --history: learn from recorded accesses, in the background."""
        self.imports = {"file": path, "state": "running"}

        async def work() -> None:
            try:
                result = await self.trainer.import_history(path)
            except Exception as error:
                log.error("history %s: %s", path, error)
                self.imports = {"file": path, "state": "failed", "reason": str(error)}
            else:
                self.imports = {"file": path, "state": "done", **result}

        self._spawn(work())

    async def _adopt_history(self, state: bytes) -> None:
        """Take over what a rehearsal remembered; read in a thread, since it may be megabytes."""
        fresh = type(self.predictor)(self.predictor.budget_bytes)
        await asyncio.to_thread(fresh.load, state)
        if self.plan is not None:
            fresh.adopt(self.plan)
        self.predictor = self.prefetcher.predictor = fresh

    def _hello(self) -> Hello:
        """What the trainer must know of this server: it rehearses a cache of the same size."""
        config = self.config
        capacity = config.maxkeys or (config.maxmemory or DEFAULT_CACHE) // TYPICAL_ENTRY
        return Hello(
            predictor=config.predictor,
            budget=max(config.prediction_bytes, 1),
            capacity=max(capacity, 1),
            charged=bool(config.maxmemory) and not config.maxkeys,
            memory_limit=config.trainer_maxmemory,
            models=config.models,
            record=config.access_log,
            record_limit=config.access_log_size,
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the background round -----------------------------------------------

    async def _rounds(self) -> None:
        interval = 1 / self.config.hz
        rounds = 0
        loop = asyncio.get_running_loop()
        due = loop.time() + interval
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            late = max(0.0, loop.time() - due)
            self.loop_lag = max(late, self.loop_lag * 0.9)
            due = max(due + interval, loop.time())
            rounds += 1
            try:
                self._tick(rounds)
            except Exception:
                log.exception("background round failed")

    def _tick(self, rounds: int) -> None:
        if self.scripts.busy:
            return  # nothing but the script touches the store
        store = self.store
        self.dispatch.set_clock()
        started = time.perf_counter_ns()
        store.expire_cycle()
        expired = time.perf_counter_ns()
        self.spikes.add("expire-cycle", expired - started)
        self.tracking.tick()
        self._measure()
        measured = time.perf_counter_ns()
        store.enforce()
        self.spikes.add("eviction-cycle", time.perf_counter_ns() - measured)
        self.timings.sample(command.every())
        self.rates.sample(time.monotonic(), self.stats)
        self.lately.look(self)
        process.collect_young(settle=rounds % (10 * self.config.hz) == 0)
        if not self.config.prediction:
            self.access.items.clear()
        if self._paused_until and self._paused_until <= store.now:
            self.pause(0, "all")
        if rounds % self.config.hz == 0:
            self._every_second()

    def _every_second(self) -> None:
        now = time.time()
        self.huge_pages.advise()
        if self.config.timeout:
            for session in list(self.clients.values()):
                idle = now - session.last_active > self.config.timeout
                listens = session.monitoring or session.subscriptions is not None
                if idle and session.waiting is None and not listens:
                    session.kill()
        # A failure counts as news for a while only: a node that gets no traffic because it
        # is not ready would otherwise never learn that its database is back.
        self.unreachable = {
            name: text for name, (text, at) in self.loader.failing.items() if now - at < NEWS
        }
        for session in list(self.slow_readers):
            self.check_output(session, now)

    def flush_soon(self, session: Session) -> None:
        """Something was delivered to a connection: write it at the end of this turn of the loop."""
        if not self._delivered:
            asyncio.get_running_loop().call_soon(self._flush_delivered)
        self._delivered.append(session)

    def _flush_delivered(self) -> None:
        sessions, self._delivered = self._delivered[:AT_ONCE], self._delivered[AT_ONCE:]
        if self._delivered:
            asyncio.get_running_loop().call_soon(self._flush_delivered)
        for session in sessions:
            session.flush_delivered()

    def check_output(self, session: Session, now: float = 0.0) -> None:
        """Close a client whose unread output exceeds the limit of its class."""
        kind = "normal" if session.subscriptions is None else "pubsub"
        session.check_output(self.config.output_limits[kind], now or time.time())

    def _measure(self) -> None:
        """Work out how many bytes the entries may take."""
        used = self.memory()
        self.peak_memory = max(self.peak_memory, used)
        # The store itself charges stale values to its room.
        fixed = used - self.store.used - self.store.attic.size
        limit = self.config.maxmemory
        self.store.room = limit - fixed if limit else sys.maxsize
        self.store.limit = self.config.maxkeys or sys.maxsize
        policy = self.store.policy
        if isinstance(policy, Ghostly):
            policy.memory = self.store.room + policy.metadata_bytes if limit else sys.maxsize


def _nothing(_: bytes) -> None:
    """What records an access while nothing learns from it."""


def _is_local(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return True  # a Unix socket
