"""HyperLogLog: PFADD, PFCOUNT, PFMERGE.

A counter is an ordinary string of Redis's form (`server/hyperloglog.py`), so GET and
SET move it between this server and another. As in Redis, PFCOUNT of one key writes
the count down in the value, where the next one finds it until something is added.
"""

from __future__ import annotations

import numpy as np

from antecache.server import hyperloglog as hll
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.bitmaps import read_bits
from antecache.server.commands.strings import ONE_KEY, replace, string_of
from antecache.server.encode import OK
from antecache.server.errors import ClientError
from antecache.server.store import Entry, events

ALL_KEYS = (1, -1, 1)
NO_COUNTER = "WRONGTYPE Key is not a valid HyperLogLog string value."
CORRUPTED = "INVALIDOBJ Corrupted HLL object detected"


def counter_of(entry: Entry | None) -> bytes | None:
    """The counter in an entry, None for no entry; raises for any other value."""
    value = string_of(entry)
    if value is not None and not hll.is_counter(value):
        raise ClientError(NO_COUNTER)
    return value


def _save(client: ClientView, key: bytes, entry: Entry | None, value: bytes) -> None:
    if entry is None:
        client.db.put(key, value)
    else:
        replace(client, entry, value)


@command(
    "pfadd",
    -2,
    flags="write denyoom fast",
    keys=ONE_KEY,
    group="hyperloglog",
    since="2.8.9",
    complexity="O(1) to add every element.",
    summary="Adds elements to a HyperLogLog key. Creates the key if it doesn't exist.",
)
def pfadd(client: ClientView, argv: Argv) -> int:
    """PFADD key [element ...]: whether anything changed."""
    key = argv[1]
    entry = client.db.modify(key)
    old = counter_of(entry)
    data = hll.empty() if old is None else bytearray(old)
    try:
        changed = hll.add(data, argv[2:]) or old is None
    except hll.Corrupted:
        raise ClientError(CORRUPTED) from None
    if changed:
        data[15] |= hll.OUTDATED
        _save(client, key, entry, bytes(data))
        client.db.event(events.STRING, "pfadd", key)
    return 1 if changed else 0


@command(
    "pfcount",
    -2,
    flags="readonly",
    keys=ALL_KEYS,
    group="hyperloglog",
    since="2.8.9",
    complexity="O(1) with a very small average constant time when called with a single key. "
    "O(N) with N being the number of keys, and much bigger constant times, when called with "
    "multiple keys.",
    summary="Returns the approximated cardinality of the set(s) observed by the "
    "HyperLogLog key(s).",
)
def pfcount(client: ClientView, argv: Argv) -> int:
    """PFCOUNT key [key ...]: of the union where there are several."""
    if len(argv) > 2:
        return hll.estimate(_union(client, argv[1:])[0])
    entry = client.db.read(argv[1])
    value = counter_of(entry)
    if entry is None or value is None:
        return 0
    count = hll.cached(value)
    if count is None:
        try:
            count = hll.estimate(hll.registers(value))
        except hll.Corrupted:
            raise ClientError(CORRUPTED) from None
        replace(client, entry, hll.with_count(value, count))
    return count


def _union(client: ClientView, keys: Argv) -> tuple[hll.Registers, bool]:
    """The largest registers of these counters, and whether one of them is dense."""
    largest = np.zeros(hll.REGISTERS, np.uint8)
    dense = False
    for key in keys:
        value = read_bits(client, key)
        if value is None:
            continue
        if not hll.is_counter(value):
            raise ClientError(NO_COUNTER)
        dense = dense or value[4] == hll.DENSE
        try:
            np.maximum(largest, hll.registers(value), out=largest)
        except hll.Corrupted:
            raise ClientError(CORRUPTED) from None
    return largest, dense


@command(
    "pfmerge",
    -2,
    flags="write denyoom",
    keys=ALL_KEYS,
    group="hyperloglog",
    since="2.8.9",
    complexity="O(N) to merge N HyperLogLogs, but with high constant times.",
    summary="Merges one or more HyperLogLog values into a single key.",
)
def pfmerge(client: ClientView, argv: Argv) -> bytes:
    """PFMERGE destkey [sourcekey ...]: the destination's own elements stay."""
    key = argv[1]
    largest, dense = _union(client, argv[1:])
    entry = client.db.modify(key)
    old = counter_of(entry)
    data = hll.empty() if old is None else bytearray(old)
    try:
        hll.merge(data, largest, dense)
    except hll.Corrupted:
        raise ClientError(CORRUPTED) from None
    _save(client, key, entry, bytes(data))
    client.db.event(events.STRING, "pfadd", key)
    return OK
