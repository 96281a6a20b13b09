"""What each order promises, in examples small enough to follow by hand."""

from __future__ import annotations

from antecache.policies.base import Node, Policy
from antecache.policies.gdsf import GDSF
from antecache.policies.greedy import Greedy
from antecache.policies.lfu import HIGHEST, INITIAL, LFU
from antecache.policies.lirs import LIRS
from antecache.policies.lru import LRU
from antecache.policies.random import Random
from antecache.policies.s3fifo import PATIENCE, S3FIFO
from antecache.policies.sieve import Sieve
from antecache.policies.ttl import TTL
from antecache.policies.twoq import TwoQ
from antecache.policies.wtinylfu import WTinyLFU


class Costed(Node):
    """A node with a given cost of loading."""

    __slots__ = ("seconds",)

    def __init__(self, key: bytes, size: int, seconds: float) -> None:
        super().__init__(key, size)
        self.seconds = seconds

    @property
    def cost(self) -> float:
        return self.seconds


def filled(policy: Policy, keys: str, size: int = 1) -> dict[str, Node]:
    nodes = {key: Node(key.encode(), size) for key in keys}
    for node in nodes.values():
        policy.insert(node)
    return nodes


def order(policy: Policy) -> str:
    """The keys as they are evicted."""
    out = ""
    while (node := policy.evict()) is not None:
        out += node.key.decode()
    return out


def misses(policy: Policy, keys: list[bytes], capacity: int) -> int:
    held: dict[bytes, Node] = {}
    count = 0
    for key in keys:
        node = held.get(key)
        if node is not None:
            policy.hit(node)
            continue
        count += 1
        node = held[key] = Node(key, 1)
        policy.insert(node)
        while policy.total > capacity:
            victim = policy.evict()
            assert victim is not None
            del held[victim.key]
    return count


def test_lru_evicts_the_least_recent() -> None:
    policy = LRU()
    nodes = filled(policy, "abcde")
    for key in "aba":
        policy.hit(nodes[key])
    assert order(policy) == "cdeba"


def test_sieve_keeps_what_was_used_and_its_place() -> None:
    policy = Sieve()
    nodes = filled(policy, "abcdef")
    policy.hit(nodes["a"])
    policy.hit(nodes["c"])
    first = [policy.evict() for _ in range(2)]
    assert [node.key for node in first if node] == [b"b", b"d"]
    assert [node.key for node in policy.nodes()] == [b"a", b"c", b"e", b"f"]


def test_ttl_evicts_what_expires_next() -> None:
    policy = TTL()
    nodes = filled(policy, "abcd")
    for key, when in (("a", 400), ("b", 100), ("c", 300)):
        nodes[key].expire_at = when
        policy.hit(nodes[key])
    policy.hit(nodes["d"])
    nodes["b"].expire_at = 900  # moved later, and nobody said so
    assert order(policy) == "cabd"


def test_ttl_drops_what_is_stale() -> None:
    policy = TTL()
    node = Node(b"k", 1, 5)
    policy.insert(node)
    for when in range(10, 20_000):
        node.expire_at = when
        policy.hit(node)
    policy.check()
    assert policy.metadata_bytes < 20_000


def test_random_draws_all_alike() -> None:
    """A chi-squared test at one in ten thousand, with a fixed seed."""
    counts = [0] * 10
    for seed in range(2000):
        policy = Random(seed=seed)
        filled(policy, "0123456789")
        victim = policy.evict()
        assert victim is not None
        counts[int(victim.key)] += 1
    assert sum((count - 200) ** 2 / 200 for count in counts) < 33.7


def test_lfu_counts_logarithmically_from_five() -> None:
    policy = LFU(decay=1e9)
    node = Node(b"a", 1)
    policy.insert(node)
    assert policy.counter(node) == INITIAL == 5
    seen = []
    for uses in (100, 1000, 100_000):
        for _ in range(uses):
            policy.hit(node)
        seen.append(policy.counter(node))
    # Redis's own table for lfu-log-factor 10: 100 hits 10, 1000 hits 18, 100 K hits 142
    assert 8 <= seen[0] <= 13 and 15 <= seen[1] <= 24 and 120 <= seen[2] <= 165 < HIGHEST


def test_lfu_forgets_what_was_popular() -> None:
    policy = LFU(decay=1.0)
    nodes = filled(policy, "abc")
    for _ in range(400):
        policy.hit(nodes["a"])
    for _ in range(400):
        policy.hit(nodes["b"])
        policy.hit(nodes["c"])
    assert policy.counter(nodes["a"]) == 0
    victim = policy.evict()
    assert victim is nodes["a"]


def test_a_key_that_returns_soon_passes_the_filter() -> None:
    """S3-FIFO and 2Q remember what left; on its return it outlives a scan."""
    for policy in (S3FIFO(), TwoQ()):
        misses(policy, [b"f%d" % number for number in range(40)], 20)
        left = next(b"f%d" % number for number in range(39, -1, -1) if not held(policy, number))
        returned = Node(left, 1)
        policy.insert(returned)
        scan = [Node(b"s%d" % number, 1) for number in range(60)]
        for node in scan:
            policy.evict()
            policy.insert(node)
        assert returned.where, policy.name
        assert not scan[0].where, policy.name


def test_a_large_value_must_be_asked_for_often() -> None:
    """In a cache of 20 small values: one as large as five is kept once it keeps coming back."""
    policy = S3FIFO()
    for number in range(20):
        policy.insert(Node(b"%d" % number, 10))
    for asked in range(1, 10):
        large = Node(b"large", 50)
        policy.insert(large)
        while policy.total > 200:
            victim = policy.evict()
            assert victim is not None
            assert (victim is large) == (asked <= PATIENCE), asked
        policy.check()
    assert large.where > 0
    assert policy.total == 200


def held(policy: Policy, number: int) -> bool:
    return b"f%d" % number in {node.key for node in policy.nodes()}


def test_a_loop_larger_than_the_cache() -> None:
    """LRU misses all of it; the orders that resist scans keep most of what fits."""
    loop = [b"l%d" % number for number in range(120)] * 40
    assert misses(LRU(), loop, 100) == len(loop)
    best = len(loop) * 0.2
    assert misses(LIRS(), loop, 100) < 1.5 * best
    assert misses(WTinyLFU(), loop, 100) < 1.5 * best


def test_wtinylfu_admits_by_frequency() -> None:
    policy = WTinyLFU()
    often = [b"o%d" % (number % 50) for number in range(2000)]
    once = [b"x%d" % number for number in range(2000)]
    mixed = [key for pair in zip(often, once, strict=True) for key in pair]
    assert misses(policy, mixed, 60) <= 2000 + 50 + 40


def test_gdsf_weighs_size_and_cost() -> None:
    policy = GDSF()
    large, small = Node(b"large", 100), Node(b"small", 10)
    policy.insert(small)
    policy.insert(large)
    assert policy.evict() is large
    cheap, dear = Costed(b"cheap", 10, 0.001), Costed(b"dear", 10, 0.1)
    policy = GDSF()
    policy.insert(dear)
    policy.insert(cheap)
    policy.hit(cheap)
    assert policy.evict() is cheap


def test_gdsf_lets_old_worth_fade() -> None:
    policy = GDSF()
    old = Node(b"old", 1)
    policy.insert(old)
    for _ in range(5):
        policy.hit(old)
    for number in range(40):
        policy.insert(Node(b"%d" % number, 1))
        for node in list(policy.nodes()):
            if node.key == b"%d" % number:
                policy.hit(node)
        if policy.count > 4:
            policy.evict()
    assert old.where == 0


def test_greedy_follows_what_it_is_told() -> None:
    policy = Greedy()
    nodes = filled(policy, "abcd")
    for node in nodes.values():
        policy.hit(node)
    for key, probability in (("a", 0.9), ("b", 0.01), ("c", 0.5), ("d", 0.4)):
        policy.importance(key.encode(), probability)
    assert policy.evict() is nodes["b"]
    policy.importance(b"a", 0.05)  # a prediction may fall, too
    assert policy.evict() is nodes["a"]


def test_greedy_weighs_cost_and_size() -> None:
    policy = Greedy()
    dear, cheap = Costed(b"dear", 10, 0.5), Costed(b"cheap", 10, 0.001)
    large = Costed(b"large", 1000, 0.001)
    for node in (dear, cheap, large):
        policy.insert(node)
        policy.importance(node.key, 0.3)
    assert [policy.evict(), policy.evict(), policy.evict()] == [large, cheap, dear]


def test_greedy_without_predictions_goes_by_rate_and_stays_bounded() -> None:
    policy = Greedy()
    nodes = filled(policy, "abcdefgh")
    for _ in range(50):
        for key in "abc":
            policy.hit(nodes[key])
    assert sorted(order(policy)[:5]) == list("defgh")
    for number in range(10_000):
        policy.importance(b"n%d" % number, 0.5)
    assert policy.metadata_bytes < 500_000


def test_predictions_fade() -> None:
    """A key predicted long ago and never used must give way."""
    policy = Greedy(fade=1.0)
    nodes = filled(policy, "ab")
    policy.importance(b"a", 0.9)
    policy.importance(b"b", 0.8)
    for _ in range(100):
        policy.hit(nodes["b"])
    policy.importance(b"b", 0.1)
    assert policy.evict() is nodes["a"]
