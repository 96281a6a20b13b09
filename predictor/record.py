"""The command log as a file: what the trainer is told, one access a line.

    time,client,key,size,outcome
    1718000000.100,17,products:42,1,miss

The time is that of the block it came in (a tenth of a second), the client is the
session's number, sizes are unknown (1), and the outcome is `hit`, `miss` or `use`
(the first use of a prefetched key). `antecache train`, `replay` and `convert` read
such files. Lines are appended; at `limit` bytes writing stops, and says so once.

What this file does not do: rotate files, or hold up the trainer when the disk is full
(it says so and stops).
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

HEADER = "time,client,key,size,outcome\n"


class Recorder:
    """Appends blocks of the log to a CSV file."""

    def __init__(self, path: str, limit: int) -> None:
        self.path = path
        self._limit = limit
        self._file: IO[bytes] | None = None
        self._session = 0
        try:
            self._file = Path(path).open("ab")  # noqa: SIM115 (closed by `close` and `_stop`)
            if not self._file.tell():
                self._file.write(HEADER.encode())
        except OSError as error:
            self._stop(f"cannot be written: {error.strerror}")

    def block(self, time_ms: int, items: Iterable[Any]) -> None:
        """Write the accesses of one block; the items are those of `server/accesslog.py`."""
        if self._file is None:
            return
        text = io.StringIO()
        write = csv.writer(text, lineterminator="\n").writerow
        moment = f"{time_ms / 1000:.3f}"
        outcome = "hit"
        for item in items:
            if item is None:
                outcome = "miss"
            elif item is True:
                outcome = "use"
            elif type(item) is bytes:
                key = item.decode("utf-8", "surrogateescape")
                if "\n" not in key and "\r" not in key:
                    write((moment, self._session, key, 1, outcome))
                outcome = "hit"
            elif type(item) is int:
                self._session = max(item, ~item)  # one that is not learned from is recorded
        try:
            self._file.write(text.getvalue().encode("utf-8", "surrogateescape"))
            self._file.flush()
            if self._file.tell() > self._limit:
                self._stop("has reached access-log-size; nothing more is written")
        except OSError as error:
            self._stop(f"cannot be written: {error.strerror}")

    def _stop(self, reason: str) -> None:
        print(f"access log {self.path}: {reason}", file=sys.stderr, flush=True)
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        """Nothing more will be written."""
        if self._file is not None:
            self._file.close()
            self._file = None
