"""Memory sizes and durations as people write them, and back.

One parser each for the whole project: the settings, the environment, the flags
and the sources of the config file all read `200mb` and `5m` through here, so
that no two places disagree about what they mean.

Memory follows Redis (`memtoull` of its `util.c`): a unit that ends in `b` is a
power of two, one that doesn't is a power of ten, and case does not matter.
Durations are seconds unless a unit is given, and several parts may be joined:
`1h30m`.

What this file does not do: know any setting, or its limits.
"""

from __future__ import annotations

import math
import re

_MEMORY = re.compile(r"(\d+)\s*([a-z]*)", re.ASCII | re.IGNORECASE)
_MEMORY_UNITS = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1 << 10,
    "m": 1000**2,
    "mb": 1 << 20,
    "g": 1000**3,
    "gb": 1 << 30,
}
_LARGEST_MEMORY = (1 << 63) - 1  # what Redis, and INFO's integers, can hold

_DURATION_PART = re.compile(
    r"(\d+(?:\.\d+)?|\.\d+)\s*(us|µs|ms|s|m|h|d|w)\s*", re.ASCII | re.IGNORECASE
)
_DURATION_UNITS = {
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}


def parse_memory(text: str | int) -> int:
    """Bytes from `1024`, `64kb`, `200mb`, `1G` ...; raises ValueError with the reason."""
    if isinstance(text, int):
        size = text
    else:
        match = _MEMORY.fullmatch(text.strip())
        if match is None or match[2].lower() not in _MEMORY_UNITS:
            raise ValueError(f"'{text}' is not a size such as 1024, 64kb, 200mb or 1gb")
        size = int(match[1]) * _MEMORY_UNITS[match[2].lower()]
    if not 0 <= size <= _LARGEST_MEMORY:
        raise ValueError(f"'{text}' is not between 0 and {_LARGEST_MEMORY} bytes")
    return size


def format_memory(size: int) -> str:
    """The shortest text that `parse_memory` reads as exactly `size` bytes."""
    for unit in ("gb", "mb", "kb"):
        factor = _MEMORY_UNITS[unit]
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def parse_duration(text: str | int | float) -> float:
    """Seconds from `2.5`, `500ms`, `5m`, `1h30m` ...; raises ValueError with the reason."""
    if not isinstance(text, str):
        seconds = float(text)
    else:
        seconds = _seconds(text.strip())
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"'{text}' is not a duration of zero or more seconds")
    return seconds


def _seconds(text: str) -> float:
    if re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", text, re.ASCII | re.IGNORECASE):
        return float(text)
    seconds, at = 0.0, 0
    while at < len(text):
        part = _DURATION_PART.match(text, at)
        if part is None:
            break
        seconds += float(part[1]) * _DURATION_UNITS[part[2].lower()]
        at = part.end()
    if at == 0 or at != len(text):
        raise ValueError(f"'{text}' is not a duration such as 2.5, 500ms, 5m or 1h30m")
    return seconds


def format_duration(seconds: float) -> str:
    """A text that `parse_duration` reads as exactly `seconds`."""
    for unit in ("w", "d", "h", "m", "s"):
        factor = _DURATION_UNITS[unit]
        if seconds and seconds % factor == 0:
            return f"{int(seconds // factor)}{unit}"
    milliseconds = round(seconds * 1000)
    if milliseconds and milliseconds * _DURATION_UNITS["ms"] == seconds:
        return f"{milliseconds}ms"
    return "0" if seconds == 0 else repr(seconds)
