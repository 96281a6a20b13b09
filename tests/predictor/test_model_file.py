"""Model files: what is written is read back, and whatever is damaged is refused with a reason."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.predictor import model_file
from antecache.predictor.blend import Blend
from antecache.predictor.model_file import ModelError, Saved, load, parse, save
from antecache.predictor.plan import Plan, pack_counters


def saved(**changes: object) -> Saved:
    plan = Plan(version=4, hits=pack_counters(np.ones(9)), trials=pack_counters(np.full(9, 2.0)))
    made = Saved(
        made_by="1",
        created=1.0,
        predictor="blend",
        buckets=Blend.buckets,
        accesses=10,
        plan=plan.to_bytes(),
        links=[("orders", "customer_id", b"customers:", b"", 1.0, 2.0)],
        keys=[(b"a:1", 0.5)],
    )
    return msgspec.structs.replace(made, **changes)


def packed(made: Saved) -> bytes:
    content = msgspec.msgpack.encode(made)
    data = model_file._HEADER.pack(model_file.MAGIC, model_file.FORMAT, len(content)) + content
    return data + hashlib.sha256(data).digest()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "x.model"
    size = save(path, saved())
    assert path.stat().st_size == size
    assert load(path) == saved()
    assert [file.name for file in tmp_path.iterdir()] == ["x.model"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.model"
    save(path, saved())
    with pytest.raises(OSError):
        save(tmp_path / "nowhere" / "x.model", saved())
    assert load(path) == saved()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"buckets": 7}, "counts in 7 buckets"),
        ({"predictor": "oracle"}, "predictor 'oracle', which is not here"),
        ({"features": ("age",)}, "other features: age"),
        ({"plan": b"\x93"}, "the plan cannot be read"),
        ({"plan": Plan(hits=b"\0\0\0\0").to_bytes()}, "different or odd lengths"),
        (
            {
                "plan": Plan(
                    hits=pack_counters(np.array([9.0])), trials=pack_counters(np.array([1.0]))
                ).to_bytes()
            },
            "more hits than trials",
        ),
        ({"plan": Plan(groups={"a>b": 99.0}).to_bytes()}, "weight of a group"),
        ({"plan": Plan(groups={"a>b": float("nan")}).to_bytes()}, "weight of a group"),
        ({"keys": [(b"a", float("inf"))]}, "not a number"),
        ({"links": [("a", "b", b"", b"", -1.0, 1.0)]}, "negative count"),
        ({"accesses": -1}, "negative count"),
    ],
)
def test_poison_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        parse(packed(saved(**changes)))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"", "no model"),
        (lambda data: b"ANTECACH", "cut off"),
        (lambda data: data[:-1], "cut off"),
        (lambda data: data + b"x", "cut off, or something"),
        (lambda data: data[: len(data) // 2], "cut off"),
        (lambda data: b"\x80\x04." + data, "no model"),
        (lambda data: data[:11] + b"\x02" + data[12:], "format 2"),
        (lambda data: data[:40] + b"!" + data[41:], "digest"),
    ],
)
def test_damage_is_refused(damage: object, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.model"
    path.write_bytes(damage(packed(saved())))  # type: ignore[operator]
    with pytest.raises(ModelError, match=reason) as error:
        load(path)
    assert str(error.value).startswith(str(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        load(tmp_path / "x.model")


@settings(max_examples=200)
@given(st.integers(0, 10**9), st.integers(1, 255))
def test_any_changed_byte_is_noticed(place: int, change: int) -> None:
    data = bytearray(packed(saved()))
    data[place % len(data)] ^= change
    with pytest.raises(ModelError):
        parse(bytes(data))


@given(st.binary(max_size=200))
def test_a_well_formed_frame_around_anything_is_refused(content: bytes) -> None:
    data = model_file._HEADER.pack(model_file.MAGIC, model_file.FORMAT, len(content)) + content
    with pytest.raises(ModelError):
        parse(data + hashlib.sha256(data).digest())
