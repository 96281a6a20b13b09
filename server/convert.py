"""Recorded accesses from one format to another, several files as one.

What this file does not do: read (`traces.py`), or understand Parquet (`parquet.py`).
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from antecache.predictor import parquet
from antecache.server.traces import read_trace

KINDS = (".parquet", ".csv", ".csv.gz")
_BLOCK = 50_000


def write(paths: Sequence[str], output: Path) -> int:
    """Write the accesses of all files, in their order, to `output`; how many there were.

    The file appears complete or not at all. Raises TraceError, HistoryError, OSError.
    """
    building = output.with_name(f".{os.getpid()}.{output.name}")
    try:
        if output.name.endswith(".parquet"):
            count = parquet.write(building, _blocks(paths))
        else:
            count = _write_csv(building, _blocks(paths), output.name.endswith(".gz"))
        building.replace(output)
    finally:
        with contextlib.suppress(OSError):
            building.unlink(missing_ok=True)
    return count


def _blocks(paths: Sequence[str]) -> Iterator[list[parquet.Access]]:
    for path in paths:
        trace = read_trace(path)
        keys, names, sizes = trace.keys, trace.client_names, trace.sizes
        for first in range(0, len(trace), _BLOCK):
            yield [
                (
                    trace.times[at],
                    names[trace.clients[at]],
                    keys[trace.ids[at]],
                    sizes[at] if sizes else 1,
                )
                for at in range(first, min(first + _BLOCK, len(trace)))
            ]


def _write_csv(path: Path, blocks: Iterator[list[parquet.Access]], packed: bool) -> int:
    written = 0
    with gzip.open(path, "wb") if packed else path.open("wb") as file:
        file.write(b"time,client,key,size\n")
        for block in blocks:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(
                (f"{time:.6f}".rstrip("0").rstrip("."), _text(client), _text(key), size)
                for time, client, key, size in block
            )
            file.write(text.getvalue().encode("utf-8", "surrogateescape"))
            written += len(block)
    return written


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
