"""Keyspace notifications: which events are told, to whom, and when there are none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.setting_texts import parse_events
from antecache.server.store import events


@pytest.mark.parametrize(
    "letters",
    [
        *("", "K", "E", "KE", "KEA", "AKE", "EKg", "Kx$E", "A", "AKEm", "xe", "KEg$lshzxetd"),
        *("Ezg", "KEgn", "nmKE", "mA", "KEg$lshzxe", "dK", "q", "KEA!"),
    ],
)
async def test_the_letters_are_read_and_shown_as_in_redis(
    serve: Any, connect: Any, redis_server: Any, letters: str
) -> None:
    shown = []
    for server in (await serve(), redis_server):
        client = await connect(server)
        await client.ask("CONFIG", "SET", "notify-keyspace-events", "")
        answer = await client.bytes_of("CONFIG", "SET", "notify-keyspace-events", letters)
        shown.append((answer, await client.ask("CONFIG", "GET", "notify-keyspace-events")))
        await client.ask("CONFIG", "SET", "notify-keyspace-events", "")
    assert shown[0] == shown[1]


@given(st.lists(st.sampled_from("KEg$lshzxetdmnA")).map("".join))
def test_no_class_is_lost_by_showing_it(letters: str) -> None:
    given, shown = set(letters), set(parse_events(letters))
    classes = set("g$lshzxetd")
    for one in (given, shown):
        if "A" in one:
            one |= classes
        if classes <= one:
            one.add("A")
    assert given == shown


@pytest.mark.parametrize(
    ("letters", "wanted"),
    [
        ("K$", {b"__keyspace@0__:k"}),
        ("E$", {b"__keyevent@0__:set"}),
        ("Eg", {b"__keyevent@0__:del", b"__keyevent@0__:expire"}),
        ("Kn", {b"__keyspace@0__:k"}),
        ("En", {b"__keyevent@0__:new"}),
        ("Em", {b"__keyevent@0__:keymiss"}),
        ("Eh", {b"__keyevent@0__:hset"}),
        ("$g", set()),
        ("KE", set()),
    ],
)
async def test_only_what_was_asked_for_is_told(
    serve: Any, connect: Any, letters: str, wanted: set[bytes]
) -> None:
    server = await serve(notify_keyspace_events=letters)
    client, listener = await connect(server), await connect(server)
    await listener.ask("PSUBSCRIBE", "*")
    for words in (
        *("SET k v", "EXPIRE k 100", "DEL k", "GET missing"),
        *("HSET h f v", "PUBLISH end x"),
    ):
        await client.ask(*words.split())
    found = []
    while not found or found[-1] != b"end":
        found.append((await listener.read())[2])
    told = {
        channel.replace(b":h", b":k") if b"keyspace" in channel else channel for channel in found
    }
    assert told - {b"end"} == wanted


async def test_eviction_tells_who_left(serve: Any, connect: Any) -> None:
    server = await serve(policy="allkeys-lru", maxkeys=2, notify_keyspace_events="Ee")
    client, listener = await connect(server), await connect(server)
    await listener.ask("SUBSCRIBE", "__keyevent@0__:evicted")
    for key in "abcd":
        await client.ask("SET", key, "v")
    assert [(await listener.read())[2] for _ in range(2)] == [b"a", b"b"]


async def test_a_key_that_nobody_asks_for_expires_aloud(serve: Any, connect: Any) -> None:
    server = await serve(notify_keyspace_events="Kx")
    client, listener = await connect(server), await connect(server)
    await listener.ask("SUBSCRIBE", "__keyspace@0__:k")
    await client.ask("SET", "k", "v", "PX", 20)
    assert await listener.read() == [b"message", b"__keyspace@0__:k", b"expired"]


async def test_loads_are_no_events(shop: Any) -> None:
    """An owned key is there for clients whether it is resident or not."""
    client, listener = await shop.client(), await shop.client()
    await client.ask("CONFIG", "SET", "notify-keyspace-events", "KEAmn")
    await listener.ask("PSUBSCRIBE", "__keyevent@*")
    await client.ask("HGET", "user:1", "id")  # loaded
    await client.ask("MGET", "user:2", "user:77")  # the second has no row
    await client.ask("EXISTS", "user:77")  # known to have none
    await client.ask("DEL", "user:1")
    await client.ask("HGET", "user:1", "id")  # loaded again
    await client.ask("HSET", "user:3", "name", "x")  # loaded, then changed
    await client.ask("SET", "user:88", "mine")
    await client.ask("DEL", "user:99")  # neither resident nor, as far as is known, there
    await client.ask("SET", "end", "x")
    found = []
    while not found or found[-1][1] != b"end" or found[-1][0] != "set":
        _, _, channel, key = await listener.read()
        found.append((channel.decode().partition(":")[2], key))
    assert found == [
        ("keymiss", b"user:77"),
        ("keymiss", b"user:77"),
        ("del", b"user:1"),
        ("hset", b"user:3"),
        ("new", b"user:88"),
        ("set", b"user:88"),
        ("new", b"end"),
        ("set", b"end"),
    ]


async def test_nothing_is_paid_while_nobody_listens(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    store = server.store
    assert not store.observed and not store.events
    await client.ask("CONFIG", "SET", "notify-keyspace-events", "KEA")
    assert store.observed and store.events == events.ALL
    await client.ask("SET", "bare", "v")
    await client.ask("SET", "bare", "value")
    held = [data for database in store.databases for data in database.dicts if data]
    assert held == [{b"bare": b"value"}]  # strings are held as compactly as without
    store.check()
    for letters in ("A", "K", ""):
        await client.ask("CONFIG", "SET", "notify-keyspace-events", letters)
        assert store.observed == bool(store.events) == (letters not in ("A", "K", ""))


async def test_a_listener_that_leaves_stops_nobody(serve: Any, connect: Any) -> None:
    server = await serve(notify_keyspace_events="KEA")
    client, listener = await connect(server), await connect(server)
    await listener.ask("PSUBSCRIBE", "*")
    listener.close()
    while len(server.clients) > 1:
        await asyncio.sleep(0)
    assert await client.ask("SET", "k", "v") == b"OK"
    assert not server.pubsub.clients
