"""The contract of base.py, checked on every policy that the registry discovers.

Nothing here names a policy: a new file in policies/ is under test as soon as it
exists. The driver below does what the store does: insert the newcomer, then
evict while the store is over its budget.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.policies.base import Node, Policy
from antecache.policies.registry import find, names

EVERY = names()
EVICTING = [name for name in EVERY if find(name).evicts]


class CostedNode(Node):
    """A node that knows what loading it costs, as the store's entries do."""

    __slots__ = ("seconds",)

    def __init__(self, key: bytes, size: int, expire_at: int = 0, seconds: float = 0.0) -> None:
        super().__init__(key, size, expire_at)
        self.seconds = seconds

    @property
    def cost(self) -> float:
        return self.seconds


class MiniStore:
    """A dictionary, a budget and a policy."""

    def __init__(self, policy: Policy, budget: int) -> None:
        self.policy = policy
        self.budget = budget
        self.held: dict[bytes, Node] = {}
        self.evicted: list[bytes] = []

    def shrink(self) -> None:
        while self.policy.total > self.budget:
            node = self.policy.evict()
            if node is None:
                assert not self.policy.evicts
                return
            assert self.held.pop(node.key) is node, "evicted a node that was not held"
            assert node.where == 0 and node.prev is None and node.next is None
            self.evicted.append(node.key)

    def access(self, key: bytes, size: int, expire_at: int = 0, seconds: float = 0.0) -> bool:
        node = self.held.get(key)
        if node is not None:
            self.policy.hit(node)
            return True
        node = self.held[key] = CostedNode(key, size, expire_at, seconds)
        self.policy.insert(node)
        assert node.where > 0
        self.shrink()
        return False

    def delete(self, key: bytes) -> None:
        node = self.held.pop(key, None)
        if node is not None:
            self.policy.remove(node)
            assert node.where == 0 and node.prev is None and node.next is None

    def resize(self, key: bytes, size: int) -> None:
        node = self.held.get(key)
        if node is not None:
            self.policy.resize(node, size)
            assert node.size == size
            self.shrink()

    def check(self) -> None:
        self.policy.check()
        assert self.policy.count == len(self.held)
        assert self.policy.total == sum(node.size for node in self.held.values())
        assert {id(node) for node in self.policy.nodes()} == set(map(id, self.held.values()))
        if self.policy.evicts:
            assert self.policy.total <= self.budget


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["access"] * 8 + ["delete", "resize", "budget", "evict", "expire"]),
        st.integers(0, 24),
        st.integers(1, 40),
    ),
    max_size=220,
)


@pytest.mark.parametrize("name", EVERY)
@given(operations=OPERATIONS, budget=st.integers(1, 120), unit=st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_sequence_of_operations_keeps_the_books(
    name: str, operations: list[tuple[str, int, int]], budget: int, unit: bool
) -> None:
    store = MiniStore(find(name)(seed=3), budget)
    for what, number, size in operations:
        key = b"k%d" % number
        if unit:
            size = 1
        if what == "access":
            store.access(key, size, number * 1000 * (size % 3), size / 1000)
        elif what == "delete":
            store.delete(key)
        elif what == "resize":
            store.resize(key, size)
        elif what == "budget":
            store.budget = 3 * number
            store.shrink()
        elif what == "expire" and key in store.held:
            store.held[key].expire_at = size * 500
        elif what == "evict":
            node = store.policy.evict()
            if node is not None:
                assert store.held.pop(node.key) is node
                assert node.where == 0
    store.check()
    drained = drain(store.policy)
    if store.policy.evicts:
        assert {id(node) for node in drained} == set(map(id, store.held.values()))
        assert (store.policy.count, store.policy.total) == (0, 0)
        assert store.policy.evict() is None
        store.policy.check()


def drain(policy: Policy) -> list[Node]:
    """Evict until nothing is left; a node comes out once."""
    out: list[Node] = []
    while (node := policy.evict()) is not None:
        assert all(node is not other for other in out[-3:])
        out.append(node)
        assert len(out) <= 10_000, "evict never empties the policy"
    return out


def zipf(seed: int, keys: int, count: int) -> Callable[[], list[bytes]]:
    def make() -> list[bytes]:
        rng = random.Random(seed)
        return [b"z%d" % int(keys ** rng.random()) for _ in range(count)]

    return make


SKEWED = zipf(11, 600, 6000)()
SCAN = [b"s%d" % (i % 700) for i in range(4000)]


@pytest.mark.parametrize("name", EVICTING)
@pytest.mark.parametrize("sizes", ["ones", "mixed"])
def test_thousands_of_accesses_within_the_budget(name: str, sizes: str) -> None:
    rng = random.Random(5)
    budget = 100 if sizes == "ones" else 100 * 300
    store = MiniStore(find(name)(), budget)
    size_of = {key: 1 if sizes == "ones" else rng.randrange(20, 2000) for key in SKEWED + SCAN}
    mixed = SKEWED[:3000] + SCAN[:2000] + SKEWED[3000:] + SCAN[2000:]
    hits = 0
    for at, key in enumerate(mixed):
        hits += store.access(key, size_of[key], 0, 0.001)
        if at % 500 == 0:
            store.check()
    store.check()
    assert hits > 0.2 * len(SKEWED), f"{name} keeps nothing useful"


@pytest.mark.parametrize("name", EVICTING)
def test_ghosts_stay_bounded(name: str) -> None:
    """Ten thousand keys through a cache of fifty must not leave ten thousand traces."""
    store = MiniStore(find(name)(), 50)
    for number in range(2000):
        store.access(b"g%d" % (number % 1800), 1)
    before = store.policy.metadata_bytes
    for number in range(10_000):
        store.access(b"h%d" % number, 1)
    store.check()
    assert store.policy.metadata_bytes <= max(2 * before, 200_000)


@pytest.mark.parametrize("name", EVICTING)
def test_same_seed_same_evictions(name: str) -> None:
    runs = []
    for _ in range(2):
        store = MiniStore(find(name)(seed=7), 60)
        for key in SKEWED[:2500]:
            store.access(key, 1, 0, 0.001)
        runs.append(store.evicted)
    assert runs[0] == runs[1] and runs[0]


@pytest.mark.parametrize("name", EVICTING)
def test_a_node_larger_than_everything_leaves_a_working_policy(name: str) -> None:
    store = MiniStore(find(name)(), 100)
    for number in range(10):
        store.access(b"n%d" % number, 10)
    store.access(b"giant", 1000)
    store.check()
    assert b"giant" not in store.held
    for number in range(10):
        store.access(b"n%d" % number, 10)
    store.check()
    assert store.policy.count == 10
    store.resize(b"n1", 100)
    store.check()


@pytest.mark.parametrize("name", EVERY)
def test_an_empty_policy_evicts_nothing(name: str) -> None:
    policy = find(name)()
    assert policy.evict() is None
    node = Node(b"a", 3)
    policy.insert(node)
    policy.remove(node)
    assert policy.evict() is None
    assert (policy.count, policy.total, node.where) == (0, 0, 0)


@pytest.mark.parametrize("name", EVERY)
def test_a_policy_takes_over_from_another(name: str) -> None:
    """`nodes()` in order, inserted elsewhere, is how the store changes policy."""
    store = MiniStore(find(name)(), 80)
    for key in SKEWED[:1500]:
        store.access(key, 1, 0, 0.001)
    successor = find("lru")()
    held = list(store.policy.nodes())
    for node in held:
        store.policy.remove(node)
        successor.insert(node)
    assert store.policy.count == 0
    store.policy.check()
    store.policy = successor
    store.shrink()
    store.check()


@pytest.mark.parametrize("name", EVERY)
def test_metadata_stands_on_the_class(name: str) -> None:
    policy = find(name)
    assert policy.name == name == policy.__name__.lower()
    assert policy.paper and isinstance(policy.deterministic, bool)
    assert policy().metadata_bytes >= 0
