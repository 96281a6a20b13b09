"""The rows of the sample shop, drawn at random but the same for the same seed.

What real shops look like is kept: a few products that everybody buys and many
that nobody does, customers who come back, orders that grow in number, values
that are unknown.

What this file does not do: say what the tables are or write them (`shop.py`).
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from itertools import count
from typing import Any

from antecache.server import shop_words as words

PRODUCTS = 5_000
CUSTOMERS = 10_000
ORDERS = 20_000
REVIEWS = 8_000
_OPENED = dt.datetime(2021, 3, 1, 8, 0)
_TODAY = dt.datetime(2026, 6, 30, 20, 0)  # fixed, so that the same seed makes the same shop

Row = dict[str, Any]


def tables(rng: random.Random) -> Iterator[tuple[str, list[Row]]]:
    """Each table's name and its rows, in an order in which references hold."""
    kinds = _categories()
    yield "categories", kinds
    goods = [_product(rng, number, kinds) for number in range(1, PRODUCTS + 1)]
    yield "products", goods
    people = [_customer(rng, number) for number in range(1, CUSTOMERS + 1)]
    yield "customers", people
    # Who buys, and what is bought, follows a power law over a random order, as in real shops.
    buyers = rng.sample(people, len(people))
    wanted = rng.sample(goods, len(goods))
    placed = sorted(_moment(rng, _OPENED) for _ in range(ORDERS))
    sold, lines = [], []
    line_ids = count(1)
    for number, moment in enumerate(placed, start=1):
        order, parts = _order(rng, number, moment, _skewed(rng, buyers), wanted, line_ids)
        sold.append(order)
        lines += parts
    yield "orders", sold
    yield "order_lines", lines
    yield "carts", [_cart(rng, person, wanted) for person in people if rng.random() < 0.6]
    yield "reviews", _reviews(rng, buyers, wanted)


def _skewed(rng: random.Random, things: list[Row]) -> Row:
    return things[int(len(things) * rng.random() ** 3)]


def _moment(rng: random.Random, since: dt.datetime) -> dt.datetime:
    """A moment between `since` and today, more often late than early: the shop grows."""
    seconds = int((_TODAY - since).total_seconds() * rng.random() ** 0.6)
    return since + dt.timedelta(seconds=seconds)


def _categories() -> list[Row]:
    rows: list[Row] = []
    for department, sections in words.DEPARTMENTS.items():
        parent = len(rows) + 1
        rows.append({"id": parent, "parent_id": None, "name": department})
        for thing in sections.split():
            section = f"{thing.replace('_', ' ')}s".capitalize()
            rows.append({"id": len(rows) + 1, "parent_id": parent, "name": section})
    return rows


def _product(rng: random.Random, number: int, kinds: list[Row]) -> Row:
    kind = rng.choice([kind for kind in kinds if kind["parent_id"]])
    thing = kind["name"].removesuffix("s").lower()
    look = f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.MATERIALS)}".capitalize()
    listed = _moment(rng, _OPENED).date()
    gone = rng.random() < 0.08
    return {
        "id": number,
        "category_id": kind["id"],
        "sku": f"{kind['name'][:3].upper()}-{number:06d}",
        "name": f"{look} {thing} {rng.choice(words.SERIES)}",
        "price": round(rng.lognormvariate(3.2, 0.9), 2),
        "weight_kg": None if rng.random() < 0.15 else round(rng.lognormvariate(-0.5, 1.0), 3),
        "stock": 0 if gone else int(rng.paretovariate(0.8)),
        "description": " ".join(rng.choice(words.SENTENCES) for _ in range(rng.randint(1, 5))),
        "listed_on": listed,
        "discontinued_on": _moment(rng, dt.datetime.combine(listed, dt.time())).date()
        if gone
        else None,
    }


def _customer(rng: random.Random, number: int) -> Row:
    first, last = rng.choice(words.FIRST_NAMES), rng.choice(words.LAST_NAMES)
    born = dt.date(1940, 1, 1) + dt.timedelta(days=rng.randrange(66 * 365))
    return {
        "id": number,
        "name": f"{first} {last}",
        # example.com and its like are reserved for documentation (RFC 2606).
        "email": f"{_plain(first)}.{_plain(last)}{number}@{rng.choice(words.MAIL_DOMAINS)}",
        "phone": None if rng.random() < 0.3 else f"+1 555 01{rng.randrange(100):02d}",
        "city": rng.choice(words.CITIES),
        "birthday": None if rng.random() < 0.25 else born,
        "newsletter": rng.random() < 0.4,
        "joined_at": _moment(rng, _OPENED),
    }


def _plain(name: str) -> str:
    return name.lower().translate(str.maketrans("ëéøłöüçáåñíïó'", "eeoloucaaniio-"))


def _order(
    rng: random.Random,
    number: int,
    placed: dt.datetime,
    buyer: Row,
    wanted: list[Row],
    line_ids: Iterator[int],
) -> tuple[Row, list[Row]]:
    cents = 0
    lines = []
    for line in range(1, min(1 + int(rng.expovariate(0.5)), 12) + 1):
        product = _skewed(rng, wanted)
        quantity = rng.choice((1, 1, 1, 2, 2, 3, 6))
        cents += quantity * round(product["price"] * 100)
        lines.append(
            {
                "id": next(line_ids),
                "order_id": number,
                "product_id": product["id"],
                "line": line,
                "quantity": quantity,
                "price": product["price"],
            }
        )
    age = _TODAY - placed
    if rng.random() < 0.04:
        status, shipped = "cancelled", None
    elif age < dt.timedelta(days=2):
        status, shipped = "open", None
    else:
        status = "shipped" if age < dt.timedelta(days=7) else "delivered"
        shipped = placed + dt.timedelta(minutes=rng.randrange(90, 2 * 24 * 60))
    order = {
        "id": number,
        "customer_id": buyer["id"],
        "status": status,
        "total": cents / 100,
        "placed_at": placed,
        "shipped_at": shipped,
    }
    return order, lines


def _cart(rng: random.Random, person: Row, wanted: list[Row]) -> Row:
    return {
        "customer_id": person["id"],
        "product_id": _skewed(rng, wanted)["id"],
        "quantity": rng.randint(1, 3),
        "coupon": f"SAVE{rng.choice((5, 10, 20))}" if rng.random() < 0.2 else None,
        "updated_at": _moment(rng, person["joined_at"]),
    }


def _reviews(rng: random.Random, buyers: list[Row], wanted: list[Row]) -> list[Row]:
    rows = []
    for number, moment in enumerate(sorted(_moment(rng, _OPENED) for _ in range(REVIEWS)), 1):
        stars = rng.choices((1, 2, 3, 4, 5), (6, 4, 10, 30, 50))[0]
        remarks = words.PRAISE if stars > 3 else words.COMPLAINTS
        rows.append(
            {
                "id": number,
                "product_id": _skewed(rng, wanted)["id"],
                "customer_id": _skewed(rng, buyers)["id"],
                "stars": stars,
                "title": None if rng.random() < 0.35 else rng.choice(remarks),
                "body": " ".join(rng.choice(remarks) for _ in range(rng.randint(1, 4))),
                "written_at": moment,
            }
        )
    return rows
