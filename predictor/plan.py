"""What the trainer publishes: how much each kind of evidence is worth.

A Plan is a set of calibration buckets (how many trials of candidates that
looked like this, how many of them were asked for in time) with the thresholds
they were measured under, and the figures that say how good they are on data
they were not learned from. It is immutable, versioned and packed: adopting one
takes microseconds, and dropping the previous one frees a handful of objects.

The estimate is `(hits + 4 x 0.7 x raw) / (trials + 4)`: with no trials it is
0.7 of the raw share of visits, and the data takes over after a few trials.

What this file does not do: count trials (`calibrate.py`) or hold rules per key
(the miss log is the only memory of keys).
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

#: layout of the packed form; another number is refused
FORMAT = 1
#: weight of the prior in trials, and the share of the raw confidence it starts from
PRIOR_TRIALS = 4.0
PRIOR_SHARE = 0.7
#: largest packed Plan accepted
MAX_BYTES = 1 << 20
_MAX_BUCKETS = 1 << 14
#: most groups, and most that one may add to the log-odds
_MAX_GROUPS, _MAX_WEIGHT = 1024, 4.0


class PlanError(ValueError):
    """Bytes that are no usable Plan; `str()` says why."""


class HeldOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How good the estimates were on trials they were not learned from.

    Scores are means over `trials`; lower is better. `raw_*` are those of the
    uncalibrated confidence; `calibration_error` is the mean distance between
    estimate and frequency over ten bins of the estimate, weighted by trials.
    """

    trials: int = 0
    brier: float = 0.0
    log_loss: float = 0.0
    raw_brier: float = 0.0
    raw_log_loss: float = 0.0
    calibration_error: float = 0.0


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One publication of the trainer.

    version     counts publications of this trainer, from 1; 0 is the Plan before any
    created     Unix time in seconds
    trained_on  accesses seen
    hits        32-bit floats (little endian), one per bucket: trials that came true
    trials      the same: trials resolved
    window      slots after a visit that are looked at
    visits      earlier visits that are followed
    horizon     accesses within which a candidate must be asked for to be a hit
    held_out    figures on later data
    disabled    names of rules that yield no candidates
    model       the model whose numbers these are; empty for plain counting
    groups      what is added to the log-odds of candidates of a group (`features.py`)
    """

    version: int = 0
    created: float = 0.0
    trained_on: int = 0
    hits: bytes = b""
    trials: bytes = b""
    window: int = 24
    visits: int = 3
    horizon: int = 128
    held_out: HeldOut = HeldOut()
    disabled: tuple[str, ...] = ()
    model: str = ""
    groups: dict[str, float] = {}
    format: int = FORMAT

    @property
    def buckets(self) -> int:
        """How many buckets were counted; others have no trials."""
        return len(self.hits) // 4

    def counters(self, first: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Hits and trials of `count` buckets from `first`; zero where none were counted."""
        made = []
        for packed in (self.hits, self.trials):
            held = np.frombuffer(packed, dtype="<f4")[first : first + count]
            made.append(np.concatenate((held, np.zeros(count - len(held), dtype=np.float32))))
        return made[0], made[1]

    def score(self, bucket: int, raw: float) -> float:
        """The calibrated probability of a candidate of this bucket and raw confidence."""
        hits, trials = self.counters(bucket, 1)
        return float((hits[0] + PRIOR_TRIALS * PRIOR_SHARE * raw) / (trials[0] + PRIOR_TRIALS))

    def to_bytes(self) -> bytes:
        """The packed form."""
        return _encoder.encode(self)

    @classmethod
    def from_bytes(cls, packed: bytes) -> Plan:
        """The Plan in a packed form. Raises PlanError when it is not one that can be used."""
        if len(packed) > MAX_BYTES:
            raise PlanError(f"the plan has {len(packed)} bytes, more than {MAX_BYTES}")
        try:
            plan = _decoder.decode(packed)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise PlanError(f"the plan cannot be read: {error}") from None
        _verify(plan)
        return plan


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Plan)


def pack_counters(values: NDArray[Any]) -> bytes:
    """Counters as a Plan carries them."""
    return values.astype("<f4").tobytes()


def _verify(plan: Plan) -> None:
    if plan.format != FORMAT:
        raise PlanError(f"the plan has format {plan.format}, this server reads {FORMAT}")
    if len(plan.hits) != len(plan.trials) or len(plan.hits) % 4:
        raise PlanError("the plan's counters have different or odd lengths")
    if plan.buckets > _MAX_BUCKETS:
        raise PlanError(f"the plan has {plan.buckets} buckets, more than {_MAX_BUCKETS}")
    hits, trials = plan.counters(0, plan.buckets)
    if not (np.isfinite(hits).all() and np.isfinite(trials).all()):
        raise PlanError("the plan holds a counter that is not a number")
    if (hits < 0).any() or (hits > trials).any():
        raise PlanError("the plan holds negative counters, or more hits than trials")
    if not (1 <= plan.window <= 31 and 1 <= plan.visits <= 3 and 1 <= plan.horizon <= 1 << 20):
        raise PlanError("the plan's window, visits or horizon are out of range")
    if plan.version < 0 or plan.trained_on < 0:
        raise PlanError("the plan's version or number of accesses is negative")
    if len(plan.groups) > _MAX_GROUPS:
        raise PlanError(f"the plan has {len(plan.groups)} groups, more than {_MAX_GROUPS}")
    if not all(abs(weight) <= _MAX_WEIGHT for weight in plan.groups.values()):
        raise PlanError("the plan's weight of a group is out of range")
    figures = (plan.created, *(getattr(plan.held_out, name) for name in HeldOut.__struct_fields__))
    if not all(math.isfinite(figure) and figure >= 0 for figure in figures):
        raise PlanError("the plan holds a figure that is not a number, or negative")
