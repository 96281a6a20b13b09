"""The thread that long scripts run on, and how it shares the store with the event loop.

uvloop cannot be entered again from within a callback, so a script that may run for
ever does not run on the loop's thread. The loop hands the job over and blocks, up to
`busy-reply-threshold`; meanwhile commands of the script run on the worker, which has
the store to itself. Past the threshold the loop goes on (`detach`), and from then on
each command of the script is sent to it and run there: the store is touched by one
thread at a time, always.

It knows nothing of Lua or commands: a job is any callable.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any


class Detached:
    """The job goes on in the background."""

    __slots__ = ()


DETACHED = Detached()


class Runner:
    """One worker thread, started at the first job.

    `detached` says that the loop no longer waits; `finish(result, error)` is called on
    the loop when a detached job ends.
    """

    def __init__(self, finish: Callable[[Any, BaseException | None], None]) -> None:
        self._finish = finish
        self._go = threading.Lock()
        self._done = threading.Lock()
        self._answered = threading.Lock()
        self._baton = threading.Lock()  # held by the worker while a command runs there
        for lock in (self._go, self._done, self._answered):
            lock.acquire()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._job: Callable[[], Any] | None = None
        self._result: Any = None
        self._error: BaseException | None = None
        self._answer: tuple[Any, BaseException | None] = (None, None)
        self.detached = False

    @property
    def inside(self) -> bool:
        """Whether this is the worker's thread."""
        return self._thread is not None and threading.get_ident() == self._thread.ident

    def run(self, job: Callable[[], Any], patience: float) -> Any:
        """Run `job` and return its result, or DETACHED after `patience` seconds (-1: never).

        Raises what the job raises. Called on the loop's thread, or within a job.
        """
        if self.inside:
            return job()
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._work, name="scripts", daemon=True)
            self._thread.start()
        self._job = job
        self._go.release()
        if not self._done.acquire(timeout=patience):
            with self._baton:  # the command that runs now is the last one there
                if not self._done.acquire(blocking=False):
                    self.detached = True
                    return DETACHED
        return self._take()

    def _take(self) -> Any:
        result, error = self._result, self._error
        self._result = self._error = None
        if error is not None:
            raise error
        return result

    def on_store(self, work: Callable[[], Any]) -> Any:
        """Run `work`, which touches the store, where and when it may."""
        if not self.inside:
            return work()
        with self._baton:
            if not self.detached:
                return work()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._serve, work)
        self._answered.acquire()
        result, error = self._answer
        self._answer = (None, None)
        if error is not None:
            raise error
        return result

    def _serve(self, work: Callable[[], Any]) -> None:
        try:
            self._answer = (work(), None)
        except BaseException as error:
            self._answer = (None, error)
        self._answered.release()

    def close(self) -> None:
        """End the thread once its job has ended."""
        if self._thread is not None and self._job is None:
            self._go.release()
            self._thread.join(1.0)
            self._thread = None

    def _work(self) -> None:
        # Handlers may ask for the loop (timers, call_soon); while it is blocked here, it is ours.
        asyncio._set_running_loop(self._loop)
        while True:
            self._go.acquire()
            job = self._job
            if job is None:
                return
            result: Any = None
            error: BaseException | None = None
            try:
                result = job()
            except BaseException as raised:
                error = raised
            del job
            with self._baton:
                self._job = None
                detached = self.detached
                if not detached:
                    self._result, self._error = result, error
                    self._done.release()
            if detached:
                assert self._loop is not None
                try:
                    self._loop.call_soon_threadsafe(self._ended, result, error)
                except RuntimeError:  # the server has gone meanwhile
                    return
            result = error = None

    def _ended(self, result: Any, error: BaseException | None) -> None:
        self.detached = False
        self._finish(result, error)
