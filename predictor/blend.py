"""All families of evidence together: the default predictor.

A demand miss asks the miss log (what followed this key), the templates (what
follows keys like it) and the strides (what follows steps like this one). A key
named by several families is one candidate, with the best of their scores.

How much of the budget they occupy is decided by what they are worth, whenever
`settle` tells the price of memory (until it is first called, they have all of it):

- The log gets the length at which the predictions expected of it, as the scouts
  measure (`scouts.py`), less the price of its bytes are most. What the scouts
  count becomes saved waits by the rate seen while the log works.
- The tables of strides and templates begin small, and may take as much as costs an
  eighth of the waits they save; one that saves nothing gives its memory back, and
  is tried again much later.

So where nothing follows anything only the scouts remain, a two-hundredth of the
cache, and `idle` says that nobody needs to ask.

What this file does not do: weigh families against each other beyond their
calibrated scores, which are probabilities and may be compared.
"""

from __future__ import annotations

import contextlib
import math
from typing import ClassVar, Final

import msgspec

from antecache.predictor.allowance import Allowance
from antecache.predictor.base import Candidate, Predictor
from antecache.predictor.keycodec import is_packable
from antecache.predictor.misslog import MissLog, bytes_for
from antecache.predictor.plan import Plan
from antecache.predictor.ring import slots_for
from antecache.predictor.scouts import Scouts
from antecache.predictor.strides import Strides
from antecache.predictor.templates import Templates

#: largest part of the budget that the tables of strides and of templates may take
_STRIDES_PART: Final = 0.1
_TEMPLATES_PART: Final = 0.06
_SCOUTS_PART: Final = 0.008
#: bytes beyond which tables gain nothing
_STRIDES_MOST: Final = 1 << 20
#: saved waits for each prediction that the scouts expected, before any was seen; how many
#: predictions that weighs at least, and as a part of those that are expected of a longer log
_PRIOR_RATE: Final = 0.4
_PRIOR_EXPECTED: Final = 8.0
_PRIOR_PART: Final = 0.2
#: waits an event that a log may cost on trial
_FREE: Final = 0.004
#: and part of what it saves that it may cost without regard to the scouts
_PAID: Final = 1 / 8
#: waits an event that listening may cost while the gate is closed
_LISTEN: Final = 0.0007
_LEAST_LOG: Final = 128
#: errors by which a log must pay to be begun, and to be kept
_SURE_NEW: Final = 1.0
_SURE: Final = 0.5
_CONVINCED: Final = 2.0
#: a change of its length must be worth so much of the memory that is moved
_WORTHWHILE: Final = 0.2
_SHRINK: Final = 0.75
_ASK: Final = 63  # one event in 64 tells whether keys can be packed


class _State(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    misslog: bytes
    tables: list[tuple[int, bytes]]
    managed: bool
    scouts: list[list[float]]
    counted: tuple[float, float, float]
    rooms: tuple[tuple[float, int], tuple[float, int]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_State)


class Blend(Predictor):
    """The families of evidence as one predictor. See `Predictor` for the contract."""

    name: ClassVar[str] = "blend"
    buckets: ClassVar[int] = MissLog.buckets + Templates.buckets + Strides.buckets

    def __init__(self, budget_bytes: int) -> None:
        super().__init__(budget_bytes)
        self._managed = False  # whether `settle` decides
        self.misslog = MissLog(budget_bytes)
        self.templates = Templates(
            int(budget_bytes * _TEMPLATES_PART),
            first_bucket=MissLog.buckets,
            codec=self.misslog.codec,
        )
        self.strides = Strides(
            min(int(budget_bytes * _STRIDES_PART), _STRIDES_MOST),
            first_bucket=MissLog.buckets + Templates.buckets,
        )
        self.scouts = Scouts(0, 1)
        self._tables = 0  # bytes the log has given up
        self._events = 0
        self._target = 0  # slots of the log that `settle` decided
        self._saved = 0.0  # waits that the log saved, and what the scouts expected, decayed
        self._expected = 0.0
        self._promise = 0.0
        self._closed = False
        self._strides_room = Allowance()
        self._templates_room = Allowance()
        self._text = 0.0  # bytes a slot of keys that no template packs, on average

    def candidates(self, key: bytes) -> list[Candidate]:
        """What any family expects, best first. See `Predictor`."""
        found = self.misslog.candidates(key)
        more = self.templates.candidates(key) + self.strides.candidates(key)
        if not more:
            return found
        best = {candidate.key: candidate for candidate in found}
        for candidate in more:
            held = best.get(candidate.key)
            if held is None or held.score < candidate.score:
                best[candidate.key] = candidate
        best.pop(key, None)
        return sorted(best.values(), key=lambda candidate: candidate.score, reverse=True)

    def observe(self, key: bytes, *, demand: bool) -> None:
        """Record an event in every family. See `Predictor`."""
        self._events += 1
        if self._managed:
            counted = self.scouts.observe(key)
            if counted is not None and counted[0] <= self.misslog.filled:
                self._expected += counted[1]
            if not self._events & _ASK:
                text = 0.0 if is_packable(key) else 0.9 * (len(key) + 58)
                self._text += (text - self._text) / min(64, self._events // (_ASK + 1))
        if self.misslog.slots:
            self.misslog.observe(key, demand=demand)
        self.templates.observe(key, demand=demand)
        self.strides.observe(key, demand=demand)
        if not self._managed:
            self._make_room()

    def _make_room(self) -> None:
        """A table was made: the log, which had its memory until now, becomes shorter."""
        tables = self.templates.nbytes + self.strides.nbytes
        if tables != self._tables:
            self._tables = tables
            self.misslog.resize(self.budget_bytes - tables)
            self._share_codec()

    def _share_codec(self) -> None:
        if self.templates.codec is not self.misslog.codec:
            self.templates.forget(self.misslog.codec)

    # ------------------------------------------------------------------ memory

    def settle(self, price: float, fade: float, *, closed: bool = False) -> None:
        """Give each family what it is worth. See `Predictor`."""
        if not self._managed:
            self._managed = True
            self._begin()
        whole = 2 * self.budget_bytes  # the cache, of which the budget is half at most
        events = max(self.scouts.events, 1.0)
        strides = self._strides_room.decide(
            price, events, whole, fade, met=self.strides.met, closed=closed
        )
        templates = self._templates_room.decide(
            price, events, whole, fade, met=self.misslog.slots > 0, closed=closed
        )
        strides = min(strides, int(self.budget_bytes * _STRIDES_PART), _STRIDES_MOST)
        templates = min(templates, int(self.budget_bytes * _TEMPLATES_PART))
        if strides != self.strides.budget_bytes:
            self.strides.resize(strides)
        if templates != self.templates.budget_bytes:
            self.templates.resize(templates)
        self._tables = self.templates.nbytes + self.strides.nbytes
        left = self.budget_bytes - self.scouts.nbytes - strides - templates
        length = self._best_length(price, left)
        self._closed = closed
        if closed:  # it goes on listening, as far as that costs nothing to speak of
            length = self._slots_at(_LISTEN, price, left)
            if length < self._target or not self._target:
                self._set_log(length, left)
        else:
            self._settle_log(length, left)
        self._saved *= fade
        self._expected *= fade
        self.scouts.decay(fade)

    def _begin(self) -> None:
        """From now on `settle` decides: begin with the scouts alone."""
        self.scouts = Scouts(int(self.budget_bytes * _SCOUTS_PART), slots_for(self.budget_bytes))
        if not self.misslog.filled:
            self.misslog.resize(0)
            self._share_codec()
            self.strides.resize(0)
            self.templates.resize(0)
        self._target = self.misslog.slots

    def _best_length(self, price: float, left: int) -> int:
        """The slots at which worth less price is most; 0 when no length is worth its price."""
        scouts = self.scouts
        sure = _SURE if self._target else _SURE_NEW
        free = self._free_length(price, left)
        best, length = 0.0, free
        self._promise = 0.0
        whole = max(2 * self.budget_bytes, 2)  # the cache, of which half at most remembers
        values = whole - self.misslog.nbytes
        held = 0.0  # the net worth of the present length
        for slots, gain, error in scouts.worth():
            needed = self._bytes_for(slots)
            if needed > left:
                break
            rate = self._rate(gain * scouts.events)
            # waits grow with the logarithm of what is taken: the last bytes cost most
            cost = price * values * -math.log(1 - needed / whole)
            net = rate * (gain - sure * error) - cost
            if price > 0:
                promised = rate * (gain - _CONVINCED * error) / (price * needed)
                self._promise = max(self._promise, promised)
            if slots <= self._target:
                held = net
            if net > best and slots > free:
                best, length = net, slots
        moved = abs(self._bytes_for(length) - self._bytes_for(self._target))
        if best and held > 0 and best - held < _WORTHWHILE * price * moved:
            return max(free, min(self._target, left))
        return length

    def _rate(self, expected: float) -> float:
        """Saved waits for each prediction that the scouts expect of a log.

        What was seen of a shorter log, of which less was `expected`, says little of a longer one.
        """
        prior = max(_PRIOR_EXPECTED, _PRIOR_PART * expected)
        saved = self._saved + _PRIOR_RATE * prior
        return min(1.0, saved / (max(self._expected, 0.0) + prior))

    def _free_length(self, price: float, left: int) -> int:
        """The slots that cost so little that nothing need speak for them, or that are paid for."""
        cost = max(_FREE, _PAID * self._saved / max(self.scouts.events, 1.0))
        return self._slots_at(cost, price, left)

    def _slots_at(self, cost: float, price: float, left: int) -> int:
        """The slots that cost so many waits an event."""
        spare = min(left, int(cost / price)) if price > 0 else left
        slots = int((spare - self._bytes_for(0)) / (self._bytes_for(10_000) / 10_000))
        return slots if slots >= _LEAST_LOG else 0

    def _bytes_for(self, slots: int) -> int:
        return bytes_for(slots, max(self._text, self.misslog.text)) if slots else 0

    def _settle_log(self, length: int, left: int) -> None:
        if length < self._target:  # never all at once: what is given up is gone
            held = min(self._target, self.misslog.filled)
            length = max(length, int(held * _SHRINK))
            if length < 128:
                length = 0
        if length == self._target and self.misslog.budget_bytes <= left:
            return
        if self._target and self._target < length < self._target * 9 // 8:
            return
        self._set_log(length, left)

    def _set_log(self, length: int, left: int) -> None:
        self._target = length
        self.misslog.resize(min(self._bytes_for(length), left))
        self._share_codec()

    def credit(self, bucket: int) -> None:
        """Remember which family saved a wait. See `Predictor`."""
        if bucket < self.templates.first_bucket:
            self._saved += 1
        elif bucket < self.strides.first_bucket:
            self._templates_room.credit()
        elif bucket < self.buckets:
            self._strides_room.credit()

    @property
    def promise(self) -> float:
        """What the scouts say a log would be worth, over its price. See `Predictor`."""
        return self._promise

    @property
    def idle(self) -> bool:
        """Whether every family is without memory."""
        return self._closed or (
            not self.misslog.slots and self.templates.idle and self.strides.idle
        )

    def adopt(self, plan: Plan) -> None:
        """Score by this Plan from now on. See `Predictor`."""
        self.misslog.adopt(plan)
        self.templates.adopt(plan)
        self.strides.adopt(plan)

    def resize(self, budget_bytes: int) -> None:
        """Another budget for all of them. See `Predictor`."""
        self.budget_bytes = budget_bytes
        templates = int(budget_bytes * _TEMPLATES_PART)
        strides = min(int(budget_bytes * _STRIDES_PART), _STRIDES_MOST)
        left = budget_bytes
        if self._managed:
            self.scouts = Scouts(int(budget_bytes * _SCOUTS_PART), slots_for(budget_bytes))
            templates = min(templates, self.templates.budget_bytes)
            strides = min(strides, self.strides.budget_bytes)
            left = min(left, max(self._bytes_for(self._target), self.misslog.nbytes + 1024))
        self.templates.resize(templates)
        self.strides.resize(strides)
        self._tables = self.templates.nbytes + self.strides.nbytes
        spoken_for = self._tables if not self._managed else strides + templates
        self.misslog.resize(min(left, budget_bytes - self.scouts.nbytes - spoken_for))
        self._share_codec()

    def dump(self) -> bytes:
        """The states of all families, and what was learned of their worth; see `Predictor`."""
        tables = (self.templates, self.strides)
        return _encoder.encode(
            _State(
                self.misslog.dump(),
                [(table.budget_bytes, table.dump()) for table in tables],
                self._managed,
                self.scouts.dump(),
                (self._saved, self._expected, self._text),
                (self._templates_room.dump(), self._strides_room.dump()),
            )
        )

    def load(self, state: bytes) -> None:
        """Forget everything and take over what `dump` gave. See `Predictor`."""
        try:
            read = _decoder.decode(state)
        except msgspec.DecodeError as error:
            raise ValueError(f"the state of the blend cannot be used: {error}") from None
        if len(read.tables) != 2 or min(read.counted) < 0:
            raise ValueError("the state of the blend cannot be used: parts are missing")
        self.misslog.load(read.misslog)
        self.templates.forget(self.misslog.codec)
        # without their tables the other two begin anew, which is no harm
        for table, (budget, packed) in zip(
            (self.templates, self.strides), read.tables, strict=True
        ):
            table.resize(max(0, min(budget, table.budget_bytes)))
            with contextlib.suppress(ValueError):
                table.load(packed)
        self._managed = read.managed
        if read.managed:
            self._target = self.misslog.slots
            self._saved, self._expected, self._text = read.counted
            self._templates_room.load(*read.rooms[0])
            self._strides_room.load(*read.rooms[1])
        self.resize(self.budget_bytes)
        if read.managed:
            self.scouts.load(read.scouts)

    @property
    def nbytes(self) -> int:
        """The log, both tables and the scouts."""
        return (
            self.misslog.nbytes + self.templates.nbytes + self.strides.nbytes + self.scouts.nbytes
        )

    def check(self) -> None:
        """Recount; raises AssertionError when the books are wrong."""
        self.misslog.check()
        assert self.nbytes <= self.budget_bytes, f"{self.nbytes} > {self.budget_bytes}"
