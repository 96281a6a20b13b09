"""All families of evidence together: the default predictor.

A demand miss asks the miss log (what followed this key), the templates (what
follows keys like it) and the strides (what follows steps like this one). A key
named by several families is one candidate, with the best of their scores.

The budget is the miss log's, less what the tables of the other two occupy:
they are small, and made only when keys of their kind are met.

What this file does not do: weigh families against each other beyond their
calibrated scores, which are probabilities and may be compared.
"""

from __future__ import annotations

import contextlib
from typing import ClassVar, Final

import msgspec

from antecache.predictor.base import Candidate, Predictor
from antecache.predictor.misslog import MissLog
from antecache.predictor.plan import Plan
from antecache.predictor.strides import Strides
from antecache.predictor.templates import Templates

#: largest part of the budget that the tables of strides and of templates may take
_STRIDES_PART: Final = 0.4
_TEMPLATES_PART: Final = 0.06
#: events between two looks at what the tables occupy
_REVIEW: Final = 256


class Blend(Predictor):
    """The families of evidence as one predictor. See `Predictor` for the contract."""

    name: ClassVar[str] = "blend"
    buckets: ClassVar[int] = MissLog.buckets + Templates.buckets + Strides.buckets

    def __init__(self, budget_bytes: int) -> None:
        super().__init__(budget_bytes)
        self.misslog = MissLog(budget_bytes)
        self.templates = Templates(
            int(budget_bytes * _TEMPLATES_PART),
            first_bucket=MissLog.buckets,
            codec=self.misslog.codec,
        )
        self.strides = Strides(
            int(budget_bytes * _STRIDES_PART),
            first_bucket=MissLog.buckets + Templates.buckets,
        )
        self._tables = 0  # bytes the log has given up
        self._events = 0

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
        self.misslog.observe(key, demand=demand)
        self.templates.observe(key, demand=demand)
        self.strides.observe(key, demand=demand)
        self._events += 1
        if self._events % _REVIEW == 0:
            self._review()

    def _review(self) -> None:
        tables = self.templates.nbytes + self.strides.nbytes
        if tables != self._tables:
            self._tables = tables
            self.misslog.resize(self.budget_bytes - tables)
            self._share_codec()

    def _share_codec(self) -> None:
        if self.templates.codec is not self.misslog.codec:
            self.templates.forget(self.misslog.codec)

    def adopt(self, plan: Plan) -> None:
        """Score by this Plan from now on. See `Predictor`."""
        self.misslog.adopt(plan)
        self.templates.adopt(plan)
        self.strides.adopt(plan)

    def resize(self, budget_bytes: int) -> None:
        """Another budget for all of them. See `Predictor`."""
        self.budget_bytes = budget_bytes
        self.templates.resize(int(budget_bytes * _TEMPLATES_PART))
        self.strides.resize(int(budget_bytes * _STRIDES_PART))
        self._tables = self.templates.nbytes + self.strides.nbytes
        self.misslog.resize(budget_bytes - self._tables)
        self._share_codec()

    def dump(self) -> bytes:
        """The states of all families; see `Predictor`."""
        families = (self.misslog, self.templates, self.strides)
        return msgspec.msgpack.encode([family.dump() for family in families])

    def load(self, state: bytes) -> None:
        """Forget everything and take over what `dump` gave. See `Predictor`."""
        try:
            misslog, templates, strides = msgspec.msgpack.decode(
                state, type=tuple[bytes, bytes, bytes]
            )
        except msgspec.DecodeError as error:
            raise ValueError(f"the state of the blend cannot be used: {error}") from None
        self.misslog.load(misslog)
        self.templates.forget(self.misslog.codec)
        # without their tables the other two begin anew, which is no harm
        for family, packed in ((self.templates, templates), (self.strides, strides)):
            with contextlib.suppress(ValueError):
                family.load(packed)
        self.resize(self.budget_bytes)

    @property
    def nbytes(self) -> int:
        """The log and both tables."""
        return self.misslog.nbytes + self.templates.nbytes + self.strides.nbytes

    def check(self) -> None:
        """Recount; raises AssertionError when the books are wrong."""
        self.misslog.check()
        assert self.nbytes <= self.budget_bytes, f"{self.nbytes} > {self.budget_bytes}"
