"""Places inside an area: GEOSEARCH, GEOSEARCHSTORE, and what `geo_radius.py` shares with them.

The key is looked at before the options are read, as in Redis, so that a key of
another type is refused first; a missing one is found empty only after all options
made sense.
"""

from __future__ import annotations

import math
from typing import Any

from antecache.server import geo
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.geo import coordinates, position, shown, unit
from antecache.server.commands.ranges import score
from antecache.server.commands.zsets import ONE_KEY, keep, zset_of
from antecache.server.errors import SYNTAX, ClientError
from antecache.server.geo import Area, Found, Position
from antecache.server.zset import SortedSet

SEARCH = (
    "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around "
    "the shape provided as the filter and M is the number of items inside the shape"
)

STORES = (b"STORE", b"STOREDIST")
AT_ONCE = 4096  # places looked at together
FIRST_LOOK = 64  # of those that ANY looks at, in the hope that they are enough


class Search:
    """What one command asks for: the centre and the shape, each given once, and options."""

    def __init__(self, zset: SortedSet | None, name: str) -> None:
        self.zset = zset
        self.name = name
        self.centre: Position | None = None
        self.located = ""  # "member", of a missing key too, or "coordinates"
        self.radius = self.width = self.height = 0.0  # in the unit
        self.unit = 1.0  # metres
        self.shape = ""
        self.with_distance = self.with_hash = self.with_position = False
        self.order = ""
        self.count = 0
        self.any = False
        self.store: bytes | None = None
        self.store_distance = False

    def member(self, member: bytes) -> None:
        """The centre is a member's position."""
        self.located = "member"
        if self.zset is None:
            return
        found = self.zset.score(member)
        if found is None:
            raise ClientError("ERR could not decode requested zset member")
        self.centre = geo.position_of(found)

    def coordinates(self, longitude: bytes, latitude: bytes) -> None:
        """The centre is given."""
        self.centre = position(longitude, latitude)
        self.located = "coordinates"

    def circle(self, radius: bytes, text: bytes) -> None:
        """The area is a circle."""
        self.radius = score(radius, "ERR need numeric radius")
        if self.radius < 0:
            raise ClientError("ERR radius cannot be negative")
        self.unit = unit(text)
        self.shape = "circle"

    def box(self, width: bytes, height: bytes, text: bytes) -> None:
        """The area is a box."""
        self.width = score(width, "ERR need numeric width")
        self.height = score(height, "ERR need numeric height")
        if self.height < 0 or self.width < 0:
            raise ClientError("ERR height or width cannot be negative")
        self.unit = unit(text)
        self.radius = math.sqrt((self.width / 2) ** 2 + (self.height / 2) ** 2)
        self.shape = "box"

    def options(self, rest: Argv, *, search: bool, storing: bool) -> None:
        """The options behind the fixed arguments.

        `search` for GEOSEARCH's own; `storing` where the result may be, or is to be, stored.
        """
        at = 0
        while at < len(rest):
            after = rest[at + 1 :]
            match rest[at].upper():
                case b"WITHDIST":
                    self.with_distance = True
                case b"WITHHASH":
                    self.with_hash = True
                case b"WITHCOORD":
                    self.with_position = True
                case b"ANY":
                    self.any = True
                case b"ASC":
                    self.order = "asc"
                case b"DESC":
                    self.order = "desc"
                case b"COUNT" if after:
                    self.count = integer(after[0])
                    if self.count <= 0:
                        raise ClientError("ERR COUNT must be > 0")
                    at += 1
                case b"STORE" | b"STOREDIST" if after and storing and not search:
                    self.store = after[0]
                    self.store_distance = rest[at].upper() == b"STOREDIST"
                    at += 1
                case b"STOREDIST" if storing and search:
                    self.store_distance = True
                case b"FROMMEMBER" if after and search and self.located != "coordinates":
                    self.member(after[0])
                    at += 1
                case b"FROMLONLAT" if after[1:] and search and self.located != "member":
                    self.coordinates(after[0], after[1])
                    at += 2
                case b"BYRADIUS" if after[1:] and search and self.shape != "box":
                    self.circle(after[0], after[1])
                    at += 2
                case b"BYBOX" if after[2:] and search and self.shape != "circle":
                    self.box(after[0], after[1], after[2])
                    at += 3
                case _:
                    raise ClientError(SYNTAX)
            at += 1
        self._check(search=search)

    def _check(self, *, search: bool) -> None:
        if self.store is not None and (self.with_distance or self.with_hash or self.with_position):
            what = "GEOSEARCHSTORE" if search else "STORE option in GEORADIUS"
            raise ClientError(
                f"ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )
        if not self.located:
            raise ClientError(
                f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {self.name}"
            )
        if not self.shape:
            raise ClientError(
                f"ERR exactly one of BYRADIUS and BYBOX can be specified for {self.name}"
            )
        if self.any and not self.count:
            raise ClientError("ERR the ANY argument requires COUNT argument")
        if self.count and not self.order and not self.any:
            self.order = "asc"  # the nearest ones

    def run(self) -> list[Found]:
        """The places in the area, as many as asked for, in the order asked for."""
        if self.zset is None or self.centre is None:
            return []
        found = self._inside(self.zset, self.centre)
        if self.order:
            found.sort(key=lambda place: place.distance, reverse=self.order == "desc")
        return found[: self.count] if self.count else found

    def _inside(self, zset: SortedSet, centre: Position) -> list[Found]:
        area = Area(
            centre,
            self.radius * self.unit,
            self.width * self.unit,
            self.height * self.unit,
            self.shape == "box",
        )
        enough = self.count if self.any else 0
        step = FIRST_LOOK if enough else AT_ONCE
        found: list[Found] = []
        for first, end in area.scores():
            start, stop = zset.first_at(first), zset.first_at(end)
            while start < stop:
                found += area.select(zset.slice(start, min(start + step, stop)))
                if enough and len(found) >= enough:
                    return found[:enough]
                start += step
                step = min(2 * step, AT_ONCE)
        return found


def answer(client: ClientView, search: Search, event: str) -> Any:
    """Run a search and reply, or store what it found and tell `event`."""
    found = search.run()
    if search.store is not None:
        result = SortedSet(
            {
                place.member: place.distance / search.unit if search.store_distance else place.score
                for place in found
            }
        )
        keep(client, search.store, result, event)
        return len(found)
    if not (search.with_distance or search.with_hash or search.with_position):
        return [place.member for place in found]
    reply = []
    for place in found:
        parts: list[Any] = [place.member]
        if search.with_distance:
            parts.append(shown(place.distance / search.unit))
        if search.with_hash:
            parts.append(int(place.score))
        if search.with_position:
            parts.append(coordinates(place.score))
        reply.append(parts)
    return reply


@command(
    "geosearch",
    -7,
    flags="readonly",
    keys=ONE_KEY,
    group="geo",
    since="6.2.0",
    complexity=SEARCH,
    summary="Queries a geospatial index for members inside an area of a box or a circle.",
)
def geosearch(client: ClientView, argv: Argv) -> Any:
    """GEOSEARCH key FROMMEMBER member | FROMLONLAT longitude latitude and an area.

    The area is BYRADIUS radius unit | BYBOX width height unit; options are [ASC | DESC]
    [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH].
    """
    search = Search(zset_of(client.db.read(argv[1])), argv[0].decode("utf-8", "replace"))
    search.options(argv[2:], search=True, storing=False)
    return answer(client, search, "")


@command(
    "geosearchstore",
    -8,
    flags="write denyoom",
    keys=(1, 2, 1),
    group="geo",
    since="6.2.0",
    complexity=SEARCH,
    summary="Queries a geospatial index for members inside an area of a box or a circle, "
    "optionally stores the result.",
)
def geosearchstore(client: ClientView, argv: Argv) -> Any:
    """GEOSEARCHSTORE destination source, as GEOSEARCH, and [STOREDIST]."""
    search = Search(zset_of(client.db.read(argv[2])), argv[0].decode("utf-8", "replace"))
    search.store = argv[1]
    search.options(argv[3:], search=True, storing=True)
    return answer(client, search, "geosearchstore")
