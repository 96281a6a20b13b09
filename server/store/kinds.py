"""What each Python type of value is to Redis: its type, its encoding, how it is copied.

One row of `KINDS` for each type that is not ours to change (bytes, dict, deque ...). A class
of our own says the same of itself and needs no row: it has the attributes `redis_type` and
`encoding`, the method `copy`, and `nbytes` for `size.of_value`.

Values are Python objects here and have no encodings; what is answered is the encoding that
Redis 7.4 would choose for the same value with its default configuration, since clients and
test suites read it. What cannot be seen in the value is not answered: a string that APPEND
made is `raw` in Redis however short, and a collection that was large once stays what it
became.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from antecache.server.backing.base import Row

HASH_LISTPACK_ENTRIES = 512  # hash-max-listpack-entries
HASH_LISTPACK_VALUE = 64  # hash-max-listpack-value
SET_INTSET_ENTRIES = 512  # set-max-intset-entries
SET_LISTPACK_ENTRIES = 128  # set-max-listpack-entries
SET_LISTPACK_VALUE = 64  # set-max-listpack-value
LIST_LISTPACK_BYTES = 8192  # list-max-listpack-size -2
EMBSTR = 44  # OBJ_ENCODING_EMBSTR_SIZE_LIMIT
INT_DIGITS = 20  # of the longest 64-bit integer, its sign included


class Kind(NamedTuple):
    """A row of the table.

    name      as TYPE shows it
    encoding  of a value, as OBJECT ENCODING shows it
    copy      a value that shares nothing that may change with the one it is given
    """

    name: str
    encoding: Callable[[Any], str]
    copy: Callable[[Any], Any]


def kind_of(value: Any) -> Kind:
    """The row for a value."""
    return KINDS.get(type(value)) or _inherited(value)


def _inherited(value: Any) -> Kind:
    """The row of a class of our own, or of what a subclass of a built-in type extends."""
    if hasattr(value, "redis_type"):
        return Kind(value.redis_type, lambda one: str(one.encoding), lambda one: one.copy())
    return next(KINDS[base] for base in type(value).__mro__ if base in KINDS)


def is_integer(text: bytes) -> bool:
    """Whether Redis would keep this text as a 64-bit integer (`string2ll`)."""
    if not 0 < len(text) <= INT_DIGITS or not (text[-1:].isdigit()):
        return False
    try:
        number = int(text)
    except ValueError:
        return False
    return -(2**63) <= number < 2**63 and b"%d" % number == text


def _of_string(value: bytes) -> str:
    if is_integer(value):
        return "int"
    return "embstr" if len(value) <= EMBSTR else "raw"


def _of_fields(fields: dict[bytes, bytes]) -> str:
    small = len(fields) <= HASH_LISTPACK_ENTRIES and all(
        len(name) <= HASH_LISTPACK_VALUE and len(text) <= HASH_LISTPACK_VALUE
        for name, text in fields.items()
    )
    return "listpack" if small else "hashtable"


def _of_set(members: set[bytes]) -> str:
    count = len(members)
    if count <= SET_INTSET_ENTRIES and all(map(is_integer, members)):
        return "intset"
    if count <= SET_LISTPACK_ENTRIES and all(
        len(member) <= SET_LISTPACK_VALUE for member in members
    ):
        return "listpack"
    return "hashtable"


def _of_list(items: Iterable[bytes]) -> str:
    size = 7  # the listpack's header and end
    for item in items:
        size += listpack_entry(item)
        if size > LIST_LISTPACK_BYTES:
            return "quicklist"
    return "listpack"


def listpack_entry(item: bytes) -> int:
    """Bytes that an element takes in a listpack (Redis's listpack.c)."""
    length = len(item)
    if is_integer(item):
        number = int(item)
        body = 1 if 0 <= number < 128 else 2 if -4096 <= number < 4096 else 0
        if not body:
            bits = (number if number >= 0 else ~number).bit_length()
            body = next(size for size, most in ((3, 15), (4, 23), (5, 31), (9, 63)) if bits <= most)
    elif length < 64:
        body = 1 + length
    else:
        body = (2 if length < 4096 else 5) + length
    limits = (128, 16_383, 2_097_151, 268_435_455)
    return body + next((count for count, limit in enumerate(limits, 1) if body < limit), 5)


def _itself(value: Any) -> Any:
    return value


KINDS: dict[type, Kind] = {
    bytes: Kind("string", _of_string, _itself),
    dict: Kind("hash", _of_fields, lambda fields: fields.copy()),
    Row: Kind(
        "hash", lambda row: _of_fields(row.fields()), lambda row: Row(row.columns, row.values)
    ),
    list: Kind("list", _of_list, list.copy),
    deque: Kind("list", _of_list, deque.copy),
    set: Kind("set", _of_set, set.copy),
}
"""Every type of value that is not a class of our own."""
