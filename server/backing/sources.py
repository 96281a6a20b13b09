"""Sources: who owns a key, and what a `[[source]]` table of the config file says.

`Sources` is the registry that every miss asks. It looks at the text up to the
first `:` and tries only the patterns that can match it, in the order given:
configured sources come before reflected tables, and the first match owns the
key.

A `SourceSpec` is one `[[source]]` table, checked; each backing turns those
that are meant for it into its own kind of `Source` (`Backing.configure`).

What this file does not do: read rows (the backings), or parse key patterns
(`patterns.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from antecache.server.backing.base import Source, SourceOptions
from antecache.server.backing.patterns import Pattern, compile_pattern
from antecache.server.errors import ConfigError
from antecache.server.units import parse_duration

__all__ = ["Pattern", "SourceSpec", "Sources", "compile_pattern", "read_spec"]

WRITES = ("none", "through", "behind", "invalidate")
DURATIONS = ("ttl", "negative_ttl", "stale_for", "timeout")

_AS = re.compile(r"json|hash|row|column:.+", re.DOTALL)


class Sources:
    """All sources, first match first. `owner` is called on every miss: it tries few patterns."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = tuple(sources)
        self._by_name: dict[str, Source] = {}
        for source in self._sources:
            if source.name in self._by_name:
                raise ConfigError(
                    f"two sources have the name '{source.name}': give one another `name`"
                )
            self._by_name[source.name] = source
        prefixes = [source.prefix for source in self._sources]
        heads = {prefix[: prefix.index(b":") + 1] for prefix in prefixes if b":" in prefix}
        # A source whose prefix has no ':' may own keys under any head that starts with it.
        self._by_head = {
            head: tuple(
                source
                for source in self._sources
                if source.prefix.startswith(head)
                or (b":" not in source.prefix and head.startswith(source.prefix))
            )
            for head in heads
        }
        self._others = tuple(source for source in self._sources if b":" not in source.prefix)

    def owner(self, key: bytes) -> Source | None:
        """The source that owns `key`, or None for an ordinary Redis key."""
        for source in self._by_head.get(key[: key.find(b":") + 1], self._others):
            if source.match(key) is not None:
                return source
        return None

    def by_name(self, name: str) -> Source | None:
        """The source of that name, or None."""
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[Source]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


class SourceSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[source]]` table. Read it with `read_spec`, which checks it.

    match   which keys it owns (`patterns.py`); for a `table` it may be left out
    query   one SELECT, whose parameters `:name` are the fields of `match`; or
    table   a reflected table, to say more about it than the defaults
    as_     what a key's value is (written `as`): `json`, the array of all rows; `hash`, the first
            row's fields; `row`, the first row as both hash and JSON object; `column:NAME`, that
            column of the first row as a string. Without a row, `json` is `[]` and the others are
            absent. A table's key is always a row.

    The rest is `SourceOptions`; what is left out comes from the server's defaults.
    """

    match: str = ""
    query: str = ""
    table: str = ""
    name: str = ""
    as_: str = msgspec.field(default="", name="as")
    ttl: str | int | float | None = None
    jitter: float | None = None
    negative_ttl: str | int | float | None = None
    stale_for: str | int | float | None = None
    timeout: str | int | float | None = None
    concurrency: int | None = None
    prefetch: bool | None = None
    write: str | None = None

    @property
    def label(self) -> str:
        """The source's name: as given, else the table, else the pattern without its types."""
        return self.name or self.table or re.sub(r":[a-z]+\}", "}", self.match)

    def options(self, defaults: SourceOptions) -> SourceOptions:
        """`defaults` with what this table says put over them."""
        said: dict[str, Any] = {
            field: value
            for field in ("jitter", "concurrency", "prefetch", "write")
            if (value := getattr(self, field)) is not None
        }
        for field in DURATIONS:
            if (value := getattr(self, field)) is not None:
                said[field] = parse_duration(value)
        return replace(defaults, **said)


def read_spec(table: Mapping[str, Any]) -> SourceSpec:
    """One `[[source]]` table, checked; ConfigError names the source and the key.

    Both `negative_ttl` and `negative-ttl` are read.
    """
    where = table.get("name") or table.get("table") or table.get("match") or "without a name"
    try:
        spec = msgspec.convert({key.replace("-", "_"): table[key] for key in table}, SourceSpec)
    except msgspec.ValidationError as error:
        raise ConfigError(f"source '{where}': {error}") from None
    try:
        _check(spec)
    except ValueError as error:
        raise ConfigError(f"source '{spec.label or where}': {error}") from None
    return spec


def _check(spec: SourceSpec) -> None:
    if not spec.table and not spec.match:
        raise ValueError("needs a `match`")
    if spec.table and spec.query:
        raise ValueError("has both `table` and `query`")
    if spec.table and spec.as_ not in ("", "row"):
        raise ValueError("the key of a `table` is a row; `as` goes with a `query`")
    if spec.as_ and not _AS.fullmatch(spec.as_):
        raise ValueError(f"as = '{spec.as_}' is not json, hash, row or column:NAME")
    if spec.match:
        compile_pattern(spec.match)
    for field in DURATIONS:
        if (value := getattr(spec, field)) is not None:
            try:
                parse_duration(value)
            except ValueError as error:
                raise ValueError(f"{field}: {error}") from None
    if spec.jitter is not None and not (math.isfinite(spec.jitter) and 0 <= spec.jitter < 1):
        raise ValueError(f"jitter = {spec.jitter} is not from 0 to below 1")
    if spec.concurrency is not None and spec.concurrency < 1:
        raise ValueError(f"concurrency = {spec.concurrency} is not 1 or more")
    if spec.write is not None and spec.write not in WRITES:
        raise ValueError(f"write = '{spec.write}' is not one of {', '.join(WRITES)}")
    if spec.query and spec.write in ("through", "behind"):
        raise ValueError(f"write = '{spec.write}' needs a `table`: a query cannot be written to")
