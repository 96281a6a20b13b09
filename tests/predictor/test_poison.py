"""What was remembered, damaged in every way: refused with a reason, or used without harm."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import pytest

from antecache.predictor.blend import Blend
from antecache.predictor.links import Links
from antecache.predictor.plan import Plan, PlanError

BUDGET = 200_000
NUMBERS = (0, -1, 1 << 20, 1 << 31, 1 << 32, (1 << 63) - 1, -(1 << 63))
FLOATS = (math.nan, math.inf, -math.inf, -1.0, 1e308)


def keys(number: int) -> tuple[bytes, ...]:
    return b"a:%d" % number, b"b:%d:0" % number, b"t:%x" % (number * 7919), b"%d" % (8 * number)


def drive(predictor: Blend, rng: random.Random, visits: int) -> None:
    for _ in range(visits):
        for key in keys(rng.randrange(200)):
            for candidate in predictor.candidates(key):
                assert type(candidate.key) is bytes
                assert 0 <= candidate.score <= 1
            predictor.observe(key, demand=True)


@pytest.fixture(scope="module")
def state() -> bytes:
    """What a predictor remembers that has met keys of every kind."""
    predictor, rng = Blend(BUDGET), random.Random(1)
    predictor.settle(1e-9, 0.99)
    drive(predictor, rng, 400)
    predictor.settle(1e-9, 0.99)
    drive(predictor, rng, 400)
    return predictor.dump()


def damaged(value: Any, rng: random.Random) -> Any:
    """The same with one leaf changed."""
    if isinstance(value, list | dict) and value:
        place = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        made = value.copy()
        made[place] = damaged(value[place], rng)
        return made
    if isinstance(value, float):
        return rng.choice(FLOATS)
    if isinstance(value, int):
        return rng.choice((*NUMBERS, value + 1))
    if isinstance(value, bytes) and value:
        how = rng.randrange(4)
        if how == 0:
            return value[: rng.randrange(len(value))]
        if how == 1:
            return value + value[:9]
        flipped = bytearray(value)
        for _ in range(rng.choice((1, 3, 40))):
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    return None


def test_a_damaged_state_is_refused_or_does_no_harm(state: bytes) -> None:
    rng, tree = random.Random(2), msgspec.msgpack.decode(state)
    refused = 0
    for _ in range(250):
        changed = damaged(tree, rng) if rng.random() < 0.9 else damaged(state, rng)
        packed = changed if isinstance(changed, bytes) else msgspec.msgpack.encode(changed)
        predictor = Blend(BUDGET)
        try:
            predictor.load(packed)
        except ValueError as error:
            refused += 1
            assert str(error)
            continue
        predictor.check()
        drive(predictor, rng, 15)
        predictor.settle(1e-9, 0.99)
        drive(predictor, rng, 5)
        predictor.check()
        assert math.isfinite(predictor.promise)
        predictor.dump()
    assert refused > 50


def test_counts_that_cannot_be_are_refused(state: bytes) -> None:
    tree = msgspec.msgpack.decode(state)
    for number in (math.nan, math.inf, 1e300):
        tree[2][1][0] = number
        with pytest.raises(ValueError, match="cannot be"):
            Blend(BUDGET).load(msgspec.msgpack.encode(tree))


def test_a_shape_whose_fields_are_not_there_is_refused(state: bytes) -> None:
    """Such a state was taken, and the next key of that shape was an IndexError."""
    outer = msgspec.msgpack.decode(state)
    log = msgspec.msgpack.decode(outer[0])
    assert log[6]["shapes"]
    for fields in ([41], [0], [-1], [1, 1], [3, 1]):
        log[6]["shapes"][0][1] = fields
        outer[0] = msgspec.msgpack.encode(log)
        with pytest.raises(ValueError, match="varying field"):
            Blend(BUDGET).load(msgspec.msgpack.encode(outer))


def test_a_damaged_plan_is_refused_or_says_nothing_impossible() -> None:
    rng, refused = random.Random(3), 0
    packed = Plan(version=3, hits=b"\0\0\x80\x3f" * 40, trials=b"\0\0\0\x40" * 40).to_bytes()
    tree = msgspec.msgpack.decode(packed)
    for _ in range(600):
        changed = damaged(tree, rng) if rng.random() < 0.7 else damaged(packed, rng)
        again = changed if isinstance(changed, bytes) else msgspec.msgpack.encode(changed)
        try:
            plan = Plan.from_bytes(again)
        except PlanError as error:
            refused += 1
            assert str(error)
            continue
        predictor = Blend(BUDGET)
        predictor.adopt(plan)
        drive(predictor, rng, 3)
    assert refused > 200


def test_links_with_numbers_that_cannot_be_stay_probabilities() -> None:
    for hits, trials in ((math.inf, 1.0), (1e308, 1e308), (5.0, 1.0), (-1.0, 3.0)):
        links = Links()
        links.load([("orders", "user_id", b"users:", b"", hits, trials)])
        found = links.candidates("orders", b"orders:1", [("user_id", b"7")], lambda _: True)
        assert all(0 <= candidate.score <= 1 for candidate in found)
