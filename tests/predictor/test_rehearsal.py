"""A rehearsal leaves predictor and calibration warm."""

from __future__ import annotations

import random

from antecache.predictor.calibrate import Calibrator
from antecache.predictor.misslog import MissLog
from antecache.predictor.rehearsal import Rehearsal, next_fit


def keys(requests: int, chains: int) -> list[bytes]:
    rng = random.Random(1)
    made: list[bytes] = []
    while len(made) < requests:
        chain = rng.randrange(chains)
        made += [b"user:%d" % chain, b"cart:%d" % chain, b"noise:%d" % rng.getrandbits(30)]
    return made


def test_prefetches_of_planted_sequences_come_true() -> None:
    log, calibrator = MissLog(100_000), Calibrator()
    rehearsal = Rehearsal(log, calibrator, capacity=60)
    rehearsal.feed(keys(6000, 300))
    before = rehearsal.misses
    rehearsal.feed(keys(6000, 300))
    # of user and cart one miss is left; the noise misses always
    assert rehearsal.misses - before < 2 * 2000 + 700
    assert rehearsal.used > 1000
    assert rehearsal.rows < 1.4 * (rehearsal.misses + rehearsal.used)
    best = log.candidates(b"user:7")[0]
    assert best.key == b"cart:7"
    assert best.score > 0.8
    assert calibrator.plan.version > 3
    assert calibrator.plan.held_out.brier < calibrator.plan.held_out.raw_brier
    log.check()


def test_little_is_wasted_where_nothing_repeats() -> None:
    """Only what the uncalibrated estimates promise before the first Plans is tried in vain."""
    rng = random.Random(2)
    rehearsal = Rehearsal(MissLog(100_000), Calibrator(), capacity=60)
    rehearsal.feed(b"user:%d" % rng.randrange(2000) for _ in range(6_000))
    assert rehearsal.rows - rehearsal.misses < 0.2 * rehearsal.misses
    wasted = rehearsal.rows - rehearsal.misses
    rehearsal.feed(b"user:%d" % rng.randrange(2000) for _ in range(6_000))
    assert rehearsal.rows - rehearsal.misses - wasted < 0.02 * rehearsal.misses


def test_plans_come_quickly_at_first() -> None:
    due, at = [], 0
    while at < 45_000:
        at = next_fit(at)
        due.append(at)
    assert due == [250, 500, 1000, 2000, 4000, 8000, 10_000, 20_000, 30_000, 40_000, 50_000]
