"""Publish and subscribe over real sockets, held against a real redis-server."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from antecache.server import app
from antecache.server.glob import matcher
from antecache.server.pubsub import CHANNEL, PATTERN, SHARD, PubSub

CONVERSATION = """
a> SUBSCRIBE news news "" | SUBSCRIBE sport
b> PUBLISH news hello | PUBLISH nobody x | PUBLISH "" ""
a>
a> PSUBSCRIBE n* *t | SSUBSCRIBE news shard
b> PUBLISH news both | PUBLISH sport too | SPUBLISH news shards | SPUBLISH other x
a>
b> PUBSUB CHANNELS s* | PUBSUB CHANNELS nosuch | PUBSUB NUMSUB news nosuch sport | PUBSUB NUMSUB
b> PUBSUB NUMPAT | PUBSUB SHARDCHANNELS n* | PUBSUB SHARDNUMSUB news x | PUBSUB SHARDNUMSUB
b> PUBSUB | PUBSUB FOO | PUBSUB CHANNELS a b | PUBSUB NUMPAT x | PUBSUB SHARDCHANNELS a b
a> PING | PING x | PING a b
a> UNSUBSCRIBE nosuch | UNSUBSCRIBE sport | PUNSUBSCRIBE *t | SUNSUBSCRIBE news shard
a> PUNSUBSCRIBE | UNSUBSCRIBE "" news
a> UNSUBSCRIBE | PUNSUBSCRIBE | SUNSUBSCRIBE | UNSUBSCRIBE x | PING | GET nokey
b> PUBLISH news gone | SPUBLISH news gone | PUBSUB CHANNELS | PUBSUB NUMPAT
a> SUBSCRIBE | PSUBSCRIBE | SSUBSCRIBE | PUBLISH a | PUBLISH a b c | SPUBLISH a
a> MULTI | SUBSCRIBE one two | PSUBSCRIBE p* | EXEC
b> MULTI | PUBLISH one 1 | PUBLISH pat 2 | PUBLISH two 3 | EXEC
a>
a> RESET
b> PUBLISH one x | PUBSUB NUMPAT | PUBSUB CHANNELS
a> CLIENT REPLY SKIP | SUBSCRIBE silent | UNSUBSCRIBE silent
a> CLIENT REPLY OFF | SUBSCRIBE silent | UNSUBSCRIBE silent | CLIENT REPLY ON
"""

RESTRICTED = """
a> PSUBSCRIBE p
a> GET x | CLIENT LIST | NOSUCH | GET | MULTI | EXEC | PUBLISH a x | HELLO 3 | SELECT 1 | WATCH k
a> SSUBSCRIBE q | SUBSCRIBE c | SUNSUBSCRIBE q | UNSUBSCRIBE c | CONFIG GET port
a> PUNSUBSCRIBE | GET x | SSUBSCRIBE q | GET x | SUNSUBSCRIBE | GET x
a> SUBSCRIBE c | QUIT | GET x
"""


@pytest.mark.parametrize("speaks", ["", "3"])
async def test_the_conversation_is_redis_s(
    serve: Any, redis_server: Any, play: Any, speaks: str
) -> None:
    script = CONVERSATION.replace("a>", f"a{speaks}>")
    assert await play(await serve(), script) == await play(redis_server, script)


async def test_resp2_allows_a_subscriber_little(serve: Any, redis_server: Any, play: Any) -> None:
    assert await play(await serve(), RESTRICTED) == await play(redis_server, RESTRICTED)


async def test_resp3_allows_it_everything(serve: Any, play: Any) -> None:
    (_, text), (_, more) = await play(
        await serve(),
        "a3> SUBSCRIBE c | SET x 1 | GET x | MULTI | GET x | EXEC | PING\na3> HELLO 2 | GET x",
    )
    assert text == (
        b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n+OK\r\n$1\r\n1\r\n"
        b"+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n+PONG\r\n"
    )
    assert b"only (P|S)SUBSCRIBE" in more


async def test_a_message_to_oneself_follows_the_reply(serve: Any, play: Any) -> None:
    """As Redis does since 7.2, so that no push stands inside the reply of EXEC."""
    text = (
        await play(
            await serve(),
            "a3> SUBSCRIBE c\n"
            "a3> SET k 1 | PUBLISH c x | GET k | MULTI | PUBLISH c y | GET k | EXEC | GET k",
        )
    )[1][1]
    message = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n%b\r\n"
    assert text == (
        b"+OK\r\n:1\r\n" + message % b"x" + b"$1\r\n1\r\n"
        b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n$1\r\n1\r\n" + message % b"y" + b"$1\r\n1\r\n"
    )


async def test_messages_come_in_the_order_of_publication(serve: Any, connect: Any) -> None:
    server = await serve()
    subscriber, first, second = [await connect(server) for _ in range(3)]
    await subscriber.ask("SUBSCRIBE", "c")
    for number in range(100):
        (first if number % 2 else second).send("PUBLISH", "c", number)
        await (first if number % 2 else second).read()
    first.writer.write(b"".join(b"PUBLISH c %d\r\n" % number for number in range(100, 1100)))
    received = [await subscriber.read() for _ in range(1100)]
    assert [int(message[2]) for message in received] == list(range(1100))


async def test_who_listens_is_shown(serve: Any, connect: Any) -> None:
    server = await serve(timeout=1)
    subscriber, idle, asking = [await connect(server) for _ in range(3)]
    for kind, names in (("SUBSCRIBE", "ab"), ("PSUBSCRIBE", "x"), ("SSUBSCRIBE", "123")):
        for name in names:
            await subscriber.ask(kind, name)
    line = (await asking.ask("CLIENT", "LIST", "TYPE", "pubsub")).decode()
    assert " sub=2 psub=1 ssub=3 " in line and " flags=P " in line and line.count("\n") == 1
    assert (await asking.ask("CLIENT", "LIST", "TYPE", "normal")).count(b"\n") == 2
    info = (await asking.ask("INFO", "everything")).decode()
    for field in (
        *("pubsub_clients:1", "pubsub_channels:2", "pubsub_patterns:1"),
        "pubsubshard_channels:3",
    ):
        assert f"\r\n{field}\r\n" in info
    assert await idle.closed() == b""  # timeout: a subscriber has none
    assert (await subscriber.ask("PING"))[0] == b"pong"
    killer = await connect(server)
    assert await killer.ask("CLIENT", "KILL", "TYPE", "pubsub") == 1
    assert await subscriber.closed() == b""
    info = (await killer.ask("INFO", "everything")).decode()
    for field in ("pubsub_clients:0", "pubsub_channels:0", "pubsub_patterns:0"):
        assert f"\r\n{field}\r\n" in info


@pytest.mark.parametrize("limit", ["pubsub 3000000 0 0", "pubsub 0 1000000 1"])
async def test_a_slow_subscriber_is_closed(serve: Any, connect: Any, limit: str) -> None:
    server = await serve()
    slow, publisher = await connect(server), await connect(server)
    assert await publisher.ask("CONFIG", "SET", "client-output-buffer-limit", limit) == b"OK"
    await slow.ask("SUBSCRIBE", "c")
    slow.reader._limit = 1  # it reads no more
    message = b"x" * 100_000
    received = 1
    for _ in range(200):  # what the system buffers is not known
        if not received:
            break
        received = await publisher.ask("PUBLISH", "c", message)
        if server.clients[min(server.clients)].output_buffer > 2_000_000 and "1000000" in limit:
            await _until_closed(publisher)
            received = await publisher.ask("PUBLISH", "c", message)
    assert received == 0
    info = (await publisher.ask("INFO", "stats")).decode()
    assert "client_output_buffer_limit_disconnections:1\r\n" in info


async def _until_closed(publisher: Any) -> None:
    while await publisher.ask("CLIENT", "LIST", "TYPE", "pubsub"):
        pass


async def test_subscribers_that_vanish_harm_nobody(
    serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "AT_ONCE", 30)  # not all of them are written to in one turn
    server = await serve()
    subscribers = [await connect(server) for _ in range(200)]
    for subscriber in subscribers:
        subscriber.send("SUBSCRIBE", "c")
    for subscriber in subscribers:
        await subscriber.read()
    publisher = await connect(server)
    for number in range(20):
        for subscriber in subscribers[number::20][:4]:
            subscriber.writer.transport.abort()
        publisher.send("PUBLISH", "c", number)
    for _ in range(20):
        assert isinstance(await publisher.read(), int)
    staying = [one for one in subscribers if not one.writer.transport.is_closing()]
    assert len(staying) == 120
    for subscriber in staying:
        messages = [await subscriber.read() for _ in range(20)]
        assert [int(message[2]) for message in messages] == list(range(20))
    while len(server.clients) > len(staying) + 1:
        await asyncio.sleep(0)
    assert await publisher.ask("PUBSUB", "NUMSUB", "c") == [b"c", 120]


async def test_limits_of_subscribers_are_not_those_of_others(serve: Any, connect: Any) -> None:
    server = await serve(client_output_buffer_limit="normal 0 0 0 pubsub 1kb 1kb 1")
    client = await connect(server)
    value = b"x" * 5_000_000
    await client.ask("SET", "k", value)
    assert [await client.ask("GET", "k") for _ in range(3)] == [value] * 3


async def test_the_stock_client(serve: Any) -> None:
    server = await serve()
    for protocol in (2, 3):
        async with redis.asyncio.Redis(port=server.port, protocol=protocol) as client:
            async with client.pubsub() as listening:
                await listening.subscribe("one")
                await listening.psubscribe("t*")
                kinds = [(await listening.get_message(timeout=5))["type"] for _ in range(2)]
                assert kinds == ["subscribe", "psubscribe"]
                assert await client.publish("one", "1") == 1
                assert await client.publish("two", "2") == 1
                found = [await listening.get_message(timeout=5) for _ in range(2)]
                assert [(m["type"], m["channel"], m["data"]) for m in found] == [
                    ("message", b"one", b"1"),
                    ("pmessage", b"two", b"2"),
                ]
                await listening.ping()
                assert (await listening.get_message(timeout=5))["type"] == "pong"
                await listening.unsubscribe()
                await listening.punsubscribe()
            assert await client.pubsub_numpat() == 0


class Listener:
    """A connection that keeps what it is delivered."""

    def __init__(self, protocol: int = 2) -> None:
        self.protocol = protocol
        self.subscriptions: Any = None
        self.got: list[bytes] = []

    def deliver_soon(self, data: bytes) -> None:
        self.got.append(data)


def test_a_message_is_encoded_once_for_each_protocol() -> None:
    pubsub = PubSub()
    listeners = [Listener(2 + number % 2) for number in range(10_000)]
    for listener in listeners:
        pubsub.subscribe(listener, CHANNEL, b"c")
    assert pubsub.publish(b"c", b"x" * 1000) == len(listeners)
    assert all(len(listener.got) == 1 for listener in listeners)
    assert len({id(listener.got[0]) for listener in listeners}) == 2


NAMES = st.sampled_from([b"a", b"ab", b"*", b"a?", b"[ab]*", b""])


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 3), st.integers(0, 2), NAMES),
            st.tuples(st.just("drop"), st.integers(0, 3), st.integers(0, 2), NAMES),
            st.tuples(st.just("leave"), st.integers(0, 3)),
            st.tuples(st.just("publish"), NAMES),
            st.tuples(st.just("publish shard"), NAMES),
        )
    )
)
def test_everybody_gets_what_he_asked_for(steps: list[Any]) -> None:
    pubsub = PubSub()
    listeners = [Listener() for _ in range(4)]
    wanted: set[tuple[int, int, bytes]] = set()
    for step in steps:
        match step:
            case ("add", who, kind, name):
                wanted.add((who, kind, name))
                count = pubsub.subscribe(listeners[who], kind, name)
                assert count == sum(_together(kind, one) for w, one, _ in wanted if w == who)
            case ("drop", who, kind, name):
                wanted.discard((who, kind, name))
                count = pubsub.unsubscribe(listeners[who], kind, name)
                assert count == sum(_together(kind, one) for w, one, _ in wanted if w == who)
            case ("leave", who):
                wanted = {one for one in wanted if one[0] != who}
                pubsub.forget(listeners[who])
            case ("publish", name):
                expected = Counter(
                    who
                    for who, kind, one in wanted
                    if (kind == CHANNEL and one == name)
                    or (kind == PATTERN and (one == b"*" or matcher(one)(name)))
                )
                assert pubsub.publish(name, b"x") == expected.total() == _taken(listeners, expected)
            case (_, name):
                expected = Counter(w for w, kind, one in wanted if kind == SHARD and one == name)
                assert pubsub.publish_shard(name, b"x") == _taken(listeners, expected)
        assert pubsub.clients == len({who for who, _, _ in wanted})
        for kind in (CHANNEL, PATTERN, SHARD):
            names = {name for _, one, name in wanted if one == kind}
            assert set(pubsub.active(kind)) == names and pubsub.count(kind) == len(names)
            for name in names:
                here = sum(one[1:] == (kind, name) for one in wanted)
                assert pubsub.subscribers(kind, name) == here


def _together(kind: int, other: int) -> bool:
    return (kind == SHARD) == (other == SHARD)


def _taken(listeners: list[Listener], expected: Counter[int]) -> int:
    """How many messages came; each to whom it was for."""
    found = Counter({who: len(one.got) for who, one in enumerate(listeners) if one.got})
    assert found == expected
    for listener in listeners:
        listener.got.clear()
    return found.total()
