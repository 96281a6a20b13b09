"""Replies to Lua values and back, by the tables of Redis's documentation.

`to_lua` turns what a handler returned into what `redis.call` gives to the script:
under RESP2 everything is a number, a string, false, or a table; under RESP3
(`redis.setresp(3)`) maps, sets, doubles, booleans and nulls keep their kind.
`reply_of` turns what a script returned (flattened by sandbox.lua, so that no
metatable of a script runs meanwhile) into a reply that `encode` knows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import hiredis

from antecache.server.encode import (
    BigNumber,
    Encoded,
    Fixed,
    Members,
    NullArray,
    PairArrays,
    Pairs,
    Tuples,
    Verbatim,
    double,
)
from antecache.server.errors import ClientError

_LEAST = -(1 << 63)


class Nothing:
    """nil, where a false would be the null of RESP2."""

    __slots__ = ()


NIL = Nothing()


def to_lua(reply: Any, protocol: int, table: Any) -> Any:
    """What a script sees of a reply; `table(sequence or mapping)` makes a table of Lua.

    Errors become tables with `err`; `NIL` stands for nil.
    """
    kind = type(reply)
    if kind is bytes or kind is int:
        return reply
    if reply is None or kind is NullArray:
        return False if protocol == 2 else NIL
    if kind is Encoded:
        return to_lua(_decoded(reply), protocol, table)
    if kind is str:
        return table({b"ok": _bytes(reply)})
    if kind is bool:
        return int(reply) if protocol == 2 else reply
    if kind is Fixed:
        return reply.text if protocol == 2 else table({b"double": float(reply)})
    if kind is float:
        return double(reply) if protocol == 2 else table({b"double": reply})
    if isinstance(reply, ClientError):
        return table({b"err": _bytes(reply.text)})
    if kind is Verbatim:
        if protocol == 2:
            return reply.data
        return table(
            {b"verbatim_string": table({b"format": reply.form.encode(), b"string": reply.data})}
        )
    if kind is BigNumber:
        digits = b"%d" % reply
        return digits if protocol == 2 else table({b"big_number": digits})
    if isinstance(reply, int):
        return int(reply)
    if isinstance(reply, bytes):
        return bytes(reply)
    return _collection(reply, protocol, table)


def _collection(reply: Any, protocol: int, table: Any) -> Any:
    if isinstance(reply, dict):
        reply = Pairs(reply.items())
    if protocol == 2:
        if isinstance(reply, (Pairs, Tuples)):
            reply = [item for pair in reply for item in pair]
        return table([_element(item, 2, table) for item in reply])
    if isinstance(reply, (Pairs, PairArrays)):
        pairs = {
            _element(key, 3, table): _element(value, 3, table)
            for key, value in reply
            if key is not None
        }
        return table({b"map": table(pairs)})
    if isinstance(reply, (set, frozenset, Members)):
        members = {_element(item, 3, table): True for item in reply}
        return table({b"set": table(members)})
    return table([_element(item, 3, table) for item in reply])


def _element(item: Any, protocol: int, table: Any) -> Any:
    """An element of a table: nil would end it, as it does in Redis."""
    value = to_lua(item, protocol, table)
    return None if value is NIL else value


def _decoded(data: bytes) -> Any:
    """The value of a reply that was encoded before it was asked for (`+OK`)."""
    if data.startswith(b"+"):
        return data[1:-2].decode()
    reader = hiredis.Reader(replyError=_error)
    reader.feed(data)
    value = reader.gets()
    return None if value is False else value


def _error(text: str) -> ClientError:
    return ClientError(text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def text_of(data: Any) -> str:
    """Bytes of a script as a text that `encode` turns into the same bytes."""
    return data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else str(data)


def integer_of(number: float) -> int:
    """A number of Lua as the integer reply it becomes: cut, and C's least where it has none."""
    if isinstance(number, int):
        return number if _LEAST <= number < -_LEAST else _LEAST
    if not math.isfinite(number) or not _LEAST <= number < -_LEAST:
        return _LEAST
    return int(number)


def reply_of(value: Any, script_protocol: int, client_protocol: int) -> Any:
    """The reply for what a script returned: a scalar, or a flat sequence of tags and values."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return _boolean(value, script_protocol, client_protocol)
    if isinstance(value, (int, float)):
        return integer_of(value)
    if value is None:
        return None
    items = iter(value)
    return _next(items, script_protocol, client_protocol)


def _boolean(value: bool, script_protocol: int, client_protocol: int) -> Any:
    if script_protocol == 2:
        return 1 if value else None
    return value


def _next(items: Iterator[Any], script: int, client: int) -> Any:
    tag, value = next(items), next(items)
    match tag:
        case b"$":
            return value
        case b":":
            return integer_of(value)
        case b"?":
            return _boolean(value, script, client)
        case b"+":
            return text_of(value)
        case b"-":
            return ClientError(text_of(value))
        case b",":
            return float(value)
        case b"(":
            return _big_number(value)
        case b"=":
            return Verbatim(value[4:], text_of(value[:3])) if _verbatim(value) else value
        case b"*":
            return [_next(items, script, client) for _ in range(value)]
        case b"~":
            return Members(_next(items, script, client) for _ in range(value))
        case b"%":
            return Pairs(
                (_next(items, script, client), _next(items, script, client)) for _ in range(value)
            )
    return None


def _verbatim(value: bytes) -> bool:
    return value[3:4] == b":" and value[:3].isascii()


def _big_number(digits: bytes) -> Any:
    try:
        return BigNumber(int(digits))
    except ValueError:
        return digits
