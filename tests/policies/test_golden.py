"""Misses of the policies against those of libCacheSim, the reference simulator, on real traces.

FIFO, LRU, CLOCK and SIEVE must agree to the count. The others must be within half a
point of the miss ratio in every case, or be no worse on average by a design
choice that the head of the policy's file names. By default a short prefix of
each trace; `-m slow` takes the first 100,000 requests.

What this file does not do: judge which policy is good; `tests/bench/policies.py` does.
"""

from __future__ import annotations

import csv
import gzip
import sys
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from antecache.policies.base import Node
from antecache.policies.registry import find

TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"
CHOSEN = ("lirs_multi1", "lirs_ps", "nasa_jul", "web12", "orm_busy", "cdn_adaptsize")
SHARES = (0.01, 0.05, 0.1, 0.25)
SHORT, LONG = 5_000, 100_000

#: our name and its name there
EXACT = {"fifo": "FIFO", "lru": "LRU", "clock": "Clock", "sieve": "Sieve"}
CLOSE = {"arc": "ARC"}
#: different on purpose; the head of each file says how
OWN_WAY = {
    "gdsf": "GDSF",
    "lirs": "LIRS",
    "mq": "MQ",
    "s3fifo": "S3FIFO",
    "slru": "SLRU",
    "twoq": "TwoQ",
    "wtinylfu": "WTinyLFU",
}

theirs = pytest.importorskip("libcachesim", reason="libcachesim is not installed (extra `test`)")


@cache
def prefix(name: str, count: int) -> tuple[list[int], int]:
    """Keys of the first requests, numbered, and how many keys there are."""
    path = TRACES / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"no trace {name}: ../shared/traces is not there")
    numbers: dict[str, int] = {}
    with gzip.open(path, "rt") as file:
        rows = csv.reader(file)
        next(rows)
        sequence = [numbers.setdefault(row[2], len(numbers)) for row in islice(rows, count)]
    return sequence, len(numbers)


def our_misses(name: str, sequence: list[int], capacity: int) -> int:
    policy = find(name)()
    held: dict[int, Node] = {}
    keys: dict[bytes, int] = {}
    misses = 0
    for number in sequence:
        node = held.get(number)
        if node is not None:
            policy.hit(node)
            continue
        misses += 1
        key = b"%d" % number
        keys[key] = number
        node = held[number] = Node(key, 1)
        policy.insert(node)
        if policy.total > capacity:
            victim = policy.evict()
            assert victim is not None
            del held[keys[victim.key]]
    policy.check()
    return misses


def their_misses(name: str, sequence: list[int], capacity: int) -> int:
    # a cache of theirs, not of ours: the table starts small, or each would take 128 MB
    reference = getattr(theirs, name)(cache_size=capacity, hashpower=16)
    request: Any = theirs.Request(obj_size=1)
    hits = 0
    for number in sequence:
        request.obj_id = number + 1
        hits += reference.get(request)
    return len(sequence) - hits


def compare(name: str, other: str, count: int) -> dict[tuple[str, int], tuple[float, float]]:
    """(our, their) miss ratio by trace and capacity."""
    found = {}
    for trace in CHOSEN:
        sequence, keys = prefix(trace, count)
        for share in SHARES:
            capacity = max(10, int(share * keys))
            ours = our_misses(name, sequence, capacity)
            reference = their_misses(other, sequence, capacity)
            found[trace, capacity] = (ours / len(sequence), reference / len(sequence))
    return found


@pytest.mark.parametrize(
    "count", [SHORT, pytest.param(LONG, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
class TestAgainstLibCacheSim:
    @pytest.mark.parametrize("name", EXACT)
    def test_to_the_count(self, name: str, count: int) -> None:
        for case, (ours, reference) in compare(name, EXACT[name], count).items():
            assert ours == reference, f"{name} differs on {case}"

    @pytest.mark.parametrize("name", CLOSE)
    def test_within_half_a_point(self, name: str, count: int) -> None:
        for case, (ours, reference) in compare(name, CLOSE[name], count).items():
            assert abs(ours - reference) <= 0.005, f"{name} on {case}: {ours} for {reference}"

    @pytest.mark.parametrize("name", OWN_WAY)
    def test_no_worse_on_average(self, name: str, count: int) -> None:
        document = sys.modules[find(name).__module__].__doc__
        assert document and "libCacheSim" in document, f"{name} does not say where it differs"
        found = compare(name, OWN_WAY[name], count)
        mean = sum(ours - reference for ours, reference in found.values()) / len(found)
        assert mean <= 0.0005, f"{name} is {mean:.4f} worse: {found}"
