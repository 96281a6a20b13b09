"""The grammar of Redis's RDB files, as far as a DUMP payload uses it: lengths and strings.

A length is one, two, five or nine bytes. A string is a length and its bytes, or a
small integer in binary, or (which is only read) compressed by LZF. See rdb.c and
lzf_d.c of Redis. What is not there whole, or is nothing of the kind, raises
`ValueError`.
"""

from __future__ import annotations

import struct
from typing import Any

from antecache.server.store.kinds import is_integer


def length(number: int) -> bytes:
    """A length as RDB writes it."""
    if number < 64:
        return bytes((number,))
    if number < 16_384:
        return bytes((0x40 | number >> 8, number & 255))
    if number < 1 << 32:
        return b"\x80" + number.to_bytes(4, "big")
    return b"\x81" + number.to_bytes(8, "big")


def string(text: bytes) -> bytes:
    """A string as RDB writes it; a small integer in its own form."""
    if len(text) <= 11 and is_integer(text):
        number = int(text)
        for kind, size in ((0xC0, 1), (0xC1, 2), (0xC2, 4)):
            if -(1 << 8 * size - 1) <= number < 1 << 8 * size - 1:
                return bytes((kind,)) + number.to_bytes(size, "little", signed=True)
    return length(len(text)) + text


class Reader:
    """What is left of a payload; each method takes something off its front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """So many bytes."""
        start, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise ValueError("a payload that is not there whole")
        return self._data[start : self._at]

    def end(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._data):
            raise ValueError("a payload with something behind its value")

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._data)

    def byte(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def number(self, layout: str) -> Any:
        """A number in one of `struct`'s layouts."""
        (found,) = struct.unpack(layout, self.take(struct.calcsize(layout)))
        return found

    def length(self) -> int:
        """A length."""
        first = self.byte()
        if first >= 0xC0:
            raise ValueError("a string where a length is expected")
        return self._length(first)

    def _length(self, first: int) -> int:
        if first < 0x40:
            return first
        if first < 0x80:
            return (first & 63) << 8 | self.byte()
        if first not in (0x80, 0x81):
            raise ValueError("an unknown length")
        return int(self.number(">I" if first == 0x80 else ">Q"))

    def string(self) -> bytes:
        """A string, whichever way it was written."""
        first = self.byte()
        if first < 0xC0:
            return self.take(self._length(first))
        if first == 0xC3:
            packed, size = self.length(), self.length()
            return decompress(self.take(packed), size)
        layout = {0xC0: "<b", 0xC1: "<h", 0xC2: "<i"}.get(first)
        if layout is None:
            raise ValueError("an unknown string")
        return b"%d" % self.number(layout)

    def strings(self) -> list[bytes]:
        """A length, and as many strings."""
        return [self.string() for _ in range(self.length())]


def decompress(data: bytes, size: int) -> bytes:
    """LZF, by which Redis compresses longer strings: literal runs, and copies of what came."""
    found = bytearray()
    at = 0
    try:
        while at < len(data):
            control = data[at]
            at += 1
            if control < 32:
                found += data[at : at + control + 1]
                at += control + 1
                continue
            count = control >> 5
            if count == 7:
                count += data[at]
                at += 1
            start = len(found) - ((control & 31) << 8 | data[at]) - 1
            at += 1
            if start < 0:
                raise ValueError("a compressed string that points before its start")
            count += 2
            piece = found[start : start + count]  # may reach into what it appends
            found += (piece * (count // len(piece) + 1))[:count]
            if len(found) > size:
                break
    except IndexError:
        raise ValueError("a compressed string that is not there whole") from None
    if len(found) != size:
        raise ValueError("a compressed string of another size")
    return bytes(found)
