"""Files of past accesses, read in order.

A history is text, one access a line, `time,client,key,size`, as the traces and
most logs can be made, or what `redis-cli monitor` prints (`captures.py`): gzip
(`.gz`) and, where the zstandard module is there, Zstandard (`.zst`) are read too. A
first line without a number is a header. Of a capture only database 0 counts, since
that is the one behind which there is something to load.

Lines that are broken (fewer fields, no number where one belongs, no key, too
long) are counted and skipped: a log of months always has some.

What this file does not do: learn anything from them (`rehearsal.py`).
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from antecache.predictor import captures

#: a fifth field that is passed over
OUTCOMES = frozenset((b"hit", b"miss", b"use"))
_CHUNK = 1 << 20
_MAX_LINE = 1 << 16


class HistoryError(ValueError):
    """A history that cannot be read; `str()` says which and why."""


class HistoryFile:
    """One file of accesses.

    skipped    broken lines so far
    complaint  which line was the first of them, and what was expected; empty for none. At
               the end of a capture in which nothing is read: that
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.skipped = 0
        self.complaint = ""
        self._lines = 0

    def blocks(self) -> Iterator[list[bytes]]:
        """The keys of the accesses in order, some ten thousand at a time.

        Raises HistoryError when the file is not there, or breaks off.
        """
        first, captured, found = True, False, 0
        for lines in read_lines(self.path):
            if first and lines:
                first = False
                captured = captures.is_capture(lines)
                if not captured and is_header(lines[0]):
                    lines[0] = b""
            keys = self._captured(lines) if captured else self._parse(lines)
            self._lines += len(lines)
            found += len(keys)
            yield keys
        if captured and not found:
            self.complaint = "no command of this capture reads a value in database 0"

    def _parse(self, lines: list[bytes]) -> list[bytes]:
        keys = []
        for at, line in enumerate(lines, 1):
            key = _key(line)
            if key is not None:
                keys.append(key)
            elif line.strip():
                self._skip(at, "time,client,key,size, or lines of redis-cli monitor")
        return keys

    def _captured(self, lines: list[bytes]) -> list[bytes]:
        keys = []
        for at, line in enumerate(lines, 1):
            found = captures.read_line(line)
            if found is not None:
                if found.database == b"0":
                    keys += found.keys
            elif not captures.is_blank(line):
                self._skip(at, "a line of redis-cli monitor")
        return keys

    def _skip(self, at: int, expected: str) -> None:
        """Count a broken line, the `at`th of its block."""
        self.skipped += 1
        if not self.complaint:
            self.complaint = f"line {self._lines + at} is none: expected {expected}"


def read_lines(path: str) -> Iterator[list[bytes]]:
    """The lines of a file without their ends, a block at a time.

    Raises HistoryError when it is not there, or breaks off.
    """
    try:
        with _open(path) as file:
            yield from _lines(file)
    except Exception as error:
        broken = isinstance(error, OSError | EOFError | zlib.error)
        if broken or type(error).__name__ == "ZstdError":
            raise HistoryError(f"{path}: {_reason(error)}") from None
        raise


def is_header(line: bytes) -> bool:
    """Whether a first line names the fields."""
    return b"," in line and line[:1].isalpha() and split_line(line) is None


def _key(line: bytes) -> bytes | None:
    fields = split_line(line)
    return None if fields is None else fields[2]


def split_line(line: bytes) -> tuple[float, bytes, bytes, float] | None:
    """Time, client, key and size of a line; None when it is broken."""
    if len(line) > _MAX_LINE:
        return None
    fields = line.split(b",")
    if len(fields) == 5 and fields[4] in OUTCOMES:  # as the server's own log has it
        del fields[4]
    if len(fields) != 4 or line.find(b'"') >= 0:
        fields = _fields(line)
        if len(fields) == 5 and fields[4] in OUTCOMES:
            del fields[4]
        if len(fields) != 4:
            return None
    time, client, key, size = fields
    if not key:
        return None
    try:
        return float(time), client, key, float(size)
    except ValueError:
        return None


def _fields(line: bytes) -> list[bytes]:
    """Fields of a line with quotes, or with commas in its key."""
    if b'"' in line:
        try:
            row = next(csv.reader([line.decode("utf-8", "surrogateescape")], strict=True))
        except (csv.Error, StopIteration):
            return []
        return [field.encode("utf-8", "surrogateescape") for field in row]
    head = line.split(b",", 2)
    if len(head) < 3:
        return []
    key, comma, size = head[2].rpartition(b",")
    return [head[0], head[1], key, size] if comma else []


def _lines(file: IO[bytes]) -> Iterator[list[bytes]]:
    """Lines without their ends, a block at a time; an endless line comes as a piece too long."""
    rest = b""
    while chunk := file.read(_CHUNK):
        lines = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        rest = lines.pop()
        if len(rest) > 2 * _MAX_LINE:  # whatever follows is part of the same broken line
            rest = rest[: _MAX_LINE + 1]
        yield lines
    if rest:
        yield [rest.removesuffix(b"\r")]


def _open(path: str) -> IO[bytes]:
    if path.endswith(".gz"):
        return io.BufferedReader(gzip.open(path, "rb"), _CHUNK)
    if path.endswith(".zst"):
        try:
            import zstandard
        except ImportError:
            raise HistoryError(f"{path}: the zstandard module is not installed") from None
        opened: IO[bytes] = zstandard.open(path, "rb")
        return opened
    return Path(path).open("rb")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or "broken off"
