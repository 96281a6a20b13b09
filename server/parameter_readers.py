"""How the text of a CONFIG SET is read: one function for each kind of parameter.

A reader takes text and returns a value, or raises ValueError with the reason in the
words of Redis's `config.c`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from antecache.policies import registry
from antecache.server.setting_texts import parse_output_limits, parse_percentiles
from antecache.server.units import parse_memory

INT = 2**31 - 1
LONG = 2**63 - 1
NOT_AN_INTEGER = "argument couldn't be parsed into an integer"
NOT_MEMORY = "argument must be a memory value"
NOT_YES_NO = "argument must be 'yes' or 'no'"

# Redis's order of maxmemory-policy's values, which its error text lists.
_REDIS_POLICIES = (
    *("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"),
    *("allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"),
)


def integer(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers within limits, both included."""

    def read(text: str) -> int:
        if not re.fullmatch(r"0|-?[1-9]\d{0,18}", text):
            raise ValueError(NOT_AN_INTEGER)
        return _within(int(text), low, high)

    return read


def memory(low: int = 0) -> Callable[[str], int]:
    """A reader of sizes of at least `low` bytes."""

    def read(text: str) -> int:
        try:
            size = parse_memory(text)
        except ValueError:
            raise ValueError(NOT_MEMORY) from None
        return _within(size, low, LONG)

    return read


def one_of(*words: str) -> Callable[[str], str]:
    """A reader of one of some words, in any case."""

    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"argument(s) must be one of the following: {', '.join(words)}")
        return text.lower()

    return read


def yes_no(text: str) -> bool:
    """`yes` or `no`."""
    if text.lower() not in ("yes", "no"):
        raise ValueError(NOT_YES_NO)
    return text.lower() == "yes"


def policy(text: str) -> str:
    """A value of maxmemory-policy: Redis's names and ours."""
    try:
        registry.parse_maxmemory_policy(text)
    except ValueError:
        known = dict.fromkeys((*_REDIS_POLICIES, *registry.names()))
        reason = f"argument(s) must be one of the following: {', '.join(known)}"
        raise ValueError(reason) from None
    return text.strip().lower()


def percentiles(text: str) -> str:
    """latency-tracking-info-percentiles, each as short as Redis shows it."""
    return " ".join(f"{number:g}" for number in parse_percentiles(text))


def save_points(text: str) -> str:
    """save: pairs of seconds and changes; empty for none."""
    words = text.split()
    if len(words) % 2 or not all(re.fullmatch(r"\d{1,18}", word) for word in words):
        raise ValueError("Invalid save parameters")
    return text


def output_limits(text: str) -> str:
    """client-output-buffer-limit: `class hard soft seconds`, any number of times."""
    words = text.split()
    if not words or len(words) % 4:
        raise ValueError("Wrong number of arguments in buffer limit configuration.")
    if set(words[::4]) - {"normal", "replica", "slave", "pubsub"}:
        raise ValueError("Invalid client class specified in buffer limit configuration.")
    try:
        parse_output_limits(text)
    except ValueError:
        reason = "Error in hard, soft or soft_seconds setting in buffer limit configuration."
        raise ValueError(reason) from None
    return text


def merged_limits(old: str, new: str) -> str:
    """The classes that `new` does not name keep the limits they have."""
    limits = {**parse_output_limits(old), **parse_output_limits(new)}
    return " ".join(f"{name} {' '.join(map(str, limit))}" for name, limit in limits.items())


def _within(number: int, low: int, high: int) -> int:
    if not low <= number <= high:
        raise ValueError(f"argument must be between {low} and {high} inclusive")
    return number
