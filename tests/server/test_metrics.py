"""The metrics and health pages, as Prometheus and an orchestrator read them."""

from __future__ import annotations

import errno
import math
import re
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from antecache.server.backing.base import BackingError
from antecache.server.histogram import LOAD_BOUNDS, Histogram
from antecache.server.http import MetricsServer

# What redis_exporter's dashboards ask for, and ours of the README.
EXPORTER = {
    *("redis_up", "redis_uptime_in_seconds", "redis_connected_clients", "redis_blocked_clients"),
    *("redis_memory_used_bytes", "redis_memory_max_bytes", "redis_commands_processed_total"),
    *("redis_keyspace_hits_total", "redis_keyspace_misses_total", "redis_expired_keys_total"),
    *("redis_evicted_keys_total", "redis_net_input_bytes_total", "redis_net_output_bytes_total"),
    *("redis_instance_info", "redis_db_keys", "redis_db_keys_expiring"),
    *("redis_commands_total", "redis_commands_duration_seconds_total"),
}
OURS = {
    *("waits_total", "statements_total", "rows_total", "load_seconds_bucket", "load_seconds_sum"),
    *("load_seconds_count", "prefetch_issued_total", "prefetch_outcome_total", "plan_rules"),
    *("plan_age_seconds", "trainer_seconds", "trainer_failures_total", "loop_lag_seconds"),
    *("negative_hits_total", "stale_served_total", "load_errors_total", "metadata_bytes"),
}
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def fetch(server: Any, path: str, accept: str = "") -> tuple[int, str, str]:
    """Status, content type and text of a page of `server`."""
    url = f"http://127.0.0.1:{server.config.metrics_port}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers={"Accept": accept} if accept else {}) as answer,
    ):
        return answer.status, answer.headers["Content-Type"], await answer.text()


async def samples(server: Any) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of /metrics by name and labels."""
    _, _, text = await fetch(server, "/metrics")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in prometheus(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


async def test_the_names_are_those_of_redis_exporter_and_ours(serve: Any, connect: Any) -> None:
    server = await serve(metrics_port=free_port(), backing="memory://?prefix=user&rows=10")
    await (await connect(server)).ask("GET", "user:1")
    names = {name for name, _ in await samples(server)}
    assert names >= EXPORTER
    assert names >= {f"antecache_{name}" for name in OURS}


async def test_dashboards_ask_for_what_there_is(serve: Any, connect: Any) -> None:
    folder = Path(__file__).parents[2] / "docker" / "grafana" / "dashboards"
    wanted = {
        name
        for path in folder.glob("*.json")
        for name in re.findall(r"\b(?:redis|antecache)_[a-z_]+\b", path.read_text("utf-8"))
    }
    assert len(wanted) > 10
    server = await serve(metrics_port=free_port(), backing="memory://?prefix=user&rows=10")
    await (await connect(server)).ask("GET", "user:1")
    assert wanted <= {name for name, _ in await samples(server)}


async def test_clients_that_wait_are_counted(serve: Any, connect: Any) -> None:
    server = await serve(metrics_port=free_port())
    one, two = await connect(server), await connect(server)
    one.send("BLPOP", "q", 0)
    while not server.dispatch.blocked:
        await two.ask("PING")
    assert (await samples(server))[key("redis_blocked_clients")] == 1
    await two.ask("RPUSH", "q", "a")
    assert await one.read() == [b"q", b"a"]
    assert (await samples(server))[key("redis_blocked_clients")] == 0


async def test_counters_count_what_clients_did(serve: Any, connect: Any) -> None:
    server = await serve(metrics_port=free_port(), backing="memory://?prefix=user&rows=10")
    client = await connect(server)
    before = await samples(server)
    await client.ask("MGET", "user:1", "user:2", "user:77")
    await client.ask("GET", "user:1")
    await client.ask("SET", "k", "v", "PX", 60_000)
    await client.ask("GET", "nope")
    await client.ask("INCR", "k")
    after = await samples(server)

    def grown(name: str, **labels: str) -> float:
        return after[key(name, **labels)] - before.get(key(name, **labels), 0)

    assert grown("redis_commands_total", cmd="get") == 2
    assert grown("redis_commands_failed_calls_total", cmd="incr") == 1
    assert grown("redis_commands_duration_seconds_total", cmd="get") > 0
    assert grown("redis_keyspace_hits_total") == 1
    assert grown("redis_keyspace_misses_total") == 4
    assert grown("redis_errors_total", err="ERR") == 1
    assert grown("antecache_waits_total") == 3
    assert grown("antecache_statements_total", source="user") == 1
    assert grown("antecache_rows_total", source="user", cause="demand") == 3
    assert grown("antecache_load_seconds_count") == 1
    assert grown("antecache_load_seconds_bucket", le="+Inf") == 1
    assert after[key("redis_db_keys", db="db0")] == 3
    assert after[key("redis_db_keys_expiring", db="db0")] == 1
    assert after[key("redis_connected_clients")] == 1
    assert after[key("redis_memory_used_bytes")] == pytest.approx(server.memory(), rel=0.05)


async def test_the_scraper_chooses_the_format(serve: Any, connect: Any) -> None:
    server = await serve(metrics_port=free_port(), backing="memory://?prefix=user&rows=10")
    await (await connect(server)).ask("GET", "user:1")
    status, kind, text = await fetch(server, "/metrics", OPENMETRICS)
    assert status == 200 and kind.startswith("application/openmetrics-text")
    families = {family.name: family for family in openmetrics(text)}
    assert families["antecache_waits"].type == "counter"
    assert families["antecache_load_seconds"].type == "histogram"
    status, kind, _ = await fetch(server, "/metrics", "text/plain")
    assert status == 200 and kind.startswith("text/plain; version=")


async def test_health_follows_the_database(serve: Any, connect: Any) -> None:
    server = await serve(metrics_port=free_port(), hz=100, backing="memory://?prefix=user&rows=10")
    client = await connect(server)
    assert (await fetch(server, "/health/live"))[0::2] == (200, "live\n")
    assert (await fetch(server, "/health/ready"))[0::2] == (200, "ready\n")
    server.backing.fail_with = BackingError("the database is <away>")
    assert "away" in str(await client.ask("GET", "user:1"))
    while (await fetch(server, "/health/ready"))[0] == 200:
        await client.ask("PING")
    status, _, text = await fetch(server, "/health/ready")
    assert (status, text) == (503, "user: the database is <away>\n")
    assert (await fetch(server, "/health/live"))[0] == 200, "it must not be restarted for that"
    assert "&lt;away&gt;" in (await fetch(server, "/"))[2]
    assert (await samples(server))[key("antecache_load_errors_total", source="user")] == 1
    server.backing.fail_with = None
    assert b'"id":1' in await client.ask("GET", "user:1")
    while (await fetch(server, "/health/ready"))[0] != 200:
        await client.ask("PING")


async def test_pages(serve: Any) -> None:
    server = await serve(metrics_port=free_port())
    status, kind, text = await fetch(server, "/")
    assert status == 200 and kind.startswith("text/html")
    assert 'href="/metrics"' in text
    assert (await fetch(server, "/nosuch"))[0] == 404


async def test_a_port_in_use_is_an_error_that_names_it(serve: Any) -> None:
    server = await serve(metrics_port=free_port())
    second = MetricsServer(server, "127.0.0.1", server.config.metrics_port)
    with pytest.raises(OSError, match=str(server.config.metrics_port)) as caught:
        await second.start()
    assert caught.value.errno == errno.EADDRINUSE
    await second.stop()
    await second.stop()


async def test_port_0_listens_nowhere(serve: Any) -> None:
    server = await serve()
    pages = MetricsServer(server, "127.0.0.1", 0)
    await pages.start()
    await pages.stop()


@given(st.lists(st.one_of(st.floats(0, 20), st.sampled_from(LOAD_BOUNDS))))
def test_a_histogram_counts_what_lies_below_each_bound(seconds: list[float]) -> None:
    histogram = Histogram()
    for value in seconds:
        histogram.observe(value)
    assert histogram.count == len(seconds)
    assert math.isclose(histogram.sum, math.fsum(seconds), abs_tol=1e-9)
    for bound, count in histogram.cumulated():
        assert count == sum(value <= bound for value in seconds)
    histogram.reset()
    assert (histogram.count, histogram.sum) == (0, 0.0)
    assert all(total == 0 for _, total in histogram.cumulated())
