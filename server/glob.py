r"""Glob patterns exactly as Redis matches them (`stringmatchlen` in util.c).

`*` any bytes, `?` one byte, `[a-z]`, `[^a-z]` classes, `\x` the byte x itself; an
unterminated class ends with the pattern, a range may be written backwards, and
its bounds compare as signed chars. A pattern is translated once to a regular
expression in which everything up to the last `*` is an atomic group: in a glob
the leftmost place where a segment fits is as good as any later one, so nothing
is ever tried twice, and matching takes at most (key x pattern) steps whatever
the pattern is.

What this file does not do: the shortcut that `KEYS *` and `SCAN MATCH *` take in
Redis (their callers do, through `MATCHES_ALL`); without it `*` does not match an
empty string there, and so not here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MATCHES_ALL = b"*"

Matcher = Callable[[bytes], object]


def matcher(pattern: bytes, *, ignore_case: bool = False) -> Matcher:
    """A function that is true for the byte strings `pattern` matches."""
    segments: list[list[bytes]] = [[]]
    at, end = 0, len(pattern)
    while at < end:
        char = pattern[at : at + 1]
        at += 1
        if char == b"*":
            if segments[-1] or len(segments) == 1:  # runs of stars are one star
                segments.append([])
        elif char == b"?":
            segments[-1].append(b".")
        elif char == b"[":
            atom, at = _class(pattern, at, ignore_case)
            segments[-1].append(atom)
        else:
            if char == b"\\" and at < end:
                char = pattern[at : at + 1]
                at += 1
            segments[-1].append(re.escape(char))
    first, *rest = (b"".join(segment) for segment in segments)
    expression = first
    if rest:
        *middle, last = rest
        expression += b"".join(b"(?>.*?%b)" % segment for segment in middle) + b".*" + last
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    fits = re.compile(expression, flags).fullmatch
    if pattern:
        # Redis's loop does not start on an empty string: only the empty pattern matches it.
        return lambda text: text and fits(text)
    return fits


def _class(pattern: bytes, at: int, ignore_case: bool) -> tuple[bytes, int]:
    """The regular expression of the class whose `[` stands before `at`, and where it ends."""
    end = len(pattern)
    negated = pattern[at : at + 1] == b"^"
    at += negated
    members: set[int] = set()
    while at < end:
        byte = pattern[at]
        if byte == 0x5C and end - at >= 2:  # a backslash
            members.add(pattern[at + 1])
            at += 2
        elif byte == 0x5D:  # ]
            at += 1
            break
        elif end - at >= 3 and pattern[at + 1] == 0x2D:  # -
            members |= _range(byte, pattern[at + 2], ignore_case)
            at += 3
        else:
            members.add(byte)
            at += 1
    if not members:
        return (b"." if negated else b"(?!)"), at
    listed = b"".join(b"\\x%02x" % member for member in sorted(members))
    return (b"[^%b]" if negated else b"[%b]") % listed, at


def _range(first: int, last: int, ignore_case: bool) -> set[int]:
    if ignore_case:  # Redis lowers the bounds too: [A-z] is [a-z]
        first, last = bytes((first, last)).lower()
    low, high = sorted(byte - 256 if byte > 127 else byte for byte in (first, last))
    return {byte & 255 for byte in range(low, high + 1)}
