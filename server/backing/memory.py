"""`memory://`: a backing held in a dictionary, to try things without a database, and for tests.

    memory://?prefix=user&prefix=page&rows=1000&latency=5ms

owns every key `user:...` and `page:...`. With `rows`, the keys `user:0` to
`user:999` exist and hold a row `id, name`; without it, nothing exists until
`rows` or `put_many` puts it there. A `[[source]]` table may own more keys by its
`match`. `latency` is waited for at every call, as a network would.

Tests may set `latency`, `fail_with` (raised by every call) and `hang` (an event
that every call waits for), and read `statements`, `asked` and `calls`.

What this file does not do: SQL, or keep anything after the process ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from antecache.server.backing.base import (
    DEFAULT_OPTIONS,
    Backing,
    BackingError,
    Loaded,
    Row,
    Source,
    SourceOptions,
)
from antecache.server.backing.patterns import Field, Pattern, compile_pattern
from antecache.server.backing.sources import SourceSpec
from antecache.server.errors import ConfigError
from antecache.server.units import parse_duration


class MemorySource(Source):
    """Keys that match a pattern, by default `name:{rest:path}`."""

    __slots__ = ("pattern",)

    def __init__(
        self, name: str, options: SourceOptions, backing: Backing, pattern: Pattern
    ) -> None:
        super().__init__(name, options, backing)
        self.pattern = pattern

    @property
    def prefix(self) -> bytes:
        return self.pattern.prefix

    def match(self, key: bytes) -> tuple[Any, ...] | None:
        return self.pattern.values(key)


class MemoryBacking(Backing):
    """Rows by key in `rows`, with settable latency and faults, and counts of what was asked.

    rows        what exists: a Row, bytes (a string) or a dict (a hash) by key
    latency     seconds that every call takes
    fail_with   raised by every call while it is set
    hang        every call waits for it while it is set
    statements  SELECTs so far;  asked  keys asked for so far;  calls  the keys of the
                last thousand get_many
    """

    schemes = ("memory",)

    def __init__(
        self,
        url: str = "memory://",
        specs: Sequence[SourceSpec] = (),
        options: SourceOptions = DEFAULT_OPTIONS,
    ) -> None:
        super().__init__(url, specs, options)
        self.rows: dict[bytes, Row | bytes | dict[bytes, bytes]] = {}
        self.latency = 0.0
        self.fail_with: Exception | None = None
        self.hang: asyncio.Event | None = None
        self.statements = 0
        self.asked = 0
        self.calls: deque[tuple[bytes, ...]] = deque(maxlen=1000)

    async def open(self) -> Sequence[Source]:
        settings = parse_qs(urlsplit(self.url).query, keep_blank_values=True)
        if unknown := settings.keys() - {"prefix", "rows", "latency"}:
            raise ConfigError(f"memory://: unknown parameter '{min(unknown)}'")
        try:
            self.latency = parse_duration(settings.get("latency", ["0"])[0]) or self.latency
            count = int(settings.get("rows", ["0"])[0])
        except ValueError as error:
            raise ConfigError(f"memory://: {error}") from None
        sources: list[Source] = []
        for spec in self.specs:
            if spec.query or spec.table:
                raise ConfigError(f"source '{spec.label}': memory:// has no tables and no queries")
            options = spec.options(self.options)
            sources.append(MemorySource(spec.label, options, self, compile_pattern(spec.match)))
        for prefix in settings.get("prefix", []):
            pattern = Pattern([prefix.encode() + b":", Field("rest", "path")])
            sources.append(MemorySource(prefix, self.options, self, pattern))
            for number in range(count):
                row = Row(("id", "name"), (number, f"{prefix} {number}"))
                self.rows.setdefault(b"%s:%d" % (prefix.encode(), number), row)
        return sources

    async def get_many(self, source: Source, keys: Sequence[bytes]) -> Loaded:
        self.statements += 1
        self.asked += len(keys)
        self.calls.append(tuple(keys))
        await self._wait()
        return Loaded({key: self.rows[key] for key in keys if key in self.rows}, 1)

    async def put_many(self, source: Source, rows: Mapping[bytes, Mapping[str, Any]]) -> None:
        await self._wait()
        for key, row in rows.items():
            self.rows[key] = Row(tuple(row), tuple(row.values()))

    async def delete_many(self, source: Source, keys: Sequence[bytes]) -> None:
        await self._wait()
        for key in keys:
            self.rows.pop(key, None)

    async def close(self) -> None:
        """Nothing to release; the rows stay."""

    async def _wait(self) -> None:
        if self.latency:
            await asyncio.sleep(self.latency)
        if self.hang is not None:
            await self.hang.wait()
        if self.fail_with is not None:
            if isinstance(self.fail_with, BackingError):
                raise self.fail_with
            raise BackingError(str(self.fail_with)) from self.fail_with
