"""What memory is worth to values, and whether prediction pays for what it takes.

Two questions, answered by the keys that the eviction policy gave up lately:

- A *price*: what one byte taken from the values costs in waits an event. Misses of
  keys that left within the last tenth of the entries say how many waits a cache
  larger by a tenth would have saved.
- A *balance*: the memory and the probation of prediction take the place of so many
  entries. A miss of a key that left within the last so many departures is a wait
  that prediction caused; a first use of a prefetched key that did not is one that
  it saved. This is the comparison with the same cache without prediction, made
  of the real accesses, and costs no second cache.

Learning costs something before it pays, and where nothing can be learned it only
costs. So there is an allowance: less than a thousandth of the reads may wait on that account.
When the balance is worse, the gate closes, and nothing is prefetched or remembered
until the allowance has grown by half of what was lost (of which no more than twice
the allowance counts), or much is promised.

An event is a demand miss or the first use of a prefetched key.

What this file does not do: size anything (the predictor does, by the price).
"""

from __future__ import annotations

import sys
from typing import Final

from antecache.server.store import Store

#: departures within which a miss tells the price, as a share of the entries
NEAR: Final = 0.1
#: what more memory saves falls as it grows, so less of it costs more than was measured
STEEPER: Final = 1.3
#: what is seen of the waits that prediction caused is not all: a policy that tells good entries
#: from bad loses more with the last ones than these missed
UNSEEN: Final = 2.5
#: before anything is known: near misses an event, and how many events that weighs
PRIOR: Final = 0.02
PRIOR_EVENTS: Final = 30.0
#: waits that prediction may cost on balance: some, and so many of the reads, lately
LEAST_LOSS: Final = 6.0
LOSS: Final = 0.0006
LATELY: Final = 1_000_000
#: of what was lost when the gate closes, so many times the allowance count at most
DEBT: Final = 2.0
#: and of what was saved lately; more would buy a licence to lose for long
BANK: Final = 20.0
#: how many times its price prediction must promise to be worth for a closed gate to open at
#: once; twice that after each time that it was believed in vain, of which by and by so much
#: is forgotten that this is enough
CONVINCING: Final = 2.0
FORGIVE: Final = 0.985  # at each look
FORGIVEN: Final = 8.0


class Worth:
    """The price and the balance. `closed` is the gate's state.

    charged        whether the memory of prediction comes out of what values may take
    balance        waits saved less waits caused; of gains in the past only part counts
    saved, caused  both, decayed
    """

    def __init__(self, store: Store, *, charged: bool = True) -> None:
        self._store = store
        self._charged = charged
        self._weight = 0.0  # events, decayed
        self._near = 0.0
        self.saved = 0.0
        self.caused = 0.0
        self.balance = 0.0
        self.closed = False
        self.closings = 0
        self._displaced = 0
        self._convincing = CONVINCING

    def missed(self, age: int) -> bool:
        """A demand miss of a key that left `age` departures ago (-1: not lately).

        Whether it would have been one without prediction too.
        """
        self._weight += 1
        caused = 0 <= age < self._displaced
        if age >= 0:
            if age < max(1.0, NEAR * self._store.residents):
                self._near += 1
            if caused and not self.closed:
                self.caused += UNSEEN
                self.balance -= UNSEEN
        return not caused

    def passed(self, count: int) -> None:
        """So many demand misses of keys of which nobody remembers when they left."""
        self._weight += count

    def used(self, age: int) -> bool:
        """A first use of a prefetched key; whether it saved a wait that it had not caused."""
        self._weight += 1
        saved = not 0 <= age < self._displaced
        self.saved += saved
        self.balance += saved
        return saved

    @property
    def entry_bytes(self) -> float:
        """The mean size of an entry."""
        store = self._store
        return store.used / store.count if store.count else 1000.0

    @property
    def free(self) -> bool:
        """Whether memory of prediction displaces nothing: it is not charged, or keys are scarce."""
        store = self._store
        return not (self._charged and store.room < sys.maxsize and store.count < store.limit)

    @property
    def price(self) -> float:
        """Waits an event that a byte less for values costs; 0 where it is free."""
        if self.free:
            return 0.0
        if not self._store.evicted:  # there is enough for now, but what is taken will be missed
            return STEEPER * PRIOR / (NEAR * max(self._store.room, 1))
        near = (self._near + PRIOR * PRIOR_EVENTS) / (self._weight + PRIOR_EVENTS)
        entries = max(1.0, NEAR * self._store.residents)
        return STEEPER * near / (entries * self.entry_bytes)

    @property
    def allowance(self) -> float:
        """Waits that prediction may cost on balance."""
        reads = self._store.hits + self._store.misses
        return LEAST_LOSS + LOSS * min(reads, LATELY)

    def reopen(self) -> None:
        """The gate is open, and what was lost is forgotten."""
        self.closed = False
        self.balance = 0.0

    def review(
        self, metadata: int, fade: float, *, promise: float = 0.0, hopes: float = 0.0
    ) -> None:
        """Look at the balance.

        metadata  bytes in which prediction remembers now
        fade      what the past counts from now on
        hopes     prefetches that wait for their use and are likely to be used
        promise   how many times its price prediction is expected to be worth
        """
        store = self._store
        for name in ("_weight", "_near", "saved", "caused"):
            setattr(self, name, getattr(self, name) * fade)
        taken = store.probation.queue.size + (0 if self.free else metadata)
        self._displaced = int(taken / self.entry_bytes) if store.evicted else 0
        store.probation.span(store.residents, self._displaced)
        allowance = self.allowance
        self.balance = min(self.balance, allowance + min(self.saved, BANK * allowance))
        if self.closed:
            doubt = self._convincing
            self._convincing = max(min(doubt, FORGIVEN), doubt * FORGIVE)
            if promise >= self._convincing:
                self._convincing *= 2
                self.balance = max(self.balance, -allowance / 2)
                self.closed = False
            elif -self.balance < allowance / 1.5:
                self.closed = False
        elif -self.balance - hopes > allowance:
            self.closed = True
            self.closings += 1
            # a cache that fills, or a scan, may lose much between two looks; more than this is
            # no reason to wait longer, or one bad moment closes the gate for good
            self.balance = max(self.balance, -DEBT * allowance)
        elif self.balance > allowance / 2:
            self._convincing = CONVINCING
