"""Messages between server and trainer: what is written is read, what is not is refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.predictor import messages
from antecache.predictor.messages import (
    FrameError,
    Hello,
    History,
    Import,
    Log,
    Publish,
    Schedule,
    Train,
)
from antecache.predictor.periods import Due


@pytest.mark.parametrize(
    "message",
    [Hello(plan=b"x"), Log(1, [b"k", None, b"m", 3, [b"c", 1, 0.5, True]]), Import("p"), Train()],
)
def test_the_worker_reads_what_the_server_packs(message: messages.ToWorker) -> None:
    packed = messages.pack(message)
    assert messages.length_of(packed[:4]) == len(packed) - 4
    assert messages.read_by_worker(packed[4:]) == message


@pytest.mark.parametrize(
    "message",
    [Publish(b"p"), History(b"s", b"p", 1, 2, 3, 0.5), Schedule([Due(b"k", 1.5, 60.0, 0.1, 0.9)])],
)
def test_the_server_reads_what_the_worker_packs(message: messages.ToServer) -> None:
    assert messages.read_by_server(messages.pack(message)[4:]) == message


def test_a_block_of_the_access_log_is_a_message() -> None:
    items = [4, b"k", True, b"p"]
    block = msgspec.msgpack.encode({"kind": "log", "time": 5, "items": items})
    assert messages.read_by_worker(messages.frame(block)[4:]) == Log(5, items)


def test_a_plain_map_with_the_kind_is_a_message() -> None:
    order = msgspec.msgpack.encode({"kind": "import", "path": "a.csv", "limit": 5})
    assert messages.read_by_worker(order) == Import("a.csv", limit=5)


@given(st.binary(max_size=60))
def test_anything_else_is_refused(payload: bytes) -> None:
    for read in (messages.read_by_worker, messages.read_by_server):
        with pytest.raises(FrameError):
            read(payload)


def test_an_endless_frame_is_refused() -> None:
    with pytest.raises(FrameError, match="bytes"):
        messages.length_of(b"\xff\xff\xff\xff")
