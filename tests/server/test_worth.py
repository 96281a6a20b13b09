"""What memory is worth to values, and the gate: measured by the keys that left lately."""

from __future__ import annotations

from antecache.policies.registry import find
from antecache.server.store import Store
from antecache.server.worth import LEAST_LOSS, Worth

ENTRY = 1000
HELD = 200


def full_store() -> Store:
    """A store of 200 entries that has evicted some."""
    store = Store(find("lru")(), scope="allkeys", databases=1, shards=1)
    store.probation.watching = True
    store.room = HELD * ENTRY
    for at in range(2 * HELD):
        store.databases[0].put(b"%d" % at, [b"x"], cost=ENTRY)
        store.enforce()
    return store


def test_memory_is_free_where_it_is_not_charged_and_cheap_until_something_is_evicted() -> None:
    empty = Store(find("lru")(), scope="allkeys", databases=1, shards=1)
    empty.room = 1_000_000
    assert 0 < Worth(empty).price < Worth(full_store()).price
    assert Worth(full_store(), charged=False).price == 0
    by_count = full_store()
    by_count.limit = by_count.count  # keys are what is scarce, not bytes
    assert Worth(by_count).price == 0


def test_the_price_is_what_a_slightly_larger_cache_would_save() -> None:
    store = full_store()
    worth = Worth(store)
    for at in range(10_000):
        worth.missed(5 if at % 10 == 0 else -1)  # one miss in ten left within the last tenth
    saved = 0.1 * worth.price * HELD * ENTRY
    assert 0.1 < saved < 0.2  # waits an event for a tenth of the memory: 0.1, and a reserve
    for _ in range(10_000):
        worth.missed(HELD)  # these came far too late for that
    assert worth.price * 0.1 * HELD * ENTRY < saved


def test_the_gate_closes_when_more_is_lost_than_saved_and_opens_as_reads_go_on() -> None:
    store = full_store()
    worth = Worth(store)
    worth.review(50 * ENTRY, 0.95)  # as much as fifty entries
    assert not worth.closed
    for at in range(40):
        worth.missed(20)
        if at % 4 == 0:
            worth.used(-1)
    worth.review(50 * ENTRY, 0.95)
    assert worth.closed and worth.closings == 1 and worth.balance < -LEAST_LOSS
    for _ in range(100):
        worth.missed(20)
    lost = worth.balance
    worth.review(0, 0.95)
    assert worth.closed and worth.balance == lost  # what is closed loses nothing more
    store.hits = 400_000
    worth.review(0, 0.95)
    assert not worth.closed


def test_uses_of_what_would_have_been_there_anyway_save_nothing() -> None:
    worth = Worth(full_store())
    worth.review(50 * ENTRY, 0.95)
    assert worth.used(-1) and worth.used(120)
    assert not worth.used(20)
    assert worth.saved == 2


def test_success_buys_no_licence_to_lose_for_long() -> None:
    worth = Worth(full_store())
    worth.review(50 * ENTRY, 0.95)
    for _ in range(100_000):
        worth.used(-1)
    worth.review(50 * ENTRY, 0.95)
    for _ in range(200):
        worth.missed(20)
    worth.review(50 * ENTRY, 0.95)
    assert worth.closed


def test_one_bad_moment_does_not_close_the_gate_for_good() -> None:
    """However much is lost between two looks, the reads that open the gate again are as many."""
    waited = []
    for lost in (30, 3000):
        store = full_store()
        worth = Worth(store)
        worth.review(50 * ENTRY, 0.95)
        for _ in range(lost):
            worth.missed(20)
        worth.review(50 * ENTRY, 0.95)
        assert worth.closed
        reads = 0
        while worth.closed:
            store.hits += 1000
            reads += 1000
            worth.review(0, 0.95)
        waited.append(reads)
    assert waited[0] == waited[1]


def test_what_was_saved_lately_carries_over_a_bad_moment() -> None:
    """A cache that fills, or a scan, costs much at once, and the log is not thrown away for it."""
    worths = []
    for saved in (0, 200):
        worth = Worth(full_store())
        worth.review(50 * ENTRY, 0.95)
        for _ in range(saved):
            worth.used(-1)
        worth.review(50 * ENTRY, 0.95)
        for _ in range(30):
            assert not worth.missed(20)  # within what prediction displaces: its own doing
        assert worth.missed(-1)
        worth.review(50 * ENTRY, 0.95)
        worths.append(worth.closed)
    assert worths == [True, False]


def looks_until_open(worth: Worth, promise: float) -> int:
    """Harm closes the gate; how many looks at such a promise open it again."""
    worth.review(50 * ENTRY, 1.0)
    for _ in range(200):
        worth.missed(20)
    worth.review(50 * ENTRY, 1.0)
    assert worth.closed
    looks = 0
    while worth.closed and looks < 500:
        worth.review(0, 1.0, promise=promise)
        looks += 1
    return looks


def test_a_promise_that_was_vain_must_be_larger_and_some_of_that_is_forgotten() -> None:
    worth = Worth(full_store())
    assert [looks_until_open(worth, 10.0) for _ in range(3)] == [1, 1, 1]  # 2, 4, 8 are asked
    later = looks_until_open(worth, 10.0)  # and now sixteen: until the doubt has faded
    assert 10 < later < 100
    assert looks_until_open(worth, 5.0) == 500  # it does not fade below eight
