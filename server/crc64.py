"""The checksum at the end of a DUMP payload: CRC-64 with the polynomial of D. Jones.

As in Redis: reflected, starting at 0, nothing added at the end
(https://reveng.sourceforge.io/crc-catalogue/all.htm, CRC-64/REDIS). Short data is
done byte by byte. Long data is cut into lanes of one width that are walked side by
side as NumPy columns, and the lanes' checksums are then joined in pairs: appending n
bytes to some data multiplies its checksum by a matrix over GF(2), and since the
start is 0 the missing bytes of the first lane may be zeros. A megabyte takes
milliseconds, not a tenth of a second.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

POLYNOMIAL = 0x95AC9329AC4BC9B5  # 0xad93d23594c935a9 with its bits reversed
SHORT = 4096  # bytes below which lanes do not pay
WIDTH_BITS = 9
WIDTH = 1 << WIDTH_BITS  # bytes of a lane

Words = npt.NDArray[np.uint64]


@lru_cache(maxsize=1)
def _table() -> list[int]:
    found = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (POLYNOMIAL if number & 1 else 0)
        found.append(number)
    return found


@lru_cache(maxsize=1)
def _words() -> Words:
    return np.array(_table(), dtype=np.uint64)


def crc64(data: bytes) -> int:
    """The checksum of `data`, 0 for none."""
    return _in_lanes(data) if len(data) >= SHORT else _byte_by_byte(data)


def _byte_by_byte(data: bytes) -> int:
    table, crc = _table(), 0
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc


def _in_lanes(data: bytes) -> int:
    table = _words()
    count = -(-len(data) // WIDTH)
    padded = bytes(count * WIDTH - len(data)) + data
    columns = np.frombuffer(padded, dtype=np.uint8).reshape(count, WIDTH).T.astype(np.uint64)
    low, eight = np.uint64(255), np.uint64(8)
    crcs = np.zeros(count, dtype=np.uint64)
    for column in columns:
        crcs = table[(crcs ^ column) & low] ^ (crcs >> eight)
    append = _appending_a_lane()
    while len(crcs) > 1:
        if len(crcs) % 2:
            crcs = np.concatenate((np.zeros(1, dtype=np.uint64), crcs))
        crcs = _times(append, crcs[::2]) ^ crcs[1::2]
        append = _times(append, append)
    return int(crcs[0])


def _times(matrix: Words, vectors: Words) -> Words:
    """`matrix` (its 64 columns) times each of some vectors of 64 bits."""
    found = np.zeros(len(vectors), dtype=np.uint64)
    one = np.uint64(1)
    for bit in range(64):
        found ^= matrix[bit] * (vectors >> np.uint64(bit) & one)
    return found


@lru_cache(maxsize=1)
def _appending_a_lane() -> Words:
    """What WIDTH zero bytes do to the checksum of the data before them."""
    table = _table()
    units = [1 << bit for bit in range(64)]
    matrix = np.array([table[unit & 255] ^ (unit >> 8) for unit in units], dtype=np.uint64)
    for _ in range(WIDTH_BITS):
        matrix = _times(matrix, matrix)
    return matrix
