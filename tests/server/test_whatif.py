"""What the ghosts say would have been, against servers for which it really was.

What this file does not do: test the ghost caches themselves (`tests/policies`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from antecache.server.metrics import registry_of
from antecache.server.whatif import Lately, at

ROWS, HELD, READS = 3000, 300, 5000
BACKING = f"memory://?prefix=user&rows={ROWS}"


def popular(seed: int = 1) -> Iterator[int]:
    """Row numbers, few of them often."""
    draw = random.Random(seed).paretovariate
    for _ in range(READS):
        yield min(int(20 * (draw(0.7) - 1)), ROWS - 1)


async def drive(server: Any, client: Any, *, hint: bool = False) -> float:
    """Read popular rows; the share of the reads that waited."""
    before = server.stats.waits
    for number in popular():
        if hint:
            await client.ask("PREFETCH", f"user:{number}")
            # a reader that comes when the row is there
            while f"user:{number}".encode() in server.loader.inflight:
                await client.ask("PING")
        await client.ask("GET", f"user:{number}")
    return float(server.stats.waits - before) / READS


async def whatif(client: Any) -> dict[str, Any]:
    """PREDICTOR WHATIF, as a RESP3 client sees it."""
    await client.ask("HELLO", 3)
    return _plain(await client.ask("PREDICTOR", "WHATIF"))  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    return value.decode() if isinstance(value, bytes) else value


async def info(client: Any) -> dict[str, str]:
    """INFO eviction, by field."""
    text = (await client.ask("INFO", "eviction")).decode()
    assert text.startswith("# Eviction\r\n")
    return dict(line.split(":", 1) for line in text.splitlines()[1:])


async def test_larger_memories_are_what_they_are_said_to_be(serve: Any, connect: Any) -> None:
    server = await serve(backing=BACKING, maxkeys=HELD)
    client = await connect(server)
    waited = await drive(server, client)
    seen = await whatif(client)
    assert (seen["policy"], seen["ghost-caches"], seen["note"]) == ("auto", "on", "")
    # of the recent past, so a little lower than over all, when the cache was filling
    assert waited - 0.02 < float(seen["miss-ratio"]) <= waited
    assert float(seen["without-prefetch"]) == pytest.approx(waited, abs=0.02)
    assert seen["leader"] in seen["policies"]
    for said, factor in (("50%", 0.5), ("200%", 2), ("400%", 4)):
        other = await serve(backing=BACKING, maxkeys=int(factor * HELD))
        really = await drive(other, await connect(other))
        assert float(seen["memory"][said]) == pytest.approx(really, abs=0.03), said


async def test_what_prefetching_saves(serve: Any, connect: Any) -> None:
    plain = await serve(backing=BACKING, maxkeys=HELD)
    waited = await drive(plain, await connect(plain))
    server = await serve(backing=BACKING, maxkeys=HELD)
    client = await connect(server)
    assert await drive(server, client, hint=True) == 0.0
    seen = await whatif(client)
    assert float(seen["miss-ratio"]) == 0.0
    assert float(seen["without-prefetch"]) == pytest.approx(waited, abs=0.03)


async def test_info_and_metrics_say_the_same(serve: Any, connect: Any) -> None:
    server = await serve(backing=BACKING, maxkeys=HELD)
    client = await connect(server)
    await drive(server, client)
    fields, seen = await info(client), await whatif(client)
    assert fields["miss_ratio"] == seen["miss-ratio"]
    assert fields["miss_ratio_without_prefetch"] == seen["without-prefetch"]
    assert fields["eviction_leader"] == seen["leader"]
    for name, ratio in seen["policies"].items():
        assert fields[f"miss_ratio_policy_{name}"] == ratio
    for size, ratio in seen["memory"].items():
        assert fields[f"miss_ratio_memory_{size[:-1]}"] == ratio
    everything = (await client.ask("INFO")).decode()
    assert "# Eviction\r\n" in everything

    scraped = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(_scrape(server))
        for sample in family.samples
        if sample.name.startswith("antecache_")
    }
    assert scraped[("antecache_miss_ratio",)] == pytest.approx(float(seen["miss-ratio"]), abs=1e-4)
    assert scraped[("antecache_miss_ratio_memory", "2")] == pytest.approx(
        float(seen["memory"]["200%"]), abs=1e-4
    )
    assert {labels[0] for name, *labels in scraped if name == "antecache_miss_ratio_policy"} == set(
        seen["policies"]
    )


def _scrape(server: Any) -> str:
    from prometheus_client import generate_latest

    return generate_latest(registry_of(server)).decode()


async def test_another_policy_keeps_no_ghosts_and_says_so(serve: Any, connect: Any) -> None:
    server = await serve(backing=BACKING, maxkeys=HELD, policy="lru")
    client = await connect(server)
    for number in (1, 2, 1, 1):
        await client.ask("GET", f"user:{number}")
    seen = await whatif(client)
    assert seen["ghost-caches"] == "off"
    assert "'lru' keeps no ghost caches" in seen["note"]
    assert seen["miss-ratio"] == "0.5000"
    assert "without-prefetch" not in seen
    assert set(await info(client)) == {"miss_ratio", "ghost_caches", "ghost_caches_note"}
    assert "antecache_miss_ratio_policy{" not in _scrape(server)
    assert await client.ask("CONFIG", "SET", "maxmemory-policy", "auto") in (b"OK", "OK")
    assert (await whatif(client))["ghost-caches"] == "on"


async def test_a_small_memory_keeps_no_ghosts_and_says_so(serve: Any, connect: Any) -> None:
    server = await serve(backing=BACKING)
    client = await connect(server)
    used = int((await client.ask("INFO", "memory")).split(b"used_memory:")[1].split(b"\r\n")[0])
    assert await client.ask("CONFIG", "SET", "maxmemory", used + 100_000) in (b"OK", "OK")
    waited = await drive(server, client)
    assert server.store.evicted > 0
    seen = await whatif(client)
    assert (seen["policy"], seen["ghost-caches"]) == ("auto", "off")
    assert "too little for ghost caches" in seen["note"]
    assert 0 < float(seen["miss-ratio"]) <= waited
    assert server.store.policy.metadata_bytes < 50_000


async def test_few_reads_are_no_evidence(serve: Any, connect: Any) -> None:
    server = await serve(backing=BACKING, maxkeys=HELD)
    client = await connect(server)
    await client.ask("GET", "user:1")
    assert "wait for some thousands" in (await whatif(client))["note"]


async def test_counting_starts_anew_with_the_statistics(serve: Any, connect: Any) -> None:
    server = await serve(backing=BACKING, maxkeys=HELD)
    client = await connect(server)
    lately = Lately()
    for number in range(20):
        await client.ask("GET", f"user:{number}")
    lately.look(server)
    assert (lately.reads, lately.waits) == (20, 20)
    await client.ask("CONFIG", "RESETSTAT")
    await client.ask("GET", "user:1")
    lately.look(server)
    assert (lately.reads, lately.waits) == (21, 20)


curves = st.lists(st.floats(0, 1), min_size=4, max_size=4).map(
    lambda ratios: list(zip((0.5, 1.0, 2.0, 4.0), sorted(ratios, reverse=True), strict=True))
)


@given(curves, st.floats(0.1, 10), st.floats(0.1, 10))
def test_between_two_points_lies_what_is_between(
    curve: list[tuple[float, float]], one: float, other: float
) -> None:
    smaller, larger = sorted((one, other))
    assert at(curve, smaller) >= at(curve, larger) - 1e-9
    assert curve[-1][1] - 1e-9 <= at(curve, one) <= curve[0][1] + 1e-9
    for share, ratio in curve:
        assert at(curve, share) == pytest.approx(ratio)
