"""All families of evidence together: the default predictor.

A demand miss asks the miss log (what followed this key), the templates (what
follows keys like it), the strides (what follows steps like this one) and the
sessions (what the same client came for after this key; and what follows keys that
clients found lately). A key named by several families is one candidate, with the
best of their scores. Where sessions take turns, what came next in the log was mostly
somebody else's wish: once what followed in the same session proves about as certain,
the log's candidates count a quarter.

How much of the budget they occupy is decided by what they are worth, whenever
`settle` tells the price of memory (until it is first called, they have all of it):

- The log gets the length at which the predictions expected of it, as its scouts
  measure, less the price of its bytes are most (`loglength.py`).
- The tables of strides, templates and sessions begin small, and may take as much as costs an
  eighth of the waits they save; one that saves nothing gives its memory back, and
  is tried again much later.

So where nothing follows anything only the scouts remain, a two-hundredth of the
cache, and `idle` says that nobody needs to ask.

What this file does not do: weigh families against each other beyond their
calibrated scores, which are probabilities and may be compared.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from antecache.predictor.allowance import Allowance
from antecache.predictor.base import Candidate, Predictor, Why, merged
from antecache.predictor.evidence import certainty
from antecache.predictor.loglength import LengthState, LogLength
from antecache.predictor.misslog import MissLog
from antecache.predictor.plan import Plan
from antecache.predictor.sessions import Sessions
from antecache.predictor.strides import Strides
from antecache.predictor.templates import Templates

#: largest part of the budget that the tables of strides, templates and sessions may take
_STRIDES_PART: Final = 0.1
_TEMPLATES_PART: Final = 0.06
_SESSIONS_PART: Final = 0.1
#: how much sessions must tell, of what the log does, and what its order still counts then
_CLEARLY, _OTHERS_PART = 0.7, 0.25
#: how much they must tell to learn from hits too, once so many accesses were seen
_HEARD, _YOUNG = 0.2, 4000
#: bytes beyond which tables gain nothing
_STRIDES_MOST: Final = 1 << 20
#: of so many sessions, one is told of events that are only noted: all of its own
_SESSIONS_NOTED: Final = 8


class _State(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    misslog: bytes
    tables: tuple[tuple[int, bytes], tuple[int, bytes]]  # of templates and strides, with budgets
    length: LengthState | None
    rooms: tuple[tuple[float, int], tuple[float, int]]
    # of sessions: budget, table, what they were worth; none in older states
    sessions: tuple[int, bytes, tuple[float, int]] | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_State)


class Blend(Predictor):
    """The families of evidence as one predictor. See `Predictor` for the contract."""

    name: ClassVar[str] = "blend"
    buckets: ClassVar[int] = (
        MissLog.buckets + Templates.buckets + Strides.buckets + Sessions.buckets
    )

    def __init__(self, budget_bytes: int) -> None:
        super().__init__(budget_bytes)
        self._length: LogLength | None = None  # until `settle` decides
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
        self.sessions = Sessions(
            int(budget_bytes * _SESSIONS_PART),
            first_bucket=self.strides.first_bucket + Strides.buckets,
        )
        self._tables = 0  # bytes the log has given up before `settle` decides
        self._closed = False
        self._by_session = False  # whether sessions tell more than the order of the log
        self._hears = True  # whether what sessions tell is worth learning from hits
        self._free = False  # memory costs nothing
        self._price, self._met = 0.0, False  # when `settle` was last called; the sessions then
        self._noted = False  # events have passed of which the tables know nothing
        self._strides_room = Allowance()
        self._templates_room = Allowance()
        self._sessions_room = Allowance()

    def candidates(self, key: bytes) -> list[Candidate]:
        """What any family expects, best first. See `Predictor`."""
        found = self.misslog.candidates(key)
        more = self.templates.candidates(key) + self.strides.candidates(key)
        more += self.sessions.candidates(key)
        if self._by_session and not self.sessions.idle:
            found = [_less(candidate) for candidate in found]
        if not more:
            return found
        return [candidate for candidate in merged(found, more) if candidate.key != key]

    def observe(self, key: bytes, *, demand: bool) -> None:
        """Record an event in every family. See `Predictor`."""
        if self._length is not None:
            self._length.observe(key)
        if self.misslog.slots:
            self.misslog.observe(key, demand=demand)
        if self._noted:
            self._noted = False
            self.templates.pause()
            self.strides.pause()
        self.templates.observe(key, demand=demand)
        self.strides.observe(key, demand=demand)
        self.sessions.session = self.session
        self.sessions.observe(key, demand=demand)
        if self._length is None:
            self._make_room()
        elif self.sessions.met and not self._met:
            self.settle(self._price, 1.0, closed=self._closed)  # they need not wait for the next

    @property
    def listens(self) -> bool:
        """Whether sessions have a table, and tell something or are young. See `Predictor`."""
        return self._hears and self.sessions.listens

    def passed(self, session: int, keys: Sequence[bytes]) -> None:
        """Tell the sessions. See `Predictor`."""
        self.sessions.passed(session, keys)

    def waiting(self) -> list[Candidate]:
        """What sessions expect, where they tell more than the log. See `Predictor`."""
        return self.sessions.waiting() if self._by_session else []

    def note(self, key: bytes, *, demand: bool) -> None:
        """What must have no gaps: the log with what measures it, and some of the sessions.

        See `Predictor`.
        """
        self._noted = True
        if self._length is not None and not self._free:  # else it needs no measuring
            self._length.observe(key)
        if self.misslog.slots:
            self.misslog.observe(key, demand=demand)
        if not self.session % _SESSIONS_NOTED:
            self.sessions.session = self.session
            self.sessions.observe(key, demand=demand)

    def note_all(self, misses: Sequence[tuple[bytes, int]]) -> None:
        """As `note`, of several misses at once; see `Predictor`."""
        self._noted = True
        keys = [key for key, _ in misses]
        if self._length is not None and not self._free:
            for key in keys:
                self._length.observe(key)
        if self.misslog.slots:
            self.misslog.observe_all(keys)
        for key, session in misses:
            if not session % _SESSIONS_NOTED:
                self.sessions.session = session
                self.sessions.observe(key, demand=True)

    def _make_room(self) -> None:
        """A table was made: the log, which had its memory until now, becomes shorter."""
        tables = self._occupied
        if tables != self._tables:
            self._tables = tables
            self.misslog.resize(self.budget_bytes - tables)
            self._share_codec()

    @property
    def _occupied(self) -> int:
        """Bytes of the tables; that of sessions fills up what it has, a key at a time."""
        sessions = 0 if self.sessions.idle else self.sessions.budget_bytes
        return self.templates.nbytes + self.strides.nbytes + sessions

    def _share_codec(self) -> None:
        if self.templates.codec is not self.misslog.codec:
            self.templates.forget(self.misslog.codec)

    # ------------------------------------------------------------------ memory

    def settle(self, price: float, fade: float, *, closed: bool = False) -> None:
        """Give each family what it is worth. See `Predictor`."""
        if self._length is None:
            self._length = self._begin()
        length, budget = self._length, self.budget_bytes
        self._price, self._met = price, self.sessions.met
        self._free = price <= 0
        whole = max(2 * budget, 2)  # the cache, of which half at most remembers
        strides = self._strides_room.decide(
            price, length.events, whole, fade, met=self.strides.met, closed=closed
        )
        templates = self._templates_room.decide(
            price, length.events, whole, fade, met=self.misslog.slots > 0, closed=closed
        )
        sessions = 0
        if self.sessions.met:
            sessions = self._sessions_room.decide(
                price, length.events, whole, fade, met=True, closed=closed
            )
        strides = min(strides, int(budget * _STRIDES_PART), _STRIDES_MOST)
        templates = min(templates, int(budget * _TEMPLATES_PART))
        sessions = min(sessions, int(budget * _SESSIONS_PART))
        if strides != self.strides.budget_bytes:
            self.strides.resize(strides)
        if templates != self.templates.budget_bytes:
            self.templates.resize(templates)
        if sessions != self.sessions.budget_bytes:
            self.sessions.resize(sessions)
        left = budget - length.scouts.nbytes - strides - templates - sessions
        if length.decide(price, left, whole, closed=closed):
            self.misslog.resize(min(length.bytes_for(length.target), left))
            self._share_codec()
        self._closed = closed
        length.fade(fade)

    def _begin(self) -> LogLength:
        """From now on `settle` decides: begin with the scouts alone."""
        if not self.misslog.filled:
            self.misslog.resize(0)
            self._share_codec()
            self.strides.resize(0)
            self.templates.resize(0)
            self.sessions.resize(0)
        return LogLength(self.misslog, self.budget_bytes)

    def credit(self, bucket: int, why: Why = ()) -> None:
        """Remember which family saved a wait. See `Predictor`."""
        if bucket < self.templates.first_bucket:
            if self._length is not None:
                self._length.credit(int(dict(why).get("age", 0)))
        elif bucket < self.strides.first_bucket:
            self._templates_room.credit()
        elif bucket < self.sessions.first_bucket:
            self._strides_room.credit()
        elif bucket < self.buckets:
            self._sessions_room.credit()

    @property
    def promise(self) -> float:
        """What the scouts say a log would be worth, over its price. See `Predictor`."""
        return 0.0 if self._length is None else self._length.promise

    @property
    def idle(self) -> bool:
        """Whether every family is without memory."""
        return self._closed or (
            not self.misslog.slots
            and self.templates.idle
            and self.strides.idle
            and self.sessions.idle
        )

    def adopt(self, plan: Plan) -> None:
        """Score by this Plan from now on. See `Predictor`."""
        self.misslog.adopt(plan)
        self.templates.adopt(plan)
        self.strides.adopt(plan)
        self.sessions.adopt(plan)
        stream = certainty(plan, self.misslog.first_bucket, MissLog.buckets)
        session = certainty(plan, self.sessions.first_bucket, Sessions.buckets)
        self._by_session = session > _CLEARLY * stream
        self._hears = plan.trained_on < _YOUNG or session > _HEARD * stream

    def resize(self, budget_bytes: int) -> None:
        """Another budget for all of them. See `Predictor`."""
        self.budget_bytes = budget_bytes
        templates = int(budget_bytes * _TEMPLATES_PART)
        strides = min(int(budget_bytes * _STRIDES_PART), _STRIDES_MOST)
        sessions = int(budget_bytes * _SESSIONS_PART)
        log = budget_bytes
        if self._length is not None:
            before, self._length = self._length, LogLength(self.misslog, budget_bytes)
            self._length.load(before.dump())
            templates = min(templates, self.templates.budget_bytes)
            strides = min(strides, self.strides.budget_bytes)
            sessions = min(sessions, self.sessions.budget_bytes)
            log -= self._length.scouts.nbytes + strides + templates + sessions
            log = min(log, max(before.bytes_for(before.target), self.misslog.full_nbytes + 1024))
        self.templates.resize(templates)
        self.strides.resize(strides)
        self.sessions.resize(sessions)
        self._tables = self._occupied
        if self._length is None:
            log -= self._tables
        self.misslog.resize(log)
        if self._length is not None:
            self._length.target = self.misslog.slots
        self._share_codec()

    def dump(self) -> bytes:
        """The states of all families, and what was learned of their worth; see `Predictor`."""
        return _encoder.encode(
            _State(
                self.misslog.dump(),
                (
                    (self.templates.budget_bytes, self.templates.dump()),
                    (self.strides.budget_bytes, self.strides.dump()),
                ),
                None if self._length is None else self._length.dump(),
                (self._templates_room.dump(), self._strides_room.dump()),
                (
                    self.sessions.budget_bytes,
                    self.sessions.dump(),
                    self._sessions_room.dump(),
                ),
            )
        )

    def load(self, state: bytes) -> None:
        """Forget everything and take over what `dump` gave. See `Predictor`."""
        try:
            read = _decoder.decode(state)
            length = None
            if read.length is not None:
                length = LogLength(self.misslog, self.budget_bytes)
                length.load(read.length)
        except (msgspec.DecodeError, ValueError) as error:
            raise ValueError(f"the state of the blend cannot be used: {error}") from None
        self.misslog.load(read.misslog)
        self.templates.forget(self.misslog.codec)
        tables = read.tables
        parts: list[tuple[Predictor, int, bytes]] = [
            (self.templates, *tables[0]),
            (self.strides, *tables[1]),
        ]
        if read.sessions is not None:
            parts.append((self.sessions, *read.sessions[:2]))
            self._sessions_room.load(*read.sessions[2])
        # without their tables the others begin anew, which is no harm
        for table, budget, packed in parts:
            table.resize(max(0, min(budget, table.budget_bytes)))
            with contextlib.suppress(ValueError):
                table.load(packed)
        self._length = length
        if length is not None:
            length.target = self.misslog.slots
            self._templates_room.load(*read.rooms[0])
            self._strides_room.load(*read.rooms[1])
        self.resize(self.budget_bytes)

    @property
    def nbytes(self) -> int:
        """The log, the tables and the scouts."""
        scouts = 0 if self._length is None else self._length.scouts.nbytes
        tables = self.templates.nbytes + self.strides.nbytes + self.sessions.nbytes
        return self.misslog.nbytes + tables + scouts

    def check(self) -> None:
        """Recount; raises AssertionError when the books are wrong."""
        self.misslog.check()
        assert self.nbytes <= self.budget_bytes, f"{self.nbytes} > {self.budget_bytes}"


def _less(candidate: Candidate) -> Candidate:
    """A candidate of the log where sessions tell more."""
    return candidate._replace(
        score=candidate.score * _OTHERS_PART, why=(*candidate.why, ("any session", _OTHERS_PART))
    )
