"""Glob patterns: against a plain transcription of the rules, and in bounded time."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from antecache.server.glob import matcher


def by_the_rules(pattern: bytes, text: bytes) -> bool:
    """Redis's rules, one byte after the other, with every place tried for a star."""
    while pattern and text:
        char, pattern = pattern[:1], pattern[1:]
        if char == b"*":
            pattern = pattern.lstrip(b"*")
            if not pattern:
                return True
            return any(by_the_rules(pattern, text[at:]) for at in range(len(text)))
        if char == b"[":
            fits, pattern = in_class(pattern, text[0])
            if not fits:
                return False
        elif char != b"?":
            if char == b"\\" and pattern:
                char, pattern = pattern[:1], pattern[1:]
            if char != text[:1]:
                return False
        text = text[1:]
        if not text:
            pattern = pattern.lstrip(b"*")
    return not pattern and not text


def in_class(pattern: bytes, byte: int) -> tuple[bool, bytes]:
    negated = pattern[:1] == b"^"
    pattern = pattern[negated:]
    fits = False
    while pattern and pattern[:1] != b"]":
        if len(pattern) >= 2 and pattern[:1] == b"\\":
            fits |= pattern[1] == byte
            pattern = pattern[2:]
        elif len(pattern) >= 3 and pattern[1:2] == b"-":
            low, high = sorted((signed(pattern[0]), signed(pattern[2])))
            fits |= low <= signed(byte) <= high
            pattern = pattern[3:]
        else:
            fits |= pattern[0] == byte
            pattern = pattern[1:]
    return fits != negated, pattern[1:]


def signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


patterns = st.lists(st.sampled_from([bytes((c,)) for c in b"ab*?[]^-\\\n\xff"]), max_size=12)
texts = st.lists(st.sampled_from([bytes((c,)) for c in b"ab]^-\\*\n\xff"]), max_size=10)


@given(patterns.map(b"".join), texts.map(b"".join))
def test_matches_what_the_rules_match(pattern: bytes, text: bytes) -> None:
    assert bool(matcher(pattern)(text)) == by_the_rules(pattern, text)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_any_bytes_are_a_pattern(pattern: bytes, text: bytes) -> None:
    assert bool(matcher(pattern)(text)) == by_the_rules(pattern, text)


@given(st.binary(min_size=1, max_size=20))
def test_an_escaped_text_matches_itself_alone(text: bytes) -> None:
    fits = matcher(b"".join(b"\\" + text[at : at + 1] for at in range(len(text))))
    assert fits(text)
    assert not fits(text + b"x") and not fits(b"x" + text)


def test_letters_of_either_case() -> None:
    fits = matcher(b"h[A-C]l*", ignore_case=True)
    assert fits(b"HaLLO") and fits(b"hcl") and not fits(b"hdl")


def test_no_pattern_takes_long() -> None:
    text = b"a" * 20_000
    started = time.perf_counter()
    for pattern in (
        b"*a" * 500 + b"b",
        b"a*" * 500 + b"b",
        b"*?" * 200 + b"[b]",
        b"*" * 5000 + b"b",
    ):
        assert not matcher(pattern)(text)
    assert time.perf_counter() - started < 2.0
