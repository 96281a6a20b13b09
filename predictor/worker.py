"""The trainer's process: `python -m antecache.predictor.worker`.

It reads messages from stdin and writes messages to stdout (`messages.py`):
blocks of the access log come in, Plans go out. It is a process of its own so
that learning never holds up a reply, runs at low priority, and keeps nothing
that the server could not do without: when it dies, another one goes on from
the last Plan. Only messages reach stdout; whatever else is printed goes to
stderr.

A history is rehearsed in slices between messages, so that live blocks are
still read while it runs.

What this file does not do: decide when the server may train, or keep the log
of events (the server's miss log is the only one; a rehearsal builds another
and hands it over).
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator

import msgspec

from antecache.predictor import heartbeat, messages, registry
from antecache.predictor.calibrate import Calibrator
from antecache.predictor.challenge import Challenge
from antecache.predictor.heartbeat import Pulse
from antecache.predictor.history import HistoryError, HistoryFile
from antecache.predictor.messages import (
    Contest,
    Failed,
    Hello,
    History,
    Import,
    Log,
    Publish,
    Schedule,
    Stats,
    Train,
)
from antecache.predictor.parquet import ParquetHistory
from antecache.predictor.periods import Periods
from antecache.predictor.plan import Plan, PlanError
from antecache.predictor.record import Recorder
from antecache.predictor.rehearsal import Rehearsal, next_fit

#: a Plan is fitted this many seconds after the last one if there were trials but few accesses
_QUIET = 3.0
#: accesses of a history rehearsed between two looks at the pipe
_SLICE = 2000
_NICE = 10


class Worker:
    """State of the process. `send` writes one message to the server."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._pulse = Pulse(pipe.write)
        self._hello = Hello()
        self._calibrator = Calibrator()
        self._challenge = Challenge("off", self._calibrator)
        self._periods = Periods()
        self._rehearsal: Iterator[None] | None = None
        self._contest: Iterator[None] | None = None
        self._recorder: Recorder | None = None
        self._next_fit = 250
        self._fits = 0
        self._fit_seconds = self._last_fit = 0.0
        self._last_fit_at = time.monotonic()

    def run(self) -> None:
        """Serve until the server says stop or its end of the pipe closes."""
        while True:
            self._pulse.beat()
            wait = 0.0 if self._rehearsal or self._contest else min(_QUIET, self._pulse.every)
            payload = self._pipe.read(wait)
            if payload is not None:
                message = messages.read_by_worker(payload)
                if isinstance(message, messages.Stop):
                    return
                self._handle(message)
            elif self._pipe.closed:
                return
            elif self._rehearsal is not None and next(self._rehearsal, True):
                self._rehearsal = None
            elif self._contest is not None and next(self._contest, True):
                self._contest = None
            self._train_if_due()
            if self._contest is None and self._rehearsal is None and self._challenge.due:
                self._contest = self._compete()

    def _handle(self, message: messages.ToWorker) -> None:
        if isinstance(message, Log):
            if self._recorder is not None:
                self._recorder.block(message.time, message.items)
            self._calibrator.feed(message.items)
            self._periods.feed(message.items, message.time / 1000)
            dues = self._periods.schedule(message.time / 1000)
            if dues is not None:
                self._pipe.write(Schedule(dues))
        elif isinstance(message, Hello):
            self._greet(message)
        elif isinstance(message, Import):
            if self._rehearsal is not None:
                self._pipe.write(Failed("another history is being imported"))
            else:
                self._rehearsal = self._rehearse(message)
        elif isinstance(message, Train):
            self._train()

    def _greet(self, hello: Hello) -> None:
        self._hello = hello
        if hello.memory_limit:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            limit = hello.memory_limit
            if hard != resource.RLIM_INFINITY:
                limit = min(limit, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
        self._calibrator = Calibrator(hello.horizon)
        self._challenge = Challenge(hello.models, self._calibrator, spared=hello.spared)
        self._pulse.every = hello.alive
        self._next_fit = 250
        if self._recorder is not None:
            self._recorder.close()
        self._recorder = Recorder(hello.record, hello.record_limit) if hello.record else None
        if hello.plan:
            self._pulse.begin(heartbeat.RESUME)
            # refused by its own check: counting starts anew
            with contextlib.suppress(PlanError):
                self._calibrator.resume(Plan.from_bytes(hello.plan))

    # ------------------------------------------------------------------ training

    def _train_if_due(self) -> None:
        calibrator = self._calibrator
        if calibrator.accesses >= self._next_fit or (
            calibrator.fresh and time.monotonic() - self._last_fit_at >= _QUIET
        ):
            self._train()

    def _train(self) -> None:
        self._pulse.begin(heartbeat.FIT)
        started = time.perf_counter()
        plan = self._calibrator.fit(time.time(), self._hello.disabled)
        self._last_fit = time.perf_counter() - started
        self._fit_seconds += self._last_fit
        self._fits += 1
        self._last_fit_at = time.monotonic()
        self._next_fit = next_fit(self._calibrator.accesses)
        if plan is not None:
            self._pipe.write(Publish(self._challenge.improve(plan).to_bytes()))
        calibrator = self._calibrator
        self._pipe.write(
            Stats(
                accesses=calibrator.accesses,
                dropped=calibrator.dropped,
                hits=calibrator.hits,
                trials=calibrator.trials,
                fits=self._fits,
                refused=calibrator.refused,
                fit_seconds=self._fit_seconds,
                last_fit_seconds=self._last_fit,
                max_rss=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                aside=calibrator.aside,
            )
        )

    def _compete(self) -> Iterator[None]:
        """Let models compete with counting, one at a time, and publish what that changes."""
        for name in self._challenge.hold():
            yield
            self._pulse.begin(f"{heartbeat.CONTEST} {name}")
        reports = [msgspec.to_builtins(report) for report in self._challenge.reports]
        self._pipe.write(Contest(time.time(), reports))
        plan = self._challenge.renewed(self._calibrator)
        if plan is not None:
            self._pipe.write(Publish(plan.to_bytes()))

    # ------------------------------------------------------------------ history

    def _rehearse(self, order: Import) -> Iterator[None]:
        """Rehearse a file in slices, then send what came of it, or why nothing did."""
        try:
            yield from self._rehearse_file(order)
        except HistoryError as error:
            self._pipe.write(Failed(str(error)))
        except (MemoryError, OSError) as error:
            if isinstance(error, OSError) and error.errno != errno.ENOMEM:
                raise
            self._pipe.write(Failed("the trainer's memory limit does not suffice"))

    def _rehearse_file(self, order: Import) -> Iterator[None]:
        started = time.monotonic()
        predictor = registry.find(self._hello.predictor)(self._hello.budget)
        calibrator = Calibrator(self._hello.horizon)
        if self._challenge.models:
            calibrator.on_resolved = self._challenge.trials.add
        hello = self._hello
        rehearsal = Rehearsal(predictor, calibrator, hello.capacity, charged=hello.charged)
        columns = order.path.endswith(".parquet")
        file = ParquetHistory(order.path) if columns else HistoryFile(order.path)
        skip, left = order.offset, order.limit or sys.maxsize
        self._pulse.begin(f"{heartbeat.IMPORT} {order.path}")
        for keys in file.blocks():
            taken = keys[skip : skip + left]
            skip = max(0, skip - len(keys))
            for first in range(0, len(taken), _SLICE):
                rehearsal.feed(taken[first : first + _SLICE])
                yield
            self._pulse.begin(f"{heartbeat.IMPORT} {order.path}")
            left -= len(taken)
            if left <= 0:
                break
        if not rehearsal.accesses:
            reason = f": {file.complaint}" if file.complaint else ""
            raise HistoryError(f"{order.path}: no access could be read{reason}")
        self._calibrator.absorb(calibrator)
        self._train()
        self._pipe.write(
            History(
                state=predictor.dump(),
                plan=self._challenge.improve(self._calibrator.plan).to_bytes(),
                accesses=rehearsal.accesses,
                misses=rehearsal.misses,
                skipped=file.skipped,
                seconds=time.monotonic() - started,
            )
        )


class Pipe:
    """Frames from one file descriptor and to another."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._buffer = bytearray()
        self.closed = False

    def read(self, timeout: float) -> bytes | None:
        """The payload of the next frame; None when none came in `timeout` seconds, or at the end.

        Raises FrameError when the other side is out of step.
        """
        deadline = time.monotonic() + timeout
        while True:
            payload = self._next()
            if payload is not None or self.closed:
                return payload
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self._source], [], [], left)
            if not ready:
                return None
            data = os.read(self._source, 1 << 16)
            if data:
                self._buffer += data
            else:
                self.closed = True

    def _next(self) -> bytes | None:
        buffer = self._buffer
        size = messages.HEADER.size
        if len(buffer) < size:
            return None
        end = size + messages.length_of(bytes(buffer[:size]))
        if len(buffer) < end:
            return None
        payload = bytes(buffer[size:end])
        del buffer[:end]
        return payload

    def write(self, message: messages.ToServer) -> None:
        """Send one message; waits until the other side has taken it."""
        data = memoryview(messages.pack(message))
        while data:
            data = data[os.write(self._sink, data) :]


def main() -> None:
    """Serve the process's own stdin and stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is the server's to answer; it closes the pipe
    os.nice(_NICE)
    sink = os.dup(1)
    os.dup2(2, 1)  # whatever prints does not reach the server
    # the server went away: nobody is left to report to
    with contextlib.suppress(BrokenPipeError):
        Worker(Pipe(0, sink)).run()


if __name__ == "__main__":
    main()
