"""Rows: a hash and a JSON object that tell the same."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.backing.base import Row, to_bytes

PLAIN = st.one_of(
    st.text(),
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, dt.UTC])),
    st.times(),
    st.timedeltas(dt.timedelta(0), dt.timedelta(days=1000)),
    st.uuids(),
)
VALUES = st.one_of(st.none(), st.binary(), PLAIN, st.lists(PLAIN, max_size=3))


@given(st.dictionaries(st.text(), VALUES, max_size=6))
def test_hash_and_json_have_the_same_fields(columns: dict[str, Any]) -> None:
    row = Row(tuple(columns), tuple(columns.values()))
    assert not row.rendered
    before = row.nbytes
    shown = json.loads(row.json())
    assert row.rendered and row.nbytes > before
    fields = row.fields()
    assert list(shown) == list(columns)
    assert dict(row) == fields
    assert set(fields) == {name.encode() for name, value in columns.items() if value is not None}
    for name, value in columns.items():
        field = row.get(name.encode())
        if value is None:
            assert field is None and shown[name] is None
        elif isinstance(value, bytes):
            assert field == value and base64.b64decode(shown[name]) == value
        elif isinstance(value, str | list):
            assert field == (value.encode() if isinstance(value, str) else field)
            assert isinstance(value, str) or json.loads(field) == shown[name]
        elif isinstance(value, bool):
            assert (field, shown[name]) == (b"1" if value else b"0", value)
        elif isinstance(value, int | float):
            assert type(value)(field) == shown[name] == value
        else:
            assert field == str(shown[name]).encode()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.0, b"1"),
        (0.1, b"0.1"),
        (-0.0, b"0"),
        (1e300, b"%d" % int(1e300)),
        (math.inf, b"inf"),
        (math.nan, b"nan"),
        (Decimal("1E+5"), b"100000"),
        (Decimal("9.50"), b"9.50"),
        (1 << 80, b"%d" % (1 << 80)),
        (dt.datetime(2024, 5, 1, 10), b"2024-05-01T10:00:00"),
        (dt.datetime(2024, 5, 1, 10, tzinfo=dt.UTC), b"2024-05-01T10:00:00Z"),
        (dt.date(2024, 5, 1), b"2024-05-01"),
        (dt.time(10, 30), b"10:30:00"),
        (uuid.UUID(int=5), b"00000000-0000-0000-0000-000000000005"),
        ({"a": [1, None]}, b'{"a":[1,null]}'),
        (bytearray(b"\xff"), b"\xff"),
    ],
)
def test_a_value_as_a_field(value: Any, shown: bytes) -> None:
    assert to_bytes(value) == shown
    assert Row(("x",), (value,)).json()
