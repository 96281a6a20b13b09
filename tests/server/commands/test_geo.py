"""Geospatial indexes against redis-server: random places and areas, in order, digit for digit."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from antecache.server import geo

PLACES = 400
SEARCHES = 300


def test_a_position_is_the_middle_of_its_cell() -> None:
    rng = random.Random(1)
    for _ in range(500):
        place = rng.uniform(-180, 180), rng.uniform(-geo.LATITUDE, geo.LATITUDE)
        near = geo.position_of(geo.score_of(place))
        assert abs(near[0] - place[0]) <= 180 / 2**26
        assert abs(near[1] - place[1]) <= geo.LATITUDE / 2**26
        assert geo.score_of(near) == geo.score_of(place)


def test_distances_are_those_of_the_sphere() -> None:
    assert geo.distance((0, 0), (0, 0)) == 0
    quarter = geo.EARTH_RADIUS * math.pi / 2
    assert geo.distance((0, 0), (90, 0)) == pytest.approx(quarter)
    assert geo.distance((0, 45), (180, 45)) == pytest.approx(quarter)
    assert geo.distance((0, 0), (180, 0)) == pytest.approx(2 * quarter)  # no number over 1 to asin


@pytest.mark.parametrize("box", [False, True])
def test_ranges_of_scores_cover_the_area(box: bool) -> None:
    rng = random.Random(2)
    for _ in range(300):
        centre = rng.uniform(-170, 170), rng.uniform(-60, 60)
        reach = 10 ** rng.uniform(1, 5.7)
        area = geo.Area(centre, reach * math.sqrt(2), 2 * reach, 2 * reach, True)
        if not box:
            area = geo.Area(centre, reach)
        ranges = list(area.scores())
        for _ in range(20):
            angle, far = rng.uniform(0, 2 * math.pi), rng.random() * reach / 111_000
            place = centre[0] + far * math.cos(angle), centre[1] + far * math.sin(angle)
            if geo.valid(place) and area.distance(place) is not None:
                bits = geo.score_of(place)
                assert any(low <= bits < high for low, high in ranges), (centre, reach, place)


def test_many_places_are_selected_as_one_by_one() -> None:
    """What is looked at in bulk: positions to the last bit, and none lost at the border."""
    rng = random.Random(4)
    for turn in range(40):
        centre = rng.uniform(-180, 180), rng.uniform(-85, 85)
        reach = 10 ** rng.uniform(0, 7.3)
        wide = max(reach / 111_000, 1e-4)
        pairs = []
        for n in range(400):
            east = centre[0] + rng.gauss(0, wide)
            north = max(-85.0, min(85.0, centre[1] + rng.gauss(0, wide)))
            pairs.append((float(geo.score_of(((east + 180) % 360 - 180, north))), b"%d" % n))
        area = geo.Area(centre, reach)
        if turn % 2:
            area = geo.Area(centre, reach, reach, reach * rng.uniform(0.2, 2), True)
        elif turn % 3 == 0:  # one of the places is exactly on the border
            radius = geo.distance(centre, geo.position_of(pairs[7][0]))
            area = geo.Area(centre, radius)
        wanted = []
        for score, member in pairs:
            metres = area.distance(geo.position_of(score))
            if metres is not None:
                wanted.append((member, score, metres))
        assert area.select(pairs) == wanted
        assert area.select(pairs[:20]) == [found for found in wanted if int(found[0]) < 20]


async def test_places_and_areas_are_redis_s(serve: Any, connect: Any, redis_server: Any) -> None:
    ours = await connect(await serve())
    theirs = await connect(redis_server)
    theirs.send("FLUSHALL")
    await theirs.read()
    rng = random.Random(3)
    added: list[Any] = ["GEOADD", "g"]
    for n in range(PLACES):
        wide = n % 2
        longitude = rng.uniform(-180, 180) if wide else rng.uniform(-1, 1)
        latitude = rng.uniform(-85, 85) if wide else rng.uniform(50, 51)
        added += [f"{longitude:.9f}", f"{latitude:.9f}", f"m{n}"]
    names = [f"m{n}" for n in range(PLACES)]
    lines: list[list[Any]] = [
        added,
        ["ZRANGE", "g", 0, -1, "WITHSCORES"],
        ["GEOPOS", "g", *names],
        ["GEOHASH", "g", *names],
        *(
            ["GEODIST", "g", *rng.sample(names, 2), rng.choice(["m", "km", "ft", "mi"])]
            for _ in "x" * 200
        ),
    ]
    lines += (
        ["GEOSEARCH", "g", *_centre(rng, names), *_area(rng), *_options(rng)]
        for _ in range(SEARCHES)
    )
    for line in lines:
        assert await ours.bytes_of(*line) == await theirs.bytes_of(*line), line


def _centre(rng: random.Random, names: list[str]) -> list[Any]:
    if rng.random() < 0.3:
        return ["FROMMEMBER", rng.choice(names)]
    if rng.random() < 0.5:
        return ["FROMLONLAT", rng.uniform(-1.5, 1.5), rng.uniform(49, 52)]
    return ["FROMLONLAT", rng.uniform(-180, 180), rng.uniform(-85, 85)]


def _area(rng: random.Random) -> list[Any]:
    unit = rng.choice(["m", "km", "ft", "mi"])
    metres = {"m": 1, "km": 1000, "ft": 0.3048, "mi": 1609.34}[unit]
    reach = 10 ** rng.uniform(3, 7.5) / metres
    if rng.random() < 0.5:
        return ["BYRADIUS", f"{reach:.3f}", unit]
    return ["BYBOX", f"{reach:.3f}", f"{reach * rng.uniform(0.1, 3):.3f}", unit]


def _options(rng: random.Random) -> list[Any]:
    found = rng.choice([[], ["ASC"], ["DESC"]])
    if rng.random() < 0.3:
        found = [*found, "COUNT", rng.randint(1, 20), *rng.choice([[], ["ANY"]])]
    return found + [word for word in ("WITHCOORD", "WITHDIST", "WITHHASH") if rng.random() < 0.3]


async def test_a_script_sees_the_same_digits(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("GEOADD", "g", "13.361389", "38.115556", "Palermo")
    script = "return redis.call('GEOPOS', KEYS[1], 'Palermo')[1][1]"
    assert await client.ask("EVAL", script, 1, "g") == b"13.36138933897018433"
    script = "redis.setresp(3); return redis.call('GEOPOS', KEYS[1], 'Palermo')[1][1].double * 1000"
    assert await client.ask("EVAL", script, 1, "g") == 13361
