"""The Plan: packed, verified, and refused with a reason when it is poisoned."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.predictor.plan import MAX_BYTES, HeldOut, Plan, PlanError, pack_counters


def plan() -> Plan:
    return Plan(
        version=3,
        created=1.7e9,
        trained_on=5000,
        hits=pack_counters(np.array([1.0, 0.0, 250.5])),
        trials=pack_counters(np.array([4.0, 0.0, 300.0])),
        held_out=HeldOut(100, 0.1, 0.3, 0.2, 0.9, 0.02),
        disabled=("followed user:*>cart:*",),
    )


def test_it_reads_back() -> None:
    assert Plan.from_bytes(plan().to_bytes()) == plan()


def test_scores_start_from_the_prior_and_follow_the_data() -> None:
    assert plan().score(0, 0.5) == pytest.approx((1 + 1.4) / 8)
    assert plan().score(1, 0.5) == pytest.approx(0.35)
    assert plan().score(2, 0.0) == pytest.approx(250.5 / 304)
    assert plan().score(9999, 1.0) == pytest.approx(0.7)  # a bucket that was never counted


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hits": b"\0" * 8}, "lengths"),
        ({"hits": b"\0" * 11, "trials": b"\0" * 11}, "lengths"),
        ({"hits": pack_counters(np.array([math.nan, 0, 0]))}, "not a number"),
        ({"trials": pack_counters(np.array([math.inf, 0, 300]))}, "not a number"),
        ({"hits": pack_counters(np.array([-1.0, 0, 0]))}, "negative"),
        ({"hits": pack_counters(np.array([5.0, 0, 0]))}, "more hits"),
        ({"hits": b"\0" * 80_000, "trials": b"\0" * 80_000}, "buckets"),
        ({"window": 0}, "out of range"),
        ({"window": 32}, "out of range"),
        ({"visits": 4}, "out of range"),
        ({"horizon": 0}, "out of range"),
        ({"version": -1}, "negative"),
        ({"created": math.nan}, "figure"),
        ({"held_out": HeldOut(brier=math.inf)}, "figure"),
        ({"format": 2}, "format 2"),
    ],
)
def test_a_poisoned_plan_is_refused(change: dict[str, object], reason: str) -> None:
    packed = msgspec.msgpack.encode(msgspec.structs.replace(plan(), **change))
    with pytest.raises(PlanError, match=reason):
        Plan.from_bytes(packed)


def test_a_huge_plan_is_refused_unread() -> None:
    with pytest.raises(PlanError, match="more than"):
        Plan.from_bytes(b"\x81" + b"\0" * MAX_BYTES)


@given(st.integers(0, 10_000))
def test_a_truncated_plan_is_refused(cut: int) -> None:
    packed = plan().to_bytes()
    with pytest.raises(PlanError):
        Plan.from_bytes(packed[: cut % len(packed)])


@given(st.binary(max_size=200))
def test_anything_else_is_refused(packed: bytes) -> None:
    with pytest.raises(PlanError):
        Plan.from_bytes(packed)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_gives_a_usable_plan_or_none(position: int, byte: int) -> None:
    packed = bytearray(plan().to_bytes())
    packed[position % len(packed)] = byte
    try:
        read = Plan.from_bytes(bytes(packed))
    except PlanError:
        return
    assert all(0 <= read.score(bucket, 1.0) <= 1 for bucket in range(read.buckets))
