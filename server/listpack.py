"""The packed forms in which Redis keeps small collections, and DUMP writes them.

A listpack is a header (bytes and elements), the elements one after the other, each
followed by its own length so that it can be walked backwards, and an end byte. A
ziplist is its predecessor, of Redis before 7; an intset is a sorted array of
integers of one width. See listpack.c, ziplist.c and intset.c of Redis.

An element that is the text of a 64-bit integer is packed as the integer; it is
unpacked as the text again. What cannot be unpacked raises `ValueError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from antecache.server.store.kinds import is_integer

HEADER = 6  # bytes of a listpack's header
END = 0xFF
_UNKNOWN = 0xFFFF  # in the header's count: more elements than it can say


def pack(items: Sequence[bytes]) -> bytes:
    """The items as a listpack."""
    body = b"".join(map(element, items))
    count = min(len(items), _UNKNOWN)
    return struct.pack("<IH", HEADER + len(body) + 1, count) + body + b"\xff"


def element(item: bytes) -> bytes:
    """One element of a listpack, with its length behind it."""
    if is_integer(item):
        data = _integer(int(item))
    else:
        size = len(item)
        if size < 64:
            data = bytes((0x80 | size,)) + item
        elif size < 4096:
            data = bytes((0xE0 | size >> 8, size & 255)) + item
        else:
            data = b"\xf0" + struct.pack("<I", size) + item
    return data + _backwards(len(data))


def _integer(number: int) -> bytes:
    if 0 <= number < 128:
        return bytes((number,))
    if -4096 <= number < 4096:
        number &= 0x1FFF
        return bytes((0xC0 | number >> 8, number & 255))
    for kind, size in ((0xF1, 2), (0xF2, 3), (0xF3, 4)):
        if -(1 << 8 * size - 1) <= number < 1 << 8 * size - 1:
            return bytes((kind,)) + number.to_bytes(size, "little", signed=True)
    return b"\xf4" + number.to_bytes(8, "little", signed=True)


def _backwards(size: int) -> bytes:
    """The length of an element as it is read from its end: 7 bits a byte, the last one first."""
    limits = (128, 16_383, 2_097_151, 268_435_455)
    count = next((n for n, limit in enumerate(limits, 1) if size < limit), 5)
    groups = [size >> 7 * at & 127 for at in range(count)]
    return bytes((groups[-1], *(group | 128 for group in reversed(groups[:-1]))))


def unpack(data: bytes) -> list[bytes]:
    """The items of a listpack."""
    if len(data) <= HEADER or struct.unpack_from("<I", data)[0] != len(data):
        raise ValueError("a listpack of another size")
    found = []
    at = HEADER
    while data[at : at + 1] != b"\xff":
        item, size = _element_at(data, at)
        found.append(item)
        at += size + len(_backwards(size))
        if at >= len(data):
            raise ValueError("a listpack without an end")
    count = struct.unpack_from("<H", data, 4)[0]
    if at + 1 != len(data) or count not in (len(found), _UNKNOWN):
        raise ValueError("a listpack with something behind its end")
    return found


def _element_at(data: bytes, at: int) -> tuple[bytes, int]:
    """The item at a place, and the bytes it takes without its length behind it."""
    first = data[at]
    if first < 0x80:
        return b"%d" % first, 1
    if first < 0xC0:
        return _text(data, at, 1, first & 63)
    if first < 0xE0:
        number = (first & 31) << 8 | _text(data, at + 1, 0, 1)[0][0]
        return b"%d" % (number - 8192 if number >= 4096 else number), 2
    if first < 0xF0:
        return _text(data, at, 2, (first & 15) << 8 | _text(data, at + 1, 0, 1)[0][0])
    if first == 0xF0:
        size = int.from_bytes(_text(data, at + 1, 0, 4)[0], "little")
        return _text(data, at, 5, size)
    width = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}.get(first)
    if width is None:
        raise ValueError("an unknown element of a listpack")
    number = int.from_bytes(_text(data, at, 1, width)[0], "little", signed=True)
    return b"%d" % number, 1 + width


def _text(data: bytes, at: int, header: int, size: int) -> tuple[bytes, int]:
    item = data[at + header : at + header + size]
    if len(item) != size:
        raise ValueError("an element that is not there whole")
    return item, header + size


def unpack_ziplist(data: bytes) -> list[bytes]:
    """The items of a ziplist."""
    found = []
    at = 10  # its bytes, the place of the last item, the number of items
    while data[at : at + 1] != b"\xff":
        at += 5 if data[at : at + 1] == b"\xfe" else 1  # the length of the item before
        if at >= len(data):
            raise ValueError("a ziplist without an end")
        item, size = _zipped(data, at)
        found.append(item)
        at += size
    if at + 1 != len(data):
        raise ValueError("a ziplist with something behind its end")
    return found


def _zipped(data: bytes, at: int) -> tuple[bytes, int]:
    first = data[at]
    if first < 0x40:
        return _text(data, at, 1, first & 63)
    if first < 0x80:
        return _text(data, at, 2, (first & 63) << 8 | _text(data, at + 1, 0, 1)[0][0])
    if first == 0x80:
        return _text(data, at, 5, int.from_bytes(_text(data, at + 1, 0, 4)[0], "big"))
    if 0xF1 <= first <= 0xFD:
        return b"%d" % ((first & 15) - 1), 1
    width = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}.get(first)
    if width is None:
        raise ValueError("an unknown item of a ziplist")
    number = int.from_bytes(_text(data, at, 1, width)[0], "little", signed=True)
    return b"%d" % number, 1 + width


def pack_integers(numbers: Iterable[int]) -> bytes:
    """Integers as an intset."""
    ordered = sorted(numbers)
    width = next(
        size
        for size in (2, 4, 8)
        if all(-(1 << 8 * size - 1) <= number < 1 << 8 * size - 1 for number in ordered)
    )
    kind = {2: "h", 4: "i", 8: "q"}[width]
    return struct.pack(f"<II{len(ordered)}{kind}", width, len(ordered), *ordered)


def unpack_integers(data: bytes) -> list[bytes]:
    """The members of an intset, as texts."""
    if len(data) < 8:
        raise ValueError("an intset that is not there whole")
    width, count = struct.unpack_from("<II", data)
    kind = {2: "h", 4: "i", 8: "q"}.get(width)
    if kind is None or len(data) != 8 + width * count:
        raise ValueError("an intset of another size")
    return [b"%d" % number for number in struct.unpack_from(f"<{count}{kind}", data, 8)]
