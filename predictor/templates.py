"""Key templates: what else of the same id follows.

`user:42` is followed by `cart:42` and `orders:42:0`, whoever 42 is, and `page:7`
by `page:8`. So rows are kept per template, not per key: after an event of
template T (and, more precisely, after T when the event before was of template S
and of the same id or not), which templates of the same id, or of an id a little
higher or lower, came among the next 16 events. They fire for ids never seen,
where counting cannot, and a few hundred rows cover a database.

What this file does not do: templates with two numbers, or keys that no template
packs (`keycodec.py` learns what the templates are).
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar, Final

import msgspec

from antecache.predictor.base import Candidate, Predictor
from antecache.predictor.evidence import PER_KIND, Scores, bucket_of
from antecache.predictor.keycodec import Codec, Template
from antecache.predictor.plan import Plan
from antecache.predictor.rows import Rows, bytes_for

_FOLLOWERS: Final = 8
_WINDOW: Final = 16
_HALVE_AT: Final = 250
_MOST_ROWS: Final = 256
_LEAST_N, _LEAST_CONFIDENCE = 2, 0.04
#: ids at most this far apart are neighbours
_NEAR: Final = 8
_KINDS: Final = 4  # two contexts, the same id or a neighbour


class Templates(Predictor):
    """Followers by template as a predictor. See `Predictor` for the contract.

    codec  where templates are learned; its own when none is given
    """

    name: ClassVar[str] = "templates"
    buckets: ClassVar[int] = _KINDS * PER_KIND

    def __init__(
        self, budget_bytes: int, *, first_bucket: int = 0, codec: Codec | None = None
    ) -> None:
        super().__init__(budget_bytes)
        self.first_bucket = first_bucket
        self._own = codec is None
        self.codec = Codec(self._split(budget_bytes)[1]) if codec is None else codec
        self._scores = Scores(_KINDS, first_bucket)
        self._disabled: frozenset[str] = frozenset()
        self._rows: Rows | None = None
        # the last events: template, id, its rows' numbers and contexts
        self._recent: deque[_Seen] = deque(maxlen=_WINDOW)

    def candidates(self, key: bytes) -> list[Candidate]:
        """Other templates of this id, and neighbours. See `Predictor`."""
        rows, codec = self._rows, self.codec
        code = codec.code(key, learn=False)
        template = codec.template(code) if code >= 0 else None
        if rows is None or template is None or template.split or template.name == "*":
            return []
        number = code - template.base
        best: dict[bytes, Candidate] = {}
        for kind, context in enumerate(self._contexts(template, number)):
            row = rows.find(context)
            n = rows.n(row) if row >= 0 else 0
            if n < _LEAST_N:
                continue
            for value, count in rows.followers(row):
                confidence = min(1.0, count / n)
                if confidence < _LEAST_CONFIDENCE:
                    continue
                found = self._candidate(template, number, kind, n, value, confidence)
                if found is None or found.key == key:
                    continue
                held = best.get(found.key)
                if held is None or held.score < found.score:
                    best[found.key] = found
        return sorted(best.values(), key=lambda candidate: candidate.score, reverse=True)

    def _candidate(
        self, template: Template, number: int, kind: int, n: int, value: int, confidence: float
    ) -> Candidate | None:
        other = self.codec.template_of_group(value >> 8)
        difference = (value & 255) - 128
        target = number + difference
        if other is None or target < 0 or target >> other.bits:
            return None
        rule = f"same id {template.name}>{other.name}"
        if difference:
            rule = f"near id {template.name}>{other.name}{difference:+d}"
        if rule in self._disabled:
            return None
        bucket = bucket_of(2 * kind + (difference != 0), confidence, n)
        return Candidate(
            other.form % target,
            self._scores(bucket, confidence),
            self.first_bucket + bucket,
            rule,
            (
                ("confidence", confidence),
                ("support", float(n)),
                ("difference", float(difference)),
            ),
        )

    def observe(self, key: bytes, *, demand: bool) -> None:
        """Record an event; a key without a template is none. See `Predictor`."""
        if self._rows is None and not self.budget_bytes:
            return
        codec = self.codec
        code = codec.code(key, learn=self._own)
        template = codec.template(code) if code >= 0 else None
        if template is None or template.split or template.name == "*":
            return  # bare numbers are the strides' matter
        if self._rows is None:
            rows = self._split(self.budget_bytes)[0]
            if not rows:
                return
            self._rows = Rows(rows, _FOLLOWERS, _HALVE_AT)
        number = code - template.base
        rows_, digits = self._rows, template.digits
        value = codec.group(template.base) << 8
        for seen in self._recent:
            difference = number - seen.number
            if not -_NEAR <= difference <= _NEAR or seen.template.digits != digits:
                continue
            if difference if digits else (not difference and seen.template is template):
                continue  # hex ids have no neighbours; a key does not follow itself
            follower = value | difference + 128
            if follower in seen.followers:
                continue
            seen.followers.append(follower)
            for row, context in zip(seen.rows, seen.contexts, strict=True):
                if rows_.find(context) == row:
                    rows_.followed(row, [follower])
        contexts = self._contexts(template, number)
        made = tuple(map(rows_.occurred, contexts))
        self._recent.append(_Seen(template, number, made, contexts))

    def pause(self) -> None:
        """Events were not told: what comes next does not follow what came last."""
        self._recent.clear()

    def _contexts(self, template: Template, number: int) -> tuple[int, int]:
        group = self.codec.group(template.base)
        before = self._recent[-1] if self._recent else None
        if before is None:
            return group << 1, 1
        same = before.number == number
        pair = group << 18 | self.codec.group(before.template.base) << 1 | same
        return group << 1, pair << 1 | 1

    def adopt(self, plan: Plan) -> None:
        """Score by this Plan from now on. See `Predictor`."""
        self._scores = Scores(_KINDS, self.first_bucket, plan)
        self._disabled = frozenset(plan.disabled)

    def resize(self, budget_bytes: int) -> None:
        """Another budget: rows are kept as far as they fit. See `Predictor`."""
        rows, templates = self._split(budget_bytes)
        if self._rows is not None and rows != self._split(self.budget_bytes)[0]:
            self._rows = self._rows.resized(rows) if rows else None
            self._recent.clear()
        self.budget_bytes = budget_bytes
        if self._own:
            self.codec.max_templates = templates
            if self.nbytes > budget_bytes:
                self.forget(Codec(templates))

    def forget(self, codec: Codec) -> None:
        """Start anew with another codec: numbers of templates mean nothing across codecs."""
        self.codec = codec
        self._rows = None
        self._recent.clear()

    @property
    def idle(self) -> bool:
        """Whether there is no table."""
        return self._rows is None

    def dump(self) -> bytes:
        """The table, and the codec where it is its own; see `Predictor`."""
        rows = self._rows.dump() if self._rows is not None else []
        return msgspec.msgpack.encode([rows, self.codec.dump() if self._own else {}])

    def load(self, state: bytes) -> None:
        """Take over a table of the same size. See `Predictor`.

        A codec that is shared must have been loaded, and given to `forget`, before.
        """
        rows, codec = msgspec.msgpack.decode(state, type=tuple[list[bytes], dict[str, Any]])
        limit, templates = self._split(self.budget_bytes)
        made = Rows(limit, _FOLLOWERS, _HALVE_AT) if rows and limit else None
        try:
            same_size = made is not None and made.load(rows)
            loaded = Codec.load(codec, templates) if self._own else self.codec
        except (KeyError, TypeError) as error:
            raise ValueError(f"the state of templates cannot be used: {error}") from None
        self.forget(loaded)
        self._rows = made if same_size else None

    def _split(self, budget: int) -> tuple[int, int]:
        """Rows, and templates of a codec of its own, that fit into a budget."""
        left = budget // 2 if self._own else budget
        rows = min(_MOST_ROWS, left // bytes_for(1, _FOLLOWERS)) & ~3
        # shapes and texts that are still being studied may take six kilobytes
        return rows, max(0, (left - 6000) // 700)

    @property
    def nbytes(self) -> int:
        """The table, and the codec where it is its own."""
        rows = self._rows.nbytes if self._rows is not None else 0
        return rows + (self.codec.nbytes if self._own and self.codec.max_templates else 0)


class _Seen:
    __slots__ = ("contexts", "followers", "number", "rows", "template")

    def __init__(
        self, template: Template, number: int, rows: tuple[int, ...], contexts: tuple[int, ...]
    ) -> None:
        self.template = template
        self.number = number
        self.rows = rows
        self.contexts = contexts
        self.followers: list[int] = []
