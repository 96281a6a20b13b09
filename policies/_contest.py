"""Who should lead: the candidates of `auto`, and the rule by which one succeeds another.

The candidates were chosen on the traces of `tests/bench/policies.py`: the best of
these in hindsight is about as good as the best of libCacheSim's twenty. The
windows of W-TinyLFU differ instead of adapting, because ghost caches tell sooner
than a hill climber which one is right.

The rule is that of renting and buying: a change has a price, in misses, and is
made when another candidate would have saved that much lately. The price is a
share of what the cache holds, because that is what has to be loaded again in the
worst case; it is highest where nodes move to another policy, and lowest in a
small cache, where the ghosts hold the right state already. Chance alone must not
explain what was saved either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from antecache.policies._panel import Panel


class Candidate(NamedTuple):
    """A policy with its settings; `label` is its name in the standings."""

    label: str
    policy: str
    settings: dict[str, Any]


CANDIDATES = (
    Candidate("wtinylfu-10", "wtinylfu", {"window": 0.1, "climb": False}),
    Candidate("wtinylfu-1", "wtinylfu", {"window": 0.01, "climb": False}),
    Candidate("wtinylfu-30", "wtinylfu", {"window": 0.3, "climb": False}),
    Candidate("s3fifo-10", "s3fifo", {"small": 0.1}),
    Candidate("s3fifo-40", "s3fifo", {"small": 0.4}),
)
BY_SIZE = Candidate("gdsf", "gdsf", {})  # leads from the start where sizes vary, else is left out
# Prices of a change, in misses for each key a ghost cache holds: in a small cache, of a
# setting in a large one, of the policy in a large one.
FOLLOW, TUNE, MOVE = 0.4, 0.2, 0.4
LEAST_SAVED = 10  # misses below which nothing happens, however small the cache
ERRORS = 3.0  # standard errors of chance that what was saved must exceed
LARGE = "s3fifo-10"  # leads a large cache at first: robust, and its hits cost least


def challenger(panel: Panel, candidates: Sequence[Candidate], *, keys: float, small: bool) -> int:
    """The index of the candidate that should lead: the leader, or the one that saves most.

    keys   that a ghost cache holds
    small  whether the cache follows its leading ghost
    """
    leader = panel.leader
    policy = candidates[leader].policy
    best, most = leader, LEAST_SAVED
    for other, saved in enumerate(panel.saved):
        if saved <= most or saved * saved <= ERRORS * ERRORS * panel.split[other]:
            continue
        candidate = candidates[other]
        price = FOLLOW if small else TUNE if candidate.policy == policy else MOVE
        if saved > price * keys:
            best, most = other, saved
    return best
