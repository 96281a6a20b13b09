"""How long the miss log should be: its worth at every length, less the price of its bytes.

The scouts (`scouts.py`) say how many predictions an event a log of each length
could make, long before there is a log. How many of those save a wait is seen
while a log works, for each age of what they came from (one in eight of what was
noted just before, since its followers are cached still, and three in four of what
is old); before that, two in five. What the bytes cost is told by the server: the
waits that values lose.

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
from typing import Final, TypeAlias

from antecache.predictor.keycodec import is_packable
from antecache.predictor.misslog import MissLog, bytes_for
from antecache.predictor.ring import slots_for
from antecache.predictor.scouts import Scouts

_SCOUTS_PART: Final = 0.008  # of the budget
#: saved waits for each prediction that the scouts expected, before any was seen; how many
#: predictions that weighs at least, in scouts, and as a part of those that are expected
_PRIOR_RATE: Final = 0.4
_PRIOR_EXPECTED: Final = 8.0
_PRIOR_SCOUTS: Final = 2
_PRIOR_PART: Final = 0.2
#: ages are told apart by powers of four
_AGES: Final = 12
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
#: a log of the right length gets another budget where its keys need so much more
_SHORT: Final = 1.1
_ASK: Final = 63  # one event in 64 tells whether keys can be packed
#: a count that is read back is refused above this
_MOST_COUNTED: Final = 1e12

#: what `LogLength.dump` gives: of the scouts, waits saved, predictions expected, bytes of texts
LengthState: TypeAlias = tuple[list[list[float]], list[float], list[float], float]


class LogLength:
    """Decides the slots of `log`, of which `budget` bytes of a cache may be the predictor's.

    target    slots decided last
    promise   how many times its price a log is expected to be worth, with much doubt taken off
    """

    def __init__(self, log: MissLog, budget: int) -> None:
        self.log = log
        self.scouts = Scouts(int(budget * _SCOUTS_PART), slots_for(budget))
        self.target = log.slots
        self.promise = 0.0
        # waits saved, and predictions that the scouts expected of the log, by the age of what
        # they came from; decayed
        self._saved = [0.0] * _AGES
        self._expected = [0.0] * _AGES
        self._text = 0.0  # bytes a slot of keys that no template packs, on average
        self._seen = 0

    @property
    def events(self) -> float:
        """Events seen, decayed; at least 1."""
        return max(self.scouts.events, 1.0)

    @property
    def saved(self) -> float:
        """Waits that the log saved, decayed as `events`."""
        return sum(self._saved)

    def observe(self, key: bytes) -> None:
        """An event."""
        counted = self.scouts.observe(key)
        if counted is not None and counted[0] <= self.log.filled:
            self._expected[_age_class(counted[0])] += counted[1]
        self._seen += 1
        if not self._seen & _ASK:
            text = 0.0 if is_packable(key) else 0.9 * (len(key) + 58)
            self._text += (text - self._text) / min(64, self._seen // (_ASK + 1))

    def credit(self, age: int) -> None:
        """The log saved a wait, by what it had noted `age` events ago (0: unknown)."""
        self._saved[_age_class(max(age, 1))] += 1

    def fade(self, factor: float) -> None:
        """The past counts less from now on."""
        self._saved = [saved * factor for saved in self._saved]
        self._expected = [expected * factor for expected in self._expected]
        self.scouts.decay(factor)

    def bytes_for(self, slots: int) -> int:
        """A budget for a log of so many slots, with the texts of its keys."""
        if not slots:
            return 0
        return bytes_for(slots, max(self._text, self.log.text), self.log.codec.overhead)

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
        held = self.log.budget_bytes
        if length == self.target and held <= left and self.bytes_for(length) < _SHORT * held:
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
        counted = saves = 0.0
        rates = self._rates()
        for slots, gain, error in self.scouts.worth():
            needed = self.bytes_for(slots)
            if needed > left:
                break
            saves += rates[_age_class(slots)] * (gain - counted)
            counted = gain
            doubt = error * (saves / gain if gain > 0 else 1.0)
            # waits grow with the logarithm of what is taken: the last bytes cost most
            net = saves - sure * doubt + price * values * math.log(1 - needed / whole)
            promised = (saves - _CONVINCED * doubt) / (price * needed)
            self.promise = max(self.promise, promised)
            if slots <= self.target:
                held = net
            if net > best and slots > free:
                best, length = net, slots
        moved = abs(self.bytes_for(length) - self.bytes_for(self.target))
        if best and held > 0 and best - held < _WORTHWHILE * price * moved:
            return max(free, self.target)
        return length

    def _rates(self) -> list[float]:
        """Saved waits for each prediction that the scouts expect, by the age of its evidence.

        What came back soon is often cached still, and predicting it saves little; what
        was seen of one age is a first guess for the next.
        """
        gains = [0.0] * _AGES
        before = 0.0
        for slots, gain, _ in self.scouts.worth():
            gains[_age_class(slots)] += (gain - before) * self.events
            before = gain
        rates, rate = [], _PRIOR_RATE
        least = max(_PRIOR_EXPECTED, _PRIOR_SCOUTS * self.scouts.weight)
        for age, gain in enumerate(gains):
            prior = max(least, _PRIOR_PART * gain)
            saved = self._saved[age] + rate * prior
            rate = min(1.0, saved / (max(self._expected[age], 0.0) + prior))
            rates.append(rate)
        return rates

    def _at_cost(self, cost: float, price: float, left: int) -> int:
        """The slots that cost so many waits an event."""
        return self._slots_in(min(left, int(cost / price)) if price > 0 else left)

    def _slots_in(self, spare: int) -> int:
        """The slots of a log of so many bytes, as far as it is worth having."""
        slots = int(spare / (self.bytes_for(10_000) / 10_000))
        return slots if slots >= _LEAST else 0

    def dump(self) -> LengthState:
        """What was learned, for `load`."""
        return self.scouts.dump(), self._saved, self._expected, self._text

    def load(self, state: LengthState) -> None:
        """Go on from what `dump` gave. Raises ValueError when it is no dump."""
        scouts, saved, expected, text = state
        counted = (*saved, *expected, text)  # less than chance may be expected of a log
        small = all(abs(number) <= _MOST_COUNTED for number in counted)
        if not small or min(*saved, text) < 0 or not len(saved) == len(expected) == _AGES:
            raise ValueError("counts of a log that cannot be")
        self.scouts.load(scouts)
        self._saved, self._expected, self._text = list(saved), list(expected), text


def _age_class(age: int) -> int:
    """0 for 1 to 3 events, 1 for 4 to 15 ..."""
    return min(age.bit_length() - 1, 2 * _AGES - 1) // 2
