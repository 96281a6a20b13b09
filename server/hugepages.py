"""Huge pages for the heap, where Linux offers them to those who ask.

A cache's look-ups are scattered over all its memory, so with 4 KiB pages most of
them miss the TLB as well as the cache. Python's allocator maps arenas of 1 MiB and
never asks for more; this file asks on its behalf: `madvise(MADV_HUGEPAGE)` for the
anonymous mappings that are large enough, again as the heap grows, and
`MADV_COLLAPSE` (Linux 6.1) for what is mapped already.

Redis advises against transparent huge pages because a fork then copies 2 MiB for
every write; antecache never forks while it serves. Where the system says `never`,
or is not Linux, nothing happens.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from pathlib import Path

from antecache.server.process import resident_bytes

MADV_HUGEPAGE = 14
MADV_COLLAPSE = 25
HUGE = 2 << 20
_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")


class HugePages:
    """Advises the kernel about each large anonymous mapping, once per growth."""

    def __init__(self) -> None:
        self._madvise = _madvise() if _offered() else None
        self._advised: dict[int, int] = {}  # start of a mapping -> the end advised so far
        self._looked_at = 0  # resident bytes when the mappings were looked at last

    @property
    def offered(self) -> bool:
        """Whether asking can have an effect here."""
        return self._madvise is not None

    def advise(self) -> int:
        """Ask for huge pages in what was mapped since the last call; returns the bytes."""
        resident = resident_bytes()
        if self._madvise is None or resident < self._looked_at + 2 * HUGE:
            return 0
        self._looked_at = resident
        asked = 0
        mappings = _anonymous()
        for start, end in mappings:
            done = self._advised.get(start, start)
            first = -(-max(done, start) // HUGE) * HUGE
            last = end // HUGE * HUGE
            if last > first and self._madvise(first, last - first, MADV_HUGEPAGE) == 0:
                self._madvise(first, last - first, MADV_COLLAPSE)
                asked += last - first
                self._advised[start] = last
        return asked


def _offered() -> bool:
    try:
        return sys.platform == "linux" and "[never]" not in _ENABLED.read_text()
    except OSError:
        return False


def _madvise() -> ctypes._NamedFuncPointer | None:
    libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    found = getattr(libc, "madvise", None)
    if found is not None:
        found.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return found


def _anonymous() -> list[tuple[int, int]]:
    """Readable and writable private mappings without a file, as (start, end)."""
    found: list[tuple[int, int]] = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        heap = len(fields) == 5 or fields[5] == "[heap]"
        if heap and fields[1].startswith("rw") and fields[1].endswith("p"):
            start, _, end = fields[0].partition("-")
            found.append((int(start, 16), int(end, 16)))
    return found
