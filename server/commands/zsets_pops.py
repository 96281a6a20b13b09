"""Members taken from the ends of sorted sets: ZPOPMIN, ZMPOP and the forms that block.

A blocking form looks for something to take and, where there is nothing, raises
`Blocked`; it is then run again when one of its keys holds a sorted set.
"""

from __future__ import annotations

from typing import Any

from antecache.server.blocked import Blocked
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import counted_keys, in_range
from antecache.server.commands.blocking import seconds
from antecache.server.commands.zsets import ONE_KEY, emptied, zset_of
from antecache.server.encode import NULL_ARRAY, Tuples
from antecache.server.errors import SYNTAX, ClientError
from antecache.server.store import Entry, events
from antecache.server.zset import Pair

POPS = (
    "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number "
    "of elements popped."
)
BLOCKS = "O(log(N)) with N being the number of elements in the sorted set."
MPOPS = (
    "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements "
    "in the sorted set, and M being the number of elements popped."
)
GONE = " Deletes the sorted set if the last member was popped."


def _pop(client: ClientView, entry: Entry | None, count: int, *, lowest: bool) -> list[Pair]:
    """Remove and return up to `count` pairs, the outermost first."""
    zset = zset_of(entry)
    if entry is None or zset is None or not count:
        return []
    before, size = zset.nbytes, len(zset)
    if lowest:
        pairs = zset.remove_slice(0, count)
    else:
        pairs = zset.remove_slice(max(size - count, 0), size)
        pairs.reverse()
    client.db.grew(entry, zset.nbytes - before)
    client.db.event(events.ZSET, "zpopmin" if lowest else "zpopmax", entry.key)
    if not len(zset):
        emptied(client, entry.key)
    return pairs


def _zpop(client: ClientView, argv: Argv, *, lowest: bool) -> Any:
    if len(argv) > 3:
        raise ClientError(SYNTAX)
    counted = len(argv) == 3
    count = 1
    if counted:
        count = in_range(argv[2], 0, "ERR value is out of range, must be positive")
    pairs = _pop(client, client.db.modify(argv[1]), count, lowest=lowest)
    if counted:
        return Tuples([(member, score) for score, member in pairs])
    return [part for score, member in pairs for part in (member, score)]


@command(
    "zpopmin",
    -2,
    flags="write fast",
    keys=ONE_KEY,
    group="sorted_set",
    since="5.0.0",
    complexity=POPS,
    summary="Returns the lowest-scoring members from a sorted set after removing them." + GONE,
)
def zpopmin(client: ClientView, argv: Argv) -> Any:
    """ZPOPMIN key [count]."""
    return _zpop(client, argv, lowest=True)


@command(
    "zpopmax",
    -2,
    flags="write fast",
    keys=ONE_KEY,
    group="sorted_set",
    since="5.0.0",
    complexity=POPS,
    summary="Returns the highest-scoring members from a sorted set after removing them." + GONE,
)
def zpopmax(client: ClientView, argv: Argv) -> Any:
    """ZPOPMAX key [count]."""
    return _zpop(client, argv, lowest=False)


def _first(client: ClientView, keys: Argv) -> Entry | None:
    """The first of the keys that holds a sorted set; another type before it is refused."""
    for key in keys:
        entry = client.db.modify(key)
        if zset_of(entry) is not None:
            return entry
    return None


def _bzpop(client: ClientView, argv: Argv, *, lowest: bool) -> list[Any]:
    timeout = seconds(argv[-1], client.db.store.now)
    keys = argv[1:-1]
    entry = _first(client, keys)
    if entry is None:
        raise Blocked(keys, "zset", timeout)
    ((score, member),) = _pop(client, entry, 1, lowest=lowest)
    return [entry.key, member, score]


@command(
    "bzpopmin",
    -3,
    flags="write noscript blocking fast",
    keys=(1, -2, 1),
    group="sorted_set",
    since="5.0.0",
    complexity=BLOCKS,
    summary="Removes and returns the member with the lowest score from one or more sorted sets. "
    "Blocks until a member is available otherwise. Deletes the sorted set if the last element "
    "was popped.",
)
def bzpopmin(client: ClientView, argv: Argv) -> list[Any]:
    """BZPOPMIN key [key ...] timeout."""
    return _bzpop(client, argv, lowest=True)


@command(
    "bzpopmax",
    -3,
    flags="write noscript blocking fast",
    keys=(1, -2, 1),
    group="sorted_set",
    since="5.0.0",
    complexity=BLOCKS,
    summary="Removes and returns the member with the highest score from one or more sorted sets. "
    "Blocks until a member available otherwise.  Deletes the sorted set if the last element was "
    "popped.",
)
def bzpopmax(client: ClientView, argv: Argv) -> list[Any]:
    """BZPOPMAX key [key ...] timeout."""
    return _bzpop(client, argv, lowest=False)


def _parse_mpop(argv: Argv, at: int) -> tuple[list[bytes], bool, int]:
    """The keys, whether the lowest, and how many, of `numkeys key ... MIN | MAX [COUNT n]`."""
    where = at + 1 + in_range(argv[at], 1, "ERR numkeys should be greater than 0")
    end = argv[where].upper() if where < len(argv) else b""
    if end not in (b"MIN", b"MAX"):
        raise ClientError(SYNTAX)
    rest, count = argv[where + 1 :], 1
    if rest:
        if len(rest) < 2 or rest[0].upper() != b"COUNT":
            raise ClientError(SYNTAX)
        count = in_range(rest[1], 1, "ERR count should be greater than 0")
        if len(rest) > 2:
            raise ClientError(SYNTAX)
    return argv[at + 1 : where], end == b"MIN", count


def _zmpop(client: ClientView, entry: Entry, count: int, *, lowest: bool) -> list[Any]:
    pairs = _pop(client, entry, count, lowest=lowest)
    return [entry.key, [[member, score] for score, member in pairs]]


@command(
    "zmpop",
    -4,
    flags="write movablekeys",
    keys_of=counted_keys(1),
    group="sorted_set",
    since="7.0.0",
    complexity=MPOPS,
    summary="Returns the highest- or lowest-scoring members from one or more sorted sets after "
    "removing them." + GONE,
)
def zmpop(client: ClientView, argv: Argv) -> Any:
    """ZMPOP numkeys key [key ...] MIN | MAX [COUNT count]."""
    keys, lowest, count = _parse_mpop(argv, 1)
    entry = _first(client, keys)
    return NULL_ARRAY if entry is None else _zmpop(client, entry, count, lowest=lowest)


@command(
    "bzmpop",
    -5,
    flags="write blocking movablekeys",
    keys_of=counted_keys(2),
    group="sorted_set",
    since="7.0.0",
    complexity=MPOPS,
    summary="Removes and returns a member by score from one or more sorted sets. Blocks until a "
    "member is available otherwise. Deletes the sorted set if the last element was popped.",
)
def bzmpop(client: ClientView, argv: Argv) -> Any:
    """BZMPOP timeout numkeys key [key ...] MIN | MAX [COUNT count]."""
    keys, lowest, count = _parse_mpop(argv, 2)
    timeout = seconds(argv[1], client.db.store.now)
    entry = _first(client, keys)
    if entry is None:
        raise Blocked(keys, "zset", timeout)
    return _zmpop(client, entry, count, lowest=lowest)
