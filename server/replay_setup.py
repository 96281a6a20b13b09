"""What goes into a replay and what comes out: one configuration, its counts, and the tables.

The tables stand for a database's: every key of a trace is owned by one.

What this file does not do: replay (`replay.py`), or compare configurations (`sweep.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from antecache.predictor.models import Report
from antecache.server.backing.base import Source, SourceOptions
from antecache.server.rules import RuleSpec


@dataclass(frozen=True, slots=True, eq=False)
class Advice:
    """What a server is told about prediction by its config file, and by a model.

    rules            the operator's
    never            patterns of keys that are never predicted
    precision_floor  below which a rule is switched off
    models           which may compete with counting, as the setting `models`
    model            file of what was learned before the trace begins; empty for none
    """

    rules: tuple[RuleSpec, ...] = ()
    never: tuple[str, ...] = ()
    precision_floor: float = 0.25
    models: str = "off"
    model: str = ""

    @property
    def asks_time(self) -> bool:
        """Whether a rule depends on the hour or the weekday."""
        return any(rule.if_.hour is not None or rule.if_.weekday is not None for rule in self.rules)


COUNTING = Advice()
"""No rules, and nobody who competes with counting."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One configuration to replay.

    capacity      keys or bytes, by `unit`
    unit          keys | bytes | total
    value_size    bytes of every value, for `total` where no costs are given
    predictor     a predictor's name, or none
    memory_share  of the capacity, for the predictor, in the unit `total`
    memory_bytes  of the predictor in the other units, where it is not charged
    row_budget    extra rows prefetching may read, as a share
    arrival       requests until a prefetch that does not ride along arrives
    plan_lag      accesses between the fit of a Plan and its adoption
    advice        rules, patterns, models
    timed         whether the times of requests are seconds: then keys may have periods
    """

    policy: str = "s3fifo"
    predictor: str = "none"
    capacity: int = 1000
    unit: str = "keys"
    value_size: int = 1000
    memory_share: float = 0.50
    memory_bytes: int = 32 << 20
    row_budget: float = 0.25
    arrival: int = 0
    plan_lag: int = 0
    seed: int = 0
    advice: Advice = COUNTING
    timed: bool = True


@dataclass(slots=True)
class Result:
    """What a replay counted; see the README for the terms.

    waits      reads that found their key absent, late ones included; here the same as `misses`
    seconds    of CPU; filled in by who runs the replay
    by_rule    rule, prefetches issued and asked for, of the rules used most
    own_rules  the same of the operator's
    contests   between models and counting, and `reports` of the last one
    ranker     who ranked candidates at the end: `counting`, or the model that took over
    """

    setup: Setup
    requests: int = 0
    waits: int = 0
    misses: int = 0
    statements: int = 0
    rows: int = 0
    prefetches: int = 0
    useful: int = 0
    late: int = 0
    wasted: int = 0
    bytes_missed: int = 0
    metadata_bytes: int = 0
    seconds: float = 0.0
    plans: int = 0
    held_out: Any = None
    by_rule: list[tuple[str, int, int]] = field(default_factory=list)
    own_rules: list[tuple[str, int, int]] = field(default_factory=list)
    contests: int = 0
    reports: list[Report] = field(default_factory=list)
    ranker: str = ""

    @property
    def precision(self) -> float:
        """(useful + late) / (useful + late + wasted); 0 before any prefetch ended."""
        used = self.useful + self.late
        return used / (used + self.wasted) if used + self.wasted else 0.0


class _Table(Source):
    """The keys of one table of a trace."""

    __slots__ = ()

    @property
    def prefix(self) -> bytes:
        return self.name.encode()

    def match(self, key: bytes) -> tuple[Any, ...] | None:
        return (key,)


class Tables:
    """Which table owns a key: every key of a trace has one."""

    def __init__(self) -> None:
        self._tables: dict[bytes, Source] = {}
        self._options = SourceOptions()

    def owner(self, key: bytes) -> Source:
        name = key.partition(b":")[0] if b":" in key else b""
        table = self._tables.get(name)
        if table is None:
            made = _Table(name.decode("utf-8", "replace"), self._options, None)  # type: ignore[arg-type]
            table = self._tables[name] = made
        return table
