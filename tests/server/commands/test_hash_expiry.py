"""Deadlines of single fields, by the stock client and by the store's clock.

Debian's redis-server knows none of these commands (they came with 7.4), so replies are
those of the documentation of Redis 7.4 and of its own tests.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from antecache.server.hash import Hash
from antecache.server.store import size

FAR = 4_000_000_000_000  # Unix ms, in the year 2096


class Clock:
    """A server whose time stands still until it is moved."""

    def __init__(self, server: Any, client: Any) -> None:
        self.server, self.client = server, client
        self.store = server.store
        self.store.now = int(time.time() * 1000)
        server.dispatch.set_clock = lambda: None

    async def ask(self, line: str) -> Any:
        return await self.client.ask(*line.split())

    def later(self, milliseconds: int) -> None:
        self.store.now += milliseconds

    def cycle(self) -> None:
        self.store.expire_cycle(budget_s=60)


@pytest.fixture
async def clock(serve: Any, connect: Any) -> Any:
    server = await serve()
    clock = Clock(server, await connect(server))
    await clock.ask("HSET h a 1 b 2 c 3")
    yield clock
    check(clock.store)


def check(store: Any) -> None:
    """The books are right, and what is charged for each key is what a recount says."""
    store.check()
    for database in store.databases:
        for key in list(database.keys()):
            entry = database.peek(key)
            measure = size.of_string if type(entry.value) is bytes else size.of_entry
            cost = measure(key, entry.value) + (size.DEADLINE if entry.expire_at else 0)
            assert abs(entry.size - cost) < 16, key


async def test_a_field_expires_for_every_command_that_reads(clock: Clock) -> None:
    assert await clock.ask("HPEXPIRE h 100 FIELDS 2 a b") == [1, 1]
    clock.later(99)
    assert await clock.ask("HGETALL h") == [b"a", b"1", b"b", b"2", b"c", b"3"]
    clock.later(1)
    assert await clock.ask("HGETALL h") == [b"c", b"3"]
    await clock.ask("HSET h a 1 b 2")
    for line, reply in {
        "HGET h a": None,
        "HMGET h a c": [None, b"3"],
        "HKEYS h": [b"c"],
        "HVALS h": [b"3"],
        "HLEN h": 1,
        "HEXISTS h a": 0,
        "HSTRLEN h a": 0,
        "HSCAN h 0": [b"0", [b"c", b"3"]],
        "HRANDFIELD h 5": [b"c"],
        "HDEL h a": 0,
        "HSETNX h a new": 1,
        "HINCRBY h b 5": 5,
        "HTTL h FIELDS 2 a c": [-2, -1],
        "HPERSIST h FIELDS 1 a": [-2],
        "HEXPIRE h 10 FIELDS 1 a": [-2],
    }.items():
        await clock.ask("HSET h a 1 b 2")
        await clock.ask("HPEXPIRE h 100 FIELDS 2 a b")
        clock.later(100)
        assert await clock.ask(line) == reply, line


async def test_a_hash_goes_with_its_last_field(clock: Clock) -> None:
    await clock.ask("HPEXPIRE h 100 FIELDS 3 a b c")
    clock.later(100)
    assert await clock.ask("HLEN h") == 0
    assert await clock.ask("EXISTS h") == 0
    assert clock.store.count == 0


async def test_what_nobody_reads_is_removed_by_the_cycle(clock: Clock) -> None:
    for n in range(300):
        await clock.ask(f"HSET h{n} a 1 b 2")
        await clock.ask(f"HPEXPIRE h{n} {100 + n} FIELDS 1 a")
        if n % 2:
            await clock.ask(f"HPEXPIRE h{n} {200 + n} FIELDS 1 b")
    clock.cycle()
    assert clock.store.fields.expired == 0
    clock.later(100)
    clock.cycle()
    assert clock.store.fields.expired == 1
    clock.later(1000)
    clock.cycle()
    assert clock.store.fields.expired == 450
    assert b"expired_subkeys:450\r\n" in await clock.ask("INFO stats")
    assert clock.store.count == 1 + 150
    assert clock.store.fields.nbytes == 0


async def test_the_heap_of_the_cycle_does_not_grow_with_every_change(clock: Clock) -> None:
    for n in range(2000):
        await clock.ask(f"HPEXPIREAT h {FAR + n} FIELDS 1 a")
        await clock.ask(f"HSET g{n} a 1")
        await clock.ask(f"HPEXPIREAT g{n} {FAR + n} FIELDS 1 a")
        await clock.ask(f"DEL g{n}")
    assert clock.store.fields.nbytes < 100 * 150
    assert b"expired_subkeys:0\r\n" in await clock.ask("INFO stats")
    held = clock.store.databases[0].peek(b"h").value
    assert isinstance(held, Hash) and len(held._heap) < 50
    assert held.deadlines == {b"a": FAR + 1999}
    await clock.ask("FLUSHALL")
    assert clock.store.fields.nbytes == 0


async def test_times_are_told_as_they_were_set(clock: Clock) -> None:
    assert await clock.ask("HEXPIRE h 10 FIELDS 1 a") == [1]
    assert await clock.ask("HTTL h FIELDS 3 a b no") == [10, -1, -2]
    assert await clock.ask("HPTTL h FIELDS 1 a") == [10_000]
    clock.later(1)
    assert await clock.ask("HTTL h FIELDS 1 a") == [10]  # rounded up
    assert await clock.ask("HPTTL h FIELDS 1 a") == [9999]
    assert await clock.ask("HPEXPIREAT h 4000000000001 FIELDS 1 b") == [1]
    assert await clock.ask("HPEXPIRETIME h FIELDS 1 b") == [4_000_000_000_001]
    assert await clock.ask("HEXPIRETIME h FIELDS 1 b") == [4_000_000_001]
    assert await clock.ask("HEXPIREAT h 4000000000 FIELDS 1 b") == [1]
    assert await clock.ask("HPEXPIRETIME h FIELDS 1 b") == [FAR]
    assert await clock.ask("HPERSIST h FIELDS 3 b c no") == [1, -1, -2]
    assert await clock.ask("HTTL h FIELDS 1 b") == [-1]


async def test_conditions(clock: Clock) -> None:
    assert await clock.ask("HPEXPIRE h 100 NX FIELDS 1 a") == [1]
    assert await clock.ask("HPEXPIRE h 200 NX FIELDS 2 a b") == [0, 1]
    assert await clock.ask("HPEXPIRE h 300 XX FIELDS 2 a c") == [1, 0]
    assert await clock.ask("HPEXPIRE h 250 gt FIELDS 4 a b c no") == [0, 1, 0, -2]
    assert await clock.ask("HPEXPIRE h 250 GT FIELDS 1 b") == [0]
    assert await clock.ask("HPEXPIRE h 240 lt FIELDS 3 a b c") == [1, 1, 1]
    assert await clock.ask("HPEXPIRE h 240 LT FIELDS 1 a") == [0]


async def test_a_time_in_the_past_deletes(clock: Clock) -> None:
    assert await clock.ask("HPEXPIRE h 100 FIELDS 1 b") == [1]
    assert await clock.ask("HPEXPIREAT h 1 NX FIELDS 4 a b no a") == [2, 0, -2, -2]
    assert await clock.ask("HKEYS h") == [b"b", b"c"]
    assert await clock.ask("HEXPIRE h 0 FIELDS 2 b c") == [2, 2]
    assert await clock.ask("EXISTS h") == 0


async def test_setting_a_field_lifts_its_deadline_and_counting_does_not(clock: Clock) -> None:
    for line in ("HSET h a 9", "HMSET h a 9", "HDEL h a"):
        await clock.ask("HSET h a 1")
        await clock.ask("HPEXPIRE h 100 FIELDS 1 a")
        await clock.ask(line)
        await clock.ask("HSETNX h a 1")
        clock.later(100)
        assert await clock.ask("HEXISTS h a") == 1, line
    for line in ("HINCRBY h a 1", "HINCRBYFLOAT h a 1.5", "HSETNX h a 7", "HSET h b 7"):
        await clock.ask("HSET h a 1")
        await clock.ask("HPEXPIRE h 100 FIELDS 1 a")
        await clock.ask(line)
        clock.later(100)
        assert await clock.ask("HEXISTS h a") == 0, line


async def test_deadlines_go_where_the_hash_goes(clock: Clock) -> None:
    await clock.ask("HPEXPIRE h 100 FIELDS 1 a")
    await clock.ask("COPY h copy")
    await clock.ask("COPY h h DB 3")
    await clock.ask("RENAME h renamed")
    payload = await clock.ask("DUMP renamed")
    assert await clock.client.ask("RESTORE", "restored", 0, payload) == b"OK"
    assert await clock.ask("MOVE restored 2") == 1
    for line in ("HPTTL renamed FIELDS 2 a b", "HPTTL copy FIELDS 2 a b"):
        assert await clock.ask(line) == [100, -1]
    await clock.ask("HPERSIST copy FIELDS 1 a")
    assert await clock.ask("HPTTL renamed FIELDS 2 a b") == [100, -1]
    clock.later(100)
    clock.cycle()
    assert clock.store.fields.expired == 3  # renamed, moved, and copied to another database
    assert await clock.ask("HLEN copy") == 3
    assert await clock.client.ask("RESTORE", "again", 0, payload) == b"OK"
    assert await clock.ask("HKEYS again") == [b"b", b"c"]


async def test_a_payload_of_expired_fields_is_nothing(clock: Clock) -> None:
    await clock.ask("HPEXPIRE h 100 FIELDS 3 a b c")
    payload = await clock.ask("DUMP h")
    clock.later(100)
    assert await clock.client.ask("RESTORE", "h", 0, payload, "REPLACE") == b"OK"
    assert await clock.ask("EXISTS h") == 0


async def test_encoding_and_plain_hashes(clock: Clock) -> None:
    assert await clock.ask("OBJECT ENCODING h") == b"listpack"
    await clock.ask("HPEXPIRE h 100 FIELDS 1 a")
    assert await clock.ask("OBJECT ENCODING h") == b"listpackex"
    await clock.ask("HSET plain a 1")
    assert await clock.ask("HPEXPIRE plain 100 XX FIELDS 1 a") == [0]
    assert type(clock.store.databases[0].peek(b"plain").value) is dict


async def test_watch_notices_that_a_field_expired(clock: Clock) -> None:
    await clock.ask("HPEXPIRE h 100 FIELDS 1 a")
    await clock.ask("WATCH h")
    clock.later(100)
    clock.cycle()
    await clock.ask("MULTI")
    await clock.ask("PING")
    assert await clock.ask("EXEC") is None


async def test_events(serve: Any, connect: Any) -> None:
    server = await serve(notify_keyspace_events="KEA")
    clock = Clock(server, await connect(server))
    listener = await connect(server)
    assert await listener.ask("PSUBSCRIBE", "__keyevent@0__:*")
    for line in (
        "HSET h a 1 b 2 c 3",
        "HPEXPIRE h 100 FIELDS 1 a",
        "HPERSIST h FIELDS 1 a",
        "HPERSIST h FIELDS 1 a",
        "HPEXPIRE h 0 FIELDS 1 a",
        "HPEXPIRE h 100 FIELDS 2 b c",
    ):
        await clock.ask(line)
    clock.later(100)
    await clock.ask("HLEN h")
    heard = [(await listener.read())[2].rpartition(b":")[2] for _ in range(7)]
    assert heard == [b"hset", b"hexpire", b"hpersist", b"hdel", b"hexpire", b"hexpired", b"del"]


NO_FIELDS = "ERR Mandatory argument FIELDS is missing or not at the right position"
MISMATCH = "ERR The `numfields` parameter must match the number of arguments"


async def test_a_field_expires_while_nobody_asks(serve: Any, connect: Any) -> None:
    """With the server's own clock and cycle."""
    server = await serve(notify_keyspace_events="Eh")
    client, listener = await connect(server), await connect(server)
    await listener.ask("SUBSCRIBE", "__keyevent@0__:hexpired")
    await client.ask("HSET", "h", "a", 1, "b", 2)
    assert await client.ask("HPEXPIRE", "h", 1, "FIELDS", 1, "a") == [1]
    assert await listener.read() == [b"message", b"__keyevent@0__:hexpired", b"h"]
    assert await client.ask("HKEYS", "h") == [b"b"]


REFUSALS = {
    "HEXPIRE h 10 FIELDS 1": "ERR wrong number of arguments for 'hexpire' command",
    "HEXPIRE h 10 1 a b": NO_FIELDS,
    "HEXPIRE h x FIELDS 1 a": "ERR value is not an integer or out of range",
    "HEXPIRE h -1 FIELDS 1 a": "ERR invalid expire time, must be >= 0",
    "HEXPIRE h 99999999999 FIELDS 1 a": "ERR invalid expire time in 'hexpire' command",
    "HPEXPIRE h 9223372036854775807 FIELDS 1 a": "ERR invalid expire time in 'hpexpire' command",
    "HPEXPIREAT h 70368744177664 FIELDS 1 a": "ERR invalid expire time in 'hpexpireat' command",
    "HEXPIREAT h 70368744178 FIELDS 1 a": "ERR invalid expire time in 'hexpireat' command",
    "HEXPIRE h 10 FIELD 1 a": NO_FIELDS,
    "HEXPIRE h 10 NX 1 a b": NO_FIELDS,
    "HEXPIRE h 10 FIELDS 0 a": "ERR Parameter `numFields` should be greater than 0",
    "HEXPIRE h 10 FIELDS x a": "ERR Parameter `numFields` should be greater than 0",
    "HEXPIRE h 10 FIELDS 2 a": MISMATCH,
    "HEXPIRE h 10 NX FIELDS 1 a b": MISMATCH,
    "HEXPIRE no 10 FIELDS 2 a": MISMATCH,
    "HTTL h FIELDS 0 a": "ERR Number of fields must be a positive integer",
    "HTTL h 1 FIELDS a": NO_FIELDS,
    "HPERSIST h FIELDS 3 a": MISMATCH,
    "HEXPIRE s x FIELDS 1 a": "WRONGTYPE Operation against a key holding the wrong kind of value",
    "HTTL s x 1 a": "WRONGTYPE Operation against a key holding the wrong kind of value",
    "HPERSIST s FIELDS 1 a": "WRONGTYPE Operation against a key holding the wrong kind of value",
}


@pytest.mark.parametrize("line", REFUSALS)
async def test_refusals(clock: Clock, line: str) -> None:
    await clock.ask("SET s x")
    assert str(await clock.ask(line)) == REFUSALS[line]
    assert await clock.ask("HLEN h") == 3


async def test_a_missing_key_has_no_such_field(clock: Clock) -> None:
    for line in ("HEXPIRE no 10 FIELDS 2 a b", "HTTL no FIELDS 2 a b", "HPERSIST no FIELDS 2 a b"):
        assert await clock.ask(line) == [-2, -2]
    assert await clock.ask("EXISTS no") == 0


async def test_a_row_becomes_a_hash_of_the_client_s(shop: Any) -> None:
    client = await shop.client()
    names = await client.ask("HKEYS", "user:3")
    assert await client.ask("HTTL", "user:3", "FIELDS", 1, names[0]) == [-1]
    assert await client.ask("HEXPIRE", "user:3", 100, "XX", "FIELDS", 1, names[0]) == [0]
    assert str(
        await client.ask(
            "GET",
            "user:3",
        )
    ).startswith("b'{")  # still a row
    assert await client.ask("HEXPIRE", "user:4", 100, "FIELDS", 2, names[0], "no") == [1, -2]
    assert shop.statements == 2
    assert str(await client.ask("GET", "user:4")).startswith("WRONGTYPE")
    assert await client.ask("HKEYS", "user:4") == names


async def test_the_stock_client(serve: Any) -> None:
    server = await serve()
    for protocol in (2, 3):
        async with redis.asyncio.Redis(port=server.port, protocol=protocol) as client:
            await client.hset("h", mapping={"a": 1, "b": 2})
            assert await client.hexpire("h", 100, "a", "b", nx=True) == [1, 1]
            assert await client.hpttl("h", "a") != [-1]
            assert await client.hpersist("h", "a") == [1]
            assert await client.httl("h", "a", "b") == [-1, 100]
            assert await client.hpexpireat("h", 1, "a") == [2]
            assert await client.hexpiretime("h", "a") == [-2]


names = st.sampled_from([b"a", b"b", b"c"])
steps = st.one_of(
    st.tuples(st.just("set"), names, st.integers(0, 9)),
    st.tuples(st.just("expire"), names, st.integers(1, 30)),
    st.tuples(st.just("persist"), names, st.just(0)),
    st.tuples(st.just("pass"), st.just(b""), st.integers(1, 20)),
)


@settings(deadline=None)
@given(st.lists(steps, max_size=60))
def test_a_hash_holds_its_fields_for_their_time(done: list[tuple[str, bytes, int]]) -> None:
    held, fields, deadlines, now = Hash({}), dict[bytes, bytes](), dict[bytes, int](), 1000
    for what, name, number in done:
        if what == "set":
            held[name] = fields[name] = b"%d" % number
            assert held.persist(name) == (deadlines.pop(name, None) is not None)
        elif what == "expire" and name in fields:
            deadlines[name] = now + number
            held.expire_at(name, now + number)
        elif what == "persist":
            assert held.persist(name) == (deadlines.pop(name, None) is not None)
        elif what == "pass":
            now += number
            due = [name for name, at in deadlines.items() if at <= now]
            lost = sum(size.of_field(name, fields[name]) + size.FIELD_DEADLINE for name in due)
            assert held.remove_due(now) == ((len(due), lost) if due else None)
            for name in due:
                del fields[name], deadlines[name]
        assert dict(held) == fields and held.deadlines == deadlines
        assert held.first_deadline <= min(deadlines.values(), default=0)
        assert bool(held.first_deadline) == bool(deadlines)
        assert held.copy() == fields
