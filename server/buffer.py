"""A string that is being changed in place: the value of a large bitmap, or of a log.

Strings are immutable here, so that a reply which is still being sent never changes;
a SETBIT would then copy the whole value, 100 MB for a bit. So the first command that
changes bits or bytes within a string of at least `LARGE` bytes makes a `Buffer` of it,
and the following ones change that. Only the commands on bits and on parts of strings
ever see the buffer: the first other one that wants the string makes `bytes` of it again
(`settled`), and pays the copy that a reply of the whole value costs anyway.

A buffer is charged as the same string would be; up to an eighth more may be reserved
for growth while it is one.
"""

from __future__ import annotations

from typing import Any

from antecache.server.store import Entry, size

LARGE = 16_384  # bytes; a shorter string is copied in about a microsecond


class Buffer:
    """The bytes of a string, changeable; `data` may be handed to nobody."""

    __slots__ = ("data",)
    redis_type = "string"
    encoding = "raw"

    def __init__(self, data: bytearray) -> None:
        self.data = data

    @property
    def nbytes(self) -> int:
        """As much as makes `size.of_entry` what `size.of_string` is for the same bytes."""
        return size.BYTES + 8 + len(self.data)

    def copy(self) -> bytes:
        """The string."""
        return bytes(self.data)


def settled(entry: Entry) -> Any:
    """The value of an entry as all commands know it: a buffer becomes a string."""
    value = entry.value
    if type(value) is Buffer:
        value = entry.value = value.copy()
    return value
