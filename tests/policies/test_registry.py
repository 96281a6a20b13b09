"""Policies are found by name; Redis's names keep their meaning."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.policies import registry
from antecache.policies.base import Policy
from antecache.policies.registry import Choice, find, names, parse_maxmemory_policy, redis_name


def test_every_name_is_found() -> None:
    assert {"lru", "lfu", "s3fifo", "random", "ttl", "noeviction"} <= set(names())
    assert not {"base", "registry"} & set(names())
    assert not [name for name in names() if name.startswith("_")]
    for name in names():
        assert find(name).name == name


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"known: .*lru"):
        find("belady")
    for text in ("belady", "allkeys-belady", "some-lru", "", "allkeys-", "volatile-noeviction"):
        with pytest.raises(ValueError, match=r"known: .*s3fifo"):
            parse_maxmemory_policy(text)


def test_only_the_chosen_file_is_imported() -> None:
    """A server that runs LRU must not pay for the other policies' imports."""
    program = (
        "import sys; from antecache.policies.registry import find, names; names(); find('lru');"
        "print(*[m for m in sys.modules if m.startswith('antecache.policies.')])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(shown) == {f"antecache.policies.{name}" for name in ("base", "registry", "lru")}


@pytest.mark.parametrize("text", sorted(registry.REDIS_NAMES))
def test_redis_names_report_themselves(text: str) -> None:
    choice = parse_maxmemory_policy(text.upper())
    assert redis_name(choice) == text
    if text != "noeviction":
        assert choice == Choice(text.split("-")[0], text.split("-")[1])


def test_our_names() -> None:
    assert parse_maxmemory_policy("lru") == Choice("loadable", "lru")
    assert redis_name(Choice("loadable", "lru")) == "noeviction"
    assert parse_maxmemory_policy("allkeys-s3fifo") == Choice("allkeys", "s3fifo")
    assert redis_name(Choice("allkeys", "s3fifo")) == "allkeys-s3fifo"
    assert redis_name(Choice("volatile", "s3fifo")) == "volatile-s3fifo"


@given(st.text(max_size=30))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        choice = parse_maxmemory_policy(text)
    except ValueError as refused:
        assert "known" in str(refused)
    else:
        assert choice.name in names()


class Foreign(Policy):
    """Only its class matters here."""


def test_entry_points_of_other_distributions(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "foreign"

        def __init__(self, value: object) -> None:
            self.value = value

        def load(self) -> object:
            return self.value

    monkeypatch.setattr(registry, "_foreign", lambda: [Point(Foreign)])
    assert "foreign" in names()
    assert find("foreign") is Foreign
    assert parse_maxmemory_policy("volatile-foreign") == Choice("volatile", "foreign")
    monkeypatch.setattr(registry, "_foreign", lambda: [Point(dict)])
    with pytest.raises(ValueError, match="not a Policy"):
        find("foreign")
