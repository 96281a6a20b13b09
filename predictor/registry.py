"""Predictors by name.

A predictor is a file of this folder that holds a `Predictor` subclass whose
name in lower case is the file's name, or an entry point of another
distribution in the group `antecache.predictors`, whose name is the option's
value. A file is imported only when its predictor is asked for.

What this file does not do: construct predictors, or say which is the default.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import pkgutil

import antecache.predictor
from antecache.predictor.base import Predictor

GROUP = "antecache.predictors"


def names() -> list[str]:
    """Names of all predictors, sorted."""
    here = (module.name for module in pkgutil.iter_modules(antecache.predictor.__path__))
    found = {name for name in here if _of_module(name) is not None}
    found.update(point.name for point in importlib.metadata.entry_points(group=GROUP))
    return sorted(found)


def find(name: str) -> type[Predictor]:
    """The predictor of this name. Raises KeyError when there is none, TypeError when it is not one.

    What an entry point's module raises while it is imported passes through.
    """
    modules = {module.name for module in pkgutil.iter_modules(antecache.predictor.__path__)}
    if name in modules:
        found = _of_module(name)
        if found is not None:
            return found
    for point in importlib.metadata.entry_points(group=GROUP, name=name):
        loaded = point.load()
        if not (isinstance(loaded, type) and issubclass(loaded, Predictor)):
            raise TypeError(f"entry point '{name}' of {GROUP} is no Predictor")
        return loaded
    raise KeyError(name)


def _of_module(name: str) -> type[Predictor] | None:
    if name in ("worker", "registry", "__main__"):
        return None
    module = importlib.import_module(f"antecache.predictor.{name}")
    for value in vars(module).values():
        if (
            isinstance(value, type)
            and issubclass(value, Predictor)
            and value.__name__.lower() == name
            and not inspect.isabstract(value)
        ):
            return value
    return None
