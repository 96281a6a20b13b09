"""Who should lead: the candidates of `auto`, and the rule by which one succeeds another.

The candidates were chosen on the traces of `tests/bench/policies.py`: the best of
these in hindsight is about as good as the best of libCacheSim's twenty. The
windows of W-TinyLFU differ instead of adapting, because ghost caches tell sooner
than a hill climber which one is right.

The rule looks at pairs. Of the accesses that one of two candidates missed and
the other hit, a challenger must have won so many more than it lost that chance
(the square root of all of them) does not explain it, and it must save a share of
the misses worth the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any, NamedTuple

from antecache.policies._panel import Panel


class Candidate(NamedTuple):
    """A policy with its settings; `label` is its name in the standings."""

    label: str
    policy: str
    settings: dict[str, Any]


class Doubt(NamedTuple):
    """Standard errors by which a challenger must be ahead.

    tune  where it is the leader's policy with another setting
    move  where it is another policy
    """

    tune: float
    move: float


CANDIDATES = (
    Candidate("wtinylfu-10", "wtinylfu", {"window": 0.1, "climb": False}),
    Candidate("wtinylfu-1", "wtinylfu", {"window": 0.01, "climb": False}),
    Candidate("wtinylfu-30", "wtinylfu", {"window": 0.3, "climb": False}),
    Candidate("s3fifo-10", "s3fifo", {"small": 0.1}),
    Candidate("s3fifo-40", "s3fifo", {"small": 0.4}),
    Candidate("gdsf", "gdsf", {}),
)
SIZED = "gdsf"  # leads only where sizes vary, and there from the start


def challenger(
    panel: Panel,
    candidates: Sequence[Candidate],
    leader: int,
    *,
    doubt: Doubt,
    least_gain: float,
    sized: bool,
) -> int:
    """The index of the candidate that should lead: `leader`, or the one that gains most.

    least_gain  share of the leader's misses that must be saved
    sized       whether the budget counts bytes and sizes vary
    """
    only = panel.only
    policy = candidates[leader].policy
    best, most = leader, least_gain * panel.misses[leader]
    for other, won in enumerate(only[leader]):
        lost = only[other][leader]
        gain = won - lost
        if gain <= most:
            continue
        candidate = candidates[other]
        errors = doubt.tune if candidate.policy == policy else doubt.move
        if gain > errors * sqrt(won + lost) and (sized or candidate.policy != SIZED):
            best, most = other, gain
    return best
