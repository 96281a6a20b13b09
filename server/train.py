"""Offline training: recorded accesses become a model that a server starts from.

The files are read and cleaned (`predictor/cleaning.py`) one after the other and
replayed through a model of the cache (`predictor/rehearsal.py`), as a server does
with `history`; what counts is what would have missed. At the end the models that
are allowed compete with counting. Training may go on from an earlier model, whose
calibration, links and memory are the start.

What this file does not do: print (`train_command.py`), or learn links, which need
values that no log of accesses has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import msgspec

from antecache.predictor import registry
from antecache.predictor.calibrate import Calibrator
from antecache.predictor.challenge import LEAST_TRIALS, Challenge
from antecache.predictor.cleaning import Cleaned, clean
from antecache.predictor.judging import Bin, reliability
from antecache.predictor.model_file import Saved, buckets_of
from antecache.predictor.models import Report
from antecache.predictor.rehearsal import Rehearsal
from antecache.server.traces import Trace, read_trace

_SLICE = 5000


@dataclass(slots=True)
class Order:
    """What to train with.

    keys    that the cache holds; 0 is a tenth of the different ones
    memory  bytes that the predictor may occupy
    models  as the setting
    limit   accesses of each file that are read, 0 for all
    never   whether a key must never be predicted
    """

    paths: Sequence[str]
    predictor: str = "blend"
    keys: int = 0
    memory: int = 32 << 20
    row_budget: float = 0.25
    models: str = "auto"
    limit: int = 0
    never: Callable[[bytes], bool] = lambda _: False


@dataclass(slots=True)
class Outcome:
    """What came of it, beside the model itself.

    early   share of reads that waited in the first tenth of the accesses
    curves  calibration on the newer half of the candidates, by name
    """

    accesses: int = 0
    broken: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    bots: list[bytes] = field(default_factory=list)
    keys: int = 0
    waits: int = 0
    early: float = 0.0
    reports: list[Report] = field(default_factory=list)
    curves: dict[str, list[Bin]] = field(default_factory=dict)
    seconds: float = 0.0


def train(
    order: Order, start: Saved | None = None, *, tick: Callable[[str], None] = lambda _: None
) -> tuple[Saved, Outcome]:
    """Train from files, going on from `start`. Raises TraceError, and ValueError for a bad start.

    `tick` is told what is being done.
    """
    began = time.perf_counter()
    outcome = Outcome()
    found: list[tuple[Trace, Cleaned]] = []
    for path in order.paths:
        tick(f"reading {path}")
        trace = read_trace(path, limit=order.limit)
        names = trace.client_names
        cleaned = clean(trace.keys, trace.ids, trace.times, trace.clients, names, never=order.never)
        found.append((trace, cleaned))
        outcome.broken += trace.broken
        for into, counts in (
            (outcome.dropped, cleaned.dropped),
            (outcome.missing, cleaned.missing),
        ):
            for reason, count in counts.items():
                into[reason] = into.get(reason, 0) + count
        outcome.bots += cleaned.bots
    distinct = len({trace.keys[trace.ids[at]] for trace, cleaned in found for at in cleaned.kept})
    kind = registry.find(order.predictor)
    predictor = kind(order.memory)
    calibrator = Calibrator()
    challenge = Challenge(order.models, calibrator)
    calibrator.on_resolved = challenge.trials.add  # for the calibration curves in any case
    if start is not None:
        _take_over(start, order, calibrator)
        if start.state:
            predictor.load(start.state)
        if calibrator.plan.version:
            predictor.adopt(calibrator.plan)
    capacity = order.keys or max(1, distinct // 10)
    rehearsal = Rehearsal(predictor, calibrator, capacity, order.row_budget)
    total = sum(len(cleaned.kept) for _, cleaned in found)
    window: list[float] = []
    for trace, cleaned in found:
        tick(f"learning from {trace.name}")
        keys, ids, kept = trace.keys, trace.ids, cleaned.kept
        window += [*cleaned.times[:1], *cleaned.times[-1:]]
        for first in range(0, len(kept), _SLICE):
            rehearsal.feed([keys[ids[at]] for at in kept[first : first + _SLICE]])
            if not outcome.early and rehearsal.accesses >= total / 10:
                outcome.early = rehearsal.misses / max(rehearsal.accesses, 1)
    rehearsal.fit(time.time())
    if challenge.models and len(challenge.trials) >= LEAST_TRIALS:
        for name in challenge.hold():
            tick(f"trying {name}")
    trials = challenge.trials.columns()
    newer = trials.part(len(trials) // 2, len(trials))
    outcome.curves = {
        "calibrated": reliability(newer.estimates, newer.hits),
        "confidence as it is": reliability(newer.raws, newer.hits),
    }
    outcome.accesses, outcome.waits = rehearsal.accesses, rehearsal.misses
    outcome.keys, outcome.reports = distinct, challenge.reports
    outcome.seconds = time.perf_counter() - began
    before = start.accesses if start is not None else 0
    saved = Saved(
        made_by=version("antecache"),
        created=time.time(),
        predictor=order.predictor,
        buckets=buckets_of(kind),
        accesses=before + rehearsal.accesses,
        window=(min(window, default=0.0), max(window, default=0.0)),
        plan=challenge.improve(calibrator.plan).to_bytes(),
        state=predictor.dump(),
        links=start.links if start is not None else [],
        reports=[msgspec.to_builtins(report) for report in challenge.reports],
        cleaned=outcome.dropped,
    )
    return saved, outcome


def _take_over(start: Saved, order: Order, calibrator: Calibrator) -> None:
    if start.predictor != order.predictor:
        raise ValueError(
            f"was made by predictor '{start.predictor}'; '{order.predictor}' cannot go on from it"
        )
    plan = start.read_plan()
    if plan is not None:
        calibrator.resume(plan)
