"""The sample shop: the same for the same seed, consistent, complete or not there at all."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, inspect, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from antecache.server import shop, shop_rows
from antecache.server.backing.base import BackingError
from antecache.server.errors import ConfigError


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    shop.create(path)
    return path


@pytest.fixture
def engine(database: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{database}")
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shops made from here on are small, for tests of how they are written."""
    for name in ("PRODUCTS", "CUSTOMERS", "ORDERS", "REVIEWS"):
        monkeypatch.setattr(shop_rows, name, 40)


def one(connection: Connection, query: str) -> Any:
    return connection.execute(text(query)).scalar_one()


def test_it_has_some_hundred_thousand_rows(connection: Connection) -> None:
    rows = {table: one(connection, f"select count(*) from {table}") for table in shop.SHOP.tables}
    assert all(rows.values())
    assert 80_000 < sum(rows.values()) < 150_000


def test_references_hold(connection: Connection) -> None:
    assert connection.execute(text("pragma foreign_key_check")).all() == []
    assert one(connection, "pragma integrity_check") == "ok"


def test_the_database_declares_its_references(engine: Engine) -> None:
    """Links between keys are seeded from them."""
    seen = {
        (table, key["constrained_columns"][0], key["referred_table"])
        for table in shop.SHOP.tables
        for key in inspect(engine).get_foreign_keys(table)
    }
    assert {
        ("orders", "customer_id", "customers"),
        ("order_lines", "order_id", "orders"),
        ("order_lines", "product_id", "products"),
        ("carts", "customer_id", "customers"),
        ("products", "category_id", "categories"),
        ("categories", "parent_id", "categories"),
    } <= seen


def test_totals_are_the_sums_of_their_lines(connection: Connection) -> None:
    wrong = """
        select count(*) from orders where abs(total - (
            select sum(quantity * price) from order_lines where order_id = orders.id)) > 0.001
    """
    assert one(connection, wrong) == 0


def test_time_runs_forward(connection: Connection) -> None:
    assert one(connection, "select count(*) from orders where shipped_at <= placed_at") == 0
    assert one(connection, "select count(*) from products where discontinued_on < listed_on") == 0
    late = "select count(*) from orders a join orders b on b.id = a.id + 1"
    assert one(connection, f"{late} where b.placed_at < a.placed_at") == 0


def test_some_things_are_unknown(connection: Connection) -> None:
    for table, column in (
        ("customers", "phone"),
        ("customers", "birthday"),
        ("products", "weight_kg"),
        ("orders", "shipped_at"),
        ("reviews", "title"),
        ("carts", "coupon"),
    ):
        share = f"select avg({column} is null) from {table}"
        assert 0 < one(connection, share) < 1


def test_a_few_products_sell_and_most_do_not(connection: Connection) -> None:
    sold = Counter(
        product for (product,) in connection.execute(text("select product_id from order_lines"))
    )
    best = sum(count for _, count in sold.most_common(shop_rows.PRODUCTS // 10))
    assert 0.35 < best / sold.total() < 0.8


def test_addresses_are_ones_that_belong_to_nobody(connection: Connection) -> None:
    """RFC 2606 reserves these domains, and 555-01xx is kept for fiction."""
    strange = """
        select count(*) from customers
        where not (email like '%@example.com' or email like '%@example.net'
                   or email like '%@example.org')
           or phone not like '+1 555 01__' or email glob '*[^a-z0-9.@-]*'
    """
    assert one(connection, strange) == 0


def test_values_come_back_as_what_they_are(engine: Engine) -> None:
    with engine.connect() as connection:
        product = connection.execute(shop.products.select().limit(1)).mappings().one()
        assert isinstance(product["listed_on"], dt.date)
        order = connection.execute(shop.orders.select().limit(1)).mappings().one()
        assert isinstance(order["placed_at"], dt.datetime)
        assert round(order["total"], 2) == order["total"]


def test_the_same_seed_makes_the_same_shop(database: Path, tmp_path: Path) -> None:
    def content(path: Path) -> list[Any]:
        engine = create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            rows = [connection.execute(table.select()).all() for table in shop.SHOP.sorted_tables]
        engine.dispose()
        return rows

    again = tmp_path / "again.db"
    shop.create(again)
    assert content(again) == content(database)


def test_another_seed_makes_another_shop(small: None) -> None:
    one, other = (dict(shop_rows.tables(random.Random(seed))) for seed in (1, 2))
    assert one.keys() == other.keys()
    assert one["categories"] == other["categories"]
    assert all(one[name] != other[name] for name in one.keys() - {"categories"})


def test_a_shop_that_is_there_is_kept_unless_told_otherwise(tmp_path: Path, small: None) -> None:
    path = tmp_path / "shop.db"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        shop.create(path)
    assert path.read_text() == "mine"
    shop.create(path, force=True)
    assert path.read_bytes().startswith(b"SQLite format 3\0")


def test_a_shop_that_fails_half_way_leaves_nothing(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shop.db"
    path.write_text("the one before")

    def breaks(*_: object) -> list[Any]:
        raise RuntimeError("broke off")

    monkeypatch.setattr(shop_rows, "_reviews", breaks)
    with pytest.raises(RuntimeError, match="broke off"):
        shop.create(path, force=True)
    assert [found.name for found in tmp_path.iterdir()] == ["shop.db"]
    assert path.read_text() == "the one before"


def test_a_place_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        shop.create(tmp_path / "absent" / "shop.db")


@pytest.fixture(params=["postgres_url", "mariadb_url"])
async def empty_database(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """URL of a database of this test's own: the shop's tables have the names they have."""
    url = make_url(request.getfixturevalue(request.param))
    driver = shop.DRIVERS[url.drivername]
    engine = create_async_engine(url.set(drivername=driver), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("create database test_of_the_shop"))
        yield url.set(database="test_of_the_shop").render_as_string(hide_password=False)
        await connection.execute(text("drop database test_of_the_shop"))
    await engine.dispose()


async def test_a_database_is_filled_once(empty_database: str, small: None) -> None:
    rows = await shop.fill(empty_database)
    assert rows.keys() == shop.SHOP.tables.keys()
    with pytest.raises(FileExistsError, match="has a table carts already"):
        await shop.fill(empty_database)
    url = make_url(empty_database)
    engine = create_async_engine(url.set(drivername=shop.DRIVERS[url.drivername]))
    try:
        async with engine.begin() as connection:
            for name, expected in rows.items():
                found = await connection.execute(text(f"select count(*) from {name}"))
                assert found.scalar_one() == expected
            # The application may go on to write: new rows get ids that are free.
            added = {"parent_id": None, "name": "New"}
            await connection.execute(shop.categories.insert().values(added))
            newest = await connection.execute(text("select max(id) from categories"))
            assert newest.scalar_one() == rows["categories"] + 1
    finally:
        await engine.dispose()


async def test_a_database_that_cannot_be_filled_is_said_to_be_so(unused_tcp_port: int) -> None:
    with pytest.raises(ConfigError, match="no shop can be made in 'oracle:' databases"):
        await shop.fill("oracle://host/name")
    with pytest.raises(BackingError):
        await shop.fill(f"postgresql://me@127.0.0.1:{unused_tcp_port}/name")
    with pytest.raises(BackingError):
        await shop.fill(f"mysql://me@127.0.0.1:{unused_tcp_port}/name")
