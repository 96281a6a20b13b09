"""80-bit arithmetic: against the processor's own where there is one, and against fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server import longdouble
from antecache.server.longdouble import INFINITE, Number

native = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant != 63, reason="this machine's long double has not 80 bits"
)
decimals = st.one_of(
    st.integers(-(10**25), 10**25).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-1000, 1000, places=9).map(lambda d: format(d, "f")),
    st.tuples(st.integers(-(10**20), 10**20), st.integers(-4900, 4900)).map(
        lambda p: f"{p[0]}e{p[1]}"
    ),
)


def number_of(value: np.longdouble) -> Number:
    """The exact value of the processor's number."""
    significand, exponent = np.frexp(value)
    return Number(int(significand * np.longdouble(2) ** 64), int(exponent) - 64)


def exact(number: Number) -> Fraction:
    return Fraction(number.significand) * Fraction(2) ** number.exponent


@native
@given(decimals, decimals)
def test_reads_and_adds_as_the_processor_does(left: str, right: str) -> None:
    ours = longdouble.parse(left.encode()), longdouble.parse(right.encode())
    theirs = np.longdouble(left), np.longdouble(right)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine is not None and exact(mine) == exact(number_of(other))
    assert ours[0] is not None and ours[1] is not None
    total = longdouble.add(ours[0], ours[1])
    assert total is not None and exact(total) == exact(number_of(theirs[0] + theirs[1]))


@given(st.integers(-(2**64), 2**64), st.integers(-200, 200))
def test_prints_the_nearest_decimal(significand: int, exponent: int) -> None:
    text = longdouble.text_of(Number(significand, exponent)).decode()
    value = exact(Number(significand, exponent))
    assert abs(Fraction(text) - value) <= Fraction(1, 2 * 10**17)
    assert "." not in text or not text.endswith(("0", "."))
    assert text != "-0"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3.0e3", "3000"),
        ("1e-17", "0.00000000000000001"),
        ("1e-18", "0"),
        ("-0", "0"),
        ("-0.0000000000000000001", "0"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+7", "7"),
        ("0x10", "16"),
        ("0x.8p1", "1"),
        ("-0X1P-1", "-0.5"),
        ("1" + "0" * 4900, "1" + "0" * 4900),
    ],
)
def test_reads(text: str, shown: str) -> None:
    number = longdouble.parse(text.encode())
    assert number is not None
    # 80 bits cannot hold 4901 digits exactly: the first 19 are right.
    assert longdouble.text_of(number).decode()[:19] == shown[:19]
    assert len(longdouble.text_of(number)) == len(shown)


NO_NUMBERS = "x|1x|.|e5|1e|1e+|--1|1 | 1|1_0|0x|0xg|0x1p|nan|-nan|nan(1)|infinit|1\n|1\x00|\x00"
OUT_OF_RANGE = "1e5000|-1e5000|1e-5000|1e99999999999999999999|0x1p99999"


@pytest.mark.parametrize("text", ["", "1" * 5120, *NO_NUMBERS.split("|"), *OUT_OF_RANGE.split("|")])
def test_refuses(text: str) -> None:
    assert longdouble.parse(text.encode()) is None


def test_infinity_is_read_and_not_counted_with() -> None:
    for text in (b"inf", b"-INF", b"+Infinity"):
        assert longdouble.parse(text) == INFINITE
    assert longdouble.total(INFINITE, Number(1, 0)) is None
    largest = longdouble.parse(b"1.1e4932")
    assert largest is not None and longdouble.total(largest, largest) is None


@given(st.text("0123456789.eE+-xXpPinfa ", max_size=12))
def test_reads_what_the_c_library_reads(text: str) -> None:
    """Python's own float() and float.fromhex() take the same texts, give or take spaces and `_`."""
    ours = longdouble.parse(text.encode())
    expected = _python_reads(text)
    assert (ours is not None) == expected


def _python_reads(text: str) -> bool:
    if text != text.strip() or "nan" in text.lower() or "_" in text:
        return False
    digits = text.lower().lstrip("+-")
    try:
        if digits.startswith("0x"):
            value = float.fromhex(text)
        else:
            value = float(text)
    except OverflowError:
        return True
    except ValueError:
        return False
    del value
    return not _out_of_range(digits)


def _out_of_range(digits: str) -> bool:
    """Whether a decimal exceeds 80-bit range, which reaches from 1e-4951 to 1e4932."""
    mantissa, mark, power = digits.partition("p" if digits.startswith("0x") else "e")
    if not mark or not set(mantissa.removeprefix("0x")) - set("0."):
        return False
    return abs(int(power)) > (16_000 if mark == "p" else 4_900)
