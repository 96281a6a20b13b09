"""BITFIELD and BITFIELD_RO: integers of 1 to 64 bits at any bit of a string.

The operations are all read before the first is carried out, so a command with a
mistake in it changes nothing. Integers are taken as Python's own, which know no
bounds; the arithmetic then says what a result that does not fit becomes.
"""

from __future__ import annotations

from typing import NamedTuple

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.bitmaps import Bits, bit_offset, bits_of, opened, read_bits, save
from antecache.server.commands.strings import ONE_KEY
from antecache.server.errors import SYNTAX, ClientError
from antecache.server.store import events

BAD_TYPE = (
    "ERR Invalid bitfield type. Use something like i16 u8. "
    "Note that u64 is not supported but i64 is."
)
BAD_OVERFLOW = "ERR Invalid OVERFLOW type specified"
READ_ONLY = "ERR BITFIELD_RO only supports the GET subcommand"

ARGUMENTS = {b"GET": 2, b"SET": 3, b"INCRBY": 3, b"OVERFLOW": 1}


class Step(NamedTuple):
    """One GET, SET or INCRBY: `bits` of them from bit `offset` on."""

    kind: bytes
    signed: bool
    bits: int
    offset: int
    value: int
    overflow: bytes


def _steps(client: ClientView, argv: Argv) -> list[Step]:
    steps: list[Step] = []
    overflow = b"WRAP"
    at = 2
    while at < len(argv):
        kind = argv[at].upper()
        count = ARGUMENTS.get(kind, len(argv))
        if at + count >= len(argv):
            raise ClientError(SYNTAX)
        if kind == b"OVERFLOW":
            overflow = argv[at + 1].upper()
            if overflow not in (b"WRAP", b"SAT", b"FAIL"):
                raise ClientError(BAD_OVERFLOW)
        else:
            signed, bits = _type(argv[at + 1])
            offset = bit_offset(client, argv[at + 2], bits)
            value = 0 if kind == b"GET" else integer(argv[at + 3])
            steps.append(Step(kind, signed, bits, offset, value, overflow))
        at += 1 + count
    return steps


def _type(text: bytes) -> tuple[bool, int]:
    signed = text[:1] == b"i"
    if not signed and text[:1] != b"u":
        raise ClientError(BAD_TYPE)
    bits = integer(text[1:], BAD_TYPE)
    if not 1 <= bits <= (64 if signed else 63):
        raise ClientError(BAD_TYPE)
    return signed, bits


def _get(data: Bits, step: Step) -> int:
    first, end = step.offset >> 3, step.offset + step.bits
    last = (end + 7) >> 3
    word = int.from_bytes(data[first:last].ljust(last - first, b"\0"), "big")
    number = word >> (8 * last - end) & ((1 << step.bits) - 1)
    return number - (1 << step.bits) if step.signed and number >> (step.bits - 1) else number


def _set(data: bytearray, step: Step, number: int) -> None:
    first, end = step.offset >> 3, step.offset + step.bits
    last = (end + 7) >> 3
    shift, mask = 8 * last - end, (1 << step.bits) - 1
    word = int.from_bytes(data[first:last], "big") & ~(mask << shift)
    data[first:last] = (word | (number & mask) << shift).to_bytes(last - first, "big")


def _fitted(step: Step, number: int) -> int | None:
    """`number` as the field will hold it, None when it does not fit and must."""
    lowest = -(1 << (step.bits - 1)) if step.signed else 0
    highest = lowest + (1 << step.bits) - 1
    if lowest <= number <= highest:
        return number
    if step.overflow == b"FAIL":
        return None
    if step.overflow == b"SAT":
        return highest if number > highest else lowest
    return (number - lowest) % (1 << step.bits) + lowest


@command(
    "bitfield_ro",
    -2,
    flags="readonly fast",
    keys=ONE_KEY,
    group="bitmap",
    since="6.0.0",
    complexity="O(1) for each subcommand specified",
    summary="Performs arbitrary read-only bitfield integer operations on strings.",
)
def bitfield_ro(client: ClientView, argv: Argv) -> list[int]:
    """BITFIELD_RO key [GET type offset ...]."""
    steps = _steps(client, argv)
    if any(step.kind != b"GET" for step in steps):
        raise ClientError(READ_ONLY)
    data = read_bits(client, argv[1]) or b""
    return [_get(data, step) for step in steps]


@command(
    "bitfield",
    -2,
    flags="write denyoom",
    keys=ONE_KEY,
    group="bitmap",
    since="3.2.0",
    complexity="O(1) for each subcommand specified",
    summary="Performs arbitrary bitfield integer operations on strings.",
)
def bitfield(client: ClientView, argv: Argv) -> list[int | None]:
    """BITFIELD key [GET type offset | [OVERFLOW kind] SET | INCRBY type offset value ...]."""
    steps = _steps(client, argv)
    ends = [step.offset + step.bits for step in steps if step.kind != b"GET"]
    key = argv[1]
    if not ends:
        data = read_bits(client, key) or b""
        return [_get(data, step) for step in steps]
    entry = client.db.modify(key)
    before = len(bits_of(entry))
    data = opened(entry, (max(ends) + 7) >> 3)
    grown, changed = len(data) > before, False
    replies: list[int | None] = []
    for step in steps:
        old = _get(data, step)
        if step.kind == b"GET":
            replies.append(old)
            continue
        increments = step.kind == b"INCRBY"
        wanted = step.value
        if increments:
            wanted += old
        elif not step.signed:
            wanted %= 1 << 64  # a negative number is a large one to an unsigned field
        new = _fitted(step, wanted)
        if new is None:
            replies.append(None)
            continue
        _set(data, step, new)
        changed = changed or grown or new != old
        replies.append(new if increments else old)
    if grown or changed:
        save(client, key, entry, data)
    if changed:
        client.db.event(events.STRING, "setbit", key)
    return replies
