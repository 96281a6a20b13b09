"""Recorded accesses in Parquet: the columns time, client, key and size.

pyarrow, which the `parquet` extra installs, is imported when such a file is met.
Of a file that is read, only `key` must be there: a string or binary column. Others
that it has are passed over, and rows without a key are skipped and counted.

What this file does not do: learn from accesses (`rehearsal.py`), or make a trace of
them (`server/traces.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from antecache.predictor.history import HistoryError

Access = tuple[float, bytes, bytes, int]
_BATCH = 50_000


class ParquetHistory:
    """One file of accesses, as `history.HistoryFile` is one of text."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.skipped = 0
        self.complaint = ""  # a row without a key needs no explanation

    def blocks(self) -> Iterator[list[bytes]]:
        """The keys of the accesses in order, some ten thousand at a time. Raises HistoryError."""
        for rows, block in _blocks(self.path, ("key",)):
            self.skipped += rows - len(block)
            yield [key for _, _, key, _ in block]


def read(path: str) -> Iterator[list[Access]]:
    """Time, client, key and size of the accesses, some at a time. Raises HistoryError."""
    for _, block in _blocks(path, ("time", "client", "key", "size")):
        yield block


def _blocks(path: str, wanted: Sequence[str]) -> Iterator[tuple[int, list[Access]]]:
    """How many rows a block has, and the accesses in them, of which the wanted columns are read."""
    arrow = _pyarrow(path)
    try:
        file = arrow.ParquetFile(path)
        names = [name for name in wanted if name in file.schema_arrow.names]
        if "key" not in names:
            raise HistoryError(f"{path}: has no column 'key'")
        for name in names:
            kind = file.schema_arrow.field(name).type
            if kind.num_fields:
                raise HistoryError(f"{path}: its column '{name}' is of type {kind}")
        for batch in file.iter_batches(batch_size=_BATCH, columns=names, use_threads=False):
            columns = {name: batch.column(name).to_pylist() for name in names}
            count = batch.num_rows
            yield (
                count,
                [
                    (
                        _number(time),
                        b"" if client is None else _text(client),
                        _text(key),
                        int(_number(size)) if size is not None else 1,
                    )
                    for time, client, key, size in zip(
                        columns.get("time", [0.0] * count),
                        columns.get("client", [""] * count),
                        columns["key"],
                        columns.get("size", [1] * count),
                        strict=True,
                    )
                    if key
                ],
            )
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror or error}") from None
    except (ValueError, TypeError, NotImplementedError) as error:
        if isinstance(error, HistoryError):
            raise
        raise HistoryError(f"{path}: {error}") from None


def write(path: Path, blocks: Iterator[list[Access]]) -> int:
    """Write accesses to a file; how many there were. Raises HistoryError, OSError."""
    arrow = _pyarrow(str(path))
    import pyarrow

    schema = pyarrow.schema(
        [
            ("time", pyarrow.float64()),
            ("client", pyarrow.binary()),
            ("key", pyarrow.binary()),
            ("size", pyarrow.int64()),
        ]
    )
    written = 0
    with arrow.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in blocks:
            if not block:
                continue
            columns = zip(*block, strict=True)
            writer.write_table(
                pyarrow.table(
                    dict(zip(schema.names, map(list, columns), strict=True)), schema=schema
                )
            )
            written += len(block)
    return written


def _pyarrow(path: str) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise HistoryError(f"{path}: install antecache[parquet] to use Parquet") from None
    return pyarrow.parquet


def _text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


def _number(value: Any) -> float:
    if value is None:
        return 0.0
    stamp = getattr(value, "timestamp", None)
    return float(stamp()) if stamp is not None else float(value)
