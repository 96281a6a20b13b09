"""How long the miss log should be: its worth at every length, less the price of its bytes.

The scouts (`scouts.py`) say how many predictions an event a log of each length
could make, long before there is a log. How many of those save a wait is seen
while a log works; before that, two in five. What the bytes cost is told by the
server: the waits that values lose.

- The length is the one where worth less cost is most, and it changes only where
  that is worth the memory that is moved: what a log gives up is forgotten.
- A length that costs next to nothing, or a small part of what the log saves, needs
  no scouts to speak for it.
- At first nothing can be known: a log may see one lap of a small part of the cache,
  whatever it costs, since what returns only after longer than the cache holds would
  else be forgotten just before.
- While the gate is closed there is no log, and the scouts alone go on.

What this file does not do: hold the log (`misslog.py`), or make room for it (`blend.py`).
"""

from __future__ import annotations

import math
from typing import Final

from antecache.predictor.keycodec import is_packable
from antecache.predictor.misslog import MissLog, bytes_for
from antecache.predictor.ring import slots_for
from antecache.predictor.scouts import Scouts

_SCOUTS_PART: Final = 0.008  # of the budget
#: saved waits for each prediction that the scouts expected, before any was seen; how many
#: predictions that weighs at least, and as a part of those that are expected of a longer log
_PRIOR_RATE: Final = 0.4
_PRIOR_EXPECTED: Final = 8.0
_PRIOR_PART: Final = 0.2
#: waits an event that a log may cost on trial
_FREE: Final = 0.0025
#: and part of what it saves that it may cost without regard to the scouts
_PAID: Final = 1 / 8
#: part of the cache that the first lap may take
_FIRST_LAP: Final = 0.03
_LEAST: Final = 128  # slots
#: errors by which a log must pay to be begun, to be kept, and for a closed gate to open
_SURE_NEW: Final = 1.0
_SURE: Final = 0.5
_CONVINCED: Final = 2.0
#: a change of its length must be worth so much of the memory that is moved
_WORTHWHILE: Final = 0.2
_SHRINK: Final = 0.75  # at most, at once
_GROW: Final = 9 / 8  # at least
_ASK: Final = 63  # one event in 64 tells whether keys can be packed
#: a count that is read back is refused above this
_MOST_COUNTED: Final = 1e12


class LogLength:
    """Decides the slots of `log`, of which `budget` bytes of a cache may be the predictor's.

    target    slots decided last
    saved     waits that the log saved, decayed; `events` were seen meanwhile
    promise   how many times its price a log is expected to be worth, with much doubt taken off
    """

    def __init__(self, log: MissLog, budget: int) -> None:
        self.log = log
        self.scouts = Scouts(int(budget * _SCOUTS_PART), slots_for(budget))
        self.target = log.slots
        self.saved = 0.0
        self.promise = 0.0
        self._expected = 0.0  # predictions that the scouts expected of the log, decayed
        self._text = 0.0  # bytes a slot of keys that no template packs, on average
        self._seen = 0

    @property
    def events(self) -> float:
        """Events seen, decayed; at least 1."""
        return max(self.scouts.events, 1.0)

    def observe(self, key: bytes) -> None:
        """An event."""
        counted = self.scouts.observe(key)
        if counted is not None and counted[0] <= self.log.filled:
            self._expected += counted[1]
        self._seen += 1
        if not self._seen & _ASK:
            text = 0.0 if is_packable(key) else 0.9 * (len(key) + 58)
            self._text += (text - self._text) / min(64, self._seen // (_ASK + 1))

    def fade(self, factor: float) -> None:
        """The past counts less from now on."""
        self.saved *= factor
        self._expected *= factor
        self.scouts.decay(factor)

    def bytes_for(self, slots: int) -> int:
        """A budget for a log of so many slots, with the texts of its keys."""
        return bytes_for(slots, max(self._text, self.log.text)) if slots else 0

    def decide(self, price: float, left: int, whole: int, *, closed: bool) -> bool:
        """Decide the target anew; whether the log must be resized.

        price  waits an event that a byte costs
        left   bytes there are for the log, of a cache of `whole`
        """
        best = self._best(price, left, whole)
        if closed:
            length = 0
        else:
            length = best
            if length < self.target:
                held = min(self.target, self.log.filled)
                length = max(length, int(held * _SHRINK))
                if length < _LEAST:
                    length = 0
            elif self.target < length < self.target * _GROW and self.log.budget_bytes <= left:
                return False
        if length == self.target and self.log.budget_bytes <= left:
            return False
        self.target = length
        return True

    def _best(self, price: float, left: int, whole: int) -> int:
        cost = max(_FREE, _PAID * self.saved / self.events)
        free = self._at_cost(cost, price, left)
        first = self._slots_in(min(left, int(_FIRST_LAP * whole)))
        if self._seen < first:
            free = max(free, first)
        sure = _SURE if self.target else _SURE_NEW
        values = whole - self.log.nbytes
        best, length = 0.0, free
        held = 0.0  # the net worth of the present length
        self.promise = 0.0
        if price <= 0:  # memory costs nothing: as long as may be
            return free
        for slots, gain, error in self.scouts.worth():
            needed = self.bytes_for(slots)
            if needed > left:
                break
            rate = self._rate(gain * self.events)
            # waits grow with the logarithm of what is taken: the last bytes cost most
            net = rate * (gain - sure * error) + price * values * math.log(1 - needed / whole)
            promised = rate * (gain - _CONVINCED * error) / (price * needed)
            self.promise = max(self.promise, promised)
            if slots <= self.target:
                held = net
            if net > best and slots > free:
                best, length = net, slots
        moved = abs(self.bytes_for(length) - self.bytes_for(self.target))
        if best and held > 0 and best - held < _WORTHWHILE * price * moved:
            return max(free, self.target)
        return length

    def _rate(self, expected: float) -> float:
        """Saved waits for each prediction that the scouts expect of a log.

        What was seen of a shorter log, of which less was `expected`, says little of a longer one.
        """
        prior = max(_PRIOR_EXPECTED, _PRIOR_PART * expected)
        saved = self.saved + _PRIOR_RATE * prior
        return min(1.0, saved / (max(self._expected, 0.0) + prior))

    def _at_cost(self, cost: float, price: float, left: int) -> int:
        """The slots that cost so many waits an event."""
        return self._slots_in(min(left, int(cost / price)) if price > 0 else left)

    def _slots_in(self, spare: int) -> int:
        """The slots of a log of so many bytes, as far as it is worth having."""
        slots = int(spare / (self.bytes_for(10_000) / 10_000))
        return slots if slots >= _LEAST else 0

    def dump(self) -> tuple[list[list[float]], tuple[float, float, float]]:
        """What was learned, for `load`."""
        return self.scouts.dump(), (self.saved, self._expected, self._text)

    def load(self, scouts: list[list[float]], counted: tuple[float, float, float]) -> None:
        """Go on from what `dump` gave. Raises ValueError when it is no dump."""
        saved, _, text = counted  # less than chance may be expected of a log
        small = all(abs(number) <= _MOST_COUNTED for number in counted)
        if not small or saved < 0 or text < 0:
            raise ValueError("counts of a log that cannot be")
        self.scouts.load(scouts)
        self.saved, self._expected, self._text = counted
