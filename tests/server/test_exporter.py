"""Debian's prometheus-redis-exporter: it reads antecache as it reads redis-server.

What this file does not do: test antecache's own /metrics (`test_metrics.py`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis.asyncio
from antecache_tests_services import binary, free_port

from antecache.server.app import Server

Scrape = Callable[[int], Awaitable[dict[str, float]]]

#: Not counted here: every read and write of a socket would pay for it.
LEFT_OUT = {"redis_total_reads_processed", "redis_total_writes_processed"}


@pytest.fixture
async def scrape() -> AsyncIterator[Scrape]:
    """What an exporter pointed at a port shows: name and labels to value."""
    program = binary("prometheus-redis-exporter")
    running: list[asyncio.subprocess.Process] = []

    async def start(port: int) -> dict[str, float]:
        web = free_port()
        process = await asyncio.create_subprocess_exec(
            program,
            f"-redis.addr=redis://127.0.0.1:{port}",
            f"-web.listen-address=127.0.0.1:{web}",
            stderr=asyncio.subprocess.PIPE,
        )
        running.append(process)
        assert process.stderr is not None
        async for line in process.stderr:
            if b"Providing metrics at" in line:
                break
        async with aiohttp.ClientSession() as session:
            for _ in range(200):  # it says so just before it listens
                try:
                    async with session.get(f"http://127.0.0.1:{web}/metrics") as answer:
                        text = await answer.text()
                    break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.02)
        found = re.findall(r"^(redis_\w+(?:\{.*?\})?) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in found}

    yield start
    for process in running:
        process.kill()
        await process.wait()


async def work(port: int) -> None:
    """Something to be seen in the series."""
    async with redis.asyncio.Redis(port=port) as client:
        await client.config_resetstat()
        await client.mset({f"k{n}": n for n in range(20)})
        await client.expire("k1", 100)
        for n in range(30):
            await client.get(f"k{n}")


def names(series: dict[str, float]) -> set[str]:
    return {name.partition("{")[0] for name in series}


async def test_every_series_of_its_dashboard_is_there(
    serve: Callable[..., Awaitable[Server]], scrape: Scrape
) -> None:
    server = await serve(maxmemory=4 << 30)
    await work(server.port)
    series = await scrape(server.port)
    assert series["redis_up"] == 1
    dashboard = Path(
        "/usr/share/doc/prometheus-redis-exporter/examples/grafana_prometheus_redis_dashboard.json"
    )
    if not dashboard.exists():
        pytest.skip("the exporter's package keeps no dashboard")
    expressions = re.findall(r'"expr": *"((?:[^"\\]|\\.)*)"', dashboard.read_text())
    wanted = {name for expression in expressions for name in re.findall(r"redis_\w+", expression)}
    assert len(wanted) > 10
    assert wanted <= names(series)
    assert series['redis_db_keys{db="db0"}'] == 20
    assert series['redis_db_keys_expiring{db="db0"}'] == 1
    assert series["redis_keyspace_hits_total"] == 20
    assert series["redis_keyspace_misses_total"] == 10
    assert series["redis_memory_max_bytes"] == 4 << 30
    assert series['redis_commands_total{cmd="get"}'] == 30


async def test_no_series_of_redis_server_is_lacking(
    serve: Callable[..., Awaitable[Server]], scrape: Scrape, redis_server: Any
) -> None:
    server = await serve()
    await work(server.port)
    await work(redis_server.port)
    ours, theirs = await scrape(server.port), await scrape(redis_server.port)
    assert names(theirs) - names(ours) == LEFT_OUT
