"""Who is told of demand misses and first uses, and how closely each is looked at.

An *event* (a demand miss, or the first use of a prefetched key) is told to the
predictor, to those who watch what prediction is worth (`worth.py`), whether looking
pays (`interest.py`), who walks through the keys (`walkers.py`), and how many rows may
be read ahead (`predictor/budget.py`). Every few hundred events the books are looked
through: what memory is worth, and how much of it prediction gets.

Where nobody will look at the next misses, they are only noted, and told together a
little later. Each alone, between a statement and the next, finds nothing of all this
in the caches of the processor, and costs three times as much.

What this file does not do: ask for candidates, or decide about them (`prefetch.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from antecache.predictor.base import Predictor
from antecache.predictor.budget import RowBudget
from antecache.predictor.walkers import Walkers
from antecache.server.accesslog import AccessLog
from antecache.server.bystander import Bystander
from antecache.server.interest import Interest
from antecache.server.ledger import Ledger
from antecache.server.store import Store
from antecache.server.worth import Worth

#: events between two looks at what memory is worth
REVIEW: Final = 200
#: misses that nobody looks at, of which everybody is told at once
TOGETHER: Final = 256
#: and their part of the entries: what is told later than they leave is told wrongly
_ENTRIES: Final = 16


class Witnesses:
    """Tells of events. `predictor` may be exchanged.

    row_budget  rows that may be read ahead, as a share of the events
    charged     whether what the predictor remembers takes memory from the values
    """

    def __init__(
        self,
        store: Store,
        access: AccessLog,
        ledger: Ledger,
        predictor: Predictor,
        *,
        row_budget: float,
        charged: bool,
    ) -> None:
        self._store = store
        self._access = access
        self._ledger = ledger
        self.predictor = predictor
        self.budget = RowBudget(row_budget)
        self.worth = Worth(store, charged=charged)
        self.interest = Interest()
        self.walkers = Walkers(access.aside, lambda: self.predictor.budget_bytes, access.enter)
        self.enabled = False
        self._bystander = Bystander(access, lambda: self.predictor)
        access.reader = self.overhear
        self._review_in = REVIEW
        # Misses that nobody looks at: key, and who asked; departures; how many there may be.
        self._noted: list[tuple[bytes, int]] = []
        self._noted_at: list[int] = []
        self._spare = 0

    def enable(self, on: bool) -> None:
        """Whether anything is told at all."""
        self.enabled = on
        self._noted.clear()
        self._noted_at.clear()
        self._store.probation.watch(on)

    # -- one at a time ------------------------------------------------------

    def missed(self, key: bytes) -> bool:
        """A demand miss; whether it would have been one without prediction too."""
        store = self._store
        own = self.worth.missed(store.probation.missed(key, store.residents))
        self.interest.event(key)
        return own

    def observe(self, key: bytes, *, demand: bool) -> None:
        """Tell the predictor, as closely as it is worth."""
        if self.interest.thorough and not self.worth.closed:
            self.predictor.observe(key, demand=demand)
        else:
            self.predictor.note(key, demand=demand)

    def event(self, *, own: bool) -> None:
        """A demand miss, or the first use of a prefetched key; see `RowBudget.event`."""
        self.budget.event(own=own)
        self._review_in -= 1
        if self._review_in < 0:
            self._review()

    def _review(self) -> None:
        """Every few hundred events: what memory is worth, and how much of it prediction gets."""
        predictor, worth = self.predictor, self.worth
        self._review_in = REVIEW
        # without a price, and with hardly a prefetch, nobody asks what prediction displaced
        self._store.probation.watch(self.enabled and (self.interest.close or not worth.free))
        # A log is judged over as many events as it might hold.
        remembered = min(40_000, max(4000, predictor.budget_bytes // 13))
        fade = 1 - REVIEW / remembered
        ended = self._ledger.outcomes
        used = ended["useful"] + ended["late"] + 1
        hopes = len(self._store.probation) * used / (used + ended["wasted"] + 1)
        was = worth.closed
        worth.review(predictor.nbytes, fade, promise=predictor.promise, hopes=hopes)
        if worth.closed and not was:
            if worth.free:
                # There is nothing to give back: less is looked at instead, and what is remembered
                # stays, so that traffic that becomes predictable is noticed soon.
                worth.reopen()
                self.interest.rest()
            else:
                self.interest.doubt()
        predictor.settle(worth.price, fade, closed=worth.closed)

    def overhear(self) -> None:
        """Tell the predictor of the reads that found their keys since the last event."""
        self._bystander.catch_up(listening=self.interest.close and not self.worth.closed)

    # -- together -----------------------------------------------------------

    def notes(self, keys: Sequence[bytes]) -> bool:
        """Whether a demand miss of `keys` was only noted, since nobody looks at it."""
        asks = self._access.session
        if not self._spare or asks < 0:
            return False
        noted, probation = self._noted, self._store.probation
        for key in keys:
            noted.append((key, asks))
        if probation.watching:
            self._noted_at += [probation.departures] * len(keys)
        if len(noted) >= self._spare:
            self.catch_up()
        return True

    def wake(self) -> None:
        """A prefetch was of use: the next miss is told at once."""
        self.catch_up()
        self._spare = 0

    def plan_ahead(self) -> None:
        """How many of the next misses nobody is going to look at."""
        idle = self.worth.closed or self.predictor.idle
        most = min(TOGETHER, self._store.residents // _ENTRIES, self._review_in + 1)
        self._spare = most if idle else min(most, self.interest.spare)

    def catch_up(self) -> None:
        """Tell everybody of the misses that were only noted."""
        if not self._noted:
            return
        noted, self._noted = self._noted, []
        left, self._noted_at = self._noted_at, []
        interest, worth, predictor = self.interest, self.worth, self.predictor
        probation, residents, own = self._store.probation, self._store.residents, len(noted)
        if interest.close and not worth.closed:
            for key, session in noted:
                self.walkers.event(session, key)
        if len(left) == len(noted):
            missed, told = worth.missed, probation.missed
            own = 0
            for (key, _), departures in zip(noted, left, strict=True):
                own += missed(told(key, residents, departures))
        else:  # while some of them came, nobody remembered what left
            probation.passed(len(noted))
            worth.passed(len(noted))
        interest.passed([key for key, _ in noted])
        if interest.thorough and not worth.closed:
            for key, session in noted:
                predictor.session = session
                predictor.observe(key, demand=True)
        else:
            predictor.note_all(noted)
        self.budget.missed(len(noted), own)
        self._review_in -= len(noted)
        if self._review_in < 0:
            self._review()
        self.plan_ahead()
