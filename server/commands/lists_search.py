"""LPOS: where in a list an item stands."""

from __future__ import annotations

from itertools import islice

from antecache.server import items
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import in_range, symmetric
from antecache.server.commands.lists import ONE_KEY, list_of
from antecache.server.errors import SYNTAX, ClientError

NO_RANK = (
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
    "or use negative to start from the end of the list"
)


@command(
    "lpos",
    -3,
    flags="readonly",
    keys=ONE_KEY,
    group="list",
    since="6.0.6",
    complexity="O(N) where N is the number of elements in the list, for the average case. When "
    "searching for elements near the head or the tail of the list, or when the MAXLEN option is "
    "provided, the command may run in constant time.",
    summary="Returns the index of matching elements in a list.",
)
def lpos(client: ClientView, argv: Argv) -> int | list[int] | None:
    """LPOS key element [RANK rank] [COUNT matches] [MAXLEN length]; COUNT 0 is all of them."""
    rank, most, count = 1, 0, None
    at = 3
    while at < len(argv):
        option = argv[at].upper()
        if at + 1 == len(argv):
            raise ClientError(SYNTAX)
        if option == b"RANK":
            rank = symmetric(argv[at + 1])
            if not rank:
                raise ClientError(NO_RANK)
        elif option == b"COUNT":
            count = in_range(argv[at + 1], 0, "ERR COUNT can't be negative")
        elif option == b"MAXLEN":
            most = in_range(argv[at + 1], 0, "ERR MAXLEN can't be negative")
        else:
            raise ClientError(SYNTAX)
        at += 2
    value = list_of(client.db.read(argv[1]))
    if value is None:
        return None if count is None else []
    if count is None and abs(rank) == 1 and not most:
        return items.position(value, argv[2], backwards=rank < 0)
    found = items.positions(value, argv[2], rank, most)
    if count is None:
        return next(found, None)
    return list(islice(found, count or None))
