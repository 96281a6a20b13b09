"""Read-through: an absent key that a source owns is loaded once, for all who wait.

A `Ticket` is one command (or a run of pipelined reads) that waits for some keys;
a `Load` is one key on its way. Tickets that ask for a key already on its way join
its load. Loads of one loop tick and one source go out as one statement, together
with the keys that a prediction expects next (the riders); what a source cannot
take at once waits in its queue and leaves as a larger batch.

Three rules keep it honest. A write or invalidation during a load overtakes it:
the value is not stored, and loaded anew if somebody still waits. A ticket is
answered within its source's timeout, whatever the database does. Prefetches
never take the last slot of a source from demand.

Eviction is left to the caller's next `enforce`: what was waited for stays until
its command has run.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from antecache.server.backing.base import BackingError, BackingTimeout, Loaded, Source
from antecache.server.stats import Stats
from antecache.server.store import Evidence, Store

log = logging.getLogger(__name__)

MAX_BATCH = 512  # keys a statement; the backing splits further where its database must
MAX_TRIES = 3  # loads of one key that writes keep overtaking
RETRY_STALE_MS = 1000  # how long a stale answer serves before the database is tried again
MAX_QUEUED_PREFETCHES = 1024  # per source; beyond it new ones are dropped

Done = Callable[["Ticket"], None]


class Observer(Protocol):
    """What the prefetcher wants to know of loads."""

    def riders(self, keys: Sequence[bytes]) -> Iterable[tuple[bytes, Source, Evidence]]:
        """The keys to fetch along with a demand miss of `keys`."""

    def late(self, key: bytes, evidence: Evidence) -> None:
        """A prefetch on its way was asked for: the client waits, but less."""

    def dropped(self, key: bytes, evidence: Evidence) -> None:
        """A prefetch came to nothing."""


class Ticket:
    """A command that waits. `errors` maps keys that could not be loaded to error texts."""

    __slots__ = ("done", "errors", "left", "timer")

    def __init__(self, done: Done) -> None:
        self.done: Done | None = done
        self.left: set[bytes] = set()
        self.errors: dict[bytes, str] = {}
        self.timer: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """The client has gone; the load goes on for the others and for the cache."""
        self.done = None
        if self.timer is not None:
            self.timer.cancel()

    def finish(self) -> None:
        """Call back, once."""
        done = self.done
        self.cancel()
        if done is not None:
            done(self)


class Load:
    """A key on its way from its source."""

    __slots__ = ("evidence", "key", "overtaken", "source", "tickets", "tries")

    def __init__(self, key: bytes, source: Source, evidence: Evidence | None) -> None:
        self.key = key
        self.source = source
        self.evidence = evidence
        self.tickets: list[Ticket] = []
        self.overtaken = False
        self.tries = 0


class Lane:
    """The queue of one source."""

    __slots__ = ("demand", "prefetch", "running")

    def __init__(self) -> None:
        self.demand: deque[Load] = deque()
        self.prefetch: deque[Load] = deque()
        self.running = 0


class Loader:
    """Loads in flight, by key, and the queues of the sources."""

    def __init__(
        self,
        store: Store,
        owner: Callable[[bytes], Source | None],
        stats: Stats,
        *,
        observe_seconds: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._owner = owner
        self._stats = stats
        self._observe_seconds = observe_seconds
        self.observer: Observer | None = None
        # Told of every value that came and is kept, once those who waited are served.
        self.on_loaded: Callable[[bytes, Source, Any, Evidence | None], None] | None = None
        self.inflight: dict[bytes, Load] = {}
        self._lanes: dict[str, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduled: asyncio.Handle | None = None
        # Set while a script has the store to itself: what arrives meanwhile waits for its end.
        self.gate: asyncio.Event | None = None
        self._random = random.Random()
        # Sources whose last load failed: the error, and when (Unix seconds).
        self.failing: dict[str, tuple[str, float]] = {}

    # -- asking -------------------------------------------------------------

    def request(self, keys: Iterable[bytes], done: Done) -> Ticket:
        """Load absent, owned keys of database 0 and call `done(ticket)`, later, exactly once."""
        ticket = Ticket(done)
        fresh: list[bytes] = []
        timeout = 0.0
        for key in dict.fromkeys(keys):
            self._stats.waits += 1
            self._store.misses += 1
            self._store.record_miss(key)
            load = self.inflight.get(key)
            if load is None:
                source = self._owner(key)
                assert source is not None, key
                load = self._begin(key, source, None)
                fresh.append(key)
            else:
                self._stats.joins += 1
                if load.evidence is not None:
                    self._promote(load)
            load.tickets.append(ticket)
            ticket.left.add(key)
            timeout = max(timeout, load.source.options.timeout)
        ticket.timer = asyncio.get_running_loop().call_later(timeout, self._expire, ticket)
        if fresh and self.observer is not None:
            for key, source, evidence in self.observer.riders(fresh):
                self.prefetch(key, source, evidence)
        self._schedule()
        return ticket

    def prefetch(self, key: bytes, source: Source, evidence: Evidence) -> bool:
        """Queue a predicted key; False (and a drop in the ledger) when the queue is full."""
        if key in self.inflight:
            return False
        if len(self._lane(source).prefetch) >= MAX_QUEUED_PREFETCHES:
            if self.observer is not None:
                self.observer.dropped(key, evidence)
            return False
        self._begin(key, source, evidence)
        self._schedule()
        return True

    def _begin(self, key: bytes, source: Source, evidence: Evidence | None) -> Load:
        load = self.inflight[key] = Load(key, source, evidence)
        lane = self._lane(source)
        (lane.demand if evidence is None else lane.prefetch).append(load)
        if len(self.inflight) == 1:
            self._store.observe(self._changed)
        return load

    def _promote(self, load: Load) -> None:
        """Somebody asks for a prefetch in flight: from now on it is a demand load."""
        evidence, load.evidence = load.evidence, None
        lane = self._lane(load.source)
        if load in lane.prefetch:
            lane.prefetch.remove(load)
            lane.demand.append(load)
        if self.observer is not None and evidence is not None:
            self.observer.late(load.key, evidence)

    def _lane(self, source: Source) -> Lane:
        lane = self._lanes.get(source.name)
        if lane is None:
            lane = self._lanes[source.name] = Lane()
        return lane

    # -- sending ------------------------------------------------------------

    def _schedule(self) -> None:
        if self._scheduled is None:
            self._scheduled = asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Send what is queued, one statement a source, as far as its slots go."""
        self._scheduled = None
        for lane in self._lanes.values():
            while lane.demand or lane.prefetch:
                source = (lane.demand or lane.prefetch)[0].source
                slots = source.options.concurrency
                if not lane.demand:
                    slots = max(1, slots // 2)
                if lane.running >= slots:
                    break
                batch: list[Load] = []
                for queue in (lane.demand, lane.prefetch):
                    while queue and len(batch) < MAX_BATCH:
                        batch.append(queue.popleft())
                lane.running += 1
                task = asyncio.get_running_loop().create_task(self._send(source, lane, batch))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _send(self, source: Source, lane: Lane, batch: list[Load]) -> None:
        keys = [load.key for load in batch]
        prefetched = sum(load.evidence is not None for load in batch)
        self._stats.prefetch_rows[source.name] += prefetched
        self._stats.demand_rows[source.name] += len(batch) - prefetched
        started = time.perf_counter()
        query = asyncio.ensure_future(source.backing.get_many(source, keys))
        try:
            # Not wait_for: a driver that is slow to cancel must not hold the clients.
            await asyncio.wait({query}, timeout=source.options.timeout)
            seconds = time.perf_counter() - started
            while self.gate is not None:
                await self.gate.wait()
            if query.done():
                self._answered(source, batch, query, seconds)
            else:
                self._stats.statements[source.name] += 1
                self._stats.load_timeouts[source.name] += 1
                self._failed(source, batch, _late(source))
                query.cancel()
                await asyncio.wait({query})
        finally:
            lane.running -= 1
            if lane.demand or lane.prefetch:
                self._schedule()

    def _answered(
        self, source: Source, batch: list[Load], query: asyncio.Future[Loaded], seconds: float
    ) -> None:
        self._observe_seconds(seconds)
        error = query.exception()
        if error is None:
            loaded = query.result()
            self._stats.statements[source.name] += loaded.statements
            origin = self._store.origin(source)
            origin.cost += (seconds - origin.cost) * (0.1 if origin.cost else 1.0)
            self.failing.pop(source.name, None)
            self._deliver(source, batch, loaded)
            return
        self._stats.statements[source.name] += 1
        self._stats.load_errors[source.name] += 1
        if not isinstance(error, BackingError):
            log.error("source '%s': unexpected error", source.name, exc_info=error)
            error = BackingError("internal error")
        self._failed(source, batch, error)

    # -- arriving -----------------------------------------------------------

    def _deliver(self, source: Source, batch: list[Load], loaded: Loaded) -> None:
        store = self._store
        store.now = max(store.now, time.time_ns() // 1_000_000)
        options = source.options
        finished: list[Load] = []
        for load in batch:
            present = load.overtaken and store.databases[0].peek(load.key) is not None
            if load.overtaken and load.tickets and not present and load.tries < MAX_TRIES:
                load.overtaken = False
                load.tries += 1
                self._lane(source).demand.append(load)
                self._schedule()
                continue
            self._end(load)
            finished.append(load)
            value = loaded.values.get(load.key)
            refused = loaded.errors.get(load.key)
            if load.overtaken:
                self._drop(load)
            elif refused is not None:  # the key itself was refused; the rest of the batch is fine
                self._drop(load)
                for ticket in load.tickets:
                    ticket.errors[load.key] = _error_text(source, refused)
            elif value is None:
                ttl = self._jittered(options.negative_ttl, options.jitter)
                store.remember_absent(load.key, store.now + ttl)
                self._drop(load)
            else:
                ttl = self._jittered(options.ttl, options.jitter)
                store.attic.remove(load.key)
                store.databases[0].put(
                    load.key,
                    value,
                    store.now + ttl if ttl else 0,
                    origin=load.evidence or store.origin(source),
                    quiet=True,
                )
        self._release(finished)
        if self.on_loaded is not None:
            for load in finished:
                if not load.overtaken and load.key in loaded.values:
                    self.on_loaded(load.key, source, loaded.values[load.key], load.evidence)

    def _failed(self, source: Source, batch: list[Load], error: BackingError) -> None:
        store = self._store
        store.now = max(store.now, time.time_ns() // 1_000_000)
        self.failing[source.name] = (str(error), time.time())
        text = _error_text(source, error)
        for load in batch:
            if self.inflight.get(load.key) is not load:
                continue
            self._end(load)
            if not load.tickets:
                self._drop(load)
                continue
            if not load.overtaken and self._stale(load, len(load.tickets)):
                continue
            for ticket in load.tickets:
                ticket.errors[load.key] = text
        self._release(batch)

    def _stale(self, load: Load, readers: int) -> bool:
        """Put the stale value of a key that cannot be loaded in place, if one was kept."""
        store = self._store
        stale = store.attic.get(load.key, store.now)
        if stale is None:
            return False
        self._stats.stale_served += readers
        store.databases[0].put(
            load.key,
            stale.value,
            store.now + RETRY_STALE_MS,
            origin=store.origin(load.source),
            quiet=True,
        )
        return True

    def _end(self, load: Load) -> None:
        del self.inflight[load.key]
        if not self.inflight:
            self._store.unobserve(self._changed)

    def _drop(self, load: Load) -> None:
        if load.evidence is not None and self.observer is not None:
            self.observer.dropped(load.key, load.evidence)

    def _release(self, loads: list[Load]) -> None:
        """Call back the tickets that wait for nothing more, then keep the budget."""
        for load in loads:
            tickets, load.tickets = load.tickets, []
            for ticket in tickets:
                ticket.left.discard(load.key)
                if not ticket.left:
                    ticket.finish()
        self._store.enforce()

    def _expire(self, ticket: Ticket) -> None:
        """A ticket's time is up, though its load may still be queued or running."""
        for key in ticket.left:
            load = self.inflight.get(key)
            if load is None:
                continue
            if ticket in load.tickets:
                load.tickets.remove(ticket)
            if self.gate is None and self._stale(load, 1):
                continue
            ticket.errors[key] = _error_text(load.source, _late(load.source))
        ticket.left.clear()
        ticket.finish()

    def _jittered(self, seconds: float, share: float) -> int:
        """A time to live in milliseconds, moved by up to `share` so that expiries spread."""
        return int(seconds * 1000 * (1 + share * self._random.uniform(-1, 1)))

    def _changed(self, db: int, key: bytes) -> None:
        """A key changed, expired or was evicted while loads are in flight."""
        if db == 0:
            load = self.inflight.get(key)
            if load is not None:
                load.overtaken = True

    def overtake_all(self, db: int) -> None:
        """The database was flushed: no load in flight may bring anything back."""
        if db == 0:
            for load in self.inflight.values():
                load.overtaken = True

    async def close(self) -> None:
        """Cancel everything in flight."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


def _error_text(source: Source, error: BackingError) -> str:
    """What a client reads for a key that could not be loaded."""
    return f"BACKING source '{source.name}': {error}"


def _late(source: Source) -> BackingTimeout:
    return BackingTimeout(f"did not answer within {source.options.timeout:g} s")
