"""What was learned, as a file: written at once or not at all, and refused when it is not whole.

    8 bytes   b"ANTECACH"
    4 bytes   format, big endian
    8 bytes   length of the content, big endian
    content   one msgpack map, the fields of `Saved`
    32 bytes  SHA-256 of everything before

There is no pickle and no code in it: the parts are numbers, texts and the packed
forms of a Plan and of a predictor's state, which their owners check when they are
used. The digest finds truncation and damage; it is no signature, so a file from
strangers can still hold wrong numbers, which cost prefetches until the ledger has
switched their rules off, and nothing else.

What this file does not do: train, or know what a server does with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from antecache.predictor import registry
from antecache.predictor.base import Predictor
from antecache.predictor.features import NAMES
from antecache.predictor.plan import Plan, PlanError

MAGIC: Final = b"ANTECACH"
FORMAT: Final = 1
_HEADER: Final = struct.Struct(">8sIQ")
_DIGEST: Final = 32
#: largest file that is read
MAX_BYTES: Final = 1 << 30

SavedLink = tuple[str, str, bytes, bytes, float, float]


class ModelError(ValueError):
    """A file that cannot be used; `str()` names it and says why."""


class Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content.

    made_by    version of antecache
    created    Unix time in seconds
    predictor  its name, and `buckets` how many calibration buckets it has
    features   the names that models were fitted on
    accesses   learned from, in all
    window     time of the first and the last of them, as the history counts it
    plan       packed; empty for none
    state      the predictor's `dump`; empty for none
    links      `Links.dump`
    keys       resident keys and what each is worth, best first (for a warm restart)
    reports    of the last contest of models
    cleaned    accesses left out while training, by reason
    """

    made_by: str
    created: float
    predictor: str
    buckets: int
    features: tuple[str, ...] = NAMES
    accesses: int = 0
    window: tuple[float, float] = (0.0, 0.0)
    plan: bytes = b""
    state: bytes = b""
    links: list[SavedLink] = []
    keys: list[tuple[bytes, float]] = []
    reports: list[dict[str, Any]] = []
    cleaned: dict[str, int] = {}

    def read_plan(self) -> Plan | None:
        """The Plan, checked. Raises PlanError."""
        return Plan.from_bytes(self.plan) if self.plan else None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Saved)


def buckets_of(predictor: type[Predictor]) -> int:
    """How many calibration buckets a predictor has: another number means other meanings."""
    return int(getattr(predictor, "buckets", 0))


def save(path: Path, saved: Saved) -> int:
    """Write a file, replacing it only when the new one is complete; returns its size.

    Raises OSError.
    """
    content = _encoder.encode(saved)
    data = _HEADER.pack(MAGIC, FORMAT, len(content)) + content
    digest = hashlib.sha256(data).digest()
    building = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with building.open("wb") as file:
            file.write(data)
            file.write(digest)
            file.flush()
            os.fsync(file.fileno())
        building.replace(path)
    finally:
        with contextlib.suppress(OSError):
            building.unlink(missing_ok=True)
    return len(data) + _DIGEST


def load(path: Path) -> Saved:
    """The content of a file. Raises ModelError when it is not one that can be used."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path}: is larger than {MAX_BYTES >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return parse(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def parse(data: bytes) -> Saved:
    """What a file with these bytes holds. Raises ModelError."""
    if data[: len(MAGIC)] != MAGIC:
        raise ModelError("is no model of antecache")
    if len(data) < _HEADER.size + _DIGEST:
        raise ModelError("is cut off")
    _, format_, length = _HEADER.unpack_from(data)
    if format_ != FORMAT:
        raise ModelError(f"has format {format_}, this version reads {FORMAT}")
    if len(data) != _HEADER.size + length + _DIGEST:
        raise ModelError("is cut off, or something was added to it")
    if hashlib.sha256(data[:-_DIGEST]).digest() != data[-_DIGEST:]:
        raise ModelError("is damaged: its digest does not match")
    try:
        saved = _decoder.decode(data[_HEADER.size : -_DIGEST])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot be read: {error}") from None
    _verify(saved)
    return saved


def _verify(saved: Saved) -> None:
    try:
        buckets = buckets_of(registry.find(saved.predictor))
    except (KeyError, TypeError, ImportError):
        raise ModelError(f"was made by predictor '{saved.predictor}', which is not here") from None
    if saved.buckets != buckets:
        raise ModelError(
            f"counts in {saved.buckets} buckets, '{saved.predictor}' has {buckets} here"
        )
    if saved.features != NAMES:
        raise ModelError("was made with other features: " + _difference(saved.features, NAMES))
    try:
        saved.read_plan()
    except PlanError as error:
        raise ModelError(str(error)) from None
    worth = [value for _, value in saved.keys]
    counts = [number for link in saved.links for number in link[4:]]
    if not all(map(math.isfinite, (*worth, *counts, *saved.window, saved.created))):
        raise ModelError("holds a figure that is not a number")
    if saved.accesses < 0 or any(number < 0 for number in counts):
        raise ModelError("holds a negative count")


def _difference(theirs: Iterable[str], ours: Iterable[str]) -> str:
    odd = sorted(set(theirs) ^ set(ours))
    return ", ".join(odd[:5]) or "in another order"
