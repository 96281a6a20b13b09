"""Recorded accesses for a replay: which key was read, when, by whom, and how large it was.

Three kinds of file are read: Parquet (`predictor/parquet.py`), and, plain, gzip (`.gz`) or
Zstandard (`.zst`), CSV lines `time,client,key,size` (`predictor/history.py` knows
them) and what `redis-cli monitor` prints (`predictor/captures.py`). The sizes of what
a capture read are unknown, which is 1. A key of another database than 0 is another
key: its name gets `@` and the number.

A trace is kept in arrays: every key and every client once, and 4 to 8 bytes a
column for each access. Broken lines are counted and skipped, and the first is
named; a file without any access is an error.

What this file does not do: replay anything.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from antecache.predictor import captures, parquet
from antecache.predictor.history import HistoryError, is_header, read_lines, split_line

ENTRY_BYTES = 100  # of an entry beyond key and value, in the unit `total`
UNITS = ("keys", "bytes", "total")


class TraceError(ValueError):
    """A file that cannot be used as a trace; `str()` names it, the line and the reason."""


@dataclass(slots=True)
class Trace:
    """Accesses in order, as columns of the same length.

    keys     every key once, in the order of first appearance
    ids      of each access: which key, as an index into `keys`
    sizes    of each access: bytes of the value; empty when the file knows none
    times    of each access: seconds, or whatever the file counts in
    clients  of each access: who asked, as an index into `client_names`
    broken   lines that could not be read; `complaint` names the first and says why
    other    lines of a capture that read no value
    """

    name: str
    keys: list[bytes] = field(default_factory=list)
    ids: array[int] = field(default_factory=lambda: array("I"))
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    times: array[float] = field(default_factory=lambda: array("d"))
    clients: array[int] = field(default_factory=lambda: array("I"))
    client_names: list[bytes] = field(default_factory=list)
    broken: int = 0
    complaint: str = ""
    other: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def costs(self, unit: str, value_size: int = 0) -> list[int] | array[int]:
        """What each access's key costs in `unit`: one number for each access.

        With a `value_size` every value is taken to be that large, whatever the file says.
        """
        if unit == "keys" or (unit == "bytes" and not self.sizes):
            return array("B", (1,)) * len(self.ids)
        if unit == "bytes":
            return self.sizes
        keys = [len(key) + ENTRY_BYTES for key in self.keys]
        if value_size or not self.sizes:
            keys = [key + (value_size or 1) for key in keys]
            return [keys[number] for number in self.ids]
        return [keys[number] + size for number, size in zip(self.ids, self.sizes, strict=True)]

    def amount(self, unit: str, value_size: int = 0) -> int:
        """What all keys together cost in `unit`; a key that changes its size, its largest."""
        if unit == "keys":
            return len(self.keys)
        largest = [0] * len(self.keys)
        for number, cost in zip(self.ids, self.costs(unit, value_size), strict=True):
            if cost > largest[number]:
                largest[number] = cost
        return sum(largest)


def read_trace(path: str, *, limit: int = 0) -> Trace:
    """Read a file, or its first `limit` accesses. Raises TraceError."""
    trace = Trace(Path(path).name.partition(".")[0] or path)
    lines = 0
    numbers: dict[bytes, int] = {}
    clients: dict[bytes, int] = {}
    try:
        if path.endswith(".parquet"):
            for accesses in parquet.read(path):
                _add(trace, accesses, numbers, clients)
                if limit and len(trace) >= limit:
                    break
            if not len(trace):
                raise TraceError(f"{path}: there is no access in it")
            _finish(trace, list(numbers), list(clients), limit)
            return trace
        blocks = (block for block in read_lines(path) if block)
        first = next(blocks, [])
        parse = _read_csv
        if captures.is_capture(first):
            parse = _read_monitor
        elif first and is_header(first[0]):
            first[0] = b""
        for block in chain([first], blocks):
            parse(trace, block, numbers, clients, path, lines)
            lines += len(block)
            if limit and len(trace) >= limit:
                break
    except HistoryError as error:
        raise TraceError(f"{error}, after line {lines:,}" if lines else str(error)) from None
    if not len(trace):
        raise TraceError(trace.complaint or f"{path}: there is no access in it")
    _finish(trace, list(numbers), list(clients), limit)
    return trace


def _finish(trace: Trace, keys: list[bytes], clients: list[bytes], limit: int) -> None:
    trace.keys, trace.client_names = keys, clients
    if limit and len(trace) > limit:
        for column in (trace.ids, trace.sizes, trace.times, trace.clients):
            del column[limit:]
        del keys[max(trace.ids) + 1 :]
        del clients[max(trace.clients) + 1 :]
    if trace.sizes.count(1) == len(trace.sizes):
        trace.sizes = array("Q")


def _add(
    trace: Trace,
    accesses: list[parquet.Access],
    numbers: dict[bytes, int],
    clients: dict[bytes, int],
) -> None:
    """Add accesses that are columns already."""
    for time, client, key, size in accesses:
        trace.ids.append(numbers.setdefault(key, len(numbers)))
        trace.sizes.append(size if 0 <= size < 1 << 48 else 1)
        trace.times.append(time)
        trace.clients.append(clients.setdefault(client, len(clients)))


def _read_csv(
    trace: Trace,
    block: list[bytes],
    numbers: dict[bytes, int],
    clients: dict[bytes, int],
    path: str,
    before: int,
) -> None:
    """Add the accesses of some lines, of which `before` came earlier."""
    add_id, add_size = trace.ids.append, trace.sizes.append
    add_time, add_client = trace.times.append, trace.clients.append
    number_of, client_of = numbers.setdefault, clients.setdefault
    for at, line in enumerate(block, before + 1):
        fields = split_line(line)
        if fields is None or not 0 <= fields[3] < 1 << 48 or not math.isfinite(fields[0]):
            if line.strip():
                _complain(trace, path, at, "expected time,client,key,size")
            continue
        time, client, key, size = fields
        add_id(number_of(key, len(numbers)))
        add_size(int(size))
        add_time(time)
        add_client(client_of(client, len(clients)))


def _read_monitor(
    trace: Trace,
    block: list[bytes],
    numbers: dict[bytes, int],
    clients: dict[bytes, int],
    path: str,
    before: int,
) -> None:
    """As `_read_csv`, for lines that MONITOR sent."""
    for at, line in enumerate(block, before + 1):
        found = captures.read_line(line)
        if found is None:
            if not captures.is_blank(line):
                _complain(trace, path, at, "expected a line of redis-cli monitor")
            continue
        if not found.keys:
            trace.other += 1
            continue
        client = clients.setdefault(found.client, len(clients))
        for key in found.keys:
            if found.database != b"0":
                key += b"@" + found.database
            trace.ids.append(numbers.setdefault(key, len(numbers)))
            trace.sizes.append(1)
            trace.times.append(found.time)
            trace.clients.append(client)


def _complain(trace: Trace, path: str, line: int, reason: str) -> None:
    trace.broken += 1
    if not trace.complaint:
        trace.complaint = f"{path}:{line}: {reason}"


def blocks_of(
    trace: Trace, unit: str, value_size: int = 0, *, size: int = 20_000
) -> Iterator[tuple[list[bytes], list[int] | array[int] | None, array[int]]]:
    """Keys, costs in `unit` (None: 1 each) and clients of the accesses, some at a time."""
    keys = trace.keys
    costs = None if unit == "keys" else trace.costs(unit, value_size)
    for start in range(0, len(trace), size):
        stop = start + size
        yield (
            [keys[number] for number in trace.ids[start:stop]],
            None if costs is None else costs[start:stop],
            trace.clients[start:stop],
        )
