"""What followed this miss the last times it happened.

The miss log remembers *events* in the order they came: demand misses, and
first uses of keys that had been prefetched (which would have been misses).
Hits touch nothing. On a demand miss of x the log goes back to the last three
visits of x and reads what came in the next 24 events of each; a key that
followed often, soon, and after the same event as now is likely to follow
again, and can ride along in the statement that fetches x.

A candidate has four features: v visits found, c of them followed by it, the
distance d at which it was first met, and m, whether the event before that
visit is the event before now. The bucket of (v, m), c/v and d is looked up in
the Plan, whose counters say how often such candidates came true.

No table of rules exists; the log is the memory, at 10.7 bytes an event plus
the text of keys that no template packs. When texts take the room, the ring
becomes shorter, and grows again at the end of a lap when they are fewer.

Simulated and tuned elsewhere in this project's notes: three visits instead of
one, 24 slots, and the distance bins are worth 5 to 10% of the waits each.

What this file does not do: know what is cached (it proposes keys whether
cached or not), count trials, or split memory between values and log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np

from antecache.predictor.base import Candidate, Predictor
from antecache.predictor.keycodec import TEMPLATE_BYTES, TEXT_LIMIT, Codec
from antecache.predictor.plan import PRIOR_SHARE, PRIOR_TRIALS, Plan
from antecache.predictor.ring import BYTES_PER_SLOT, LINK_BITS, UNEVEN, Ring, buckets_for, slots_for
from antecache.predictor.ring_batch import append_all

MAX_VISITS = 3
MAX_WINDOW = 31
_SHARE_BINS = 12
_DISTANCE_BINS = 6
#: buckets of this family in a Plan
BUCKETS = MAX_VISITS * 2 * _SHARE_BINS * _DISTANCE_BINS
#: smallest part of its budget that the ring keeps when texts take the rest
_LEAST_SLOTS = 64
#: slots of a new ring
_FIRST_SLOTS = 512
#: budgets below have no templates: what is studied for them would take the room
_TEMPLATES_FROM = 4096
#: bytes left free, so that the first few texts and templates find room
_MARGIN = 512

_new_candidate = tuple.__new__


class StateError(ValueError):
    """Bytes that are no usable state of a miss log; `str()` says why."""


class MissLog(Predictor):
    """The ring of events as a predictor. See `Predictor` for the contract."""

    name: ClassVar[str] = "misslog"
    buckets: ClassVar[int] = BUCKETS

    def __init__(self, budget_bytes: int, *, first_bucket: int = 0, most: int = 0) -> None:
        super().__init__(budget_bytes)
        self.first_bucket = first_bucket
        self.events = 0  # ever observed
        self._most = max(most, budget_bytes)  # budget up to which another size moves nothing
        self._codec = Codec(_templates_for(budget_bytes))
        slots = self._grown(slots_for(budget_bytes - self._codec.nbytes - _MARGIN), 0)
        self._ring = Ring(slots, room=slots_for(self._most))
        self._lap = slots  # events until the next look at whether the ring may grow
        self._window = 24
        self._visits = MAX_VISITS
        self._disabled: frozenset[str] = frozenset()
        self._scores = _scores(None, first_bucket)
        self._measure()

    # ------------------------------------------------------------------ contract

    def candidates(self, key: bytes) -> list[Candidate]:
        """What followed the last visits of `key`, best first. See `Predictor`."""
        codec, ring = self._codec, self._ring
        code = codec.find(key)
        slot = ring.newest(code) if code >= 0 and ring.filled else -1
        if slot < 0:
            return []
        before_now = ring.last
        age = ring.age(slot)
        window = self._window
        states: dict[int, int] = {}
        known = states.get
        visits = 0
        while True:
            bit = 1 << visits
            fresh = bit | 8 if ring.before(slot) == before_now else bit
            distance = 16
            for word in ring.after(slot, window):
                follower = word >> LINK_BITS
                if follower == code:
                    break
                state = known(follower)
                states[follower] = distance | fresh if state is None else state | bit
                distance += 16
            visits += 1
            if visits == self._visits:
                break
            slot = ring.earlier(slot)
            if slot < 0:
                break
        return self._candidates(code, states, visits, age) if states else []

    def _candidates(
        self, code: int, states: dict[int, int], visits: int, age: int
    ) -> list[Candidate]:
        codec = self._codec
        scores, buckets = self._scores[visits], _BUCKET[visits]
        visited = _VISITS[visits]
        first = self.first_bucket
        aged = ("age", float(age))
        trigger = "followed " + codec.name(code) + ">"
        rules: dict[int, str] = {}  # by what is left of a code without its number
        found = []
        for follower, state in states.items():
            key = codec.decode(follower)
            if key is None:
                continue
            group = follower >> 32 if follower >= TEXT_LIMIT else -follower
            rule = rules.get(group)
            if rule is None:
                rule = rules[group] = trigger + codec.name(follower)
            if rule in self._disabled:
                continue
            confidence = _CONFIDENCE[visits][state & 7]
            why = (confidence, visited, _DISTANCE[state >> 4], _SAME[state >> 3 & 1], aged)
            bucket = first + buckets[state]
            found.append(_new_candidate(Candidate, (key, scores[state], bucket, rule, why)))
        found.sort(key=_by_score, reverse=True)
        return found

    def observe(self, key: bytes, *, demand: bool) -> None:
        """Record an event. See `Predictor`."""
        ring = self._ring
        self.events += 1
        if not ring.slots:
            return
        codec = self._codec
        gone = ring.append(codec.encode(key), demand)
        if 0 <= gone < TEXT_LIMIT:
            codec.release(gone)
        self._lap -= 1
        if codec.nbytes > self._room:
            self._shrink()
        elif self._lap <= 0:
            self._fit()

    def observe_all(self, keys: Sequence[bytes]) -> None:
        """Record demand misses, in order, that nobody has asked about meanwhile."""
        ring, codec = self._ring, self._codec
        self.events += len(keys)
        if not ring.slots:
            return
        encode = codec.encode
        for gone in append_all(ring, [encode(key) for key in keys]):
            if gone < TEXT_LIMIT:
                codec.release(gone)
        self._lap -= len(keys)
        if codec.nbytes > self._room:
            self._shrink()
        elif self._lap <= 0:
            self._fit()

    def adopt(self, plan: Plan) -> None:
        """Score by this Plan from now on. See `Predictor`."""
        self._window, self._visits = plan.window, plan.visits
        self._disabled = frozenset(plan.disabled)
        self._scores = _scores(plan, self.first_bucket)

    def resize(self, budget_bytes: int) -> None:
        """Another budget: the newest events that fit are kept. See `Predictor`."""
        self.budget_bytes = budget_bytes
        self._most = max(self._most, budget_bytes)
        self._codec.max_templates = _templates_for(budget_bytes)
        self._fit(force=True)

    @property
    def nbytes(self) -> int:
        """Slots in use, the index, texts and templates."""
        return self._ring.nbytes + self._codec.nbytes if self._ring.slots else 0

    @property
    def full_nbytes(self) -> int:
        """Bytes when every slot is in use by the keys there are."""
        return self._ring.full_nbytes + self._codec.nbytes if self._ring.slots else 0

    @property
    def codec(self) -> Codec:
        """Where keys get their codes; another one after `load`."""
        return self._codec

    @property
    def slots(self) -> int:
        """Events the ring can hold now."""
        return self._ring.slots

    @property
    def filled(self) -> int:
        """Events it holds."""
        return self._ring.filled

    @property
    def text(self) -> float:
        """Bytes that texts take for each event held; 0 while few are."""
        filled = self._ring.filled
        return self._codec.texts.nbytes / filled if filled >= _LEAST_SLOTS else 0.0

    # ------------------------------------------------------------------ memory

    def _measure(self) -> None:
        """Bytes that texts and templates may take before the ring must give way."""
        self._room = self.budget_bytes - self._ring.full_nbytes

    def _set_slots(self, slots: int) -> None:
        ring = self._ring
        if slots < _LEAST_SLOTS:  # nothing is remembered: no text is named any more
            self._ring = Ring(0, room=ring.room)
            if ring.slots:
                self._codec = Codec(self._codec.max_templates)
        elif not ring.filled:
            self._ring = Ring(slots, room=ring.room)
        else:
            if slots <= ring.room and buckets_for(slots) * 4 > ring.buckets:
                lost = ring.set_slots(slots)
            else:
                self._ring, lost = ring.resized(slots, slots_for(self._most))
            for code in lost[lost < TEXT_LIMIT].tolist():
                self._codec.release(code)
        self._lap = self._ring.slots - self._ring.filled
        self._measure()

    def _affordable(self, *, full: bool) -> int:
        """Slots that fit beside templates and texts; in a `full` ring texts grow with the slots."""
        codec, ring = self._codec, self._ring
        texts = codec.texts.nbytes if full else 0
        fixed = codec.nbytes - texts + _MARGIN + UNEVEN
        per_slot = BYTES_PER_SLOT + texts / max(ring.filled, 1)
        return max(0, int((self.budget_bytes - fixed) / per_slot))

    @staticmethod
    def _grown(slots: int, filled: int) -> int:
        """A ring becomes longer by half each time it is full: its index occupies memory at once."""
        return min(slots, max(_FIRST_SLOTS, filled + filled // 2))

    def _shrink(self) -> None:
        """Texts and templates outgrew their room: fewer slots."""
        slots = self._ring.slots
        self._set_slots(min(self._affordable(full=False), slots - slots // 32 - 1))
        while self._ring.slots and self._codec.nbytes > self._room:
            if self._ring.moving:  # two indexes at once would cost slots
                self._ring.finish()
                self._measure()
            else:
                self._set_slots(self._ring.slots * 15 // 16)

    def _fit(self, *, force: bool = False) -> None:
        """At the end of a lap, or for another budget: as many slots as the budget affords."""
        ring = self._ring
        slots = min(self._affordable(full=ring.filled == ring.slots), slots_for(self.budget_bytes))
        slots = self._grown(slots, ring.filled)
        self._lap = max(slots, _LEAST_SLOTS)
        self._measure()  # an index that was replaced is gone
        if force or slots > ring.slots + ring.slots // 32:
            self._set_slots(slots)
            if self._codec.nbytes > self._room:
                self._shrink()

    # ------------------------------------------------------------------ state

    def dump(self) -> bytes:
        """Everything remembered, for `load` elsewhere: 8 to 11 bytes an event, and texts."""
        slots, head, filled, words, index = self._ring.dump()
        return _encoder.encode(
            _State(self.events, slots, head, filled, words, index, self._codec.dump())
        )

    def load(self, state: bytes) -> None:
        """Forget everything and remember what `dump` described, as far as the budget goes.

        Raises StateError, and then nothing has changed.
        """
        try:
            read = _decoder.decode(state)
            if read.format != _FORMAT:
                raise ValueError("it is of another version")
            ring = Ring.load(
                read.slots,
                read.head,
                read.filled,
                read.words,
                read.index,
                room=slots_for(self._most),
            )
            codec = Codec.load(read.codec, _templates_for(self.budget_bytes))
            _verify(ring, codec)
        except (msgspec.DecodeError, ValueError, KeyError, TypeError) as error:
            raise StateError(f"the miss log's state cannot be used: {error}") from None
        self._ring, self._codec = ring, codec
        self.events = read.events
        self._measure()
        self._fit(force=codec.nbytes > self._room)

    def check(self) -> None:
        """Recount; raises AssertionError when the books are wrong."""
        self._ring.check()
        self._codec.texts.check()
        _verify(self._ring, self._codec)
        assert self.nbytes <= self.budget_bytes, f"{self.nbytes} > {self.budget_bytes}"


#: layout of a state; another number is refused (1 had an index of smaller buckets)
_FORMAT = 2


class _State(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    events: int
    slots: int
    head: int
    filled: int
    words: bytes
    index: bytes
    codec: dict[str, Any]
    format: int = _FORMAT


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_State)


def _verify(ring: Ring, codec: Codec) -> None:
    """Every code in the ring is a key; texts are referred to as often as the ring names them."""
    codes = ring.ordered() >> np.uint64(LINK_BITS)
    texts = codes[codes < TEXT_LIMIT]
    _, refs = codec.texts.dump()
    held = np.frombuffer(refs, dtype=np.uint32)
    if len(texts) and int(texts.max()) >= len(held):
        raise ValueError("the ring names a text that is not there")
    if not np.array_equal(np.bincount(texts.astype(np.int64), minlength=len(held)), held):
        raise ValueError("texts are not referred to as often as the ring names them")
    packed = codes[codes >= TEXT_LIMIT]
    for code in np.unique(packed >> np.uint64(32)).tolist():
        if codec.template(code << 32) is None:
            raise ValueError("the ring names a template that is not there")


def _templates_for(budget: int) -> int:
    """How many templates may be learned: at most a quarter of the budget, none of a small one."""
    return min(1024, budget // 4 // TEMPLATE_BYTES) if budget >= _TEMPLATES_FROM else 0


def bytes_for(slots: int, text: float, overhead: int = 0) -> int:
    """A budget for a log of so many slots, whose keys take `text` bytes a slot beyond them.

    overhead  bytes of the templates that are known already
    """
    ring = (BYTES_PER_SLOT + text) * slots + 64
    # templates, and the shapes and texts that are being studied; small logs learn few
    codec = min(12_000.0, max(1200.0, ring / 8)) if ring >= _TEMPLATES_FROM - 1000 else 0.0
    return int(ring + max(codec, overhead) + _MARGIN + 128)


def _by_score(candidate: Candidate) -> float:
    return candidate[1]


# ---------------------------------------------------------------------- tables
# A candidate's state is one small integer: which visits it followed (3 bits), m (1 bit),
# d (5 bits). With the number of visits it determines bucket, raw confidence and features.

_STATES = 512


def distance_bin(distance: int) -> int:
    """{1, 2, 3-4, 5-6, 7-10, 11+} as 0 to 5."""
    for number, most in enumerate((1, 2, 4, 6, 10)):
        if distance <= most:
            return number
    return 5


def bucket_of(visits: int, share: float, distance: int, same_before: int) -> int:
    """The bucket of v, c/v, d and m among `BUCKETS`."""
    bin_ = min(int(share * _SHARE_BINS), _SHARE_BINS - 1)
    group = (visits - 1) * 2 + same_before
    return (group * _SHARE_BINS + bin_) * _DISTANCE_BINS + distance_bin(distance)


def _tables() -> tuple[list[list[int]], list[list[float]]]:
    """Bucket and raw confidence by number of visits and state."""
    buckets, raws = [[0]], [[0.0]]
    for visits in range(1, MAX_VISITS + 1):
        shares = [min((state & 7).bit_count(), visits) / visits for state in range(_STATES)]
        raws.append(shares)
        buckets.append(
            [
                bucket_of(visits, share, state >> 4, state >> 3 & 1)
                for state, share in enumerate(shares)
            ]
        )
    return buckets, raws


_BUCKET, _RAW = _tables()
_BUCKET_ARRAYS = [np.array(row) for row in _BUCKET]
_RAW_ARRAYS = [np.array(row) for row in _RAW]
# the pairs of `why`, made once: a candidate only joins four of them
_VISITS = tuple(("visits", float(visits)) for visits in range(MAX_VISITS + 1))
_CONFIDENCE = tuple(tuple(("confidence", share) for share in row[:8]) for row in _RAW)
_DISTANCE = tuple(("distance", float(distance)) for distance in range(MAX_WINDOW + 1))
_SAME = (("same_before", 0.0), ("same_before", 1.0))


def _scores(plan: Plan | None, first_bucket: int) -> list[list[float]]:
    """Estimate by visits and state: (u + 2.8 c/v) / (s + 4)."""
    hits, trials = (plan or Plan()).counters(first_bucket, BUCKETS)
    made = [[0.0]]
    for visits in range(1, MAX_VISITS + 1):
        buckets = _BUCKET_ARRAYS[visits]
        prior = PRIOR_TRIALS * PRIOR_SHARE * _RAW_ARRAYS[visits]
        made.append(((hits[buckets] + prior) / (trials[buckets] + PRIOR_TRIALS)).tolist())
    return made
