"""Commands on keys that a database owns: what loads, what does not, and what a row answers."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest

from antecache.server.backing.base import BackingError, Row
from antecache.server.store import size

JSON = b'{"id":3,"name":"user 3"}'
WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


def is_error(reply: Any, text: str) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply) == text


async def test_a_row_answers_as_a_hash_and_as_json(shop: Any) -> None:
    client = await shop.client()
    for argv, wanted in (
        (("HGETALL", "user:3"), [b"id", b"3", b"name", b"user 3"]),
        (("HGET", "user:3", "name"), b"user 3"),
        (("HGET", "user:3", "no"), None),
        (("HMGET", "user:3", "id", "no"), [b"3", None]),
        (("HKEYS", "user:3"), [b"id", b"name"]),
        (("HVALS", "user:3"), [b"3", b"user 3"]),
        (("HLEN", "user:3"), 2),
        (("HEXISTS", "user:3", "id"), 1),
        (("HSTRLEN", "user:3", "name"), 6),
        (("HSCAN", "user:3", 0), [b"0", [b"id", b"3", b"name", b"user 3"]]),
        (("HSCAN", "user:3", 0, "NOVALUES"), [b"0", [b"id", b"name"]]),
        (("HRANDFIELD", "user:3", 5, "WITHVALUES"), [b"id", b"3", b"name", b"user 3"]),
        (("TYPE", "user:3"), b"hash"),
        (("OBJECT", "ENCODING", "user:3"), b"listpack"),
        (("GET", "user:3"), JSON),
        (("MGET", "user:3", "user:none"), [JSON, None]),
        (("EXISTS", "user:3"), 1),
        (("TTL", "user:3"), -1),
    ):
        assert await client.ask(*argv) == wanted, argv
    assert shop.statements == 2  # user:3, and that there is no user:none


async def test_null_is_an_absent_field(shop: Any) -> None:
    client = await shop.client()
    assert await client.ask("HGETALL", "user:empty") == [b"id", b"7"]
    assert await client.ask("HGET", "user:empty", "name") is None
    assert await client.ask("HEXISTS", "user:empty", "name") == 0
    assert await client.ask("GET", "user:empty") == b'{"id":7,"name":null}'


@pytest.mark.parametrize(
    "line",
    "STRLEN k|GETRANGE k 0 1|SETRANGE k 0 x|APPEND k x|INCR k|INCRBY k 1|INCRBYFLOAT k 1|GETSET k x"
    "|GETDEL k|GETEX k|SET k x GET".split("|"),
)
async def test_other_string_commands_refuse_a_row(shop: Any, line: str) -> None:
    client = await shop.client()
    assert is_error(await client.ask(*line.replace("k", "user:3").split()), WRONGTYPE)
    assert await client.ask("GET", "user:3") == JSON


async def test_the_json_text_is_charged_when_it_is_made(shop: Any) -> None:
    client = await shop.client()
    await client.ask("HGETALL", "user:3")
    before = shop.store.used
    await client.ask("GET", "user:3")
    await client.ask("MGET", "user:3", "user:3")
    assert shop.store.used - before >= len(JSON)
    entry = shop.entry(b"user:3")
    assert entry.size == size.of_entry(entry.key, entry.value)


async def test_changing_a_row_makes_an_ordinary_hash_of_it(shop: Any) -> None:
    client = await shop.client()
    assert await client.ask("HSET", "user:3", "name", "new", "more", "x") == 1
    assert await client.ask("HGETALL", "user:3") == [b"id", b"3", b"name", b"new", b"more", b"x"]
    assert is_error(await client.ask("GET", "user:3"), WRONGTYPE)
    assert await client.ask("MGET", "user:3") == [None]
    assert shop.statements == 1, "the row was loaded before it was changed"
    assert await client.ask("HINCRBY", "user:3", "id", 4) == 7
    assert await client.ask("DEL", "user:3") == 1
    assert await client.ask("GET", "user:3") == JSON, "deleted: loaded again"


@pytest.mark.parametrize(
    "argv",
    [
        ("HINCRBY", "user:3", "name", 1),
        ("HINCRBYFLOAT", "user:3", "name", 1),
        ("HDEL", "user:3", "no"),
        ("HSETNX", "user:3", "id", "9"),
    ],
)
async def test_a_command_that_changes_nothing_leaves_the_row(shop: Any, argv: Any) -> None:
    client = await shop.client()
    await client.ask(*argv)
    assert await client.ask("GET", "user:3") == JSON


async def test_a_hash_without_fields_is_gone_and_loaded_again(shop: Any) -> None:
    client = await shop.client()
    assert await client.ask("HDEL", "user:3", "id", "name") == 2
    assert shop.entry(b"user:3") is None
    assert await client.ask("HLEN", "user:3") == 2


async def test_what_writes_without_looking_does_not_load(shop: Any) -> None:
    client = await shop.client()
    assert await client.ask("DEL", "user:1") == 0
    assert await client.ask("UNLINK", "user:1") == 0
    assert await client.ask("SET", "user:1", "mine") == b"OK"
    assert await client.ask("SET", "user:2", "mine", "KEEPTTL", "EX", 10) != b"OK"
    assert await client.ask("SETEX", "user:2", 10, "mine") == b"OK"
    assert await client.ask("MSET", "user:3", "x", "user:4", "y") == b"OK"
    assert await client.ask("OBJECT", "ENCODING", "user:5") is None
    assert sorted(await client.ask("KEYS", "*")) == [b"user:1", b"user:2", b"user:3", b"user:4"]
    assert await client.ask("DBSIZE") == 4
    assert shop.statements == 0
    assert await client.ask("GET", "user:1") == b"mine"


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (("SETNX", "user:3", "x"), 0),
        (("SET", "user:3", "x", "NX"), None),
        (("SET", "user:none", "x", "XX"), None),
        (("SET", "user:none", "x", "NX"), b"OK"),
        (("MSETNX", "mine", "x", "user:3", "x"), 0),
        (("HSETNX", "user:3", "name", "x"), 0),
        (("EXPIRE", "user:3", 100), 1),
        (("EXPIRE", "user:none", 100), 0),
        (("PERSIST", "user:3"), 0),
        (("COPY", "user:3", "copy"), 1),
        (("COPY", "user:none", "copy"), 0),
        (("RENAME", "user:3", "mine"), b"OK"),
        (("MOVE", "user:3", 1), 1),
        (("INCR", "user:none"), 1),
        (("TOUCH", "user:3"), 1),
        (("PEXPIRETIME", "user:none"), -2),
    ],
)
async def test_what_looks_first_loads_first(shop: Any, argv: Any, wanted: Any) -> None:
    client = await shop.client()
    assert await client.ask(*argv) == wanted
    assert shop.statements == 1
    assert await client.ask("EXISTS", "user:none") == (
        argv[1] == "user:none" and wanted in (1, b"OK")
    )


async def test_renamenx_and_copy_do_not_overwrite_an_unloaded_row(shop: Any) -> None:
    client = await shop.client()
    await client.ask("SET", "mine", "x")
    assert await client.ask("RENAMENX", "mine", "user:3") == 0
    assert await client.ask("COPY", "mine", "user:4") == 0
    assert await client.ask("COPY", "mine", "user:4", "REPLACE") == 1
    assert await client.ask("GET", "mine") == b"x"


async def test_many_keys_are_one_statement(shop: Any) -> None:
    client = await shop.client()
    await client.ask("GET", "user:0")
    assert shop.statements == 1
    assert await client.ask("EXISTS", "user:0", "user:1", "user:2", "user:none", "user:1") == 4
    assert await client.ask("MGET", "user:0", "user:1") == [
        b'{"id":0,"name":"user 0"}',
        b'{"id":1,"name":"user 1"}',
    ]
    assert shop.statements == 1


async def test_expiring_a_row_at_once_is_an_invalidation(shop: Any) -> None:
    client = await shop.client()
    await client.ask("GET", "user:3")
    shop.backing.rows[b"user:3"] = Row(("id", "name"), (3, "renamed"))
    assert await client.ask("EXPIRE", "user:3", -1) == 1
    assert await client.ask("HGET", "user:3", "name") == b"renamed"


async def test_a_failing_database_is_an_error_and_nothing_is_written(shop: Any) -> None:
    client = await shop.client()
    shop.backing.fail_with = BackingError("away")
    for argv in (("INCR", "user:none"), ("APPEND", "user:3", "x"), ("HSET", "user:3", "f", "v")):
        reply = await client.ask(*argv)
        assert is_error(reply, "BACKING source 'user': away"), reply
    assert shop.entry(b"user:3") is None and shop.entry(b"user:none") is None


async def test_a_copy_shares_nothing_with_the_row(shop: Any) -> None:
    client = await shop.client()
    assert await client.ask("COPY", "user:3", "copy") == 1
    assert await client.ask("GET", "copy") == JSON
    await client.ask("HSET", "copy", "name", "other")
    assert await client.ask("GET", "user:3") == JSON
    assert shop.entry(b"copy").origin is None, "the client's own: never evicted unasked"


async def test_swapped_databases_lose_and_find_their_owners(shop: Any) -> None:
    client = await shop.client()
    await client.ask("GET", "user:3")
    await client.ask("SELECT", 1)
    await client.ask("SET", "user:4", "mine")
    assert await client.ask("SWAPDB", 0, 1) == b"OK"
    assert await client.ask("GET", "user:3") == JSON
    assert shop.entry(b"user:3", 1).origin is None
    assert shop.entry(b"user:4", 0).origin is not None
    shop.store.check()
    await client.ask("SELECT", 0)
    assert await client.ask("GET", "user:4") == b"mine"
    assert await client.ask("GET", "user:3") == JSON
    assert shop.statements == 2, "user:3 was loaded anew into database 0"


async def test_database_1_is_nobody_s(shop: Any) -> None:
    client = await shop.client()
    await client.ask("SELECT", 1)
    assert await client.ask("GET", "user:3") is None
    assert await client.ask("SETNX", "user:3", "x") == 1
    assert await client.ask("MOVE", "user:3", 0) == 1
    assert shop.statements == 0
