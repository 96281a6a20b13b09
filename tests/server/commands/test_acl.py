"""ACLs over real sockets: every way around them that was thought of is refused.

How rules are read is compared with redis-server in `tests/conformance/test_acl.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from antecache.server.app import Server
from antecache.server.config import Config
from antecache.server.errors import ConfigError

RULES = ["on", ">secret", "~mine:*", "%R~shared:*", "&news", "+@all", "-@admin", "-flushall"]
NO_KEY = "NOPERM No permissions to access a key"
NO_CHANNEL = "NOPERM No permissions to access a channel"

#: What `worker`, who may use `mine:*` and read `shared:*`, must not get done by any road.
BYPASSES: list[tuple[str, ...]] = [
    ("GET", "other"),
    ("get", "other"),
    ("GeT", "other"),
    ("MGET", "mine:1", "other"),
    ("EXISTS", "other"),
    ("TYPE", "other"),
    ("TTL", "other"),
    ("STRLEN", "other"),
    ("TOUCH", "other"),
    ("DUMP", "other"),
    ("OBJECT", "ENCODING", "other"),
    ("MEMORY", "USAGE", "other"),
    ("WATCH", "other"),
    ("SET", "shared:1", "v"),
    ("SET", "shared:1", "v", "GET"),
    ("SET", "shared:1", "v", "NX"),
    ("GETEX", "shared:1", "PERSIST"),
    ("GETDEL", "shared:1"),
    ("DEL", "mine:1", "shared:1"),
    ("UNLINK", "other"),
    ("EXPIRE", "shared:1", "1"),
    ("RENAME", "shared:1", "mine:1"),
    ("RENAME", "mine:1", "other"),
    ("RENAMENX", "mine:1", "shared:1"),
    ("COPY", "other", "mine:1"),
    ("COPY", "mine:1", "shared:1"),
    ("MOVE", "shared:1", "1"),
    ("RESTORE", "other", "0", "x"),
    ("MSET", "mine:1", "v", "other", "v"),
    ("MSETNX", "other", "v"),
    ("APPEND", "shared:1", "v"),
    ("SETRANGE", "shared:1", "0", "v"),
    ("BITFIELD", "shared:1", "SET", "u8", "0", "1"),
    ("BITFIELD", "shared:1", "GET", "u8", "0", "INCRBY", "u8", "0", "1"),
    ("BITOP", "AND", "shared:1", "mine:1"),
    ("BITOP", "AND", "mine:1", "mine:2", "other"),
    ("LCS", "mine:1", "other"),
    ("LPUSH", "shared:1", "v"),
    ("LMOVE", "shared:1", "mine:1", "LEFT", "LEFT"),
    ("RPOPLPUSH", "mine:1", "shared:1"),
    ("BLPOP", "mine:1", "other", "1"),
    ("LMPOP", "2", "mine:1", "other", "LEFT"),
    ("SINTERSTORE", "mine:1", "other"),
    ("SUNION", "mine:1", "other"),
    ("SINTERCARD", "2", "mine:1", "other"),
    ("SMOVE", "shared:1", "mine:1", "m"),
    ("ZUNIONSTORE", "mine:1", "2", "mine:2", "other"),
    ("ZUNIONSTORE", "other", "1", "mine:2"),
    ("ZRANGESTORE", "shared:1", "mine:1", "0", "-1"),
    ("PFMERGE", "mine:1", "other"),
    ("PFCOUNT", "mine:1", "other"),
    ("GEOSEARCHSTORE", "other", "mine:1", "FROMLONLAT", "0", "0", "BYRADIUS", "1", "m"),
    ("SORT", "other"),
    ("SORT", "mine:1", "STORE", "shared:1"),
    ("HSET", "shared:1", "f", "v"),
    ("EVAL", "return redis.call('get', KEYS[1])", "1", "other"),
    ("EVAL", "return 1", "1", "shared:1"),
    ("EVAL_RO", "return 1", "1", "other"),
]

#: Roads that look like something else.
DETOURS: list[tuple[tuple[str, ...], str]] = [
    (("SORT", "mine:1", "BY", "other*"), "ERR BY option of SORT denied due to insufficient ACL"),
    (("SORT", "mine:1", "GET", "other*"), "ERR GET option of SORT denied due to insufficient ACL"),
    (("SORT_RO", "mine:1", "GET", "#"), "ERR GET option of SORT denied due to insufficient ACL"),
    (("EVAL", "return redis.call('get', 'other')", "0"), "ERR ACL failure in script: No perm"),
    (("EVAL", "return redis.pcall('get', 'other')", "0"), "ERR ACL failure in script: No perm"),
    (("EVAL", "return redis.call('flushall')", "0"), "ERR ACL failure in script: User worker has"),
    (("EVAL", "for i=1,1 do return redis.call('get','other') end", "0"), "ERR ACL failure in scr"),
    (("EVAL", "redis.call('publish','x','y')", "0"), "ERR ACL failure in script: No permissions"),
    (("FLUSHALL",), "NOPERM User worker has no permissions to run the 'flushall' command"),
    (("flushall", "async"), "NOPERM User worker has no permissions to run the 'flushall' command"),
    (("CONFIG", "SET", "requirepass", ""), "NOPERM User worker has no permissions to run the 'con"),
    (("ACL", "SETUSER", "worker", "~*"), "NOPERM User worker has no permissions to run the 'acl|"),
    (("ACL", "LIST"), "NOPERM User worker has no permissions to run the 'acl|list' command"),
    (("MONITOR",), "NOPERM User worker has no permissions to run the 'monitor' command"),
    (("CLIENT", "LIST"), "NOPERM User worker has no permissions to run the 'client|list' command"),
    (("SHUTDOWN",), "NOPERM User worker has no permissions to run the 'shutdown' command"),
    (("PUBLISH", "other", "m"), NO_CHANNEL),
    (("SPUBLISH", "other", "m"), NO_CHANNEL),
    (("SUBSCRIBE", "news", "other"), NO_CHANNEL),
    (("PSUBSCRIBE", "*"), NO_CHANNEL),
    (("PSUBSCRIBE", "news*"), NO_CHANNEL),
    (("SSUBSCRIBE", "other"), NO_CHANNEL),
    (("FCALL", "get_other", "0"), "ERR ACL failure in script: No permissions to access a key"),
    (("FCALL", "get_key", "1", "other"), NO_KEY),
]


@pytest.fixture
async def server(serve: Any) -> Any:
    return await serve()


@pytest.fixture
async def admin(server: Any, connect: Any) -> Any:
    admin = await connect(server)
    assert await admin.ask("ACL", "SETUSER", "worker", *RULES) == b"OK"
    await admin.ask("MSET", "other", "secret", "shared:1", "s", "mine:1", "m")
    code = """#!lua name=getters
    redis.register_function('get_other', function() return redis.call('get', 'other') end)
    redis.register_function('get_key', function(keys) return redis.call('get', keys[1]) end)"""
    await admin.ask("FUNCTION", "LOAD", code)
    return admin


@pytest.fixture
async def worker(server: Any, admin: Any, connect: Any) -> Any:
    worker = await connect(server)
    assert await worker.ask("AUTH", "worker", "secret") == b"OK"
    assert await worker.ask("ACL", "WHOAMI") == b"worker"
    return worker


@pytest.mark.parametrize("words", BYPASSES, ids=" ".join)
async def test_a_key_is_refused_by_every_road(worker: Any, admin: Any, words: Any) -> None:
    assert str(await worker.ask(*words)) == NO_KEY
    # The same in a pipeline behind something allowed, and in a transaction.
    worker.send("PING")
    worker.send(*words)
    assert await worker.read() == b"PONG"
    assert str(await worker.read()) == NO_KEY
    if words[0] != "WATCH":
        await worker.ask("MULTI")
        assert str(await worker.ask(*words)) == NO_KEY
        assert str(await worker.ask("EXEC")).startswith("EXECABORT ")
    assert await admin.ask("MGET", "other", "shared:1", "mine:1") == [b"secret", b"s", b"m"]


@pytest.mark.parametrize(("words", "refusal"), DETOURS, ids=lambda value: " ".join(value)[:40])
async def test_a_detour_is_refused(worker: Any, admin: Any, words: Any, refusal: str) -> None:
    await admin.ask("DEL", "mine:1")
    await admin.ask("RPUSH", "mine:1", "1")
    reply = str(await worker.ask(*words))
    assert reply.startswith(refusal), reply
    assert await admin.ask("GET", "other") == b"secret"


async def test_what_is_allowed_is_served(worker: Any) -> None:
    assert await worker.ask("SET", "mine:2", "v") == b"OK"
    assert await worker.ask("MGET", "mine:2", "shared:1") == [b"v", b"s"]
    assert await worker.ask("COPY", "shared:1", "mine:3") == 1
    assert await worker.ask("BITFIELD", "shared:1", "GET", "u8", "0") == [ord("s")]
    assert await worker.ask("EVAL", "return redis.call('get', 'shared:1')", 0) == b"s"
    assert await worker.ask("EVAL", "return redis.acl_check_cmd('get', 'other')", 0) is None
    assert await worker.ask("EVAL", "return redis.acl_check_cmd('get', 'mine:1')", 0) == 1
    assert await worker.ask("FCALL", "get_key", 1, "mine:1") == b"m"
    assert await worker.ask("PUBLISH", "news", "m") == 0
    assert await worker.ask("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]


async def test_rights_taken_between_queueing_and_exec(worker: Any, admin: Any) -> None:
    await worker.ask("MULTI")
    assert await worker.ask("SET", "mine:1", "new") == b"QUEUED"
    assert await worker.ask("GET", "mine:1") == b"QUEUED"
    assert await admin.ask("ACL", "SETUSER", "worker", "resetkeys", "%R~mine:*") == b"OK"
    first, second = await worker.ask("EXEC")
    assert str(first) == NO_KEY
    assert second == b"m"


async def test_rights_taken_while_a_command_waits(server: Any, worker: Any, admin: Any) -> None:
    worker.send("BLPOP", "mine:list", 0)
    while not len(server.dispatch.blocked):
        await asyncio.sleep(0)
    assert await admin.ask("ACL", "SETUSER", "worker", "resetkeys") == b"OK"
    await admin.ask("RPUSH", "mine:list", "v")
    assert str(await worker.read()) == NO_KEY
    assert await admin.ask("LLEN", "mine:list") == 1


async def test_a_deleted_user_is_disconnected(server: Any, worker: Any, admin: Any) -> None:
    assert await admin.ask("ACL", "DELUSER", "worker", "nobody") == 1
    assert await worker.closed() == b""
    assert await admin.ask("ACL", "USERS") == [b"default"]


async def test_a_user_who_deletes_himself_is_answered(admin: Any, worker: Any) -> None:
    await admin.ask("ACL", "SETUSER", "worker", "+acl|deluser")
    assert await worker.ask("ACL", "DELUSER", "worker") == 1
    assert await worker.closed() == b""


async def test_subscribers_lose_channels_taken_from_them(worker: Any, admin: Any) -> None:
    await worker.ask("SUBSCRIBE", "news")
    await admin.ask("ACL", "SETUSER", "worker", "&more")
    assert await admin.ask("PUBLISH", "news", "m") == 1
    await admin.ask("ACL", "SETUSER", "worker", "resetchannels", "&more")
    assert b"news" in await worker.closed()
    assert await admin.ask("PUBLISH", "news", "m") == 0


async def test_a_disabled_user_stays_until_he_leaves(worker: Any, admin: Any, connect: Any) -> None:
    await admin.ask("ACL", "SETUSER", "worker", "off")
    assert await worker.ask("GET", "mine:1") == b"m"
    wrong = str(await worker.ask("AUTH", "worker", "secret"))
    assert wrong == "WRONGPASS invalid username-password pair or user is disabled."


async def test_passwords(server: Any, admin: Any, connect: Any) -> None:
    digest = hashlib.sha256(b"third").hexdigest()
    await admin.ask("ACL", "SETUSER", "worker", ">second", f"#{digest}", "<secret")
    assert b"second" not in b" ".join(await admin.ask("ACL", "LIST"))
    for password, enters in (("second", True), ("third", True), ("secret", False), ("", False)):
        client = await connect(server)
        reply = await client.ask("AUTH", "worker", password)
        assert (reply == b"OK") is enters, password
        client = await connect(server)
        reply = await client.ask("HELLO", 2, "AUTH", "worker", password)
        assert isinstance(reply, list) is enters, password
    await admin.ask("ACL", "SETUSER", "worker", "resetpass")
    assert "WRONGPASS" in str(await (await connect(server)).ask("AUTH", "worker", "second"))
    await admin.ask("ACL", "SETUSER", "worker", "nopass")
    assert await (await connect(server)).ask("AUTH", "worker", "anything") == b"OK"


async def test_the_default_user_and_requirepass(serve: Any, connect: Any) -> None:
    server = await serve(requirepass="first")
    client = await connect(server)
    assert str(await client.ask("GET", "a")) == "NOAUTH Authentication required."
    assert await client.ask("AUTH", "first") == b"OK"
    assert await client.ask("AUTH", "default", "first") == b"OK"
    await client.ask("CONFIG", "SET", "requirepass", "second")
    fresh = await connect(server)
    assert "WRONGPASS" in str(await fresh.ask("AUTH", "first"))
    assert await fresh.ask("AUTH", "second") == b"OK"
    await client.ask("CONFIG", "SET", "requirepass", "")
    assert await (await connect(server)).ask("PING") == b"PONG"
    await client.ask("ACL", "SETUSER", "default", "off")
    assert "NOAUTH" in str(await (await connect(server)).ask("PING"))


async def test_the_default_user_may_be_restricted(server: Any, admin: Any, connect: Any) -> None:
    await admin.ask("ACL", "SETUSER", "root", "on", "nopass", "~*", "&*", "+@all")
    assert await admin.ask("AUTH", "root", "x") == b"OK"
    other = await connect(server)
    assert await other.ask("GET", "other") == b"secret"
    await admin.ask("ACL", "SETUSER", "default", "resetkeys", "~open:*", "-@dangerous")
    assert str(await other.ask("GET", "other")) == NO_KEY
    assert str(await (await connect(server)).ask("GET", "other")) == NO_KEY
    assert "NOPERM" in str(await other.ask("FLUSHALL"))
    assert await admin.ask("ACL", "SETUSER", "default", "allkeys", "+@all") == b"OK"
    assert await other.ask("GET", "other") == b"secret"


async def test_reset_takes_back_to_the_default_user(worker: Any) -> None:
    assert await worker.ask("RESET") == b"RESET"
    assert await worker.ask("ACL", "WHOAMI") == b"default"
    assert await worker.ask("GET", "other") == b"secret"


async def test_nothing_is_loaded_for_who_may_not_read_it(shop: Any) -> None:
    admin, client = await shop.client(), await shop.client()
    await admin.ask("ACL", "SETUSER", "visitor", "on", "nopass", "~page:*", "+@all")
    await client.ask("AUTH", "visitor", "x")
    for words in (("GET", "user:1"), ("HGETALL", "user:1"), ("MGET", "page:1", "user:1")):
        assert str(await client.ask(*words)) == NO_KEY
    client.send("GET", "page:2")
    client.send("GET", "user:2")
    assert b'"id"' in await client.read()
    assert str(await client.read()) == NO_KEY
    await client.ask("MULTI")
    await client.ask("GET", "page:3")
    await client.ask("GET", "user:3")
    assert str(await client.ask("EXEC")).startswith("EXECABORT ")
    assert str(await client.ask("EVAL", "return 1", 1, "user:4")) == NO_KEY
    assert [shop.entry(b"user:%d" % number) for number in range(1, 5)] == [None] * 4
    assert shop.statements == 1
    for words in (("PREFETCH", "user:5"), ("PREDICTOR", "EXPLAIN", "user:5")):
        assert str(await client.ask(*words)) == NO_KEY


async def test_the_log_tells_and_merges(worker: Any, admin: Any) -> None:
    await admin.ask("ACL", "LOG", "RESET")
    for _ in range(3):
        await worker.ask("GET", "other")
    await worker.ask("MULTI")
    await worker.ask("FLUSHALL")
    await worker.ask("DISCARD")
    await worker.ask("EVAL", "return redis.pcall('get', 'third')", 0)
    await worker.ask("PUBLISH", "hidden", "m")
    await worker.ask("AUTH", "worker", "wrong")
    found = [dict(zip(one[::2], one[1::2], strict=True)) for one in await admin.ask("ACL", "LOG")]
    told = [
        tuple(one[key.encode()] for key in ("reason", "context", "object", "count"))
        for one in found
    ]
    assert told == [
        (b"auth", b"toplevel", b"AUTH", 1),
        (b"channel", b"toplevel", b"hidden", 1),
        (b"key", b"lua", b"third", 1),
        (b"command", b"multi", b"flushall", 1),
        (b"key", b"toplevel", b"other", 3),
    ]
    assert all(one[b"username"] == b"worker" for one in found)
    assert [one[b"entry-id"] for one in found] == [4, 3, 2, 1, 0]
    assert b" user=worker " in found[-1][b"client-info"]
    assert len(await admin.ask("ACL", "LOG", 2)) == 2
    await admin.ask("CONFIG", "SET", "acllog-max-len", 1)
    assert len(await admin.ask("ACL", "LOG")) == 1


async def test_users_of_the_settings(serve: Any, connect: Any) -> None:
    server = await serve(users="alice on >pw ~a* +@all\n\nbob off (~b* +get) -@all")
    client = await connect(server)
    assert await client.ask("ACL", "USERS") == [b"alice", b"bob", b"default"]
    assert await client.ask("AUTH", "alice", "pw") == b"OK"
    assert str(await client.ask("GET", "b")) == NO_KEY


async def test_a_file_of_users_is_read_and_written(
    serve: Any, connect: Any, tmp_path: Path
) -> None:
    file = tmp_path / "users.acl"
    file.write_text("user alice on nopass ~a* +@all\n# a comment\nuser bob on nopass ~b* +@all\n")
    server = await serve(aclfile=str(file))
    admin, alice, bob = [await connect(server) for _ in range(3)]
    await alice.ask("AUTH", "alice", "x")
    await bob.ask("AUTH", "bob", "x")
    await admin.ask("ACL", "SETUSER", "carol", "on", ">pw", "~c*", "&c", "+get", "(~d* +set)")
    assert await admin.ask("ACL", "SAVE") == b"OK"
    before = await admin.ask("ACL", "LIST")
    assert file.read_bytes() == b"".join(line + b"\n" for line in before)
    assert await admin.ask("ACL", "LOAD") == b"OK"
    assert await admin.ask("ACL", "LIST") == before
    assert await alice.ask("SET", "a", "1") == b"OK"
    file.write_text("user alice on nopass ~x* +@all\n")
    assert await admin.ask("ACL", "LOAD") == b"OK"
    assert await bob.closed() == b""
    assert str(await alice.ask("GET", "a")) == NO_KEY
    for broken in ("nonsense\n", "user a on +nosuch\n", "user a\nuser a\n", "user a on (~x\n"):
        file.write_text(broken)
        reply = str(await admin.ask("ACL", "LOAD"))
        assert "no change to the previously active ACL rules was performed" in reply, reply
    assert await admin.ask("ACL", "USERS") == [b"alice", b"default"]


async def test_a_file_without_the_default_user_leaves_his_password(
    serve: Any, connect: Any, tmp_path: Path
) -> None:
    file = tmp_path / "users.acl"
    file.write_text("user alice on >pw ~* +@all\n")
    server = await serve(aclfile=str(file), requirepass="secret")
    client = await connect(server)
    assert await client.ask("AUTH", "secret") == b"OK"
    assert await client.ask("ACL", "LOAD") == b"OK"
    assert "NOAUTH" in str(await (await connect(server)).ask("PING"))
    await client.ask("ACL", "DELUSER", "alice")
    await client.ask("ACL", "SAVE")
    file.write_text("user default on nopass ~* +@all\n")
    assert await client.ask("ACL", "LOAD") == b"OK"
    assert await (await connect(server)).ask("PING") == b"PONG"


@pytest.mark.parametrize("settings", [{"users": "a on +nosuch"}, {"users": "a", "aclfile": "x"}])
def test_wrong_users_keep_the_server_from_starting(settings: Any) -> None:
    with pytest.raises(ConfigError):
        Server(Config(**settings))


async def test_passwords_are_not_shown(serve: Any, connect: Any) -> None:
    server = await serve(slowlog_log_slower_than=0)
    admin = await connect(server)
    await admin.ask("ACL", "SETUSER", "worker", "on", ">hidden", "+@all")
    shown = str(await admin.ask("SLOWLOG", "GET"))
    assert "hidden" not in shown and "SETUSER" in shown
    assert "hidden" not in str(await admin.ask("CONFIG", "GET", "*"))


async def test_who_may_do_everything_pays_nothing(server: Any, connect: Any) -> None:
    admin = await connect(server)
    await admin.ask("PING")
    (session,) = server.clients.values()
    assert not session.special
    await admin.ask("ACL", "SETUSER", "default", "-debug")
    assert session.special
    await admin.ask("ACL", "SETUSER", "default", "+@all")
    assert not session.special
    await admin.ask("ACL", "SETUSER", "root", "on", "nopass", "~*", "&*", "+@all")
    await admin.ask("AUTH", "root", "x")
    assert not session.special


async def test_the_users_of_the_readme(serve: Any, connect: Any) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text("utf-8")
    server = await serve(users=readme.partition('users = """')[2].partition('"""')[0])
    client = await connect(server)
    assert await client.ask("AUTH", "reporting", "another") == b"OK"
    assert await client.ask("GET", "products:1") is None
    assert str(await client.ask("SET", "products:1", "x")).startswith(
        "NOPERM User reporting has no"
    )
    assert await client.ask("AUTH", "worker", "a-secret") == b"OK"
    assert await client.ask("SET", "jobs:1", "x") == b"OK"
    assert str(await client.ask("GET", "products:1")) == NO_KEY
