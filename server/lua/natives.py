"""What the libraries of scripts leave to Python: `bit`, `struct`, SHA-1.

Each function takes what lupa hands over (bytes, int, float, bool, None) and returns
a value, or `(None, text)` for an error: an exception that crossed Lua would be an
object of Python in the hands of a script. The format letters are those of Roberto
Ierusalimschy's struct 0.2, which Redis ships, with its texts.

It knows nothing of redis.call (`interpreter.py`).
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from typing import Any

MASK = 0xFFFFFFFF
MAX_INTEGER = 32  # bytes of an integer in a format
_CODES = {b"b": 1, b"h": 2, b"i": 4, b"l": 8, b"t": 8}


def sha1(data: Any) -> bytes:
    """The digest in hexadecimal; what is no string is digested as an empty one."""
    return hashlib.sha1(data if isinstance(data, bytes) else b"").hexdigest().encode()


def _bits(value: float) -> int:
    """A number as 32 bits: rounded to even, modulo 2**32, as LuaBitOp takes it."""
    if not math.isfinite(value):
        return 0
    return round(value) & MASK


def _signed(bits: int) -> int:
    return bits - (1 << 32) if bits & 0x80000000 else bits


def bit(name: bytes, value: float, other: float) -> Any:
    """One operation of LuaBitOp; a signed number of 32 bits (text for `tohex`)."""
    a, b = _bits(value), _bits(other)
    by = b & 31
    match name:
        case b"band":
            a &= b
        case b"bor":
            a |= b
        case b"bxor":
            a ^= b
        case b"bnot":
            a ^= MASK
        case b"lshift":
            a = (a << by) & MASK
        case b"rshift":
            a >>= by
        case b"arshift":
            a = (_signed(a) >> by) & MASK
        case b"rol":
            a = ((a << by) | (a >> (32 - by))) & MASK
        case b"ror":
            a = ((a >> by) | (a << (32 - by))) & MASK
        case b"bswap":
            a = int.from_bytes(a.to_bytes(4, "little"), "big")
        case b"tohex":
            return _hex(a, _signed(b))
    return _signed(a)


def _hex(bits: int, digits: int) -> bytes:
    text = b"%08X" % bits if digits < 0 else b"%08x" % bits
    return text[-min(abs(digits), 8) :] if digits else b""


class _Refused(Exception):
    """A text for the script."""


class _Options:
    """The options of a format, one after the other, with their sizes and alignment."""

    def __init__(self, form: bytes, name: str) -> None:
        self.form = form
        self.name = name
        self.at = 0
        self.order = "little"
        self.alignment = 1

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        """(letter, size): size is 0 for what has none of its own."""
        while self.at < len(self.form):
            letter = self.form[self.at : self.at + 1]
            self.at += 1
            if letter in b" ":
                continue
            if letter == b">":
                self.order = "big"
            elif letter == b"<":
                self.order = "little"
            elif letter == b"!":
                self.alignment = self._number(8)
                if self.alignment & (self.alignment - 1) or not self.alignment:
                    raise _Refused("alignment is not a power of 2")
            elif letter in (b"i", b"I"):
                size = self._number(4)
                if not 0 < size <= MAX_INTEGER:
                    raise _Refused(f"integral size {size} is larger than limit of {MAX_INTEGER}")
                yield letter, size
            elif letter == b"c":
                yield letter, self._number(1)
            elif letter.lower() in _CODES and letter != b"t":
                yield letter, _CODES[letter.lower()]
            elif letter in (b"x", b"f", b"d", b"s"):
                yield letter, {b"x": 1, b"f": 4, b"d": 8, b"s": 0}[letter]
            else:
                shown = letter.decode("latin-1")
                raise _Refused(
                    f"bad argument #1 to '{self.name}' (invalid format option '{shown}')"
                )

    def _number(self, default: int) -> int:
        start = self.at
        while self.form[self.at : self.at + 1].isdigit():
            self.at += 1
        if self.at == start:
            return default
        number = int(self.form[start : self.at][:10])
        if number > 1 << 30:
            raise _Refused("integral size overflow")
        return number

    def padding(self, letter: bytes, size: int, total: int) -> int:
        """Bytes before an option of this size, `total` bytes from the start."""
        align = min(size, self.alignment)
        if align < 2 or letter in (b"c", b"x", b"s"):
            return 0
        return (align - (total & (align - 1))) & (align - 1)  # as in C, also for sizes like 3


def _argument(args: tuple[Any, ...], at: int, kind: str) -> Any:
    """The argument number `at` + 2 of struct.pack, as luaL_check takes it."""
    value = args[at] if at < len(args) else None
    if kind == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return b"%.14g" % value
    if isinstance(value, bytes):
        if kind == "string":
            return value
        try:
            return float(value)
        except ValueError:
            pass
    if kind == "number" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    names = {type(None): "nil", bytes: "string", bool: "boolean"}
    got = names.get(type(value), "table")
    raise _Refused(f"bad argument #{at + 2} to 'pack' ({kind} expected, got {got})")


def _whole(value: float) -> int:
    return int(value) if math.isfinite(value) else -(1 << 63)


def struct_pack(form: Any, *args: Any) -> Any:
    """struct.pack(format, ...): the bytes."""
    try:
        return _pack(_Options(_form(form, "pack"), "pack"), args)
    except _Refused as refused:
        return None, str(refused).encode()


def _form(form: Any, name: str) -> bytes:
    if not isinstance(form, bytes):
        raise _Refused(f"bad argument #1 to '{name}' (string expected, got no value)")
    return form


def _pack(options: _Options, args: tuple[Any, ...]) -> bytes:
    out = bytearray()
    at = 0
    for letter, size in options:
        out += bytes(options.padding(letter, size, len(out)))
        if letter == b"x":
            out.append(0)
            continue
        if letter in (b"s", b"c"):
            text = _argument(args, at, "string")
            if letter == b"c":
                if len(text) < size:
                    raise _Refused(f"bad argument #{at + 3} to 'pack' (string too short)")
                out += text[:size] if size else text
            else:
                out += text + b"\0"
        else:
            number = _argument(args, at, "number")
            if letter in (b"f", b"d"):
                out += _float(number, letter, options.order)
            else:
                bits = _whole(number) & ((1 << (8 * size)) - 1)
                out += bits.to_bytes(size, "big" if options.order == "big" else "little")
        at += 1
    return bytes(out)


def _float(number: float, letter: bytes, order: str) -> bytes:
    code = (">" if order == "big" else "<") + letter.decode()
    try:
        return struct.pack(code, number)
    except OverflowError:  # a float too large for 32 bits is infinite there
        return struct.pack(code, math.copysign(math.inf, number))


def struct_unpack(form: Any, data: Any = None, start: Any = 1) -> Any:
    """struct.unpack(format, data, position): the values, then the position that follows."""
    try:
        options = _Options(_form(form, "unpack"), "unpack")
        if not isinstance(data, bytes):
            raise _Refused("bad argument #2 to 'unpack' (string expected, got no value)")
        at = int(start) - 1 if isinstance(start, (int, float)) else 0
        if at < 0:
            raise _Refused("bad argument #3 to 'unpack' (offset must be 1 or greater)")
        if form and at > len(data):
            raise _Refused("bad argument #2 to 'unpack' (data string too short)")
        return tuple(_unpack(options, data, at))
    except _Refused as refused:
        return None, str(refused).encode()


def _unpack(options: _Options, data: bytes, at: int) -> list[Any]:
    found: list[Any] = []
    for letter, size in options:
        at += options.padding(letter, size, at)
        if at > len(data) or size > len(data) - at:
            raise _Refused("bad argument #2 to 'unpack' (data string too short)")
        piece = data[at : at + size]
        at += size
        if letter == b"x":
            continue
        if letter == b"c":
            if not size:
                number = found.pop() if found else None
                if not isinstance(number, (int, float)):
                    raise _Refused("format 'c0' needs a previous size")
                size = max(int(number), 0)
                if size > len(data) - at:
                    raise _Refused("bad argument #2 to 'unpack' (data string too short)")
                piece = data[at : at + size]
                at += size
            found.append(piece)
        elif letter == b"s":
            end = data.find(b"\0", at)
            if end < 0:
                raise _Refused("unfinished string in data")
            found.append(data[at:end])
            at = end + 1
        elif letter in (b"f", b"d"):
            code = (">" if options.order == "big" else "<") + letter.decode()
            found.append(struct.unpack(code, piece)[0])
        else:
            order = "big" if options.order == "big" else "little"
            signed = letter.islower()
            found.append(float(int.from_bytes(piece, order, signed=signed)))  # type: ignore[arg-type]
    return [*found, at + 1]


def struct_size(form: Any) -> Any:
    """struct.size(format): bytes."""
    try:
        options = _Options(_form(form, "size"), "size")
        total = 0
        for letter, size in options:
            if letter == b"s" or (letter == b"c" and not size):
                shown = "s" if letter == b"s" else "c0"
                raise _Refused(f"bad argument #1 to 'size' (option '{shown}' has no fixed size)")
            total += options.padding(letter, size, total) + size
        return total
    except _Refused as refused:
        return None, str(refused).encode()
