"""What the blocking commands of all types share: their timeouts.

A command that blocks looks for something to answer and, where there is nothing, raises
`Blocked` (`server/blocked.py`) with the keys that may bring it.
"""

from __future__ import annotations

from antecache.server import longdouble
from antecache.server.commands.arguments import INT_MAX, integer
from antecache.server.errors import ClientError

NEGATIVE = "ERR timeout is negative"
TOO_LONG = "ERR timeout is out of range"


def seconds(text: bytes, now: int) -> int:
    """A timeout in seconds, fractions allowed, as milliseconds rounded up; 0 for none.

    `now` is Unix ms: what would end after the last of them is out of range.
    """
    number = longdouble.parse(text)
    if number is None:
        raise ClientError("ERR timeout is not a float or out of range")
    if number == longdouble.INFINITE:
        raise ClientError(NEGATIVE if text.startswith(b"-") else TOO_LONG)
    significand, exponent = number
    thousandth = significand * 1000
    whole = thousandth << exponent if exponent >= 0 else -((-thousandth) >> -exponent)
    return _checked(whole, now)


def milliseconds(text: bytes, now: int) -> int:
    """A timeout in whole milliseconds; 0 for none."""
    return _checked(integer(text, "ERR timeout is not an integer or out of range"), now)


def _checked(timeout: int, now: int) -> int:
    if timeout < 0:
        raise ClientError(NEGATIVE)
    if timeout > INT_MAX - now:
        raise ClientError(TOO_LONG)
    return timeout
