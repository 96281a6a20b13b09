"""Scores, and ranges of scores and of members, as clients write them.

Scores are what C's `strtod` reads: decimal and hexadecimal floating point, and the
words for infinity. A range of scores has two inclusive bounds, or exclusive ones
after `(`; a range of members has bounds after `[` or `(`, and `-` and `+` for the
ends. Each parser raises `ClientError` with Redis's text.

What this file does not do: look at a sorted set's key. `places` and `lex_places`
find a range's members in a value.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from antecache.server.errors import NOT_FLOAT, ClientError
from antecache.server.zset import SortedSet

RANGE_NOT_FLOAT = "ERR min or max is not a float"
RANGE_NOT_STRING = "ERR min or max not valid string range item"

_DECIMAL = re.compile(rb"[+-]?(?=\.?\d)\d*(?:\.\d*)?(?:e[+-]?\d+)?", re.IGNORECASE)
_HEX = re.compile(rb"[+-]?0x(?=\.?[\da-f])[\da-f]*(?:\.[\da-f]*)?(?:p[+-]?\d+)?", re.IGNORECASE)
_INFINITY = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)
_BLANKS = b" \t\n\v\f\r"


def strtod(text: bytes) -> float | None:
    """The number that `strtod` reads in the whole of `text`; None for anything else and NaN.

    What is too large is infinite, what is too small 0.
    """
    if _DECIMAL.fullmatch(text) or _INFINITY.fullmatch(text):
        return float(text)
    if _HEX.fullmatch(text):
        try:
            return float.fromhex(text.decode())
        except OverflowError:
            return -math.inf if text.startswith(b"-") else math.inf
    return None


def score(text: bytes, error: str = NOT_FLOAT) -> float:
    """A score, a weight or an increment: `strtod` without what it reports as out of range."""
    if text.isdigit() and len(text) < 16:
        return float(text)
    number = strtod(text)
    if (
        number is None
        or (math.isinf(number) and not _INFINITY.fullmatch(text))
        or (number == 0 and not _zero(text))
    ):
        raise ClientError(error)
    return number


def _zero(text: bytes) -> bool:
    """Whether the digits of a number, its exponent aside, are all 0."""
    mantissa = re.split(rb"[pP]" if b"x" in text.lower() else rb"[eE]", text)[0]
    return not re.search(rb"[1-9a-fA-F]", mantissa)


class ScoreRange(NamedTuple):
    """Scores from `low` to `high`; the flags say that a bound itself is not in it."""

    low: float
    high: float
    above: bool
    below: bool


def score_range(low: bytes, high: bytes) -> ScoreRange:
    """The range that ZCOUNT and ZRANGE BYSCORE take."""
    return ScoreRange(_bound(low), _bound(high), low[:1] == b"(", high[:1] == b"(")


def _bound(text: bytes) -> float:
    text = text.removeprefix(b"(")
    if text.isdigit() and len(text) < 16:
        return float(text)
    if not text:
        return 0.0  # strtod reads no number and no garbage either
    number = strtod(text.lstrip(_BLANKS))
    if number is None:
        raise ClientError(RANGE_NOT_FLOAT)
    return number


def places(zset: SortedSet, wanted: ScoreRange) -> tuple[int, int]:
    """The first place in the range and the first behind it; equal when it is empty."""
    low, high, above, below = wanted
    if low > high:
        return 0, 0
    start = zset.first_above(low) if above else zset.first_at(low)
    stop = zset.first_at(high) if below else zset.first_above(high)
    return start, max(start, stop)


class LexRange(NamedTuple):
    """Members from `low` to `high`; a bound is (-1, b""), (0, member) or (1, b"") for the ends."""

    low: tuple[int, bytes]
    high: tuple[int, bytes]
    above: bool
    below: bool

    def after_low(self, member: bytes) -> bool:
        """Whether the lower bound lets `member` in."""
        here = (0, member)
        return here > self.low if self.above else here >= self.low

    def before_high(self, member: bytes) -> bool:
        """Whether the upper bound lets `member` in."""
        here = (0, member)
        return here < self.high if self.below else here <= self.high

    @property
    def empty(self) -> bool:
        """Whether no member can be in it."""
        return self.low > self.high or (self.low == self.high and (self.above or self.below))


def lex_range(low: bytes, high: bytes) -> LexRange:
    """The range that ZLEXCOUNT and ZRANGE BYLEX take."""
    first, above = _lex_bound(low)
    last, below = _lex_bound(high)
    return LexRange(first, last, above, below)


def _lex_bound(text: bytes) -> tuple[tuple[int, bytes], bool]:
    if text == b"-":
        return (-1, b""), False
    if text == b"+":
        return (1, b""), False
    if text[:1] in (b"[", b"("):
        return (0, text[1:]), text[:1] == b"("
    raise ClientError(RANGE_NOT_STRING)


def lex_places(zset: SortedSet, wanted: LexRange, *, backwards: bool = False) -> tuple[int, int]:
    """As `places`, by member; a range of members means something where all scores are equal.

    Where they are not, the answer for a small set is Redis's, which walks its listpack.
    """
    if wanted.empty or not len(zset):
        return 0, 0
    if zset.compact:
        return _walked(zset, wanted, backwards=backwards)
    start = zset.first_member(wanted.after_low)
    stop = zset.first_member(lambda member: not wanted.before_high(member))
    return start, max(start, stop)


def _walked(zset: SortedSet, wanted: LexRange, *, backwards: bool) -> tuple[int, int]:
    members = [member for _, member in zset]
    if not (wanted.after_low(members[-1]) and wanted.before_high(members[0])):
        return 0, 0
    inside, within = wanted.after_low, wanted.before_high
    if backwards:
        members.reverse()
        inside, within = within, inside
    start = next((at for at, member in enumerate(members) if inside(member)), len(members))
    stop = start
    while stop < len(members) and within(members[stop]):
        stop += 1
    return (len(members) - stop, len(members) - start) if backwards else (start, stop)
