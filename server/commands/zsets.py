"""Sorted sets: their members and scores one by one, ZADD to ZREVRANK.

The value is a `SortedSet`. A sorted set without members does not exist: the last
ZREM deletes the key.

What this file does not do: ranges (`zsets_ranges.py`, `zsets_removals.py`), sets of
several keys (`zsets_stores.py`), pops (`zsets_pops.py`), and members at random
(`zsets_random.py`).
"""

from __future__ import annotations

import math
from typing import Any

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.ranges import score
from antecache.server.encode import NULL_ARRAY
from antecache.server.errors import SYNTAX, WRONGTYPE, ClientError, wrong_arity
from antecache.server.store import Entry, events
from antecache.server.zset import SortedSet

ONE_KEY = (1, 1, 1)
NOT_A_NUMBER = "ERR resulting score is not a number (NaN)"


def zset_of(entry: Entry | None) -> SortedSet | None:
    """The sorted set of an entry, None for no entry; raises WRONGTYPE."""
    if entry is None:
        return None
    value = entry.value
    if type(value) is SortedSet:
        return value
    raise ClientError(WRONGTYPE)


def emptied(client: ClientView, key: bytes) -> None:
    """A sorted set lost its last member: there is no such key any more."""
    client.db.delete(key)
    client.db.event(events.GENERIC, "del", key)


def keep(client: ClientView, key: bytes, zset: SortedSet, event: str) -> None:
    """Store a result under `key`; where there is none, what was there goes."""
    if len(zset):
        client.db.put(key, zset)
        client.db.event(events.ZSET, event, key)
    elif client.db.delete(key):
        client.db.event(events.GENERIC, "del", key)


class _Flags:
    """The options of ZADD, and where the scores begin."""

    __slots__ = ("changed", "first", "gt", "incr", "lt", "nx", "xx")

    def __init__(self, argv: Argv) -> None:
        self.nx = self.xx = self.gt = self.lt = self.changed = self.incr = False
        self.first = 2
        for at in range(2, len(argv)):
            match argv[at].upper():
                case b"NX":
                    self.nx = True
                case b"XX":
                    self.xx = True
                case b"GT":
                    self.gt = True
                case b"LT":
                    self.lt = True
                case b"CH":
                    self.changed = True
                case b"INCR":
                    self.incr = True
                case _:
                    break
            self.first = at + 1

    def check(self, count: int) -> None:
        """Raise Redis's refusal of options that do not go together; `count` pairs follow."""
        if self.nx and self.xx:
            raise ClientError("ERR XX and NX options at the same time are not compatible")
        if self.nx + self.gt + self.lt > 1:
            raise ClientError("ERR GT, LT, and/or NX options at the same time are not compatible")
        if self.incr and count > 1:
            raise ClientError("ERR INCR option supports a single increment-element pair")


NO_FLAGS = _Flags([])


@command(
    "zadd",
    -4,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="sorted_set",
    since="1.2.0",
    complexity="O(log(N)) for each item added, where N is the number of elements in the "
    "sorted set.",
    summary="Adds one or more members to a sorted set, or updates their scores. "
    "Creates the key if it doesn't exist.",
)
def zadd(client: ClientView, argv: Argv) -> Any:
    """ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]."""
    flags = _Flags(argv) if argv[2][:1].isalpha() else NO_FLAGS
    first = flags.first
    count, odd = divmod(len(argv) - first, 2)
    if odd or not count:
        raise ClientError(SYNTAX)
    flags.check(count)
    pairs = [(score(argv[at]), argv[at + 1]) for at in range(first, len(argv), 2)]
    entry = client.db.modify(argv[1])
    zset = zset_of(entry)
    if zset is None and flags.xx:
        return None if flags.incr else 0
    if flags.incr:
        return _increment(client, entry, argv[1], pairs[0], flags)
    if zset is None:
        zset = SortedSet()
    added, updated = 0, 0
    before = zset.nbytes
    for new, member in pairs:
        if flags is NO_FLAGS:
            done = zset.add(member, new)
            added += done is True
            updated += done is False
            continue
        old = zset.score(member)
        if old is None:
            if not flags.xx:
                zset.add(member, new)
                added += 1
        elif (
            new != old
            and not flags.nx
            and not (flags.gt and new < old)
            and not (flags.lt and new > old)
        ):
            zset.add(member, new)
            updated += 1
    if added or updated:
        _changed(client, entry, argv[1], zset, before, "zadd")
    return added + updated if flags.changed else added


def _increment(
    client: ClientView, entry: Entry | None, key: bytes, pair: tuple[float, bytes], flags: _Flags
) -> float | None:
    """ZADD INCR and ZINCRBY: the new score, None where the options forbid it."""
    step, member = pair
    zset = zset_of(entry) or SortedSet()
    old = zset.score(member)
    if flags.xx if old is None else flags.nx:
        return None
    new = step if old is None else old + step
    if math.isnan(new):
        raise ClientError(NOT_A_NUMBER)
    if old is not None and ((flags.gt and new <= old) or (flags.lt and new >= old)):
        return None
    if new != old:
        before = zset.nbytes
        zset.add(member, new)
        _changed(client, entry, key, zset, before, "zincr")
    return new


def _changed(
    client: ClientView, entry: Entry | None, key: bytes, zset: SortedSet, before: int, event: str
) -> None:
    if entry is None:
        client.db.put(key, zset)
    else:
        client.db.grew(entry, zset.nbytes - before)
    if client.db.store.events:
        client.db.event(events.ZSET, event, key)


@command(
    "zincrby",
    4,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="sorted_set",
    since="1.2.0",
    complexity="O(log(N)) where N is the number of elements in the sorted set.",
    summary="Increments the score of a member in a sorted set.",
)
def zincrby(client: ClientView, argv: Argv) -> Any:
    """ZINCRBY key increment member."""
    step = score(argv[2])
    entry = client.db.modify(argv[1])
    return _increment(client, entry, argv[1], (step, argv[3]), NO_FLAGS)


@command(
    "zrem",
    -3,
    flags="write fast",
    keys=ONE_KEY,
    group="sorted_set",
    since="1.2.0",
    complexity="O(M*log(N)) with N being the number of elements in the sorted set and M the "
    "number of elements to be removed.",
    summary="Removes one or more members from a sorted set. Deletes the sorted set if all "
    "members were removed.",
)
def zrem(client: ClientView, argv: Argv) -> int:
    """ZREM key member [member ...]."""
    entry = client.db.modify(argv[1])
    zset = zset_of(entry)
    if entry is None or zset is None:
        return 0
    before = zset.nbytes
    removed = sum(map(zset.discard, argv[2:]))
    if removed:
        client.db.grew(entry, zset.nbytes - before)
        client.db.event(events.ZSET, "zrem", argv[1])
        if not len(zset):
            emptied(client, argv[1])
    return removed


@command(
    "zscore",
    3,
    flags="readonly fast",
    keys=ONE_KEY,
    group="sorted_set",
    since="1.2.0",
    summary="Returns the score of a member in a sorted set.",
)
def zscore(client: ClientView, argv: Argv) -> float | None:
    """ZSCORE key member."""
    zset = zset_of(client.db.read(argv[1]))
    return None if zset is None else zset.score(argv[2])


@command(
    "zmscore",
    -3,
    flags="readonly fast",
    keys=ONE_KEY,
    group="sorted_set",
    since="6.2.0",
    complexity="O(N) where N is the number of members being requested.",
    summary="Returns the score of one or more members in a sorted set.",
)
def zmscore(client: ClientView, argv: Argv) -> list[float | None]:
    """ZMSCORE key member [member ...]."""
    zset = zset_of(client.db.read(argv[1]))
    return [None if zset is None else zset.score(member) for member in argv[2:]]


@command(
    "zcard",
    2,
    flags="readonly fast",
    keys=ONE_KEY,
    group="sorted_set",
    since="1.2.0",
    summary="Returns the number of members in a sorted set.",
)
def zcard(client: ClientView, argv: Argv) -> int:
    """ZCARD key."""
    zset = zset_of(client.db.read(argv[1]))
    return 0 if zset is None else len(zset)


@command(
    "zrank",
    -3,
    flags="readonly fast",
    keys=ONE_KEY,
    group="sorted_set",
    since="2.0.0",
    complexity="O(log(N))",
    summary="Returns the index of a member in a sorted set ordered by ascending scores.",
)
def zrank(client: ClientView, argv: Argv) -> Any:
    """ZRANK key member [WITHSCORE]."""
    return _rank(client, argv, "zrank", backwards=False)


@command(
    "zrevrank",
    -3,
    flags="readonly fast",
    keys=ONE_KEY,
    group="sorted_set",
    since="2.0.0",
    complexity="O(log(N))",
    summary="Returns the index of a member in a sorted set ordered by descending scores.",
)
def zrevrank(client: ClientView, argv: Argv) -> Any:
    """ZREVRANK key member [WITHSCORE]."""
    return _rank(client, argv, "zrevrank", backwards=True)


def _rank(client: ClientView, argv: Argv, name: str, *, backwards: bool) -> Any:
    if len(argv) > 4:
        raise ClientError(wrong_arity(name))
    with_score = len(argv) == 4
    if with_score and argv[3].upper() != b"WITHSCORE":
        raise ClientError(SYNTAX)
    zset = zset_of(client.db.read(argv[1]))
    place = None if zset is None else zset.rank(argv[2])
    if zset is None or place is None:
        return NULL_ARRAY if with_score else None
    if backwards:
        place = len(zset) - 1 - place
    return [place, zset.score(argv[2])] if with_score else place
