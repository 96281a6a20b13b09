"""The server's plain counters. Whoever does the work adds one; INFO and the metrics read.

Nothing here locks or aggregates: everything that counts runs on the one loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol


class Traffic(Protocol):
    """A connection that counts its bytes."""

    net_in: int
    net_out: int


@dataclass(slots=True)
class Stats:
    """Counts since the start or the last CONFIG RESETSTAT."""

    connections: int = 0
    rejected_connections: int = 0
    ended_in: int = 0  # bytes of connections that have ended; live ones count their own
    ended_out: int = 0
    errors: Counter[str] = field(default_factory=Counter)  # by code: ERR, WRONGTYPE ...
    protocol_errors: int = 0
    internal_errors: int = 0
    output_disconnections: int = 0  # clients that passed client-output-buffer-limit
    waits: int = 0  # key reads that waited for the database, joins included
    joins: int = 0  # of those, the ones that joined a load in flight
    stale_served: int = 0
    load_errors: Counter[str] = field(default_factory=Counter)  # by source
    load_timeouts: Counter[str] = field(default_factory=Counter)
    statements: Counter[str] = field(default_factory=Counter)  # SELECTs sent, by source
    demand_rows: Counter[str] = field(default_factory=Counter)  # keys asked, by source
    prefetch_rows: Counter[str] = field(default_factory=Counter)

    live: Callable[[], Iterable[Traffic]] = tuple  # the connections open now

    @property
    def net_in(self) -> int:
        """Bytes received."""
        return self.ended_in + sum(one.net_in for one in self.live())

    @property
    def net_out(self) -> int:
        """Bytes sent."""
        return self.ended_out + sum(one.net_out for one in self.live())

    def reset(self) -> None:
        """CONFIG RESETSTAT."""
        fresh = Stats(live=self.live)
        fresh.ended_in, fresh.ended_out = self.ended_in - self.net_in, self.ended_out - self.net_out
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))
