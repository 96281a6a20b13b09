"""What is due at regular intervals is fetched shortly before somebody asks for it.

The trainer publishes which keys have a period and when each is due next
(`predictor/periods.py`); from then on the server counts on by itself, until it hears
otherwise or four visits were not confirmed. The background round asks here what is due:
a key that is absent then is handed to the prefetcher, under the same threshold, budget,
gate and precision floor as any other candidate, with the rule `period 60s`. One that is
there and stays needs nothing; one that expires before it is due is looked at again when
it has expired.

How long before: as much as the visits were early lately, two rounds and four loads of its
source, but at most half of the period and half of what a value lives.

What this file does not do: learn, or fetch anything before the gate is open.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable
from typing import Final

from antecache.predictor.base import Candidate
from antecache.predictor.periods import LONGEST, MOST, SHORTEST, Due
from antecache.server.backing.base import Source
from antecache.server.prefetch import Prefetcher
from antecache.server.store import Store

#: seconds that two background rounds take, and loads of the source that must fit
_ROUNDS: Final = 0.25
_LOADS: Final = 4
#: visits that are expected without news of the last ones
_UNCONFIRMED: Final = 4
#: keys looked at in one round
_MOST_AT_ONCE: Final = 256
_ENTRY_BYTES: Final = 500


class Schedule:
    """The keys that are due, in order of time.

    never  says which must not be predicted
    clock  Unix seconds; the store's where it is not given
    """

    def __init__(
        self,
        store: Store,
        owner: Callable[[bytes], Source | None],
        prefetcher: Prefetcher,
        never: Callable[[bytes], bool],
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._store = store
        self._owner = owner
        self._prefetcher = prefetcher
        self._never = never
        self._clock = clock or (lambda: store.now / 1000)
        self._known: dict[bytes, Due] = {}
        self._left: dict[bytes, int] = {}  # visits that are expected without news
        self._done: dict[bytes, float] = {}  # the visit that was prepared last
        self._queue: list[tuple[float, bytes, Due]] = []  # when to look, what is due then

    def __len__(self) -> int:
        return len(self._known)

    def replace(self, dues: Iterable[Due]) -> None:
        """A new schedule. Entries that cannot be are left out."""
        self._known = {due.key: due for due in dues if _is_sane(due)}
        while len(self._known) > MOST:
            self._known.popitem()
        self._left = dict.fromkeys(self._known, _UNCONFIRMED)
        self._done = {key: at for key, at in self._done.items() if key in self._known}
        self._queue.clear()
        for due in list(self._known.values()):
            self._plan(due)

    def tick(self) -> None:
        """Look at what is due by now; called in every background round."""
        queue, now = self._queue, self._clock()
        looked_at = 0
        while queue and queue[0][0] <= now and looked_at < _MOST_AT_ONCE:
            _, _, due = heapq.heappop(queue)
            if self._prefetcher.enabled:
                self._prepare(due, now)
            looked_at += 1

    @property
    def next_at(self) -> float:
        """When there is something to look at; infinity when nothing is due."""
        return self._queue[0][0] if self._queue else math.inf

    def due(self, key: bytes) -> Due | None:
        """When a key is due next; None for a key without a period."""
        return self._known.get(key)

    def _prepare(self, due: Due, now: float) -> None:
        """See to it that a key is there when it is due."""
        key, latest = due.key, due.at + due.spread
        entry = self._store.databases[0].peek(key)
        if entry is None:
            prefetcher = self._prefetcher
            if now <= latest and not (prefetcher.worth.closed or self._never(key)):
                prefetcher.pursue(key, [_candidate(due)])
        elif entry.expire_at and entry.expire_at / 1000 <= latest:
            self._push(entry.expire_at / 1000, due)
            return
        self._done[key] = due.at
        self._left[key] -= 1
        if self._left[key] > 0:
            self._plan(due._replace(at=due.at + due.period))
        else:
            for held in (self._known, self._left, self._done):
                held.pop(key, None)

    def _plan(self, due: Due) -> None:
        """Queue the first visit from `due.at` on that is neither over nor prepared."""
        earliest = self._clock() - due.spread
        if due.key in self._done:
            earliest = max(earliest, self._done[due.key] + due.period / 2)
        over = math.ceil((earliest - due.at) / due.period)
        if over > 0:
            due = due._replace(at=due.at + over * due.period)
        self._known[due.key] = due
        self._push(due.at - self._lead(due), due)

    def _push(self, when: float, due: Due) -> None:
        heapq.heappush(self._queue, (when, due.key, due))

    def _lead(self, due: Due) -> float:
        source = self._owner(due.key)
        if source is None:
            return 0.0
        lead = due.spread + _ROUNDS + _LOADS * self._store.origin(source).cost
        lives = source.options.ttl or math.inf
        return min(lead, due.period / 2, lives / 2)

    @property
    def nbytes(self) -> int:
        """Estimated bytes."""
        return sum(map(len, self._known)) + _ENTRY_BYTES * len(self._known)


def _is_sane(due: Due) -> bool:
    return (
        all(map(math.isfinite, due[1:]))
        and SHORTEST <= due.period <= LONGEST
        and 0 <= due.spread <= due.period
        and 0 <= due.confidence <= 1
        and due.at > 0
    )


def _candidate(due: Due) -> Candidate:
    why = (
        ("confidence", due.confidence),
        ("period", due.period),
        ("spread", due.spread),
    )
    return Candidate(due.key, due.confidence, -1, due.rule, why)
