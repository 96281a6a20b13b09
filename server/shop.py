"""A sample database: an online shop, the same for the same seed.

Ten minutes with antecache need a database that looks like one: keys that refer
to keys, decimals, dates, NULLs. `create` makes an SQLite file, which appears
complete or not at all; `fill` puts the same tables into a database that is
there already, in one transaction.

What this file does not do: make up the rows (`shop_rows.py`), know anything of
the cache, or take part in serving.
"""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from antecache.server.backing.base import BackingError
from antecache.server.errors import ConfigError
from antecache.server.shop_rows import tables

#: By scheme, the driver that the SQL backing uses too.
DRIVERS = {
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mysql+asyncmy",
}

SHOP = sa.MetaData()

# SQLite keeps a NUMERIC as a float; asdecimal=False says so instead of warning at every row.
_MONEY = sa.Numeric(10, 2, asdecimal=False)


def _reference(name: str, table: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.ForeignKey(f"{table}.id"), nullable=nullable)


def _table(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
    # A MariaDB may still make tables that cannot hold every name.
    return sa.Table(name, SHOP, *columns, mysql_charset="utf8mb4")


categories = _table(
    "categories",
    sa.Column("id", sa.Integer, primary_key=True),
    _reference("parent_id", "categories", nullable=True),
    sa.Column("name", sa.String(60), nullable=False),
)
products = _table(
    "products",
    sa.Column("id", sa.Integer, primary_key=True),
    _reference("category_id", "categories"),
    sa.Column("sku", sa.String(12), nullable=False, unique=True),
    sa.Column("name", sa.String(120), nullable=False),
    sa.Column("price", _MONEY, nullable=False),
    sa.Column("weight_kg", sa.Numeric(6, 3, asdecimal=False)),
    sa.Column("stock", sa.Integer, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("listed_on", sa.Date, nullable=False),
    sa.Column("discontinued_on", sa.Date),
)
customers = _table(
    "customers",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("email", sa.String(120), nullable=False, unique=True),
    sa.Column("phone", sa.String(20)),
    sa.Column("city", sa.String(40), nullable=False),
    sa.Column("birthday", sa.Date),
    sa.Column("newsletter", sa.Boolean, nullable=False),
    sa.Column("joined_at", sa.DateTime, nullable=False),
)
orders = _table(
    "orders",
    sa.Column("id", sa.Integer, primary_key=True),
    _reference("customer_id", "customers"),
    sa.Column("status", sa.String(10), nullable=False),
    sa.Column("total", _MONEY, nullable=False),
    sa.Column("placed_at", sa.DateTime, nullable=False),
    sa.Column("shipped_at", sa.DateTime),
    sa.Index("orders_of_a_customer", "customer_id", "placed_at"),
)
order_lines = _table(
    "order_lines",
    sa.Column("id", sa.Integer, primary_key=True),
    _reference("order_id", "orders"),
    _reference("product_id", "products"),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("price", _MONEY, nullable=False),
    sa.UniqueConstraint("order_id", "line"),
)
# A customer has one cart at most, so its key is the customer's: carts:42 follows customers:42.
carts = _table(
    "carts",
    sa.Column("customer_id", sa.ForeignKey("customers.id"), primary_key=True),
    _reference("product_id", "products"),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("coupon", sa.String(12)),
    sa.Column("updated_at", sa.DateTime, nullable=False),
)
reviews = _table(
    "reviews",
    sa.Column("id", sa.Integer, primary_key=True),
    _reference("product_id", "products"),
    _reference("customer_id", "customers"),
    sa.Column("stars", sa.Integer, sa.CheckConstraint("stars between 1 and 5"), nullable=False),
    sa.Column("title", sa.String(60)),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("written_at", sa.DateTime, nullable=False),
    sa.Index("reviews_of_a_product", "product_id", "written_at"),
)


def create(path: Path, *, seed: int = 1, force: bool = False) -> dict[str, int]:
    """Make the shop at `path` and return the rows of each table.

    Raises FileExistsError when the file is there and `force` is not given, and
    OSError when it cannot be written.
    """
    if path.exists() and not force:
        raise FileExistsError(errno.EEXIST, "exists already", str(path))
    building = path.with_name(f".{path.name}.{os.getpid()}")
    building.touch(exist_ok=False)
    try:
        rows = _build(building, seed)
        building.replace(path)
    except sa.exc.DBAPIError as error:
        raise OSError(errno.EIO, str(error.orig), str(path)) from error
    finally:
        building.unlink(missing_ok=True)
    return rows


def _build(path: Path, seed: int) -> dict[str, int]:
    engine = sa.create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            # A half-built file is thrown away, so nothing is worth a journal.
            connection.exec_driver_sql("pragma journal_mode = off")
            connection.exec_driver_sql("pragma synchronous = off")
            rows = _write(connection, seed)
            connection.exec_driver_sql("analyze")
            connection.commit()
    finally:
        engine.dispose()
    with path.open("rb") as written:
        os.fsync(written.fileno())
    return rows


async def fill(url: str, *, seed: int = 1) -> dict[str, int]:
    """Make the shop's tables in the database at `url` and return the rows of each.

    Raises FileExistsError when one of the tables is there, ConfigError when the
    URL or its driver cannot be used, BackingError when the database fails.
    """
    driver = DRIVERS.get(url.partition(":")[0], "")
    if not driver:
        raise ConfigError(f"no shop can be made in '{url.partition(':')[0]}:' databases")
    try:
        engine = create_async_engine(sa.make_url(url).set(drivername=driver))
    except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
        raise ConfigError(f"{error} (pip install 'antecache[postgresql,mysql]')") from None
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_fill, seed)
    except sa.exc.DBAPIError as error:
        raise BackingError(str(error.orig)) from error
    except OSError as error:
        if isinstance(error, FileExistsError):
            raise
        raise BackingError(str(error)) from error
    finally:
        await engine.dispose()


def _fill(connection: sa.Connection, seed: int) -> dict[str, int]:
    there = set(sa.inspect(connection).get_table_names()) & set(SHOP.tables)
    if there:
        raise FileExistsError(errno.EEXIST, f"has a table {min(there)} already")
    rows = _write(connection, seed)
    if connection.dialect.name == "postgresql":
        # The ids were given, so the sequences behind them still stand at the start.
        for table in SHOP.tables.values():
            if "id" in table.c:
                top = sa.select(sa.func.max(table.c.id)).scalar_subquery()
                name = sa.func.pg_get_serial_sequence(table.name, "id")
                connection.execute(sa.select(sa.func.setval(name, top)))
    return rows


def _write(connection: sa.Connection, seed: int) -> dict[str, int]:
    SHOP.create_all(connection)
    rows = {}
    for name, content in tables(random.Random(seed)):
        connection.execute(SHOP.tables[name].insert(), content)
        rows[name] = len(content)
    return rows
