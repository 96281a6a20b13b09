"""CONFIG: what is shown, what can be changed, that it takes effect, and all or nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.parameter_readers import merged_limits, output_limits
from antecache.server.parameters import PARAMETERS, Setting
from antecache.server.setting_texts import parse_events

SAME_TEXTS = [
    ("GET",),
    ("GET", "nope"),
    ("GET", "SAVE"),
    ("SET",),
    ("SET", "a"),
    ("SET", "a", "b"),
    ("SET", "a", "b", "c"),
    ("SET", "a", "b", "c", "d"),
    ("SET", "databases", "5"),
    ("SET", "maxmemory", "foo"),
    ("SET", "maxmemory", "-1"),
    ("SET", "maxmemory", "1gb", "maxmemory", "1gb"),
    ("SET", "maxmemory", "1gb", "MaxMemory", "1gb"),
    ("SET", "maxmemory", "foo", "nope", "1"),
    ("SET", "timeout", "01"),
    ("SET", "save", "foo"),
    ("SET", "maxmemory", "1gb", "appendonly", "maybe"),
    ("SET", "maxclients", "0"),
    ("SET", "timeout", "-1"),
    ("SET", "timeout", "a"),
    ("SET", "slowlog-log-slower-than", "a"),
    ("SET", "slowlog-max-len", "-1"),
    ("SET", "appendonly", "maybe"),
    ("SET", "appendonly", "no"),
    ("SET", "save", ""),
    ("SET", "proto-max-bulk-len", "1"),
    ("SET", "notify-keyspace-events", "Q"),
    ("SET", "notify-keyspace-events", ""),
    ("SET", "loglevel", "foo"),
    ("SET", "client-output-buffer-limit", "foo"),
    ("SET", "client-output-buffer-limit", "normal 1 2"),
    ("SET", "client-output-buffer-limit", "foo 1 2 3"),
    ("SET", "client-output-buffer-limit", "normal a 2 3"),
    ("GET", "client-output-buffer-limit"),
    ("SET", "client-output-buffer-limit", "pubsub 1mb 2mb 3"),
    ("GET", "client-output-buffer-limit"),
    ("SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60"),
    ("SET", "tcp-backlog", "3"),
    ("SET", "io-threads", "3"),
    ("SET", "daemonize", "yes"),
    ("SET", "hash-max-listpack-entries", "a"),
    ("SET", "lazyfree-lazy-user-del", "foo"),
    ("SET", "tcp-keepalive", "-1"),
    ("SET", "lfu-log-factor", "-1"),
    ("SET", "protected-mode", "maybe"),
    ("REWRITE",),
    ("RESETSTAT",),
    ("FOO",),
    ("GET", "maxmemory"),
]


async def test_texts_are_redis_s_to_the_byte(serve: Any, connect: Any, redis_server: Any) -> None:
    ours, theirs = await connect(await serve()), await connect(redis_server)
    for words in SAME_TEXTS:
        got, wanted = [await one.bytes_of("CONFIG", *words) for one in (ours, theirs)]
        assert got == wanted, words


async def test_the_values_of_an_unchanged_server_are_redis_s(
    serve: Any, connect: Any, redis_server: Any
) -> None:
    """Where both have a parameter and the value is no fact about the machine or the start."""
    server = await serve()
    values = []
    for port in (server.port, redis_server.port):
        async with redis.asyncio.Redis(port=port, decode_responses=True) as client:
            values.append(await client.config_get("*"))
    ours, theirs = values
    differing = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    assert differing <= {
        *("bind", "dir", "port", "protected-mode", "crash-log-enabled", "dynamic-hz"),
        *("stop-writes-on-bgsave-error", "jemalloc-bg-thread", "latency-tracking"),
    }
    # of clients' own tests, dashboards and frameworks: bullmq, arq, ioredis, sidekiq, celery
    assert ours.keys() >= {
        *("maxmemory", "maxmemory-policy", "save", "appendonly", "databases", "timeout"),
        *("notify-keyspace-events", "hash-max-listpack-entries", "maxmemory-samples"),
        *("list-max-listpack-size", "zset-max-listpack-value", "cluster-enabled"),
        *("slowlog-log-slower-than", "client-output-buffer-limit", "lazyfree-lazy-user-del"),
    }


async def test_every_parameter_may_be_set_to_what_it_is(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    reply = await client.ask("CONFIG", "GET", "*")
    values = dict(zip(reply[::2], reply[1::2], strict=True))
    assert set(values) == {name.encode() for name in PARAMETERS}
    for name, value in values.items():
        assert await client.ask("CONFIG", "SET", name, value) == b"OK", name
    assert await client.ask("CONFIG", "GET", "*") == reply


async def test_patterns(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("HELLO", 3)
    assert await client.ask("CONFIG", "GET", "MAXMEMORY-[ps]*", "SaVe", "nope", "tim?out") == {
        b"maxmemory-policy": b"noeviction",
        b"maxmemory-samples": b"5",
        b"SaVe": b"",
        b"timeout": b"0",
    }


async def test_a_failed_set_changes_nothing(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    for bad in (("appendonly", "maybe"), ("appendonly", "yes"), ("maxclients", "0"), ("no", "1")):
        reply = await client.ask("CONFIG", "SET", "maxkeys", "5", "timeout", "9", *bad)
        assert str(reply).startswith("ERR "), bad
        assert (server.config.maxkeys, server.config.timeout) == (0, 0.0)


# -- effects -------------------------------------------------------------------


async def test_maxkeys_and_policy_take_effect_at_once(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    for number in range(100):
        await client.ask("SET", f"k{number}", "v")
    assert await client.ask("CONFIG", "SET", "maxmemory-policy", "ALLKEYS-LRU", "maxkeys", 10) == (
        b"OK"
    )
    assert await client.ask("DBSIZE") == 10
    await client.ask("SET", "new", "v")
    assert await client.ask("DBSIZE") == 10
    assert await client.ask("EXISTS", "new") == 1
    assert await client.ask("CONFIG", "GET", "maxmemory-policy") == [
        *(b"maxmemory-policy", b"allkeys-lru")
    ]
    assert await client.ask("CONFIG", "GET", "policy") == [b"policy", b"allkeys-lru"]
    assert await client.ask("CONFIG", "SET", "policy", "noeviction") == b"OK"
    replies = [str(await client.ask("SET", f"another{number}", "v")) for number in range(3)]
    assert replies[-1].startswith("OOM ")
    assert await client.ask("CONFIG", "SET", "maxkeys", 0) == b"OK"
    assert await client.ask("SET", "another", "v") == b"OK"


async def test_maxmemory_takes_effect_at_once(serve: Any, connect: Any) -> None:
    server = await serve(policy="allkeys-lru")
    client = await connect(server)
    for number in range(200):
        await client.ask("SET", f"k{number}", b"x" * 10_000)
    limit = server.memory() - 1_000_000
    assert await client.ask("CONFIG", "SET", "maxmemory", limit) == b"OK"
    assert server.memory() <= limit
    assert 80 <= await client.ask("DBSIZE") <= 110
    assert await client.ask("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"%d" % limit]


async def test_unknown_policies_are_refused_with_the_known_ones(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    reply = str(await client.ask("CONFIG", "SET", "maxmemory-policy", "best"))
    assert reply.startswith(
        "ERR CONFIG SET failed (possibly related to argument 'maxmemory-policy') - argument(s) "
        "must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, "
        "allkeys-lru, allkeys-lfu, allkeys-random, noeviction, "
    )
    assert "s3fifo" in reply


async def test_maxclients_and_timeout_hold_for_those_who_come(serve: Any, connect: Any) -> None:
    server = await serve(hz=50)
    client = await connect(server)
    await client.ask("CONFIG", "SET", "maxclients", 1)
    refused = await connect(server)
    assert await refused.closed() == b"-ERR max number of clients reached\r\n"
    await client.ask("CONFIG", "SET", "maxclients", 100, "timeout", 1)
    idle = await connect(server)
    assert await idle.closed() == b""


async def test_prediction_can_be_switched(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    assert await client.ask("CONFIG", "SET", "prediction", "on") == b"OK"
    assert await client.ask("CONFIG", "GET", "prediction") == [b"prediction", b"yes"]
    assert b"prediction:on" in await client.ask("INFO", "prediction")
    assert await client.ask("CONFIG", "SET", "prediction", "no") == b"OK"
    assert b"prediction:off" in await client.ask("INFO", "prediction")


async def test_loglevel(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    root = logging.getLogger()
    before = root.level
    try:
        await client.ask("CONFIG", "SET", "loglevel", "debug")
        assert root.level == logging.DEBUG
        await client.ask("CONFIG", "SET", "loglevel", "warning")
        assert root.level == logging.WARNING
    finally:
        root.setLevel(before)


async def test_resetstat_starts_counters_anew(serve: Any, connect: Any) -> None:
    server = await serve(backing="memory://?prefix=user&rows=10")
    client = await connect(server)
    await client.ask("CONFIG", "RESETSTAT")
    for words in (("GET", "user:1"), ("GET", "user:1"), ("GET", "nope"), ("LPUSHX",), ("SET", "k")):
        await client.ask(*words)
    info = await client.ask("INFO", "everything")
    assert b"cmdstat_get:calls=3" in info and b"errorstat_ERR:count=2" in info
    assert await client.ask("CONFIG", "RESETSTAT") == b"OK"
    info = await client.ask("INFO", "everything")
    assert b"cmdstat_get" not in info and b"errorstat_" not in info
    for line in (b"waits:0", b"statements:0", b"loads:0", b"keyspace_hits:0", b"keyspace_misses:0"):
        assert b"\r\n%b\r\n" % line in info, line


async def test_the_password_of_the_database_is_not_shown(serve: Any, connect: Any) -> None:
    server = await serve()
    server.config.backing = "postgresql://shop:hunter2@db/shop"
    client = await connect(server)
    shown = await client.ask("CONFIG", "GET", "backing")
    assert shown == [b"backing", b"postgresql://shop:***@db/shop"]
    server.config.backing = ""


async def test_two_clients_may_change_it_in_turns(serve: Any, connect: Any) -> None:
    server = await serve()
    one, two = await connect(server), await connect(server)
    await asyncio.gather(
        *(one.ask("CONFIG", "SET", "slowlog-max-len", number) for number in range(1)),
        *(two.ask("CONFIG", "SET", "maxclients", 50 + number) for number in range(1)),
    )
    assert (server.config.slowlog_max_len, server.config.maxclients) == (0, 50)


# -- readers -------------------------------------------------------------------


@given(st.text("KEg$lshzxetdmnA", max_size=12))
def test_events_are_normalised_once_and_for_all(text: str) -> None:
    shown = parse_events(text)
    assert parse_events(shown) == shown
    every = set("g$lshzxetd")

    def meaning(flags: str) -> set[str]:
        return (set(flags) | (every if "A" in flags else set())) - {"A"}

    assert meaning(shown) == meaning(text)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["normal", "replica", "slave", "pubsub"]),
            st.integers(0, 1 << 40),
            st.integers(0, 1 << 40),
            st.integers(0, 1000),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_output_limits_keep_what_is_not_named(limits: list[tuple[str, int, int, int]]) -> None:
    text = " ".join(" ".join(map(str, limit)) for limit in limits)
    merged = merged_limits("normal 1 2 3 replica 4 5 6 pubsub 7 8 9", output_limits(text)).split()
    found = {merged[at]: tuple(map(int, merged[at + 1 : at + 4])) for at in range(0, 12, 4)}
    expected = {"normal": (1, 2, 3), "replica": (4, 5, 6), "pubsub": (7, 8, 9)}
    expected |= {kind.replace("slave", "replica"): tuple(rest) for kind, *rest in limits}
    assert found == expected


async def test_a_changed_setting_is_shown_as_changed(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    own_tests = ("prediction", "loglevel")
    for name, parameter in PARAMETERS.items():
        if isinstance(parameter, Setting) and parameter.mutable and name not in own_tests:
            before = getattr(server.config, parameter.field)
            other = {
                "maxmemory": "1073741824",
                "maxmemory-policy": "volatile-ttl",
                "notify-keyspace-events": "gxK",
                "latency-tracking": "no",
                "latency-tracking-info-percentiles": "50 99.5",
                "policy": "s3fifo",
                "lua-time-limit": "4000",  # the same setting as busy-reply-threshold
                "requirepass": "secret",
                "acl-pubsub-default": "allchannels",
                "protected-mode": "no",
                "client-output-buffer-limit": "normal 0 0 0 slave 1 2 3 pubsub 4 5 6",
            }.get(name, "2097152")
            assert await client.ask("CONFIG", "SET", name, other) == b"OK", name
            assert await client.ask("CONFIG", "GET", name) == [name.encode(), other.encode()]
            assert getattr(server.config, parameter.field) != before, name
