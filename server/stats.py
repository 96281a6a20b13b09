"""The server's plain counters. Whoever does the work adds one; INFO and the metrics read.

Nothing here locks or aggregates: everything that counts runs on the one loop.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stats:
    """Counts since the start or the last CONFIG RESETSTAT."""

    connections: int = 0
    rejected_connections: int = 0
    commands: int = 0
    net_in: int = 0  # bytes
    net_out: int = 0
    errors: Counter[str] = field(default_factory=Counter)  # by code: ERR, WRONGTYPE ...
    protocol_errors: int = 0
    internal_errors: int = 0
    waits: int = 0  # key reads that waited for the database, joins included
    joins: int = 0  # of those, the ones that joined a load in flight
    stale_served: int = 0
    load_errors: Counter[str] = field(default_factory=Counter)  # by source
    load_timeouts: Counter[str] = field(default_factory=Counter)
    statements: Counter[str] = field(default_factory=Counter)  # SELECTs sent, by source
    demand_rows: Counter[str] = field(default_factory=Counter)  # keys asked, by source
    prefetch_rows: Counter[str] = field(default_factory=Counter)
    negative_hits: int = 0

    def reset(self) -> None:
        """CONFIG RESETSTAT."""
        fresh = Stats()
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))
