"""Settings whose text is a small language: output limits, percentiles, classes of events.

What this file does not do: know which settings there are (`config.py`).
"""

from __future__ import annotations

from typing import NamedTuple

from antecache.server.units import parse_memory


class OutputLimit(NamedTuple):
    """What may wait for one client: bytes, bytes, and seconds above `soft`; 0 is no limit."""

    hard: int
    soft: int
    seconds: int


def parse_output_limits(text: str) -> dict[str, OutputLimit]:
    """`class hard soft seconds ...` as a dict of the classes; raises ValueError with the reason."""
    words = text.split()
    if len(words) % 4:
        raise ValueError("expected a class, two sizes and seconds, any number of times")
    limits = {}
    for at in range(0, len(words), 4):
        kind, hard, soft, seconds = words[at : at + 4]
        kind = "replica" if kind == "slave" else kind
        if kind not in ("normal", "replica", "pubsub"):
            raise ValueError(f"'{kind}' is not normal, replica or pubsub")
        if not (seconds.isascii() and seconds.isdigit()):
            raise ValueError(f"'{seconds}' is not a number of seconds")
        limits[kind] = OutputLimit(parse_memory(hard), parse_memory(soft), int(seconds))
    return limits


def parse_percentiles(text: str) -> list[float]:
    """Numbers from 0 to 100, with blanks between; raises ValueError with the reason."""
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        raise ValueError("Invalid latency-tracking-info-percentiles parameters") from None
    if not all(0 <= number <= 100 for number in numbers):
        raise ValueError(
            "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
        )
    return numbers


def parse_events(text: str) -> str:
    """Classes of events in the order Redis shows them; raises ValueError with the reason.

    Redis shows no `n` where all other classes are on; here it can be seen.
    """
    if set(text) - set("KEg$lshzxetdmnA"):
        raise ValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
    classes = "g$lshzxetd"
    given = set(text) | (set(classes) if "A" in text else set())
    shown = "A" if given >= set(classes) else "".join(c for c in classes if c in given)
    return shown + "".join(c for c in "nKEm" if c in given)
