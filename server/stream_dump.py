"""Streams in DUMP's payloads: entries in listpacks, then the groups and what is pending.

A node holds up to a hundred entries, or some kilobytes of them, in one listpack,
whose head is a master entry: the field names of the first entry, which entries with
the same names do not repeat. Ids are differences to the node's first id. See
t_stream.c and rdb.c of Redis.

Written is the form of Redis 7.0; where a consumer has been active at another time
than it was seen last, which only 7.2 and later can say, that of 7.2. Read is
every form since Redis 5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from antecache.server import listpack
from antecache.server.rdb import Reader, length, string
from antecache.server.stream import NODE, SEQUENCE, Fields, Group, Stream

V1, V2, V3 = 15, 19, 21  # Redis 5, 7.0 and 7.2
DELETED, SAME_NAMES = 1, 2
NODE_BYTES = 4096  # stream-node-max-bytes
UNKNOWN = (1 << 64) - 1  # how many entries a group has read


def dump(stream: Stream) -> tuple[bytes, int]:
    """The payload of a stream without its footer, and the version that is to stand there."""
    consumers = [one for group in stream.groups.values() for one in group.consumers.values()]
    latest = any(one.active != one.seen for one in consumers)
    nodes = list(_nodes(stream))
    parts = [bytes((V3 if latest else V2,)), length(len(nodes)), *nodes]
    parts += map(length, _halves_of_all(stream))
    parts.append(length(len(stream.groups)))
    for name, group in stream.groups.items():
        parts += _group(name, group, latest=latest)
    return b"".join(parts), 11 if latest else 10


def _halves_of_all(stream: Stream) -> list[int]:
    """The counters of a stream, in their order; an id is two numbers."""
    first = stream.entries.first if stream.entries else 0
    return [
        len(stream.entries),
        *_halves(stream.last),
        *_halves(first),
        *_halves(stream.last_deleted),
        stream.added,
    ]


def _halves(key: int) -> tuple[int, int]:
    return key >> 64, key & SEQUENCE


def _raw(key: int) -> bytes:
    return key.to_bytes(16, "big")


def _nodes(stream: Stream) -> Iterator[bytes]:
    node: list[tuple[int, Fields]] = []
    size = 0
    for key, fields in stream.entries.forward():
        if len(node) == NODE or size >= NODE_BYTES:
            yield _node(node)
            node, size = [], 0
        node.append((key, fields))
        size += sum(map(len, fields))
    if node:
        yield _node(node)


def _node(node: list[tuple[int, Fields]]) -> bytes:
    return string(_raw(node[0][0])) + string(listpack.pack(_listpack(node)))


def _listpack(node: list[tuple[int, Fields]]) -> list[bytes]:
    """The items of the listpack of some entries."""
    master, fields = node[0]
    names = fields[::2]
    items = [b"%d" % len(node), b"0", b"%d" % len(names), *names, b"0"]
    ms, sequence = _halves(master)
    for key, fields in node:
        own_ms, own_sequence = _halves(key)
        place = [b"%d" % _signed(own_ms - ms), b"%d" % _signed(own_sequence - sequence)]
        if fields[::2] == names:
            items += [b"2", *place, *fields[1::2], b"%d" % (3 + len(names))]
        else:
            count = len(fields) // 2
            items += [b"0", *place, b"%d" % count, *fields, b"%d" % (4 + len(fields))]
    return items


def _signed(difference: int) -> int:
    """A difference of two unsigned 64-bit numbers as C stores it."""
    return (difference + (1 << 63) & SEQUENCE) - (1 << 63)


def _group(name: bytes, group: Group, *, latest: bool) -> Iterator[bytes]:
    yield string(name)
    for half in _halves(group.last):
        yield length(half)
    yield length(UNKNOWN if group.read is None else group.read)
    yield length(len(group.pending))
    for key, pending in group.pending.forward():
        yield _raw(key) + struct.pack("<q", pending.time) + length(pending.count)
    yield length(len(group.consumers))
    for consumer in group.consumers.values():
        yield string(consumer.name) + struct.pack("<q", consumer.seen)
        if latest:
            yield struct.pack("<q", consumer.active)
        yield length(len(consumer.pending))
        for key, _ in consumer.pending.forward():
            yield _raw(key)


def restore(reader: Reader, version: int) -> Stream:
    """The stream of a payload; raises `ValueError` for what is none."""
    stream = Stream()
    for _ in range(reader.length()):
        _read_node(stream, reader.string(), listpack.unpack(reader.string()))
    if reader.length() != len(stream.entries):
        raise ValueError("a stream of another length")
    last = _id(reader)
    if last < stream.last:
        raise ValueError("a stream that goes on behind its end")
    stream.last = last
    if version > V1:
        _id(reader)  # the first entry's
        stream.last_deleted = _id(reader)
        stream.added = reader.length()
    for _ in range(reader.length()):
        _read_group(stream, reader, version)
    return stream


def _id(reader: Reader) -> int:
    ms = reader.length()
    return ms << 64 | reader.length()


def _raw_id(reader: Reader) -> int:
    return int.from_bytes(reader.take(16), "big")


def _read_node(stream: Stream, key: bytes, items: list[bytes]) -> None:
    if len(key) != 16:
        raise ValueError("an id of another size")
    ms, sequence = _halves(int.from_bytes(key, "big"))
    left = iter(items)
    try:
        alive, deleted, count = int(next(left)), int(next(left)), int(next(left))
        names = [next(left) for _ in range(count)]
        next(left)  # the end of the master entry
        for _ in range(alive + deleted):
            flags = int(next(left))
            own = (ms + int(next(left)) & SEQUENCE) << 64 | sequence + int(next(left)) & SEQUENCE
            if flags & SAME_NAMES:
                fields = tuple(part for name in names for part in (name, next(left)))
            else:
                fields = tuple(next(left) for _ in range(2 * int(next(left))))
            next(left)  # how many items it was
            if flags & DELETED:
                continue
            if own <= stream.last or not fields:
                raise ValueError("ids that do not rise, or an entry without fields")
            stream.append(own, fields)
    except (StopIteration, RuntimeError):  # the latter inside of a generator
        raise ValueError("an entry that is not there whole") from None
    if next(left, None) is not None:
        raise ValueError("a node with something behind its last entry")


def _read_group(stream: Stream, reader: Reader, version: int) -> None:
    name, last = reader.string(), _id(reader)
    if name in stream.groups:
        raise ValueError("a group that comes twice")
    read: int | None
    if version > V1:
        read = reader.length()
        read = None if read == UNKNOWN else read
    else:
        read = stream.distance(last)
    stream.create_group(name, last, read)
    group = stream.groups[name]
    pending: dict[int, tuple[int, int]] = {}
    for _ in range(reader.length()):
        key = _raw_id(reader)
        pending[key] = reader.number("<q"), reader.length()
    for _ in range(reader.length()):
        consumer_name, seen = reader.string(), reader.number("<q")
        if consumer_name in group.consumers:
            raise ValueError("a consumer that comes twice")
        consumer = stream.create_consumer(group, consumer_name, seen)
        consumer.active = reader.number("<q") if version == V3 else seen
        for _ in range(reader.length()):
            key = _raw_id(reader)
            if key not in pending:
                raise ValueError("an entry that is pending with a consumer only")
            stream.assign(group, key, consumer, *pending.pop(key))
    if pending:
        raise ValueError("an entry that is pending with nobody")
