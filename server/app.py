"""Builds the server from a `Config`; the only file that names all the parts.

`Server` owns the parts and is what handlers see as `ServerView`. What happens in
the background stands in `rounds.py`; `run.py` makes a process of it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from antecache.policies import registry as policies
from antecache.policies.base import Policy
from antecache.predictor import registry as predictors
from antecache.predictor.plan import Plan
from antecache.predictor.trainer import Trainer
from antecache.server import command, errors, process
from antecache.server.accesslog import AccessLog
from antecache.server.acl.users import Users
from antecache.server.askers import Askers
from antecache.server.attention import Attention
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
from antecache.server.learning import Learning, adopt_history, hello
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
from antecache.server.rounds import rounds
from antecache.server.rules import RuleBook
from antecache.server.schedule import Schedule
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

AT_ONCE = 512  # connections that messages are written to before others get their turn


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
        self.prefetcher = Prefetcher(
            self.store,
            self._owner,
            predictors.find(config.predictor)(max(config.prediction_bytes, 1)),
            self.ledger,
            self.loader,
            self.access,
            row_budget=config.row_budget,
        )
        self.askers = Askers(self.clients, self.access, lambda: self.dispatch.entered)
        self.prefetcher.walkers.on_change = self.askers.set_aside
        self.prefetcher.walkers.home_of = self.askers.home_of
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
        self.attention = Attention(
            self.dispatch, self.store, self.scripts, self.monitors, self.clients
        )
        self.tracking = Tracking(
            self.store, self.clients, self.dispatch.current, config.tracking_table_max_keys
        )
        self.dispatch.on_slow = self._slow
        self.timings = Timings(config.latency_tracking)
        self.spikes = Spikes(config.latency_monitor_threshold)
        self.watch_slow()
        self.plans = Plans(self.prefetcher.adopt)
        self.schedule = Schedule(self.store, self._owner, self.prefetcher, self.followups.never)
        self.trainer = Trainer(
            drain=self.access.drain,
            discard=self.access.discard,
            publish=self.plans.adopt,
            adopt_history=partial(adopt_history, self.prefetcher),
            expect=self.schedule.replace,
            settings=hello(config),
            patience=config.trainer_timeout,
        )
        self.learning = Learning(
            config,
            self.store,
            self.dispatch,
            self.access,
            self.prefetcher,
            self.followups,
            self.trainer,
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
        await self.learning.switch(config.prediction)
        self.measure()
        self.restart.begin(saved)
        self._round = loop.create_task(rounds(self))
        if config.history:
            self.learning.import_history(config.history)

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
        session.log_id = self.askers.number_of(session)
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
        self.attention.look()

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
            "predictor": self.prefetcher.predictor.nbytes,
            "links": self.followups.nbytes if self.config.prediction else 0,
            "readers": self.prefetcher.walkers.nbytes,
            "schedule": self.schedule.nbytes,
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

    def set_policy(self, text: str) -> None:
        """CONFIG SET maxmemory-policy; ValueError when there is no such policy."""
        self.policy_choice = policies.parse_maxmemory_policy(text)
        self.config.policy = text
        self.store.use(self._policy(), self.policy_choice.scope)
        self.followups.keep_entries()

    def set_maxmemory(self, size: int) -> None:
        """CONFIG SET maxmemory."""
        self.config.maxmemory = size
        self.measure()
        self.store.enforce()

    def _policy(self) -> Policy:
        found: type[Policy] = policies.find(self.policy_choice.name)
        options = {"log_factor": self.config.lfu_log_factor} if found.name == "lfu" else {}
        return found(**options)

    def _owner(self, key: bytes) -> Source | None:
        return self.sources.owner(key)

    # -- output ---------------------------------------------------------------

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

    def measure(self) -> None:
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


def _is_local(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return True  # a Unix socket
