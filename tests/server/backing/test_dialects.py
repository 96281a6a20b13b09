"""What is particular to one database: its types, its traps, and what it is sent."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.backing.base import BackingError
from antecache.server.backing.driver_sqlite import decoder


async def shown(backing: Any, sources: Any, key: bytes) -> Any:
    source = sources.owner(key)
    assert source is not None, key
    return json.loads((await backing.get_many(source, [key])).values[key].json())


async def own_table(world: Any, *statements: str) -> None:
    """Tables of this test alone; the next test finds the shop as it was."""
    await world.execute(*statements)


# SQLite


@given(
    st.one_of(
        st.text(), st.binary(), st.integers(-(1 << 63), (1 << 63) - 1), st.floats(), st.booleans()
    )
)
def test_a_decoder_takes_whatever_sqlite_let_in(value: Any) -> None:
    for declared in ("DECIMAL(10,2)", "NUMERIC", "BOOLEAN", "DATETIME", "JSON", "TIMESTAMP(3)"):
        decode = decoder(declared)
        assert decode is not None
        decode(value)  # and never raises
    assert decoder("TEXT") is None and decoder("") is None and decoder("DATE") is None


def test_declared_types_decide() -> None:
    def decoded(declared: str, value: Any) -> Any:
        decode = decoder(declared)
        assert decode is not None
        return decode(value)

    assert decoded("decimal(10, 2)", 9.5) == Decimal("9.50")
    assert str(decoded("NUMERIC(10)", 3)) == "3"
    assert str(decoded("numeric", 0.1)) == "0.1"
    assert decoded("DECIMAL(10,2)", "n/a") == "n/a"
    assert decoded("BOOL", 1) is True and decoded("BOOLEAN", 0) is False
    assert decoded("BOOLEAN", 2) == 2 and decoded("BOOLEAN", "yes") == "yes"
    assert decoded("DATETIME", "2024-05-01 10:00:00.5") == dt.datetime(2024, 5, 1, 10, 0, 0, 500000)
    assert decoded("DATETIME", "soon") == "soon" and decoded("DATETIME", 17) == 17
    assert decoded("JSON", '{"a": 1}') == {"a": 1} and decoded("JSON", "{") == "{"


async def test_sqlite_keys_of_any_declared_type(sqlite_world: Any) -> None:
    await own_table(
        sqlite_world,
        "CREATE TABLE days (day DATE PRIMARY KEY, n INTEGER)",
        "CREATE TABLE loose (k PRIMARY KEY, n INTEGER)",
        "CREATE TABLE blobs (k BLOB PRIMARY KEY, n INTEGER)",
        "INSERT INTO days VALUES ('2024-05-01', 1)",
        "INSERT INTO loose VALUES ('a', 1), ('42', 2)",
    )
    backing, sources = await sqlite_world.open()
    assert (await shown(backing, sources, b"days:2024-05-01"))["n"] == 1
    if (loose := sources.by_name("loose")) is not None:  # untyped columns are BLOB to SQLite
        assert (await backing.get_many(loose, [b"loose:a"])).values
    assert "neither an integer nor text" in backing.skipped["blobs"]


async def test_sqlite_numeric_text_keys_are_not_confused(sqlite_world: Any) -> None:
    await own_table(
        sqlite_world,
        "CREATE TABLE codes (code NUMERIC PRIMARY KEY, n INTEGER)",
        "INSERT INTO codes VALUES ('7', 1), ('x', 2), (1.5, 3)",
    )
    backing, sources = await sqlite_world.open()
    codes = sources.by_name("codes")
    keys = [b"codes:7", b"codes:07", b"codes:7.0", b"codes:x", b"codes:1.5", b"codes:1.50"]
    loaded = await backing.get_many(codes, keys)
    assert set(loaded.values) == {b"codes:7", b"codes:x", b"codes:1.5"}


async def test_sqlite_text_that_is_no_text(sqlite_world: Any) -> None:
    await own_table(
        sqlite_world,
        "INSERT INTO users VALUES ('bob', CAST(X'ff00' AS TEXT)), ('ann', 'Zoë')",
    )
    backing, sources = await sqlite_world.open()
    loaded = await backing.get_many(sources.by_name("users"), [b"users:bob", b"users:ann"])
    assert loaded.values[b"users:bob"].get(b"city") == b"\xff\x00"
    assert loaded.values[b"users:ann"].get(b"city") == "Zoë".encode()


async def test_sqlite_a_key_that_is_refused_fails_alone(sqlite_world: Any) -> None:
    backing, sources = await sqlite_world.open(
        {"match": "j:{text}", "query": "select json_extract(:text, '$[0]') as x", "as": "column:x"}
    )
    source = sources.owner(b"j:x")
    loaded = await backing.get_many(source, [b"j:[1]", b"j:[2]", b"j:{", b"j:[4]"])
    assert loaded.values == {b"j:[1]": b"1", b"j:[2]": b"2", b"j:[4]": b"4"}
    assert "malformed JSON" in str(loaded.errors[b"j:{"])
    with pytest.raises(BackingError, match="malformed JSON"):
        await backing.get_many(source, [b"j:{"])


# PostgreSQL


async def test_postgresql_tables_along_the_search_path(postgres_world: Any) -> None:
    await own_table(
        postgres_world,
        "DROP SCHEMA IF EXISTS annex CASCADE",
        "CREATE SCHEMA annex",
        "CREATE TABLE annex.extras (id integer PRIMARY KEY, n integer)",
        "CREATE TABLE annex.users (name text PRIMARY KEY, here integer)",
        "INSERT INTO annex.extras VALUES (1, 2)",
        "INSERT INTO annex.users VALUES ('bob', 3)",
        "ALTER ROLE shop SET search_path = annex, public",
    )
    try:
        backing, sources = await postgres_world.open()
        assert await shown(backing, sources, b"extras:1") == {"id": 1, "n": 2}
        assert await shown(backing, sources, b"users:bob") == {"name": "bob", "here": 3}
        assert sources.by_name("products") is not None
    finally:
        await postgres_world.execute(
            "ALTER ROLE shop RESET search_path", "DROP SCHEMA annex CASCADE"
        )


async def test_postgresql_types_are_shown_as_postgresql_shows_them(postgres_world: Any) -> None:
    await own_table(
        postgres_world,
        "DROP TABLE IF EXISTS exotic",
        "DROP TYPE IF EXISTS mood",
        "DROP DOMAIN IF EXISTS cents",
        "CREATE TYPE mood AS ENUM ('sad', 'happy')",
        "CREATE DOMAIN cents AS integer CHECK (value >= 0)",
        """CREATE TABLE exotic (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tags text[], numbers integer[], span int4range, wait interval, host inet, feeling mood,
            price cents, place point, bits bit(4), at timestamptz, clock time, plain json,
            not_a float8, double_price integer GENERATED ALWAYS AS (price * 2) STORED,
            padded char(5), short varchar(3), amount numeric)""",
        """INSERT INTO exotic (tags, numbers, span, wait, host, feeling, price, place, bits, at,
            clock, plain, not_a, padded, short, amount) VALUES ('{a,"b c"}', '{1,null}', '[1,5)',
            '1 month 2 days', '10.0.0.1/8', 'happy', 7, '(1,2)', '1010', '2024-05-01 10:00:00+02',
            '10:30', '[1.5, {"x": null}]', 'NaN', 'ab', 'xyz', 12345678901234567890.123)""",
    )
    backing, sources = await postgres_world.open(
        {"match": "q:{id:int}", "as": "row", "query": "select * from exotic where id = :id"}
    )
    expected = {
        "id": 1, "tags": ["a", "b c"], "numbers": [1, None], "span": "[1,5)",
        "wait": "1 mon 2 days", "host": "10.0.0.1/8", "feeling": "happy", "price": 7,
        "place": "(1,2)", "bits": "1010", "at": "2024-05-01T08:00:00Z", "clock": "10:30:00",
        "plain": [1.5, {"x": None}], "not_a": None, "double_price": 14, "padded": "ab   ",
        "short": "xyz", "amount": "12345678901234567890.123",
    }  # fmt: skip
    assert await shown(backing, sources, b"exotic:1") == expected
    assert await shown(backing, sources, b"q:1") == expected
    source = sources.by_name("exotic")
    many = await backing.get_many(sources.owner(b"q:1"), [b"q:1", b"q:2"])
    assert json.loads(many.values[b"q:1"].json()) == expected

    row = (await backing.get_many(source, [b"exotic:1"])).values[b"exotic:1"]
    assert row.fields()[b"not_a"] == b"nan"
    written = {name.decode(): data for name, data in row.fields().items() if name != b"id"}
    await backing.put_many(source, {b"exotic:9": written})
    assert await shown(backing, sources, b"exotic:9") == {**expected, "id": 9}
    with pytest.raises(BackingError, match="too long"):
        await backing.put_many(source, {b"exotic:1": {"short": b"abcd"}})
    with pytest.raises(BackingError, match="out of range"):
        await backing.put_many(source, {b"exotic:1": {"price": b"99999999999"}})
    assert await shown(backing, sources, b"exotic:1") == expected


async def test_postgresql_dates_that_python_cannot_hold(postgres_world: Any) -> None:
    await postgres_world.execute(
        "INSERT INTO products (id, name, made, seen) VALUES (1, 'a', '12000-01-01', 'infinity'),"
        " (2, 'b', '0044-03-15 BC', '-infinity'), (3, 'c', '2024-05-01', '2024-05-01 10:00:00')"
    )
    backing, sources = await postgres_world.open()
    keys = [b"products:1", b"products:2", b"products:3"]
    loaded = await backing.get_many(sources.by_name("products"), keys)
    assert [(row.get(b"made"), row.get(b"seen")) for _, row in sorted(loaded.values.items())] == [
        (b"12000-01-01", b"infinity"),
        (b"0044-03-15 BC", b"-infinity"),
        (b"2024-05-01", b"2024-05-01T10:00:00"),
    ]


async def test_postgresql_keys(postgres_world: Any) -> None:
    await own_table(
        postgres_world,
        "DROP TABLE IF EXISTS padded, moods, pairs",
        "DROP TYPE IF EXISTS temper",
        "CREATE TYPE temper AS ENUM ('sad', 'happy')",
        "CREATE TABLE padded (code char(5) PRIMARY KEY, n integer)",
        "CREATE TABLE moods (feeling temper PRIMARY KEY)",
        "CREATE TABLE pairs (code char(3), id uuid, small smallint, n integer,"
        " PRIMARY KEY (code, id, small))",
        "INSERT INTO padded VALUES ('ab', 1), ('cd', 2)",
        "INSERT INTO pairs VALUES ('x', '0f8fad5b-d9cb-469f-a165-70867728950e', 3, 7)",
    )
    backing, sources = await postgres_world.open()
    assert (await shown(backing, sources, b"padded:ab"))["n"] == 1
    padded = sources.by_name("padded")
    keys = [b"padded:ab", b"padded:ab ", b"padded:cd", b"padded:AB"]
    assert set((await backing.get_many(padded, keys)).values) == {b"padded:ab", b"padded:cd"}
    assert "moods" in backing.skipped
    key = b"pairs:x:0f8fad5b-d9cb-469f-a165-70867728950e:3"
    pairs = sources.by_name("pairs")
    assert set((await backing.get_many(pairs, [key, key[:-1] + b"99999"])).values) == {key}
    await backing.put_many(pairs, {key: {"n": "8"}, key[:-1] + b"4": {"n": "9"}})
    await backing.delete_many(pairs, [key])
    assert set((await backing.get_many(pairs, [key, key[:-1] + b"4"])).values) == {key[:-1] + b"4"}


async def test_postgresql_parameters_are_typed_by_the_query(postgres_world: Any) -> None:
    await postgres_world.execute(
        "INSERT INTO products (id, name, made) VALUES (1, 'a', '2024-05-01')"
    )
    backing, sources = await postgres_world.open(
        {"match": "day:{d}", "query": "select id from products where made = cast(:d as date)"},
        {"match": "some:{id}", "query": "select name from products where id::text = :id"},
        {"match": "maybe:{n}", "query": "select :n is null as unknown"},
        {"match": "json:{n}", "query": "select jsonb_build_object('n', :n) as j", "as": "column:j"},
    )
    for key, expected in (
        (b"day:2024-05-01", b'[{"id":1}]'),
        (b"some:1", b'[{"name":"a"}]'),
        (b"maybe:1", b'[{"unknown":false}]'),
        (b"json:1", b'{"n":"1"}'),
    ):
        source = sources.owner(key)
        assert (await backing.get_many(source, [key])).values == {key: expected}


async def test_a_key_that_the_database_refuses_fails_alone(postgres_world: Any) -> None:
    await postgres_world.execute(
        "INSERT INTO products (id, name, made) VALUES (1, 'a', '2024-05-01')"
    )
    backing, sources = await postgres_world.open(
        {"match": "day:{d}", "query": "select id from products where made = cast(:d as date)"}
    )
    source = sources.owner(b"day:x")
    with pytest.raises(BackingError, match="invalid input syntax for type date"):
        await backing.get_many(source, [b"day:x"])
    good = [b"day:2024-05-%02d" % day for day in range(1, 31)]
    loaded = await backing.get_many(source, [*good, b"day:x"])
    assert list(loaded.errors) == [b"day:x"]
    assert "invalid input syntax" in str(loaded.errors[b"day:x"])
    assert set(loaded.values) == set(good)
    assert loaded.values[good[0]] == b'[{"id":1}]'


async def test_postgresql_url_parameters(postgres_world: Any) -> None:
    await postgres_world.execute("INSERT INTO products (id, name) VALUES (1, 'a')")
    backing, sources = await postgres_world.open(
        parameters="?sslmode=disable&statement_cache_size=0&pool_size=1"
    )
    for _ in range(3):
        assert (await shown(backing, sources, b"products:1"))["name"] == "a"


async def test_postgresql_keys_are_looked_up_in_the_index(postgres_world: Any) -> None:
    _, sources = await postgres_world.open()
    products = sources.by_name("products")
    for count in (1, 3):
        sql, params = products.bound.select([(n,) for n in range(count)])
        typed = f"EXECUTE p({', '.join(str(p) if count == 1 else f'ARRAY{p}' for p in params)})"
        rows = await postgres_world.execute(
            "SET enable_seqscan = off", f"PREPARE p AS {sql}", f"EXPLAIN {typed}"
        )
        plan = "\n".join(row[0] for row in rows)
        assert "Index Cond" in plan, plan


# MariaDB


async def test_mariadb_types(mariadb_world: Any) -> None:
    await own_table(
        mariadb_world,
        "DROP TABLE IF EXISTS exotic",
        """CREATE TABLE exotic (id BIGINT UNSIGNED PRIMARY KEY, clock TIME, bits BIT(8),
            kind ENUM('a','b'), kinds SET('x','y'), born YEAR, flag TINYINT(1), at DATETIME(6),
            amount DECIMAL(30,10), half DOUBLE GENERATED ALWAYS AS (amount / 2) STORED,
            data VARBINARY(9), words MEDIUMTEXT)""",
        "INSERT INTO exotic (id, clock, bits, kind, kinds, born, flag, at, amount, data, words)"
        " VALUES (1, '-100:00:01', 5, 'b', 'x,y', 1999, 1, '2024-05-01 10:00:00.25', 1.5,"
        " X'00FF', 'é%s')",
    )
    backing, sources = await mariadb_world.open(
        {"match": "q:{id:int}", "query": "select * from exotic where id = :id", "as": "row"}
    )
    expected = {
        "id": 1, "clock": "-100:00:01", "bits": 5, "kind": "b", "kinds": "x,y", "born": 1999,
        "flag": 1, "at": "2024-05-01T10:00:00.250000", "amount": "1.5000000000", "half": 0.75,
        "data": "AP8=", "words": "é%s",
    }  # fmt: skip
    assert await shown(backing, sources, b"exotic:1") == expected
    assert await shown(backing, sources, b"q:1") == expected
    many = await backing.get_many(sources.owner(b"q:1"), [b"q:1", b"q:2"])
    assert json.loads(many.values[b"q:1"].json()) == expected
    source = sources.by_name("exotic")
    await backing.put_many(source, {b"exotic:1": {"half": "9", "amount": "3", "data": b"\xff'\\"}})
    row = (await backing.get_many(source, [b"exotic:1"])).values[b"exotic:1"]
    assert (row.get(b"half"), row.get(b"data")) == (b"1.5", b"\xff'\\") or row.get(b"half") == b"1"
    with pytest.raises(BackingError, match="too long"):
        await backing.put_many(source, {b"exotic:1": {"data": b"x" * 10}})


async def test_mariadb_without_backslash_escapes(mariadb_world: Any) -> None:
    await mariadb_world.execute("INSERT INTO users (name, city) VALUES ('bob', 'Rome')")
    backing, sources = await mariadb_world.open(parameters="?sql_mode=NO_BACKSLASH_ESCAPES")
    users = sources.by_name("users")
    keys = [rb"users:\' OR 1=1 -- ", rb"users:\\", b"users:'", b"users:''", b"users:bob"]
    assert set((await backing.get_many(users, keys)).values) == {b"users:bob"}
    await backing.put_many(users, {rb"users:\'": {"city": "\\'"}})
    loaded = await backing.get_many(users, [rb"users:\'"])
    assert loaded.values[rb"users:\'"].get(b"city") == b"\\'"


async def test_mariadb_columns_of_another_character_set(mariadb_world: Any) -> None:
    await own_table(
        mariadb_world,
        "DROP TABLE IF EXISTS latin",
        "CREATE TABLE latin (name VARCHAR(20) CHARACTER SET latin1 PRIMARY KEY, n INTEGER)",
        "INSERT INTO latin VALUES ('Zoë', 1)",
    )
    backing, sources = await mariadb_world.open()
    latin = sources.by_name("latin")
    keys = ["latin:Zoë".encode(), "latin:😀".encode(), "latin:日本".encode()]
    assert set((await backing.get_many(latin, keys)).values) == {keys[0]}
    assert (await backing.get_many(latin, keys[1:2])).values == {}


async def test_a_load_sends_its_select_and_nothing_else(mariadb_world: Any) -> None:
    await mariadb_world.execute("INSERT INTO products (id, name) VALUES (1, 'a'), (2, 'b')")
    backing, sources = await mariadb_world.open(parameters="?pool_size=1")
    products = sources.by_name("products")
    await backing.get_many(products, [b"products:1"])  # connects

    async def questions() -> int:
        rows = await mariadb_world.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
        return int(rows[0][1])

    before = await questions()
    asking = await questions() - before  # what the counting costs
    before = await questions()
    statements = 0
    for _ in range(10):
        statements += (await backing.get_many(products, [b"products:1", b"products:2"])).statements
    assert await questions() - before - asking == statements == 10
