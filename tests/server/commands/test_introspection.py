"""COMMAND: the table as clients read it, held against a real redis-server's."""

from __future__ import annotations

from typing import Any

import pytest
import redis.asyncio

from antecache.server.command import TABLE, every

OURS = {"predictor", "prefetch"}
TAKE_MORE = {"zrank", "zrevrank"}  # than in Redis 7.0: WITHSCORE, since 7.2


async def _details(port: int) -> dict[str, Any]:
    async with redis.asyncio.Redis(port=port) as client:
        return dict(await client.command())


async def test_arity_and_key_positions_are_redis_s(serve: Any, redis_server: Any) -> None:
    ours, theirs = await _details((await serve()).port), await _details(redis_server.port)
    assert ours.keys() >= {"get", "set", "config", "info", "hgetall"}
    fields = ("arity", "first_key_pos", "last_key_pos", "step_count")
    flags = {"write", "readonly", "denyoom", "admin", "pubsub", "fast", "blocking"}

    def row(details: dict[str, Any]) -> list[Any]:
        return [*(details[field] for field in fields), flags & set(details["flags"])]

    common = sorted(ours.keys() & theirs.keys())
    differing = [
        (name, row(ours[name]), row(theirs[name]))
        for name in common
        if name not in TAKE_MORE and row(ours[name]) != row(theirs[name])
    ]
    assert not differing
    newer = {row.name for row in every() if row.since > "7.0"}
    assert ours.keys() - theirs.keys() <= OURS | newer


async def test_categories_are_redis_s(serve: Any, connect: Any, redis_server: Any) -> None:
    for name in (b"get", b"set", b"mget", b"hgetall", b"config", b"config|get", b"info", b"ping"):
        rows = []
        for server in (await serve(), redis_server):
            (row,) = await (await connect(server)).ask("COMMAND", "INFO", name)
            rows.append(row)
        assert sorted(rows[0][6]) == sorted(rows[1][6]), name
        assert sorted(rows[0][2]) == sorted(rows[1][2]), name


@pytest.mark.parametrize("protocol", [2, 3])
async def test_the_shape_of_info_is_redis_s(
    serve: Any, connect: Any, redis_server: Any, protocol: int
) -> None:
    """Key specifications included, for commands on one key and on many."""
    ours, theirs = await connect(await serve()), await connect(redis_server)
    for one in (ours, theirs):
        await one.ask("HELLO", protocol)
    for name in ("get", "mget", "mset", "del", "hget", "incr", "nosuchcommand", "config|foo"):
        ((mine,), (other,)) = [await one.ask("COMMAND", "INFO", name) for one in (ours, theirs)]
        if other is None:
            assert mine is None
        else:
            assert mine[:2] == other[:2] and mine[3:6] == other[3:6], name
            for spec, wanted in zip(mine[8], other[8], strict=True):
                assert _without_flags(spec) == _without_flags(wanted), name


def _without_flags(spec: Any) -> Any:
    if isinstance(spec, dict):
        return {key: value for key, value in spec.items() if key != b"flags"}
    return spec[2:]


async def test_getkeys(serve: Any, connect: Any, redis_server: Any) -> None:
    ours, theirs = await connect(await serve()), await connect(redis_server)
    for words in (
        ("GET", "a"),
        ("MSET", "a", "1", "b", "2"),
        ("MGET", "a", "b", "c"),
        ("DEL", "a", "b"),
        ("SET", "a", "b", "EX", "3"),
        ("HSET", "h", "f", "v"),
        ("RENAME", "a", "b"),
        ("OBJECT", "ENCODING", "a"),
        ("MEMORY", "USAGE", "a"),
        ("NOSUCH", "a"),
        ("CONFIG", "GET", "a"),
        ("CONFIG", "NOSUCH", "a"),
    ):
        got, wanted = [await one.bytes_of("COMMAND", "GETKEYS", *words) for one in (ours, theirs)]
        assert got == wanted, words
    for words in (("SET", "a", "b"), ("GET", "a"), ("DEL", "a", "b"), ("INCR", "a")):
        got, wanted = [
            await one.bytes_of("COMMAND", "GETKEYSANDFLAGS", *words) for one in (ours, theirs)
        ]
        assert got == wanted, words
    assert str(await ours.ask("COMMAND", "GETKEYS", "MSET", "a")) == (
        "ERR Invalid number of arguments specified for command"
    )


async def test_lists_and_filters(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    names = await client.ask("COMMAND", "LIST")
    assert sorted(names) == sorted(TABLE)
    assert await client.ask("COMMAND", "COUNT") == len(TABLE)
    assert len(await client.ask("COMMAND")) == len(TABLE)
    assert len(await client.ask("COMMAND", "INFO")) == len(TABLE)
    found = await client.ask("COMMAND", "LIST", "FILTERBY", "PATTERN", "CONFIG|R*")
    assert sorted(found) == [b"config|resetstat", b"config|rewrite"]
    found = await client.ask("COMMAND", "LIST", "FILTERBY", "ACLCAT", "transaction")
    assert {b"multi", b"exec", b"watch"} <= set(found)
    assert await client.ask("COMMAND", "LIST", "FILTERBY", "ACLCAT", "nope") == []
    assert await client.ask("COMMAND", "LIST", "FILTERBY", "MODULE", "json") == []
    for words in (("FOO",), ("FILTERBY", "FOO", "x"), ("FILTERBY", "PATTERN")):
        assert str(await client.ask("COMMAND", "LIST", *words)) == "ERR syntax error"
    assert str(await client.ask("COMMAND", "FOO")) == (
        "ERR unknown subcommand 'FOO'. Try COMMAND HELP."
    )


async def test_docs_say_something_of_every_command(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("HELLO", 3)
    docs = await client.ask("COMMAND", "DOCS")
    assert set(docs) == set(TABLE)
    for name, doc in docs.items():
        assert doc[b"summary"] and doc[b"since"] and doc[b"group"] and doc[b"complexity"], name
    assert set(docs[b"config"][b"subcommands"]) >= {b"config|get", b"config|set"}
    some = await client.ask("COMMAND", "DOCS", "get", "config|get", "nosuch")
    assert set(some) == {b"get", b"config|get"}


async def test_help_of_every_container(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    for row in every():
        if row.subcommands:
            lines = await client.ask(row.name, "HELP")
            assert lines[0].startswith(row.name.upper().encode() + b" <subcommand>")
            assert len(lines) > len(row.subcommands)


async def test_acl(serve: Any, connect: Any, redis_server: Any) -> None:
    ours, theirs = await connect(await serve()), await connect(redis_server)
    for words in (("WHOAMI",), ("USERS",), ("CAT", "nope"), ("FOO",)):
        assert await ours.bytes_of("ACL", *words) == await theirs.bytes_of("ACL", *words), words
    assert await ours.ask("ACL", "CAT") == await theirs.ask("ACL", "CAT")
    mine, other = [set(await one.ask("ACL", "CAT", "transaction")) for one in (ours, theirs)]
    assert mine == other
