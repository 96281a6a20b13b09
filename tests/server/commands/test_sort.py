"""SORT over keys that a database owns, and what it refuses.

The rest of SORT is held against redis-server in tests/conformance.
"""

from __future__ import annotations

from typing import Any

import hiredis

from antecache.server.backing.base import BackingError


async def test_patterns_read_rows_and_load_them_together(shop: Any) -> None:
    client = await shop.client()
    await client.ask("RPUSH", "l", 3, 1, 2)
    assert await client.ask("SORT", "l", "BY", "user:*->id", "DESC", "GET", "user:*->name") == [
        b"user 3",
        b"user 2",
        b"user 1",
    ]
    assert shop.statements == 1
    assert await client.ask("SORT", "l", "GET", "user:*") == [
        b'{"id":%d,"name":"user %d"}' % (number, number) for number in (1, 2, 3)
    ]
    assert shop.statements == 0


async def test_what_the_database_does_not_have_sorts_as_nothing(shop: Any) -> None:
    client = await shop.client()
    await client.ask("SADD", "s", 1, 2, "none")
    reply = await client.ask("SORT", "s", "BY", "user:*->id", "GET", "#", "GET", "user:*->id")
    assert reply == [b"none", None, b"1", b"1", b"2", b"2"]
    assert shop.statements == 1


async def test_only_what_is_asked_for_is_loaded(shop: Any) -> None:
    client = await shop.client()
    await client.ask("RPUSH", "l", *range(9))
    reply = await client.ask("SORT", "l", "BY", "nosort", "LIMIT", 0, 2, "GET", "user:*->id")
    assert reply == [b"0", b"1"]
    assert shop.entry(b"user:0") is not None and shop.entry(b"user:5") is None


async def test_within_a_transaction_nothing_is_loaded_half_way(shop: Any) -> None:
    client = await shop.client()
    await client.ask("RPUSH", "l", 1)
    await client.ask("MULTI")
    await client.ask("SORT", "l", "GET", "user:*->id")
    assert await client.ask("EXEC") == [[None]]
    assert shop.statements == 0


async def test_a_failed_load_is_the_answer(shop: Any) -> None:
    client = await shop.client()
    shop.backing.fail_with = BackingError("no such host")
    await client.ask("RPUSH", "l", 1)
    reply = await client.ask("SORT", "l", "GET", "user:*->id")
    assert isinstance(reply, hiredis.ReplyError) and "no such host" in str(reply)


async def test_numbers_that_no_double_holds(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    for text in ("1e400", "-1e400", "1e-400", "0x1p2000", "nan", "1 ", "1_0"):
        await client.ask("DEL", "l")
        await client.ask("RPUSH", "l", text)
        reply = await client.ask("SORT", "l")
        assert isinstance(reply, hiredis.ReplyError), text
        assert str(reply) == "ERR One or more scores can't be converted into double"
        assert await client.ask("SORT", "l", "ALPHA") == [text.encode()]


async def test_a_sorted_list_is_a_list_of_its_own(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.ask("RPUSH", "l", 2, 1)
    assert await client.ask("SORT", "l", "STORE", "l") == 2
    assert await client.ask("SORT", "l", "STORE", "m") == 2
    await client.ask("RPUSH", "m", 0)
    assert await client.ask("LRANGE", "l", 0, -1) == [b"1", b"2"]
    server.store.check()
