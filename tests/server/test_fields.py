"""Which fields of a value may name keys: rows, hashes, JSON, and anything at all without harm."""

from __future__ import annotations

import datetime as dt
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.backing.base import Row
from antecache.server.fields import fields_of

UUID = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        (
            Row(
                ("id", "name", "vip", "none", "born", "ref"),
                (7, "two words", True, None, dt.date(2020, 1, 1), UUID),
            ),
            [("id", b"7"), ("ref", str(UUID).encode())],
        ),
        ({b"user": b"8", b"text": b"a b"}, [("user", b"8")]),
        (b'[{"id":1,"by":"x"},{"id":2}]', [("[].id", b"1"), ("[].by", b"x"), ("[].id", b"2")]),
        (b"[3, 4]", [("[]", b"3"), ("[]", b"4")]),
        (b'{"a":{"b":5},"c":[6]}', [("a.b", b"5"), ("c[]", b"6")]),
        (b"[" * 1000, []),
        (b"42", []),
        (b'{"a":', []),
        ([b"a list"], []),
    ],
)
def test_fields(value: object, fields: list[tuple[str, bytes]]) -> None:
    assert list(fields_of(value)) == fields


def test_no_more_than_the_first_of_many() -> None:
    assert len(list(fields_of(json.dumps(list(range(1000))).encode()))) == 32
    assert list(fields_of(json.dumps(list(range(100_000))).encode())) == []
    assert len(list(fields_of({b"%d" % n: b"1" for n in range(1000)}))) == 64


@given(st.one_of(st.binary(), st.dictionaries(st.binary(), st.binary())))
def test_anything_is_looked_into_without_harm(value: object) -> None:
    for name, text in fields_of(value):
        assert isinstance(name, str) and text
