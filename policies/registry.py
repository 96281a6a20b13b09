"""Policies by name, and the names Redis gives to them.

A policy is a file of this package: file name = option value = lower-case class
name; or an entry point of another distribution in the group
`antecache.policies`. Listing the names imports nothing; finding one imports
that file alone. Files that start with an underscore are parts of policies.

`maxmemory-policy` says two things: *which* keys may be evicted (the scope) and
*in which order* (the policy). Redis's eight names keep their meaning. A plain
name of ours (`auto`, `lru` ...) has the scope `loadable`: only keys that a
source can load again are evicted, and what a client wrote stays.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal, NamedTuple, cast

from antecache.policies.base import Policy

GROUP = "antecache.policies"
NOT_POLICIES = frozenset({"base", "registry", "__init__"})

Scope = Literal["loadable", "allkeys", "volatile"]

#: What Redis accepts for maxmemory-policy (config.c, maxmemory_policy_enum).
REDIS_NAMES = frozenset(
    {
        "noeviction",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    }
)


class Choice(NamedTuple):
    """What a value of maxmemory-policy means: the keys it may evict, and by which policy."""

    scope: Scope
    name: str


def names() -> list[str]:
    """Every known policy, sorted. Imports none of them."""
    found = {path.stem for path in Path(__file__).parent.glob("*.py")} - NOT_POLICIES
    found = {name for name in found if not name.startswith("_")}
    return sorted(found | {point.name for point in _foreign()})


def find(name: str) -> type[Policy]:
    """The class of the policy `name`; ValueError lists the known ones.

    Ours is found without a look at other distributions, which takes milliseconds.
    """
    if _ours(name):
        module = import_module(f"antecache.policies.{name}")
        for label, found in vars(module).items():
            if label.lower() == name and isinstance(found, type) and issubclass(found, Policy):
                return found
        raise ValueError(f"policies/{name}.py has no policy class of that name")
    for point in _foreign():
        if point.name == name:
            loaded = point.load()
            if isinstance(loaded, type) and issubclass(loaded, Policy):
                return loaded
            raise ValueError(f"the entry point '{name}' of {GROUP} is not a Policy")
    raise ValueError(f"unknown eviction policy '{name}'; known: {', '.join(names())}")


def _ours(name: str) -> bool:
    if name in NOT_POLICIES or name.startswith("_") or not name.isidentifier():
        return False
    return (Path(__file__).parent / f"{name}.py").exists()


def parse_maxmemory_policy(text: str) -> Choice:
    """Read a value of maxmemory-policy, in any case as Redis does.

    Accepts Redis's eight names, `allkeys-NAME` and `volatile-NAME` of any
    policy, and a plain NAME (scope `loadable`). ValueError lists the known names.
    """
    value = text.strip().lower()
    known = names()
    scope, dash, name = value.partition("-")
    if dash and scope in ("allkeys", "volatile") and name in known and name != "noeviction":
        return Choice(cast(Scope, scope), name)
    if value in known:
        return Choice("loadable", value)
    raise ValueError(
        f"unknown maxmemory-policy '{text}'; known: {', '.join(known)}, "
        f"and allkeys-NAME or volatile-NAME of each but noeviction"
    )


def redis_name(choice: Choice) -> str:
    """What CONFIG GET maxmemory-policy reports.

    A plain name reports `noeviction`, since what a client wrote is never
    evicted; a scoped one reports itself.
    """
    if choice.scope == "loadable":
        return "noeviction"
    return f"{choice.scope}-{choice.name}"


def _foreign() -> list[EntryPoint]:
    return list(entry_points(group=GROUP))
