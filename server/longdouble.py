"""The 80-bit floating point numbers that INCRBYFLOAT and HINCRBYFLOAT count in.

Redis keeps these counters in C's `long double`, on x86 a significand of 64 bits,
and prints them with `%.17Lf`: 3.0 + 1.1 is 4.1 there, which no arithmetic in
Python's own 53 bits yields. So a number here is a pair of ints, significand and
exponent (`significand x 2 ** exponent`), rounded to nearest, ties to even, as the
x87 does. The result is the same on every machine, whatever its C compiler makes
of `long double`.

What this file does not do: infinities and NaN. They are no `Number`; `parse`
tells them apart and the sum of two finite numbers that is out of range is None.
"""

from __future__ import annotations

import re
from typing import NamedTuple

PRECISION = 64  # bits of the significand
HIGHEST = 16384  # numbers are below 2 ** HIGHEST
LOWEST = -16445  # the exponent of the least significant bit of a denormal
MAX_TEXT = 5 * 1024  # MAX_LONG_DOUBLE_CHARS: longer texts are refused unread
PIECE = 4000  # digits converted at a time; Python refuses more than 4300
FRACTION_DIGITS = 17
_PIECE = int(10**PIECE)


class Number(NamedTuple):
    """`significand * 2 ** exponent`; zero is (0, 0)."""

    significand: int
    exponent: int


INFINITE = Number(1, HIGHEST)
"""What `parse` returns for `inf`, of either sign; it may not be counted with."""

_DECIMAL = re.compile(rb"([+-]?)(?=\.?\d)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?", re.IGNORECASE)
_HEX = re.compile(
    rb"([+-]?)0x(?=\.?[\da-f])([\da-f]*)(?:\.([\da-f]*))?(?:p([+-]?\d+))?", re.IGNORECASE
)
_INFINITY = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)


def parse(text: bytes) -> Number | None:
    """The number that `strtold` reads in the whole of `text`, or None.

    None also for what overflows, for what is not zero but rounds to it, and for
    NaN; `INFINITE` for the words that mean infinity.
    """
    if len(text) >= MAX_TEXT:
        return None
    found = _DECIMAL.fullmatch(text)
    if found is not None:
        return _parse_decimal(*found.groups(default=b""))
    found = _HEX.fullmatch(text)
    if found is not None:
        return _parse_hex(*found.groups(default=b""))
    return INFINITE if _INFINITY.fullmatch(text) else None


def add(left: Number, right: Number) -> Number | None:
    """The rounded sum, or None when it is infinite."""
    exponent = min(left.exponent, right.exponent)
    total = (left.significand << (left.exponent - exponent)) + (
        right.significand << (right.exponent - exponent)
    )
    return _round(total, exponent)


def total(left: Number, right: Number) -> bytes | None:
    """The sum as Redis prints it, or None when it is infinite or no number."""
    if INFINITE in (left, right):
        return None
    result = add(left, right)
    return None if result is None else text_of(result)


def text_of(number: Number) -> bytes:
    """The number in decimal, at most 17 digits after the point and no zeros at the end."""
    significand, exponent = number
    magnitude = abs(significand) * 10**FRACTION_DIGITS
    if exponent >= 0:
        magnitude <<= exponent
    else:
        magnitude = _shift_right(magnitude, -exponent)
    whole, part = divmod(magnitude, 10**FRACTION_DIGITS)
    digits = _digits_of(whole)
    if part:
        digits += b"." + (b"%017d" % part).rstrip(b"0")
    return b"-" + digits if significand < 0 and magnitude else digits


def _parse_decimal(sign: bytes, whole: bytes, part: bytes, power: bytes) -> Number | None:
    digits = _int_of(whole + part)
    if not digits:
        return Number(0, 0)
    # Beyond these every text of MAX_TEXT digits is out of range, and 10 ** scale stays small.
    scale = max(-20_000, min(20_000, _int_of(power.lstrip(b"+")))) - len(part)
    if sign == b"-":
        digits = -digits
    if scale >= 0:
        return _finite(_round(digits * 10**scale, 0))
    divisor = 10**-scale
    # Enough bits for one rounding: two more than the significand, and a sticky last one.
    shift = max(0, divisor.bit_length() - digits.bit_length() + PRECISION + 2)
    quotient, remainder = divmod(abs(digits) << shift, divisor)
    quotient = (quotient << 1) | bool(remainder)
    return _finite(_round(-quotient if digits < 0 else quotient, -shift - 1))


def _parse_hex(sign: bytes, whole: bytes, part: bytes, power: bytes) -> Number | None:
    digits = int(whole + part, 16)
    if not digits:
        return Number(0, 0)
    scale = max(-40_000, min(40_000, _int_of(power.lstrip(b"+")))) - 4 * len(part)
    return _finite(_round(-digits if sign == b"-" else digits, scale))


def _finite(number: Number | None) -> Number | None:
    """What `strtold` reports as a range error is no number: here a digit other than 0 was read."""
    return number if number is not None and number.significand else None


def _round(significand: int, exponent: int) -> Number | None:
    """To 64 bits, ties to even; None when out of range."""
    drop = max(significand.bit_length() - PRECISION, LOWEST - exponent)
    if drop > 0:
        magnitude = _shift_right(abs(significand), drop)
        significand = -magnitude if significand < 0 else magnitude
        exponent += drop
    if not significand:
        return Number(0, 0)
    if significand.bit_length() + exponent > HIGHEST:
        return None
    return Number(significand, exponent)


def _shift_right(magnitude: int, bits: int) -> int:
    """`magnitude / 2 ** bits`, to nearest, ties to even."""
    kept = magnitude >> bits
    lost = magnitude - (kept << bits)
    half = 1 << (bits - 1)
    return kept + 1 if lost > half or (lost == half and kept & 1) else kept


def _int_of(digits: bytes) -> int:
    if len(digits) <= PIECE:
        return int(digits or b"0")
    return _int_of(digits[:-PIECE]) * _PIECE + int(digits[-PIECE:])


def _digits_of(number: int) -> bytes:
    if number < _PIECE:
        return b"%d" % number
    head, tail = divmod(number, _PIECE)
    return _digits_of(head) + (b"%0*d" % (PIECE, tail))
