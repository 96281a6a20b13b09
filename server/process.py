"""What the operating system says of this process, and Python's garbage collector.

A full collection over a million entries takes most of a second, so automatic
collections are off. Young objects are collected by the background round, which
then freezes the survivors: freezing costs microseconds and keeps later rounds
from walking the store. Only MEMORY PURGE looks at everything.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident_bytes() -> int:
    """The resident set size; the peak of it where the system has no /proc."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def manual_collection() -> None:
    """Turn automatic collections off; `collect_young` and `collect_all` take their place."""
    gc.collect()
    gc.freeze()
    gc.disable()


def collect_young(*, settle: bool) -> None:
    """Collect what was made lately; `settle` also freezes what survived."""
    if settle:
        gc.collect(1)
        gc.freeze()
    else:
        gc.collect(0)


def collect_all() -> int:
    """Collect everything, which may take a second; returns the objects found unreachable."""
    gc.unfreeze()
    found = gc.collect()
    gc.freeze()
    return found
