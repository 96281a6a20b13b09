"""Keys, scans and OBJECT: guarantees that a comparison of single replies does not show."""

from __future__ import annotations

from typing import Any

from antecache.server.store import Evidence


async def scanned(client: Any, *options: Any, between: Any = None) -> list[bytes]:
    cursor, found = b"0", []
    while True:
        cursor, page = await client.ask("SCAN", cursor, *options)
        found += page
        if cursor == b"0":
            return found
        if between is not None:
            await between()


async def test_a_scan_returns_what_is_there_throughout(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("MSET", *(part for n in range(1000) for part in (f"k:{n}", n)))
    step = 0

    async def change() -> None:
        nonlocal step
        step += 1
        await client.ask("DEL", *(f"k:{n}" for n in range(900, 1000) if n % 7 == step % 7))
        await client.ask("MSET", *(part for n in range(40) for part in (f"new:{step}:{n}", n)))

    found = set(await scanned(client, "COUNT", 30, between=change))
    assert {f"k:{n}".encode() for n in range(900)} <= found
    assert step > 5


async def test_a_quiet_scan_returns_each_key_once(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("MSET", *(part for n in range(1000) for part in (f"k:{n}", n)))
    await client.ask("HSET", "h", "f", "v")
    assert sorted(await scanned(client)) == sorted(await client.ask("KEYS", "*"))
    assert await scanned(client, "TYPE", "hash") == [b"h"]
    found = await scanned(client, "MATCH", "k:1?")
    assert sorted(found) == [f"k:{n}".encode() for n in range(10, 20)]


async def test_every_key_may_be_chosen_at_random(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("MSET", *"a 1 b 2 c 3 d 4".split())
    await client.ask("SET", "gone", "x", "PXAT", 1)
    assert {await client.ask("RANDOMKEY") for _ in range(200)} == {b"a", b"b", b"c", b"d"}


async def test_every_field_may_be_chosen_at_random(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("HSET", "h", *(part for n in range(20) for part in (f"f{n}", n)))
    every = {f"f{n}".encode() for n in range(20)}
    assert {await client.ask("HRANDFIELD", "h") for _ in range(600)} == every
    for _ in range(20):
        some = await client.ask("HRANDFIELD", "h", 7)
        assert len(some) == len(set(some)) == 7 and set(some) <= every
    many = await client.ask("HRANDFIELD", "h", -1000)
    assert len(many) == 1000 and set(many) == every
    flat = await client.ask("HRANDFIELD", "h", 20, "WITHVALUES")
    assert dict(zip(flat[::2], flat[1::2], strict=True)) == {
        f"f{n}".encode(): str(n).encode() for n in range(20)
    }


async def test_no_count_makes_hrandfield_stall(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("HSET", "h", "f", "v")
    for argv in (("-4000000000000000000",), ("-20000000", "WITHVALUES")):
        assert str(await client.ask("HRANDFIELD", "h", *argv)) == "ERR value is out of range"


async def test_object_says_how_much_a_key_is_used(serve: Any, connect: Any) -> None:
    server = await serve(policy="allkeys-lfu")
    client = await connect(server)
    await client.ask("MSET", "hot", 1, "cold", 1)
    for _ in range(300):
        await client.ask("GET", "hot")
    hot, cold = (
        await client.ask("OBJECT", "FREQ", "hot"),
        await client.ask("OBJECT", "FREQ", "cold"),
    )
    assert hot > cold
    assert [await client.ask("OBJECT", "FREQ", "hot") for _ in range(50)] == [hot] * 50
    assert await client.ask("OBJECT", "FREQ", "no") is None


async def test_object_refuses_what_the_policy_does_not_keep(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("SET", "k", 1)
    lfu, lru = "An LFU maxmemory policy is not selected", "An LFU maxmemory policy is selected"
    assert lfu in str(await client.ask("OBJECT", "FREQ", "k"))
    assert await client.ask("OBJECT", "IDLETIME", "k") == 0
    await client.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    assert lru in str(await client.ask("OBJECT", "IDLETIME", "k"))
    for sub in ("FREQ", "IDLETIME"):
        assert await client.ask("OBJECT", sub, "no") is None


async def test_lru_knows_how_long_a_key_was_idle(serve: Any, connect: Any) -> None:
    server = await serve(policy="allkeys-lru")
    client = await connect(server)
    await client.ask("MSET", "idle", 1, "used", 1)
    policy = server.store.policy
    policy.clock = start = policy.clock + 1000
    await client.ask("GET", "used")
    assert await client.ask("OBJECT", "IDLETIME", "idle") >= 1000
    policy.clock = start + 7
    assert await client.ask("OBJECT", "IDLETIME", "used") == 7
    assert await client.ask("OBJECT", "IDLETIME", "used") == 7  # asking is no use


async def test_a_prefetched_row_is_idle_since_it_came(shop: Any) -> None:
    client = await shop.client()
    source = shop.server.sources.owner(b"user:3")
    origin = shop.store.origin(source)
    evidence = Evidence(origin, b"user:2", "rule", 0, 0.5, shop.store.now - 5500)
    row = shop.server.backing.rows[b"user:3"]
    shop.store.databases[0].put(b"user:3", row, origin=evidence, quiet=True)
    assert await client.ask("OBJECT", "IDLETIME", "user:3") == 5
    await client.ask("HGETALL", "user:3")
    assert await client.ask("OBJECT", "IDLETIME", "user:3") == 0


async def test_object_help_names_every_subcommand(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    lines = await client.ask("OBJECT", "HELP")
    assert {"ENCODING", "FREQ", "IDLETIME", "REFCOUNT", "HELP"} <= {
        str(x, "utf-8").split()[0] for x in lines
    }


async def test_looking_does_not_count_as_an_access(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.ask("MSET", "k", 1, "l", 2)
    before = server.store.hits, server.store.misses
    for (
        line
    ) in "KEYS *|SCAN 0|DBSIZE|RANDOMKEY|OBJECT ENCODING k|DEL no|SET k 2|INCR k|RENAME l m".split(
        "|"
    ):
        await client.ask(*line.split())
    assert (server.store.hits, server.store.misses) == before
    for line in "GET k|EXISTS k|TTL k|TYPE k|STRLEN k|TOUCH k|GETRANGE k 0 1|GET no".split("|"):
        await client.ask(*line.split())
    assert (server.store.hits, server.store.misses) == (before[0] + 7, before[1] + 1)
