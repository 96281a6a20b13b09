"""Signs of life: how the server tells a trainer that hangs from one that is busy.

The process says what it begins when that may take long (an import, a fit, a
contest), and otherwise that it is alive, about once a second, from the loop that
does the work: a thread of its own would go on when that loop does not. So whatever
stops the process (a file that never answers, a loop without an end, SIGSTOP) also
stops its signs, and the last one names the job.

The server counts the silence in short looks, each worth two looks at most: when
the server itself, or the whole machine, was held up, that is no silence of the
trainer's. Nor is the time in which the server does not listen.

What this file does not do: end or start a process (`trainer.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from antecache.predictor.messages import Alive

#: what may take long, as it is named; a file or a model follows
FIT, IMPORT, CONTEST, RESUME = "a fit", "the import of", "a contest with", "reading the Plan"
_STARTING: Final = "its start"
#: seconds between two signs; a quarter of the server's patience where that is less
INTERVAL: Final = 1.0
#: seconds that a process is given for its first sign, at least: it has numpy to import
_START: Final = 30.0


def interval(patience: float) -> float:
    """Seconds between two signs to a server that waits so many seconds; 0 waits for ever."""
    return min(INTERVAL, patience / 4) if patience else INTERVAL


class Pulse:
    """The trainer's side. `send` takes each sign; `every` is the seconds between two."""

    def __init__(
        self, send: Callable[[Alive], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.every = INTERVAL
        self._send = send
        self._clock = clock
        self._job = ""
        self._sent = float("-inf")

    def begin(self, job: str) -> None:
        """What may take long begins now; it is said before, since afterwards may be never."""
        self._say(job)

    def beat(self) -> None:
        """Whatever was begun is over, or goes on in small pieces."""
        if self._job or self._clock() - self._sent >= self.every:
            self._say("")

    def _say(self, job: str) -> None:
        self._job = job
        self._send(Alive(job))
        self._sent = self._clock()


class Patience:
    """The server's side, for one process.

    seconds    of silence after which the process hangs; 0: never
    job        what it said last that it had begun; empty when nothing that takes long
    listening  whether what it says is being read; silence counts only then
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.job = _STARTING
        self.listening = True
        self._silent = 0.0
        self._first = True

    @property
    def look(self) -> float:
        """Seconds between two calls of `waited`."""
        return interval(self.seconds)

    def heard(self, alive: Alive | None) -> None:
        """It said something: a sign of life, or any other message (None)."""
        self._silent = 0.0
        self._first = False
        if alive is not None:
            self.job = alive.job

    def waited(self, seconds: float) -> bool:
        """So much time went by; whether it hangs."""
        if self.listening and self.seconds:
            self._silent += min(seconds, 2 * self.look)
        limit = max(self.seconds, _START) if self._first else self.seconds
        return bool(self.seconds) and self._silent >= limit

    @property
    def reason(self) -> str:
        """What became of it, as a sentence without its end."""
        job = " ".join(self.job.split())  # a file may be called anything
        doing = f" in {job}" if job else ""
        return f"gave no sign of life for {self._silent:.0f} s{doing}"
