"""Links in a live server: learned from values, followed, and looked for no more than pays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from antecache.server.backing.base import Row

Connect = Callable[[Any], Awaitable[Any]]


@pytest.fixture
async def shop(serve: Any) -> Any:
    """Orders hold a user, users hold a plan; notes hold a number that leads nowhere."""
    server = await serve(
        prediction=True,
        predictor="blend",
        models="off",
        backing="memory://?prefix=orders&prefix=users&prefix=plans&prefix=notes&rows=1000",
    )
    for number in range(1000):
        rows = server.backing.rows
        rows[b"orders:%d" % number] = Row(("id", "user_id"), (number, number * 7 % 1000))
        rows[b"users:%d" % number] = Row(("id", "plan"), (number, number * 3 % 1000))
        rows[b"notes:%d" % number] = Row(("id", "length"), (number, 5000 + number))
    return server


async def settled(server: Any, client: Any) -> None:
    await client.ask("PING")
    while server.loader.inflight:
        await client.ask("PING")


async def visit(server: Any, client: Any, numbers: range) -> None:
    for number in numbers:
        await client.ask("GET", f"orders:{number}")
        await settled(server, client)
        await client.ask("GET", f"users:{number * 7 % 1000}")
        await settled(server, client)


async def test_a_link_is_learned_and_goes_on_after_the_first_values(
    shop: Any, connect: Connect
) -> None:
    client = await connect(shop)
    await visit(shop, client, range(260))
    rule = "link orders.user_id>users:*"
    book = shop.ledger.rules[rule]
    before = book.useful
    await visit(shop, client, range(300, 340))
    assert book.useful - before > 30
    explained = await client.ask("PREDICTOR", "EXPLAIN", f"users:{339 * 7 % 1000}")
    assert rule.encode() in explained[explained.index(b"brought-by") + 1]


async def test_values_that_lead_nowhere_are_hardly_looked_into(
    shop: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    from antecache.server import followups

    looked: list[Any] = []
    whole = followups.fields_of
    monkeypatch.setattr(
        followups, "fields_of", lambda value, *only: looked.append(1) or whole(value, *only)
    )
    client = await connect(shop)
    for number in range(800):
        await client.ask("GET", f"notes:{number}")
    assert shop.stats.waits + shop.ledger.issued >= 800
    assert len(looked) < 300


async def test_off_looks_into_nothing(serve: Any, connect: Connect) -> None:
    server = await serve(
        prediction=True,
        predictor="blend",
        links="off",
        models="off",
        backing="memory://?prefix=orders&rows=50",
    )
    client = await connect(server)
    for number in range(50):
        await client.ask("GET", f"orders:{number}")
    assert not server.followups.links._recent


async def test_read_follows_links_on_hits_too(serve: Any, connect: Connect) -> None:
    server = await serve(
        prediction=True,
        predictor="blend",
        links="read",
        models="off",
        backing="memory://?prefix=orders&prefix=users&rows=50",
    )
    server.backing.rows[b"orders:1"] = Row(("id", "user_id"), (1, 9))
    server.followups.links.seed("orders", "user_id", b"users:")
    client = await connect(server)
    await client.ask("GET", "orders:1")
    await settled(server, client)
    # what is believed of a foreign key does not reach the threshold of another table at once
    assert not server.store.databases[0].holds(b"users:9")
    links = server.followups.links
    links._base = [0.99] * len(links._base)
    while not server.store.databases[0].holds(b"users:9"):
        await client.ask("GET", "orders:1")
