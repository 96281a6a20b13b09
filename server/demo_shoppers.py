"""People in the sample shop: who looks at what next, and the keys that a page reads.

A page is a function of what it shows: it reads a key, finds in the reply the
keys it needs next, and reads those one by one, as code over an ORM does (the
"N + 1 queries" that reviewers look for). Which page follows is a
Markov chain; which product and which customer it is about follows a power law
(Zipf), so a few are asked for all the time and most hardly ever. All of it is
drawn from one seeded generator.

What this file does not do: know servers or databases; it is given a function
that reads keys.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

Read = Callable[[str], Any]
"""The value of a key: parsed JSON, None for what is not there."""

#: What the shop's code asks for beside rows: lists, each with its query. A config file.
SOURCES = """
[[source]]
match = "categories:{id:int}:products"
query = "select id from products where category_id = :id order by stock desc, id limit 8"

[[source]]
match = "products:{id:int}:reviews"
query = '''
select id, customer_id from reviews where product_id = :id order by written_at desc, id limit 3'''

[[source]]
match = "customers:{id:int}:orders"
query = "select id from orders where customer_id = :id order by placed_at desc, id limit 2"

[[source]]
match = "orders:{id:int}:lines"
query = "select id from order_lines where order_id = :id order by line"
"""


class Page(NamedTuple):
    """A page to be looked at: `category`, `product`, `cart` or `orders`, and whose."""

    kind: str
    id: int


@dataclass(slots=True)
class Seen:
    """What a page showed that a visitor may look at next."""

    products: list[int] = field(default_factory=list)
    category: int = 0


def show(page: Page, read: Read) -> Seen:
    """Read every key that `page` needs, in the order the shop's code would."""
    return _PAGES[page.kind](page.id, read)


def _category(id_: int, read: Read) -> Seen:
    read(f"categories:{id_}")
    products = [row["id"] for row in read(f"categories:{id_}:products")]
    for product in products:
        read(f"products:{product}")
    return Seen(products, id_)


def _product(id_: int, read: Read) -> Seen:
    product = read(f"products:{id_}")
    category = product["category_id"]
    read(f"categories:{category}")
    for review in read(f"products:{id_}:reviews"):
        read(f"reviews:{review['id']}")
        read(f"customers:{review['customer_id']}")
    return Seen([id_], category)


def _cart(id_: int, read: Read) -> Seen:
    read(f"customers:{id_}")
    cart = read(f"carts:{id_}")
    if cart is None:  # four customers in ten have none
        return Seen()
    product = read(f"products:{cart['product_id']}")
    return Seen([cart["product_id"]], product["category_id"])


def _orders(id_: int, read: Read) -> Seen:
    read(f"customers:{id_}")
    seen = Seen()
    for order in read(f"customers:{id_}:orders"):
        read(f"orders:{order['id']}")
        for line in read(f"orders:{order['id']}:lines"):
            bought = read(f"order_lines:{line['id']}")["product_id"]
            seen.category = read(f"products:{bought}")["category_id"]
            seen.products.append(bought)
    return seen


_PAGES: dict[str, Callable[[int, Read], Seen]] = {
    "category": _category,
    "product": _product,
    "cart": _cart,
    "orders": _orders,
}

#: From a page, where people go, with weights; "" leaves the shop.
_NEXT: dict[str, dict[str, float]] = {
    "": {"category": 0.45, "product": 0.40, "orders": 0.15},
    "category": {"product": 0.75, "category": 0.10, "": 0.15},
    "product": {"product": 0.15, "category": 0.30, "cart": 0.20, "": 0.35},
    "cart": {"product": 0.35, "orders": 0.30, "": 0.35},
    "orders": {"product": 0.35, "": 0.65},
}


class Zipf:
    """Numbers from 1 to `count`: the n-th most popular is drawn with weight n ** -exponent."""

    def __init__(self, rng: random.Random, count: int, exponent: float) -> None:
        self._rng = rng
        self._by_rank = rng.sample(range(1, count + 1), count)
        self._sums = list(accumulate(rank**-exponent for rank in range(1, count + 1)))

    def draw(self) -> int:
        """One number."""
        return self._by_rank[bisect(self._sums, self._rng.random() * self._sums[-1])]


class Crowd:
    """Visitors who take turns, page by page; somebody enters for each who leaves.

    Products are numbered from 1 to `products`, customers likewise.
    """

    def __init__(self, *, products: int, customers: int, size: int = 8, seed: int = 1) -> None:
        self._rng = random.Random(seed)
        self._products = Zipf(self._rng, products, 1.0)
        self._customers = Zipf(self._rng, customers, 0.9)
        self._size = size

    def pages(self) -> Iterator[tuple[Page, Callable[[Seen], None]]]:
        """Pages without end, each with the function that must be told what it showed."""
        visitors = [_Visitor(self._customers.draw()) for _ in range(self._size)]
        while True:
            for place, visitor in enumerate(visitors):
                page = self._next(visitor)
                if page is None:
                    visitor = visitors[place] = _Visitor(self._customers.draw())
                    page = self._next(visitor)
                    assert page is not None  # nobody leaves before the first page
                visitor.kind = page.kind
                yield page, visitor.saw

    def _next(self, visitor: _Visitor) -> Page | None:
        ways = _NEXT[visitor.kind]
        kind = self._rng.choices(list(ways), list(ways.values()))[0]
        seen = visitor.seen
        if kind == "":
            return None
        if kind in ("cart", "orders"):
            return Page(kind, visitor.customer)
        if kind == "category" and seen.category:
            return Page(kind, seen.category)
        # From a list people take one of its products; with nothing before them, a popular one.
        if kind == "product" and seen.products and visitor.kind != "product":
            return Page(kind, self._rng.choice(seen.products))
        return Page("product", self._products.draw())


class _Visitor:
    """One person in the shop: who, the page before them, and what it showed."""

    __slots__ = ("customer", "kind", "seen")

    def __init__(self, customer: int) -> None:
        self.customer = customer
        self.kind = ""
        self.seen = Seen()

    def saw(self, seen: Seen) -> None:
        self.seen = seen
