"""HyperLogLog in Redis's own representation, so that values and counts are Redis's.

A counter is a string: the letters HYLL, the encoding, the cardinality as last
computed (the highest bit says that it is out of date), then 16384 registers of 6
bits. Dense, they are packed into 12 kB; sparse, they are runs: `00rrrrrr` is up to 64
zeros, `01rrrrrr rrrrrrrr` up to 16384 of them, `1vvvvvrr` up to four registers of
one value up to 32. A register holds the longest run of zero bits seen among the
elements that fall to it.

The estimate is Ertl's ("New cardinality estimation algorithms for HyperLogLog
sketches", arXiv:1702.01284, section 4), from a histogram of the registers. Elements
are hashed by MurmurHash64A (Austin Appleby, public domain).

What this file does not do: look anything up in a database (`commands/hyperloglog.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

REGISTERS = 16_384  # HLL_P = 14
INDEX_BITS = 14
PATTERN_BITS = 50  # HLL_Q: what of the hash is no index
HEADER = 16
DENSE_SIZE = HEADER + REGISTERS * 6 // 8
DENSE, SPARSE = 0, 1
MAGIC = b"HYLL"
ALPHA = 0.721347520444481703680  # 1 / (2 ln 2)
SPARSE_LIMIT = 3000  # bytes; hll-sparse-max-bytes
LONGEST_ZEROS, LONGEST_SHORT_ZEROS, LONGEST_RUN, SPARSE_HIGHEST = 16_384, 64, 4, 32
OUTDATED = 0x80

Registers: TypeAlias = NDArray[np.uint8]

_SEED = 0xADC83B19
_M, _R, _MASK = 0xC6A4A7935BD1E995, 47, 0xFFFFFFFFFFFFFFFF


class Corrupted(Exception):
    """The registers of a counter do not add up."""


def hash64(data: bytes) -> int:
    """MurmurHash64A with Redis's seed."""
    size = len(data)
    h = _SEED ^ (size * _M & _MASK)
    whole = size & ~7
    for at in range(0, whole, 8):
        k = int.from_bytes(data[at : at + 8], "little") * _M & _MASK
        k = (k ^ k >> _R) * _M & _MASK
        h = (h ^ k) * _M & _MASK
    if size & 7:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> _R) * _M & _MASK
    return h ^ h >> _R


def place(element: bytes) -> tuple[int, int]:
    """The register an element falls to, and the value it wants there."""
    h = hash64(element)
    pattern = h >> INDEX_BITS | 1 << PATTERN_BITS
    return h & (REGISTERS - 1), (pattern & -pattern).bit_length()


def empty() -> bytearray:
    """A counter that has seen nothing."""
    header = MAGIC + bytes([SPARSE]) + bytes(11)
    return bytearray(header + _zeros(REGISTERS))


def is_counter(value: bytes | bytearray) -> bool:
    """Whether a string looks like a counter (its registers are not looked at)."""
    return (
        len(value) >= HEADER
        and value[:4] == MAGIC
        and (value[4] == SPARSE or (value[4] == DENSE and len(value) == DENSE_SIZE))
    )


def cached(value: bytes) -> int | None:
    """The cardinality computed before, unless something was added since."""
    return None if value[15] & OUTDATED else int.from_bytes(value[8:16], "little")


def with_count(value: bytes, count: int) -> bytes:
    """The counter with its cardinality written down."""
    return value[:8] + count.to_bytes(8, "little") + value[HEADER:]


def add(data: bytearray, elements: Iterable[bytes]) -> bool:
    """Add elements; whether a register changed. Raises Corrupted."""
    changed = False
    for element in elements:
        if raise_register(data, *place(element)):
            changed = True
    return changed


def raise_register(data: bytearray, index: int, value: int) -> bool:
    """Make a register at least `value`; whether it was less. Raises Corrupted."""
    if data[4] == DENSE:
        return _raise_dense(data, index, value)
    if value > SPARSE_HIGHEST:
        to_dense(data)
        return _raise_dense(data, index, value)
    return _raise_sparse(data, index, value)


def _raise_dense(data: bytearray, index: int, value: int) -> bool:
    at, shift = divmod(index * 6, 8)
    at += HEADER
    word = data[at]
    if shift > 2:  # the register continues in the next byte
        word |= data[at + 1] << 8
    if word >> shift & 63 >= value:
        return False
    word = word & ~(63 << shift) | value << shift
    data[at] = word & 0xFF
    if shift > 2:
        data[at + 1] = word >> 8
    data[15] |= OUTDATED
    return True


# -- sparse -----------------------------------------------------------------


def _zeros(count: int) -> bytes:
    if count > LONGEST_SHORT_ZEROS:
        return bytes((0x40 | (count - 1) >> 8, (count - 1) & 0xFF))
    return bytes((count - 1,)) if count else b""


def _run(value: int, count: int) -> bytes:
    return bytes((0x80 | (value - 1) << 2 | (count - 1),)) if count else b""


def _parse(data: bytes | bytearray, at: int) -> tuple[int, int, int]:
    """The run at `at`: how many registers, their value, and how many bytes it takes."""
    code = data[at]
    if code & 0x80:
        return (code & 3) + 1, (code >> 2 & 31) + 1, 1
    if code & 0x40:
        if at + 1 >= len(data):
            raise Corrupted
        return ((code & 63) << 8 | data[at + 1]) + 1, 0, 2
    return code + 1, 0, 1


def _raise_sparse(data: bytearray, index: int, value: int, cursor: Cursor | None = None) -> bool:
    """Split the run that holds the register; join runs about it that have become alike.

    A `cursor` of an earlier call for a smaller index spares the walk up to there.
    """
    at, first = (HEADER, 0) if cursor is None else (cursor.at, cursor.first)
    size, end = len(data), HEADER
    previous, before_first = at, first
    while True:
        if at >= size:
            raise Corrupted
        code = data[at]
        if code & 0x80:
            count, end = (code & 3) + 1, at + 1
        elif code & 0x40:
            if at + 1 >= size:
                raise Corrupted
            count, end = ((code & 63) << 8 | data[at + 1]) + 1, at + 2
        else:
            count, end = code + 1, at + 1
        if index < first + count:
            break
        previous, before_first = at, first
        at = end
        first += count
    if cursor is not None:
        if at == cursor.at != HEADER:  # what comes before it is not known: from the start
            cursor.at, cursor.first = HEADER, 0
            return _raise_sparse(data, index, value, cursor)
        cursor.at, cursor.first = previous, before_first
    old = (code >> 2 & 31) + 1 if code & 0x80 else 0
    if old >= value:
        return False
    before, after = index - first, first + count - index - 1
    if old:
        runs = _run(old, before) + _run(value, 1) + _run(old, after)
    else:
        runs = _zeros(before) + _run(value, 1) + _zeros(after)
    if len(runs) > end - at and size + len(runs) - (end - at) > SPARSE_LIMIT:
        to_dense(data)
        return _raise_dense(data, index, value)
    data[at:end] = runs
    _join(data, previous)
    data[15] |= OUTDATED
    return True


class Cursor:
    """Where a walk through the runs may go on: a run, and its first register."""

    __slots__ = ("at", "first")

    def __init__(self) -> None:
        self.at, self.first = HEADER, 0


def _join(data: bytearray, at: int) -> None:
    """Join neighbours of one value, looking at five runs from `at` on as Redis does."""
    for _ in range(5):
        if at >= len(data):
            break
        count, value, size = _parse(data, at)
        if value and at + 1 < len(data) and data[at + 1] & 0x80:
            more, other, _ = _parse(data, at + 1)
            if value == other and count + more <= LONGEST_RUN:
                data[at : at + 2] = _run(value, count + more)
                continue
        at += size


# -- all registers at once --------------------------------------------------


def registers(value: bytes | bytearray) -> Registers:
    """Every register; raises Corrupted."""
    if value[4] == DENSE:
        packed = np.frombuffer(value, np.uint8, offset=HEADER).reshape(-1, 3)
        one, two, three = packed[:, 0], packed[:, 1], packed[:, 2]
        four = np.empty((REGISTERS // 4, 4), np.uint8)
        four[:, 0] = one & 63
        four[:, 1] = one >> 6 | (two & 15) << 2
        four[:, 2] = two >> 4 | (three & 3) << 4
        four[:, 3] = three >> 2
        return four.reshape(-1)
    found = np.zeros(REGISTERS, np.uint8)
    at, first = HEADER, 0
    while at < len(value):
        count, held, size = _parse(value, at)
        if first + count > REGISTERS:
            raise Corrupted
        if held:
            found[first : first + count] = held
        first += count
        at += size
    if first != REGISTERS:
        raise Corrupted
    return found


def to_dense(data: bytearray) -> None:
    """Write the registers of a sparse counter out, in place; raises Corrupted."""
    if data[4] == SPARSE:
        _write(data, registers(data))


def _write(data: bytearray, found: Registers) -> None:
    """Make `data` a dense counter of these registers."""
    held = found.reshape(-1, 4)
    packed = np.empty((REGISTERS // 4, 3), np.uint8)
    packed[:, 0] = held[:, 0] | held[:, 1] << 6
    packed[:, 1] = held[:, 1] >> 2 | held[:, 2] << 4
    packed[:, 2] = held[:, 2] >> 4 | held[:, 3] << 2
    data[HEADER:] = packed.tobytes()
    data[4] = DENSE


def merge(data: bytearray, largest: Registers, dense: bool) -> None:
    """Make the registers of `data` those of `largest`, which are nowhere smaller.

    `dense` when one of the sources was; raises Corrupted.
    """
    data[15] |= OUTDATED
    if dense:
        _write(data, largest)
        return
    cursor = Cursor()
    for index in np.flatnonzero(largest > registers(data)).tolist():
        value = int(largest[index])
        if value > SPARSE_HIGHEST or data[4] == DENSE:
            _write(data, largest)
            return
        _raise_sparse(data, index, value, cursor)


def estimate(held: Registers) -> int:
    """How many different elements left these registers behind."""
    histogram = np.bincount(held, minlength=64).tolist()
    m = float(REGISTERS)
    z = m * _tau((m - histogram[PATTERN_BITS + 1]) / m)
    for value in range(PATTERN_BITS, 0, -1):
        z = 0.5 * (z + histogram[value])
    z += m * _sigma(histogram[0] / m)
    return math.floor(ALPHA * m * m / z + 0.5)


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if z == before:
            return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1.0 - x
    while True:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
        if z == before:
            return z / 3.0
