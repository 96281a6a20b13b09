"""What commands read out of their arguments: integers, expire times, options, cursors.

Each function takes the bytes as the client sent them and returns a value or
raises `ClientError` with Redis's text. Numbers follow Redis's own parsers, which
are stricter than Python's: `string2ll` knows no spaces, no `+`, no `_`, no
leading zeros and no number beyond 64 bits.
"""

from __future__ import annotations

from collections.abc import Callable

from antecache.server.command import Argv
from antecache.server.errors import NOT_INTEGER, SYNTAX, ClientError, invalid_expire
from antecache.server.glob import MATCHES_ALL, Matcher, matcher

INT_MAX = 2**63 - 1
INT_MIN = -(2**63)
CURSOR_MAX = 2**64 - 1

SECOND = 1000
MILLISECOND = 1

#: Option of SET and GETEX -> unit in ms, and whether the time is counted from now.
EXPIRE_OPTIONS: dict[bytes, tuple[int, bool]] = {
    b"EX": (SECOND, True),
    b"PX": (MILLISECOND, True),
    b"EXAT": (SECOND, False),
    b"PXAT": (MILLISECOND, False),
}


def integer(text: bytes, error: str = NOT_INTEGER) -> int:
    """A 64-bit integer in canonical decimal; raises `error` for anything else."""
    try:
        number = int(text)
    except ValueError:
        raise ClientError(error) from None
    if b"%d" % number != text or not INT_MIN <= number <= INT_MAX:
        raise ClientError(error)
    return number


def symmetric(text: bytes) -> int:
    """An integer whose opposite fits 64 bits too (counts that may be negative)."""
    number = integer(text)
    if number == INT_MIN:
        raise ClientError(f"ERR value is out of range, value must between {-INT_MAX} and {INT_MAX}")
    return number


def in_range(text: bytes, least: int, error: str) -> int:
    """An integer from `least` on; raises `error` for anything else."""
    number = integer(text, error)
    if number < least:
        raise ClientError(error)
    return number


def counted_keys(at: int) -> Callable[[Argv], list[bytes]]:
    """`keys_of` for commands with `numkeys key [key ...]`, the number being argument `at`."""

    def keys_of(argv: Argv) -> list[bytes]:
        try:
            count = integer(argv[at])
        except (ClientError, IndexError):
            return []
        keys = argv[at + 1 : at + 1 + count] if count > 0 else []
        return keys if len(keys) == count else []

    return keys_of


def expire_option(text: bytes, *, unit: int, relative: bool, now: int, name: str) -> int:
    """The deadline (Unix ms) in `SET k v EX text` and its like: it must lie after 1970.

    `name` is the command's, for the error text.
    """
    number = integer(text)
    if number <= 0:
        raise ClientError(invalid_expire(name))
    at = number * unit + (now if relative else 0)
    if number * unit > INT_MAX or at > INT_MAX:
        raise ClientError(invalid_expire(name))
    return at


def deadline(text: bytes, *, unit: int, relative: bool, now: int, name: str) -> int:
    """The deadline (Unix ms) of EXPIRE and its like, which take the past as well."""
    at = integer(text) * unit
    base = now if relative else 0
    if not INT_MIN <= at <= INT_MAX - base:
        raise ClientError(invalid_expire(name))
    return at + base


def cursor(text: bytes) -> int:
    """A SCAN cursor: an unsigned 64-bit number as `strtoul` reads it."""
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    if text and (not digits.isdigit() or len(digits) > 40 or int(digits) > CURSOR_MAX):
        raise ClientError("ERR invalid cursor")
    number = int(digits or b"0")
    return -number & CURSOR_MAX if text[:1] == b"-" else number


class ScanOptions:
    """MATCH, COUNT and what else a command of the SCAN family allows.

    count   how many elements a step should look at
    fits    the matcher of MATCH, or None for everything
    type    of TYPE, lower case, or None
    values  False after NOVALUES
    """

    __slots__ = ("count", "fits", "type", "values")

    def __init__(
        self, argv: Argv, start: int, *, typed: bool = False, novalues: bool = False
    ) -> None:
        self.count = 10
        self.fits: Matcher | None = None
        self.type: str | None = None
        self.values = True
        at = start
        while at < len(argv):
            option = argv[at].upper()
            if option == b"NOVALUES" and novalues:
                self.values = False
                at += 1
                continue
            if at + 1 >= len(argv):
                raise ClientError(SYNTAX)
            value = argv[at + 1]
            if option == b"COUNT":
                self.count = integer(value)
                if self.count < 1:
                    raise ClientError(SYNTAX)
            elif option == b"MATCH":
                self.fits = None if value == MATCHES_ALL else matcher(value)
            elif option == b"TYPE" and typed:
                self.type = value.lower().decode("latin-1")
            else:
                raise ClientError(SYNTAX)
            at += 2
