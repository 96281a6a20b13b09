"""The store keeps its books: counts, sizes, deadlines, policy and probation always agree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.policies import registry
from antecache.server.backing.base import SourceOptions
from antecache.server.backing.memory import MemoryBacking, MemorySource
from antecache.server.backing.patterns import compile_pattern
from antecache.server.command import Absent
from antecache.server.store import Evidence, Store

POLICIES = ["s3fifo", "lru", "lfu", "random", "ttl"]


def make(policy: str = "s3fifo", scope: str = "loadable", **options: Any) -> Store:
    """A store in which keys `row:*` are owned by a source."""
    store = Store(registry.find(policy)(), scope=scope, **options)
    source = MemorySource(
        "rows", SourceOptions(), MemoryBacking(), compile_pattern("row:{rest:path}")
    )
    store.owner = lambda key: source if source.match(key) is not None else None
    return store


def load(store: Store, key: bytes, value: bytes = b"v", evidence: bool = False) -> None:
    """Put an owned key as the loader does."""
    assert store.owner is not None
    source = store.owner(key)
    assert source is not None
    origin = store.origin(source)
    store.databases[0].put(
        key,
        value,
        origin=Evidence(origin, b"row:0", "rule", 0, 0.5, store.now) if evidence else origin,
        quiet=True,
    )


def test_an_absent_owned_key_must_be_loaded_and_any_other_is_a_miss() -> None:
    store = make()
    db = store.databases[0]
    with pytest.raises(Absent) as absent:
        db.read(b"row:1")
    assert absent.value.keys == (b"row:1",)
    assert store.misses == 0
    assert db.read(b"other") is None
    assert store.misses == 1
    assert store.databases[1].read(b"row:1") is None, "sources own keys of database 0 only"


def test_a_negative_answer_is_invisible_and_ends_with_its_time_or_a_delete() -> None:
    store = make()
    db = store.databases[0]
    store.remember_absent(b"row:1", store.now + 1000)
    assert db.read(b"row:1") is None
    assert len(db) == 0 and list(db.keys()) == [] and db.scan(0, 10) == (0, [])
    store.now += 1000
    with pytest.raises(Absent):
        db.read(b"row:1")
    store.remember_absent(b"row:1", store.now + 1000)
    db.delete(b"row:1")
    with pytest.raises(Absent):
        db.read(b"row:1")


def test_what_a_client_wrote_is_never_evicted_under_a_plain_policy() -> None:
    store = make(maxkeys=10)
    for number in range(8):
        store.databases[0].put(b"mine:%d" % number, b"x")
    for number in range(50):
        load(store, b"row:%d" % number)
        assert store.enforce()
    assert store.count == 10
    assert all(store.databases[0].peek(b"mine:%d" % n) is not None for n in range(8))
    for number in range(8, 30):
        store.databases[0].put(b"mine:%d" % number, b"x")
    assert not store.enforce(), "nothing that may leave is left"
    store.check()


@pytest.mark.parametrize("policy", POLICIES)
def test_scopes_evict_what_redis_would(policy: str) -> None:
    everything = make(policy, "allkeys", maxkeys=5)
    volatile = make(policy, "volatile", maxkeys=5)
    for store in (everything, volatile):
        for number in range(20):
            deadline = store.now + 60_000 + number if number % 2 else 0
            store.databases[0].put(b"k%d" % number, b"x", deadline)
        store.enforce()
        store.check()
    assert everything.count == 5
    assert volatile.count == 10, "keys without a deadline stay"
    assert volatile.databases[0].expiring == 0


def test_expiry_is_lazy_and_active() -> None:
    store = make()
    db = store.databases[0]
    db.put(b"a", b"1", store.now + 50)
    db.put(b"b", b"1", store.now + 50)
    db.put(b"c", b"1", store.now + 5000)
    assert db.expiring == 3 and db.mean_ttl == (50 + 50 + 5000) // 3
    store.now += 51
    assert db.read(b"a") is None
    assert store.expired == 1
    assert store.expire_cycle() == 1
    assert list(db.keys()) == [b"c"]
    store.now += 10_000_000_000  # the clock may jump
    assert store.expire_cycle() == 1
    store.check()


def test_a_pinned_key_survives_eviction_until_it_is_unpinned() -> None:
    store = make(maxkeys=3)
    for number in range(3):
        load(store, b"row:%d" % number)
    pinned = [b"row:0", b"row:1", b"row:2"]
    store.pin(pinned)
    for number in range(3, 9):
        load(store, b"row:%d" % number)
    store.enforce()
    assert all(store.databases[0].peek(key) is not None for key in pinned)
    store.unpin(pinned)
    store.check()
    assert not store.pinned


def test_an_unused_prefetch_leaves_first_and_is_told_once() -> None:
    store = make(maxkeys=20)
    wasted: list[bytes] = []
    used: list[bytes] = []
    store.on_unused = lambda entry, _: wasted.append(entry.key)
    store.on_first_use = lambda entry, _: used.append(entry.key)
    for number in range(15):
        load(store, b"row:%d" % number)
    for number in range(100, 105):
        load(store, b"row:%d" % number, evidence=True)
    store.databases[0].read(b"row:100")
    for number in range(200, 210):
        load(store, b"row:%d" % number, evidence=True)
        store.enforce()
    assert used == [b"row:100"]
    assert wasted[:4] == [b"row:101", b"row:102", b"row:103", b"row:104"]
    assert len(set(wasted)) == len(wasted)
    store.check()


def told(store: Store) -> tuple[list[bytes], list[bytes]]:
    """What the store tells of prefetched entries from now on: used, and unused."""
    used: list[bytes] = []
    unused: list[bytes] = []
    store.on_first_use = lambda entry, _: used.append(entry.key)
    store.on_unused = lambda entry, _: unused.append(entry.key)
    return used, unused


def test_a_pinned_prefetch_stays_on_probation() -> None:
    store = make(maxkeys=2)
    used, unused = told(store)
    for number in (1, 2, 3):
        load(store, b"row:%d" % number, evidence=True)
    store.pin([b"row:1"])
    assert store.enforce()
    assert unused == [b"row:2"]
    assert store.databases[0].read(b"row:1") is not None
    assert used == [b"row:1"], "a pin is no use"
    store.check()


def test_a_prefetch_evicted_because_nothing_else_may_leave_is_told_too() -> None:
    store = make(maxkeys=1)
    _, unused = told(store)
    store.databases[0].put(b"mine", b"x")
    load(store, b"row:1", evidence=True)
    assert store.enforce()
    assert unused == [b"row:1"]


@pytest.mark.parametrize("way", ["put", "set_string"])
def test_a_prefetch_that_a_client_overwrites_was_not_used(way: str) -> None:
    store = make()
    used, unused = told(store)
    load(store, b"row:1", evidence=True)
    getattr(store.databases[0], way)(b"row:1", b"mine")
    store.databases[0].read(b"row:1")
    assert (used, unused) == ([], [b"row:1"])
    store.check()


def test_a_load_trips_no_watch_and_a_write_does() -> None:
    store = make()
    seen: list[bytes] = []
    store.observe(lambda db, key: seen.append(key))
    load(store, b"row:1")
    assert seen == []
    store.databases[0].put(b"row:1", b"x")
    store.databases[0].delete(b"row:1")
    assert seen == [b"row:1", b"row:1"]


def test_scan_returns_every_key_that_stays_while_others_come_and_go() -> None:
    store = make()
    db = store.databases[0]
    stays = {b"stay:%d" % n for n in range(500)}
    for key in stays:
        db.put(key, b"x")
    for number in range(500):
        db.put(b"gone:%d" % number, b"x")
    found: set[bytes] = set()
    cursor, step = 0, 0
    while True:
        cursor, keys = db.scan(cursor, 10)
        found.update(keys)
        step += 1
        for number in range(step * 5, step * 5 + 5):
            db.delete(b"gone:%d" % number)
            db.put(b"new:%d" % number, b"x")
        if cursor == 0:
            break
    assert stays <= found


def test_a_string_nothing_may_evict_is_held_bare_until_something_needs_more() -> None:
    store = make()
    db = store.databases[0]
    for number in range(100):
        db.set_string(b"k%d" % number, b"x" * 100)
    db.set_string(b"row:1", b"mine")
    bare = {key for data in db.dicts for key, held in data.items() if isinstance(held, bytes)}
    assert bare == {b"k%d" % number for number in range(100)}, "row:1 could be loaded again"
    store.check()
    before = store.used
    assert db.value(b"k1") == b"x" * 100 and store.hits == 1
    assert db.holds(b"k1") and not db.holds(b"absent")
    db.set_string(b"k1", b"y" * 50)
    assert db.value(b"k1") == b"y" * 50 and store.used == before - 50
    assert len(db) == 101 and set(db.keys()) == {*bare, b"row:1"}
    entry = db.read(b"k2")
    assert entry is not None and store.used > before
    db.set_deadline(entry, store.now + 10)
    store.check()
    store.now += 10
    assert db.value(b"k2") is None and not db.holds(b"k2")
    db.delete(b"k3")
    store.check()


def test_a_policy_that_may_evict_everything_gets_bare_strings_too() -> None:
    store = make(maxkeys=10)
    for number in range(30):
        store.databases[0].set_string(b"k%d" % number, b"x")
    assert not store.enforce()
    store.use(registry.find("lru")(), "allkeys")
    assert store.enforce() and store.count == 10
    store.databases[0].set_string(b"new", b"x")
    assert store.enforce() and store.count == 10
    store.check()


def test_a_change_of_policy_keeps_the_order_of_eviction() -> None:
    store = make("lru", "allkeys")
    db = store.databases[0]
    for number in range(10):
        db.put(b"k%d" % number, b"x")
    for number in (3, 1, 4):
        db.read(b"k%d" % number)
    store.use(registry.find("lru")(), "allkeys")
    store.limit = 3
    assert store.enforce()
    assert set(db.keys()) == {b"k3", b"k1", b"k4"}


KEYS = st.sampled_from([b"row:1", b"row:2", b"row:3", b"a", b"b", b"c"])
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.integers(0, 3), st.booleans()),
        st.tuples(st.just("set"), KEYS, st.integers(0, 3), st.booleans()),
        st.tuples(st.just("load"), KEYS, st.integers(0, 3), st.booleans()),
        st.tuples(st.just("read"), KEYS, st.just(0), st.booleans()),
        st.tuples(st.just("delete"), KEYS, st.just(0), st.booleans()),
        st.tuples(st.just("expire"), KEYS, st.integers(0, 30), st.booleans()),
        st.tuples(st.just("grow"), KEYS, st.integers(0, 100), st.booleans()),
        st.tuples(st.just("sleep"), KEYS, st.integers(0, 20), st.booleans()),
        st.tuples(st.just("enforce"), KEYS, st.just(0), st.booleans()),
        st.tuples(st.just("policy"), KEYS, st.integers(0, 4), st.booleans()),
        st.tuples(st.just("flush"), KEYS, st.just(0), st.booleans()),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(OPERATIONS, st.sampled_from(["loadable", "allkeys", "volatile"]))
def test_books_are_right_after_any_sequence(operations: list[Any], scope: str) -> None:
    store = make("s3fifo", scope, maxkeys=4)
    db = store.databases[0]
    for verb, key, number, flag in operations:
        if verb == "put":
            db.put(key, b"x" * number * 40, store.now + 10 if flag else 0)
        elif verb == "set":
            db.set_string(key, b"z" * number)
            assert db.value(key) == b"z" * number
        elif verb == "load":
            if key.startswith(b"row") and db.peek(key) is None:
                load(store, key, b"y" * number, evidence=flag)
        elif verb == "read":
            try:
                db.read(key) if flag else db.modify(key)
            except Absent:
                assert key.startswith(b"row")
        elif verb == "delete":
            db.delete(key)
        elif verb == "sleep":
            store.now += number
            if flag:
                store.expire_cycle()
        elif verb == "enforce":
            if store.enforce():
                assert store.count <= 4
        elif verb == "policy":
            store.use(registry.find(POLICIES[number])(), scope)
        elif verb == "flush":
            db.flush()
            assert store.count == 0 and store.used == 0
        else:
            entry = db.peek(key)
            if entry is not None:
                if verb == "expire":
                    db.set_deadline(entry, store.now + number if flag else 0)
                else:
                    db.grew(entry, number)
        store.check()


def test_a_key_that_is_expected_stays_longer() -> None:
    """On probation it waits as long as one that has just come, elsewhere it counts as used."""
    store = make("lru")
    for key in (b"row:1", b"row:2"):
        load(store, key, evidence=True)
    store.protect(b"row:1")
    store.protect(b"row:absent")
    assert [node.key for node in store.probation.queue] == [b"row:2", b"row:1"]

    store = make("lru")
    for key in (b"row:1", b"row:2"):
        load(store, key)
    store.protect(b"row:1")
    victim = store.policy.evict()
    assert victim is not None and victim.key == b"row:2"
