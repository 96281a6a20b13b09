"""Bits of strings: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP.

A bitmap is a string; bit 0 is the highest bit of the first byte. Reading commands
look at the bytes where they are. Writing ones take a short string apart and put a
new one together, and change a long one in place (`buffer.py`), so that one bit of
100 MB costs no copy.

What this file does not do: integers of some bits (`bitfields.py`).
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import numpy as np

from antecache.server.buffer import LARGE, Buffer
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.strings import ONE_KEY, replace
from antecache.server.errors import SYNTAX, WRONGTYPE, ClientError
from antecache.server.store import Entry, events

Bits: TypeAlias = bytes | bytearray

BAD_OFFSET = "ERR bit offset is not an integer or out of range"
BAD_BIT = "ERR bit is not an integer or out of range"
NO_BIT = "ERR The bit argument must be 1 or 0."
NOT_ONE_SOURCE = "ERR BITOP NOT must be called with a single source key."

PIECE = 65_536  # bytes counted at once
# A byte that holds a bit of the kind looked for, by that bit.
_HOLDS = (re.compile(rb"[^\xff]"), re.compile(rb"[^\x00]"))


def bits_of(entry: Entry | None) -> Bits:
    """The bytes of a string to be changed, none for no entry; to be read at once, never kept."""
    return b"" if entry is None else _bits(entry.value)


def read_bits(client: ClientView, key: bytes) -> Bits | None:
    """The bytes of a string for a client that reads them, None without it; never kept either."""
    value = client.db.value(key)
    return None if value is None else _bits(value)


def _bits(value: Any) -> Bits:
    if type(value) is bytes:
        return value
    if type(value) is Buffer:
        return value.data
    raise ClientError(WRONGTYPE)


def bit_offset(client: ClientView, text: bytes, bits: int = 0) -> int:
    """The position of a bit; `#3` is the third field of `bits` bits where that is given."""
    if bits and text[:1] == b"#":
        number = integer(text[1:], BAD_OFFSET) * bits
    else:
        number = integer(text, BAD_OFFSET)
    if number < 0 or number >> 3 >= client.server.config.proto_max_bulk_len:
        raise ClientError(BAD_OFFSET)
    return number


def opened(entry: Entry | None, length: int) -> bytearray:
    """The bytes of a string to be changed, at least `length` of them; `save` comes next."""
    bits = bits_of(entry)
    data = bits if isinstance(bits, bytearray) else bytearray(bits)
    if len(data) < length:
        data += bytes(length - len(data)) if data else bytearray(length)
    return data


def save(client: ClientView, key: bytes, entry: Entry | None, data: bytearray) -> None:
    """What `opened` returned has been changed and is the string's value now."""
    if entry is None:
        client.db.put(key, Buffer(data) if len(data) >= LARGE else bytes(data))
    elif len(data) < LARGE and type(entry.value) is bytes:
        replace(client, entry, bytes(data))
    else:
        if type(entry.value) is bytes:
            entry.value = Buffer(data)
        client.db.recharge(entry)
        client.db.changed(entry)


@command(
    "setbit",
    4,
    flags="write denyoom",
    keys=ONE_KEY,
    group="bitmap",
    since="2.2.0",
    summary="Sets or clears the bit at offset of the string value. "
    "Creates the key if it doesn't exist.",
)
def setbit(client: ClientView, argv: Argv) -> int:
    """SETBIT key offset value: the bit as it was."""
    offset = bit_offset(client, argv[2])
    bit = integer(argv[3], BAD_BIT)
    if bit not in (0, 1):
        raise ClientError(BAD_BIT)
    key = argv[1]
    entry = client.db.modify(key)
    bits = bits_of(entry)
    at, mask = offset >> 3, 0x80 >> (offset & 7)
    old = 1 if at < len(bits) and bits[at] & mask else 0
    if old != bit or at >= len(bits):
        data = opened(entry, at + 1)
        if bit:
            data[at] |= mask
        else:
            data[at] &= ~mask
        save(client, key, entry, data)
        client.db.event(events.STRING, "setbit", key)
    return old


@command(
    "getbit",
    3,
    flags="readonly fast",
    keys=ONE_KEY,
    group="bitmap",
    since="2.2.0",
    summary="Returns a bit value by offset.",
)
def getbit(client: ClientView, argv: Argv) -> int:
    """GETBIT key offset."""
    offset = bit_offset(client, argv[2])
    bits = read_bits(client, argv[1]) or b""
    at = offset >> 3
    return 1 if at < len(bits) and bits[at] & 0x80 >> (offset & 7) else 0


def _in_bits(word: bytes) -> bool:
    unit = word.upper()
    if unit not in (b"BIT", b"BYTE"):
        raise ClientError(SYNTAX)
    return unit == b"BIT"


def _clipped(first: int, last: int, total: int) -> tuple[int, int]:
    """A range with negative ends counted from the end of `total`, and no further than that."""
    if first < 0:
        first = max(0, first + total)
    if last < 0:
        last = max(0, last + total)
    return first, min(last, total - 1)


@command(
    "bitcount",
    -2,
    flags="readonly",
    keys=ONE_KEY,
    group="bitmap",
    since="2.6.0",
    complexity="O(N)",
    summary="Counts the number of set bits (population counting) in a string.",
)
def bitcount(client: ClientView, argv: Argv) -> int:
    """BITCOUNT key [start end [BYTE | BIT]]."""
    if len(argv) == 2:
        bits = read_bits(client, argv[1]) or b""
        return _count(bits, 0, 8 * len(bits) - 1)
    if len(argv) not in (4, 5):
        raise ClientError(SYNTAX)
    first, last = integer(argv[2]), integer(argv[3])
    in_bits = len(argv) == 5 and _in_bits(argv[4])
    bits = read_bits(client, argv[1]) or b""
    if first < 0 and last < 0 and first > last:
        return 0
    if in_bits:
        return _count(bits, *_clipped(first, last, 8 * len(bits)))
    first, last = _clipped(first, last, len(bits))
    return _count(bits, 8 * first, 8 * last + 7)


def _count(bits: Bits, first: int, last: int) -> int:
    """How many bits from `first` to `last` are set."""
    if first > last:
        return 0
    start, stop = first >> 3, (last >> 3) + 1
    total = 0
    with memoryview(bits) as view:
        for at in range(start, stop, PIECE):
            total += int.from_bytes(view[at : min(at + PIECE, stop)], "big").bit_count()
    before = bits[start] >> (8 - (first & 7))
    after = bits[stop - 1] & (0xFF >> ((last & 7) + 1))
    return total - before.bit_count() - after.bit_count()


@command(
    "bitpos",
    -3,
    flags="readonly",
    keys=ONE_KEY,
    group="bitmap",
    since="2.8.7",
    complexity="O(N)",
    summary="Finds the first set (1) or clear (0) bit in a string.",
)
def bitpos(client: ClientView, argv: Argv) -> int:
    """BITPOS key bit [start [end [BYTE | BIT]]].

    Without an end the string counts as followed by clear bits for ever.
    """
    bit = integer(argv[2])
    if bit not in (0, 1):
        raise ClientError(NO_BIT)
    if len(argv) > 6:
        raise ClientError(SYNTAX)
    first = integer(argv[3]) if len(argv) > 3 else 0
    in_bits = len(argv) == 6 and _in_bits(argv[5])
    last = integer(argv[4]) if len(argv) > 4 else -1
    bits = read_bits(client, argv[1])
    if bits is None:
        return -1 if bit else 0
    if in_bits:
        first, last = _clipped(first, last, 8 * len(bits))
    else:
        first, last = _clipped(first, last, len(bits))
        first, last = 8 * first, 8 * last + 7
    if first > last:
        return -1
    at = _find(bits, bit, first, last)
    return 8 * len(bits) if at < 0 and not bit and len(argv) < 5 else at


def _find(bits: Bits, bit: int, first: int, last: int) -> int:
    """The first bit of that value from `first` to `last`, -1 when there is none."""
    while first & 7 and first <= last:
        if bits[first >> 3] >> (7 - (first & 7)) & 1 == bit:
            return first
        first += 1
    if first > last:
        return -1
    # Whole bytes from here on; of the last one not all bits may count.
    found = _HOLDS[bit].search(bits, first >> 3, (last >> 3) + 1)
    if found is None:
        return -1
    at = found.start()
    byte = bits[at] if bit else bits[at] ^ 0xFF
    place = 8 * at + 8 - byte.bit_length()
    return place if place <= last else -1


@command(
    "bitop",
    -4,
    flags="write denyoom",
    keys=(2, -1, 1),
    group="bitmap",
    since="2.6.0",
    complexity="O(N)",
    summary="Performs bitwise operations on multiple strings, and stores the result.",
)
def bitop(client: ClientView, argv: Argv) -> int:
    """BITOP AND | OR | XOR | NOT destkey key [key ...]: the length of what was stored."""
    operation = argv[1].upper()
    if operation not in (b"AND", b"OR", b"XOR", b"NOT"):
        raise ClientError(SYNTAX)
    if operation == b"NOT" and len(argv) != 4:
        raise ClientError(NOT_ONE_SOURCE)
    db, target = client.db, argv[2]
    sources = [read_bits(client, key) or b"" for key in argv[3:]]
    if not any(sources):
        if db.delete(target):
            db.event(events.GENERIC, "del", target)
        return 0
    result = _combined(operation, sources)
    db.put(target, result)
    db.event(events.STRING, "set", target)
    return len(result)


def _combined(operation: bytes, sources: list[Bits]) -> bytes:
    """The bitwise result, as long as the longest source; shorter ones end in zeros."""
    result = np.zeros(max(map(len, sources)), np.uint8)
    head = np.frombuffer(sources[0], np.uint8)
    result[: len(head)] = head
    for source in sources[1:]:
        other = np.frombuffer(source, np.uint8)
        part = result[: len(other)]
        if operation == b"AND":
            part &= other
            result[len(other) :] = 0
        elif operation == b"OR":
            part |= other
        else:
            part ^= other
    if operation == b"NOT":
        np.invert(result, out=result)
    return result.tobytes()
