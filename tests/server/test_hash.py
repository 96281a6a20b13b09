"""Scans of large hashes: complete whatever comes and goes meanwhile."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.server.hash import Hash


def name(number: int) -> bytes:
    return b"field:%d" % number


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 1500),
    count=st.integers(5, 700),
    changes=st.lists(st.tuples(st.booleans(), st.integers(0, 1800)), max_size=60),
    restart=st.integers(0, 20),
)
def test_what_is_there_throughout_is_returned(
    size: int, count: int, changes: list[tuple[bool, int]], restart: int
) -> None:
    fields = Hash({name(n): b"v" for n in range(size)})
    throughout = set(fields)
    seen: list[bytes] = []
    position = step = 0
    while True:
        position, page = fields.scan(position, count)
        seen += page
        if not position:
            break
        if changes:
            add, number = changes.pop()
            if add:
                fields[name(number)] = b"new"
            elif fields.pop(name(number), None) is not None:
                throughout.discard(name(number))
        step += 1
        if step == restart:  # another client begins, and ends, a scan of its own
            other, _ = fields.scan(0, count)
            while other:
                other, _ = fields.scan(other, 10_000)
    assert throughout <= set(seen)


@given(st.integers(0, 2**64 - 1), st.integers(1, 50))
def test_any_cursor_may_be_used(position: int, count: int) -> None:
    fields = Hash({name(n): b"v" for n in range(1000)})
    following, page = fields.scan(position, count)
    assert len(page) >= count or not following
    assert set(page) <= set(fields)


def test_a_whole_scan_returns_each_field_once() -> None:
    fields = Hash({name(n): b"v" for n in range(5000)})
    position, seen = fields.scan(0, 10)
    while position:
        position, page = fields.scan(position, 10)
        seen += page
    assert sorted(seen) == sorted(fields)
    assert fields.order is None  # nothing is kept once it is over


def test_a_copy_is_a_plain_dict() -> None:
    fields = Hash({b"f": b"v"})
    copied = fields.copy()
    assert type(copied) is dict and copied == fields
