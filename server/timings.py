"""How long commands took: a distribution for each, at no cost to the commands.

Dispatch books calls and nanoseconds for each command, and has calls told that took a
millisecond or more. From these two the distribution is made in the background, ten
times a second or so (`sample`): what was told counts where it belongs, all other calls
of that while count at their mean. So calls and the slow end are exact, and what lies
below a millisecond is smoothed over a tenth of a second: of the calls of one such while
the distribution shows the mean, not the spread. A histogram that every command updated
would show it, and cost each of them more than its own book-keeping does now.

Buckets are those of Redis's histograms (HdrHistogram, two significant digits, up to one
second; `hdr_histogram.c`, its paper is http://hdrhistogram.org), so that bounds are the
same numbers.

What this file does not do: reply (`commands/latency.py`), or remember single events
(`server/spikes.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from antecache.server.command import Command

EXACT_NS = 1_000_000  # calls that take as long are told one by one
LONGEST_NS = 1_000_000_000  # longer ones count as this
_FINE = 7  # bits of a value that tell its bucket, after the first: two significant digits
_FIRST = 1024  # ns, the first bound of `cumulated`


def bucket(nanoseconds: int) -> int:
    """The largest value (ns) in the bucket of a duration."""
    value = min(max(nanoseconds, 1), LONGEST_NS)
    shift = max(value.bit_length() - 1 - _FINE, 0)
    return (((value >> shift) + 1) << shift) - 1


class Timings:
    """Distributions of the time commands took.

    enabled   latency-tracking
    """

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self._counts: dict[Command, dict[int, int]] = {}
        self._seen: dict[Command, tuple[int, int]] = {}  # calls and ns booked, when last looked
        self._told: dict[Command, tuple[int, int]] = {}  # those told since

    def tell(self, row: Command, count: int, nanoseconds: int) -> None:
        """`count` calls of a command took so long together, and are counted here already."""
        if self.enabled:
            self._add(row, count, nanoseconds // count)
            calls, total = self._told.get(row, (0, 0))
            self._told[row] = (calls + count, total + nanoseconds)

    def sample(self, rows: Iterable[Command]) -> None:
        """Count the calls booked since the last sample that were not told one by one."""
        if not self.enabled:
            return
        for row in rows:
            calls, total = self._seen.get(row, (0, 0))
            if row.calls == calls:
                continue
            told, told_total = self._told.get(row, (0, 0))
            fresh = row.calls - calls - told
            if fresh > 0:
                self._add(row, fresh, (row.nanoseconds - total - told_total) // fresh)
            self._seen[row] = (row.calls, row.nanoseconds)
        self._told.clear()

    def _add(self, row: Command, count: int, nanoseconds: int) -> None:
        counts = self._counts.setdefault(row, {})
        at = bucket(nanoseconds)
        counts[at] = counts.get(at, 0) + count

    def switch(self, enabled: bool, rows: Iterable[Command]) -> None:
        """latency-tracking: what was kept stays; what happens meanwhile is not counted."""
        if enabled and not self.enabled:
            self._seen = {row: (row.calls, row.nanoseconds) for row in rows}
        self.enabled = enabled

    def reset(self) -> None:
        """The commands' own counters were set to zero, and so are these."""
        self._counts.clear()
        self._seen.clear()
        self._told.clear()

    def known(self) -> Iterator[Command]:
        """The commands that have a distribution."""
        return iter(self._counts)

    def calls(self, row: Command) -> int:
        """How many calls of a command are in its distribution."""
        return sum(self._counts.get(row, {}).values())

    def cumulated(self, row: Command) -> list[tuple[int, int]]:
        """Bounds (µs, powers of two as HdrHistogram rounds them) and the calls up to each.

        Bounds that add nothing are left out, as Redis does.
        """
        values = sorted(self._counts.get(row, {}).items())
        found: list[tuple[int, int]] = []
        bound, total, at = _FIRST, 0, 0
        while at < len(values):
            last = bound + (bound >> _FINE) - 1  # the end of the bucket that the bound is in
            before = total
            while at < len(values) and values[at][0] <= last:
                total += values[at][1]
                at += 1
            if total > before:
                found.append((last // 1000, total))
            bound <<= 1
        return found

    def percentile(self, row: Command, percent: float) -> float:
        """The time (µs) within which `percent` of a command's calls ended."""
        values = sorted(self._counts.get(row, {}).items())
        wanted = max(round(percent / 100 * sum(count for _, count in values)), 1)
        total = 0
        for value, count in values:
            total += count
            if total >= wanted:
                return value / 1000
        return 0.0
