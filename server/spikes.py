"""LATENCY's memory: what took longer than latency-monitor-threshold, event by event.

As in Redis (`latency.c`) an event keeps its last 160 samples, one a second at most (the
worst of that second), and its worst time ever. Times are milliseconds. The events:

- `command`, `fast-command`: a command, or one of those that are O(1) or O(log n)
- `expire-cycle`, `eviction-cycle`: the background work on keys
- `load`: a statement of the database behind the cache; Redis has nothing like it

While the threshold is 0 nothing is kept.

What this file does not do: measure anything.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import pairwise
from statistics import mean
from typing import NamedTuple

KEPT = 160
ROWS = 4  # of a graph
_STEPS = "_o#"  # the heights within one row
WIDTH = 80


class Sample(NamedTuple):
    """The worst of one second: Unix seconds, milliseconds."""

    at: int
    milliseconds: int


class Event:
    """The samples of one event, oldest first, and its worst time ever in milliseconds."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self.worst = 0

    def add(self, at: int, milliseconds: int) -> None:
        """One more; the worst of a second stays."""
        self.worst = max(self.worst, milliseconds)
        if self.samples and self.samples[-1].at == at:
            last = self.samples.pop()
            milliseconds = max(milliseconds, last.milliseconds)
        self.samples.append(Sample(at, milliseconds))


class Spikes:
    """The events that took at least `threshold` milliseconds; 0 keeps none."""

    def __init__(self, threshold: int) -> None:
        self.threshold = threshold
        self.events: dict[str, Event] = {}

    def add(self, event: str, nanoseconds: int) -> None:
        """Keep one, if it took long enough."""
        milliseconds = nanoseconds // 1_000_000
        if 0 < self.threshold <= milliseconds:
            self.events.setdefault(event, Event()).add(int(time.time()), milliseconds)

    def reset(self, names: list[str]) -> int:
        """Forget some events, all when none is named; returns how many there were."""
        found = [name for name in names or list(self.events) if name in self.events]
        for name in dict.fromkeys(found):
            del self.events[name]
        return len(dict.fromkeys(found))

    def graph(self, name: str) -> str | None:
        """LATENCY GRAPH: the last samples as columns, how long ago below; None without any."""
        event = self.events.get(name)
        if event is None:
            return None
        samples = list(event.samples)[-WIDTH:]
        values = [sample.milliseconds for sample in samples]
        low, high = min(values), max(values)
        head = f"{name} - high {high} ms, low {low} ms (all time high {event.worst} ms)"
        columns = [_column((value - low) / max(high - low, 1)) for value in values]
        now = int(time.time())
        ages = [_age(max(now - sample.at, 0)) for sample in samples]
        depth = max(map(len, ages))
        rows = [
            *("".join(column[row] for column in columns) for row in range(ROWS)),
            " " * len(columns),
            *("".join(age.ljust(depth)[row] for age in ages) for row in range(depth)),
        ]
        return "\n".join([head, "-" * WIDTH, *rows]) + "\n"

    def report(self) -> list[str]:
        """A line for each event: how often, how long, how regularly."""
        lines = []
        for number, (name, event) in enumerate(self.events.items(), 1):
            values = [sample.milliseconds for sample in event.samples]
            average = mean(values)
            deviation = mean(abs(value - average) for value in values)
            gaps = [later.at - one.at for one, later in pairwise(event.samples)]
            period = f", one every {mean(gaps):.2f} s" if gaps else ""
            lines.append(
                f"{number}. {name}: {len(values)} spikes (average {average:.0f} ms, mean "
                f"deviation {deviation:.0f} ms{period}). Worst of all time: {event.worst} ms."
            )
        return lines


def _column(share: float) -> str:
    """A column of ROWS characters, from the top, filled to `share` of its height."""
    step = min(int(share * ROWS * len(_STEPS)), ROWS * len(_STEPS) - 1)
    row, height = divmod(step, len(_STEPS))
    return " " * (ROWS - 1 - row) + _STEPS[height] + "|" * row


def _age(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
