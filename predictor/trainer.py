"""The server's side of the trainer process.

Every tenth of a second what the access log has gathered is sent to the trainer,
and the Plans that come back are handed on. The server never waits for it: when
the pipe is slow, blocks are dropped and counted; when the process dies, it is
started again after a pause that doubles, and told the last Plan so that it can
go on counting. The last good Plan stays in use all the while. One that hangs is
killed and started again too, and what it hung in is not given to the next: an
import fails, a model is not tried any more, a Plan is not gone on from; what it
had been sent of the log is gone anyway.

What this file does not do: learn (`worker.py`), tell who hangs (`heartbeat.py`), or
hold what is remembered (the predictor). A history that was rehearsed arrives as
bytes and is handed on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from antecache.predictor import heartbeat, messages
from antecache.predictor.heartbeat import Patience
from antecache.predictor.messages import (
    Alive,
    Contest,
    Failed,
    FrameError,
    Hello,
    History,
    Import,
    Publish,
    Schedule,
    Stats,
)
from antecache.predictor.periods import Due
from antecache.predictor.plan import Plan, PlanError

_log = logging.getLogger(__name__)

#: bytes that may wait in the pipe before blocks are dropped
_MAX_WAITING = 4 << 20
#: seconds before the first restart, and at most
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
#: seconds of life after which a process counts as healthy again
_HEALTHY = 30.0
#: seconds that a process is given to stop by itself
_GRACE = 2.0


class TrainerError(Exception):
    """What was asked of the trainer came to nothing; `str()` is fit to show to a client."""


class Trainer:
    """Starts, feeds, watches and restarts one trainer process.

    drain          the access log so far as an encoded `log` message, or None
    discard        drops the access log so far; how many items
    publish        takes a new Plan; called in the event loop
    adopt_history  takes a rehearsed predictor state; ValueError means it cannot be used
    expect         takes the keys that are due at regular intervals
    settings       what the process is told first (its `plan` is filled in here)
    interval       seconds between two blocks
    patience       seconds without a sign of life after which it is killed; 0 waits for ever
    """

    def __init__(
        self,
        *,
        drain: Callable[[], bytes | None],
        discard: Callable[[], int],
        publish: Callable[[Plan], None],
        adopt_history: Callable[[bytes], Awaitable[None]],
        settings: Hello,
        expect: Callable[[list[Due]], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        interval: float = 0.1,
        patience: float = 120.0,
    ) -> None:
        self._drain = drain
        self._discard = discard
        self._publish = publish
        self._adopt_history = adopt_history
        self._expect = expect
        self._settings = msgspec.structs.replace(settings, alive=heartbeat.interval(patience))
        self._clock = clock
        self._interval = interval
        self._patience = Patience(patience)
        self._refused: Plan | None = None  # a process hung while it read this one
        self._supervisor: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._poked = asyncio.Event()
        self._changed = asyncio.Event()  # set and replaced whenever `state` or the Plan changes
        self._import: asyncio.Future[dict[str, Any]] | None = None
        self._stopping = False
        self._plan: Plan | None = None
        self._stats: Stats | None = None
        self.contest: Contest | None = None  # the last one between models and counting
        self.state = "stopped"
        self.restarts = 0
        self.hangs = 0
        self.hung = ""  # why the last of them was killed
        self._hang = ""  # why this one was
        self.blocks_sent = 0
        self.blocks_dropped = 0
        self.plans_refused = 0

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Start the process, unless it is, and keep it running. Returns at once."""
        if self._supervisor is not None:
            return
        self._stopping = False
        self._supervisor = asyncio.create_task(self._supervise(), name="trainer")

    async def stop(self) -> None:
        """End the process, by force if it does not go. May be called twice."""
        self._stopping = True
        self.poke()
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await asyncio.wait((supervisor,), timeout=_GRACE)
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
            await supervisor
        self._set_state("stopped")

    def poke(self) -> None:
        """Send what there is now."""
        self._poked.set()

    def _is_stopping(self) -> bool:
        return self._stopping

    async def _supervise(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping:
            started = self._clock()
            try:
                await self._run_process()
            except OSError as error:
                _log.warning("the trainer cannot be started: %s", error)
            if self._is_stopping():
                break
            if self._clock() - started > _HEALTHY:
                pause = _FIRST_PAUSE
            self.restarts += 1
            self._set_state("restarting")
            self._fail_import(self._hang or "the trainer died")
            await self._discard_for(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        self._fail_import("the server is shutting down")

    async def _run_process(self) -> None:
        """One process from start to end."""
        self._hang = ""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "antecache.predictor.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # a process at low priority gains nothing from threads, which cost address space
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        self._process = process
        self._patience = Patience(self._patience.seconds)
        reader = asyncio.create_task(self._read(process))
        sender = asyncio.create_task(self._send(process))
        watcher = asyncio.create_task(self._watch())
        try:
            plan = b""
            if self._plan is not None and self._plan is not self._refused:
                plan = self._plan.to_bytes()
            self._write(process, messages.pack(msgspec.structs.replace(self._settings, plan=plan)))
            self._set_state("running")
            await asyncio.wait((reader, sender, watcher), return_when=asyncio.FIRST_COMPLETED)
            if self._stopping:
                self._write(process, messages.pack(messages.Stop()))
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(process.wait(), _GRACE / 2)
        finally:
            sender.cancel()
            watcher.cancel()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
            # both pipes are at their end now: waiting for that leaves no open transport behind
            assert process.stdin is not None
            process.stdin.close()
            with contextlib.suppress(OSError):
                await process.stdin.wait_closed()
            await asyncio.gather(reader, sender, watcher, return_exceptions=True)
            self._process = None
        if not self._stopping and not self._hang:
            _log.warning("the trainer ended with status %s", process.returncode)

    async def _send(self, process: asyncio.subprocess.Process) -> None:
        """Send blocks until the server stops or the process has gone."""
        while not self._stopping and process.returncode is None:
            if self._waiting(process) > _MAX_WAITING:
                self.blocks_dropped += self._discard() > 0
            else:
                block = self._drain()
                if block is not None:
                    self._write(process, messages.frame(block))
                    self.blocks_sent += 1
            await self._pause(self._interval)

    async def _watch(self) -> None:
        """Wait until the process hangs, and see to it that the next one does not, in the same."""
        patience = self._patience
        before = self._clock()
        while True:
            await asyncio.sleep(patience.look)
            now = self._clock()
            if patience.waited(now - before):
                break
            before = now
        job = patience.job
        if job.startswith(heartbeat.CONTEST):
            spared = (*self._settings.spared, job.removeprefix(heartbeat.CONTEST).strip())
            self._settings = msgspec.structs.replace(self._settings, spared=spared)
        elif job == heartbeat.RESUME:
            self._refused = self._plan
        self.hangs += 1
        self._hang = self.hung = f"the trainer {patience.reason} and was killed"
        _log.error("%s", self._hang)

    async def _discard_for(self, seconds: float) -> None:
        """Wait while no process runs; what the log gathers meanwhile is dropped and counted."""
        until = self._clock() + seconds
        while not self._stopping and self._clock() < until:
            self.blocks_dropped += self._discard() > 0
            await self._pause(min(self._interval, seconds))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._poked.wait(), seconds)
        self._poked.clear()

    @staticmethod
    def _waiting(process: asyncio.subprocess.Process) -> int:
        assert process.stdin is not None
        size: int = process.stdin.transport.get_write_buffer_size()
        return size

    @staticmethod
    def _write(process: asyncio.subprocess.Process, data: bytes) -> None:
        assert process.stdin is not None
        # a process that died is noticed by the reader
        with contextlib.suppress(OSError, RuntimeError):
            process.stdin.write(data)

    # ------------------------------------------------------------------ messages

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Handle messages until the process closes its end or is out of step."""
        assert process.stdout is not None
        try:
            while True:
                header = await process.stdout.readexactly(messages.HEADER.size)
                payload = await process.stdout.readexactly(messages.length_of(header))
                message = messages.read_by_server(payload)
                self._patience.heard(message if isinstance(message, Alive) else None)
                self._patience.listening = False
                await self._handle(message)
                self._patience.listening = True
        except asyncio.IncompleteReadError:
            return
        except FrameError as error:
            _log.error("the trainer sent what is no message: %s", error)

    async def _handle(self, message: messages.ToServer) -> None:
        if isinstance(message, Publish):
            self._take_plan(message.plan)
        elif isinstance(message, Stats):
            fitted = self._stats is None or message.fits != self._stats.fits
            self._stats = message
            if fitted:  # perhaps to no Plan that is better than the one in use
                self._wake()
        elif isinstance(message, Contest):
            self.contest = message
        elif isinstance(message, Schedule):
            self._expect(message.dues)
        elif isinstance(message, History):
            await self._take_history(message)
        elif isinstance(message, Failed):
            self._fail_import(message.reason)

    def _take_plan(self, packed: bytes) -> None:
        try:
            plan = Plan.from_bytes(packed)
        except PlanError as error:
            self.plans_refused += 1
            _log.error("a plan of the trainer is refused: %s", error)
            return
        self._plan = plan
        self._publish(plan)
        self._wake()

    async def _take_history(self, message: History) -> None:
        try:
            await self._adopt_history(message.state)
        except ValueError as error:
            self._fail_import(str(error))
            return
        self._take_plan(message.plan)
        if self._import is not None and not self._import.done():
            self._import.set_result(
                {
                    "accesses": message.accesses,
                    "misses": message.misses,
                    "skipped": message.skipped,
                    "seconds": message.seconds,
                }
            )

    def _fail_import(self, reason: str) -> None:
        if self._import is not None and not self._import.done():
            self._import.set_exception(TrainerError(reason))

    # ------------------------------------------------------------------ requests

    async def import_history(self, path: str, *, limit: int = 0, offset: int = 0) -> dict[str, Any]:
        """Have a file of past accesses rehearsed and adopt what comes of it.

        Counts of the file: `accesses`, `misses`, `skipped`, and `seconds` it took.
        Raises TrainerError with the reason.
        """
        process = self._process
        if process is None or self.state != "running":
            raise TrainerError("the trainer is not running")
        if self._import is not None and not self._import.done():
            raise TrainerError("another history is being imported")
        try:
            order = messages.pack(Import(path, limit, offset))
        except UnicodeEncodeError:
            raise TrainerError("the name of the file is not UTF-8") from None
        self._import = asyncio.get_running_loop().create_future()
        self._write(process, order)
        return await self._import

    def retrain(self) -> None:
        """Have a Plan published from what was seen so far. Raises TrainerError."""
        process = self._process
        if process is None or self.state != "running":
            raise TrainerError("the trainer is not running")
        block = self._drain()
        if block is not None:
            self._write(process, messages.frame(block))
            self.blocks_sent += 1
        self._write(process, messages.pack(messages.Train()))

    def go_on_from(self, plan: Plan, *, publish: bool = True) -> None:
        """Count on from this Plan, of a file or an earlier one, and not from anything newer."""
        self._plan = plan
        process = self._process
        if process is not None and self.state == "running":
            hello = msgspec.structs.replace(self._settings, plan=plan.to_bytes())
            self._write(process, messages.pack(hello))
        if publish:
            self._publish(plan)
        self._wake()

    @property
    def plan(self) -> Plan | None:
        """The last Plan published; None before the first."""
        return self._plan

    async def changed(self) -> None:
        """Wait until the state, the Plan or the number of fits changes."""
        await self._changed.wait()

    def _set_state(self, state: str) -> None:
        self.state = state
        self._wake()

    def _wake(self) -> None:
        waiters, self._changed = self._changed, asyncio.Event()
        waiters.set()

    def status(self) -> dict[str, Any]:
        """Figures for INFO and PREDICTOR STATUS; the process's own are None until it reports."""
        stats, plan = self._stats, self._plan
        return {
            "state": self.state,
            "pid": self._process.pid if self._process is not None else None,
            "restarts": self.restarts,
            "hangs": self.hangs,
            "hung": self.hung or None,
            "blocks_sent": self.blocks_sent,
            "blocks_dropped": self.blocks_dropped,
            "plans_refused": self.plans_refused,
            "plan_version": plan.version if plan is not None else 0,
            "plan_created": plan.created if plan is not None else 0.0,
            "importing": self._import is not None and not self._import.done(),
            "accesses": stats.accesses if stats is not None else None,
            "accesses_aside": stats.aside if stats is not None else None,
            "trials": stats.trials if stats is not None else None,
            "trial_hits": stats.hits if stats is not None else None,
            "trials_dropped": stats.dropped if stats is not None else None,
            "fits": stats.fits if stats is not None else None,
            "fits_refused": stats.refused if stats is not None else None,
            "fit_seconds": stats.fit_seconds if stats is not None else None,
            "last_fit_seconds": stats.last_fit_seconds if stats is not None else None,
            "max_rss": stats.max_rss if stats is not None else None,
        }
