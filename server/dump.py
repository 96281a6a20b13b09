"""DUMP's payloads, written and read: one value in the format of Redis's RDB files.

A payload is a type, the value, two bytes of version and a checksum (rdb.c,
cluster.c of Redis). What is written is what Redis 7.0 and every later version
reads; only a hash whose fields have deadlines needs 7.4, and some streams need 7.2.
What is read is what Redis up to 7.4 writes, down to the ziplists and compressed
strings of old versions.

The value of each type is read to the form it has in the store. A payload that is no
value raises `ValueError`; so does one that would be an empty collection, or names a
member twice.

What this file does not do: the form of streams (`stream_dump.py`), and modules.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from antecache.server import listpack, stream_dump
from antecache.server.backing.base import Row
from antecache.server.crc64 import crc64
from antecache.server.encode import double
from antecache.server.hash import Hash
from antecache.server.items import Items
from antecache.server.items import new as new_list
from antecache.server.rdb import Reader, length, string
from antecache.server.store.kinds import kind_of
from antecache.server.stream import Stream
from antecache.server.zset import SortedSet

VERSION = 12  # the newest that is read: Redis 7.4
WRITTEN = 10  # Redis 7.0
WITH_DEADLINES = 12
FOOTER = 10  # bytes

STRING, LIST, SET, ZSET, HASH, ZSET_2 = range(6)
LIST_ZIPLIST, SET_INTSET, ZSET_ZIPLIST, HASH_ZIPLIST, LIST_QUICKLIST = range(10, 15)
HASH_LISTPACK, ZSET_LISTPACK, LIST_QUICKLIST_2 = range(16, 19)
SET_LISTPACK = 20
HASH_METADATA, HASH_LISTPACK_EX = 24, 25  # with deadlines of fields; Redis 7.4

PLAIN, PACKED = 1, 2  # containers of a quicklist's nodes
NODE_BYTES = 8192  # of a quicklist's node (list-max-listpack-size -2)


class WrongFooter(Exception):
    """The payload is of a newer version, or was damaged."""


# -- writing ----------------------------------------------------------------


def dump(value: Any) -> bytes:
    """The payload of a value."""
    version = WRITTEN
    if isinstance(value, Stream):
        body, version = stream_dump.dump(value)
    elif isinstance(value, Hash) and value.deadlines:
        body, version = _dump_expiring(value), WITH_DEADLINES
    else:
        body = _WRITERS[kind_of(value).name](value)
    body += struct.pack("<H", version)
    return body + crc64(body).to_bytes(8, "little")


def _strings(kind: int, count: int, items: Iterable[bytes]) -> bytes:
    return b"".join((bytes((kind,)), length(count), *map(string, items)))


def _dump_string(value: bytes) -> bytes:
    return bytes((STRING,)) + string(value)


def _dump_list(value: Iterable[bytes]) -> bytes:
    nodes = list(_nodes(value))
    return b"".join((bytes((LIST_QUICKLIST_2,)), length(len(nodes)), *nodes))


def _nodes(items: Iterable[bytes]) -> Iterator[bytes]:
    """The nodes of a quicklist: packed up to a size, an item beyond it on its own."""
    held: list[bytes] = []
    size = 0
    for item in items:
        if size + len(item) > NODE_BYTES and held:
            yield length(PACKED) + string(listpack.pack(held))
            held, size = [], 0
        if len(item) > NODE_BYTES:
            yield length(PLAIN) + string(item)
        else:
            held.append(item)
            size += len(item) + 2
    if held:
        yield length(PACKED) + string(listpack.pack(held))


def _dump_set(value: set[bytes]) -> bytes:
    if kind_of(value).encoding(value) == "intset":
        return bytes((SET_INTSET,)) + string(listpack.pack_integers(map(int, value)))
    return _strings(SET, len(value), value)


def _dump_zset(value: SortedSet) -> bytes:
    if value.compact:
        items = [part for score, member in value for part in (member, double(score))]
        return bytes((ZSET_LISTPACK,)) + string(listpack.pack(items))
    pairs = [string(member) + struct.pack("<d", score) for score, member in value]
    # The highest first: Redis then inserts each at the head of its skip list.
    return b"".join((bytes((ZSET_2,)), length(len(pairs)), *reversed(pairs)))


def _dump_hash(value: Any) -> bytes:
    fields = value.fields() if type(value) is Row else value
    items = [part for pair in fields.items() for part in pair]
    if kind_of(value).encoding(value) == "listpack":
        return bytes((HASH_LISTPACK,)) + string(listpack.pack(items))
    return _strings(HASH, len(fields), items)


def _dump_expiring(value: Hash) -> bytes:
    """Fields with deadlines: the first one, and how long after it each is (0 for never)."""
    first = min(value.deadlines.values())
    parts = [bytes((HASH_METADATA,)), struct.pack("<Q", first), length(len(value))]
    for name, text in value.items():
        at = value.deadlines.get(name)
        parts += (length(0 if at is None else at - first + 1), string(name), string(text))
    return b"".join(parts)


_WRITERS: dict[str, Callable[[Any], bytes]] = {
    "string": _dump_string,
    "list": _dump_list,
    "set": _dump_set,
    "zset": _dump_zset,
    "hash": _dump_hash,
}


# -- reading ----------------------------------------------------------------


def restore(payload: bytes) -> Any:
    """The value of a payload; raises `WrongFooter`, or `ValueError` for what is no value."""
    body, version = payload[:-FOOTER], payload[-FOOTER:-8]
    if (
        len(payload) < FOOTER
        or int.from_bytes(version, "little") > VERSION
        or int.from_bytes(payload[-8:], "little") != crc64(payload[:-8])
    ):
        raise WrongFooter
    reader = Reader(body)
    read = _READERS.get(reader.byte())
    if read is None:
        raise ValueError("an unknown type")
    value = read(reader)
    reader.end()
    return value


def _pairs(items: list[bytes]) -> dict[bytes, bytes]:
    """Fields or members, and what follows each."""
    if len(items) % 2 or not items:
        raise ValueError("half a pair")
    found = dict(zip(items[::2], items[1::2], strict=True))
    if 2 * len(found) != len(items):
        raise ValueError("a name that comes twice")
    return found


def _list(items: list[bytes]) -> Items:
    if not items:
        raise ValueError("an empty list")
    return new_list(items)


def _set(items: list[bytes]) -> set[bytes]:
    found = set(items)
    if not items or len(found) != len(items):
        raise ValueError("an empty set, or a member that comes twice")
    return found


def _zset(scores: dict[bytes, float], count: int) -> SortedSet:
    if not count or len(scores) != count or any(map(math.isnan, scores.values())):
        raise ValueError("an empty sorted set, a member that comes twice, or NaN")
    return SortedSet(scores)


def _zset_of_texts(items: list[bytes]) -> SortedSet:
    pairs = _pairs(items)
    return _zset({member: float(score) for member, score in pairs.items()}, len(pairs))


def _read_quicklist(reader: Reader) -> Items:
    found: list[bytes] = []
    for _ in range(reader.length()):
        found += listpack.unpack_ziplist(reader.string())
    return _list(found)


def _read_quicklist_2(reader: Reader) -> Items:
    found: list[bytes] = []
    for _ in range(reader.length()):
        container = reader.length()
        data = reader.string()
        if container == PACKED:
            found += listpack.unpack(data)
        elif container == PLAIN:
            found.append(data)
        else:
            raise ValueError("an unknown node of a list")
    return _list(found)


def _read_zset(reader: Reader) -> SortedSet:
    count = reader.length()
    scores = {}
    for _ in range(count):
        member = reader.string()
        size = reader.byte()
        special = {253: math.nan, 254: math.inf, 255: -math.inf}
        scores[member] = special[size] if size in special else float(reader.take(size))
    return _zset(scores, count)


def _read_zset_2(reader: Reader) -> SortedSet:
    count = reader.length()
    scores = {}
    for _ in range(count):
        member = reader.string()
        scores[member] = reader.number("<d")
    return _zset(scores, count)


def _read_hash(reader: Reader) -> dict[bytes, bytes]:
    return _pairs([reader.string() for _ in range(2 * reader.length())])


def _read_expiring(reader: Reader) -> Hash:
    first = reader.number("<Q")
    triples = []
    for _ in range(reader.length()):
        after = reader.length()
        at = after + first - 1 if after else 0
        triples.append((reader.string(), reader.string(), at))
    return _expiring(triples)


def _read_expiring_listpack(reader: Reader) -> Hash:
    reader.number("<Q")  # the first deadline
    items = listpack.unpack(reader.string())
    if len(items) % 3:
        raise ValueError("a field without a deadline, not even 0")
    return _expiring(list(zip(items[::3], items[1::3], map(int, items[2::3]), strict=True)))


def _expiring(triples: list[tuple[bytes, bytes, int]]) -> Hash:
    """A hash of fields, values and deadlines (0 for never)."""
    found = Hash(_pairs([part for name, text, _ in triples for part in (name, text)]))
    for name, _, at in triples:
        if not 0 <= at < 1 << 48:
            raise ValueError("a deadline out of range")
        if at:
            found.expire_at(name, at)
    return found


_READERS: dict[int, Callable[[Reader], Any]] = {
    STRING: Reader.string,
    LIST: lambda reader: _list(reader.strings()),
    SET: lambda reader: _set(reader.strings()),
    ZSET: _read_zset,
    HASH: _read_hash,
    ZSET_2: _read_zset_2,
    LIST_ZIPLIST: lambda reader: _list(listpack.unpack_ziplist(reader.string())),
    SET_INTSET: lambda reader: _set(listpack.unpack_integers(reader.string())),
    ZSET_ZIPLIST: lambda reader: _zset_of_texts(listpack.unpack_ziplist(reader.string())),
    HASH_ZIPLIST: lambda reader: _pairs(listpack.unpack_ziplist(reader.string())),
    LIST_QUICKLIST: _read_quicklist,
    HASH_LISTPACK: lambda reader: _pairs(listpack.unpack(reader.string())),
    ZSET_LISTPACK: lambda reader: _zset_of_texts(listpack.unpack(reader.string())),
    LIST_QUICKLIST_2: _read_quicklist_2,
    SET_LISTPACK: lambda reader: _set(listpack.unpack(reader.string())),
    HASH_METADATA: _read_expiring,
    HASH_LISTPACK_EX: _read_expiring_listpack,
    **{
        kind: partial(stream_dump.restore, version=kind)
        for kind in (stream_dump.V1, stream_dump.V2, stream_dump.V3)
    },
}
