"""The demo: visitors who read what a shop would, in step, and what is shown of it.

What this file does not do: ask how much prediction gains; the benches measure.
"""

from __future__ import annotations

import io
import itertools
import random
import re
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from antecache.server import demo, shop
from antecache.server.demo_shoppers import Crowd, Page, Seen, Zipf, show

pytest.importorskip("redis")

#: A shop of one product, as the shop's own code would see it.
SMALL: dict[str, Any] = {
    "categories:3": {"id": 3, "name": "Lamps"},
    "categories:3:products": [{"id": 7}, {"id": 8}],
    "products:7": {"id": 7, "category_id": 3},
    "products:8": {"id": 8, "category_id": 3},
    "products:7:reviews": [{"id": 70, "customer_id": 9}],
    "reviews:70": {"id": 70},
    "customers:9": {"id": 9},
    "carts:9": {"customer_id": 9, "product_id": 7},
    "customers:9:orders": [{"id": 50}],
    "orders:50": {"id": 50},
    "orders:50:lines": [{"id": 500}],
    "order_lines:500": {"id": 500, "product_id": 8},
}


class Reader:
    """Reads from a dict and remembers what was asked for."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.asked: list[str] = []

    def __call__(self, key: str) -> Any:
        self.asked.append(key)
        return self.content.get(key)


@pytest.mark.parametrize(
    ("page", "asked", "products"),
    [
        (
            Page("category", 3),
            ["categories:3", "categories:3:products", "products:7", "products:8"],
            [7, 8],
        ),
        (
            Page("product", 7),
            ["products:7", "categories:3", "products:7:reviews", "reviews:70", "customers:9"],
            [7],
        ),
        (Page("cart", 9), ["customers:9", "carts:9", "products:7"], [7]),
        (
            Page("orders", 9),
            [
                "customers:9",
                "customers:9:orders",
                "orders:50",
                "orders:50:lines",
                "order_lines:500",
                "products:8",
            ],
            [8],
        ),
    ],
)
def test_a_page_reads_what_it_shows(page: Page, asked: list[str], products: list[int]) -> None:
    read = Reader(SMALL)
    seen = show(page, read)
    assert read.asked == asked
    assert seen.products == products
    assert seen.category == 3


def test_a_customer_without_a_cart_sees_nothing() -> None:
    assert show(Page("cart", 1), Reader({"customers:1": {}})) == Seen()


def visits(seed: int, count: int) -> list[Page]:
    """Pages of a crowd in a shop where every page shows the same two products."""
    crowd = Crowd(products=100, customers=50, seed=seed)
    pages = []
    for page, tell in itertools.islice(crowd.pages(), count):
        pages.append(page)
        tell(Seen([1, 2], 3))
    return pages


def test_the_same_seed_brings_the_same_visitors() -> None:
    assert visits(1, 500) == visits(1, 500)
    assert visits(1, 500) != visits(2, 500)


def test_people_look_at_every_kind_of_page_and_at_what_is_there() -> None:
    pages = visits(3, 3000)
    kinds = Counter(page.kind for page in pages)
    assert set(kinds) == {"category", "product", "cart", "orders"}
    assert min(kinds.values()) > 100
    bounds = {"category": 3, "product": 100, "cart": 50, "orders": 50}
    assert all(1 <= page.id <= bounds[page.kind] for page in pages)


def test_popularity_follows_a_power_law() -> None:
    zipf = Zipf(random.Random(1), 1000, 1.0)
    drawn = Counter(zipf.draw() for _ in range(20_000))
    first, *_, tenth = (count for _, count in drawn.most_common(10))
    assert set(drawn) <= set(range(1, 1001))
    assert first == pytest.approx(10 * tenth, rel=0.35)


@pytest.fixture(scope="module")
def a_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "shop.db"
    shop.create(path)
    return path


@pytest.mark.timeout(120)
def test_two_servers_shop_in_step_and_the_numbers_are_theirs(a_shop: Path) -> None:
    printed = io.StringIO()
    console = Console(file=printed, width=110, force_terminal=False)
    code = demo.run(backing=f"sqlite:///{a_shop}", seconds=6, maxkeys=400, console=console)
    assert code == 0
    text = printed.getvalue()
    # Both were asked for the same keys; every wait of the one without prediction is a row.
    on, off = two(text, "keys read")
    assert on == off > 500
    waits_on, waits_off = two(text, "waits on the database")
    rows_on, rows_off = two(text, "rows asked of it")
    assert 0 < waits_off == rows_off < off
    assert 0 < waits_on < on
    assert rows_on >= waits_on
    assert "prediction on" in text and "prediction off" in text
    assert re.search(r"In \d+ seconds, with prediction \d+% (fewer|more) reads waited", text)
    assert "PREDICTOR EXPLAIN" in text
    assert "trigger:" in text and "rule:" in text


def two(text: str, label: str) -> tuple[int, int]:
    """The two counts in the table's last row of this name."""
    row = [line for line in text.splitlines() if label in line][-1]
    left, right = (int(cell.replace(",", "")) for cell in row.split("│")[2:4])
    return left, right


@pytest.mark.timeout(60)
def test_a_database_that_is_no_shop_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        for table, column in (
            ("products", "category_id integer, stock integer"),
            ("reviews", "product_id integer, customer_id integer, written_at text"),
            ("orders", "customer_id integer, placed_at text"),
            ("order_lines", "order_id integer, line integer"),
        ):
            connection.execute(f"create table {table} (id integer primary key, {column})")
    with pytest.raises(demo.DemoError, match="there is no shop"):
        demo.run(backing=f"sqlite:///{path}", seconds=1, console=Console(file=io.StringIO()))
