"""Block numbers: which differences follow which differences.

Where keys are plain integers that mean something (blocks, pages of a file),
`key + 1` follows `key` for keys never seen before, and no log of the past can
say so. Rows are kept for three contexts of an event: the difference to the
event before, the last two differences, and the class of the address (its low 9
bits and bits 27 to 31: the position inside of what is aligned, and the region).
Each row counts which differences to the current number came among the next 16
events.

What is predicted may have been met before or not, and the worth differs: a scan
that leaves known ground is more likely to end. A filter of a byte a number
(`seen.py`) knows.

What this file does not do: numbers inside of longer keys (`templates.py`), or
anything before it has met a few integers: until then it occupies nothing.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Final

import msgspec

from antecache.predictor.base import Candidate, Predictor
from antecache.predictor.evidence import PER_KIND, Scores, bucket_of
from antecache.predictor.plan import Plan
from antecache.predictor.rows import LIMIT, Rows, bytes_for
from antecache.predictor.seen import Seen, words_for

_FOLLOWERS: Final = 16
_WINDOW: Final = 16
_HALVE_AT: Final = 128
_MOST_ROWS: Final = 1024
#: integers met before the table is made
_EVIDENCE: Final = 64
#: occurrences of a context, and confidence, from which it is used
_LEAST_N, _LEAST_CONFIDENCE = 2, 0.04
_KINDS: Final = 6  # three contexts, the predicted key seen or not
_RULES: Final = ("stride", "stride pair", "address class")
_MAX_DIGITS: Final = 15


class Strides(Predictor):
    """Differences between integer keys as a predictor. See `Predictor` for the contract."""

    name: ClassVar[str] = "strides"
    buckets: ClassVar[int] = _KINDS * PER_KIND

    def __init__(self, budget_bytes: int, *, first_bucket: int = 0) -> None:
        super().__init__(budget_bytes)
        self.first_bucket = first_bucket
        self._scores = Scores(_KINDS, first_bucket)
        self._disabled: frozenset[str] = frozenset()
        self._rows: Rows | None = None
        self._seen = Seen(0)
        self._integers = 0
        # the last events: number and contexts, the newest last
        self._recent: deque[tuple[int, tuple[int, ...]]] = deque(maxlen=_WINDOW + 1)
        self._last = self._last_difference = 0

    def candidates(self, key: bytes) -> list[Candidate]:
        """Keys at the differences that followed in this context. See `Predictor`."""
        number = _number(key)
        rows = self._rows
        if rows is None or number < 0:
            return []
        best: dict[int, tuple[float, int, float, int, int]] = {}
        scores, seen = self._scores, self._seen
        known: dict[int, int] = {}
        for kind, context in enumerate(self._contexts(number)):
            row = rows.find(context)
            n = rows.n(row) if row >= 0 else 0
            if n < _LEAST_N or _RULES[kind] in self._disabled:
                continue
            for difference, count in rows.followers(row):
                confidence = min(1.0, count / n)
                target = number + difference
                if confidence < _LEAST_CONFIDENCE or target < 0:
                    continue
                if target not in known:
                    known[target] = target in seen
                bucket = bucket_of(2 * kind + known[target], confidence, n)
                score = scores(bucket, confidence)
                held = best.get(target)
                if held is None or score > held[0]:
                    best[target] = (score, bucket, confidence, kind, n)
        first = self.first_bucket
        found = [
            Candidate(
                b"%d" % target,
                score,
                first + bucket,
                _RULES[kind],
                (
                    ("confidence", confidence),
                    ("support", float(n)),
                    ("difference", float(target - number)),
                    ("seen", float(known[target])),
                ),
            )
            for target, (score, bucket, confidence, kind, n) in best.items()
        ]
        found.sort(key=lambda candidate: candidate.score, reverse=True)
        return found

    def observe(self, key: bytes, *, demand: bool) -> None:
        """Record an event; a key that is no integer is none. See `Predictor`."""
        number = _number(key)
        if number < 0:
            return
        self._integers += 1
        if self._rows is None and self._integers >= _EVIDENCE:
            self._make_rows()
        contexts = self._contexts(number)
        recent = self._recent
        recent.append((number, contexts))
        self._last_difference = number - self._last
        self._last = number
        rows = self._rows
        self._seen.add(number)
        if rows is None or len(recent) <= _WINDOW:
            return
        origin, contexts = recent[0]
        differences = {other - origin: None for other, _ in recent}
        values = [d for d in differences if d and -LIMIT < d < LIMIT]
        for context in contexts:
            rows.followed(rows.occurred(context), values)

    def pause(self) -> None:
        """Events were not told: what comes next does not follow what came last."""
        self._recent.clear()

    def _contexts(self, number: int) -> tuple[int, ...]:
        difference = number - self._last
        return (
            difference * 4,
            (difference * 0x2545F491 ^ self._last_difference) * 4 + 1,
            ((number & 511) << 5 | number >> 27 & 31) * 4 + 2,
        )

    def adopt(self, plan: Plan) -> None:
        """Score by this Plan from now on. See `Predictor`."""
        self._scores = Scores(_KINDS, self.first_bucket, plan)
        self._disabled = frozenset(plan.disabled)

    def resize(self, budget_bytes: int) -> None:
        """Another budget: rows are kept as far as they fit, the filter is not. See `Predictor`."""
        rows = self._rows_for(budget_bytes)
        same_rows = rows == self._rows_for(self.budget_bytes)
        filter_bytes = budget_bytes - bytes_for(rows, _FOLLOWERS) if rows else 0
        same_filter = self._seen.nbytes == 8 * words_for(filter_bytes)
        self.budget_bytes = budget_bytes
        if self._rows is not None:
            if not rows:
                self._rows, self._seen = None, Seen(0)
                self._integers = 0
                return
            if not same_rows:
                self._rows = self._rows.resized(rows)
            if not same_filter:
                self._seen = Seen(filter_bytes)

    @staticmethod
    def _rows_for(budget: int) -> int:
        """Rows for half of a budget; the filter has what they leave."""
        return min(_MOST_ROWS, budget // 2 // bytes_for(1, _FOLLOWERS)) & ~3

    def _make_rows(self) -> None:
        rows = self._rows_for(self.budget_bytes)
        self._rows = Rows(rows, _FOLLOWERS, _HALVE_AT) if rows else None
        self._seen = Seen(self.budget_bytes - bytes_for(rows, _FOLLOWERS) if rows else 0)

    @property
    def met(self) -> bool:
        """Whether there are integer keys enough for a table."""
        return self._integers >= _EVIDENCE

    @property
    def idle(self) -> bool:
        """Whether there is no table."""
        return self._rows is None

    def dump(self) -> bytes:
        """The table and the filter; see `Predictor`."""
        rows = self._rows.dump() if self._rows is not None else []
        return msgspec.msgpack.encode([rows, self._seen.dump(), self._last, self._last_difference])

    def load(self, state: bytes) -> None:
        """Take over a table of the same size; another one is forgotten. See `Predictor`."""
        packed, seen, last, difference = msgspec.msgpack.decode(
            state, type=tuple[list[bytes], list[bytes], int, int]
        )
        rows = self._rows_for(self.budget_bytes)
        made = Rows(rows, _FOLLOWERS, _HALVE_AT) if packed and rows else None
        loaded = Seen(self.budget_bytes - made.nbytes if made is not None else 0)
        same_filter = loaded.load(seen)
        if made is not None and made.load(packed) and same_filter:
            self._rows, self._seen = made, loaded
            self._last, self._last_difference = last, difference
            self._recent.clear()
        else:
            self._rows, self._seen = None, Seen(0)

    @property
    def nbytes(self) -> int:
        """The table and the filter; nothing before they exist."""
        return self._rows.nbytes + self._seen.nbytes if self._rows is not None else 0


def _number(key: bytes) -> int:
    """The integer that a key is, canonically; -1 for any other key."""
    if not key.isdigit() or len(key) > _MAX_DIGITS or (key[0] == 48 and len(key) > 1):
        return -1
    return int(key)
