"""Operator's rules: what a `[[rule]]` table of the config file says will follow what.

    [[rule]]
    when = "user:{id}"
    then = ["cart:{id}", "recommendations:{id}"]
    if = { hour = "8-18", weekday = "mon-fri", on = "any" }

`when` is a key pattern (`backing/patterns.py`); `then` are texts with its fields,
`{n+1}` and `{n-1}` where the field is an integer. A rule fires on a miss of a
key of `when`, on a hit (`on = "hit"`), or on both (`on = "any"`).

A rule is believed at first (`BELIEF`) and then judged like any other evidence:
every `then` has a calibration bucket of its own, whose trials take over, and a
book in the ledger, which switches it off below the precision floor.

What this file does not do: fetch anything, or know whether a key is cached or
owned by a source (the prefetcher asks that of every candidate).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from antecache.predictor.base import Candidate
from antecache.predictor.plan import PRIOR_TRIALS, Plan
from antecache.server.backing.patterns import Pattern, compile_pattern
from antecache.server.errors import ConfigError

__all__ = ["RuleBook", "RuleSpec", "read_rule"]

#: probability that a rule of the operator is given before anything was measured
BELIEF: Final = 0.95
#: calibration buckets of this family: the first, and how many `then`s may have one
FIRST_BUCKET, MOST = 4096, 512
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|([{}])")
_FIELD = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:([+-])([0-9]{1,9}))?", re.ASCII)


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `if` of a rule. Hours and weekdays are the server's local time.

    hour     `8`, `"8-18"` (18:59 is in it), `"22-5"`, or a list of these
    weekday  `"sat"`, `"mon-fri"`, or a list of these
    on       which accesses: `miss`, `hit` or `any`
    """

    hour: int | str | list[int | str] | None = None
    weekday: str | list[str] | None = None
    on: Literal["miss", "hit", "any"] = "miss"


class RuleSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[rule]]` table. Read it with `read_rule`, which checks it."""

    when: str
    then: list[str]
    if_: Conditions = msgspec.field(default=Conditions(), name="if")
    name: str = ""

    @property
    def label(self) -> str:
        """The rule's name: as given, else its pattern."""
        return self.name or self.when


def read_rule(table: Mapping[str, Any]) -> RuleSpec:
    """One `[[rule]]` table, checked; ConfigError names the rule, the key and the reason."""
    where = table.get("name") or table.get("when") or "without a `when`"
    try:
        spec = msgspec.convert(table, RuleSpec)
        _Rule(spec, 0)
    except msgspec.ValidationError as error:
        reason = str(error).replace("$.", "").replace(" - at `if_", " - at `if")
        raise ConfigError(f"rule '{where}': {reason}") from None
    except (ValueError, ConfigError) as error:
        raise ConfigError(f"rule '{where}': {error}") from None
    return spec


class RuleBook:
    """The operator's rules, compiled. `clock` gives Unix seconds.

    on_hit  texts up to and including the first `:` of keys whose hits may fire a rule; empty
            when no rule fires on hits; None when the keys of one have no such text
    """

    def __init__(
        self, specs: Iterable[RuleSpec] = (), *, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self.rules: list[_Rule] = []
        followers = 0
        for spec in specs:
            rule = _Rule(spec, followers)
            followers += len(rule.then)
            self.rules.append(rule)
        if followers > MOST:
            raise ConfigError(f"rule: {followers} keys to fetch in all rules, more than {MOST}")
        self._scores = [BELIEF] * followers
        self._by_head: dict[bytes, list[_Rule]] = {}
        self._others = [rule for rule in self.rules if rule.head is None]
        for rule in self.rules:
            if rule.head is not None:
                self._by_head.setdefault(rule.head, []).append(rule)
        hit = [rule.head for rule in self.rules if rule.on_hit]
        self.on_hit = None if None in hit else frozenset(head for head in hit if head is not None)

    def __len__(self) -> int:
        return len(self.rules)

    def names(self) -> list[str]:
        """What the ledger calls each rule's `then`s, in the order of the config file."""
        return [then.rule for rule in self.rules for then in rule.then]

    def candidates(self, key: bytes, *, hit: bool) -> list[Candidate]:
        """What the rules say follows a hit or a miss of `key`."""
        rules = self._by_head.get(key[: key.find(b":") + 1], ()) if self._by_head else ()
        found = []
        for rule in (*rules, *self._others):
            if not (rule.on_hit if hit else rule.on_miss):
                continue
            values = rule.pattern.values(key)
            if values is None or not self._in_time(rule):
                continue
            for then in rule.then:
                follower = then.key(values)
                if follower is not None and follower != key:
                    score = self._scores[then.number]
                    why = (("confidence", 1.0), ("measured", score))
                    bucket = FIRST_BUCKET + then.number
                    found.append(Candidate(follower, score, bucket, then.rule, why))
        return found

    def _in_time(self, rule: _Rule) -> bool:
        if rule.hours is None and rule.days is None:
            return True
        now = time.localtime(self._clock())
        if rule.hours is not None and now.tm_hour not in rule.hours:
            return False
        return rule.days is None or now.tm_wday in rule.days

    def adopt(self, plan: Plan) -> None:
        """Score by what this Plan has measured."""
        hits, trials = plan.counters(FIRST_BUCKET, len(self._scores))
        scores = (hits + PRIOR_TRIALS * BELIEF) / (trials + PRIOR_TRIALS)
        self._scores = scores.tolist()


class _Then(NamedTuple):
    """One key to fetch: literal bytes, or the place of a field and what is added to it."""

    parts: tuple[bytes | tuple[int, int], ...]
    number: int
    rule: str

    def key(self, values: tuple[Any, ...]) -> bytes | None:
        """The key for these fields; None where a number would become negative."""
        made = []
        for part in self.parts:
            if isinstance(part, bytes):
                made.append(part)
                continue
            place, step = part
            value = values[place]
            if step:
                value += step
                if value < 0:
                    return None
            made.append(str(value).encode())
        return b"".join(made)


class _Rule:
    """A compiled rule; `first` numbers its first `then`. Raises ValueError or ConfigError."""

    __slots__ = ("days", "head", "hours", "on_hit", "on_miss", "pattern", "spec", "then")

    def __init__(self, spec: RuleSpec, first: int) -> None:
        self.spec = spec
        try:
            self.pattern = compile_pattern(spec.when)
        except ConfigError as error:
            raise ValueError(f"when: {error}") from None
        if not spec.then:
            raise ValueError("then: names no key")
        self.then = tuple(
            _compile_then(text, self.pattern, number, spec)
            for number, text in enumerate(spec.then, first)
        )
        prefix = self.pattern.prefix
        self.head = prefix[: prefix.index(b":") + 1] if b":" in prefix else None
        self.hours = _numbers("hour", spec.if_.hour, _hour)
        self.days = _numbers("weekday", spec.if_.weekday, _day)
        self.on_hit = spec.if_.on in ("hit", "any")
        self.on_miss = spec.if_.on in ("miss", "any")


def _compile_then(text: str, pattern: Pattern, number: int, spec: RuleSpec) -> _Then:
    parts: list[bytes | tuple[int, int]] = []
    kinds = {field.name: field.kind for field in pattern.fields}
    at = 0
    for found in _PART.finditer(text):
        parts.append(text[at : found.start()].encode())
        at = found.end()
        if found[0] in ("{{", "}}"):
            parts.append(found[0][:1].encode())
            continue
        field = _FIELD.fullmatch(found[1] or "")
        if found[2] or field is None:
            raise ValueError(f"then: '{text}': '{found[0]}' is not {{name}}, {{name+1}} or {{{{")
        if field[1] not in kinds:
            known = ", ".join(kinds) or "none"
            raise ValueError(f"then: '{text}': `when` has no field '{field[1]}' (it has: {known})")
        step = int(field[3] or 0) * (-1 if field[2] == "-" else 1)
        if step and kinds[field[1]] != "int":
            raise ValueError(f"then: '{text}': to add to '{field[1]}', write {{{field[1]}:int}}")
        parts.append((pattern.names.index(field[1]), step))
    parts.append(text[at:].encode())
    parts = [part for part in parts if part]
    if not parts:
        raise ValueError("then: a key is empty")
    return _Then(tuple(parts), number, f"rule {spec.label}>{text}")


def _numbers(
    name: str, value: int | str | list[Any] | None, read: Callable[[str], int]
) -> frozenset[int] | None:
    """The numbers of `8`, `"8-18"`, `"22-5"` or a list of these; None when nothing is said."""
    if value is None:
        return None
    found: set[int] = set()
    size = 24 if name == "hour" else 7
    for item in value if isinstance(value, list) else [value]:
        low, dash, high = str(item).replace(" ", "").partition("-")
        try:
            first = read(low)
            last = read(high) if dash else first
        except ValueError:
            raise ValueError(f"if.{name}: '{item}' is no {name} and no range of them") from None
        found.update((first + step) % size for step in range((last - first) % size + 1))
    if not found:
        raise ValueError(f"if.{name}: names none")
    return frozenset(found)


def _hour(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 24):
        raise ValueError(text)
    return int(text)


def _day(text: str) -> int:
    return DAYS.index(text.lower()[:3]) if text else _hour("")
