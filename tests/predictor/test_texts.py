"""Numbered texts: what is acquired can be found until the last release."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.predictor.texts import Texts


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=3)), max_size=300))
def test_a_text_lives_as_long_as_it_is_referred_to(steps: list[tuple[bool, bytes]]) -> None:
    texts, refs = Texts(), dict[bytes, int]()
    numbers = dict[bytes, int]()
    for acquire, text in steps:
        if acquire:
            numbers[text] = texts.acquire(text)
            refs[text] = refs.get(text, 0) + 1
        elif refs.get(text):
            texts.release(numbers[text])
            refs[text] -= 1
    held = {text for text, count in refs.items() if count}
    assert {text for text in refs if texts.find(text) >= 0} == held
    assert all(texts.get(texts.find(text)) == text for text in held)
    assert len({texts.find(text) for text in held}) == len(held)
    texts.check()
    again = Texts.load(*texts.dump())
    again.check()
    assert {text: again.find(text) for text in refs} == {text: texts.find(text) for text in refs}


def test_numbers_are_used_again() -> None:
    texts = Texts()
    for at in range(1000):
        texts.release(texts.acquire(b"%d" % at))
    assert texts.acquire(b"another") == 0
    assert texts.nbytes < 1000


@pytest.mark.parametrize(
    ("held", "refs"),
    [
        ([b"a"], b""),
        ([b"a"], b"\0\0\0\0"),
        ([None], b"\1\0\0\0"),
        ([b"a", b"a"], b"\1\0\0\0\1\0\0\0"),
    ],
)
def test_a_state_that_disagrees_with_itself_is_refused(
    held: list[bytes | None], refs: bytes
) -> None:
    with pytest.raises(ValueError, match="text"):
        Texts.load(held, refs)


def test_what_few_texts_leave_behind_is_given_back() -> None:
    texts = Texts()
    first = texts.acquire(b"stays")
    empty = Texts().nbytes
    numbers = [texts.acquire(b"text %d" % at) for at in range(1000)]
    for number in numbers:
        texts.release(number)
        texts.check()
    assert texts.find(b"stays") == first
    assert texts.nbytes < empty + 200
    assert texts.acquire(b"another") != first
