"""How closely misses are looked at: closely while that is of use, else now and then.

Naming what may follow a miss takes many times as long as remembering the miss, and
where nothing follows anything both are for nothing. So an account is kept, in
candidates: each one that is looked at costs one, each first use of a prefetch pays
for `WAIT` of them. While there is credit every miss is looked at. Where prefetches
are used the account is full and stays so; where none are it is soon empty. It is
not kept in seconds: a replay must decide as the server does, and the same each time.

Without credit all events are remembered by what is cheap to tell. Once in `ROUND`
of them a run of `CLOSELY` is told to the rest too, and its last misses are looked at,
as *probes*. Their scores decide nothing: a Plan that was learned where nothing followed
anything scores everything low. It is only watched whether their likeliest candidates
are asked for soon, and whether those of the probes before are, which says what chance
does. When one comes true the next are sent at once, and a few of them bring new credit.
So traffic that becomes predictable is noticed within some hundred events of its first
returning keys. With credit some misses of each `ROUND` are watched in the same way,
which brings more until the trainer has learned the new probabilities.

An event is a demand miss or the first use of a prefetched key.

What this file does not do: ask or remember (`prefetch.py`), or decide whether
prediction does harm (`worth.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from antecache.predictor.base import Candidate

#: candidates that one wait is worth: at a microsecond or two each, some 5 ms of the server's CPU
WAIT: Final = 4000
#: what a look costs beside its candidates
LOOK: Final = 8
#: most credit: some 700 looks, where each finds three full windows of the log
CREDIT: Final = 50_000
#: events from some probes to the next, and the last of them, of which everything learns
ROUND: Final = 256
CLOSELY: Final = 32
#: a round in which no probe came true is followed by one twice as long, up to this
LONGEST_ROUND: Final = 1024
#: probes in a row: of keys that come in pairs, only the first says anything
PROBES: Final = 2
#: events within which the likeliest candidate must be asked for
SOON: Final = 32
#: probes that came true lately, beyond chance, to be convincing; what counts of those before
_CONVINCING: Final = 2.4
_FADE: Final = 7 / 8
#: either way, so that it is soon forgotten
_MOST: Final = 4.0
#: least part of the credit that convincing probes bring; half as much each time it was in vain
_LEAST_GRANT: Final = 1 / 16


class Interest:
    """Whether to look at a miss. Tell it of each event (`event`), then ask.

    close     whether every miss is looked at
    looking   whether the present event is to be looked at, if it is a miss
    thorough  whether everything is to learn of it, or only what is cheap to tell
    """

    __slots__ = (
        "_before", "_credit", "_ends", "_evidence", "_expected", "_grant", "_next", "_now",
        "_round", "_watch", "close", "looking", "thorough",
    )  # fmt: skip

    def __init__(self) -> None:
        self.close = self.looking = self.thorough = True
        self._credit = float(CREDIT)
        self._grant = 1.0
        self._evidence = 0.0
        self._now = 0
        self._round = ROUND  # events from one probe to the next
        self._next = ROUND  # the next probe
        self._ends = 0  # when the watched key is late
        self._watch = 0  # looks that are probes, from the present one on
        self._expected: list[bytes] = []  # the likeliest keys of the last probes
        self._before: list[bytes] = []  # and of those before them

    def event(self, key: bytes) -> None:
        """A demand miss or a first use of `key`."""
        self._now = now = self._now + 1
        if now <= self._ends:
            if key in self._expected:
                self._came_true(key)
            elif key in self._before:
                self._before.remove(key)
                self._evidence = max(-_MOST, self._evidence - 2)
        if now >= self._next:
            self._next = now + self._round
            if not self.close:
                self._round = min(2 * self._round, LONGEST_ROUND)
            self._watch = PROBES
            self._evidence *= _FADE
            self._before, self._expected = self._expected, []
        if not self.close:
            self.looking = self._watch > 0
            self.thorough = self.looking or now > self._next - CLOSELY

    @property
    def spare(self) -> int:
        """So many events may be told late, and together: all of them are treated alike.

        None where the next miss is to be looked at.
        """
        if self.close or self._watch:
            return 0
        now = self._now
        ends = self._next - 1 - now
        if now < self._ends:  # somebody may be waited for
            ends = min(ends, self._ends - now)
        closely = self._next - CLOSELY - now
        return closely if 0 < closely < ends else max(ends, 0)

    def passed(self, keys: Sequence[bytes]) -> None:
        """As `event` for each of them; no more than were `spare`, or while nobody looks."""
        if self._now < self._ends or self._now + len(keys) >= self._next:
            for key in keys:
                self.event(key)
        elif keys:
            self._now += len(keys) - 1
            self.event(keys[-1])

    def looked(self, candidates: int, absent: Iterable[Candidate]) -> None:
        """A miss was looked at: so many candidates, of which these are not there yet."""
        if self._watch:
            self._watch -= 1
            self._ends = self._now + SOON
            # what followed most often; scores count only between equals
            likeliest = max(absent, key=lambda c: (c.why[0][1], c.score), default=None)
            if likeliest is not None:
                self._expected.append(likeliest.key)
        self._credit = max(0.0, self._credit - LOOK - candidates)
        if not self._credit:
            self.rest()

    def rest(self) -> None:
        """There is no credit, or prediction did harm: look at probes alone."""
        self._credit = 0.0
        if self.close:
            self.close = False
            self._round = ROUND
            self._grant = max(_LEAST_GRANT, self._grant / 2)

    def doubt(self) -> None:
        """Prediction did harm, and stops for a while: then it has less time to prove itself."""
        self._credit /= 2

    def used(self) -> None:
        """A prefetch was used for the first time, and saved a wait."""
        self._credit += WAIT
        if self._credit >= CREDIT:
            self._credit, self._grant = CREDIT, 1.0
        self._look_closely()

    def _came_true(self, key: bytes) -> None:
        self._expected.remove(key)
        self._evidence = min(_MOST, self._evidence + 1)
        self._round = ROUND
        self._next = min(self._next, self._now + CLOSELY)
        if self._evidence >= _CONVINCING:
            self._credit = max(self._credit, CREDIT * self._grant)
            self._look_closely()

    def _look_closely(self) -> None:
        self.close = self.looking = self.thorough = True
