"""What server and trainer say to each other, and how it is framed.

A frame is a 4-byte big-endian length and one msgpack map, whose `kind` names
the message. Both directions are pipes of a child process, so order is kept and
nothing is lost unless a side dies. Each side knows only what is written here.

What this file does not do: read or write pipes (`worker.py`, `trainer.py`), or
look into the bytes of a Plan or a predictor's state.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from antecache.predictor.periods import Due

#: a longer frame is refused: it is no block of a log and no state, or the pipe is out of step
MAX_FRAME = 256 << 20
HEADER = struct.Struct(">I")


class FrameError(ValueError):
    """Bytes that are no message of this protocol; `str()` says why."""


class _Message(msgspec.Struct, tag_field="kind", frozen=True):
    pass


class Hello(_Message, tag="hello", frozen=True):
    """First message of a server, and again after every restart of the trainer.

    predictor     name of the predictor whose history is rehearsed (`registry.py`)
    budget        bytes that the server's predictor may occupy
    capacity      keys that the server's cache holds, about; at least 1
    charged       whether the memory of the predictor is taken from the cache's
    horizon       accesses within which a candidate must be asked for to be a hit
    memory_limit  bytes of heap the trainer may allocate; 0 is no limit
    disabled      names of rules that shall yield no candidates
    models        which models may compete with counting (`challenge.py`)
    record        a file that the log is appended to; empty for none
    record_limit  bytes at which that stops
    spared        models that are not tried, since one of them hung
    alive         seconds between two signs of life
    plan          the Plan in use, packed, from which counting goes on; empty for none
    """

    predictor: str = "misslog"
    budget: int = 1 << 20
    capacity: int = 10_000
    charged: bool = False
    horizon: int = 128
    memory_limit: int = 512 << 20
    disabled: tuple[str, ...] = ()
    models: str = "off"
    record: str = ""
    record_limit: int = 1 << 30
    spared: tuple[str, ...] = ()
    alive: float = 1.0
    plan: bytes = b""


class Log(_Message, tag="log", frozen=True):
    """A block of the access log (see `server/accesslog.py` for the items); time in Unix ms."""

    time: int
    items: list[Any]


class Import(_Message, tag="import", frozen=True):
    """Rehearse a file of past accesses: `limit` of them (0: all) after the first `offset`."""

    path: str
    limit: int = 0
    offset: int = 0


class Train(_Message, tag="train", frozen=True):
    """Publish a Plan now."""


class Stop(_Message, tag="stop", frozen=True):
    """Exit."""


class Publish(_Message, tag="plan", frozen=True):
    """A new Plan, packed."""

    plan: bytes


class Stats(_Message, tag="stats", frozen=True):
    """Figures of the trainer, sent with every Plan, fitted or refused.

    accesses     seen in log blocks
    aside        of sessions that nothing is learned from; not among the accesses
    dropped      trials that found no room, or were no trials
    hits, trials resolved so far
    fits         Plans computed; refused: worse than the one in use, so not published
    fit_seconds  spent computing them, the last one in last_fit_seconds
    max_rss      largest resident size of the process, in bytes
    """

    accesses: int
    dropped: int
    hits: int
    trials: int
    fits: int
    refused: int
    fit_seconds: float
    last_fit_seconds: float
    max_rss: int
    aside: int = 0


class History(_Message, tag="history", frozen=True):
    """What a rehearsal brought: the predictor's state and a Plan, and counts of the file."""

    state: bytes
    plan: bytes
    accesses: int
    misses: int
    skipped: int
    seconds: float


class Schedule(_Message, tag="schedule", frozen=True):
    """The keys that are asked for at regular intervals, in place of those of the last one."""

    dues: list[Due]


class Contest(_Message, tag="contest", frozen=True):
    """What came of the models that competed with counting, each the fields of a `Report`."""

    at: float
    reports: list[dict[str, Any]]


class Alive(_Message, tag="alive", frozen=True):
    """A sign of life (`heartbeat.py`): what was begun, if that may take long, else empty."""

    job: str = ""


class Failed(_Message, tag="failed", frozen=True):
    """An import came to nothing."""

    reason: str


ToWorker = Hello | Log | Import | Train | Stop
ToServer = Publish | Stats | History | Contest | Schedule | Alive | Failed

_encoder = msgspec.msgpack.Encoder()
_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
_to_server: msgspec.msgpack.Decoder[ToServer] = msgspec.msgpack.Decoder(ToServer)


def frame(payload: bytes) -> bytes:
    """A message that is encoded already (a block of the log), with its length before it."""
    return HEADER.pack(len(payload)) + payload


def pack(message: ToWorker | ToServer) -> bytes:
    """A message as a frame."""
    return frame(_encoder.encode(message))


def length_of(header: bytes) -> int:
    """The payload's length from a frame's first four bytes. Raises FrameError above the limit."""
    length: int = HEADER.unpack(header)[0]
    if length > MAX_FRAME:
        raise FrameError(f"a frame of {length} bytes")
    return length


def read_by_worker(payload: bytes) -> ToWorker:
    """A message to the trainer. Raises FrameError."""
    try:
        return _to_worker.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FrameError(str(error)) from None


def read_by_server(payload: bytes) -> ToServer:
    """A message from the trainer. Raises FrameError."""
    try:
        return _to_server.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FrameError(str(error)) from None
