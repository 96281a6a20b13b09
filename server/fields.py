"""The fields of a cached value that may name other keys: rows, hashes and JSON alike.

Integers and short texts without spaces are yielded as (name, text): `customer_id`
of a row, `address.city` of an object in an object, `[].id` of the items of a list
and `[]` of a list of plain values. Anything else names no key.

What this file does not do: decide what such a value leads to (`predictor/links.py`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from antecache.server.backing.base import Row

#: longest JSON that is looked into, items of a list and names of an object that are
_MOST_JSON: Final = 1 << 16
_MOST_ITEMS: Final = 32
_MOST_NAMES: Final = 64
_LONGEST: Final = 64
_DEEPEST: Final = 3

_decode = msgspec.json.Decoder().decode


def fields_of(value: Any, only: frozenset[str] | None = None) -> Iterator[tuple[str, bytes]]:
    """Name and text of each field that may be part of a key, in order; a name may repeat.

    With `only`, a row's other columns are passed over, which is quicker.
    """
    if isinstance(value, Row):
        for name, held in zip(value.columns[:_MOST_NAMES], value.values, strict=False):
            if only is None or name in only:
                yield from _walk(name, held, 0)
    elif isinstance(value, dict):
        for number, (field, held) in enumerate(value.items()):
            if number == _MOST_NAMES:
                return
            yield from _walk(field.decode("utf-8", "replace"), held, 0)
    elif isinstance(value, bytes) and value[:1] in (b"{", b"[") and len(value) <= _MOST_JSON:
        try:
            found = _decode(value)
        except (msgspec.DecodeError, RecursionError):
            return
        yield from _walk("", found, 0)


def _walk(name: str, value: Any, depth: int) -> Iterator[tuple[str, bytes]]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int):
        yield name, b"%d" % value
    elif isinstance(value, str):
        if 0 < len(value) <= _LONGEST and not any(map(str.isspace, value)):
            yield name, value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes):
        if 0 < len(value) <= _LONGEST and b" " not in value:
            yield name, value
    elif isinstance(value, uuid.UUID):
        yield name, str(value).encode()
    elif isinstance(value, list | tuple) and depth < _DEEPEST:
        for item in value[:_MOST_ITEMS]:
            yield from _walk(f"{name}[]", item, depth + 1)
    elif isinstance(value, dict) and depth < _DEEPEST:
        before = f"{name}." if name else ""
        for number, (field, held) in enumerate(value.items()):
            if number == _MOST_NAMES:
                return
            yield from _walk(before + str(field), held, depth + 1)
