"""DUMP's payloads: packed forms, checksums, and what is refused."""

from __future__ import annotations

import struct
from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.server import crc64, listpack
from antecache.server.dump import (
    FOOTER,
    VERSION,
    WrongFooter,
    dump,
    restore,
)
from antecache.server.rdb import Reader, decompress, length
from antecache.server.store.kinds import kind_of
from antecache.server.stream import Stream
from antecache.server.zset import SortedSet

numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(
        [
            bound + near
            for bound in (0, 127, -4096, 4095, 2**15, 2**23, 2**31, -(2**31), -(2**23))
            for near in (-1, 0, 1)
        ]
    ),
)
texts = st.one_of(
    st.binary(max_size=80),
    numbers.map(lambda number: b"%d" % number),
    st.sampled_from([b"x" * size for size in (63, 64, 125, 126, 4095, 4096, 8192, 8193, 20_000)]),
    st.sampled_from([b"", b"-0", b"007", b"+1", b"9223372036854775808"]),
)


def framed(body: bytes, version: int = 10) -> bytes:
    """A payload with a right footer."""
    body += struct.pack("<H", version)
    return body + crc64.crc64(body).to_bytes(8, "little")


@given(st.binary(max_size=200), st.integers(1, 60))
def test_the_checksum_of_long_data_is_that_of_its_bytes(data: bytes, times: int) -> None:
    data *= times
    assert crc64._in_lanes(data + b"!") == crc64._byte_by_byte(data + b"!")


def test_the_checksum_is_the_catalogue_s() -> None:
    assert crc64.crc64(b"123456789") == 0xE9C6D914C4B8D9CA
    assert crc64.crc64(b"") == 0
    assert crc64.crc64(bytes(10_000)) == 0


@given(st.lists(texts, max_size=30))
def test_a_listpack_holds_its_items(items: list[bytes]) -> None:
    packed = listpack.pack(items)
    assert listpack.unpack(packed) == items
    for cut in range(0, len(packed), max(len(packed) // 30, 1)):
        with pytest.raises(ValueError):
            listpack.unpack(packed[:cut])


@given(st.sets(numbers, min_size=1, max_size=20))
def test_an_intset_holds_its_members(members: set[int]) -> None:
    packed = listpack.pack_integers(members)
    assert listpack.unpack_integers(packed) == [b"%d" % number for number in sorted(members)]


def streams() -> st.SearchStrategy[Stream]:
    """Streams with groups, consumers and pending entries."""

    @st.composite
    def build(draw: Any) -> Stream:
        stream = Stream()
        for step in draw(st.lists(st.sampled_from([1, 2, 1 << 64, (1 << 64) - 1]), max_size=30)):
            fields = draw(st.lists(texts, min_size=1, max_size=3))
            stream.append(
                stream.last + step, tuple(part for name in fields for part in (name, b"v"))
            )
        for name in draw(st.sets(texts, max_size=2)):
            stream.create_group(
                name, draw(st.integers(0, stream.last)), draw(st.none() | st.just(2))
            )
            group = stream.groups[name]
            for number in range(draw(st.integers(0, 2))):
                consumer = stream.create_consumer(group, b"%d" % number, 1000)
                consumer.active = draw(st.sampled_from([-1, 1000, 999]))
                for key in draw(st.sets(st.integers(1, 1 << 66), max_size=3)):
                    stream.assign(group, key, consumer, 1000, 2)
        return stream

    return build()


values = st.one_of(
    texts,
    st.lists(texts, min_size=1, max_size=30),
    st.sets(texts, min_size=1, max_size=20),
    st.sets(numbers, min_size=1, max_size=20).map(lambda found: {b"%d" % n for n in found}),
    st.dictionaries(texts, texts, min_size=1, max_size=20),
    st.dictionaries(texts, st.floats(allow_nan=False), min_size=1, max_size=20).map(SortedSet),
    streams(),
)


def plain(value: Any) -> Any:
    if isinstance(value, SortedSet):
        return dict(value.scores)
    if isinstance(value, Stream):
        value.check()
        groups = {
            name: (
                group.last,
                group.read,
                [(key, p.consumer.name, p.time, p.count) for key, p in group.pending.forward()],
                [(c.name, c.seen, c.active) for c in group.consumers.values()],
            )
            for name, group in value.groups.items()
        }
        counters = value.last, value.added, value.last_deleted
        return list(value.entries.forward()), counters, groups
    return list(value) if isinstance(value, deque | list) else value


@settings(deadline=None)
@given(values)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    back = restore(dump(value))
    assert kind_of(back).name == kind_of(value).name
    assert plain(back) == plain(value)
    assert kind_of(back).encoding(back) == kind_of(value).encoding(value)


@settings(deadline=None)
@given(values, st.data())
def test_a_damaged_payload_is_refused(value: Any, data: Any) -> None:
    payload = bytearray(dump(value))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(WrongFooter):
        restore(bytes(payload))


@settings(deadline=None)
@given(values, st.data())
def test_a_wrong_value_under_a_right_footer_breaks_nothing(value: Any, data: Any) -> None:
    """What a client makes up is a value or refused; it raises nothing else."""
    body = bytearray(dump(value)[:-FOOTER])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = restore(framed(bytes(body)))
    except ValueError:
        return
    assert restore(dump(found)) is not None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"\x00\x05abcd",
        b"\x00\x01ab",
        b"\x63\x01a",
        b"\x01\x00",
        b"\x02\x02\x01a\x01a",
        b"\x04\x01\x01a",
        b"\x04\x02\x01a\x01b\x01a\x01c",
        b"\x05\x01\x01a" + struct.pack("<d", float("nan")),
        b"\x03\x01\x01a\xfd",
        b"\x00\xc3\x01\x05\x00",
        b"\x00\x81" + b"\xff" * 8,
        b"\x0b\x08" + struct.pack("<II", 3, 0),
        b"\x12\x01\x03\x01a",
    ],
    ids=repr,
)
def test_what_is_no_value_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        restore(framed(body))


def test_newer_versions_are_refused() -> None:
    assert restore(framed(b"\x00\x01a", VERSION)) == b"a"
    for payload in (framed(b"\x00\x01a", VERSION + 1), b"", b"short"):
        with pytest.raises(WrongFooter):
            restore(payload)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"\x01\x02\x01a\xc0\xfe", [b"a", b"-2"]),
        (
            b"\x03\x03\x01a\x031.5\x01b\xfe\x01c\xff",
            {b"a": 1.5, b"b": float("inf"), b"c": float("-inf")},
        ),
        # What Redis 6 wrote: ziplists.
        (
            b"\x0d\x17\x17\x00\x00\x00\x13\x00\x00\x00\x04\x00\x00\x01f\x03\x01v\x03\x01n\x03\xfe\xfb\xff",
            {b"f": b"v", b"n": b"-5"},
        ),
        (
            b"\x0e\x01\x14\x14\x00\x00\x00\x0f\x00\x00\x00\x03\x00\x00\x01a\x03\xf2\x02\xc0,\x01\xff",
            [b"a", b"1", b"300"],
        ),
        (b"\x14\x0c\x0c\x00\x00\x00\x02\x00\x81a\x02\x01\x01\xff", {b"a", b"1"}),
    ],
    ids=repr,
)
def test_what_other_versions_wrote_is_read(body: bytes, value: Any) -> None:
    assert plain(restore(framed(body, 9))) == plain(value)


def test_compressed_strings() -> None:
    assert decompress(b"\x01aa\xe0W\x00\x01aa", 100) == b"a" * 100
    assert decompress(b"\x02abc\x20\x02", 6) == b"abcabc"
    for data, size in (
        (b"\x01aa\xe0", 50),
        (b"\x20\x05", 3),
        (b"\x01aa", 3),
        (b"\x01aa\xe0W\x00", 9),
    ):
        with pytest.raises(ValueError):
            decompress(data, size)


@pytest.mark.parametrize("number", [0, 63, 64, 16_383, 16_384, 2**32 - 1, 2**32])
def test_lengths(number: int) -> None:
    assert Reader(length(number)).length() == number
