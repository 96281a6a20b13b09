"""Client-side caching: what clients are told, held against redis-server, and that it suffices."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import hiredis
import pytest
import redis
from redis.cache import CacheConfig

from antecache.server.backing.base import Row

# What 7.0 answers as 7.4 does. Left out: FLUSHALL by a client that tracks, which is told before
# its reply by 7.0 and after it since 7.2.
CONVERSATION = """
w> FLUSHALL
a3> CLIENT TRACKING ON | GET k | GET k | CLIENT TRACKINGINFO | CLIENT GETREDIR
w> SET k 1 | SET k 2
a3>
a3> GET k | SET k 5 | GET k | MULTI | SET k 6 | GET k | EXEC | GET k
w> DEL k | DEL k
a3>
a3> GET k | EXISTS q
w> DEL k | SET q 1 PXAT 1
a3> GET q
w> FLUSHDB
a3>
a3> MGET x y z | SET y 1 | MSET x 1 y 2 z 3
w> MSET x 1 y 2
a3>
a3> CLIENT TRACKING ON NOLOOP | GET k | SET k 1
w> SET k 1
a3> GET k | MULTI | SET k 2 | GET k | EXEC | INCR k
w> INCR k
a3> GET k
w> INCR k
a3>
a3> CLIENT TRACKING OFF | CLIENT TRACKING ON OPTIN | GET o1 | CLIENT CACHING YES | GET o2 | GET o3
a3> CLIENT CACHING yes | CLIENT TRACKINGINFO | CLIENT GETNAME | GET o4 | CLIENT TRACKINGINFO
a3> CLIENT CACHING YES | MULTI | GET o5 | GET o6 | EXEC | GET o7
a3> CLIENT CACHING YES | GET | GET o8 | CLIENT CACHING YES | PING | GET o9
w> SET o1 1 | SET o2 1 | SET o3 1 | SET o4 1 | SET o5 1 | SET o6 1 | SET o7 1 | SET o8 1 | SET o9 1
a3>
a3> CLIENT TRACKING OFF | CLIENT TRACKING ON OPTOUT | GET o1 | CLIENT CACHING NO
a3> CLIENT TRACKINGINFO | GET o2 | GET o3
w> SET o1 1 | SET o2 1 | SET o3 1
a3>
a3> CLIENT TRACKING OFF | CLIENT TRACKING ON BCAST PREFIX a PREFIX b | CLIENT TRACKINGINFO
w> SET a1 1 | SET a2 1 | SET c 1 | SET b1 1 | DEL a1 | DEL nokey | DEL ano
a3>
a3> SET a1 1 | GET a1 | SET b1 1
a3>
a3> CLIENT TRACKING ON BCAST PREFIX c | CLIENT TRACKINGINFO
w> SET c1 1
a3> CLIENT TRACKING OFF | CLIENT TRACKING ON BCAST NOLOOP | CLIENT TRACKINGINFO | SET a1 1
w> FLUSHALL
a3>
w> SET a 1 | MULTI | SET b 1 | SET c 1 | EXEC
a3>
a3> CLIENT TRACKING OFF | CLIENT TRACKINGINFO
b> SUBSCRIBE __redis__:invalidate
a3> CLIENT TRACKING ON REDIRECT {b} | GET k | CLIENT GETREDIR | CLIENT TRACKINGINFO
w> SET k 1
b>
r> CLIENT TRACKING ON REDIRECT {b} | GET k
w> SET k 1
b>
r> GET k | CLIENT TRACKING OFF
w> SET k 1
b>
r> CLIENT TRACKING ON BCAST PREFIX x REDIRECT {b}
w> SET x1 1 | SET x2 2
b>
r> CLIENT TRACKING OFF
a3> GET k
b> UNSUBSCRIBE
w> SET k 1
b>
b> SUBSCRIBE other
a3> GET k
w> SET k 1
b>
w> CLIENT KILL ID {b}
a3> GET k
w> SET k 1
a3> CLIENT TRACKINGINFO
a3> GET k
w> SET k 1
a3>
a3> CLIENT TRACKING OFF | CLIENT TRACKING ON | SELECT 1 | GET k
w> SET k 1
a3> SET k 1 | GET k
w> EXPIRE k 100 | SELECT 1 | EXPIRE k 100 | PERSIST k | GETEX k EX 10
a3>
a3> GET k | RENAME k k2 | GET k | GET k2
w> RENAME k2 k3 | COPY k3 k | SELECT 0
a3>
a3> HGETALL h | HGET h f | TYPE h | TTL h | OBJECT ENCODING h | MEMORY USAGE mu | DBSIZE | GET h
w> SELECT 1 | HSET h f 1 | HSET h f 1 | SET mu 1
a3>
a3> CLIENT REPLY OFF | GET k | CLIENT REPLY ON
w> SET k 1
a3>
r3> CLIENT TRACKING ON | GET k | RESET
w> SET k 1
r3>
"""

REFUSALS = """
a> CLIENT TRACKING | CLIENT TRACKING foo | CLIENT TRACKING ON foo | CLIENT TRACKING ON REDIRECT
a> CLIENT TRACKING ON REDIRECT 999999999 | CLIENT TRACKING ON REDIRECT x | CLIENT TRACKING ON PREFIX
a> CLIENT TRACKING ON REDIRECT {b} REDIRECT {b} | CLIENT TRACKING ON PREFIX a
a> CLIENT TRACKING ON OPTIN OPTOUT | CLIENT TRACKING ON BCAST OPTIN | CLIENT TRACKING OFF foo
a> CLIENT TRACKING ON BCAST PREFIX a PREFIX ab | CLIENT TRACKING ON BCAST PREFIX ab PREFIX a
a> CLIENT TRACKING ON BCAST PREFIX a PREFIX a | CLIENT TRACKING OFF BCAST | CLIENT GETREDIR
a> CLIENT CACHING YES | CLIENT CACHING foo | CLIENT CACHING | CLIENT TRACKINGINFO x
a> CLIENT TRACKING ON | CLIENT TRACKING ON BCAST | CLIENT CACHING YES
a> CLIENT TRACKING ON OPTIN | CLIENT TRACKING ON OPTOUT | CLIENT CACHING no | CLIENT CACHING foo
a> CLIENT TRACKING OFF | CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar | CLIENT TRACKING ON
a> CLIENT TRACKING ON BCAST PREFIX fo | CLIENT TRACKING ON BCAST PREFIX foo | CLIENT TRACKINGINFO
a> CLIENT TRACKING OFF | CLIENT TRACKING ON OPTOUT | CLIENT CACHING YES | CLIENT TRACKING OFF
"""

INVALIDATE = b">2\r\n$10\r\ninvalidate\r\n"


def told(*keys: bytes) -> bytes:
    """The message about some keys; about all of them when none is named."""
    if not keys:
        return INVALIDATE + b"_\r\n"
    return (
        INVALIDATE + b"*%d\r\n" % len(keys) + b"".join(b"$%d\r\n%b\r\n" % (len(k), k) for k in keys)
    )


async def test_the_conversation_is_redis_s(serve: Any, redis_server: Any, play: Any) -> None:
    assert await play(await serve(), CONVERSATION) == await play(redis_server, CONVERSATION)


async def test_refusals_are_redis_s(serve: Any, redis_server: Any, play: Any) -> None:
    script = "b> PING\n" + REFUSALS
    assert await play(await serve(), script) == await play(redis_server, script)


async def test_a_flush_is_told_once_and_after_the_reply(serve: Any, play: Any) -> None:
    script = """
        a3> CLIENT TRACKING ON | MSET x 1 y 2 | GET x | FLUSHALL | GET x
        b3> CLIENT TRACKING ON BCAST
        c> SELECT 5 | SET z 1 | FLUSHALL | SET x 1 | FLUSHDB
        a3>
        b3>
    """
    first, _, _, a, b = [text for _, text in await play(await serve(), script)]
    assert first == b"+OK\r\n+OK\r\n$1\r\n1\r\n+OK\r\n" + told() + b"_\r\n"
    # x was read as absent before the flush that nobody could tell from one of x.
    assert a == told() + told()
    assert b == told() + told() + told(b"x", b"z")


async def test_a_redirected_flush_speaks_the_protocol_of_who_gets_it(serve: Any, play: Any) -> None:
    """Redis sends a RESP2 connection the null of RESP3 where the client that tracks speaks it."""
    script = """
        b> SUBSCRIBE __redis__:invalidate
        a3> CLIENT TRACKING ON REDIRECT {b}
        w> FLUSHALL
        b>
    """
    found = (await play(await serve(), script))[-1][1]
    assert found == b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n"


async def test_expiry_and_eviction_are_told_though_nobody_asks(serve: Any, connect: Any) -> None:
    server = await serve(policy="allkeys-lru", maxkeys=3)
    reader, writer = await connect(server), await connect(server)
    await reader.ask("HELLO", 3)
    await reader.ask("CLIENT", "TRACKING", "ON", "NOLOOP")
    await writer.ask("SET", "old", "v")
    await writer.ask("SET", "brief", "v", "PX", 100)
    await reader.ask("MGET", "old", "brief")
    assert await reader.read() == [b"invalidate", [b"brief"]]
    for key in ("x", "y", "z"):
        await reader.ask("SET", key, "v")  # its own writes push it out, but it did not ask for it
    assert await reader.read() == [b"invalidate", [b"old"]]


async def test_the_table_is_bounded(serve: Any, play: Any) -> None:
    server = await serve(tracking_table_max_keys=2)
    script = """
        a3> CLIENT TRACKING ON | GET k1 | GET k2 | GET k3 | GET k4
        w> CONFIG SET tracking-table-max-keys 1
        a3>
        w> CONFIG SET tracking-table-max-keys 0
        a3> MGET k1 k2 k3 k5 k6
    """
    first, _, third, _, _ = [text for _, text in await play(server, script)]
    assert first == b"+OK\r\n_\r\n_\r\n_\r\n" + told(b"k1") + b"_\r\n" + told(b"k2")
    assert third == told(b"k3")
    assert len(server.tracking.table) == 6
    assert server.tracking.table.items == 6


async def test_the_table_is_charged_for(serve: Any, connect: Any) -> None:
    server = await serve(databases=1)
    tracking = server.tracking
    readers = [await connect(server) for _ in range(3)]
    for reader in readers:
        await reader.ask("CLIENT", "TRACKING", "ON")
    before = server.memory()
    sizes = []
    for reader in readers:
        await reader.ask("MGET", *(b"%0100d" % number for number in range(1000)))
        sizes.append(tracking.table.nbytes)
    assert sizes == sorted(sizes) and sizes[0] > 200_000
    assert server.memory() == before + sizes[-1]
    assert tracking.table.items == 3000 and len(tracking.table) == 1000
    await readers[0].ask("MSET", *(w for n in range(1000) for w in (b"%0100d" % n, b"v")))
    assert tracking.table.items == tracking.table.nbytes == len(tracking.table) == 0


async def test_what_info_and_client_list_show(serve: Any, play: Any, connect: Any) -> None:
    server = await serve()
    await play(
        server,
        """
        a3> CLIENT TRACKING ON | MGET k1 k2
        b3> CLIENT TRACKING ON | GET k1
        c3> CLIENT TRACKING ON BCAST PREFIX p PREFIX q REDIRECT {a3}
        w> CLIENT KILL ID {b3}
        """,
    )
    asking = await connect(server)
    info = (await asking.ask("INFO", "everything")).decode()
    for field in (
        *("tracking_clients:2", "tracking_total_keys:2", "tracking_total_items:3"),
        "tracking_total_prefixes:2",
    ):
        assert f"\r\n{field}\r\n" in info
    lines = (await asking.ask("CLIENT", "LIST")).decode().splitlines()
    marks = [line.split(" flags=")[1].split(" ")[0] for line in lines]
    redirected = [int(line.split(" redir=")[1].split(" ")[0]) for line in lines]
    assert marks[-4:] == ["t", "tB", "N", "N"]
    assert redirected[-4:] == [0, redirected[-3], -1, -1] and redirected[-3] > 0


async def test_a_load_is_told_to_those_who_read_the_key_as_absent(shop: Any) -> None:
    reader, other = await shop.client(), await shop.client()
    await reader.ask("HELLO", 3)
    await reader.ask("CLIENT", "TRACKING", "ON")
    assert await reader.settle(("HGET", "user:77", "name")) == b"_\r\n"
    shop.backing.rows[b"user:77"] = Row(("id", "name"), (77, "new"))
    await other.ask("DEL", "user:77")  # what an application does after it has written the row
    assert await reader.read() == [b"invalidate", [b"user:77"]]
    assert await reader.settle(("HGET", "user:77", "name")) == b"$3\r\nnew\r\n"


async def test_the_end_of_a_negative_answer_is_told(serve: Any, connect: Any) -> None:
    server = await serve(backing="memory://?prefix=user&rows=3", negative_ttl=0.05, ttl_jitter=0)
    for mode in (), ("BCAST", "PREFIX", "user:"):
        reader = await connect(server)
        await reader.ask("HELLO", 3)
        await reader.ask("CLIENT", "TRACKING", "ON", *mode)
        assert await reader.ask("HGET", "user:77", "name") is None
        assert await reader.read() == [b"invalidate", [b"user:77"]]
        await reader.settle(*[("HGET", "user:77", "name")] * 500)
        assert len(server.tracking._absent) < 500  # remembered once for each answer, not each read
        reader.close()


async def test_a_load_by_another_is_told_to_who_keeps_an_absence(serve: Any, connect: Any) -> None:
    server = await serve(backing="memory://?prefix=user&rows=3", negative_ttl=0)
    reader, other = await connect(server), await connect(server)
    await reader.ask("HELLO", 3)
    await reader.ask("CLIENT", "TRACKING", "ON")
    assert await reader.ask("HGET", "user:77", "name") is None
    server.backing.rows[b"user:77"] = Row(("id", "name"), (77, "new"))
    assert await other.ask("HGET", "user:77", "name") == b"new"
    assert await reader.read() == [b"invalidate", [b"user:77"]]


async def test_a_reader_that_broadcasts_may_keep_what_it_loads(shop: Any) -> None:
    """The message about a load comes before the value, not after it."""
    reader = await shop.client()
    await reader.ask("HELLO", 3)
    await reader.ask("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "user:")
    text = await reader.settle(("HGET", "user:1", "id"))
    assert text == told(b"user:1") + b"$1\r\n1\r\n"
    assert await reader.settle(("HGET", "user:1", "id")) == b"$1\r\n1\r\n"


async def test_a_reader_is_not_told_of_its_own_load(shop: Any) -> None:
    reader = await shop.client()
    await reader.ask("HELLO", 3)
    await reader.ask("CLIENT", "TRACKING", "ON")
    assert await reader.settle(("HGET", "user:1", "id")) == b"$1\r\n1\r\n"
    assert await reader.settle(("DEL", "user:1")) == b":1\r\n" + told(b"user:1")


async def test_what_a_script_reads_is_told_to_its_caller(
    serve: Any, redis_server: Any, connect: Any
) -> None:
    for server in (await serve(), redis_server):
        reader, writer = await connect(server), await connect(server)
        await writer.ask("MSET", "k1", 1, "k2", 2)
        await reader.ask("HELLO", 3)
        await reader.ask("CLIENT", "TRACKING", "ON")
        await reader.ask("EVAL", "return redis.call('get', KEYS[1])", 1, "k1")
        await writer.ask("MSET", "k1", 3, "k2", 3)
        assert await reader.settle() == told(b"k1")


async def test_reading_untouched(serve: Any, connect: Any) -> None:
    """CLIENT NO-TOUCH: what such a client reads leaves as if it had not."""
    for mode, survivors in (("OFF", [b"1", None]), ("ON", [None, b"2"])):
        server = await serve(policy="allkeys-lru", maxkeys=2)
        reader, writer = await connect(server), await connect(server)
        await writer.ask("MSET", "k1", 1, "k2", 2)
        assert await reader.ask("CLIENT", "NO-TOUCH", mode) == b"OK"
        await reader.ask("GET", "k1")
        await writer.ask("SET", "k3", 3)
        assert await writer.ask("MGET", "k1", "k2") == survivors


class Keeper:
    """A client that keeps what it reads until it is told, as client libraries do.

    Answers come on `client`, messages on `listening`; they are one under RESP3.
    """

    def __init__(self, client: Any, listening: Any, prefix: bytes | None, alone: bool) -> None:
        self.client, self.listening = client, listening
        self.prefix, self.alone = prefix, alone
        self.kept: dict[bytes, Any] = {}

    async def get(self, key: bytes) -> None:
        if self.prefix is not None and not key.startswith(self.prefix):
            return
        self.kept.pop(key, None)
        waiting = object()
        self.kept[key] = waiting
        value = await self.ask(b"GET", key)
        if self.kept.get(key) is waiting:  # nobody said in between that it had changed
            self.kept[key] = value
            if isinstance(value, Exception):
                del self.kept[key]

    async def ask(self, *words: Any) -> Any:
        if self.alone:  # it is not told of its own changes
            for word in words[1:]:
                self.kept.pop(word if isinstance(word, bytes) else str(word).encode(), None)
        self.client.send(*words)
        while isinstance(reply := await self.client.read(), hiredis.PushNotification):
            self.told(reply[1])
        return reply

    async def hear(self) -> None:
        """Take in every message that was sent so far."""
        if self.listening is self.client:
            await self.ask("PING")
            return
        self.listening.send("PING")
        while (message := await self.listening.read())[0] != b"pong":
            self.told(message[2])

    def told(self, keys: Any) -> None:
        if keys is None:
            self.kept.clear()
        for key in keys or ():
            self.kept.pop(key, None)


async def _keepers(server: Any, connect: Any) -> list[Keeper]:
    keepers = []
    for mode in ("", "NOLOOP", "OPTOUT", "BCAST", "BCAST NOLOOP", "BCAST PREFIX user:"):
        client = await connect(server)
        await client.ask("HELLO", 3)
        assert await client.ask("CLIENT", "TRACKING", "ON", *mode.split()) == b"OK"
        prefix = b"user:" if "PREFIX" in mode else None
        keepers.append(Keeper(client, client, prefix, "NOLOOP" in mode))
    for mode in ("", "BCAST"):
        client, listening = await connect(server), await connect(server)
        number = await listening.ask("CLIENT", "ID")
        await listening.ask("SUBSCRIBE", "__redis__:invalidate")
        words = ("CLIENT", "TRACKING", "ON", "REDIRECT", number, *mode.split())
        assert await client.ask(*words) == b"OK"
        keepers.append(Keeper(client, listening, None, alone=False))
    return keepers


@pytest.mark.parametrize("seed", range(8))
async def test_nobody_keeps_what_has_changed(serve: Any, connect: Any, seed: int) -> None:
    """Whatever happens, a client that was told everything keeps nothing the server denies."""
    rng = random.Random(seed)
    server = await serve(
        backing="memory://?prefix=user&rows=3",
        policy="allkeys-lru",
        maxkeys=7,
        ttl=0.2,
        negative_ttl=0.05,
        stale_for=0.2,
        tracking_table_max_keys=6,
    )
    keepers = await _keepers(server, connect)
    asking = await connect(server)
    keys = [b"a", b"b", b"c", b"d", *(b"user:%d" % number for number in range(5))]
    changes = (
        *("SET {} {n}", "SET {} {n} PX 5", "SETEX {} 100 {n}", "APPEND {} x", "INCR {}"),
        *("DEL {}", "UNLINK {} {}", "EXPIRE {} -1", "PEXPIRE {} 5", "GETDEL {}", "SETRANGE {} 2 x"),
        *("RENAME {} {}", "COPY {} {} REPLACE", "MSET {} {n} {} {n}", "HSET {} f {n}"),
        *("SETNX {} {n}", "GETEX {} PXAT 1", "GETSET {} {n}", "MOVE {} 1", "SWAPDB 0 1"),
        *("FLUSHDB", "FLUSHALL"),
    )
    compared = 0
    for step in range(400):
        who = rng.choice(keepers)
        happens = rng.random()
        if happens < 0.5:
            for key in rng.sample(keys, 3):
                await who.get(key)
        elif happens < 0.8:
            change = rng.choice(changes)
            if change in ("FLUSHDB", "FLUSHALL", "SWAPDB 0 1") and rng.random() < 0.8:
                continue
            words = [
                rng.choice(keys) if word == "{}" else word.format(n=step).encode()
                for word in change.split()
            ]
            by = rng.choice([who, None])
            if by is not None and by.alone and len(words) == 1:
                by = None
            await (by or asking).ask(*words)
        elif happens < 0.9:
            row = rng.choice(keys[4:])
            if rng.random() < 0.3:
                server.backing.rows.pop(row, None)
            else:
                server.backing.rows[row] = Row(("id", "n"), (int(row[5:]), step))
        else:
            key = rng.choice(keys)
            value = await asking.ask("GET", key)
            for keeper in keepers:
                await keeper.hear()
                if key in keeper.kept:
                    kept = keeper.kept[key]
                    if kept != value:  # it may have changed again since it was asked for
                        value = await asking.ask("GET", key)
                        await keeper.hear()
                        kept = keeper.kept.get(key, value)
                    assert kept == value, (step, key, keepers.index(keeper))
                    compared += 1
    assert compared > 20
    server.store.check()


async def test_the_stock_client_s_cache(serve: Any) -> None:
    server = await serve()

    def work() -> None:
        with (
            redis.Redis(port=server.port, protocol=3, cache_config=CacheConfig()) as caching,
            redis.Redis(port=server.port) as other,
        ):

            def gets() -> int:
                return int(other.info("commandstats").get("cmdstat_get", {}).get("calls", 0))

            other.config_resetstat()
            other.set("k", "old")
            assert [caching.get("k") for _ in range(5)] == [b"old"] * 5
            assert gets() == 1 and caching.get_cache().size == 1
            other.set("k", "new")
            assert [caching.get("k") for _ in range(5)] == [b"new"] * 5
            assert gets() == 2
            other.hset("h", "f", 1)
            assert caching.hgetall("h") == {b"f": b"1"}
            other.flushall()
            assert caching.hgetall("h") == {} and caching.get("k") is None

    await asyncio.to_thread(work)


async def test_the_stock_client_keeps_rows(shop: Any) -> None:
    """What it keeps of the database costs neither a statement nor a command, until it is told."""

    def work() -> None:
        port = shop.server.port
        with (
            redis.Redis(port=port, protocol=3, cache_config=CacheConfig()) as caching,
            redis.Redis(port=port) as other,
        ):

            def reads() -> int:
                return int(other.info("commandstats").get("cmdstat_hgetall", {}).get("calls", 0))

            other.config_resetstat()
            rows = [caching.hgetall("user:1") for _ in range(5)]
            assert rows == [{b"id": b"1", b"name": b"user 1"}] * 5
            assert reads() == 1 and shop.statements == 1
            shop.backing.rows[b"user:1"] = Row(("id", "name"), (1, "renamed"))
            other.delete("user:1")
            assert [caching.hgetall("user:1")[b"name"] for _ in range(5)] == [b"renamed"] * 5
            assert reads() == 2 and shop.statements == 1

    await asyncio.to_thread(work)
