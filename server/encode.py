"""Replies to bytes, in RESP2 and RESP3.

The idea: a handler returns plain Python values and the type says what the reply
is. What RESP3 tells apart and Python does not (a map of pairs in their order, a
push, a null array) has a small class here. `encode` appends pieces to a list that
the session joins and writes once per batch, so a large value is copied once.

| value                | RESP2                    | RESP3            |
|----------------------|--------------------------|------------------|
| bytes                | bulk string              | bulk string      |
| str                  | simple string            | simple string    |
| int                  | integer                  | integer          |
| None                 | null bulk string         | null             |
| bool                 | integer 0 or 1           | boolean          |
| float, Fixed         | bulk string              | double           |
| list, tuple          | array                    | array            |
| dict                 | flat array               | map              |
| set, frozenset       | array                    | set              |
| ClientError          | error                    | error            |
| ProtocolError        | error                    | error            |
| NullArray            | null array               | null             |
| Pairs                | flat array               | map              |
| PairArrays           | array of arrays          | map              |
| Tuples               | flat array               | array of arrays  |
| Members              | array                    | set              |
| Push                 | array                    | push             |
| Verbatim             | bulk string              | verbatim string  |
| BigNumber            | bulk string              | big number       |
| Encoded              | as it is                 | as it is         |

It does not know commands, and sends nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from typing import Any

from antecache.server.errors import ClientError, ProtocolError

CRLF = b"\r\n"

# Headers are looked up rather than formatted: 0.05 against 0.2 microseconds.
SHORT = 2048
BULK = [b"$%d\r\n" % size for size in range(SHORT)]
_ARRAY = [b"*%d\r\n" % count for count in range(256)]
_INTEGER = [b":%d\r\n" % number for number in range(SHORT)]
_STATUS = {
    text: b"+%b\r\n" % text.encode()
    for text in "OK PONG QUEUED none string list hash set zset stream".split()
}


class Encoded(bytes):
    """A reply that is encoded already; appended as it is, in either protocol."""

    __slots__ = ()


class NullArray:
    """The absent array (EXEC that was aborted, BLPOP that timed out): `*-1` in RESP2."""

    __slots__ = ()


class Push(list[Any]):
    """A message outside the order of replies (pub/sub, invalidations)."""

    __slots__ = ()


class Pairs(list[Any]):
    """(key, value) pairs in their order: a map in RESP3, a flat array in RESP2 (HGETALL)."""

    __slots__ = ()


class PairArrays(list[Any]):
    """(key, value) pairs: a map in RESP3, an array of arrays of two in RESP2 (XREAD)."""

    __slots__ = ()


class Tuples(list[Any]):
    """Tuples: an array of arrays in RESP3, a flat array in RESP2 (ZRANGE WITHSCORES)."""

    __slots__ = ()


class Members(list[Any]):
    """Distinct items in their order: a set in RESP3, an array in RESP2 (SPOP with a count)."""

    __slots__ = ()


class Fixed(float):
    """A double in at most 17 decimals, never with an exponent (GEOPOS)."""

    __slots__ = ()

    @property
    def text(self) -> bytes:
        """The digits."""
        return (b"%.17f" % self).rstrip(b"0").rstrip(b".")


class BigNumber(int):
    """An integer that may pass 64 bits."""


class Verbatim:
    """Text for people; `form` is its three-letter format: `txt` or `mkd` (INFO)."""

    __slots__ = ("data", "form")

    def __init__(self, data: bytes, form: str = "txt") -> None:
        if len(form) != 3 or not form.isascii():
            raise ValueError(f"a verbatim string's format has three letters, not {form!r}")
        self.data = data
        self.form = form


OK = Encoded(b"+OK\r\n")
NULL_ARRAY = NullArray()


def encode(reply: Any, protocol: int, out: list[bytes]) -> None:
    """Append the pieces of one reply to `out`; `protocol` is 2 or 3.

    Raises TypeError for a value that is no reply; `out` is then as it was.
    """
    kind = type(reply)
    if kind is bytes:
        size = len(reply)
        out += (BULK[size] if size < SHORT else b"$%d\r\n" % size, reply, CRLF)
    elif reply is None:
        out.append(b"$-1\r\n" if protocol == 2 else b"_\r\n")
    elif kind is Encoded:
        out.append(reply)
    elif kind is int:
        out.append(_INTEGER[reply] if 0 <= reply < SHORT else b":%d\r\n" % reply)
    else:
        mark = len(out)
        try:
            (_ENCODERS.get(kind) or _inherited(kind))(reply, protocol, out)
        except Exception:
            del out[mark:]
            raise


def double(value: float) -> bytes:
    """A double as Redis 7.2 and later write it (`d2string` in its util.c).

    Integers up to 2**62 in full, otherwise the shortest digits that read back as the
    same double, laid out as its fpconv_dtoa does: `0.1`, `1e+21`, `1e-7`, `1.5e-6`,
    `inf`, `-inf`, `nan`, `-0`. (fpconv_dtoa misses the shortest digits for one double
    in 600; Redis up to 7.0 wrote `%.17g`, `0.10000000000000001`. All read back alike.)
    """
    size = abs(value)
    if value.is_integer() and size <= 2**62:
        return b"-0" if value == 0 and math.copysign(1.0, value) < 0 else b"%d" % int(value)
    if 0.001 <= size < 10_000.0:
        return repr(value).encode()  # the common case: here Python's layout is the same
    if value != value:
        return b"nan"
    if size == math.inf:
        return b"inf" if value > 0 else b"-inf"
    # repr() is the shortest text that reads back; only its layout is Python's own.
    mantissa, _, exponent = repr(size).partition("e")
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    power = int(exponent or 0) - len(fraction)
    digits = (whole + fraction).lstrip("0")
    short = digits.rstrip("0")
    power += len(digits) - len(short)
    sign = "-" if value < 0 else ""
    return (sign + _layout(short, power)).encode()


def _layout(digits: str, power: int) -> str:
    """`digits` x 10**`power` (no zeros at either end), where fpconv puts point and exponent."""
    count = len(digits)
    exponent = count + power - 1
    if power >= 0 and exponent < count + 7:
        return digits + "0" * power
    if power < 0 and (power > -7 or abs(exponent) < 4):
        if exponent < 0:
            return "0." + "0" * (-exponent - 1) + digits
        return digits[: exponent + 1] + "." + digits[exponent + 1 :]
    point = "." if count > 1 else ""
    return f"{digits[0]}{point}{digits[1:]}e{exponent:+d}"


def _bulk(data: bytes, out: list[bytes]) -> None:
    out += (b"$%d\r\n" % len(data), data, CRLF)


def _bytes(reply: bytes, protocol: int, out: list[bytes]) -> None:
    _bulk(bytes(reply), out)


def _integer(reply: int, protocol: int, out: list[bytes]) -> None:
    out.append(b":%d\r\n" % reply)


def _array(reply: Collection[object], protocol: int, out: list[bytes]) -> None:
    count = len(reply)
    out.append(_ARRAY[count] if count < 256 else b"*%d\r\n" % count)
    _items(reply, protocol, out)


def _items(items: Iterable[Any], protocol: int, out: list[bytes]) -> None:
    for item in items:
        kind = type(item)
        if kind is bytes and len(item) < SHORT:
            out += (BULK[len(item)], item, CRLF)
        elif kind is float:  # scores
            _double(item, protocol, out)
        else:
            encode(item, protocol, out)


def _flat(pairs: Iterable[tuple[object, ...]], protocol: int, out: list[bytes]) -> None:
    for pair in pairs:
        _items(pair, protocol, out)


def _dict(reply: dict[object, object], protocol: int, out: list[bytes]) -> None:
    out.append(b"*%d\r\n" % (2 * len(reply)) if protocol == 2 else b"%%%d\r\n" % len(reply))
    _flat(reply.items(), protocol, out)


def _pairs(reply: Pairs, protocol: int, out: list[bytes]) -> None:
    out.append(b"*%d\r\n" % (2 * len(reply)) if protocol == 2 else b"%%%d\r\n" % len(reply))
    _flat(reply, protocol, out)


def _pair_arrays(reply: PairArrays, protocol: int, out: list[bytes]) -> None:
    if protocol == 2:
        _array(reply, protocol, out)
    else:
        _pairs(Pairs(reply), protocol, out)


def _tuples(reply: Tuples, protocol: int, out: list[bytes]) -> None:
    if protocol == 2:
        out.append(b"*%d\r\n" % sum(map(len, reply)))
        _flat(reply, protocol, out)
    else:
        _array(reply, protocol, out)


def _set(reply: Collection[object], protocol: int, out: list[bytes]) -> None:
    out.append((b"*%d\r\n" if protocol == 2 else b"~%d\r\n") % len(reply))
    _items(reply, protocol, out)


def _push(reply: Push, protocol: int, out: list[bytes]) -> None:
    out.append((b"*%d\r\n" if protocol == 2 else b">%d\r\n") % len(reply))
    _items(reply, protocol, out)


def _status(reply: str, protocol: int, out: list[bytes]) -> None:
    out.append(_STATUS.get(reply) or b"+%b\r\n" % _line(reply))


def _error(reply: ClientError, protocol: int, out: list[bytes]) -> None:
    # Redis drops line ends at the end of an error and blanks those within.
    out.append(b"-%b\r\n" % _line(reply.text.rstrip("\r\n")))


def _protocol_error(reply: ProtocolError, protocol: int, out: list[bytes]) -> None:
    out.append(b"-ERR Protocol error: %b\r\n" % _line(reply.text))


def _line(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return data.replace(b"\r", b" ").replace(b"\n", b" ")


def _boolean(reply: bool, protocol: int, out: list[bytes]) -> None:
    if protocol == 2:
        out.append(b":1\r\n" if reply else b":0\r\n")
    else:
        out.append(b"#t\r\n" if reply else b"#f\r\n")


def _double(reply: float, protocol: int, out: list[bytes]) -> None:
    text = double(reply)
    if protocol == 2:
        out += (BULK[len(text)], text, CRLF)
    else:
        out.append(b",%b\r\n" % text)


def _fixed(reply: Fixed, protocol: int, out: list[bytes]) -> None:
    if protocol == 2:
        _bulk(reply.text, out)
    else:
        out.append(b",%b\r\n" % reply.text)


def _null_array(reply: NullArray, protocol: int, out: list[bytes]) -> None:
    out.append(b"*-1\r\n" if protocol == 2 else b"_\r\n")


def _verbatim(reply: Verbatim, protocol: int, out: list[bytes]) -> None:
    if protocol == 2:
        _bulk(reply.data, out)
    else:
        size = len(reply.data) + 4
        out += (b"=%d\r\n%b:" % (size, reply.form.encode()), reply.data, CRLF)


def _big_number(reply: BigNumber, protocol: int, out: list[bytes]) -> None:
    if protocol == 2:
        _bulk(b"%d" % reply, out)
    else:
        out.append(b"(%d\r\n" % reply)


_ENCODERS: dict[type, Callable[[Any, int, list[bytes]], None]] = {
    list: _array,
    str: _status,
    ClientError: _error,
    ProtocolError: _protocol_error,
    float: _double,
    Fixed: _fixed,
    Pairs: _pairs,
    dict: _dict,
    tuple: _array,
    set: _set,
    frozenset: _set,
    Push: _push,
    NullArray: _null_array,
    bool: _boolean,
    Tuples: _tuples,
    PairArrays: _pair_arrays,
    Members: _set,
    Verbatim: _verbatim,
    BigNumber: _big_number,
    bytes: _bytes,
    int: _integer,
}


def _inherited(kind: type) -> Callable[[Any, int, list[bytes]], None]:
    """The encoder of the nearest base class (subclasses of ClientError, named tuples ...)."""
    for base in kind.__mro__:
        if base in _ENCODERS:
            return _ENCODERS[base]
    raise TypeError(f"{kind.__name__} is no reply")
