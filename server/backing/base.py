"""The contract between the loader and a database behind the cache.

A *source* owns a set of keys and says how each becomes a row; a *backing* reads
and writes many keys of one source at once. Foreign errors are translated here
and nowhere else: whatever a driver raises leaves a backing as `BackingError`.

What this file does not do: retry, time out, share loads between clients or
decide what to fetch (the loader), or cache (the store).
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import msgspec

if TYPE_CHECKING:
    from antecache.server.backing.sources import SourceSpec


class BackingError(Exception):
    """The database refused, broke off or is away; `str()` is fit to show to a client."""


class BackingTimeout(BackingError):
    """The database did not answer in time."""


class Row:
    """A database row: columns shared by all rows of a query, and this row's values.

    It answers as a hash (`fields`) and as its JSON text (`json`). NULL is an
    absent field and JSON null; decimals, dates, times and UUIDs are strings
    (ISO 8601); blobs are raw in the hash and base64 in JSON.
    """

    __slots__ = ("_json", "columns", "values")

    def __init__(self, columns: tuple[str, ...], values: tuple[Any, ...]) -> None:
        self.columns = columns
        self.values = values
        self._json: bytes | None = None

    @property
    def rendered(self) -> bool:
        """Whether the JSON text is already held (it then counts in `nbytes`)."""
        return self._json is not None

    def json(self) -> bytes:
        """The row as a JSON object, rendered at the first call and kept."""
        if self._json is None:
            values = map(_decimals_written_out, self.values)
            self._json = _encode_json(dict(zip(self.columns, values, strict=True)))
        return self._json

    def get(self, name: bytes) -> bytes | None:
        """One field as bytes; None when there is no such column or it is NULL."""
        try:
            value = self.values[self.columns.index(name.decode())]
        except (ValueError, UnicodeDecodeError):
            return None
        return None if value is None else to_bytes(value)

    def fields(self) -> dict[bytes, bytes]:
        """All fields that are not NULL, in column order."""
        return {
            column.encode(): to_bytes(value)
            for column, value in zip(self.columns, self.values, strict=True)
            if value is not None
        }

    @property
    def nbytes(self) -> int:
        """Estimated bytes this object holds, the shared column names aside."""
        size = 112 + 8 * len(self.values)  # the object, its tuple, both collector headers
        for value in self.values:
            if isinstance(value, str):
                size += 57 + len(value)
            elif isinstance(value, bytes):
                size += 41 + len(value)
            elif value is not None and not isinstance(value, bool):
                size += 32
        if self._json is not None:
            size += 33 + len(self._json)
        return size

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.fields().items())


def to_bytes(value: Any) -> bytes:
    """A column's value as a hash field shows it."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bool):
        return b"1" if value else b"0"
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, float):
        return b"%d" % value if value.is_integer() else repr(value).encode()
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, list | tuple | dict):
        return _encode_json(_decimals_written_out(value))
    return _plain(value).encode()


def _plain(value: Any) -> str:
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, dt.date | dt.time | dt.timedelta | uuid.UUID):
        return str(msgspec.to_builtins(value))  # as in JSON; a datetime is a date
    return str(value)


def _decimals_written_out(value: Any) -> Any:
    """Decimals as text without an exponent: msgspec would write 0.0000001 as `1E-7`."""
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, list | tuple):
        return [_decimals_written_out(item) for item in value]
    return value


def _encode_hook(value: Any) -> Any:
    if isinstance(value, memoryview | bytearray):
        return base64.b64encode(value).decode()
    return _plain(value)


_encode_json = msgspec.json.Encoder(enc_hook=_encode_hook, decimal_format="string").encode


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How the values of one source are kept. Times are seconds; 0 ttl means no expiry."""

    ttl: float = 0.0
    jitter: float = 0.1  # share of ttl by which each expiry is moved, at random, either way
    negative_ttl: float = 5.0
    stale_for: float = 0.0  # how long past its expiry a value may answer while the database fails
    timeout: float = 2.0  # of one load
    concurrency: int = 8  # statements in flight at once for this source
    prefetch: bool = True  # whether predictions may read it
    write: str = "none"


DEFAULT_OPTIONS = SourceOptions()


class Source(ABC):
    """A set of keys that a backing can load.

    name     unique; the label in metrics and error texts
    options  how its values are kept
    backing  which backing serves it
    """

    __slots__ = ("backing", "name", "options")

    def __init__(self, name: str, options: SourceOptions, backing: Backing) -> None:
        self.name = name
        self.options = options
        self.backing = backing

    @property
    @abstractmethod
    def prefix(self) -> bytes:
        """The literal text every owned key starts with (may be empty): the registry's index."""

    @abstractmethod
    def match(self, key: bytes) -> tuple[Any, ...] | None:
        """The bound parameters of an owned, canonical key; None for any other key."""


@dataclass(slots=True)
class Loaded:
    """What one `get_many` brought: keys without a row are missing from `values`.

    `errors` has keys that the database refused because of what they say ("invalid
    input syntax for type date"), so that they fail alone, not with all keys of
    the statement.
    """

    values: dict[bytes, Row | bytes | dict[bytes, bytes]] = field(default_factory=dict)
    statements: int = 0  # SELECTs sent
    errors: dict[bytes, BackingError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """A change the database reports: `value` None with `deleted` false means "load it again"."""

    key: bytes
    deleted: bool = False


class Link(NamedTuple):
    """A foreign key: `column` of `table` holds values of `target_column` of `target_table`."""

    table: str
    column: str
    target_table: str
    target_column: str


class Backing(ABC):
    """One database. Constructors only store parameters; `open` connects.

    url      as in the setting `backing`
    specs    the `[[source]]` tables of the config file
    options  what holds for a source that says nothing else
    skipped  after `open`: what could have been a source and is none, with the reason

    Every method may raise BackingError. Cancelling a call must leave the
    backing usable.
    """

    schemes: ClassVar[tuple[str, ...]]  #: URL schemes it serves: `sqlite`, `postgresql` ...

    def __init__(
        self,
        url: str,
        specs: Sequence[SourceSpec] = (),
        options: SourceOptions = DEFAULT_OPTIONS,
    ) -> None:
        self.url = url
        self.specs = tuple(specs)
        self.options = options
        self.skipped: dict[str, str] = {}

    @abstractmethod
    async def open(self) -> Sequence[Source]:
        """Connect and return the sources, first match first.

        Configured ones come before those that need no configuration (reflected
        tables). Raises ConfigError for a spec that cannot be used.
        """

    @abstractmethod
    async def get_many(self, source: Source, keys: Sequence[bytes]) -> Loaded:
        """Read the rows of `keys`, which `source` owns, in one statement where the database can."""

    async def put_many(self, source: Source, rows: Mapping[bytes, Mapping[str, Any]]) -> None:
        """Insert or update rows by key, in one transaction."""
        raise BackingError(f"source '{source.name}' cannot be written")

    async def delete_many(self, source: Source, keys: Sequence[bytes]) -> None:
        """Delete the rows of `keys`, in one transaction."""
        raise BackingError(f"source '{source.name}' cannot be written")

    def links(self) -> Sequence[Link]:
        """Foreign keys among the tables that are sources, known once open."""
        return ()

    def changes(self) -> AsyncIterator[Change] | None:
        """Changes made by others, as the database reports them; None where it reports none."""
        return None

    @abstractmethod
    async def close(self) -> None:
        """Release every connection. May be called twice."""
