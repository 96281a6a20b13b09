"""auto: follows the better candidate, loses nothing, samples, and answers what if."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.policies import _sample, auto
from antecache.policies._capacity import Capacity
from antecache.policies._contest import BY_SIZE, CANDIDATES
from antecache.policies._move import Mover
from antecache.policies.auto import Auto
from antecache.policies.base import Node, Policy
from antecache.policies.registry import find


class Cache:
    """A dictionary before a policy, with a budget in keys or in bytes; counts misses."""

    def __init__(self, policy: Policy, keys: int = 1 << 60, size: int = 1 << 60) -> None:
        self.policy = policy
        self.keys = keys
        self.size = size
        self.held: dict[bytes, Node] = {}
        self.misses = 0

    def ask(self, key: bytes, size: int = 1) -> bool:
        node = self.held.get(key)
        if node is not None:
            self.policy.hit(node)
            return True
        self.misses += 1
        node = self.held[key] = Node(key, size)
        self.policy.insert(node)
        self.fit()
        return False

    def fit(self) -> None:
        policy = self.policy
        while policy.total > self.size or policy.count > self.keys:
            victim = policy.evict()
            assert victim is not None
            assert self.held.pop(victim.key) is victim

    def delete(self, key: bytes) -> None:
        self.policy.remove(self.held.pop(key))

    def check(self) -> None:
        self.policy.check()
        assert {id(n) for n in self.policy.nodes()} == {id(n) for n in self.held.values()}


def zipf(count: int, keys: int, seed: int) -> list[bytes]:
    rng = random.Random(seed)
    return [b"z%d" % int(keys ** rng.random()) for _ in range(count)]


def loop(count: int, keys: int) -> list[bytes]:
    return [b"l%d" % (number % keys) for number in range(count)]


def recency(count: int, seed: int) -> list[bytes]:
    """Keys that are asked a few times soon after each other and never again."""
    rng = random.Random(seed)
    return [b"r%d" % (number // 3 - int(rng.expovariate(1 / 25))) for number in range(count)]


def misses(policy: Policy, keys: list[bytes], capacity: int) -> int:
    cache = Cache(policy, keys=capacity)
    for key in keys:
        cache.ask(key)
    cache.check()
    return cache.misses


@pytest.mark.parametrize("sample", [1500, 100], ids=["small", "large"])
def test_near_the_best_candidate_on_either_kind_of_load(
    sample: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a loop and on a drifting set different candidates are right."""
    monkeypatch.setattr(_sample, "SAMPLE", sample)
    capacity = 250
    for keys in (loop(8000, int(1.3 * capacity)), recency(8000, 3)):
        candidates = [
            misses(find(candidate.policy)(**candidate.settings), keys, capacity)
            for candidate in CANDIDATES
        ]
        own = misses(Auto(), keys, capacity)
        assert own <= 1.05 * min(candidates) + capacity / 2, candidates


def test_changes_with_the_load() -> None:
    policy = Auto()
    cache = Cache(policy, keys=300)
    for key in loop(6000, 400):
        cache.ask(key)
    looping = policy.leading
    cache.misses = 0
    drift = recency(12_000, 1)
    for key in drift:
        cache.ask(key)
    assert policy.switches > 0 and policy.leading != looping
    best = min(
        misses(find(candidate.policy)(**candidate.settings), drift, 300) for candidate in CANDIDATES
    )
    assert cache.misses <= 1.15 * best


def test_a_small_cache_holds_what_the_leading_ghost_holds() -> None:
    """The one candidate, simulated, and auto with it alone miss alike."""
    for candidate in CANDIDATES:
        alone = misses(find(candidate.policy)(**candidate.settings), zipf(6000, 900, 4), 80)
        followed = misses(Auto(candidates=(candidate,)), zipf(6000, 900, 4), 80)
        assert abs(followed - alone) <= 0.02 * alone, candidate.label


def test_a_large_cache_moves_without_losing_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sample, "SAMPLE", 60)
    policy = Auto(candidates=(*CANDIDATES, BY_SIZE))
    cache = Cache(policy, keys=1000)
    for key in zipf(9000, 4000, 2):
        cache.ask(key)
    assert policy._sample.panel.mask == 15 and policy.count == 1000
    assert isinstance(policy._body, Mover)
    for index in (3, 5, 4, 0, 2, 3):
        before = set(cache.held)
        if index != policy.leader:
            policy._lead(index)
        assert set(cache.held) == before
        cache.check()
        hits = sum(cache.ask(key) for key in list(before)[:300])
        assert hits == 300
        for key in zipf(700, 4000, index):
            cache.ask(key)
            if policy._body.moving:
                policy.hit(next(policy.nodes()))  # the first is with the former policy
        cache.check()
        assert not policy._body.moving and len(cache.held) == 1000


def test_uses_move_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was used often under the old policy outlives a scan under the new one."""
    monkeypatch.setattr(_sample, "SAMPLE", 20)
    for start in (0, 3):
        policy = Auto(candidates=(*CANDIDATES[start:], *CANDIDATES[:start]))
        cache = Cache(policy, keys=400)
        for key in loop(400, 400):
            cache.ask(key)
        often = [b"l%d" % number for number in range(100)]
        for _ in range(8):
            for key in often:
                cache.ask(key)
        policy._lead(3)
        for number in range(1200):
            cache.ask(b"scan%d" % number)
        assert sum(key in cache.held for key in often) >= 90


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ask"] * 9 + ["delete", "resize", "budget", "lead", "twin", "flush"]),
            st.integers(0, 90),
        ),
        min_size=50,
        max_size=600,
    ),
    st.integers(4, 12),
)
@settings(max_examples=30, deadline=None)
def test_any_history_keeps_the_books(steps: list[tuple[str, int]], sample: int) -> None:
    """Growing, thinning, moving and shrinking samples, with deletions and two databases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sample, "SAMPLE", sample)
        patch.setattr(_sample, "CURVE_LEAST", sample // 2)
        policy = Auto()
        cache = Cache(policy, keys=70)
        other: dict[bytes, Node] = {}  # the same keys in another database
        for what, number in steps:
            key = b"%d" % number
            if what == "ask":
                node = cache.held.get(key)
                if node is not None:
                    policy.hit(node)
                else:
                    node = cache.held[key] = Node(key, 1 + number)
                    policy.insert(node)
            elif what == "twin" and key not in other:
                other[key] = Node(key, 1)
                policy.insert(other[key])
            elif what == "delete" and key in cache.held:
                cache.delete(key)
            elif what == "resize" and key in cache.held:
                policy.resize(cache.held[key], 1 + number // 2)
            elif what == "budget":
                cache.keys = number + 1
            elif what == "lead":
                index = number % len(CANDIDATES)
                if index != policy.leader:
                    policy._lead(index)
            elif what == "flush":
                for gone in list(cache.held):
                    cache.delete(gone)
            while policy.count > cache.keys:
                victim = policy.evict()
                assert victim is not None and victim.where == 0
                home = cache.held if cache.held.get(victim.key) is victim else other
                assert home.pop(victim.key) is victim
        policy.check()
        present = [*cache.held.values(), *other.values()]
        assert sorted(map(id, policy.nodes())) == sorted(map(id, present))
        assert policy.count == len(present)


def test_the_sample_is_bounded_and_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sample, "SAMPLE", 100)
    monkeypatch.setattr(_sample, "CURVE_LEAST", 25)
    policy = Auto()
    cache = Cache(policy, keys=20_000)
    for number in range(60_000):
        cache.ask(b"%d" % number)
    cache.check()
    assert min(ghost.count for ghost in policy._sample.panel.policies) >= 50
    assert max(ghost.count for ghost in policy._sample.panel.policies) <= 200
    assert len(policy._sample.panel.records) < 600
    ghosts = policy._sample.panel.nbytes + policy._sample.curve.nbytes
    assert 100_000 < ghosts < 1_500_000
    assert policy.metadata_bytes >= ghosts


def test_ghosts_take_no_more_than_their_share_of_the_memory() -> None:
    keys = zipf(30_000, 20_000, 5)
    for memory in (32_000_000, 8_000_000):
        policy = Auto()
        policy.memory = memory
        cache = Cache(policy, size=memory)
        for key in keys:
            cache.ask(key, 4000)
            # the store's room is what the ghost caches leave
            cache.size = memory - policy.metadata_bytes
            cache.fit()
        cache.check()
        assert policy.metadata_bytes - policy._body.nbytes <= memory * _sample.SHARE
        assert policy.asleep == (memory < 27_000_000)
        plain = Cache(find("s3fifo")(), size=memory)
        for key in keys:
            plain.ask(key, 4000)
        assert cache.misses <= 1.02 * plain.misses


def test_ghosts_wake_up_when_memory_is_given() -> None:
    policy = Auto()
    policy.memory = 1_000_000
    cache = Cache(policy, size=policy.memory)
    for key in zipf(5000, 5000, 6):
        cache.ask(key, 1000)
    assert policy.asleep and policy.window == 0.0 and policy.metadata_bytes < 60_000
    cache.check()
    policy.memory = cache.size = 100_000_000
    for key in zipf(5000, 5000, 7):
        cache.ask(key, 1000)
    assert not policy.asleep and policy.window > 1000
    cache.check()


def test_sampled_ghosts_tell_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimates from one key of 16 against what the candidates really miss."""
    monkeypatch.setattr(_sample, "SAMPLE", 120)
    rng = random.Random(2)
    keys = [b"u%d" % int(rng.triangular(0, 8000, 0)) for _ in range(30_000)]
    policy = Auto(half_life=1e9)
    misses(policy, keys, 2500)
    assert policy._sample.panel.mask == 15
    standings = policy.standings()
    for candidate in CANDIDATES[:4]:
        real = misses(find(candidate.policy)(**candidate.settings), keys, 2500) / len(keys)
        assert standings[candidate.label] == pytest.approx(real, abs=0.06)


def test_the_curve_tells_what_more_memory_brings() -> None:
    keys = zipf(12_000, 2500, 9)
    policy = Auto(half_life=1e9)
    misses(policy, keys, 160)
    curve = policy.curve()
    assert [share for share, _ in curve] == [0.5, 1.0, 2.0, 4.0]
    assert all(before >= after for (_, before), (_, after) in pairwise(curve))
    for share, estimate in curve:
        real = misses(Auto(), keys, int(160 * share)) / len(keys)
        assert estimate == pytest.approx(real, abs=0.05)
    assert policy.window == pytest.approx(len(keys), rel=0.2)


def test_sizes_put_gdsf_in_the_lead_only_where_bytes_are_counted() -> None:
    rng = random.Random(6)
    size_of = {b"z%d" % number: int(100 * 400 ** rng.random()) for number in range(1500)}
    keys = zipf(12_000, 1500, 8)
    for budget in ({"size": 600_000}, {"keys": 80}):
        cache = Cache(Auto(), **budget)
        for key in keys:
            cache.ask(key, size_of[key])
        cache.check()
        assert isinstance(cache.policy, Auto)
        assert (cache.policy.leading == "gdsf") == ("size" in budget)
    by_size, by_use = Cache(Auto(), size=600_000), Cache(find("gdsf")(), size=600_000)
    for key in keys:
        by_size.ask(key, size_of[key])
        by_use.ask(key, size_of[key])
    assert by_size.misses <= 1.05 * by_use.misses


def test_what_is_put_back_is_not_asked_for() -> None:
    """The store reinserts a victim that a waiting command has pinned."""
    policy = Auto()
    cache = Cache(policy, keys=50)
    for key in zipf(2000, 500, 1):
        cache.ask(key)
    policy.evict()  # tells the ghosts of all hits
    accesses = policy._sample.panel.accesses
    for _ in range(40):
        victim = policy.evict()
        assert victim is not None
        policy.insert(victim)
        assert policy.count == 49
    assert policy._sample.panel.accesses == accesses
    policy.check()


def test_what_the_leader_lets_fall_is_noted_once() -> None:
    """Hits on nodes that the leading ghost refuses must not pile up notes."""
    policy = Auto(candidates=CANDIDATES[1:2])
    cache = Cache(policy, keys=100)
    for key in zipf(3000, 400, 3):
        cache.ask(key)
    for _ in range(200):
        for key in list(cache.held):
            policy.hit(cache.held[key])
    assert len(policy._sample.panel.left) <= len(policy._sample.panel.records)
    cache.check()


def test_a_flushed_cache_starts_small_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sample, "SAMPLE", 50)
    monkeypatch.setattr(auto, "CHECK", 4)
    policy = Auto()
    cache = Cache(policy, keys=2000)
    for number in range(2500):
        cache.ask(b"%d" % number)
    assert policy._sample.panel.mask > 0
    for key in list(cache.held)[:-40]:
        cache.delete(key)
    for number in range(4):
        cache.ask(b"new%d" % number)
    assert policy._sample.panel.mask == 0
    cache.check()
    for number in range(300):
        cache.ask(b"again%d" % number)
    cache.check()


def test_decisions_do_not_depend_on_the_process() -> None:
    program = (
        "from antecache.policies.auto import Auto\n"
        "from antecache.policies.base import Node\n"
        "p, held, out = Auto(), {}, []\n"
        "for i in range(6000):\n"
        "    k = b'%d' % (i * i % 977 % (i % 300 + 1))\n"
        "    if k in held: p.hit(held[k])\n"
        "    else:\n"
        "        held[k] = Node(k, 1); p.insert(held[k])\n"
        "        while p.count > 40: v = p.evict(); del held[v.key]; out.append(v.key)\n"
        "print(hash(tuple(int(k) for k in out)), p.leading, p.switches)"
    )
    shown = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(shown) == 1


@given(st.lists(st.integers(1, 50), min_size=1, max_size=400), st.integers(60, 300))
def test_capacity_in_bytes_is_found(sizes: list[int], budget: int) -> None:
    capacity, held, total = Capacity(), [], 0
    for size in sizes:
        capacity.content(total, len(held))
        held.append(size)
        total += size
        while total > budget:
            capacity.exceeded(total, len(held))
            total -= held.pop(0)
    assert capacity.amount <= budget
    if capacity.full and not capacity.by_count:
        assert capacity.amount >= budget - 2 * 50


def test_capacity_follows_a_budget_that_falls() -> None:
    capacity = Capacity()
    for count in range(100):
        capacity.content(count, count)
    capacity.exceeded(100, 100)
    assert capacity.amount == 99
    for count in range(99, 40, -1):  # CONFIG SET maxmemory
        capacity.exceeded(count, count)
    assert capacity.amount == 40
