"""Geospatial indexes: GEOADD, GEOSEARCH and their relatives.

An index is a sorted set whose scores are cells (`server/geo.py`), so every command
of sorted sets works on it. The searches are one: `geo_search.py` reads what is
asked for, whichever of the six commands asks.
"""

from __future__ import annotations

from typing import Any

from antecache.server import geo
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.ranges import score
from antecache.server.commands.zsets import ONE_KEY, zadd, zset_of
from antecache.server.encode import NULL_ARRAY, Fixed
from antecache.server.errors import SYNTAX, ClientError
from antecache.server.geo import Position

UNITS = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}


def unit(text: bytes) -> float:
    """Metres in a unit of length."""
    metres = UNITS.get(text.upper())
    if metres is None:
        raise ClientError("ERR unsupported unit provided. please use M, KM, FT, MI")
    return metres


def position(longitude: bytes, latitude: bytes) -> Position:
    """A position as clients write it."""
    found = score(longitude), score(latitude)
    if not geo.valid(found):
        raise ClientError(f"ERR invalid longitude,latitude pair {found[0]:f},{found[1]:f}")
    return found


def shown(metres: float) -> bytes:
    """A distance as replies have it."""
    return b"%.4f" % metres


def coordinates(score: float) -> list[Fixed]:
    """The position of a place as replies have it."""
    longitude, latitude = geo.position_of(score)
    return [Fixed(longitude), Fixed(latitude)]


@command(
    "geoadd",
    -5,
    flags="write denyoom",
    keys=ONE_KEY,
    group="geo",
    since="3.2.0",
    complexity="O(log(N)) for each item added, where N is the number of elements in the "
    "sorted set.",
    summary="Adds one or more members to a geospatial index. The key is created if it doesn't "
    "exist.",
)
def geoadd(client: ClientView, argv: Argv) -> Any:
    """GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]."""
    first = 2
    while first < len(argv) and argv[first].upper() in (b"NX", b"XX", b"CH"):
        first += 1
    options = argv[2:first]
    given = {option.upper() for option in options}
    if (len(argv) - first) % 3 or given >= {b"NX", b"XX"}:
        raise ClientError(SYNTAX)
    pairs: list[bytes] = []
    for at in range(first, len(argv), 3):
        place = position(argv[at], argv[at + 1])
        pairs += [b"%d" % geo.score_of(place), argv[at + 2]]
    return zadd(client, [b"zadd", argv[1], *options, *pairs])


@command(
    "geodist",
    -4,
    flags="readonly",
    keys=ONE_KEY,
    group="geo",
    since="3.2.0",
    complexity="O(log(N))",
    summary="Returns the distance between two members of a geospatial index.",
)
def geodist(client: ClientView, argv: Argv) -> bytes | None:
    """GEODIST key member1 member2 [M | KM | FT | MI]."""
    metres = unit(argv[4]) if len(argv) == 5 else 1.0
    if len(argv) > 5:
        raise ClientError(SYNTAX)
    scores = _scores(client, argv[1])
    one, other = scores.get(argv[2]), scores.get(argv[3])
    if one is None or other is None:
        return None
    return shown(geo.distance(geo.position_of(one), geo.position_of(other)) / metres)


@command(
    "geohash",
    -2,
    flags="readonly",
    keys=ONE_KEY,
    group="geo",
    since="3.2.0",
    complexity="O(log(N)) for each member requested, where N is the number of elements in the "
    "sorted set.",
    summary="Returns members from a geospatial index as geohash strings.",
)
def geohash(client: ClientView, argv: Argv) -> list[bytes | None]:
    """GEOHASH key [member [member ...]]."""
    scores = _scores(client, argv[1])
    return [
        geo.text_of(geo.position_of(scores[member])) if member in scores else None
        for member in argv[2:]
    ]


@command(
    "geopos",
    -2,
    flags="readonly",
    keys=ONE_KEY,
    group="geo",
    since="3.2.0",
    complexity="O(N) where N is the number of members requested.",
    summary="Returns the longitude and latitude of members from a geospatial index.",
)
def geopos(client: ClientView, argv: Argv) -> list[Any]:
    """GEOPOS key [member [member ...]]."""
    scores = _scores(client, argv[1])
    return [coordinates(scores[member]) if member in scores else NULL_ARRAY for member in argv[2:]]


def _scores(client: ClientView, key: bytes) -> dict[bytes, float]:
    zset = zset_of(client.db.read(key))
    return {} if zset is None else zset.scores
