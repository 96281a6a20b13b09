"""Where the keys of a command are, as COMMAND INFO tells clients: its key specifications.

A specification says where a search begins (at an argument, or behind a keyword), how
keys are found from there (a range, or as many as a number says), and what the command
does to them (`keyaccess.py`). Most follow from a row's key positions; the table here
holds those that do not. See https://redis.io/docs/latest/develop/reference/key-specs/.

What this file does not do: find keys among arguments (`Command.keys`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from antecache.server.command import Command
from antecache.server.encode import Members
from antecache.server.keyaccess import Flags, flags_of


class Spec(NamedTuple):
    """One specification.

    begin   an argument's index, a keyword with the index its search starts from, or None
            where the arguments alone do not tell
    find    (last, step, limit) of a range, `keynum`, or None as above
    """

    begin: int | tuple[str, int] | None
    find: tuple[int, int, int] | str | None = (0, 1, 0)


_NUMBERED = "keynum"  # a number of keys, and the keys
_UNKNOWN = Spec(None, None)

_SPECS: dict[tuple[Spec, ...], str] = {
    (Spec(("STREAMS", 1), (-1, 1, 2)),): "xread",
    (Spec(("STREAMS", 4), (-1, 1, 2)),): "xreadgroup",
    (Spec(1, _NUMBERED),): "lmpop zmpop sintercard zunion zinter zdiff zintercard",
    (Spec(2, _NUMBERED),): "blmpop bzmpop eval evalsha eval_ro evalsha_ro fcall fcall_ro",
    (Spec(1), Spec(2, _NUMBERED)): "zunionstore zinterstore zdiffstore",
    (Spec(1), _UNKNOWN): "sort_ro",
    (Spec(1), _UNKNOWN, _UNKNOWN): "sort",
    (Spec(1), Spec(("STORE", 6)), Spec(("STOREDIST", 6))): "georadius",
    (Spec(1), Spec(("STORE", 5)), Spec(("STOREDIST", 5))): "georadiusbymember",
}
_TABLE = {name: specs for specs, names in _SPECS.items() for name in names.split()}
# What their keys are for depends on their arguments.
_VARIABLE = ("set", "bitfield")


def specs_of(row: Command) -> tuple[Spec, ...]:
    """The specifications of a command, none for one without keys."""
    found = _TABLE.get(row.full_name)
    if found is not None:
        return found
    if not row.first:
        return ()
    last = row.last - row.first if row.last >= 0 else row.last
    if len(flags_of(row)) == 1:
        return (Spec(row.first, (last, row.step, 0)),)
    second = row.first + row.step  # what is done to the first key is not done to the others
    last = row.last - second if row.last >= 0 else row.last
    return (Spec(row.first), Spec(second, (last, row.step, 0)))


def described(row: Command) -> list[dict[bytes, Any]]:
    """The specifications as COMMAND INFO shows them."""
    flags = flags_of(row)
    if row.name == "sort":  # its pattern keys are read as its first is
        flags = (flags[0], *flags)
    return [
        {
            b"flags": Members(_flags(row, flags[min(at, len(flags) - 1)])),
            b"begin_search": _begin(spec),
            b"find_keys": _find(spec),
        }
        for at, spec in enumerate(specs_of(row))
    ]


def _flags(row: Command, flags: Flags) -> Flags:
    return (*flags, "variable_flags") if row.full_name in _VARIABLE else flags


def _begin(spec: Spec) -> dict[bytes, Any]:
    if spec.begin is None:
        return {b"type": b"unknown", b"spec": {}}
    if isinstance(spec.begin, int):
        return {b"type": b"index", b"spec": {b"index": spec.begin}}
    word, start = spec.begin
    return {b"type": b"keyword", b"spec": {b"keyword": word.encode(), b"startfrom": start}}


def _find(spec: Spec) -> dict[bytes, Any]:
    if spec.find is None:
        return {b"type": b"unknown", b"spec": {}}
    if isinstance(spec.find, str):
        return {b"type": b"keynum", b"spec": {b"keynumidx": 0, b"firstkey": 1, b"keystep": 1}}
    last, step, limit = spec.find
    return {b"type": b"range", b"spec": {b"lastkey": last, b"keystep": step, b"limit": limit}}
