"""The registry of sources, and the [[source]] tables of the config."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.backing.base import DEFAULT_OPTIONS
from antecache.server.backing.memory import MemoryBacking, MemorySource
from antecache.server.backing.sources import Sources, compile_pattern, read_spec
from antecache.server.errors import ConfigError

BACKING = MemoryBacking()


def source(text: str, name: str = "") -> MemorySource:
    return MemorySource(name or text, DEFAULT_OPTIONS, BACKING, compile_pattern(text))


PIECES = st.sampled_from(["a", "b", "ab", ":", "a:", "b:", "{x}", "{x:int}", "1", "-"])
TEXTS = st.lists(PIECES, min_size=1, max_size=4).map("".join)


@given(st.lists(TEXTS, max_size=6, unique=True), st.text("ab:1-", max_size=8))
def test_the_first_source_that_matches_owns_the_key(texts: list[str], key: str) -> None:
    made = []
    for text in texts:
        try:
            made.append(source(text))
        except ConfigError:  # two fields without text between, or of one name
            continue
    expected = next((one for one in made if one.match(key.encode()) is not None), None)
    assert Sources(made).owner(key.encode()) is expected


def test_order_decides_and_names_are_unique() -> None:
    broad, narrow = source("user:{id}"), source("user:{id:int}")
    assert Sources([broad, narrow]).owner(b"user:7") is broad
    assert Sources([narrow, broad]).owner(b"user:7") is narrow
    assert Sources([narrow, broad]).owner(b"user:x") is broad
    assert Sources([narrow, broad]).by_name("user:{id}") is broad
    assert Sources([narrow]).by_name("nobody") is None
    assert list(Sources([narrow, broad])) == [narrow, broad]
    with pytest.raises(ConfigError, match="two sources"):
        Sources([narrow, source("x:{y}", narrow.name)])


def test_a_source_without_a_colon_in_its_prefix_still_owns() -> None:
    anything = source("{tenant}:orders")
    sources = Sources([source("a:{x:int}"), anything])
    assert sources.owner(b"a:orders") is anything
    assert sources.owner(b"b:orders") is anything
    assert sources.owner(b"plain") is None


def test_a_spec_says_only_what_differs() -> None:
    spec = read_spec(
        {
            "match": "user:{id:int}:orders",
            "query": "select 1",
            "as": "hash",
            "ttl": "5m",
            "negative-ttl": "500ms",
            "stale_for": 30,
            "timeout": "1.5s",
            "prefetch": False,
        }
    )
    options = spec.options(DEFAULT_OPTIONS)
    assert (options.ttl, options.negative_ttl, options.stale_for, options.timeout) == (
        300.0,
        0.5,
        30.0,
        1.5,
    )
    assert options.prefetch is False
    assert (options.jitter, options.concurrency) == (
        DEFAULT_OPTIONS.jitter,
        DEFAULT_OPTIONS.concurrency,
    )
    assert (spec.as_, spec.label) == ("hash", "user:{id}:orders")
    assert read_spec({"table": "products"}).label == "products"
    assert read_spec({"table": "products", "name": "p"}).label == "p"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"match": ""}, "needs a `match`"),
        ({"match": "a:{"}, "lone"),
        ({"table": "t"}, "both `table` and `query`"),
        ({"as": "xml"}, "is not json, hash, row or column:NAME"),
        ({"as": "column:"}, "is not json, hash, row or column:NAME"),
        ({"ttl": "soon"}, "ttl: 'soon' is not a duration"),
        ({"timeout": -1}, "timeout: "),
        ({"jitter": 1}, "jitter = 1"),
        ({"jitter": float("nan")}, "jitter"),
        ({"concurrency": 0}, "concurrency = 0"),
        ({"write": "often"}, "write = 'often'"),
        ({"write": "through"}, "needs a `table`"),
        ({"tll": "5m"}, "tll"),
        ({"prefetch": "yes"}, "prefetch"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_name(
    change: dict[str, Any], reason: str
) -> None:
    table = {"name": "mine", "match": "a:{x}", "query": "select 1", **change}
    with pytest.raises(ConfigError, match=re.escape(reason)) as caught:
        read_spec(table)
    assert "mine" in str(caught.value) or "a:{" in str(caught.value)
