"""Backings by URL scheme: `open_backing("sqlite:///shop.db")` finds the class that serves it.

A backing is a file of this package with a class that names its `schemes`, or an
entry point of another distribution in the group `antecache.backings` whose name
is the scheme. The files are read, not imported, to find the scheme (the tuple is
a literal), so only the chosen one is imported and only its driver loaded.

What this file does not do: connect, or know any scheme by name.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from antecache.server.backing.base import DEFAULT_OPTIONS, Backing, SourceOptions
from antecache.server.backing.sources import SourceSpec
from antecache.server.errors import ConfigError

GROUP = "antecache.backings"


def schemes() -> list[str]:
    """Every scheme that some backing serves, sorted. Imports none of them."""
    return sorted({*_files(), *(point.name for point in _foreign())})


def find(scheme: str) -> type[Backing]:
    """The class that serves `scheme`; ConfigError lists the known ones."""
    known = _files()
    if scheme in known:
        module, name = known[scheme]
        found: object = getattr(import_module(module), name)
    else:
        point = next((point for point in _foreign() if point.name == scheme), None)
        if point is None:
            raise ConfigError(f"no backing serves '{scheme}:' (known: {', '.join(schemes())})")
        try:
            found = point.load()
        except ImportError as error:
            raise ConfigError(f"the backing for '{scheme}:' cannot be loaded: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Backing)):
        raise ConfigError(f"what is registered for '{scheme}:' in {GROUP} is not a Backing")
    return found


def open_backing(
    url: str,
    specs: Sequence[SourceSpec] = (),
    options: SourceOptions = DEFAULT_OPTIONS,
) -> Backing:
    """The backing for `url`, not yet connected (`await backing.open()` does that).

    The scheme is what stands before `:`, without a driver's name after `+`.
    """
    scheme, colon, _ = url.partition(":")
    if not colon or not scheme:
        raise ConfigError("a backing is a URL such as sqlite:///shop.db or postgresql://host/shop")
    return find(scheme.partition("+")[0].lower())(url, specs, options)


def _files() -> dict[str, tuple[str, str]]:
    """Scheme to (module, class) of this package's files."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "schemes = (" not in source:  # most files need no parsing
            continue
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef):
                for scheme in _schemes_of(node):
                    found[scheme] = (f"{__package__}.{path.stem}", node.name)
    return found


def _schemes_of(node: ast.ClassDef) -> tuple[str, ...]:
    for line in node.body:
        if (
            isinstance(line, ast.Assign)
            and isinstance(line.targets[0], ast.Name)
            and line.targets[0].id == "schemes"
        ):
            value = ast.literal_eval(line.value)
            return tuple(str(scheme) for scheme in value)
    return ()


def _foreign() -> list[EntryPoint]:
    return list(entry_points(group=GROUP))
