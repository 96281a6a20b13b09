"""The value of a stream: entries by id, and the groups of consumers that share them.

An id is one integer: the milliseconds times 2^64, plus the sequence number. A group
remembers the last id it handed out and, as pending, every entry that a consumer got
and has not acknowledged; a pending entry stands in the group's map and in its
consumer's. Changes go through the methods here, which keep `nbytes` right.

How many entries a group has read is known only while nothing was deleted from what
lies ahead of it; `distance` and `lag` answer None where Redis's own counters would.

What this file does not do: parse or answer anything (`commands/streams*.py`).
"""

from __future__ import annotations

from itertools import chain, islice

from antecache.server.idmap import IdMap
from antecache.server.store import size

Fields = tuple[bytes, ...]  # names and values in turn

LAST = (1 << 128) - 1  # the largest id
SEQUENCE = (1 << 64) - 1

NODE = 100  # entries that an approximate trim removes at once; stream-node-max-entries

# Bytes: the objects themselves and their shares of lists and dictionaries, as in store/size.py.
STREAM = 450
GROUP = 350
CONSUMER = 330
PENDING = 180
ENTRY = 48 + 40 + 50 + 9  # an id, a tuple, a slot of a dictionary of its own and one of a list
ITEM = size.BYTES + 16  # a name or a value, beside its own bytes


def cost(fields: Fields) -> int:
    """Bytes an entry is charged with."""
    return ENTRY + sum(map(len, fields)) + len(fields) * ITEM


class Consumer:
    """One reader of a group; `seen` and `active` are Unix ms, `active` -1 for never."""

    __slots__ = ("active", "name", "pending", "seen")

    def __init__(self, name: bytes, now: int) -> None:
        self.name = name
        self.seen = now
        self.active = -1
        self.pending: IdMap[Pending] = IdMap()


class Pending:
    """An entry handed out: to whom, when (Unix ms), how many times."""

    __slots__ = ("consumer", "count", "time")

    def __init__(self, consumer: Consumer, time: int, count: int) -> None:
        self.consumer = consumer
        self.time = time
        self.count = count


class Group:
    """Consumers that share a stream. `read` is the number of entries read, None if unknown."""

    __slots__ = ("consumers", "last", "pending", "read")

    def __init__(self, last: int, read: int | None) -> None:
        self.last = last
        self.read = read
        self.pending: IdMap[Pending] = IdMap()
        self.consumers: dict[bytes, Consumer] = {}


class Stream:
    """Entries in the order of their ids.

    last          the id generated last, whether its entry is still there or not
    added         entries ever added
    last_deleted  the largest id that XDEL removed, 0 for none
    """

    __slots__ = ("added", "entries", "groups", "last", "last_deleted", "nbytes")
    redis_type = "stream"
    encoding = "stream"

    def __init__(self) -> None:
        self.entries: IdMap[Fields] = IdMap()
        self.last = 0
        self.added = 0
        self.last_deleted = 0
        self.groups: dict[bytes, Group] = {}
        self.nbytes = STREAM

    def copy(self) -> Stream:
        """A stream that shares nothing that changes with this one."""
        other = Stream()
        other.entries = self.entries.copy()
        other.last, other.added = self.last, self.added
        other.last_deleted = self.last_deleted
        for name, group in self.groups.items():
            twin = other.groups[name] = Group(group.last, group.read)
            for consumer in group.consumers.values():
                same = twin.consumers[consumer.name] = Consumer(consumer.name, consumer.seen)
                same.active = consumer.active
            for key, pending in group.pending.forward():
                owner = twin.consumers[pending.consumer.name]
                again = Pending(owner, pending.time, pending.count)
                twin.pending.put(key, again)
                owner.pending.put(key, again)
        other.nbytes = self.nbytes
        return other

    # -- entries ------------------------------------------------------------

    def append(self, key: int, fields: Fields) -> None:
        """Add an entry; its id is larger than `last`."""
        self.entries.put(key, fields)
        self.last = key
        self.added += 1
        self.nbytes += cost(fields)

    def next_id(self, now: int) -> int:
        """The id of an entry that is added at `now` (Unix ms)."""
        return max(now << 64, self.last + 1)

    def delete(self, key: int) -> bool:
        """XDEL of one entry; whether it was there."""
        fields = self.entries.pop(key)
        if fields is None:
            return False
        self.nbytes -= cost(fields)
        self.last_deleted = max(self.last_deleted, key)
        return True

    def trim(self, length: int, least: int, *, roughly: bool = False, limit: int = 0) -> int:
        """Remove the oldest entries down to `length` and with ids below `least`.

        `roughly` removes whole hundreds only, and no more than `limit` unless that is
        0. Returns how many went.
        """
        if not roughly:
            return self._shift(len(self.entries) - length, least)
        entries, removed = self.entries, 0
        while len(entries) > length and entries.first < least:
            step = min(NODE, len(entries))
            if len(entries) - step < length or (limit and removed + step > limit):
                break
            youngest, _ = next(islice(entries.forward(), step - 1, None))
            if youngest >= least:
                break
            removed += self._shift(step, least)
        return removed

    def _shift(self, count: int, below: int) -> int:
        """Remove up to `count` of the oldest entries whose ids are below `below`."""
        removed = self.entries.shift(count, below)
        sizes = sum(map(len, chain.from_iterable(removed)))
        self.nbytes -= len(removed) * ENTRY + sizes + sum(map(len, removed)) * ITEM
        return len(removed)

    # -- how far a group is -------------------------------------------------

    def gap_after(self, key: int) -> bool:
        """Whether an entry at or after `key` was deleted."""
        return bool(self.entries) and self.last_deleted > 0 and key <= self.last_deleted

    def distance(self, key: int) -> int | None:
        """How many entries were added up to `key`; None when that cannot be known."""
        if not self.added:
            return 0
        if not self.entries and key <= self.last:
            return self.added
        if (key and key < self.last_deleted) or key > self.last:
            return None
        if key == self.last:
            return self.added
        first = self.entries.first
        if not self.last_deleted or self.last_deleted < first:
            if key < first:
                return self.added - len(self.entries)
            if key == first:
                return self.added - len(self.entries) + 1
        return None

    def lag(self, group: Group) -> int | None:
        """How many entries the group has not been handed yet; None when unknown."""
        if not self.added or not self.entries:
            return 0
        first = self.entries.first
        if group.last < first and self.last_deleted < first:
            return len(self.entries)
        if group.read is not None and not self.gap_after(group.last):
            return self.added - group.read
        read = self.distance(group.last)
        return None if read is None else self.added - read

    # -- groups -------------------------------------------------------------

    def create_group(self, name: bytes, last: int, read: int | None) -> None:
        """Add a group that is not there."""
        self.groups[name] = Group(last, read)
        self.nbytes += GROUP + len(name)

    def destroy_group(self, name: bytes) -> None:
        """Remove a group that is there, with its consumers and what is pending."""
        group = self.groups.pop(name)
        for consumer in list(group.consumers.values()):
            self.remove_consumer(group, consumer)
        self.nbytes -= GROUP + len(name)

    def create_consumer(self, group: Group, name: bytes, now: int) -> Consumer:
        """Add a consumer that is not there."""
        consumer = group.consumers[name] = Consumer(name, now)
        self.nbytes += CONSUMER + len(name)
        return consumer

    def remove_consumer(self, group: Group, consumer: Consumer) -> None:
        """Remove a consumer; what was pending with it is pending no more."""
        for key, _ in consumer.pending.forward():
            group.pending.pop(key)
            self.nbytes -= PENDING
        del group.consumers[consumer.name]
        self.nbytes -= CONSUMER + len(consumer.name)

    def advance(self, group: Group, key: int) -> None:
        """The group is handed the entry `key`, which it has not read before."""
        if (
            group.read is not None
            and group.last >= self.entries.first
            and not self.gap_after(group.last)
        ):
            group.read += 1
        elif self.added:
            group.read = self.distance(key)
        group.last = key

    def assign(self, group: Group, key: int, consumer: Consumer, now: int, count: int) -> None:
        """An entry is pending with `consumer`, whoever had it before."""
        pending = group.pending.get(key)
        if pending is None:
            pending = Pending(consumer, now, count)
            group.pending.put(key, pending)
            consumer.pending.put(key, pending)
            self.nbytes += PENDING
            return
        if pending.consumer is not consumer:
            pending.consumer.pending.pop(key)
            consumer.pending.put(key, pending)
            pending.consumer = consumer
        pending.time, pending.count = now, count

    def acknowledge(self, group: Group, key: int) -> bool:
        """An entry is pending no more; whether it was."""
        pending = group.pending.pop(key)
        if pending is None:
            return False
        pending.consumer.pending.pop(key)
        self.nbytes -= PENDING
        return True

    def check(self) -> None:
        """Recount; raises AssertionError when the books are wrong."""
        self.entries.check()
        total = STREAM + sum(cost(fields) for _, fields in self.entries.forward())
        assert self.entries.last <= self.last
        for name, group in self.groups.items():
            group.pending.check()
            total += GROUP + len(name) + PENDING * len(group.pending)
            held: dict[int, Pending] = {}
            for consumer in group.consumers.values():
                consumer.pending.check()
                total += CONSUMER + len(consumer.name)
                held |= dict(consumer.pending.forward())
                assert all(one.consumer is consumer for _, one in consumer.pending.forward())
            assert held == dict(group.pending.forward()), "group and consumers disagree"
        assert self.nbytes == total, f"{self.nbytes} bytes, found {total}"
