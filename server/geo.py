"""Places on the Earth as scores of a sorted set: geohashes, distances, areas.

A position is the cell of a grid of 2**26 by 2**26 cells over all longitudes and the
latitudes of the Web Mercator projection; the score is the cell's number, the bits of
both coordinates interleaved (52 of them, which a double holds exactly), so that
places near each other tend to have scores near each other. A search for an area
looks at the nine cells around its centre, on a grid just coarse enough that they
cover it: nine ranges of scores, and then the distance of each place in them.

The grid, the radius of the Earth, the way in which the nine cells are chosen and
their order are Redis's (geohash.c, geohash_helper.c), because the digits of
positions and distances and the order of unsorted answers follow from them.
Distances are haversines, in metres.

Of many places at once, NumPy finds those that cannot be in an area. Its sines may differ
from C's in the last bits, so what is left, with some margin, is measured one by one.

What this file does not do: read or answer commands (`commands/geo.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

STEPS = 26  # bits of each coordinate in a score
LATITUDE = 85.05112878  # the limit of the Web Mercator projection, EPSG:3857
LONGITUDE = 180.0
EARTH_RADIUS = 6372797.560856  # metres
MERCATOR = 20037726.37  # metres: half the circumference at the equator
ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"  # of textual geohashes
HASH_CHARS = 11

Position = tuple[float, float]
"""Longitude and latitude in degrees."""

Degrees = npt.NDArray[np.float64]

MANY = 32  # places from which NumPy pays
MARGIN = 1 + 1e-9  # by which rough distances may be wrong


# -- cells ------------------------------------------------------------------


def _spread(number: int) -> int:
    """The 32 bits of a number, each followed (above it) by a zero."""
    number = (number | number << 16) & 0x0000FFFF0000FFFF
    number = (number | number << 8) & 0x00FF00FF00FF00FF
    number = (number | number << 4) & 0x0F0F0F0F0F0F0F0F
    number = (number | number << 2) & 0x3333333333333333
    return (number | number << 1) & 0x5555555555555555


_GATHER = (
    (1, 0x3333333333333333),
    (2, 0x0F0F0F0F0F0F0F0F),
    (4, 0x00FF00FF00FF00FF),
    (8, 0x0000FFFF0000FFFF),
    (16, 0x00000000FFFFFFFF),
)


def _gather(number: int) -> int:
    """Undo `_spread`; what stands at odd bits is dropped."""
    number &= 0x5555555555555555
    for step, mask in _GATHER:
        number = (number | number >> step) & mask
    return number


def _cell(position: Position, steps: int, limit: float = LATITUDE) -> tuple[int, int]:
    """Column and row of the cell that holds a position, on a grid of 2**steps of each."""
    longitude, latitude = position
    column = (longitude + LONGITUDE) / (LONGITUDE + LONGITUDE) * (1 << steps)
    row = (latitude + limit) / (limit + limit) * (1 << steps)
    return int(column), int(row)


def _edges(column: int, row: int, steps: int) -> tuple[float, float, float, float]:
    """West, south, east and north of a cell, in degrees."""
    cells = 1 << steps
    return (
        -LONGITUDE + (column / cells) * (LONGITUDE + LONGITUDE),
        -LATITUDE + (row / cells) * (LATITUDE + LATITUDE),
        -LONGITUDE + ((column + 1) / cells) * (LONGITUDE + LONGITUDE),
        -LATITUDE + ((row + 1) / cells) * (LATITUDE + LATITUDE),
    )


def valid(position: Position) -> bool:
    """Whether a position is on the grid."""
    longitude, latitude = position
    return -LONGITUDE <= longitude <= LONGITUDE and -LATITUDE <= latitude <= LATITUDE


def score_of(position: Position) -> int:
    """The score of a position on the grid."""
    column, row = _cell(position, STEPS)
    return _spread(column) << 1 | _spread(row)


def position_of(score: float) -> Position:
    """The middle of the cell with this score."""
    # What is no score of a place is read as C reads a double that is to be an integer.
    bits = int(score) & (2**64 - 1) if abs(score) < 2**63 else 2**63
    west, south, east, north = _edges(_gather(bits >> 1), _gather(bits), STEPS)
    longitude, latitude = (west + east) / 2, (south + north) / 2
    return (
        max(-LONGITUDE, min(longitude, LONGITUDE)),
        max(-LATITUDE, min(latitude, LATITUDE)),
    )


def text_of(position: Position) -> bytes:
    """The position as a geohash of eleven characters (52 bits, the last three are 0).

    These hashes are on a grid of all latitudes, see https://en.wikipedia.org/wiki/Geohash.
    """
    column, row = _cell(position, STEPS, 90.0)
    bits = _spread(column) << 1 | _spread(row)
    shifts = range(2 * STEPS - 5, -1, -5)
    # The eleventh character would have two bits left; Redis writes 0.
    return bytes(ALPHABET[bits >> shift & 31] for shift in shifts) + ALPHABET[:1]


def _positions(scores: Sequence[float]) -> tuple[Degrees, Degrees]:
    """`position_of` of many scores, to the last bit; the scores are cells of the grid."""
    bits = np.array(scores).astype(np.uint64)
    cells = float(1 << STEPS)
    found = []
    for shift, limit in ((1, LONGITUDE), (0, LATITUDE)):
        number = (bits >> np.uint64(shift)) & np.uint64(0x5555555555555555)
        for step, mask in _GATHER:
            number = (number | number >> np.uint64(step)) & np.uint64(mask)
        low = -limit + (number / cells) * (limit + limit)
        high = -limit + ((number + np.uint64(1)) / cells) * (limit + limit)
        found.append(np.clip((low + high) / 2, -limit, limit))
    return found[0], found[1]


# -- distances --------------------------------------------------------------


def _along_meridian(one: float, other: float) -> float:
    """Metres between two latitudes."""
    return EARTH_RADIUS * abs(_radians(other) - _radians(one))


def distance(one: Position, other: Position) -> float:
    """Metres between two positions, along the great circle."""
    return _from(one)(*other)


def _from(centre: Position) -> Callable[[float, float], float]:
    """A function from longitude and latitude to the metres between there and `centre`."""
    sin, cos, asin, sqrt = math.sin, math.cos, math.asin, math.sqrt
    degree, diameter = _DEGREE, 2.0 * EARTH_RADIUS
    longitude, latitude = _radians(centre[0]), _radians(centre[1])
    cosine = cos(latitude)

    def measure(east: float, north: float) -> float:
        half = sin((east * degree - longitude) / 2)
        if half == 0.0:
            return EARTH_RADIUS * abs(north * degree - latitude)
        north *= degree
        rise = sin((north - latitude) / 2)
        chord = sqrt(rise * rise + cosine * cos(north) * half * half)
        return diameter * asin(chord if chord < 1.0 else 1.0)

    return measure


_DEGREE = math.pi / 180.0


def _radians(degrees: float) -> float:
    return degrees * _DEGREE


def _degrees(radians: float) -> float:
    return radians / _DEGREE


# -- areas ------------------------------------------------------------------


class Found(NamedTuple):
    """A place inside an area; `distance` is from the centre, in metres."""

    member: bytes
    score: float
    distance: float


class Area(NamedTuple):
    """A circle, or a box that is `width` wide at every latitude; lengths in metres.

    radius   of the circle; of a box, half its diagonal
    width, height   0 for a circle
    """

    centre: Position
    radius: float
    width: float = 0.0
    height: float = 0.0
    box: bool = False

    def distance(self, position: Position) -> float | None:
        """Metres from the centre, or None for a position outside."""
        return self._measure()(*position)

    def _measure(self) -> Callable[[float, float], float | None]:
        measure = _from(self.centre)
        if not self.box:
            radius = self.radius

            def in_circle(east: float, north: float) -> float | None:
                metres = measure(east, north)
                return None if metres > radius else metres

            return in_circle
        longitude, latitude = self.centre
        beside, above = self.width / 2, self.height / 2

        def in_box(east: float, north: float) -> float | None:
            if _along_meridian(north, latitude) > above:
                return None
            if distance((east, north), (longitude, north)) > beside:
                return None
            return measure(east, north)

        return in_box

    def select(self, pairs: Sequence[tuple[float, bytes]]) -> list[Found]:
        """Those of some pairs of scores and members that are inside, in their order."""
        if len(pairs) < MANY:
            positions = [position_of(score) for score, _ in pairs]
        else:
            east, north = _positions([score for score, _ in pairs])
            kept = np.flatnonzero(self._roughly(east, north))
            pairs = [pairs[at] for at in kept.tolist()]
            positions = list(zip(east[kept].tolist(), north[kept].tolist(), strict=True))
        found = []
        measure = self._measure()
        for (score, member), (longitude, latitude) in zip(pairs, positions, strict=True):
            metres = measure(longitude, latitude)
            if metres is not None:
                found.append(Found(member, score, metres))
        return found

    def _roughly(self, east: Degrees, north: Degrees) -> npt.NDArray[np.bool_]:
        """Which places may be inside."""
        reach = self.width / 2 if self.box else self.radius
        half = np.sin((east - self.centre[0]) * (_DEGREE / 2))
        cosine = np.cos(north * _DEGREE)
        if self.box:
            rise = EARTH_RADIUS * _DEGREE * np.abs(north - self.centre[1])
            chord = np.square(half * cosine)
            near = rise <= self.height / 2 * MARGIN + 1
        else:
            chord = np.square(np.sin((north - self.centre[1]) * (_DEGREE / 2)))
            chord += np.square(half) * cosine * math.cos(_radians(self.centre[1]))
            near = np.ones(len(east), dtype=np.bool_)
        metres = 2.0 * EARTH_RADIUS * np.arcsin(np.sqrt(np.minimum(chord, 1.0)))
        inside: npt.NDArray[np.bool_] = near & (metres <= reach * MARGIN + 1)
        return inside

    def scores(self) -> Iterator[tuple[int, int]]:
        """Ranges of scores, the upper end excluded, that hold everything in the area."""
        last: tuple[int, int] | None = None
        cells, steps = _nine_cells(self)
        for at, (column, row) in enumerate(cells):
            if (column, row) == last:  # of a huge area neighbours may be one cell
                continue
            if at:
                last = column, row
            bits = _spread(column) << 1 | _spread(row)
            unused = 2 * (STEPS - steps)
            yield bits << unused, (bits + 1) << unused


def _bounds(area: Area) -> tuple[float, float, float, float]:
    """West, south, east and north of what encloses the area, in degrees."""
    longitude, latitude = area.centre
    height = area.height / 2 if area.box else area.radius
    width = area.width / 2 if area.box else area.radius
    rise = _degrees(height / EARTH_RADIUS)
    if math.isinf(rise) or math.isinf(width):
        return -math.inf, -math.inf, math.inf, math.inf
    # The area spans most degrees where it is closest to a pole.
    nearest = latitude - rise if latitude < 0 else latitude + rise
    reach = _degrees(width / EARTH_RADIUS / math.cos(_radians(nearest)))
    return longitude - reach, latitude - rise, longitude + reach, latitude + rise


def _steps(metres: float, latitude: float) -> int:
    """The finest grid on which nine cells should cover a circle of this radius."""
    if metres == 0:
        return STEPS
    steps = 1
    while metres < MERCATOR:
        metres *= 2
        steps += 1
    steps -= 2
    if abs(latitude) > 66:  # cells become narrow towards the poles
        steps -= 2 if abs(latitude) > 80 else 1
    return min(max(steps, 1), STEPS)


# Centre, north, south, east, west, and the corners between them: (columns, rows) away.
_AROUND = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))


def _nine_cells(area: Area) -> tuple[list[tuple[int, int]], int]:
    """The cells to look at, in their order, and the steps of their grid."""
    west, south, east, north = _bounds(area)
    steps = _steps(area.radius, area.centre[1])
    around = _around(area.centre, steps)
    if steps > 1:
        edges = [_edges(column, row, steps) for column, row in around[1:5]]
        if edges[0][3] < north or edges[1][1] > south or edges[2][2] < east or edges[3][0] > west:
            steps -= 1
            around = _around(area.centre, steps)
    column, row = around[0]
    if steps < 2:
        return around, steps
    own = _edges(column, row, steps)
    unwanted_columns = {1} if own[2] > east else set()
    unwanted_rows = {1} if own[3] > north else set()
    if own[0] < west:
        unwanted_columns.add(-1)
    if own[1] < south:
        unwanted_rows.add(-1)
    return [
        cell
        for cell, (columns, rows) in zip(around, _AROUND, strict=True)
        if columns not in unwanted_columns and rows not in unwanted_rows
    ], steps


def _around(centre: Position, steps: int) -> list[tuple[int, int]]:
    """The cell of a position and its eight neighbours; the grid's edges meet.

    A position on the very edge is in a cell beyond the grid, whose neighbours are on it.
    """
    column, row = _cell(centre, steps)
    mask = (1 << steps) - 1
    return [
        (
            (column + columns) & mask if columns else column,
            (row + rows) & mask if rows else row,
        )
        for columns, rows in _AROUND
    ]
