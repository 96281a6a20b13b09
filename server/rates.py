"""What INFO calls instantaneous: commands and bytes a second, lately.

As Redis does (`trackInstantaneousMetric`): the background round samples the
totals, and the mean of the last sixteen samples is the rate. Nothing is counted
here while commands run.
"""

from __future__ import annotations

from collections import deque

from antecache.server.command import every
from antecache.server.stats import Stats

SAMPLES = 16  # Redis's STATS_METRIC_SAMPLES; at ten rounds a second 1.6 s


class Rates:
    """The totals of the last rounds; `sample` is called ten times a second or so."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int, int, int]] = deque(maxlen=SAMPLES + 1)

    def sample(self, now: float, stats: Stats) -> None:
        """Note the totals at the monotonic time `now`, in seconds."""
        commands = commands_processed()
        last = self._samples[-1] if self._samples else None
        if last is not None and (commands < last[1] or stats.net_in < last[2]):
            self._samples.clear()  # CONFIG RESETSTAT
        self._samples.append((now, commands, stats.net_in, stats.net_out))

    @property
    def commands(self) -> float:
        """Commands a second."""
        return self._rate(1)

    @property
    def bytes_in(self) -> float:
        """Bytes received a second."""
        return self._rate(2)

    @property
    def bytes_out(self) -> float:
        """Bytes sent a second."""
        return self._rate(3)

    def _rate(self, column: int) -> float:
        if len(self._samples) < 2:
            return 0.0
        first, last = self._samples[0], self._samples[-1]
        seconds = last[0] - first[0]
        return (last[column] - first[column]) / seconds if seconds > 0 else 0.0


def commands_processed() -> int:
    """Commands run since the start or the last CONFIG RESETSTAT: each row counts its own."""
    return sum(row.calls for row in every())
