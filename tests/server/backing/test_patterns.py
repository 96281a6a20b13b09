"""Key patterns: what is owned, what is not, and that keys and values round-trip."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from antecache.server.backing.patterns import INT64, KINDS, Field, Pattern
from antecache.server.backing.sources import compile_pattern
from antecache.server.errors import ConfigError

TEXT = (
    st.text(min_size=1)
    .filter(lambda text: "\x00" not in text)
    .filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
)
VALUES = {
    "int": st.integers(-INT64, INT64 - 1),
    "str": TEXT.filter(lambda text: ":" not in text),
    "uuid": st.uuids().map(str),
    "path": TEXT,
}


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    """Any pattern that can be written: fields with text between them."""
    parts: list[bytes | Field] = [draw(st.binary(max_size=4))]
    for number in range(draw(st.integers(0, 4))):
        parts.append(Field(f"f{number}", draw(st.sampled_from(sorted(KINDS)))))
        parts.append(draw(st.sampled_from([b":", b"-", b"::x", b"{}"])))
    if draw(st.booleans()) and isinstance(parts[-1], bytes) and len(parts) > 1:
        parts.pop()
    return Pattern(parts)


@given(patterns(), st.data())
def test_values_round_trip_through_their_key(pattern: Pattern, data: st.DataObject) -> None:
    values = {field.name: data.draw(VALUES[field.kind]) for field in pattern.fields}
    try:
        key = pattern.format(**values)
    except ValueError:
        # ambiguous: then some other values own the key that these would have
        assume(False)
    assert pattern.match(key) == values
    assert key.startswith(pattern.prefix)


@given(patterns(), st.data())
def test_an_owned_key_is_the_key_of_its_values(pattern: Pattern, data: st.DataObject) -> None:
    near = b"".join(
        part if isinstance(part, bytes) else str(data.draw(VALUES[part.kind])).encode()
        for part in pattern.parts
    )
    for key in (near, data.draw(st.binary()), near + b"\n", near + b":", b" " + near):
        values = pattern.match(key)
        if values is not None:
            assert pattern.format(**values) == key


@given(st.integers(-(1 << 70), 1 << 70))
def test_integers_of_64_bits_only(number: int) -> None:
    owned = compile_pattern("n:{n:int}").match(b"n:%d" % number)
    assert owned == ({"n": number} if -INT64 <= number < INT64 else None)


@pytest.mark.parametrize(
    "key",
    [b"p:042", b"p:-0", b"p:+1", b"p:", b"p:1 ", b"p: 1", b"p:1\n", b"p:1.0", b"p:0x1", b"p:--1",
     b"p:1:", "p:٤٢".encode(), b"p:1_000", b"P:1", b"xp:1", b"p", b"", b"p:9223372036854775808"],
)  # fmt: skip
def test_keys_that_are_not_canonical_integers(key: bytes) -> None:
    assert compile_pattern("p:{id:int}").match(key) is None


@pytest.mark.parametrize("key", [b"u:", b"u:a:b", b"u:\xff", b"u:a\x00b", b"u:\xed\xa0\x80"])
def test_text_is_utf8_without_colon_and_nul(key: bytes) -> None:
    assert compile_pattern("u:{name}").match(key) is None


def test_a_path_has_colons() -> None:
    pattern = compile_pattern("files:{path:path}")
    assert pattern.match(b"files:a:b\nc") == {"path": "a:b\nc"}
    assert pattern.match(b"files:") is None


@given(st.uuids())
def test_only_the_canonical_form_of_a_uuid(value: uuid.UUID) -> None:
    pattern = compile_pattern("t:{id:uuid}")
    assert pattern.match(b"t:" + str(value).encode()) == {"id": str(value)}
    assert pattern.match(b"t:" + value.hex.encode()) is None
    upper = str(value).upper()
    if upper != str(value):
        assert pattern.match(b"t:" + upper.encode()) is None


def test_literals_braces_and_names() -> None:
    pattern = compile_pattern("{{user:{id:int}}}:orders.[x]")
    assert pattern.names == ("id",)
    assert pattern.prefix == b"{user:"
    assert pattern.match(b"{user:7}:orders.[x]") == {"id": 7}
    assert pattern.match(b"{user:7}:ordersz[x]") is None
    assert compile_pattern("all").match(b"all") == {}
    assert compile_pattern("all").match(b"all ") is None


def test_values_that_would_not_match_back_have_no_key() -> None:
    pattern = compile_pattern("img:{a}-{b}")
    assert pattern.format(a="x-y", b="z") == b"img:x-y-z"
    with pytest.raises(ValueError, match="no key"):
        pattern.format(a="x", b="y-z")
    with pytest.raises(ValueError, match="no key"):
        pattern.format(a="x:y", b="z")
    with pytest.raises(ValueError, match="fields a, b"):
        pattern.format(a="x")
    with pytest.raises(ValueError, match="no key"):
        compile_pattern("n:{n:int}").format(n="12")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("a:{", "lone '{'"),
        ("a:}", "lone '}'"),
        ("a:{}", "is not {name}"),
        ("a:{1x}", "is not {name}"),
        ("a:{x:}", "is not {name}"),
        ("a:{x:float}", "unknown type 'float'"),
        ("a:{x}{y}", "need text between"),
        ("a:{x}:{x}", "appears twice"),
        ("a:{x:int:y}", "is not {name}"),
    ],
)
def test_a_broken_pattern_is_refused_with_its_text(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason.replace("{", r"\{").replace("}", r"\}")) as caught:
        compile_pattern(text)
    assert not text or text in str(caught.value)


@given(patterns())
def test_a_pattern_can_be_written_down(pattern: Pattern) -> None:
    literals: list[Any] = [part for part in pattern.parts if isinstance(part, bytes)]
    assume(all(part.isascii() for part in literals) and pattern.parts)
    again = compile_pattern(pattern.text)
    merged: list[bytes | Field] = []
    for part in pattern.parts:
        if merged and isinstance(part, bytes) and isinstance(merged[-1], bytes):
            merged[-1] += part
        else:
            merged.append(part)
    assert again.parts == tuple(merged)
