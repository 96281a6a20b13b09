"""Ranges of sorted sets: by rank, by score and by member, read, counted and stored.

All of ZRANGE's older relatives are ZRANGE with some options given; one function
(`_wanted`) reads the options and one (`_pairs`) finds the pairs. A range is two
places in the order, found in O(log n), and a slice.
"""

from __future__ import annotations

from typing import Any

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.ranges import (
    LexRange,
    ScoreRange,
    lex_places,
    lex_range,
    places,
    score_range,
)
from antecache.server.commands.zsets import ONE_KEY, keep, zset_of
from antecache.server.encode import Tuples
from antecache.server.errors import SYNTAX, ClientError
from antecache.server.zset import Pair, SortedSet, of_pairs

RANGE = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of "
LIMITED = (
    RANGE + "elements being returned. If M is constant (e.g. always asking for the first 10 "
    "elements with LIMIT), you can consider it O(log(N))."
)
LIMIT_BY_RANK = (
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
)
SCORES_BY_LEX = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"

RankRange = tuple[int, int]


class _Wanted:
    """What a command of the ZRANGE family asks for.

    by         "rank", "score" or "lex"
    range      two ranks, or a range of scores or members; low before high even backwards
    """

    __slots__ = ("backwards", "by", "count", "offset", "range", "with_scores")

    def __init__(self, argv: Argv, first: int, by: str, backwards: bool | None) -> None:
        """`argv[first]` is the first bound; `by` "" and `backwards` None leave it to options."""
        self.offset, self.count = 0, -1
        self.with_scores = False
        storing = first == 3
        at = first + 2
        while at < len(argv):
            option = argv[at].upper()
            if option == b"WITHSCORES" and not storing:
                self.with_scores = True
            elif option == b"LIMIT" and at + 2 < len(argv):
                self.offset, self.count = integer(argv[at + 1]), integer(argv[at + 2])
                at += 2
            elif option == b"REV" and backwards is None:
                backwards = True
            elif option == b"BYLEX" and not by:
                by = "lex"
            elif option == b"BYSCORE" and not by:
                by = "score"
            else:
                raise ClientError(SYNTAX)
            at += 1
        self.by = by = by or "rank"
        self.backwards = bool(backwards)
        if by == "rank" and self.count != -1:
            raise ClientError(LIMIT_BY_RANK)
        if by == "lex" and self.with_scores:
            raise ClientError(SCORES_BY_LEX)
        low, high = argv[first], argv[first + 1]
        if self.backwards and by != "rank":
            low, high = high, low
        self.range: RankRange | ScoreRange | LexRange
        if by == "rank":
            self.range = integer(low), integer(high)
        else:
            self.range = (score_range if by == "score" else lex_range)(low, high)


def ranks(size: int, first: int, last: int) -> tuple[int, int]:
    """Places for two ranks, the last included; negative ones count from the end."""
    start = max(first + size if first < 0 else first, 0)
    stop = min(last + size if last < 0 else last, size - 1) + 1
    return (start, stop) if start < stop else (0, 0)


def _pairs(zset: SortedSet, wanted: _Wanted) -> list[Pair]:
    """The pairs of a range, in the direction asked for."""
    size = len(zset)
    found = wanted.range
    if isinstance(found, ScoreRange):
        start, stop = places(zset, found)
    elif isinstance(found, LexRange):
        start, stop = lex_places(zset, found, backwards=wanted.backwards)
    else:
        start, stop = ranks(size, *found)
        if wanted.backwards:
            start, stop = size - stop, size - start
    offset, count = wanted.offset, wanted.count
    if offset < 0:
        return []
    if wanted.backwards:
        stop -= offset
        if count >= 0:
            start = max(start, stop - count)
    else:
        start += offset
        if count >= 0:
            stop = min(stop, start + count)
    pairs = zset.slice(start, stop) if start < stop else []
    if wanted.backwards:
        pairs.reverse()
    return pairs


def _range(client: ClientView, argv: Argv, by: str = "", backwards: bool | None = None) -> Any:
    wanted = _Wanted(argv, 2, by, backwards)
    zset = zset_of(client.db.read(argv[1]))
    pairs = [] if zset is None else _pairs(zset, wanted)
    if wanted.with_scores:
        return Tuples([(member, score) for score, member in pairs])
    return [member for _, member in pairs]


@command(
    "zrange",
    -4,
    flags="readonly",
    keys=ONE_KEY,
    group="sorted_set",
    since="1.2.0",
    complexity=RANGE + "elements returned.",
    summary="Returns members in a sorted set within a range of indexes.",
)
def zrange(client: ClientView, argv: Argv) -> Any:
    """ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]."""
    return _range(client, argv)


@command(
    "zrevrange",
    -4,
    flags="readonly",
    keys=ONE_KEY,
    group="sorted_set",
    since="1.2.0",
    complexity=RANGE + "elements returned.",
    summary="Returns members in a sorted set within a range of indexes in reverse order.",
)
def zrevrange(client: ClientView, argv: Argv) -> Any:
    """ZREVRANGE key start stop [WITHSCORES]."""
    return _range(client, argv, "rank", True)


@command(
    "zrangebyscore",
    -4,
    flags="readonly",
    keys=ONE_KEY,
    group="sorted_set",
    since="1.0.5",
    complexity=LIMITED,
    summary="Returns members in a sorted set within a range of scores.",
)
def zrangebyscore(client: ClientView, argv: Argv) -> Any:
    """ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]."""
    return _range(client, argv, "score", False)


@command(
    "zrevrangebyscore",
    -4,
    flags="readonly",
    keys=ONE_KEY,
    group="sorted_set",
    since="2.2.0",
    complexity=LIMITED,
    summary="Returns members in a sorted set within a range of scores in reverse order.",
)
def zrevrangebyscore(client: ClientView, argv: Argv) -> Any:
    """ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]."""
    return _range(client, argv, "score", True)


@command(
    "zrangebylex",
    -4,
    flags="readonly",
    keys=ONE_KEY,
    group="sorted_set",
    since="2.8.9",
    complexity=LIMITED,
    summary="Returns members in a sorted set within a lexicographical range.",
)
def zrangebylex(client: ClientView, argv: Argv) -> Any:
    """ZRANGEBYLEX key min max [LIMIT offset count]."""
    return _range(client, argv, "lex", False)


@command(
    "zrevrangebylex",
    -4,
    flags="readonly",
    keys=ONE_KEY,
    group="sorted_set",
    since="2.8.9",
    complexity=LIMITED,
    summary="Returns members in a sorted set within a lexicographical range in reverse order.",
)
def zrevrangebylex(client: ClientView, argv: Argv) -> Any:
    """ZREVRANGEBYLEX key max min [LIMIT offset count]."""
    return _range(client, argv, "lex", True)


@command(
    "zrangestore",
    -5,
    flags="write denyoom",
    keys=(1, 2, 1),
    group="sorted_set",
    since="6.2.0",
    complexity=RANGE + "elements stored into the destination key.",
    summary="Stores a range of members from sorted set in a key.",
)
def zrangestore(client: ClientView, argv: Argv) -> int:
    """ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]."""
    wanted = _Wanted(argv, 3, "", None)
    zset = zset_of(client.db.read(argv[2]))
    found = of_pairs([] if zset is None else _pairs(zset, wanted))
    keep(client, argv[1], found, "zrangestore")
    return len(found)


@command(
    "zcount",
    4,
    flags="readonly fast",
    keys=ONE_KEY,
    group="sorted_set",
    since="2.0.0",
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    summary="Returns the count of members in a sorted set that have scores within a range.",
)
def zcount(client: ClientView, argv: Argv) -> int:
    """ZCOUNT key min max."""
    wanted = score_range(argv[2], argv[3])
    zset = zset_of(client.db.read(argv[1]))
    if zset is None:
        return 0
    start, stop = places(zset, wanted)
    return stop - start


@command(
    "zlexcount",
    4,
    flags="readonly fast",
    keys=ONE_KEY,
    group="sorted_set",
    since="2.8.9",
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    summary="Returns the number of members in a sorted set within a lexicographical range.",
)
def zlexcount(client: ClientView, argv: Argv) -> int:
    """ZLEXCOUNT key min max."""
    wanted = lex_range(argv[2], argv[3])
    zset = zset_of(client.db.read(argv[1]))
    if zset is None:
        return 0
    start, stop = lex_places(zset, wanted)
    return stop - start
