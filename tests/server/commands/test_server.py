"""INFO, MEMORY and the commands about the server as a whole, as users and tools read them."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import Any

import pytest
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.app import Server
from antecache.server.config import Config
from antecache.server.info_redis import human


def sections_of(text: bytes) -> dict[str, dict[str, str]]:
    """`# Title` and `name:value` lines, as every monitoring tool splits them."""
    found: dict[str, dict[str, str]] = {}
    for line in text.decode().split("\r\n"):
        if line.startswith("# "):
            current = found[line[2:]] = {}
        elif line:
            name, _, value = line.partition(":")
            assert name not in current, f"{name} stands twice"
            current[name] = value
    return found


# -- INFO ----------------------------------------------------------------------


async def test_sections_and_fields_are_redis_s(serve: Any, connect: Any, redis_server: Any) -> None:
    ours, theirs = [
        sections_of(await (await connect(server)).ask("INFO", "everything"))
        for server in (await serve(), redis_server)
    ]
    assert [title for title in ours if title in theirs] == list(theirs)
    assert [t for t in ours if t not in theirs] == ["Antecache", "Prediction", "Eviction"]
    uncounted = {"total_reads_processed", "total_writes_processed"}
    for title, fields in theirs.items():
        if title not in ("Commandstats", "Errorstats", "Latencystats", "Keyspace"):
            assert set(fields) - uncounted <= set(ours[title]), title


async def test_sections_can_be_chosen(serve: Any, connect: Any) -> None:
    client = await connect(await serve())

    async def titles(*names: str) -> set[str]:
        return set(sections_of(await client.ask("INFO", *names)))

    everything = await titles("everything")
    assert await titles("all") == await titles("ALL") == everything
    assert await titles() == await titles("default")
    assert everything - await titles() == {"Commandstats", "Latencystats"}
    assert await titles("server", "CPU", "nosuch") == {"Server", "CPU"}
    assert await titles("nosuch") == set()
    assert await titles("default", "commandstats") == everything - {"Latencystats"}
    assert await client.bytes_of("INFO", "nosuch") == b"$0\r\n\r\n"
    await client.ask("HELLO", 3)
    assert (await client.bytes_of("INFO", "cluster")) == (
        b"=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n"
    )


async def test_info_tells_what_happened(serve: Any, connect: Any) -> None:
    server = await serve()
    client, other = await connect(server), await connect(server)
    await client.ask("CONFIG", "RESETSTAT")  # the command table is one for all servers here
    await client.ask("SET", "a", "1", "PX", 60_000)
    await client.ask("SET", "b", "2")
    await client.ask("GET", "a")
    await client.ask("GET", "nope")
    await client.ask("INCR", "x", "y")
    await client.ask("NOSUCH")
    await client.ask("CONFIG", "SET", "no", "1")
    await other.ask("SELECT", 3)
    await other.ask("SET", "c", "3")
    await other.ask("WATCH", "c", "d")
    info = sections_of(await client.ask("INFO", "everything"))
    assert info["Server"]["tcp_port"] == str(server.port)
    assert int(info["Server"]["uptime_in_seconds"]) < 60
    assert abs(int(info["Server"]["server_time_usec"]) / 1e6 - time.time()) < 10
    assert info["Clients"]["connected_clients"] == "2"
    assert (info["Clients"]["watching_clients"], info["Clients"]["total_watched_keys"]) == (
        "1",
        "2",
    )
    assert info["Persistence"]["loading"] == "0"
    stats = info["Stats"]
    assert (stats["keyspace_hits"], stats["keyspace_misses"]) == ("1", "1")
    assert stats["total_error_replies"] == "3"
    assert stats["total_connections_received"] == "0"
    assert info["Replication"]["role"] == "master"
    assert info["Memory"]["maxmemory_policy"] == "noeviction"
    assert 20_000_000 < int(info["Memory"]["used_memory"]) < 2_000_000_000
    assert info["Errorstats"] == {"errorstat_ERR": "count=3"}
    keyspace = info["Keyspace"]
    assert keyspace["db3"] == "keys=1,expires=0,avg_ttl=0"
    first = dict(pair.split("=") for pair in keyspace["db0"].split(","))
    assert (first["keys"], first["expires"]) == ("2", "1")
    assert 55_000 < int(first["avg_ttl"]) <= 60_000
    commands = info["Commandstats"]
    set_ = dict(pair.split("=") for pair in commands["cmdstat_set"].split(","))
    assert (set_["calls"], set_["rejected_calls"], set_["failed_calls"]) == ("3", "0", "0")
    assert float(set_["usec_per_call"]) > 0
    assert "calls=0,usec=0,usec_per_call=0.00,rejected_calls=1" in commands["cmdstat_incr"]
    assert commands["cmdstat_config|set"].endswith("failed_calls=1")
    processed = sum(int(value.split("=")[1].split(",")[0]) for value in commands.values())
    assert int(stats["total_commands_processed"]) == processed


async def test_info_tells_of_loads_and_prefetches(serve: Any, connect: Any) -> None:
    server = await serve(backing="memory://?prefix=user&rows=10")
    client = await connect(server)
    await client.ask("MGET", "user:1", "user:2", "user:77")
    await client.ask("GET", "user:1")
    await client.ask("GET", "user:77")
    info = sections_of(await client.ask("INFO"))
    ours = info["Antecache"]
    assert (ours["waits"], ours["statements"], ours["rows_demand"]) == ("3", "1", "3")
    assert (ours["loads"], ours["rows_prefetch"]) == ("1", "0")
    assert int(ours["load_usec_mean"]) > 0
    assert ours["negative_keys"] == "1"
    assert ours["source_user"] == (
        "state=ok,statements=1,rows_demand=3,rows_prefetch=0,errors=0,timeouts=0"
    )
    assert info["Prediction"]["prediction"] == "off"
    assert info["Prediction"]["prefetch_issued"] == "0"


@pytest.mark.parametrize("protocol", [2, 3])
async def test_redis_py_reads_info(serve: Any, protocol: int) -> None:
    server = await serve()
    async with redis.asyncio.Redis(port=server.port, protocol=protocol) as client:
        info = await client.info("everything")
        assert info["redis_version"] == "7.4.0"
        assert info["antecache_version"] != "0"
        assert info["role"] == "master" and info["loading"] == 0


async def test_rates_follow_the_load(serve: Any, connect: Any) -> None:
    server = await serve(hz=100)
    client = await connect(server)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for _ in range(50):
            await client.ask("PING")
        stats = sections_of(await client.ask("INFO", "stats"))["Stats"]
        if int(stats["instantaneous_ops_per_sec"]) > 100:
            break
    assert int(stats["instantaneous_ops_per_sec"]) > 100
    assert float(stats["instantaneous_input_kbps"]) > 0


async def test_redis_cli_reads_it(serve: Any) -> None:
    cli = shutil.which("redis-cli")
    if cli is None:
        pytest.skip("redis-cli is not installed")
    server = await serve()

    async def run(*args: str, lines: int = 0) -> str:
        process = await asyncio.create_subprocess_exec(
            *(cli, "-p", str(server.port), *args), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        if lines:
            text = b"".join([await process.stdout.readline() for _ in range(lines)])
            process.kill()
            await process.wait()
            return text.decode()
        return (await process.communicate())[0].decode()

    assert "# Keyspace\n" in (await run("INFO")).replace("\r", "")
    stat = await asyncio.wait_for(run("--stat", "-i", "0.01", lines=4), 20)
    assert stat.splitlines()[1].split()[:2] == ["keys", "mem"]
    assert stat.splitlines()[2].split()[0] == "0"
    assert (await run("MEMORY", "DOCTOR")).strip() == "No memory problem was found."
    assert (await run("SHUTDOWN")) == ""
    await asyncio.wait_for(server.serve(), 5)


@given(st.integers(0, 2**60))
def test_human_sizes_read_back(size: int) -> None:
    text = human(size)
    unit = 1024 ** "BKMGTP".index(text[-1])
    assert abs(float(text[:-1]) * unit - size) <= 0.0051 * unit
    assert text[-1] == "P" or float(text[:-1]) <= 1024


# -- MEMORY --------------------------------------------------------------------


async def test_memory_usage(serve: Any, connect: Any, redis_server: Any) -> None:
    ours, theirs = await connect(await serve()), await connect(redis_server)
    for words in (
        ("USAGE",),
        ("USAGE", "no such key"),
        ("USAGE", "k", "SAMPLES"),
        ("USAGE", "k", "SAMPLES", "-1"),
        ("USAGE", "k", "SAMPLES", "a"),
        ("USAGE", "k", "FOO", "1"),
        ("PURGE",),
        ("FOO",),
    ):
        got, wanted = [await one.bytes_of("MEMORY", *words) for one in (ours, theirs)]
        assert got == wanted, words
    await ours.ask("SET", "k", b"x" * 5000)
    await ours.ask("HSET", "h", "f", b"x" * 5000)
    for key in ("k", "h"):
        assert 5000 < await ours.ask("MEMORY", "USAGE", key, "SAMPLES", "0") < 5500


async def test_memory_stats_add_up(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.ask("HELLO", 3)
    await client.ask("SET", "k", b"x" * 100_000)
    stats = await client.ask("MEMORY", "STATS")
    assert stats[b"keys.count"] == 1
    assert stats[b"dataset.bytes"] == await client.ask("MEMORY", "USAGE", "k")
    parts = sum(size for name, size in stats.items() if name.startswith(b"antecache."))
    assert (
        stats[b"startup.allocated"] + parts + stats[b"dataset.bytes"] == (stats[b"total.allocated"])
    )
    assert stats[b"peak.allocated"] >= stats[b"total.allocated"]
    assert b"db.0" in stats


async def test_memory_doctor_sees_a_full_store(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.ask("SET", "k", b"x" * 3_000_000)
    await client.ask("CONFIG", "SET", "maxmemory", server.memory() - 1_000_000)
    assert b"maxmemory is reached" in await client.ask("MEMORY", "DOCTOR")


# -- the rest ------------------------------------------------------------------


async def test_texts_are_redis_s_to_the_byte(serve: Any, connect: Any, redis_server: Any) -> None:
    ours, theirs = await connect(await serve()), await connect(redis_server)
    for words in (
        ("TIME", "x"),
        ("ROLE",),
        ("REPLICAOF", "NO", "ONE"),
        ("SLAVEOF", "no", "one"),
        ("WAIT", "0", "0"),
        ("WAIT", "a", "0"),
        ("WAIT", "1", "a"),
        ("WAIT", "1", "-1"),
        ("DEBUG",),
        ("DEBUG", "SLEEP", "0"),
        ("DEBUG", "JMAP"),
        ("BGSAVE", "FOO"),
        ("SHUTDOWN", "FOO"),
        ("SHUTDOWN", "ABORT"),
        ("SHUTDOWN", "ABORT", "NOW"),
        ("SHUTDOWN", "SAVE", "NOSAVE"),
        ("SLOWLOG", "GET", "-2"),
        ("SLOWLOG", "GET", "a"),
        ("SLOWLOG", "GET", "1", "2"),
        ("ACL", "CAT", "a", "b"),
        ("SLOWLOG", "RESET"),
        ("SLOWLOG", "FOO"),
        ("LATENCY", "LATEST"),
        ("LATENCY", "HISTORY", "command"),
        ("LATENCY", "RESET"),
        ("LATENCY", "RESET", "a", "b"),
        ("LATENCY", "GRAPH", "command"),
        ("LATENCY", "FOO"),
    ):
        assert await ours.bytes_of(*words) == await theirs.bytes_of(*words), words


async def test_wait_answers_at_once_even_for_many_replicas(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    assert await asyncio.wait_for(client.ask("WAIT", 5, 0), 5) == 0


async def test_nothing_pretends_to_be_saved(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    for words in (("SAVE",), ("BGSAVE",), ("BGREWRITEAOF",), ("SHUTDOWN", "SAVE")):
        assert "no persistence" in str(await client.ask(*words)), words
    assert await client.ask("LASTSAVE") == int(server.started)
    assert "cannot be a replica" in str(await client.ask("REPLICAOF", "127.0.0.1", "6379"))
    seconds, microseconds = await client.ask("TIME")
    assert abs(int(seconds) + int(microseconds) / 1e6 - time.time()) < 5


async def test_shutdown_closes_everything_without_a_reply() -> None:
    server = Server(Config(port=0, metrics_port=0, prediction=False, predictor="misslog"))
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"SHUTDOWN NOSAVE NOW FORCE\r\n")
    await asyncio.wait_for(server.serve(), 5)
    await server.stop()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", server.port)
    writer.close()
