"""The value of a stream against a plain model, and what its operations cost."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.server.idmap import SPARE, IdMap
from antecache.server.stream import Stream

ids = st.integers(1, 60)


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("put"), ids),
            st.tuples(st.just("pop"), ids),
            st.tuples(st.just("first"), ids),
            st.tuples(st.just("last"), ids),
            st.tuples(st.just("shift"), st.integers(0, 5)),
            st.tuples(st.just("below"), ids),
        ),
        max_size=200,
    ),
    bounds=st.tuples(ids, ids),
)
def test_a_map_is_in_order_whatever_comes_and_goes(
    steps: list[tuple[str, int]], bounds: tuple[int, int]
) -> None:
    held: IdMap[int] = IdMap()
    model: dict[int, int] = {}
    for step, (kind, key) in enumerate(steps):
        if kind == "put":
            held.put(key, step)
            model[key] = step
        elif kind in ("shift", "below"):
            count, below = (key, 100) if kind == "shift" else (100, key)
            gone = [one for one in sorted(model) if one < below][:count]
            assert held.shift(count, below) == [model.pop(one) for one in gone]
        else:
            if kind != "pop":
                key = held.first if kind == "first" else held.last
                assert key == ((min if kind == "first" else max)(model) if model else 0)
            assert held.pop(key) == model.pop(key, None)
        held.check()
    assert len(held) == len(model)
    assert dict(held.forward()) == model
    low, high = bounds
    within = [(key, model[key]) for key in sorted(model) if low <= key <= high]
    assert list(held.forward(low, high)) == within
    assert list(held.backward(low, high)) == within[::-1]
    assert dict(held.copy().forward()) == model


def test_a_map_used_as_a_queue_keeps_its_size() -> None:
    held: IdMap[int] = IdMap()
    for key in range(1, 20_000):
        held.put(key, key)
        if key > 50:
            held.pop(key - 50)
    held.check()
    assert len(held._ids) <= 2 * 50 + SPARE + 1
    for key in range(20_000, 20_200):
        held.put(key, key)
    for key in range(20_001, 20_199):
        held.pop(key)
    assert [key for key, _ in held.forward(20_000)] == [20_000, 20_199]
    held.check()


class Model:
    """A stream as plain Python: entries, and each group's pending entries by id."""

    def __init__(self) -> None:
        self.entries: dict[int, tuple[bytes, ...]] = {}
        self.groups: dict[bytes, dict[int, bytes]] = {}


def test_a_stream_is_its_model_and_its_books_are_right() -> None:
    rng = random.Random(3)
    for _ in range(60):
        stream, model = Stream(), Model()
        for step in range(1, 150):
            act(rng, stream, model, step)
            stream.check()
            assert dict(stream.entries.forward()) == model.entries
            for name, pending in model.groups.items():
                group = stream.groups[name]
                assert {k: one.consumer.name for k, one in group.pending.forward()} == pending
        twin = stream.copy()
        twin.check()
        assert twin.nbytes == stream.nbytes
        twin.append(twin.last + 1, (b"f", b"v"))
        for name in list(twin.groups):
            twin.destroy_group(name)
        twin.check()
        stream.check()
        assert dict(stream.entries.forward()) == model.entries


def act(rng: random.Random, stream: Stream, model: Model, step: int) -> None:
    """One random change, of both."""
    name = rng.choice((b"g", b"h"))
    group: Any = stream.groups.get(name)
    kind = rng.randrange(9)
    if kind < 3:
        key = stream.last + rng.randrange(1, 5)
        fields = tuple(rng.randbytes(rng.randrange(6)) for _ in range(2 * rng.randrange(1, 3)))
        stream.append(key, fields)
        model.entries[key] = fields
    elif kind == 3:
        key = rng.randrange(1, stream.last + 2)
        assert stream.delete(key) == (model.entries.pop(key, None) is not None)
    elif kind == 4 and rng.random() < 0.3:
        length = rng.randrange(30)
        gone = sorted(model.entries)[: max(0, len(model.entries) - length)]
        assert stream.trim(length, 1 << 128) == len(gone)
        for key in gone:
            del model.entries[key]
    elif kind == 5:
        if group is None:
            stream.create_group(name, 0, None)
            model.groups[name] = {}
        elif rng.random() < 0.1:
            stream.destroy_group(name)
            del model.groups[name]
    elif group is not None and kind < 8:
        wanted = rng.choice((b"c", b"d"))
        consumer = group.consumers.get(wanted) or stream.create_consumer(group, wanted, step)
        for key in rng.sample(sorted(model.entries), min(2, len(model.entries))):
            stream.assign(group, key, consumer, step, 1)
            model.groups[name][key] = wanted
        if rng.random() < 0.1:
            stream.remove_consumer(group, consumer)
            kept = {k: who for k, who in model.groups[name].items() if who != wanted}
            model.groups[name] = kept
    elif group is not None:
        key = rng.randrange(1, stream.last + 2)
        assert stream.acknowledge(group, key) == (model.groups[name].pop(key, None) is not None)


def test_a_rough_trim_takes_whole_hundreds() -> None:
    stream = Stream()
    for key in range(1, 351):
        stream.append(key, (b"f", b"v"))
    assert stream.trim(340, 1 << 128, roughly=True) == 0
    assert stream.trim(120, 1 << 128, roughly=True, limit=150) == 100
    assert stream.trim(120, 1 << 128, roughly=True) == 100
    assert stream.trim(0, 320, roughly=True) == 100
    assert stream.trim(0, 320, roughly=True) == 0
    assert stream.trim(0, 400, roughly=True) == 50
    stream.check()
    assert stream.last == 350


def test_the_lag_is_known_while_nothing_ahead_was_deleted() -> None:
    stream = Stream()
    for key in range(1, 11):
        stream.append(key, (b"f", b"v"))
    stream.create_group(b"g", 0, None)
    group = stream.groups[b"g"]
    assert stream.lag(group) == 10
    stream.advance(group, 1)
    assert (group.read, stream.lag(group)) == (1, 9)
    stream.delete(5)
    assert stream.lag(group) is None
    stream.trim(4, 1 << 128)
    assert stream.lag(group) == 4
    for key in (7, 8, 9, 10):
        stream.advance(group, key)
    assert stream.lag(group) == 0
    stream.trim(0, 1 << 128)
    assert stream.lag(group) == 0
