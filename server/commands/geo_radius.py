"""The older searches of places: GEORADIUS, GEORADIUSBYMEMBER and their readers' forms.

Each is GEOSEARCH for a circle; STORE makes GEOSEARCHSTORE of it.
"""

from __future__ import annotations

from typing import Any

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.geo_search import STORES, Search, answer
from antecache.server.commands.zsets import ONE_KEY, zset_of

RADIUS = (
    "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area "
    "delimited by center and radius and M is the number of items inside the index."
)


def _radius(client: ClientView, argv: Argv, *, member: bool, storing: bool) -> Any:
    search = Search(zset_of(client.db.read(argv[1])), argv[0].decode("utf-8", "replace"))
    if member:
        search.member(argv[2])
        if search.zset is None:
            search.shape = "circle"  # Redis does not look at the radius then
        else:
            search.circle(argv[3], argv[4])
    else:
        search.coordinates(argv[2], argv[3])
        search.circle(argv[4], argv[5])
    search.options(argv[5 if member else 6 :], search=False, storing=storing)
    return answer(client, search, "georadiusstore")


def _radius_keys(argv: Argv) -> list[bytes]:
    """The index, and every key that a STORE names, though only the last one counts."""
    places = range(5, len(argv) - 1)
    return [argv[1], *(argv[at + 1] for at in places if argv[at].upper() in STORES)]


@command(
    "georadius",
    -6,
    flags="write denyoom movablekeys",
    keys=ONE_KEY,
    keys_of=_radius_keys,
    group="geo",
    since="3.2.0",
    complexity=RADIUS,
    summary="Queries a geospatial index for members within a distance from a coordinate, "
    "optionally stores the result.",
)
def georadius(client: ClientView, argv: Argv) -> Any:
    """GEORADIUS key longitude latitude radius unit, options, [STORE | STOREDIST key]."""
    return _radius(client, argv, member=False, storing=True)


@command(
    "georadius_ro",
    -6,
    flags="readonly",
    keys=ONE_KEY,
    group="geo",
    since="3.2.10",
    complexity=RADIUS,
    summary="Returns members from a geospatial index that are within a distance from a coordinate.",
)
def georadius_ro(client: ClientView, argv: Argv) -> Any:
    """GEORADIUS_RO key longitude latitude radius unit, options."""
    return _radius(client, argv, member=False, storing=False)


@command(
    "georadiusbymember",
    -5,
    flags="write denyoom movablekeys",
    keys=ONE_KEY,
    keys_of=_radius_keys,
    group="geo",
    since="3.2.0",
    complexity=RADIUS,
    summary="Queries a geospatial index for members within a distance from a member, optionally "
    "stores the result.",
)
def georadiusbymember(client: ClientView, argv: Argv) -> Any:
    """GEORADIUSBYMEMBER key member radius unit, options, [STORE | STOREDIST key]."""
    return _radius(client, argv, member=True, storing=True)


@command(
    "georadiusbymember_ro",
    -5,
    flags="readonly",
    keys=ONE_KEY,
    group="geo",
    since="3.2.10",
    complexity=RADIUS,
    summary="Returns members from a geospatial index that are within a distance from a member.",
)
def georadiusbymember_ro(client: ClientView, argv: Argv) -> Any:
    """GEORADIUSBYMEMBER_RO key member radius unit, options."""
    return _radius(client, argv, member=True, storing=False)
