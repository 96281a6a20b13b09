"""One resident key: what the policy sees of it, its value, and where it came from.

Policy state lives where the value lives (`Entry` extends `policies.base.Node`),
so a hit needs one dictionary probe and no second one. Where an entry came from
is an `Origin`, shared by all entries of a source, or an `Evidence`, its own, for
an entry that a prediction brought.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from antecache.policies.base import Node
from antecache.server.backing.base import Source
from antecache.server.store.kinds import kind_of

if TYPE_CHECKING:
    from antecache.server.store.shard import Shard

PROBATION = -1
"""`Entry.where` of a prefetched entry that nobody has used yet."""


class Origin:
    """The source that owns a key, and what a load of it costs.

    cost  seconds a demand load takes, as a moving average
    """

    __slots__ = ("cost", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.cost = 0.0

    @property
    def stale_ms(self) -> int:
        """How long past its expiry a value may answer while the database fails."""
        return int(self.source.options.stale_for * 1000)


class Evidence:
    """Why a key was prefetched: kept with the entry, and what EXPLAIN shows.

    origin   of the key's source
    trigger  the key whose miss brought it (b"" for a hint)
    rule     the ledger's name of the evidence
    bucket   the calibration bucket of its score
    score    the probability it was given
    at       Unix milliseconds when it was issued
    """

    __slots__ = ("at", "bucket", "origin", "rule", "score", "trigger", "why")

    def __init__(
        self,
        origin: Origin,
        trigger: bytes,
        rule: str,
        bucket: int,
        score: float,
        at: int,
        why: tuple[tuple[str, float], ...] = (),
    ) -> None:
        self.origin = origin
        self.trigger = trigger
        self.rule = rule
        self.bucket = bucket
        self.score = score
        self.at = at
        self.why = why

    @property
    def source(self) -> Source:
        """The source of the key."""
        return self.origin.source

    @property
    def cost(self) -> float:
        """As `Origin.cost`."""
        return self.origin.cost

    @property
    def stale_ms(self) -> int:
        """As `Origin.stale_ms`."""
        return self.origin.stale_ms


class Entry(Node):
    """A resident key. `origin` is None for a key that no source owns."""

    __slots__ = ("origin", "shard", "value")

    def __init__(self, key: bytes, value: Any, size: int, shard: Shard) -> None:
        self.key = key
        self.size = size
        self.expire_at = 0
        self.where = 0
        self.state = 0
        self.prev = self.next = None
        self.value = value
        self.shard = shard
        self.origin: Origin | Evidence | None = None

    @property
    def cost(self) -> float:
        """Seconds a load of this key takes; 0.0 for a key no source owns."""
        return 0.0 if self.origin is None else self.origin.cost

    @property
    def kind(self) -> str:
        """The value's Redis type."""
        return kind_of(self.value).name
