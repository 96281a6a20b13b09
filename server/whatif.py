"""What the hit ratio would be otherwise: without prefetching, under other policies, with more
memory or less.

The policy `auto` runs ghost caches over a sample of the keys, and they know of no
prefetch: a prefetched key reaches the policy at its first use, as a missed key
does. So the leading ghost's misses are what clients would have waited for had
nothing been prefetched, but in a cache smaller by what probation and the
predictor take; the curve says how much that part is worth. What was really
waited for is counted here over a past that weighs as the ghosts' does.

Ratios are waits per read of a key that a source can load; reads of other present
keys count as hits on the real side only.

What this file does not do: run ghost caches (`policies/auto.py`), or word replies.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from antecache.server.command import ServerView

ENOUGH = 1000  # reads the ghosts must have seen before their figures mean anything
NO_GHOSTS = (
    "the policy '{}' keeps no ghost caches to ask; CONFIG SET maxmemory-policy auto starts them"
)
TOO_LITTLE = "maxmemory leaves too little for ghost caches beside the values"
TOO_FEW = "only {:,.0f} reads seen so far: wait for some thousands"


@runtime_checkable
class Ghostly(Protocol):
    """A policy that runs ghost caches beside itself: `auto`."""

    switches: int
    memory: int  # bytes that entries and ghost caches may take together

    @property
    def asleep(self) -> bool:
        """Whether it runs none, because that memory is too little for them."""

    @property
    def leading(self) -> str:
        """The candidate in use, as `standings` names it."""

    @property
    def window(self) -> float:
        """How many recent reads the figures speak of."""

    def standings(self) -> dict[str, float]:
        """Miss ratio by candidate."""

    def curve(self) -> list[tuple[float, float]]:
        """(share of the present memory, miss ratio)."""


class Lately:
    """Reads and waits of the recent past; `look` is called ten times a second or so.

    What lies further back than the ghosts' window fades as new reads come.
    """

    def __init__(self) -> None:
        self.reads = self.waits = 0.0
        self._hits = self._waited = 0

    def look(self, server: ServerView) -> None:
        """Take in what was counted since the last look."""
        hits, waited = server.store.hits, server.stats.waits
        if hits < self._hits or waited < self._waited:  # CONFIG RESETSTAT
            self._hits = self._waited = 0
        waits = waited - self._waited
        self.reads += hits - self._hits + waits
        self.waits += waits
        self._hits, self._waited = hits, waited
        policy = server.store.policy
        window = policy.window if isinstance(policy, Ghostly) else 0.0
        if ENOUGH < window < self.reads:
            self.waits *= window / self.reads
            self.reads = window

    @property
    def ratio(self) -> float:
        """Waits per read; 0 before the first."""
        return self.waits / self.reads if self.reads else 0.0


class Outlook(NamedTuple):
    """Miss ratios now and otherwise; of the last three nothing without ghost caches.

    note      why figures are missing or not to be relied on yet; else empty
    window    recent reads that the ghosts' figures speak of
    without   were nothing prefetched, and its memory the policy's
    memory    (share of the present memory, ratio), without prefetching
    policies  ratio by candidate, without prefetching
    """

    policy: str
    note: str
    leader: str
    switches: int
    window: float
    measured: float
    without: float | None
    memory: list[tuple[float, float]]
    policies: dict[str, float]


def outlook(server: ServerView) -> Outlook:
    """All of it, as of now."""
    server.lately.look(server)
    measured, policy = server.lately.ratio, server.store.policy
    if not isinstance(policy, Ghostly):
        note = NO_GHOSTS.format(policy.name)
        return Outlook(policy.name, note, "", 0, 0.0, measured, None, [], {})
    if policy.asleep:
        switches = policy.switches
        return Outlook(policy.name, TOO_LITTLE, "", switches, 0.0, measured, None, [], {})
    memory = policy.curve()
    return Outlook(
        policy.name,
        TOO_FEW.format(policy.window) if policy.window < ENOUGH else "",
        policy.leading,
        policy.switches,
        policy.window,
        measured,
        at(memory, _given_back(server)),
        memory,
        policy.standings(),
    )


def _given_back(server: ServerView) -> float:
    """The policy's part of the cache were nothing prefetched, as a multiple of what it is."""
    store = server.store
    if not store.policy.count or not store.policy.total:
        return 1.0
    if not server.config.maxmemory:
        return store.residents / store.policy.count
    predictor = server.metadata().get("predictor", 0)
    return 1.0 + (store.probation.queue.size + predictor) / store.policy.total


def at(curve: list[tuple[float, float]], share: float) -> float:
    """The ratio at a share of the memory: a straight line over the logarithm between two points."""
    before = curve[0]
    for after in curve:
        if share <= after[0]:
            if after[0] == before[0]:
                return after[1]
            way = math.log(share / before[0]) / math.log(after[0] / before[0])
            return before[1] + way * (after[1] - before[1])
        before = after
    return before[1]
