"""What every predictor promises, for every predictor there is."""

from __future__ import annotations

import importlib.metadata
import random
from collections.abc import Iterator

import numpy as np
import pytest

from antecache.predictor import registry
from antecache.predictor.base import Candidate, Predictor
from antecache.predictor.plan import Plan, pack_counters

BUDGET = 100_000


@pytest.fixture(params=registry.names())
def family(request: pytest.FixtureRequest) -> type[Predictor]:
    return registry.find(request.param)


def events(count: int, seed: int = 7) -> Iterator[tuple[bytes, bool]]:
    """Sessions of one user, scans over numbers, texts and noise."""
    rng = random.Random(seed)
    made = 0
    while made < count:
        kind, number = rng.randrange(4), rng.randrange(300)
        if kind == 0:
            keys = [b"user:%d" % number, b"cart:%d" % number, b"%d:%010x:0" % (number % 9, number)]
        elif kind == 1:
            keys = [b"%d" % (number * 1000 + step) for step in range(5)]
        elif kind == 2:
            keys = [b"/static/" + b"y" * (number % 50), b"\xff\0\r\n" + b"%d" % number]
        else:
            keys = [rng.randbytes(rng.randrange(30))]
        for key in keys:
            made += 1
            yield key, rng.random() < 0.7


def fed(family: type[Predictor], count: int = 6000, budget: int = BUDGET) -> Predictor:
    predictor = family(budget)
    for at, (key, demand) in enumerate(events(count)):
        predictor.session = at % 4 // 3  # now and then somebody else comes between
        predictor.observe(key, demand=demand)
    return predictor


def everything(predictor: Predictor, seed: int = 7) -> list[list[Candidate]]:
    return [predictor.candidates(key) for key, _ in events(600, seed)]


def test_the_names_are_those_of_files_and_classes(family: type[Predictor]) -> None:
    assert family.name == family.__name__.lower() == family.__module__.rpartition(".")[2]


def test_there_are_the_ones_that_the_settings_offer() -> None:
    assert {"blend", "misslog", "sessions", "strides", "templates"} <= set(registry.names())
    with pytest.raises(KeyError):
        registry.find("base")
    with pytest.raises(KeyError):
        registry.find("no_such_predictor")


def test_candidates_are_what_the_contract_says(family: type[Predictor]) -> None:
    predictor = fed(family)
    found = everything(predictor)
    assert any(found)
    for candidates in found:
        assert len({candidate.key for candidate in candidates}) == len(candidates)
        assert [c.score for c in candidates] == sorted((c.score for c in candidates), reverse=True)
        for candidate in candidates:
            assert type(candidate) is Candidate
            assert type(candidate.key) is bytes
            assert 0 <= candidate.score <= 1
            assert 0 <= candidate.bucket < family.buckets
            assert candidate.rule
            name, value = candidate.why[0]
            assert name == "confidence"
            assert 0 <= value <= 1
            assert all(type(value) is float for _, value in candidate.why)
    for (key, _), candidates in zip(events(600), found, strict=True):
        assert key not in {candidate.key for candidate in candidates}


def test_asking_changes_nothing(family: type[Predictor]) -> None:
    predictor = fed(family)
    before = predictor.dump(), predictor.nbytes
    assert everything(predictor, 8) == everything(predictor, 8)
    assert (predictor.dump(), predictor.nbytes) == before


def test_the_same_events_give_the_same_candidates(family: type[Predictor]) -> None:
    assert everything(fed(family)) == everything(fed(family))


@pytest.mark.parametrize("budget", [0, 1, 500, 5_000, 50_000, 400_000])
def test_the_budget_is_kept(family: type[Predictor], budget: int) -> None:
    predictor = family(budget)
    for at, (key, demand) in enumerate(events(6000)):
        predictor.session = at % 3 * at
        predictor.observe(key, demand=demand)
        assert predictor.nbytes <= budget
    everything(predictor)
    predictor.check()
    for other in (budget // 2, budget * 2, 0, budget):
        predictor.resize(other)
        assert predictor.nbytes <= other
        everything(predictor)
        predictor.check()


def test_a_plan_is_adopted_and_decides(family: type[Predictor]) -> None:
    predictor = fed(family)
    rng = np.random.default_rng(1)
    trials = rng.uniform(1, 400, family.buckets)
    hits = trials * rng.uniform(0, 1, family.buckets)
    plan = Plan(version=1, hits=pack_counters(hits), trials=pack_counters(trials))
    predictor.adopt(plan)
    for candidates in everything(predictor):
        for candidate in candidates:
            expected = plan.score(candidate.bucket, candidate.why[0][1])
            assert candidate.score == pytest.approx(expected, abs=1e-6)


def test_rules_that_are_off_yield_nothing(family: type[Predictor]) -> None:
    predictor = fed(family)
    rules = {candidate.rule for candidates in everything(predictor) for candidate in candidates}
    off = sorted(rules)[::2]
    predictor.adopt(Plan(version=1, disabled=tuple(off)))
    left = {candidate.rule for candidates in everything(predictor) for candidate in candidates}
    assert not left & set(off)


def test_a_state_reads_back(family: type[Predictor]) -> None:
    predictor = fed(family)
    again = fed(family, 100)
    again.load(predictor.dump())
    again.check()
    assert again.nbytes <= BUDGET
    known = {c.key for candidates in everything(predictor) for c in candidates}
    read = {c.key for candidates in everything(again) for c in candidates}
    assert len(read & known) > 0.9 * len(known)


@pytest.mark.parametrize(
    "state", [b"", b"\x90", b"junk", b"\xc0" * 50, b"\x93\xc4\x00\xc4\x00\xc4\x00"]
)
def test_a_state_that_is_none_is_refused(family: type[Predictor], state: bytes) -> None:
    predictor = fed(family, 500)
    before = everything(predictor)
    try:
        predictor.load(state)
    except ValueError:
        assert everything(predictor) == before
    predictor.check()


class _Point:
    name = "mine"

    def __init__(self, loaded: object) -> None:
        self._loaded = loaded

    def load(self) -> object:
        return self._loaded


def test_other_distributions_may_bring_predictors(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = type("Mine", (registry.find("misslog"),), {"name": "mine"})
    points = [_Point(mine)]

    def entry_points(*, group: str, name: str = "mine") -> list[_Point]:
        return points if (group, name) == ("antecache.predictors", "mine") else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert "mine" in registry.names()
    assert registry.find("mine") is mine
    points[0] = _Point(int)
    with pytest.raises(TypeError, match="mine"):
        registry.find("mine")
