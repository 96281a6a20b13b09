"""What followed a key in the same session.

Where many clients ask at once, what comes next in the stream is mostly what
somebody else wanted. So a row is kept for each key: which keys the same session
came for within its next few events, after how many of the key's occurrences. The
log of misses looks at the last three occurrences; a row counts all of them, which
is what it takes where a session is short and its choice wide (pages of a site).

Reads that find their keys teach too: what everybody asks for is always present, and
says most about what comes next. They are told in batches (`passed`), and what they
make likely *waits* for the next miss, whoever's it is, to bring it along: it costs no
statement. So does what follows the first use of a prefetched key. On a web server's
log, over 24 sizes and beginnings, waits .321 a read where .342 were with events alone.
Rows for pairs of keys, the beginning of a session, what the session had read before,
and followers of the reads before brought less than .002 there.

While all events come from one session, or from one after the other that never
comes back, nothing is kept. Of sessions, the ones last active are remembered, a few
events each.

What this file does not do: know who asks (`session` is set by whoever does), or
tell a session from a pooled connection: what many users share follows nothing, and
its rows earn no memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from antecache.predictor.base import Candidate, Predictor
from antecache.predictor.evidence import PER_KIND, Scores, bucket_of
from antecache.predictor.names import Names
from antecache.predictor.plan import Plan
from antecache.predictor.rows import Rows, bytes_for

_FOLLOWERS: Final = 8
_WINDOW: Final = 6
_HALVE_AT: Final = 33
_LEAST_N, _LEAST_CONFIDENCE = 2, 0.04
#: last reads whose followers may ride with a miss, and how likely these must be
_WAITING: Final = 8
_LIKELY: Final = 0.3
_AFTER_HIT: Final = ("after a hit", 1.0)
#: returns to a session that others had interrupted, before anything is kept
_EVIDENCE: Final = 16
#: sessions that are looked at for that
_LOOKED_AT: Final = 64
#: sessions remembered at most, at least, and what one takes
_MOST_SESSIONS, _LEAST_SESSIONS, _SESSION_BYTES = 1024, 16, 350
#: part of the budget that sessions may take, and of the rest that rows do
_SESSIONS_PART, _ROWS_PART = 0.125, 0.3


class Sessions(Predictor):
    """Followers within a session as a predictor. See `Predictor` for the contract."""

    name: ClassVar[str] = "sessions"
    buckets: ClassVar[int] = PER_KIND

    def __init__(self, budget_bytes: int, *, first_bucket: int = 0) -> None:
        super().__init__(budget_bytes)
        self.first_bucket = first_bucket
        self._scores = Scores(1, first_bucket)
        self._disabled: frozenset[str] = frozenset()
        self._rows: Rows | None = None
        self._names = Names(0)
        # the last events of each, the session that was active last at the end
        self._recent: OrderedDict[int, tuple[int, ...]] = OrderedDict()
        self._last = -1  # the session of the last event
        self._interrupted: dict[int, None] = {}  # sessions, until there is evidence
        self._returns = 0
        self._waiting: list[bytes] = []  # the last reads that found their keys

    def candidates(self, key: bytes) -> list[Candidate]:
        """What followed `key` in the same session. See `Predictor`."""
        rows, names = self._rows, self._names
        number = names.find(key) if rows is not None else -1
        if rows is None or number < 0:
            return []
        row = rows.find(number)
        n = rows.n(row) if row >= 0 else 0
        if n < _LEAST_N:
            return []
        found = []
        trigger = _table(key)
        for value, count in rows.followers(row):
            confidence = min(1.0, count / n)
            follower = names.key(value)
            if confidence < _LEAST_CONFIDENCE or follower is None:
                continue
            rule = f"session {trigger}>{_table(follower)}"
            if rule in self._disabled:
                continue
            bucket = bucket_of(0, confidence, n)
            found.append(
                Candidate(
                    follower,
                    self._scores(bucket, confidence),
                    self.first_bucket + bucket,
                    rule,
                    (("confidence", confidence), ("support", float(n))),
                )
            )
        found.sort(key=lambda candidate: candidate.score, reverse=True)
        return found

    def observe(self, key: bytes, *, demand: bool) -> None:
        """Record an event of `session`. See `Predictor`."""
        session = self.session
        rows = self._rows
        if rows is None:
            if self._returns < _EVIDENCE:
                if session != self._last:
                    self._look(session)
                return
            rows = self._make_rows()
            if rows is None:
                return
        self._learn(rows, session, key)
        if not demand:
            self._note((key,))

    def passed(self, session: int, keys: Sequence[bytes]) -> None:
        """Learn from what a session found present, and note what that makes likely."""
        rows = self._rows
        if rows is None:
            return
        for key in keys:
            self._learn(rows, session, key)
        self._note(keys)

    def _note(self, keys: Sequence[bytes]) -> None:
        self._waiting = [*self._waiting, *keys][-_WAITING:]

    def waiting(self) -> list[Candidate]:
        """What is likely after the last reads that found their keys. See `Predictor`."""
        keys, self._waiting = self._waiting, []
        found: dict[bytes, Candidate] = {}
        for key in keys:
            for candidate in self.candidates(key):
                if candidate.score < _LIKELY:
                    break
                held = found.get(candidate.key)
                if held is None or held.score < candidate.score:
                    found[candidate.key] = candidate
        return [c._replace(why=(*c.why, _AFTER_HIT)) for c in found.values()]

    def _learn(self, rows: Rows, session: int, key: bytes) -> None:
        """`session` read `key`: it followed what the session read before it."""
        number = self._names.number(key)
        if number < 0:
            return
        recent = self._recent
        before = recent.pop(session, ())
        done = set()
        for earlier in reversed(before):
            if earlier == number:
                break
            if earlier not in done:
                done.add(earlier)
                row = rows.find(earlier)
                if row >= 0:
                    rows.follow(row, number)
        rows.occurred(number)
        recent[session] = (*before[1 - _WINDOW :], number)
        if len(recent) > self._most_sessions(self.budget_bytes):
            recent.popitem(last=False)

    def _look(self, session: int) -> None:
        """Count returns to sessions that others interrupted: only those can teach anything."""
        interrupted, last = self._interrupted, self._last
        if session in interrupted:
            self._returns += 1
            del interrupted[session]
        if last >= 0:
            interrupted[last] = None
            if len(interrupted) > _LOOKED_AT:
                del interrupted[next(iter(interrupted))]
        self._last = session

    def adopt(self, plan: Plan) -> None:
        """Score by this Plan from now on. See `Predictor`."""
        self._scores = Scores(1, self.first_bucket, plan)
        self._disabled = frozenset(plan.disabled)

    # ------------------------------------------------------------------ memory

    def resize(self, budget_bytes: int) -> None:
        """Another budget: a larger table keeps its rows, a smaller one begins anew."""
        smaller = budget_bytes < self.budget_bytes
        self.budget_bytes = budget_bytes
        if self._rows is None:
            return
        if smaller:
            self._forget()
            return
        rows, names = self._split(budget_bytes)
        self._rows = self._rows.resized(rows)
        self._names.budget = names

    def _forget(self) -> None:
        self._rows, self._names = None, Names(0)
        self._recent.clear()
        self._waiting.clear()

    @staticmethod
    def _most_sessions(budget: int) -> int:
        sessions = int(budget * _SESSIONS_PART) // _SESSION_BYTES
        return max(_LEAST_SESSIONS, min(_MOST_SESSIONS, sessions))

    def _split(self, budget: int) -> tuple[int, int]:
        """Rows, and bytes of names, that fit into a budget."""
        # one session more is held for a moment
        left = budget - (self._most_sessions(budget) + 1) * _SESSION_BYTES
        rows = int(max(0, left) * _ROWS_PART) // bytes_for(1, _FOLLOWERS) & ~3
        return rows, left - bytes_for(rows, _FOLLOWERS)

    def _make_rows(self) -> Rows | None:
        rows, names = self._split(self.budget_bytes)
        if not rows:
            return None
        self._names = Names(names)
        self._rows = Rows(rows, _FOLLOWERS, _HALVE_AT)
        self._interrupted.clear()
        return self._rows

    @property
    def met(self) -> bool:
        """Whether sessions take turns, so that there is something to learn of each."""
        return self._returns >= _EVIDENCE

    @property
    def listens(self) -> bool:
        """Whether there is a table to learn in."""
        return self._rows is not None

    @property
    def idle(self) -> bool:
        """Whether there is no table."""
        return self._rows is None

    @property
    def nbytes(self) -> int:
        """Rows, names and the last events of each session."""
        if self._rows is None:
            return 0
        return self._rows.nbytes + self._names.nbytes + len(self._recent) * _SESSION_BYTES

    def dump(self) -> bytes:
        """The table; connections do not outlive the process. See `Predictor`."""
        rows = self._rows.dump() if self._rows is not None else []
        keys, turns = self._names.dump()
        return msgspec.msgpack.encode((rows, keys, turns))

    def load(self, state: bytes) -> None:
        """Take over a table of the same size; another one is forgotten. See `Predictor`."""
        packed, keys, turns = msgspec.msgpack.decode(
            state, type=tuple[list[bytes], list[bytes | None], bytes]
        )
        rows, names = self._split(self.budget_bytes)
        made = Rows(rows, _FOLLOWERS, _HALVE_AT) if packed and rows else None
        if made is None or not made.load(packed):
            self._forget()
            return
        loaded = Names.load(keys, turns, names)
        self._forget()
        self._rows, self._names = made, loaded
        self._returns = _EVIDENCE

    def check(self) -> None:
        """Recount; raises AssertionError when the books are wrong."""
        self._names.check()
        assert self.nbytes <= self.budget_bytes, f"{self.nbytes} > {self.budget_bytes}"


def _table(key: bytes) -> str:
    """The table of a key, as rules name it."""
    head, colon, _ = key[:32].partition(b":")
    return head.decode("utf-8", "backslashreplace") + ":*" if colon else "*"
