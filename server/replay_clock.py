"""The clock of a replay: what is asked for at regular intervals, as a server learns and fetches it.

The parts are the server's own: the log is cut into blocks of a tenth of a second, from
which periods are learned (`predictor/periods.py`), and the schedule that comes of it is
looked at whenever something is due (`schedule.py`), also between two requests that are
hours apart. Time is the trace's, so a replay of a week takes minutes.

A trace may count something else in its time column: its requests, or sessions. That is
told by its steps, and then it has no clock.

What this file does not do: rules of certain hours (`rules.py`), or expiry: in a trace values
live for ever, so what is due is only ever absent because it was evicted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

from antecache.predictor.periods import Periods
from antecache.server.accesslog import AccessLog
from antecache.server.backing.base import Source
from antecache.server.prefetch import Prefetcher
from antecache.server.schedule import Schedule
from antecache.server.store import Store

#: smaller times are no date of an access: 1973
UNIX_TIME: Final = 1e8
#: seconds of the log that are read at once, as a server's trainer is sent them
_BLOCK: Final = 0.1


def is_clock(times: Sequence[float]) -> bool:
    """Whether times are seconds: dates, or at least no counter, which goes up by one or not."""
    if not times:
        return False
    return times[0] >= UNIX_TIME or any(
        later - sooner not in (0, 1) for sooner, later in _few(times)
    )


def _few(times: Sequence[float]) -> Any:
    return pairwise(times[:100_000])


class Clock:
    """Periods and schedule over the log of a replay. `now` is Unix seconds, or seconds."""

    def __init__(
        self,
        store: Store,
        owner: Callable[[bytes], Source | None],
        prefetcher: Prefetcher,
        never: Callable[[bytes], bool],
        access: AccessLog,
    ) -> None:
        self.now = 0.0
        self.schedule = Schedule(store, owner, prefetcher, never, clock=lambda: self.now)
        self._periods = Periods()
        self._access = access
        self._session = access.session  # who asked when the block began
        self._taken = 0  # items of the log that were read
        self._ends = 0.0

    def advance(self, time: float) -> None:
        """The next request comes at `time`; times that run back are passed over."""
        if time >= self._ends:
            self.read_log()
            self._ends = time + _BLOCK
            dues = self._periods.schedule(self.now)
            if dues is not None:
                self.schedule.replace(dues)
            schedule = self.schedule
            while (at := schedule.next_at) <= time:
                self.now = max(self.now, at)
                schedule.tick()
        self.now = max(self.now, time)

    def read_log(self) -> None:
        """Read what is new in the log; somebody may empty it afterwards, and say so."""
        items = self._access.items
        if self._taken < len(items):
            self._periods.feed([self._session, *items[self._taken :]], self.now)
        self._session = self._access.session
        self._taken = len(items)

    def emptied(self) -> None:
        """The log was emptied."""
        self._taken = 0
