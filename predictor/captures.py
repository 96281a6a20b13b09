"""What `redis-cli monitor` prints, of Redis or of antecache, as accesses.

A line is a time, a database, a client, and the words of a command. The commands that
read values become accesses, one for each key that they read; everything else says
nothing about what will be read next.

What this file does not do: open files (`history.py`), or make a trace of them
(`server/traces.py`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

READS_ONE = frozenset(
    "get getex getrange substr strlen getbit bitcount bitpos bitfield_ro lcs "
    "hget hmget hgetall hkeys hvals hlen hexists hstrlen hrandfield "
    "lrange lindex llen lpos smembers sismember smismember scard srandmember "
    "zrange zrangebyscore zrangebylex zrevrange zrevrangebyscore zrevrangebylex zscore zmscore "
    "zcard zcount zlexcount zrank zrevrank zrandmember xrange xrevrange xlen "
    "geopos geodist geohash geosearch json.get".split()
)
"""Commands that read the value of their first argument."""
READS_ALL = frozenset("mget sinter sunion sdiff pfcount".split())
"""Commands that read the values of all their arguments."""

_MONITOR = re.compile(rb'(\d+\.\d+) \[(\d+) (.+?)\] (".*)', re.DOTALL)
_WORD = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}


class Monitored(NamedTuple):
    """One line: Unix seconds, the database's number, who asked, and the keys that were read."""

    time: float
    database: bytes
    client: bytes
    keys: list[bytes]


def is_capture(lines: list[bytes]) -> bool:
    """Whether a file that begins with these lines is a capture; the first one may be `OK`."""
    return any(_MONITOR.match(line) for line in lines[:2])


def read_line(line: bytes) -> Monitored | None:
    """What a line says; None when it is broken, or cut off."""
    found = _MONITOR.fullmatch(line)
    words = None if found is None else _words(found[4])
    if found is None or words is None:
        return None
    return Monitored(float(found[1]), found[2], found[3], _keys_read(words))


def is_blank(line: bytes) -> bool:
    """Whether a line that is none of a command belongs to a capture all the same."""
    return line.strip() in (b"", b"OK")


def _words(text: bytes) -> list[bytes] | None:
    """The arguments of a monitored command; None when the line was cut off."""
    words = _WORD.findall(text)
    if sum(map(len, words)) + 3 * len(words) - 1 != len(text.rstrip()):
        return None
    return [_ESCAPE.sub(_unescaped, word) if b"\\" in word else word for word in words]


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes.fromhex(code[1:].decode()) if len(code) == 3 else _ESCAPED.get(code, code)


def _keys_read(words: list[bytes]) -> list[bytes]:
    name = words[0].lower().decode("latin-1")
    if name in READS_ONE:
        return words[1:2]
    return words[1:] if name in READS_ALL else []
