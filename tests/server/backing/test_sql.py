"""What the SQL backing promises on every database: values, batches, queries, writes."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from antecache.server.backing.base import BackingError, Link, Row
from antecache.server.backing.registry import open_backing
from antecache.server.errors import ConfigError

ROW = (
    "INSERT INTO products (id, name, price, sold, made, seen, extra, big, ratio) VALUES "
    "(1, 'Grüße 😀 ''\"%s', 9.50, {true}, '2024-02-29', '2024-05-01 10:00:00', "
    "'{{\"a\": [1, null]}}', 9223372036854775807, 0.1)"
)


def truth(world: Any, value: bool) -> str:
    return {True: "TRUE", False: "FALSE"}[value] if world.kind == "postgresql" else str(int(value))


async def insert(world: Any, table: str, columns: str, rows: str) -> None:
    await world.execute(f"INSERT INTO {table} ({columns}) VALUES {rows}")


async def products(world: Any, count: int, *specs: dict[str, Any]) -> tuple[Any, Any]:
    """A backing on a shop with the products 1 to `count` and three items each."""
    rows = ", ".join(f"({n}, 'name {n}', {n}.25)" for n in range(1, count + 1))
    await insert(world, "products", "id, name, price", rows)
    items = ", ".join(
        f"({n}, '{item}', {amount}, {n})"
        for n in range(1, count + 1)
        for amount, item in enumerate("cab", 1)
    )
    await insert(world, "items", "order_id, item, amount, product_id", items)
    return await world.open(*specs)


async def value(backing: Any, sources: Any, key: bytes) -> Any:
    source = sources.owner(key)
    assert source is not None, key
    return (await backing.get_many(source, [key])).values.get(key)


async def test_types_mean_the_same_everywhere(sql_world: Any) -> None:
    await sql_world.execute(ROW.format(true=truth(sql_world, True)))
    backing, sources = await sql_world.open()
    row = await value(backing, sources, b"products:1")
    assert isinstance(row, Row)
    shown = json.loads(row.json())
    extra = shown.pop("extra")
    # MariaDB's JSON is text by another name
    assert (json.loads(extra) if sql_world.kind == "mariadb" else extra) == {"a": [1, None]}
    assert shown.pop("sold") in (True, 1)
    assert list(shown.items()) == [
        ("id", 1),
        ("name", "Grüße 😀 '\"%s"),
        ("price", "9.50"),
        ("made", "2024-02-29"),
        ("seen", "2024-05-01T10:00:00"),
        ("photo", None),
        ("big", 9223372036854775807),
        ("ratio", 0.1),
    ]
    fields = row.fields()
    assert b"photo" not in fields
    assert fields[b"name"] == "Grüße 😀 '\"%s".encode()
    assert (fields[b"price"], fields[b"sold"], fields[b"big"]) == (
        b"9.50",
        b"1",
        b"9223372036854775807",
    )
    assert (fields[b"made"], fields[b"seen"]) == (b"2024-02-29", b"2024-05-01T10:00:00")


async def test_what_is_read_can_be_written_back(sql_world: Any) -> None:
    await sql_world.execute(ROW.format(true=truth(sql_world, False)))
    backing, sources = await sql_world.open()
    source = sql_world.source(sources, "products")
    before = await value(backing, sources, b"products:1")
    photo = bytes(range(256))
    fields = {name.decode(): data for name, data in before.fields().items()}
    del fields["id"]
    await backing.put_many(source, {b"products:2": {**fields, "photo": photo}})
    after = await value(backing, sources, b"products:2")
    assert after.fields() == {**before.fields(), b"id": b"2", b"photo": photo}


async def test_unicode_and_uuid_and_composite_keys(sql_world: Any) -> None:
    await insert(sql_world, "users", "name, city", "('Zoë 😀', 'Köln'), ('o''brien; --', 'Cork')")
    uuid = "0f8fad5b-d9cb-469f-a165-70867728950e"
    await insert(sql_world, "tokens", "id, owner", f"('{uuid}', 'me')")
    await insert(sql_world, "items", "order_id, item, amount", "(-7, 'x', 3), (7, 'x', 4)")
    backing, sources = await sql_world.open()
    assert (await value(backing, sources, "users:Zoë 😀".encode())).get(b"city") == "Köln".encode()
    assert (await value(backing, sources, b"users:o'brien; --")).get(b"city") == b"Cork"
    assert (await value(backing, sources, b"tokens:" + uuid.encode())).get(b"owner") == b"me"
    assert (await value(backing, sources, b"items:-7:x")).get(b"amount") == b"3"
    assert sources.owner(b"items:7") is None
    items = sql_world.source(sources, "items")
    keys = [b"items:7:x", b"items:-7:x", b"items:-7:y", b"items:7:X"]
    loaded = await backing.get_many(items, keys)
    assert (sorted(loaded.values), loaded.statements) == ([b"items:-7:x", b"items:7:x"], 1)


async def test_a_name_that_differs_in_case_is_another_key(sql_world: Any) -> None:
    await insert(sql_world, "users", "name, city", "('bob', 'Rome')")
    backing, sources = await sql_world.open()
    users = sql_world.source(sources, "users")
    assert list((await backing.get_many(users, [b"users:BOB", b"users:bob"])).values) == [
        b"users:bob"
    ]
    assert (await backing.get_many(users, [b"users:BOB", b"users:bob "])).values == {}


HOSTILE = [
    b"users:' OR '1'='1",
    b"users:\\' OR 1=1 -- ",
    b"users:'; DROP TABLE users; --",
    b'users:" OR ""="',
    b"users:%s%s%n",
    b"users:%(name)s",
    b"users:$1",
    b"users:?",
    b"users:{name}",
    b"users:\\",
    b"users:\n\r\t\x1a",
    b"users:" + "\U0001d54f\u202e".encode(),
]


async def test_hostile_keys_find_nothing_and_change_nothing(sql_world: Any) -> None:
    await insert(sql_world, "users", "name, city", "('bob', 'Rome')")
    query = {
        "name": "city",
        "match": "city:{name}",
        "query": "select city from users where name = :name and 'it''s :x' <> ''",
    }
    backing, sources = await sql_world.open(query)
    users, city = sql_world.source(sources, "users"), sql_world.source(sources, "city")
    for key in HOSTILE:
        if sources.owner(key) is not None:
            assert (await backing.get_many(users, [key])).values == {}, key
    owned = [key for key in HOSTILE if sources.owner(key) is not None]
    assert len(owned) > 8
    assert list((await backing.get_many(users, [*owned, b"users:bob"])).values) == [b"users:bob"]
    named = [key.replace(b"users:", b"city:") for key in owned]
    loaded = await backing.get_many(city, [*named, b"city:bob"])
    assert loaded.values.pop(b"city:bob") == b'[{"city":"Rome"}]'
    assert set(loaded.values.values()) == {b"[]"}
    for key in owned:  # and each can be a row like any other
        if len(key) < 30:
            await backing.put_many(users, {key: {"city": "x"}})
            assert (await backing.get_many(users, [key])).values[key].get(b"city") == b"x"


async def test_keys_no_column_can_hold_are_absent_not_errors(sql_world: Any) -> None:
    backing, sources = await products(sql_world, 2)
    source = sql_world.source(sources, "products")
    huge = [b"products:9223372036854775807", b"products:-9223372036854775808", b"products:-1"]
    assert list((await backing.get_many(source, [*huge, b"products:1"])).values) == [b"products:1"]
    for key in huge:
        assert (await backing.get_many(source, [key])).values == {}
    assert sources.owner(b"products:9223372036854775808") is None
    assert sources.owner(b"users:\xff\xfe") is None
    assert sources.owner(b"users:a\x00b") is None
    too_long = b"users:" + b"x" * 31
    assert (sources.owner(too_long) is None) == (sql_world.kind != "sqlite")


async def test_a_batch_beyond_the_bind_limit_is_chunked(sql_world: Any) -> None:
    backing, sources = await products(sql_world, 50)
    source = sql_world.source(sources, "products")
    limit = source.bound.limit
    keys = [b"products:%d" % n for n in range(1, limit + 2)]
    loaded = await backing.get_many(source, keys)
    assert (len(loaded.values), loaded.statements) == (50, 2)
    assert (await backing.get_many(source, keys[:limit])).statements == 1
    items = sql_world.source(sources, "items")
    keys = [b"items:%d:a" % n for n in range(1, items.bound.limit + 2)]
    loaded = await backing.get_many(items, keys)
    assert (len(loaded.values), loaded.statements) == (50, 2)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 31, 33])
async def test_any_number_of_keys_is_one_statement(sqlite_world: Any, count: int) -> None:
    backing, sources = await products(sqlite_world, 40)
    keys = [b"products:%d" % n for n in range(1, count + 1)]
    loaded = await backing.get_many(sources.owner(keys[0]), keys)
    assert (len(loaded.values), loaded.statements) == (count, 1)


QUERIES: list[dict[str, Any]] = [
    {"match": "top:{id:int}", "as": "json",
     "query": "select item, amount from items where order_id = :id order by amount desc limit 2"},
    {"match": "all:{id:int}", "as": "json",
     "query": "select item, amount from items where order_id = :id order by amount desc;"},
    {"match": "limited:{id:int}:{n:int}", "as": "json",
     "query": "select item from items where order_id = :id order by item limit :n"},
    {"match": "first:{id:int}", "as": "hash",
     "query": "with mine as (select * from items where order_id = :id)"
              " select item, amount from mine -- one\n order by amount"},
    {"match": "count:{id:int}", "as": "column:n",
     "query": "select count(*) as n from items where order_id = :id and :id > 0"},
    {"match": "row:{id:int}", "as": "row",
     "query": "select id, price, extra from products where id = :id /* :no */"},
    {"match": "by:{item}:{id:int}", "as": "column:amount",
     "query": "select amount from items where item = :item and order_id = :id"},
    {"match": "either:{id:int}", "as": "json",
     "query": "select item as x from items where order_id = :id union all"
              " select name from products where id = :id order by x"},
    {"match": "grouped:{id:int}", "as": "json",
     "query": "select item, count(*) as n, sum(amount) as total from items"
              " where order_id >= :id and order_id < :id + 2 group by item"
              " having sum(amount) > :id order by total, item"},
    {"match": "everything", "as": "json", "query": "select count(*) as n from products"},
]  # fmt: skip


@pytest.fixture
async def queried(sql_world: Any) -> tuple[Any, Any]:
    return await products(sql_world, 100, *QUERIES)


async def test_the_value_of_a_query(queried: tuple[Any, Any]) -> None:
    backing, sources = queried
    assert await value(backing, sources, b"top:3") == (
        b'[{"item":"b","amount":3},{"item":"a","amount":2}]'
    )
    assert await value(backing, sources, b"top:1000") == b"[]"
    assert await value(backing, sources, b"limited:3:1") == b'[{"item":"a"}]'
    assert await value(backing, sources, b"first:3") == {b"item": b"c", b"amount": b"1"}
    assert await value(backing, sources, b"first:1000") is None
    assert await value(backing, sources, b"count:3") == b"3"
    assert await value(backing, sources, b"count:1000") == b"0"
    assert await value(backing, sources, b"by:a:3") == b"2"
    assert await value(backing, sources, b"by:z:3") is None
    assert await value(backing, sources, b"everything") == b'[{"n":100}]'
    row = await value(backing, sources, b"row:3")
    assert row.json() == b'{"id":3,"price":"3.25","extra":null}'


@pytest.mark.parametrize("name", ["top:{}", "all:{}", "limited:{}:2", "first:{}", "count:{}",
                                  "row:{}", "by:b:{}", "either:{}", "grouped:{}"])  # fmt: skip
async def test_many_keys_of_a_query_are_one_statement_and_the_same_values(
    queried: tuple[Any, Any], name: str
) -> None:
    backing, sources = queried
    keys = [name.format(n).encode() for n in range(90, 111)]
    source = sources.owner(keys[0])
    together = await backing.get_many(source, keys)
    assert together.statements == 1
    alone = {key: await value(backing, sources, key) for key in keys}
    shown = {key: v.json() if isinstance(v, Row) else v for key, v in together.values.items()}
    assert shown == {
        key: v.json() if isinstance(v, Row) else v for key, v in alone.items() if v is not None
    }


async def test_more_keys_than_copies_are_several_statements(queried: tuple[Any, Any]) -> None:
    backing, sources = queried
    keys = [b"top:%d" % n for n in range(1, 201)]
    source = sources.owner(keys[0])
    loaded = await backing.get_many(source, keys)
    assert len(loaded.values) == 200
    assert loaded.statements == -(-200 // source.bound.limit)


BROKEN = [
    ({"query": "select * from products where id = :nr"}, ":nr is not a field"),
    ({"query": "delete from products"}, "not a SELECT"),
    ({"query": "select 1; select 2"}, "more than one statement"),
    ({"query": "with x as (delete from products returning id) select * from x"}, "changes data"),
    ({"query": "select * from no_such_table where id = :id"}, "no_such_table"),
    ({"query": "select i.order_id, p.id, i.order_id from items i, products p"}, "twice|uplicate"),
    ({"query": "select id from products where id = :id", "as": "column:name"}, "columns are id"),
    ({"query": "select 'x"}, "without end"),
    ({"query": ""}, "needs a `query`"),
    ({"table": "events", "match": ""}, "no primary key"),
    ({"table": "nowhere", "match": ""}, "no such table"),
    ({"table": "products", "match": "p:{nr:int}"}, "must have the fields 'id'"),
    ({"table": "products", "match": "p:{id:uuid}"}, "'id' is int in the table, uuid in"),
]


@pytest.mark.parametrize(("spec", "reason"), BROKEN)
async def test_a_source_that_cannot_work_is_refused_when_it_opens(
    sql_world: Any, spec: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        await sql_world.open({"name": "mine", "match": "mine:{id:int}", **spec})
    assert "source 'mine'" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_table_may_have_its_own_keys_and_options(sql_world: Any) -> None:
    spec = {
        "table": "items",
        "match": "item:{item}:{order_id}",
        "ttl": "5m",
        "write": "through",
    }
    backing, sources = await products(sql_world, 2, spec)
    row = await value(backing, sources, b"item:a:2")
    assert row.get(b"amount") == b"2"
    assert (sources.by_name("items").options.ttl, sources.by_name("items").options.write) == (
        300.0,
        "through",
    )
    assert sources.owner(b"items:2:a") is None
    assert sources.owner(b"item:a:02") is None  # the column says it is an integer
    await backing.delete_many(sources.by_name("items"), [b"item:a:2"])
    assert await value(backing, sources, b"item:a:2") is None
    assert await value(backing, sources, b"item:b:2") is not None


async def test_reflection_tells_links_and_what_is_no_source(sql_world: Any) -> None:
    backing, sources = await sql_world.open()
    assert backing.links() == [Link("items", "product_id", "products", "id")]
    assert "no primary key" in backing.skipped["events"]
    assert sources.by_name("events") is None


async def test_names_that_need_quoting(sql_world: Any) -> None:
    backing, sources = await sql_world.open()
    source = sql_world.source(sources, "odd names")
    await backing.put_many(source, {b"odd names:%d" % n: {"a:b": "x%", "order": n} for n in (1, 2)})
    await backing.put_many(source, {b"odd names:1": {"order": b"7"}})
    loaded = await backing.get_many(source, [b"odd names:1", b"odd names:2"])
    assert loaded.values[b"odd names:1"].fields() == {
        b"per%cent": b"1",
        b"a:b": b"x%",
        b"order": b"7",
    }
    await backing.delete_many(source, [b"odd names:1"])
    assert list((await backing.get_many(source, list(loaded.values))).values) == [b"odd names:2"]


async def test_a_write_is_one_transaction(sql_world: Any) -> None:
    backing, sources = await products(sql_world, 3)
    source = sql_world.source(sources, "products")
    bad = {b"products:1": {"name": "changed"}, b"products:2": {"name": None}}
    with pytest.raises(BackingError):
        await backing.put_many(source, bad)
    with pytest.raises(BackingError, match="is not there"):
        await backing.put_many(
            source, {b"products:1": {"price": "1"}, b"products:777": {"price": "2"}}
        )
    row = await value(backing, sources, b"products:1")
    assert (row.get(b"name"), row.get(b"price")) == (b"name 1", b"1.25")
    assert await value(backing, sources, b"products:777") is None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"nome": "x"}, "no column 'nome'"),
        ({"name": "x", "id": 5}, "differs from the key"),
        ({"name": b"\xff"}, "takes text"),
    ],
)
async def test_a_row_that_does_not_fit_is_refused(
    sql_world: Any, row: dict[str, Any], reason: str
) -> None:
    backing, sources = await sql_world.open()
    source = sql_world.source(sources, "products")
    with pytest.raises(BackingError, match=reason):
        await backing.put_many(source, {b"products:4": row})
    assert await value(backing, sources, b"products:4") is None


async def test_a_partial_row_updates_and_null_is_null(sql_world: Any) -> None:
    backing, sources = await products(sql_world, 3)
    source = sql_world.source(sources, "products")
    await backing.put_many(
        source, {b"products:1": {"price": b"7.5"}, b"products:2": {"price": None, "made": None}}
    )
    loaded = await backing.get_many(source, [b"products:1", b"products:2"])
    assert loaded.values[b"products:1"].get(b"price") == b"7.50"
    assert loaded.values[b"products:1"].get(b"name") == b"name 1"
    assert loaded.values[b"products:2"].get(b"price") is None


async def test_a_query_cannot_be_written(queried: tuple[Any, Any]) -> None:
    backing, sources = queried
    with pytest.raises(BackingError, match="cannot be written"):
        await backing.put_many(sources.owner(b"top:1"), {b"top:1": {"item": "x"}})


async def test_a_table_that_goes_away_is_an_error_and_the_rest_works_on(sql_world: Any) -> None:
    await insert(sql_world, "users", "name, city", "('bob', 'Rome')")
    backing, sources = await products(sql_world, 3)
    await sql_world.spoil("DROP TABLE items")
    with pytest.raises(BackingError, match="items") as caught:
        await value(backing, sources, b"items:1:a")
    assert "\n" not in str(caught.value) and "SELECT" not in str(caught.value)
    assert (await value(backing, sources, b"users:bob")).get(b"city") == b"Rome"


async def test_a_column_that_is_added_shows_in_select_star(sql_world: Any) -> None:
    spec = {"match": "u:{name}", "query": "select * from users where name = :name", "as": "row"}
    await insert(sql_world, "users", "name, city", "('bob', 'Rome')")
    backing, sources = await sql_world.open(spec)
    assert (await value(backing, sources, b"u:bob")).columns == ("name", "city")
    await sql_world.spoil("ALTER TABLE users ADD COLUMN age INTEGER")
    assert (await value(backing, sources, b"u:bob")).columns == ("name", "city", "age")
    assert (await value(backing, sources, b"users:bob")).columns == ("name", "city")


async def test_the_pool_bounds_connections(sql_world: Any) -> None:
    import asyncio

    separator = "?"
    await products(sql_world, 30)
    backing, sources = await sql_world.open(parameters=f"{separator}pool_size=2")
    source = sql_world.source(sources, "products")
    loads = (backing.get_many(source, [b"products:%d" % n]) for n in range(1, 31))
    loaded = await asyncio.gather(*loads)
    assert sum(len(one.values) for one in loaded) == 30
    if sql_world.kind == "postgresql":
        rows = await sql_world.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'antecache'"
        )
        assert 1 <= rows[0][0] <= 2 + 8  # the other backing of this test has eight at most


async def test_many_composite_keys_use_the_index_of_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "lines.db"
    with sqlite3.connect(path) as database:
        database.execute("create table lines (item text, part integer, primary key (item, part))")
    backing = open_backing(f"sqlite:///{path}")
    (source,) = await backing.open()
    try:
        sql, params = source.bound.select([("a", 1), ("b", 2), ("c", 3)])  # type: ignore[attr-defined]
    finally:
        await backing.close()
    with sqlite3.connect(path) as database:
        plan = [row[3] for row in database.execute(f"explain query plan {sql}", params)]
    assert any("SEARCH lines USING" in step and "item=? AND part=?" in step for step in plan), plan
    assert not any("SCAN lines" in step for step in plan), plan
