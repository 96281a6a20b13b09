"""Ranges of sorted sets, removed: ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX."""

from __future__ import annotations

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
from antecache.server.commands.zsets import ONE_KEY, emptied, zset_of
from antecache.server.commands.zsets_ranges import RANGE, RankRange, ranks
from antecache.server.store import events


def _remove(
    client: ClientView, argv: Argv, wanted: RankRange | ScoreRange | LexRange, event: str
) -> int:
    entry = client.db.modify(argv[1])
    zset = zset_of(entry)
    if entry is None or zset is None:
        return 0
    if isinstance(wanted, ScoreRange):
        start, stop = places(zset, wanted)
    elif isinstance(wanted, LexRange):
        start, stop = lex_places(zset, wanted)
    else:
        start, stop = ranks(len(zset), *wanted)
    if start == stop:
        return 0
    before = zset.nbytes
    zset.remove_slice(start, stop)
    client.db.grew(entry, zset.nbytes - before)
    client.db.event(events.ZSET, event, argv[1])
    if not len(zset):
        emptied(client, argv[1])
    return stop - start


REMOVED = "elements removed by the operation."
GONE = " Deletes the sorted set if all members were removed."


@command(
    "zremrangebyrank",
    4,
    flags="write",
    keys=ONE_KEY,
    group="sorted_set",
    since="2.0.0",
    complexity=RANGE + REMOVED,
    summary="Removes members in a sorted set within a range of indexes." + GONE,
)
def zremrangebyrank(client: ClientView, argv: Argv) -> int:
    """ZREMRANGEBYRANK key start stop."""
    return _remove(client, argv, (integer(argv[2]), integer(argv[3])), "zremrangebyrank")


@command(
    "zremrangebyscore",
    4,
    flags="write",
    keys=ONE_KEY,
    group="sorted_set",
    since="1.2.0",
    complexity=RANGE + REMOVED,
    summary="Removes members in a sorted set within a range of scores." + GONE,
)
def zremrangebyscore(client: ClientView, argv: Argv) -> int:
    """ZREMRANGEBYSCORE key min max."""
    return _remove(client, argv, score_range(argv[2], argv[3]), "zremrangebyscore")


@command(
    "zremrangebylex",
    4,
    flags="write",
    keys=ONE_KEY,
    group="sorted_set",
    since="2.8.9",
    complexity=RANGE + REMOVED,
    summary="Removes members in a sorted set within a lexicographical range." + GONE,
)
def zremrangebylex(client: ClientView, argv: Argv) -> int:
    """ZREMRANGEBYLEX key min max."""
    return _remove(client, argv, lex_range(argv[2], argv[3]), "zremrangebylex")
