"""Recorded accesses made fit to learn from: what is missing, doubled, or nobody's interest.

    missing client    taken to be one client of its own, since nothing is known
    missing time      takes the time of the access before it; so does one that runs back
    duplicate         the same client, key and time as the access before it: logged twice
    bot               a client that walks ids one after the other, and little else; or all
                      the connections of an address (`host:port`) that do so together
    never             a key that must never be predicted

A bot is recognised only among others: in a log of one client (a disk's blocks) runs
are what there is to learn. It has made `_BOT_ACCESSES` accesses at least, hardly ever
the same key twice, most of them to the id next to one it read just before, and is not
half of the traffic.

What this file does not do: read files, or sort them by time (order is kept).
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

_BOT_ACCESSES: Final = 300
_BOT_STEPS, _BOT_DISTINCT, _BOT_SHARE = 0.8, 0.9, 0.5
#: an id this far from the last one of its table is a step of a walk
_STEP: Final = 8
_LEAST_CLIENTS: Final = 3
_UNKNOWN: Final = frozenset((b"", b"-", b"?", b"null", b"None", b"unknown"))


@dataclass(slots=True)
class Cleaned:
    """Which accesses are left, by position, with their times; and why others are not.

    missing  accesses without a client or time, which are kept
    """

    kept: array[int] = field(default_factory=lambda: array("I"))
    times: array[float] = field(default_factory=lambda: array("d"))
    dropped: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    bots: list[bytes] = field(default_factory=list)

    def drop(self, reason: str) -> None:
        """One access is left out."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


def clean(
    keys: Sequence[bytes],
    ids: Sequence[int],
    times: Sequence[float],
    clients: Sequence[int],
    client_names: Sequence[bytes],
    *,
    never: Callable[[bytes], bool] = lambda _: False,
) -> Cleaned:
    """Clean accesses given as columns: `ids` into `keys`, `clients` into `client_names`."""
    made = Cleaned()
    forbidden = {number for number, key in enumerate(keys) if never(key)}
    unknown = {number for number, name in enumerate(client_names) if name in _UNKNOWN}
    bots = find_bots(keys, ids, clients, client_names)
    made.bots = _named([client_names[number] for number in sorted(bots)])
    before = (-1, -1, math.nan)
    latest = 0.0
    timed = len(set(times[:1000])) > 1  # a column of one value is no time
    for at, (number, client, moment) in enumerate(zip(ids, clients, times, strict=True)):
        if not math.isfinite(moment) or moment < latest:
            made.missing["time"] = made.missing.get("time", 0) + 1
            moment = latest
        latest = moment
        if client in unknown:
            made.missing["client"] = made.missing.get("client", 0) + 1
        this = (number, client, moment)
        if number in forbidden:
            made.drop("never")
        elif client in bots:
            made.drop("bot")
        elif timed and this == before:
            made.drop("duplicate")
        else:
            made.kept.append(at)
            made.times.append(moment)
        before = this
    return made


class _Walker:
    """What one client did: accesses, keys, steps to a neighbouring id."""

    __slots__ = ("accesses", "keys", "last", "steps")

    def __init__(self) -> None:
        self.accesses = self.steps = 0
        self.keys: set[int] = set()
        self.last: dict[bytes, int] = {}


def find_bots(
    keys: Sequence[bytes],
    ids: Sequence[int],
    clients: Sequence[int],
    client_names: Sequence[bytes],
) -> set[int]:
    """The clients, as indices of `client_names`, that walk ids one after the other."""
    if len(client_names) < _LEAST_CLIENTS:
        return set()
    found = _walking(keys, ids, clients)
    hosts: dict[bytes, int] = {}
    homes = [hosts.setdefault(_host(name), len(hosts)) for name in client_names]
    if 1 < len(hosts) < len(client_names):
        bots = _walking(keys, ids, [homes[client] for client in clients])
        found |= {client for client, home in enumerate(homes) if home in bots}
    return found


def _host(name: bytes) -> bytes:
    """Where a connection comes from, of a capture's `host:port`; any other name as it is."""
    host, _, port = name.rpartition(b":")
    return host if port.isdigit() and host else name


def _named(bots: list[bytes]) -> list[bytes]:
    """Each bot once: by its host where several of that host's connections are."""
    hosts = Counter(_host(name) for name in bots)
    shown = (_host(name) if hosts[_host(name)] > 1 else name for name in bots)
    return list(dict.fromkeys(shown))


def _walking(keys: Sequence[bytes], ids: Sequence[int], clients: Sequence[int]) -> set[int]:
    """Those of the numbers in `clients` that walk."""
    parts = [_table_and_id(key) for key in keys]
    walkers: dict[int, _Walker] = {}
    for number, client in zip(ids, clients, strict=True):
        walker = walkers.get(client)
        if walker is None:
            walker = walkers[client] = _Walker()
        walker.accesses += 1
        walker.keys.add(number)
        table, id_ = parts[number]
        if id_ < 0:
            continue
        last = walker.last.get(table)
        if last is not None and 0 < abs(id_ - last) <= _STEP:
            walker.steps += 1
        walker.last[table] = id_
    return {
        client
        for client, walker in walkers.items()
        if _BOT_ACCESSES <= walker.accesses <= _BOT_SHARE * len(ids)
        and walker.steps >= _BOT_STEPS * walker.accesses
        and len(walker.keys) >= _BOT_DISTINCT * walker.accesses
    }


def _table_and_id(key: bytes) -> tuple[bytes, int]:
    """The text around the last number of a key, and the number; -1 where there is none."""
    end = len(key)
    while end and not 48 <= key[end - 1] <= 57:
        end -= 1
    start = end
    while start and 48 <= key[start - 1] <= 57:
        start -= 1
    if start == end or end - start > 18:
        return key, -1
    return key[:start] + b"*" + key[end:], int(key[start:end])
