"""One numbered database: what command handlers call.

Look-ups come in three kinds. `read` is a client reading a key: it counts a hit
or a miss, tells the policy and the access log, and raises `Absent` for a key
that a source owns and nobody has loaded yet. `modify` is for read-modify-write
commands: it raises `Absent` too, so no partial row appears, and counts nothing.
`peek` is for everything that must neither load nor leave a trace.

A string that nothing may evict, that does not expire and that no source owns is
held bare, without an `Entry`: a third less memory, and a cache line less to read.
`value`, `holds` and `set_string` know of that; every other look-up makes an entry
of it first.

Writes are `put`, `delete`, `set_deadline` and, for a value changed in place,
`grew`. All of them pass through `Store`, which keeps the budget, wakes WATCH and
marks loads in flight as overtaken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from antecache.server.backing.base import Row
from antecache.server.command import Absent
from antecache.server.errors import ClientError
from antecache.server.store import events, size
from antecache.server.store.entry import Entry, Evidence, Origin
from antecache.server.store.shard import SCAN_BITS, Shard

if TYPE_CHECKING:
    from antecache.server.store.store import Store


class Database:
    """A view of one database of the store."""

    __slots__ = ("dicts", "index", "mask", "shards", "store")
    loads: bool = True  # whether a look-up may raise `Absent`

    def __init__(self, store: Store, index: int, shards: int) -> None:
        self.store = store
        self.index = index
        self.shards = tuple(Shard(index, store.now) for _ in range(shards))
        self.dicts = tuple(shard.data for shard in self.shards)
        self.mask = shards - 1

    # -- look-ups -----------------------------------------------------------

    def read(self, key: bytes) -> Entry | None:
        """A client reads `key`: the entry, or None; raises `Absent` when it must be loaded."""
        store = self.store
        entry = self.dicts[hash(key) & self.mask].get(key)
        if entry is None:
            return self._missing(key)
        if isinstance(entry, bytes):
            entry = self._inflate(key, entry)
        expire_at = entry.expire_at
        if expire_at and expire_at <= store.now:
            store.expire(entry)
            return self._missing(key)
        store.hits += 1
        where = entry.where
        if where > 0:
            store.touch(entry)
        elif where < 0:  # a prefetched entry's first use is an event of its own in the log
            store.first_use(entry)
            return entry
        store.record(entry.key)
        return entry

    def value(self, key: bytes) -> Any:
        """As `read`, for a client that only wants the value: it, or None."""
        held = self.dicts[hash(key) & self.mask].get(key)
        if isinstance(held, bytes):
            self.store.hits += 1
            return held
        store = self.store
        if held is None or held.where < 0 or (held.expire_at and held.expire_at <= store.now):
            entry = self.read(key)
            return None if entry is None else entry.value
        store.hits += 1
        if held.where and held.state is not store.full:
            touch = store.touch
            touch(held)
        record = store.record
        record(held.key)
        return held.value

    def strings(self, keys: Sequence[bytes]) -> list[bytes]:
        """As `read`, for clients that want strings: those of the first so many keys.

        Rows count as the JSON they were rendered to. It stops before the first key that
        takes more than that: it is not there, was prefetched, or holds something else.
        """
        store = self.store
        dicts, mask, now, full = self.dicts, self.mask, store.now, store.full
        touch, record = store.touch, store.record  # a slot's call costs more than a local's
        found: list[bytes] = []
        for key in keys:
            held = dicts[hash(key) & mask].get(key)
            if isinstance(held, bytes):
                found.append(held)
                continue
            if held is None or held.where < 0 or (held.expire_at and held.expire_at <= now):
                break
            value = held.value
            if type(value) is not bytes:
                if type(value) is not Row or not value.rendered:
                    break
                value = value.json()
            if held.where and held.state is not full:
                touch(held)
            record(held.key)
            found.append(value)
        store.hits += len(found)
        return found

    def _missing(self, key: bytes) -> Entry | None:
        store = self.store
        if self.index == 0 and self.loads and store.must_load(key):
            raise Absent((key,))
        store.misses += 1
        store.record_miss(key)
        if store.events:
            self.event(events.MISS, "keymiss", key)
        return None

    def modify(self, key: bytes) -> Entry | None:
        """The entry a command is about to change, or None; raises `Absent` as `read` does."""
        entry = self.dicts[hash(key) & self.mask].get(key)
        if entry is not None and (isinstance(entry, bytes) or entry.expire_at):
            entry = self.peek(key)
        if entry is None:
            if self.index == 0 and self.loads and self.store.must_load(key):
                raise Absent((key,))
        elif entry.where > 0:
            self.store.touch(entry)
        elif entry.where < 0:
            self.store.first_use(entry)
        return entry

    def peek(self, key: bytes) -> Entry | None:
        """The live entry, or None; leaves no trace and loads nothing."""
        entry = self.dicts[hash(key) & self.mask].get(key)
        if isinstance(entry, bytes):
            return self._inflate(key, entry)
        if entry is not None and entry.expire_at and entry.expire_at <= self.store.now:
            self.store.expire(entry)
            return None
        return entry

    def holds(self, key: bytes) -> bool:
        """Whether `key` is there, as `peek` would find it."""
        held = self.dicts[hash(key) & self.mask].get(key)
        return isinstance(held, bytes) or (held is not None and self.peek(key) is not None)

    def cost(self, key: bytes) -> int | None:
        """Bytes charged for `key`; None when it is not there."""
        held = self.dicts[hash(key) & self.mask].get(key)
        if isinstance(held, bytes):
            return size.of_bare(key, held)
        entry = self.peek(key)
        return None if entry is None else entry.size

    def _inflate(self, key: bytes, value: bytes) -> Entry:
        """Make an entry of a bare string."""
        shard = self.shards[hash(key) & self.mask]
        entry = Entry(key, value, size.of_string(key, value), shard)
        del shard.data[key]  # so that entry and dictionary share one key object
        shard.data[key] = entry
        self.store.used += entry.size - size.of_bare(key, value)
        return entry

    def inflate_all(self) -> None:
        """Make an entry of every bare string, for a policy that may evict them."""
        for shard in self.shards:
            for key, held in list(shard.data.items()):
                if isinstance(held, bytes):
                    self._inflate(key, held)

    # -- changes ------------------------------------------------------------

    def put(
        self,
        key: bytes,
        value: Any,
        expire_at: int = 0,
        *,
        keep_deadline: bool = False,
        origin: Origin | Evidence | None = None,
        quiet: bool = False,
        cost: int = 0,
    ) -> Entry:
        """Create or overwrite `key`, charging `cost` bytes (0: what the value is estimated at).

        `expire_at` is Unix milliseconds, 0 for never; `keep_deadline` leaves an
        existing one (KEEPTTL). A load passes its `origin` and is `quiet`: it trips
        no WATCH and overtakes no load.
        """
        store = self.store
        shard = self.shards[hash(key) & self.mask]
        if not cost:
            plain = type(value) is bytes
            cost = size.of_string(key, value) if plain else size.of_entry(key, value)
        entry = shard.data.get(key)
        if isinstance(entry, bytes):
            entry = self._inflate(key, entry)
        tell = store.observed and not quiet
        if tell and entry is not None and entry.expire_at and entry.expire_at <= store.now:
            store.expire(entry)  # overwriting it would not tell that it had expired
            entry = None
        new = entry is None
        if entry is None:
            entry = Entry(key, value, cost, shard)
            entry.origin = origin if origin is not None else store.origin_of(key, self.index)
            shard.data[key] = entry
            if expire_at:
                shard.set_deadline(entry, expire_at)
                entry.size += size.DEADLINE
            store.added(entry)
        else:
            entry.value = value
            if origin is not None:
                entry.origin = origin
            if entry.expire_at != expire_at and not keep_deadline:
                self.set_deadline(entry, expire_at, quiet=True)
            store.overwritten(entry, cost + size.DEADLINE if entry.expire_at else cost)
        if tell:
            store.signal(self.index, key)
            if new:
                self.event(events.NEW, "new", key)
        elif store.observed:
            store.on_load(self.index, key)
        store.dirty += 1
        return entry

    def set_string(self, key: bytes, value: bytes) -> None:
        """`put(key, value)` and its event: the path of a plain SET, with little on it."""
        data = self.dicts[hash(key) & self.mask]
        held = data.get(key)
        store = self.store
        if store.strings_observed:
            self._set_observed(key, value)
            return
        if isinstance(held, bytes):
            data[key] = value
            store.used += len(value) - len(held)
            store.dirty += 1
            return
        if held is None:
            if store.bare and store.origin_of(key, self.index) is None:
                data[key] = value
                store.added_bare(key, value)
            else:
                self.put(key, value)
            return
        if held.expire_at or held.where < 0:
            self.put(key, value)
            return
        old = held.value
        if type(old) is not bytes or len(old) != len(value):
            if store.observed and type(old) is not bytes:  # what was another type is none now
                self._set_observed(key, value)
                return
            store.resized(held, size.of_string(key, value))
        held.value = value
        if held.where and held.state is not store.full:
            touch = store.touch
            touch(held)
        store.dirty += 1

    def _set_observed(self, key: bytes, value: bytes) -> None:
        """As `set_string`, and whoever observes is told. Strings that may be bare stay so."""
        store = self.store
        new = not self.holds(key)  # what has expired is told of first
        data = self.dicts[hash(key) & self.mask]
        held = data.get(key)
        if isinstance(held, bytes):
            data[key] = value
            store.used += len(value) - len(held)
            store.dirty += 1
        elif held is None and store.bare and store.origin_of(key, self.index) is None:
            data[key] = value
            store.added_bare(key, value)
        else:
            self.put(key, value)
            self.event(events.STRING, "set", key)
            return
        store.signal(self.index, key)
        if store.events:
            if new:
                self.event(events.NEW, "new", key)
            self.event(events.STRING, "set", key)

    def delete(self, key: bytes) -> bool:
        """Remove `key`; whether it was there. An owned key is loaded again by its next read."""
        entry = self.peek(key)
        if entry is not None:
            self.store.remove(entry)
            self.store.dirty += 1
        # An owned key that is not here may have been read as absent, or be on its way.
        if self.store.observed and (entry is not None or self._owned(key)):
            self.store.signal(self.index, key)
        if self.index == 0:
            self.store.forget(key)
        return entry is not None

    def _owned(self, key: bytes) -> bool:
        return self.store.origin_of(key, self.index) is not None

    def set_deadline(self, entry: Entry, at: int, *, quiet: bool = False) -> None:
        """Make `entry` expire at `at` (Unix ms; 0 for never)."""
        if bool(at) != bool(entry.expire_at):
            delta = size.DEADLINE if at else -size.DEADLINE
            self.store.resized(entry, entry.size + delta)
        entry.shard.set_deadline(entry, at)
        self.store.deadline_changed(entry)
        if not quiet:
            self.changed(entry)

    def grew(self, entry: Entry, delta: int) -> None:
        """The value of `entry` was changed in place, and is larger by `delta` bytes."""
        self.store.resized(entry, entry.size + delta)
        self.changed(entry)

    def changed(self, entry: Entry) -> None:
        """A client changed `entry` in place without changing its size."""
        self.store.dirty += 1
        if self.store.observed:
            self.store.signal(self.index, entry.key)

    def event(self, kind: int, name: str, key: bytes) -> None:
        """Something of a class (`store/events.py`) happened to `key`: "lpush", "del" ..."""
        if self.store.events & kind:
            self.store.on_event(self.index, kind, name, key)

    def own(self, entry: Entry) -> dict[bytes, bytes]:
        """The hash value of `entry` to change in place: a row becomes an ordinary hash first."""
        value = entry.value
        if not isinstance(value, dict):
            value = entry.value = value.fields()
            self.recharge(entry)
        fields: dict[bytes, bytes] = value
        return fields

    def live(self, entry: Entry) -> Entry | None:
        """The entry of a `Hash` without the fields that are due; None when none is left."""
        return entry if self.store.fields.expire(entry) else None

    def recharge(self, entry: Entry) -> None:
        """The value of `entry` takes another amount of memory, though no client changed it."""
        cost = size.of_entry(entry.key, entry.value)
        self.store.resized(entry, cost + size.DEADLINE if entry.expire_at else cost)

    def flush(self) -> int:
        """Remove every key; returns how many there were."""
        removed = 0
        for shard in self.shards:
            for key, held in list(shard.data.items()):
                if isinstance(held, bytes):
                    del shard.data[key]
                    self.store.removed_bare(key, held)
                else:
                    self.store.remove(held)
                if self.store.observed:
                    self.store.signal(self.index, key)
                removed += 1
        self.store.fields.sweep()
        if self.index == 0:
            self.store.forget_all()
        self.store.on_flush(self.index)
        self.store.dirty += removed
        return removed

    # -- enumeration --------------------------------------------------------

    def __len__(self) -> int:
        return sum(len(data) for data in self.dicts)

    @property
    def expiring(self) -> int:
        """How many keys have a deadline."""
        return sum(shard.expiring for shard in self.shards)

    @property
    def mean_ttl(self) -> int:
        """Mean time to live of the expiring keys, in milliseconds."""
        count = self.expiring
        if not count:
            return 0
        return max(0, sum(shard.deadlines for shard in self.shards) // count - self.store.now)

    def keys(self) -> Iterator[bytes]:
        """Every live key, in no order; do not change the database meanwhile."""
        now = self.store.now
        for data in self.dicts:
            for key, held in data.items():
                if isinstance(held, bytes) or not held.expire_at or held.expire_at > now:
                    yield key

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """One SCAN step: the next cursor (0 at the end) and about `count` keys.

        The cursor is a shard and a position in its hash order, so it stays valid
        whatever happens to the keys in between.
        """
        shard_index, position = cursor >> SCAN_BITS, cursor & ((1 << SCAN_BITS) - 1)
        found: list[bytes] = []
        while shard_index <= self.mask:
            following, keys = self.shards[shard_index].scan(position, count - len(found))
            found += keys
            if following is None:
                shard_index, position = shard_index + 1, 0
            else:
                position = following
            if len(found) >= count:
                break
        if shard_index > self.mask:
            return 0, self._live(found)
        return (shard_index << SCAN_BITS) | position, self._live(found)

    def random_key(self) -> bytes | None:
        """A key chosen at random, or None; shards weigh by their size."""
        rng = self.store.random
        for _ in range(100):
            total = len(self)
            if not total:
                return None
            at = rng.randrange(total)
            for data in self.dicts:
                if at < len(data):
                    key = _nth(data, at)
                    if self.holds(key):
                        return key
                    break
                at -= len(data)
        return next(self.keys(), None)

    def _live(self, keys: list[bytes]) -> list[bytes]:
        return [key for key in keys if self.holds(key)]


class Resumed(Database):
    """The same database while a command runs again after its keys were loaded.

    A key the command waited for was counted as a miss when it was asked for, so
    reading it now is neither a hit nor a reason to load once more; where its load
    failed (`errors`: key to error text), reading it is that error. With `loads`
    false no other key is loaded either: a transaction must not stop half-way.
    """

    __slots__ = ("errors", "loads", "waited")

    def __init__(
        self,
        database: Database,
        waited: set[bytes],
        errors: Mapping[bytes, str] | None = None,
        *,
        loads: bool = True,
    ) -> None:
        self.store = database.store
        self.index = database.index
        self.shards = database.shards
        self.dicts = database.dicts
        self.mask = database.mask
        self.waited = waited
        self.errors = errors or {}
        self.loads = loads

    def read(self, key: bytes) -> Entry | None:
        """As `Database.read`, but silent about a key that was waited for."""
        return self._read_waited_for(key) if key in self.waited else super().read(key)

    def strings(self, keys: Sequence[bytes]) -> list[bytes]:
        """None: what was waited for takes more than a look."""
        return []

    def value(self, key: bytes) -> Any:
        """As `Database.value`, but silent about a key that was waited for."""
        if key not in self.waited:
            return super().value(key)
        entry = self._read_waited_for(key)
        return None if entry is None else entry.value

    def modify(self, key: bytes) -> Entry | None:
        """As `Database.modify`, but silent about a key that was waited for."""
        return self._waited_for(key) if key in self.waited else super().modify(key)

    def _waited_for(self, key: bytes) -> Entry | None:
        entry = self.peek(key)
        if entry is None and key in self.errors:
            raise ClientError(self.errors[key])
        return entry

    def _read_waited_for(self, key: bytes) -> Entry | None:
        entry = self._waited_for(key)
        if entry is None and self.store.events:
            self.event(events.MISS, "keymiss", key)
        return entry


def _nth(data: dict[bytes, Entry | bytes], at: int) -> bytes:
    from itertools import islice

    return next(islice(data, at, None))
