"""Union, intersection and difference of sorted sets, returned, counted or stored.

A plain set among the inputs counts as a sorted set whose scores are all 1. Inputs
are taken smallest first, as Redis takes them, so that sums of scores round alike;
a score that is no number (infinity less infinity) is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import counted_keys, in_range, integer
from antecache.server.commands.ranges import score
from antecache.server.commands.zsets import keep
from antecache.server.encode import Tuples
from antecache.server.errors import SYNTAX, WRONGTYPE, ClientError
from antecache.server.zset import SortedSet

Scores = Mapping[bytes, float]

UNION = (
    "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being "
    "the number of elements in the resulting sorted set."
)
INTER = (
    "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the "
    "number of input sorted sets and M being the number of elements in the resulting sorted set."
)
DIFF = (
    "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is "
    "the size of the first set, and K is the size of the result set."
)
LIMIT = "ERR LIMIT can't be negative"


def _sum(one: float, other: float) -> float:
    total = one + other
    return 0.0 if math.isnan(total) else total


def _least(one: float, other: float) -> float:
    return other if other < one else one


def _most(one: float, other: float) -> float:
    return other if other > one else one


AGGREGATES: dict[bytes, Callable[[float, float], float]] = {
    b"SUM": _sum,
    b"MIN": _least,
    b"MAX": _most,
}


class _Asked:
    """The inputs of a command, with their weights, and its options."""

    __slots__ = ("aggregate", "inputs", "limit", "weights", "with_scores")

    def __init__(
        self,
        client: ClientView,
        argv: Argv,
        at: int,
        *,
        weighed: bool = False,
        scores: bool = False,
        limited: bool = False,
    ) -> None:
        """`argv[at]` is the number of keys; the flags say which options the command knows."""
        count = integer(argv[at])
        if count < 1:
            name = argv[0].lower().decode()
            raise ClientError(f"ERR at least 1 input key is needed for '{name}' command")
        first = at + 1 + count
        if first > len(argv):
            raise ClientError(SYNTAX)
        self.inputs = [_scores_at(client, key) for key in argv[at + 1 : first]]
        self.weights = [1.0] * count
        self.aggregate: Callable[[float, float], float] = _sum
        self.with_scores = False
        self.limit = 0
        at = first
        while at < len(argv):
            option, left = argv[at].upper(), len(argv) - at
            if weighed and option == b"WEIGHTS" and left > count:
                given = argv[at + 1 : at + 1 + count]
                self.weights = [score(text, "ERR weight value is not a float") for text in given]
                at += 1 + count
            elif weighed and option == b"AGGREGATE" and left > 1:
                aggregate = AGGREGATES.get(argv[at + 1].upper())
                if aggregate is None:
                    raise ClientError(SYNTAX)
                self.aggregate = aggregate
                at += 2
            elif scores and option == b"WITHSCORES":
                self.with_scores = True
                at += 1
            elif limited and option == b"LIMIT" and left > 1:
                self.limit = in_range(argv[at + 1], 0, LIMIT)
                at += 2
            else:
                raise ClientError(SYNTAX)

    def by_size(self) -> list[tuple[Scores, float]]:
        """The inputs and their weights, the smallest first."""
        weighed = zip(self.inputs, self.weights, strict=True)
        return sorted(weighed, key=lambda pair: len(pair[0]))


def _scores_at(client: ClientView, key: bytes) -> Scores:
    entry = client.db.read(key)
    if entry is None:
        return {}
    value = entry.value
    if type(value) is SortedSet:
        return value.scores
    if isinstance(value, set):
        return dict.fromkeys(value, 1.0)
    raise ClientError(WRONGTYPE)


def _weighed(value: float, weight: float) -> float:
    if weight == 1.0:
        return value
    product = weight * value
    return 0.0 if math.isnan(product) else product


def _union(asked: _Asked) -> SortedSet:
    found: dict[bytes, float] = {}
    for scores, weight in asked.by_size():
        for member, value in scores.items():
            value = _weighed(value, weight)
            old = found.get(member)
            found[member] = value if old is None else asked.aggregate(old, value)
    return SortedSet(found)


def _inter(asked: _Asked) -> SortedSet:
    (smallest, first_weight), *others = asked.by_size()
    found = {}
    for member, value in smallest.items():
        total = _weighed(value, first_weight)
        for scores, weight in others:
            other = scores.get(member)
            if other is None:
                break
            total = asked.aggregate(total, other * weight)
        else:
            found[member] = total
    return SortedSet(found)


def _diff(asked: _Asked) -> SortedSet:
    first, *others = asked.inputs
    return SortedSet(
        {
            member: value
            for member, value in first.items()
            if not any(member in other for other in others)
        }
    )


def _reply(found: SortedSet, asked: _Asked) -> Any:
    if asked.with_scores:
        return Tuples([(member, value) for value, member in found])
    return [member for _, member in found]


def _stored(client: ClientView, key: bytes, found: SortedSet, event: str) -> int:
    keep(client, key, found, event)
    return len(found)


def _stored_keys(argv: Argv) -> list[bytes]:
    return [argv[1], *counted_keys(2)(argv)]


@command(
    "zunion",
    -3,
    flags="readonly movablekeys",
    keys_of=counted_keys(1),
    group="sorted_set",
    since="6.2.0",
    complexity=UNION,
    summary="Returns the union of multiple sorted sets.",
)
def zunion(client: ClientView, argv: Argv) -> Any:
    """ZUNION numkeys key [key ...] [WEIGHTS w ...] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]."""
    asked = _Asked(client, argv, 1, weighed=True, scores=True)
    return _reply(_union(asked), asked)


@command(
    "zinter",
    -3,
    flags="readonly movablekeys",
    keys_of=counted_keys(1),
    group="sorted_set",
    since="6.2.0",
    complexity=INTER,
    summary="Returns the intersect of multiple sorted sets.",
)
def zinter(client: ClientView, argv: Argv) -> Any:
    """ZINTER numkeys key [key ...] [WEIGHTS w ...] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]."""
    asked = _Asked(client, argv, 1, weighed=True, scores=True)
    return _reply(_inter(asked), asked)


@command(
    "zdiff",
    -3,
    flags="readonly movablekeys",
    keys_of=counted_keys(1),
    group="sorted_set",
    since="6.2.0",
    complexity=DIFF,
    summary="Returns the difference between multiple sorted sets.",
)
def zdiff(client: ClientView, argv: Argv) -> Any:
    """ZDIFF numkeys key [key ...] [WITHSCORES]."""
    asked = _Asked(client, argv, 1, scores=True)
    return _reply(_diff(asked), asked)


@command(
    "zintercard",
    -3,
    flags="readonly movablekeys",
    keys_of=counted_keys(1),
    group="sorted_set",
    since="7.0.0",
    complexity="O(N*K) worst case with N being the smallest input sorted set, K being the number "
    "of input sorted sets.",
    summary="Returns the number of members of the intersect of multiple sorted sets.",
)
def zintercard(client: ClientView, argv: Argv) -> int:
    """ZINTERCARD numkeys key [key ...] [LIMIT limit]."""
    asked = _Asked(client, argv, 1, limited=True)
    smallest, *others = sorted(asked.inputs, key=len)
    count = 0
    for member in smallest:
        if all(member in other for other in others):
            count += 1
            if count == asked.limit:
                break
    return count


@command(
    "zunionstore",
    -4,
    flags="write denyoom movablekeys",
    keys=(1, 1, 1),
    keys_of=_stored_keys,
    group="sorted_set",
    since="2.0.0",
    complexity=UNION.replace("M*log(M)", "M log(M)"),
    summary="Stores the union of multiple sorted sets in a key.",
)
def zunionstore(client: ClientView, argv: Argv) -> int:
    """ZUNIONSTORE dst numkeys key [key ...] [WEIGHTS w ...] [AGGREGATE SUM | MIN | MAX]."""
    return _stored(client, argv[1], _union(_Asked(client, argv, 2, weighed=True)), "zunionstore")


@command(
    "zinterstore",
    -4,
    flags="write denyoom movablekeys",
    keys=(1, 1, 1),
    keys_of=_stored_keys,
    group="sorted_set",
    since="2.0.0",
    complexity=INTER,
    summary="Stores the intersect of multiple sorted sets in a key.",
)
def zinterstore(client: ClientView, argv: Argv) -> int:
    """ZINTERSTORE dst numkeys key [key ...] [WEIGHTS w ...] [AGGREGATE SUM | MIN | MAX]."""
    return _stored(client, argv[1], _inter(_Asked(client, argv, 2, weighed=True)), "zinterstore")


@command(
    "zdiffstore",
    -4,
    flags="write denyoom movablekeys",
    keys=(1, 1, 1),
    keys_of=_stored_keys,
    group="sorted_set",
    since="6.2.0",
    complexity=DIFF,
    summary="Stores the difference of multiple sorted sets in a key.",
)
def zdiffstore(client: ClientView, argv: Argv) -> int:
    """ZDIFFSTORE dst numkeys key [key ...]."""
    return _stored(client, argv[1], _diff(_Asked(client, argv, 2)), "zdiffstore")
