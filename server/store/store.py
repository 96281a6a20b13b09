"""The store: sixteen databases, one budget, one eviction policy, one probation.

What a client wrote is never evicted behind its back: under the plain policy
names only entries that a source can load again are ever handed to the policy
(`scope` "loadable"); `allkeys` and `volatile` mean what they mean in Redis. The
budget is `room` bytes (maxmemory less what the process and its metadata take)
and `maxkeys` resident keys, and is enforced between commands, never inside one:
a newcomer must not be evicted before the command that waited for it has run.

It does not know where misses are loaded from: `owner` says which keys a source
owns, and loads in flight are in `overtaken`'s care, not here.
"""

from __future__ import annotations

import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from antecache.policies.base import Policy
from antecache.server.backing.base import Source
from antecache.server.store import events, size
from antecache.server.store.database import Database
from antecache.server.store.entry import PROBATION, Entry, Evidence, Origin
from antecache.server.store.field_deadlines import FieldDeadlines
from antecache.server.store.probation import Probation
from antecache.server.store.stale import Attic

NEGATIVE_BYTES = 180  # a key, a deadline, and their dictionary slot
NEGATIVE_LIMIT = 100_000
LONGEST_ABSENT = 1024  # bytes of a key; of longer ones it is not remembered that there is no row


def _ignore(*_: Any) -> None:
    """The hook of a part that is not there."""


class Store:
    """All resident entries and the books over them.

    Counters (plain ints, read by INFO and the metrics): hits, misses, expired,
    evicted, dirty, negative_hits. `now` is Unix milliseconds, set once per batch of commands.
    """

    __slots__ = (
        "_origins",
        "_string_observers",
        "attic",
        "bare",
        "count",
        "databases",
        "dirty",
        "events",
        "evicted",
        "expired",
        "expires",
        "fields",
        "full",
        "hits",
        "involuntary",
        "limit",
        "misses",
        "negative",
        "negative_hits",
        "now",
        "observed",
        "observers",
        "on_event",
        "on_first_use",
        "on_flush",
        "on_load",
        "on_unused",
        "owner",
        "pinned",
        "policy",
        "probation",
        "random",
        "record",
        "record_miss",
        "room",
        "scope",
        "strings_observed",
        "touch",
        "used",
    )

    def __init__(
        self,
        policy: Policy,
        *,
        scope: str = "loadable",
        databases: int = 16,
        shards: int = 16,
        maxkeys: int = 0,
    ) -> None:
        self.now = time.time_ns() // 1_000_000
        self.random = random.Random(0)
        self.policy = policy
        self.scope = scope
        self.limit = maxkeys or sys.maxsize  # resident keys
        self.room = sys.maxsize  # bytes entries may take
        self.used = 0  # bytes they take
        self.count = 0
        self.probation = Probation()
        self.attic = Attic()
        self.fields = FieldDeadlines(self)
        self.negative: dict[bytes, int] = {}
        self.pinned: dict[bytes, int] = {}
        self.hits = self.misses = self.expired = self.evicted = self.dirty = 0
        self.negative_hits = 0
        self.databases = [Database(self, index, shards) for index in range(databases)]
        # Filled by app.py.
        self.owner: Callable[[bytes], Source | None] | None = None
        self._origins: dict[str, Origin] = {}
        self.record: Callable[[bytes], None] = deque[bytes](maxlen=0).append
        self.record_miss: Callable[[bytes], None] = _ignore
        self.on_first_use: Callable[[Entry, Evidence], None] = _ignore
        self.on_unused: Callable[[Entry, Evidence], None] = _ignore
        self.on_flush: Callable[[int], None] = _ignore
        self.on_event: Callable[[int, int, str, bytes], None] = _ignore
        self.on_load: Callable[[int, bytes], None] = _ignore  # called while anybody observes
        self.involuntary = False  # whether the change being signalled is no client's doing
        self.expires = True  # False after DEBUG SET-ACTIVE-EXPIRE 0
        self.events = 0  # classes (store/events.py) of which `on_event` is told; see `listen`
        self.observers: list[Callable[[int, bytes], None]] = []
        # Whether anybody wants to know of changes: an observer (WATCH, a load in flight), events.
        self.observed = False
        self.strings_observed = False  # whether somebody wants to know of each SET of a string
        self._string_observers = 0
        self.use(policy, scope)

    def use(self, policy: Policy, scope: str) -> None:
        """Change the eviction policy; entries stay, in the old policy's order."""
        held = list(self.policy.nodes())
        for node in held:
            self.policy.remove(node)
        self.policy, self.scope = policy, scope
        self.touch = policy.hit
        self.full = policy.full
        # A bare string belongs to no source and has no deadline: only `allkeys` may evict it.
        self.bare = scope != "allkeys" or not policy.evicts
        if not self.bare:
            for database in self.databases:
                database.inflate_all()
        if policy.evicts:
            for entry in (*held, *self._entries()):
                assert isinstance(entry, Entry)
                if entry.where == 0 and self.evictable(entry):
                    policy.insert(entry)

    def _entries(self) -> Iterator[Entry]:
        for database in self.databases:
            for data in database.dicts:
                for held in data.values():
                    if not isinstance(held, bytes):
                        yield held

    # -- sources ------------------------------------------------------------

    def must_load(self, key: bytes) -> bool:
        """Whether an absent key of database 0 should be asked of its source."""
        if self.owner is None or self.owner(key) is None:
            return False
        if self.known_absent(key):
            self.negative_hits += 1
            return False
        return True

    def known_absent(self, key: bytes) -> bool:
        """Whether the source was asked for `key` lately and had no row."""
        until = self.negative.get(key)
        if until is None:
            return False
        if until > self.now:
            return True
        del self.negative[key]
        return False

    def origin_of(self, key: bytes, db: int) -> Origin | None:
        """The origin of a key that a client writes; None when no source owns it."""
        if self.owner is None or db:
            return None
        source = self.owner(key)
        return None if source is None else self.origin(source)

    def origin(self, source: Source) -> Origin:
        """The one origin object of a source."""
        origin = self._origins.get(source.name)
        if origin is None or origin.source is not source:
            origin = self._origins[source.name] = Origin(source)
        return origin

    def remember_absent(self, key: bytes, until: int) -> None:
        """The source has no row for `key`: do not ask again before `until` (Unix ms)."""
        if until <= self.now or len(key) > LONGEST_ABSENT:
            return
        while len(self.negative) >= NEGATIVE_LIMIT:
            del self.negative[next(iter(self.negative))]
        self.negative[key] = until

    def forget(self, key: bytes) -> None:
        """An invalidation: neither a negative nor a stale answer outlives it."""
        self.negative.pop(key, None)
        self.attic.remove(key)

    def forget_all(self) -> None:
        """As `forget`, for every key."""
        self.negative.clear()
        self.attic.clear()

    # -- the books ----------------------------------------------------------

    def evictable(self, entry: Entry) -> bool:
        """Whether the scope lets the policy have this entry."""
        scope = self.scope
        if scope == "loadable":
            return entry.origin is not None
        return scope == "allkeys" or entry.expire_at != 0

    def added(self, entry: Entry) -> None:
        """A new entry is in its shard: charge it, hand it to probation or the policy."""
        self.count += 1
        self.used += entry.size
        if type(entry.origin) is Evidence:
            self.probation.add(entry)
        elif self.policy.evicts and self.evictable(entry):
            self.policy.insert(entry)
        if self.negative:
            self.negative.pop(entry.key, None)

    def added_bare(self, key: bytes, value: bytes) -> None:
        """A new string is held without an entry."""
        self.count += 1
        self.used += size.of_bare(key, value)
        self.dirty += 1

    def removed_bare(self, key: bytes, value: bytes) -> None:
        """A string that was held without an entry is gone."""
        self.count -= 1
        self.used -= size.of_bare(key, value)

    def overwritten(self, entry: Entry, cost: int) -> None:
        """An entry has a new value of `cost` bytes; a use, as far as eviction goes.

        An unused prefetch that a client overwrites came to nothing: what it brought was not read.
        """
        self.resized(entry, cost)
        if entry.where > 0:
            self.touch(entry)
        elif entry.where < 0:
            self.probation.remove(entry)
            evidence = entry.origin
            if type(evidence) is Evidence:
                entry.origin = evidence.origin
                self.on_unused(entry, evidence)
            if self.policy.evicts and self.evictable(entry):
                self.policy.insert(entry)

    def resized(self, entry: Entry, cost: int) -> None:
        """An entry takes `cost` bytes from now on."""
        self.used += cost - entry.size
        if entry.where > 0:
            self.policy.resize(entry, cost)
        elif entry.where < 0:
            self.probation.resize(entry, cost)
        else:
            entry.size = cost

    def deadline_changed(self, entry: Entry) -> None:
        """The scope `volatile` and the policy `ttl` look at deadlines: enter it anew."""
        if entry.where < 0 or not self.policy.evicts:
            return
        if entry.where > 0 and (self.scope == "volatile" or self.policy.name == "ttl"):
            self.policy.remove(entry)
        if entry.where == 0 and self.evictable(entry):
            self.policy.insert(entry)

    def first_use(self, entry: Entry) -> None:
        """A prefetched entry is used: it enters the policy as a miss would have."""
        self.probation.remove(entry)
        if self.policy.evicts and self.evictable(entry):
            self.policy.insert(entry)
        if type(entry.origin) is Evidence:
            self.on_first_use(entry, entry.origin)

    def remove(self, entry: Entry) -> None:
        """Take a resident entry out of everything."""
        where = entry.where
        if where > 0:
            self.policy.remove(entry)
        elif where < 0:
            self.probation.remove(entry)
            if type(entry.origin) is Evidence:
                self.on_unused(entry, entry.origin)
        self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        shard = entry.shard
        del shard.data[entry.key]
        if entry.expire_at:
            deadline = entry.expire_at
            shard.set_deadline(entry, 0)
            entry.expire_at = deadline
        self.count -= 1
        self.used -= entry.size

    def expire(self, entry: Entry) -> None:
        """An entry's time has come; a source may still want it as a stale answer."""
        self.remove(entry)
        self.expired += 1
        if entry.origin is not None and entry.origin.stale_ms:
            self.attic.add(entry)
        if self.observed:
            self._gone(entry, events.EXPIRED, "expired")

    def _gone(self, entry: Entry, kind: int, name: str) -> None:
        """Tell that an entry has left without a client's doing."""
        db = entry.shard.db
        if self.events & kind:
            self.on_event(db, kind, name, entry.key)
        self.involuntary = True
        self.signal(db, entry.key)
        self.involuntary = False

    # -- budget -------------------------------------------------------------

    def protect(self, key: bytes) -> None:
        """A key that is there will be asked for soon: it stays a little longer."""
        entry = self.databases[0].peek(key)
        if entry is None:
            return
        if entry.where == PROBATION:
            self.probation.refresh(entry)
        elif entry.where and self.policy.uses(entry) <= 1 and entry.state is not self.policy.full:
            self.policy.hit(entry)

    @property
    def residents(self) -> int:
        """Entries that may be evicted, probation included."""
        return self.policy.count + self.probation.queue.count

    def over(self) -> bool:
        """Whether the store holds more than its budget."""
        return self.used + self.attic.size > self.room or self.count > self.limit

    def enforce(self) -> bool:
        """Evict until the budget is kept; False when nothing more may leave."""
        pinned: list[Entry] = []
        waiting: list[Entry] = []  # pinned, and on probation
        probation = self.probation
        kept = True
        while self.over():
            if self.attic.size and self.attic.evict():
                continue
            unused = probation.overdue(self.residents)
            victim = probation.evict() if unused else self.policy.evict()
            if victim is None:
                unused = not unused
                victim = probation.evict() if unused else self.policy.evict()
            if victim is None:
                kept = False
                break
            assert isinstance(victim, Entry)
            if self.pinned and victim.key in self.pinned:
                (waiting if unused else pinned).append(victim)
                continue
            self._evicted(victim, unused=unused)
        for entry in pinned:
            self.policy.insert(entry)
        for entry in waiting:
            probation.add(entry)
        return kept

    def _evicted(self, victim: Entry, *, unused: bool) -> None:
        self._drop(victim)
        self.evicted += 1
        if type(victim.origin) is Evidence and unused:
            self.on_unused(victim, victim.origin)
        elif self.probation.watching:
            self.probation.left_policy(victim.key)
        if self.observed:
            self._gone(victim, events.EVICTED, "evicted")

    def pin(self, keys: list[bytes]) -> None:
        """Keep keys of database 0 resident until `unpin` (counted)."""
        for key in keys:
            self.pinned[key] = self.pinned.get(key, 0) + 1

    def unpin(self, keys: list[bytes]) -> None:
        """Undo one `pin`."""
        for key in keys:
            left = self.pinned[key] - 1
            if left:
                self.pinned[key] = left
            else:
                del self.pinned[key]

    def swap(self, first: int, second: int) -> None:
        """SWAPDB: exchange the contents of two databases; their clients see the others' keys.

        Sources own keys of database 0 only, so whose an entry is changes with its
        place: an unused prefetch that leaves it has lost its purpose and goes.
        """
        one, two = self.databases[first], self.databases[second]
        one.shards, two.shards = two.shards, one.shards
        one.dicts, two.dicts = two.dicts, one.dicts
        entries: list[Entry] = []
        for database in (one, two):
            if self.owner is not None or self.observed:
                database.inflate_all()
            for shard in database.shards:
                shard.db = database.index
                entries += [held for held in shard.data.values() if not isinstance(held, bytes)]
        if self.owner is not None and 0 in (first, second):
            for entry in entries:
                self._moved(entry)
            self.forget_all()
            self.on_flush(0)
        if self.observed:
            for entry in entries:
                self.signal(first, entry.key)
                self.signal(second, entry.key)
        self.dirty += 1

    def _moved(self, entry: Entry) -> None:
        if entry.where < 0:
            self.remove(entry)
            return
        entry.origin = self.origin_of(entry.key, entry.shard.db)
        if not self.policy.evicts:
            return
        if entry.where > 0 and not self.evictable(entry):
            self.policy.remove(entry)
        elif entry.where == 0 and self.evictable(entry):
            self.policy.insert(entry)

    # -- time ---------------------------------------------------------------

    def expire_cycle(self, budget_s: float = 0.001, step: int = 20) -> int:
        """Remove entries whose time has come, for at most `budget_s` seconds.

        Fields of hashes whose time has come are removed too, first and in a part of the time.
        """
        self.policy.clock = self.now // 1000
        if not self.expires:
            return 0
        stop = time.perf_counter() + budget_s
        self.fields.cycle(stop - budget_s / 2)
        removed = 0
        for database in self.databases:
            for shard in database.shards:
                while shard.wheel:
                    due = shard.expired(self.now, step)
                    for entry in due:
                        self.expire(entry)
                    removed += len(due)
                    if len(due) < step:
                        break
                    if time.perf_counter() > stop:
                        return removed
        self.attic.expire(self.now)
        return removed

    def observe(self, observer: Callable[[int, bytes], None], *, strings: bool = True) -> None:
        """Call `observer(db, key)` whenever a key changes, expires or is evicted.

        Without `strings`, it need not be told of a plain SET of what is absent or a string.
        """
        if observer not in self.observers:
            self.observers.append(observer)
            self._string_observers += strings
            self._look()

    def unobserve(self, observer: Callable[[int, bytes], None], *, strings: bool = True) -> None:
        """Undo `observe`, called alike; every write is cheaper while nobody watches."""
        if observer in self.observers:
            self.observers.remove(observer)
            self._string_observers -= strings
            self._look()

    def listen(self, classes: int) -> None:
        """Tell `on_event` of the events of these classes (`store/events.py`) from now on."""
        self.events = classes
        self._look()

    def _look(self) -> None:
        self.observed = bool(self.observers or self.events)
        self.strings_observed = bool(self._string_observers or self.events)

    def signal(self, db: int, key: bytes) -> None:
        """Tell the observers that a key changed, expired or was evicted."""
        for observer in self.observers:
            observer(db, key)

    @property
    def metadata_bytes(self) -> int:
        """Estimated bytes beyond the entries: ghosts, sketches, negative answers."""
        return (
            self.policy.metadata_bytes
            + self.probation.nbytes
            + self.fields.nbytes
            + NEGATIVE_BYTES * len(self.negative)
        )

    def check(self) -> None:
        """Recount everything; raises AssertionError when the books are wrong."""
        entries = list(self._entries())
        bare = [
            (key, held)
            for db in self.databases
            for data in db.dicts
            for key, held in data.items()
            if isinstance(held, bytes)
        ]
        count = len(entries) + len(bare)
        assert self.count == count, f"count {self.count}, found {count}"
        used = sum(e.size for e in entries) + sum(size.of_bare(*pair) for pair in bare)
        assert self.used == used, f"used {self.used}, found {used}"
        held = {id(node) for node in self.policy.nodes()}
        waiting = {id(node) for node in self.probation.queue}
        for entry in entries:
            assert (entry.where > 0) == (id(entry) in held), entry.key
            assert (entry.where < 0) == (id(entry) in waiting), entry.key
        assert len(held) + len(waiting) <= len(entries)
        for database in self.databases:
            for shard in database.shards:
                volatile = [e for e in entries if e.shard is shard and e.expire_at]
                assert shard.expiring == len(volatile)
                assert shard.deadlines == sum(e.expire_at for e in volatile)
                assert sum(map(len, shard.wheel.values())) == len(volatile)
        self.fields.check(entries)
        self.policy.check()
        self.attic.check()
