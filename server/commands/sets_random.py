"""Members of a set at random, and one after the other: SPOP, SRANDMEMBER, SSCAN.

A small set is listed; a large one becomes a `BigSet`, whose draws take the same time
whatever its size.
"""

from __future__ import annotations

from itertools import islice

from antecache.server.bigset import BigSet
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import ScanOptions, cursor, in_range, symmetric
from antecache.server.commands.sets import ONE_KEY, Set, removed, set_of
from antecache.server.encode import Members
from antecache.server.errors import NOT_POSITIVE, SYNTAX, ClientError
from antecache.server.store import Entry
from antecache.server.store import size as sizes
from antecache.server.store.kinds import kind_of

LISTED = 128  # members of a set that is small enough to be listed for one draw
MAX_REPEATED = 10_000_000  # members that SRANDMEMBER may be asked to repeat


def _big(client: ClientView, entry: Entry, *, drawn: bool = True) -> BigSet:
    """The value of an entry, which becomes a `BigSet` (that can be drawn from) if it is none."""
    value = entry.value
    if type(value) is BigSet and (value.prepared or not drawn):
        return value
    table = sizes.of_table(value)
    if type(value) is not BigSet:
        value = entry.value = BigSet(value)
    if drawn:
        value.prepare()
    # What it takes changes though no client changed it; its members are the same.
    client.db.store.resized(entry, entry.size + sizes.of_table(value) - table)
    return value


def _take(client: ClientView, entry: Entry, count: int) -> list[bytes]:
    """Remove `count` members at random from a set that has more."""
    rng = client.db.store.random
    value: Set = entry.value
    if len(value) <= LISTED:
        table = sizes.of_table(value)
        chosen = rng.sample(list(value), count)
        for member in chosen:
            value.remove(member)
    elif 2 * count <= len(value):
        big = _big(client, entry)
        table = sizes.of_table(big)
        chosen = [big.draw(rng, take=True) for _ in range(count)]
    else:  # fewer stay than go: those are chosen, for a set of their own
        table = sizes.of_table(value)
        kept = entry.value = set(rng.sample(list(value), len(value) - count))
        chosen = [member for member in value if member not in kept]
    if chosen:
        removed(client, entry, table, chosen, "spop")
    return chosen


@command(
    "spop",
    -2,
    flags="write fast",
    keys=ONE_KEY,
    group="set",
    complexity="Without the count argument O(1), otherwise O(N) where N is the value of the passed "
    "count.",
    summary="Returns one or more random members from a set after removing them. Deletes the set "
    "if the last member was popped.",
)
def spop(client: ClientView, argv: Argv) -> bytes | Members | None:
    """SPOP key [count]."""
    if len(argv) > 3:
        raise ClientError(SYNTAX)
    count = in_range(argv[2], 0, NOT_POSITIVE) if len(argv) == 3 else None
    entry = client.db.modify(argv[1])
    value = set_of(entry)
    if entry is None or value is None:
        return None if count is None else Members()
    wanted = 1 if count is None else count
    if wanted < len(value):
        chosen = _take(client, entry, wanted)
    else:
        chosen = list(value)
        value.clear()
        removed(client, entry, 0, chosen, "spop")
    return chosen[0] if count is None else Members(chosen)


@command(
    "srandmember",
    -2,
    flags="readonly",
    keys=ONE_KEY,
    group="set",
    complexity="Without the count argument O(1), otherwise O(N) where N is the absolute value of "
    "the passed count.",
    summary="Get one or multiple random members from a set",
)
def srandmember(client: ClientView, argv: Argv) -> bytes | list[bytes] | None:
    """SRANDMEMBER key [count]; a negative count may repeat members."""
    if len(argv) > 3:
        raise ClientError(SYNTAX)
    count = symmetric(argv[2]) if len(argv) == 3 else None
    if count is not None and count < -MAX_REPEATED:
        raise ClientError("ERR value is out of range")
    rng = client.db.store.random
    entry = client.db.read(argv[1])
    value = set_of(entry)
    if entry is None or value is None:
        return None if count is None else []
    if count is None:
        if len(value) > LISTED:
            return _big(client, entry).draw(rng)
        return next(islice(value, rng.randrange(len(value)), None))
    if count >= len(value):
        return list(value)
    if count < 0:
        if len(value) > LISTED:
            big = _big(client, entry)
            return [big.draw(rng) for _ in range(-count)]
        return rng.choices(list(value), k=-count)
    if len(value) > LISTED:
        return _big(client, entry).sample(rng, count)
    return rng.sample(list(value), count)


@command(
    "sscan",
    -3,
    flags="readonly",
    keys=ONE_KEY,
    group="set",
    since="2.8.0",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command "
    "calls for the cursor to return back to 0. N is the number of elements inside the collection.",
    summary="Iterates over members of a set.",
)
def sscan(client: ClientView, argv: Argv) -> list[bytes | list[bytes]]:
    """SSCAN key cursor [MATCH pattern] [COUNT count]."""
    position = cursor(argv[2])
    entry = client.db.read(argv[1])
    value = set_of(entry)
    if entry is None or value is None:  # Redis does not look at the options then
        return [b"0", []]
    options = ScanOptions(argv, 3)
    # Redis returns what is no hash table at once.
    encoding = kind_of(value).encoding(value)
    if encoding == "hashtable":
        following, members = _big(client, entry, drawn=False).scan(position, options.count)
    else:
        following, members = 0, sorted(value, key=int) if encoding == "intset" else list(value)
    if options.fits is not None:
        members = [member for member in members if options.fits(member)]
    return [b"%d" % following, members]
