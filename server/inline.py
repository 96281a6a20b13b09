"""Inline commands: what a person types into telnet or netcat, split into arguments.

The idea: an argument is plain text, then perhaps one quoted piece that ends it; each
is one regular expression without backtracking, so 64 kB of quotes take no longer than
64 kB of text. The rules are Redis's `sdssplitargs` (sds.c), which redis-cli shares.
It knows nothing of line ends and limits: `resp.py` hands it one line.
"""

from __future__ import annotations

import re

# The pieces of an inline argument (sdssplitargs in Redis's sds.c): plain text, "text with
# escapes", 'text in which only the quote is escaped'. A closing quote ends the argument.
_GAP = re.compile(rb"[ \t\n\v\f\r]*+")
_PLAIN = re.compile(rb"[^ \t\n\r\"']+")
_DOUBLE = re.compile(rb'"((?:[^"\\]++|\\.)*+)"(?=[ \t\n\v\f\r]|\Z)', re.DOTALL)
_SINGLE = re.compile(rb"'((?:[^'\\]++|\\'|\\)*+)'(?=[ \t\n\v\f\r]|\Z)")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split_inline(line: bytes) -> list[bytes] | None:
    """The arguments of an inline command, quoted as redis-cli quotes; None if unbalanced."""
    args: list[bytes] = []
    at = _gap_end(line, 0)
    while at < len(line):
        plain = _PLAIN.match(line, at)
        arg = b""
        if plain is not None:
            arg = plain[0]
            at = plain.end()
        quote = line[at : at + 1]
        if quote in (b'"', b"'"):
            quoted = (_DOUBLE if quote == b'"' else _SINGLE).match(line, at)
            if quoted is None:
                return None
            text = quoted[1]
            arg += _ESCAPE.sub(_unescape, text) if quote == b'"' else text.replace(b"\\'", b"'")
            at = quoted.end()
        args.append(arg)
        at = _gap_end(line, at)
    return args


def _gap_end(line: bytes, at: int) -> int:
    gap = _GAP.match(line, at)
    return gap.end() if gap is not None else at


def _unescape(found: re.Match[bytes]) -> bytes:
    if found[1] is not None:
        return bytes((int(found[1], 16),))
    return _ESCAPES.get(found[2], found[2])
