"""Key patterns: `user:{id:int}:orders` and the keys it owns, both ways.

A pattern is literal text with named fields. It owns only *canonical* keys: a
key matches when formatting its values gives the same bytes back, so
`products:042` is not `products:{id:int}`. One row then has one key, and an
invalidation that is built from the row finds it.

    {id:int}     a decimal integer of 64 bits, no leading zeros, `-` allowed, never `-0`
    {name}       `{name:str}`: UTF-8 without `:` and NUL, not empty
    {id:uuid}    the lower-case form with dashes
    {rest:path}  UTF-8 without NUL, not empty, `:` allowed
    {{ and }}    a literal brace

What this file does not do: know any database, or which pattern is asked first
(`sources.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from antecache.server.errors import ConfigError

#: What a field of each type looks like. NUL is out because PostgreSQL can't hold it in text: one
#: such key would make a statement for many keys fail.
KINDS = {
    "int": rb"0|-?[1-9][0-9]{0,18}",
    "str": rb"[^:\x00]+",
    "uuid": rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "path": rb"[^\x00]+",
}

INT64 = 1 << 63

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|([{}])")
_FIELD = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?", re.ASCII)


class Field(NamedTuple):
    """A named part of a key; `kind` is a name in KINDS."""

    name: str
    kind: str


class Pattern:
    """A compiled pattern. `parts` alternates as written: literal bytes and Fields.

    names   of the fields, in order
    prefix  the literal text before the first field
    """

    __slots__ = ("_literal", "_regex", "fields", "names", "parts", "prefix", "text")

    def __init__(self, parts: Sequence[bytes | Field], text: str = "") -> None:
        self.parts = tuple(part for part in parts if part)
        self.fields = tuple(part for part in self.parts if isinstance(part, Field))
        self.names = tuple(field.name for field in self.fields)
        first = self.parts[0] if self.parts else b""
        self.prefix: bytes = first if isinstance(first, bytes) else b""
        self.text = text or _describe(self.parts)
        self._literal = None if self.fields else b"".join(map(_as_literal, self.parts))
        self._regex = re.compile(
            b"".join(
                re.escape(part) if isinstance(part, bytes) else b"(" + KINDS[part.kind] + b")"
                for part in self.parts
            ),
            re.DOTALL,
        )

    def values(self, key: bytes) -> tuple[Any, ...] | None:
        """The fields' values of an owned key, in order: int, or str; None for any other key."""
        if self._literal is not None:
            return () if key == self._literal else None
        if not key.startswith(self.prefix):
            return None
        found = self._regex.fullmatch(key)
        if found is None:
            return None
        values: list[Any] = []
        for field, raw in zip(self.fields, found.groups(), strict=True):
            if field.kind == "int":
                number = int(raw)
                if not -INT64 <= number < INT64:
                    return None
                values.append(number)
            else:
                try:
                    values.append(raw.decode())
                except UnicodeDecodeError:
                    return None
        return tuple(values)

    def match(self, key: bytes) -> dict[str, Any] | None:
        """`values` by name."""
        values = self.values(key)
        return None if values is None else dict(zip(self.names, values, strict=True))

    def format(self, **values: Any) -> bytes:
        """The key of these values; ValueError when they have no key that matches back."""
        if values.keys() != set(self.names):
            raise ValueError(f"'{self.text}' has the fields {', '.join(self.names) or '(none)'}")
        key = self.key([values[name] for name in self.names])
        if key is None:
            raise ValueError(f"'{self.text}' has no key for {values}")
        return key

    def key(self, values: Sequence[Any]) -> bytes | None:
        """The key of these values, in the fields' order; None when it would not match back."""
        rest = iter(values)
        try:
            key = b"".join(
                part if isinstance(part, bytes) else str(next(rest)).encode() for part in self.parts
            )
        except UnicodeEncodeError:  # a lone surrogate
            return None
        return key if self.values(key) == tuple(values) else None

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


def compile_pattern(text: str) -> Pattern:
    """Read a pattern as written in a config file; ConfigError says what is wrong with it."""
    if not text:
        raise ConfigError("a key pattern is empty")
    parts: list[bytes | Field] = []
    literal = ""
    at = 0
    for found in _PART.finditer(text):
        literal += text[at : found.start()]
        at = found.end()
        if found[0] in ("{{", "}}"):
            literal += found[0][0]
            continue
        if found[2]:
            raise ConfigError(f"key pattern '{text}': a lone '{found[2]}' (write it twice)")
        parts += [literal.encode(), _read_field(found[1], text)]
        literal = ""
    parts.append((literal + text[at:]).encode())
    parts = [part for part in parts if part]
    names: set[str] = set()
    for before, part in zip([b"", *parts], parts, strict=False):
        if not isinstance(part, Field):
            continue
        if isinstance(before, Field):
            raise ConfigError(
                f"key pattern '{text}': '{before.name}' and '{part.name}' need text between them"
            )
        if part.name in names:
            raise ConfigError(f"key pattern '{text}': field '{part.name}' appears twice")
        names.add(part.name)
    return Pattern(parts, text)


def _read_field(text: str, pattern: str) -> Field:
    found = _FIELD.fullmatch(text)
    if found is None:
        raise ConfigError(f"key pattern '{pattern}': '{{{text}}}' is not {{name}} or {{name:type}}")
    kind = found[2] or "str"
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise ConfigError(f"key pattern '{pattern}': unknown type '{kind}' (known: {known})")
    return Field(found[1], kind)


def _as_literal(part: bytes | Field) -> bytes:
    assert isinstance(part, bytes)
    return part


def _describe(parts: Sequence[bytes | Field]) -> str:
    return "".join(
        part.decode("utf-8", "backslashreplace").replace("{", "{{").replace("}", "}}")
        if isinstance(part, bytes)
        else f"{{{part.name}:{part.kind}}}"
        for part in parts
    )
