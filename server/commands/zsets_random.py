"""Members of a sorted set at random, and one after the other: ZRANDMEMBER, ZSCAN.

Neither depends on the order of the scores, but a small set is listed in it.
"""

from __future__ import annotations

from random import Random
from typing import Any

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import INT_MAX, ScanOptions, cursor, symmetric
from antecache.server.commands.zsets import ONE_KEY, zset_of
from antecache.server.encode import Tuples, double
from antecache.server.errors import SYNTAX, ClientError
from antecache.server.zset import Pair, SortedSet

MAX_REPEATED = 10_000_000  # members that ZRANDMEMBER may be asked to repeat
OUT_OF_RANGE = "ERR value is out of range"


@command(
    "zrandmember",
    -2,
    flags="readonly",
    keys=ONE_KEY,
    group="sorted_set",
    since="6.2.0",
    complexity="O(N) where N is the number of elements returned",
    summary="Returns one or more random members from a sorted set.",
)
def zrandmember(client: ClientView, argv: Argv) -> Any:
    """ZRANDMEMBER key [count [WITHSCORES]]; a negative count may repeat members."""
    rng = client.db.store.random
    if len(argv) == 2:
        zset = zset_of(client.db.read(argv[1]))
        if zset is None:
            return None
        return zset.at(rng.randrange(len(zset)))[1]
    count = symmetric(argv[2])
    with_scores = len(argv) == 4
    if len(argv) > 4 or (with_scores and argv[3].upper() != b"WITHSCORES"):
        raise ClientError(SYNTAX)
    if (with_scores and abs(count) > INT_MAX // 2) or count < -MAX_REPEATED:
        raise ClientError(OUT_OF_RANGE)
    zset = zset_of(client.db.read(argv[1]))
    pairs = [] if zset is None else _chosen(zset, count, rng)
    if with_scores:
        return Tuples([(member, score) for score, member in pairs])
    return [member for _, member in pairs]


def _chosen(zset: SortedSet, count: int, rng: Random) -> list[Pair]:
    """Pairs at random: distinct ones, or a negative number of them that may repeat."""
    size = len(zset)
    if count >= size:
        return list(zset)
    if abs(count) * 8 < size:  # not worth a list of them all
        every = range(size)
        places = rng.sample(every, count) if count >= 0 else rng.choices(every, k=-count)
        return [zset.at(place) for place in places]
    pairs = list(zset)
    return rng.sample(pairs, count) if count >= 0 else rng.choices(pairs, k=-count)


@command(
    "zscan",
    -3,
    flags="readonly",
    keys=ONE_KEY,
    group="sorted_set",
    since="2.8.0",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command "
    "calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    summary="Iterates over members and scores of a sorted set.",
)
def zscan(client: ClientView, argv: Argv) -> list[Any]:
    """ZSCAN key cursor [MATCH pattern] [COUNT count]."""
    position = cursor(argv[2])
    zset = zset_of(client.db.read(argv[1]))
    if zset is None:  # Redis does not look at the options then
        return [b"0", []]
    options = ScanOptions(argv, 3)
    following, members = zset.scan(position, options.count)
    if options.fits is not None:
        members = [member for member in members if options.fits(member)]
    found, scores = [], zset.scores
    for member in members:
        value = scores[member]
        # Scores here are text in either protocol; of a skiplist Redis prints 17 digits.
        found += [member, double(value) if zset.compact else _seventeen(value)]
    return [b"%d" % following, found]


def _seventeen(value: float) -> bytes:
    return b"%.17g" % value
