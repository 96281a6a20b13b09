"""LATENCY: distributions whose counts are exact, events above a threshold, redis-cli's modes."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server import spikes as spikes_module
from antecache.server.command import TABLE, Command, load_all
from antecache.server.spikes import KEPT, Spikes
from antecache.server.timings import EXACT_NS, LONGEST_NS, Timings, bucket

PAIRS = dict[bytes, Any]


def pairs(flat: list[Any]) -> PAIRS:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def bounds() -> Iterator[int]:
    """The bounds that Redis shows, in microseconds."""
    return ((2**at + 2 ** (at - 7) - 1) // 1000 for at in range(10, 31))


@pytest.fixture
def row() -> Command:
    return Command("x", lambda client, argv: None, 1)


# -- LATENCY HISTOGRAM -------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_histogram_has_the_shape_of_redis_s(
    serve: Any, connect: Any, redis_server: Any, protocol: int
) -> None:
    shapes = []
    for server in (await serve(), redis_server):
        client = await connect(server)
        await client.ask("HELLO", protocol)
        await client.ask("CONFIG", "RESETSTAT")
        for _ in range(5):
            await client.ask("GET", "k")
        await client.ask("SET", "k", "v")
        await client.ask("CONFIG", "GET", "port")
        await client.ask("CONFIG", "GET", "port")
        names = ("GET", "nosuch", "set", "config", "object|help", "incr", "client|nosuch")
        answer = await client.ask("LATENCY", "HISTOGRAM", *names)
        shape: Any = {}
        for name, facts in (pairs(answer) if protocol == 2 else answer).items():
            facts = pairs(facts) if protocol == 2 else facts
            assert list(facts) == [b"calls", b"histogram_usec"]
            histogram = facts[b"histogram_usec"]
            histogram = pairs(histogram) if protocol == 2 else histogram
            assert set(histogram) <= set(bounds())
            assert list(histogram.values()) == sorted(set(histogram.values()))
            assert list(histogram) == sorted(histogram)
            assert list(histogram.values())[-1] == facts[b"calls"]
            shape[name] = facts[b"calls"]
        shapes.append(shape)
        everything = await client.ask("LATENCY", "HISTOGRAM")
        assert set(shape) <= set(pairs(everything) if protocol == 2 else everything)
        # An answer without a command is an empty map.
        assert await client.bytes_of("LATENCY", "HISTOGRAM", "nosuch") == (
            b"*0\r\n" if protocol == 2 else b"%0\r\n"
        )
    calls = {b"get": 5, b"set": 1, b"config|get": 2, b"config|resetstat": 1}
    assert shapes == [calls, calls]


async def test_slow_commands_are_where_they_belong(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.ask("CONFIG", "RESETSTAT")
    names = [b"key:%06d" % number for number in range(30_000)]
    await client.ask("MSET", *(word for name in names for word in (name, b"v")))
    await client.ask("GET", names[0])
    for _ in range(3):
        assert len(await client.ask("KEYS", "*[0-9]")) == len(names)
    found = pairs(await client.ask("LATENCY", "HISTOGRAM", "keys", "get"))
    histogram = pairs(pairs(found[b"keys"])[b"histogram_usec"])
    assert [sum(1 for bound in histogram if bound <= 1000)] == [0]  # 30,000 keys take longer
    assert list(histogram.values())[-1] == 3
    assert pairs(found[b"get"])[b"calls"] == 1


async def test_a_pipeline_is_counted_whole(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    await client.ask("CONFIG", "RESETSTAT")
    client.writer.write(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" * 2000)
    for _ in range(2000):
        await client.read()
    found = pairs(await client.ask("LATENCY", "HISTOGRAM", "get"))
    assert pairs(found[b"get"])[b"calls"] == 2000


async def test_tracking_can_be_switched_off(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("CONFIG", "RESETSTAT")
    await client.ask("GET", "k")
    await client.ask("CONFIG", "SET", "latency-tracking", "no")
    before = await client.ask("LATENCY", "HISTOGRAM", "get")
    await client.ask("GET", "k")
    assert await client.ask("LATENCY", "HISTOGRAM", "get") == before
    await client.ask("CONFIG", "SET", "latency-tracking", "yes")
    await client.ask("GET", "k")
    found = pairs(await client.ask("LATENCY", "HISTOGRAM", "get"))
    # The first was not counted yet when it was switched off, unless a round came in between.
    assert pairs(found[b"get"])[b"calls"] in (1, 2)
    await client.ask("CONFIG", "RESETSTAT")
    assert await client.ask("LATENCY", "HISTOGRAM", "get") == []


async def test_info_has_percentiles(serve: Any, connect: Any) -> None:
    client = await connect(await serve())
    await client.ask("CONFIG", "RESETSTAT")
    await client.ask("GET", "k")
    text = (await client.ask("INFO", "latencystats")).decode()
    assert re.search(
        r"\r\nlatency_percentiles_usec_get:p50=\d+\.\d{3},p99=\d+\.\d{3},p99\.9=\d+\.\d{3}\r\n",
        text,
    )
    await client.ask("CONFIG", "SET", "latency-tracking-info-percentiles", "0 12.50 100")
    assert b"get:p0=" in await client.ask("INFO", "latencystats")
    assert b",p12.5=" in await client.ask("INFO", "latencystats")


@pytest.mark.parametrize("text", ["50 99", "", "a", "101", "-1", "50 x", "50.0 99.00", "1e1"])
async def test_percentiles_are_read_as_in_redis(
    serve: Any, connect: Any, redis_server: Any, text: str
) -> None:
    name = "latency-tracking-info-percentiles"
    answers = []
    for server in (await serve(), redis_server):
        client = await connect(server)
        await client.ask("CONFIG", "SET", name, "50 99 99.9")
        answer = await client.bytes_of("CONFIG", "SET", name, text)
        answers.append((answer, await client.ask("CONFIG", "GET", name)))
        await client.ask("CONFIG", "SET", name, "50 99 99.9")
    assert answers[0] == answers[1]


@given(st.integers(0, 2**40))
def test_a_bucket_is_two_digits_wide(nanoseconds: int) -> None:
    last = bucket(nanoseconds)
    value = min(max(nanoseconds, 1), LONGEST_NS)
    assert value <= last and last - value <= value / 128 + 1
    assert bucket(last) == last or last > LONGEST_NS
    assert bucket(min(last + 1, LONGEST_NS)) >= last


@given(
    st.lists(
        st.tuples(st.lists(st.integers(1, 3 * LONGEST_NS), max_size=20), st.booleans()), max_size=20
    )
)
def test_calls_are_counted_once_and_the_slow_ones_exactly(rounds: list[Any]) -> None:
    row = Command("x", lambda client, argv: None, 1)
    timings = Timings(enabled=True)
    every: list[int] = []
    for times, sampled in rounds:
        for nanoseconds in times:
            row.calls += 1
            row.nanoseconds += nanoseconds
            if nanoseconds >= EXACT_NS:
                timings.tell(row, 1, nanoseconds)
            every.append(nanoseconds)
        if sampled:
            timings.sample([row])
    timings.sample([row])
    assert timings.calls(row) == len(every) == (timings.cumulated(row) or [(0, 0)])[-1][1]
    slow = sorted(one for one in every if one >= EXACT_NS)
    for bound, total in timings.cumulated(row):
        if bound * 1000 > 2 * EXACT_NS:
            beyond = [one for one in slow if bucket(one) // 1000 > bound]
            assert len(every) - total == len(beyond)
    if every:
        assert timings.percentile(row, 100) == pytest.approx(
            max(bucket(one) for one in slow) / 1000 if slow else timings.percentile(row, 100)
        )
        shares = [timings.percentile(row, percent) for percent in (0, 10, 50, 99, 100)]
        assert shares == sorted(shares)


def test_the_bounds_are_redis_s(row: Command) -> None:
    """What redis-server 7.0.15 shows for times on either side of a bound."""
    timings = Timings(enabled=True)
    for nanoseconds in (500, 1031, 1032, 16_000, 33_023, 33_024, 2_113_535, 2_113_536, 10**12):
        timings.tell(row, 1, nanoseconds)
    assert timings.cumulated(row) == [
        *((1, 2), (2, 3), (16, 4), (33, 5), (66, 6), (2113, 7), (4227, 8)),
        (1082130, 9),
    ]


# -- events ------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_700_000_000.0]
    monkeypatch.setattr(spikes_module.time, "time", lambda: now[0])
    return now


async def test_events_are_kept_above_the_threshold(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    names = [b"key:%06d" % number for number in range(30_000)]
    await client.ask("MSET", *(word for name in names for word in (name, b"v")))
    await client.ask("KEYS", "*[0-9]")
    assert await client.ask("LATENCY", "LATEST") == []
    assert b"not watched" in await client.ask("LATENCY", "DOCTOR")
    await client.ask("CONFIG", "SET", "latency-monitor-threshold", 1)
    assert b"Nothing has taken" in await client.ask("LATENCY", "DOCTOR")
    await client.ask("KEYS", "*[0-9]")
    latest = {event[0]: event for event in await client.ask("LATENCY", "LATEST")}
    _, at, took, worst = latest[b"command"]
    assert took >= 1 and worst >= took and at > 1_700_000_000
    assert await client.ask("LATENCY", "HISTORY", "command") == [[at, took]]
    assert (await client.ask("LATENCY", "GRAPH", "command")).startswith(b"command - high ")
    report = await client.ask("LATENCY", "DOCTOR")
    assert b"command: 1 spikes" in report and b"slowlog-log-slower-than 1000" in report
    assert await client.ask("LATENCY", "RESET", "command", "command", "nosuch") == 1
    assert await client.ask("LATENCY", "HISTORY", "command") == []
    # The slow log goes by a threshold of its own.
    await client.ask("CONFIG", "SET", "slowlog-log-slower-than", 10_000_000)
    await client.ask("SLOWLOG", "RESET")
    await client.ask("KEYS", "*[0-9]")
    assert await client.ask("SLOWLOG", "LEN") == 0
    assert await client.ask("LATENCY", "RESET") >= 1
    await client.ask("CONFIG", "SET", "latency-monitor-threshold", 0)
    await client.ask("KEYS", "*[0-9]")
    assert await client.ask("LATENCY", "LATEST") == []


async def test_a_slow_database_is_an_event(serve: Any, connect: Any) -> None:
    server = await serve(backing="memory://?prefix=user&rows=3", latency_monitor_threshold=20)
    server.backing.latency = 0.05
    client = await connect(server)
    assert await client.ask("HGET", "user:1", "id") == b"1"
    latest = {event[0]: event for event in await client.ask("LATENCY", "LATEST")}
    assert latest[b"load"][2] >= 40
    assert b"Loads from the database" in await client.ask("LATENCY", "DOCTOR")


async def test_exec_is_not_logged_for_what_it_ran(serve: Any, connect: Any) -> None:
    client = await connect(await serve(slowlog_log_slower_than=0))
    await client.ask("MULTI")
    await client.ask("GET", "k")
    await client.ask("EXEC")
    logged = [entry[3][0] for entry in await client.ask("SLOWLOG", "GET")]
    assert b"GET" in logged and b"EXEC" not in logged


def test_a_second_keeps_its_worst(clock: list[float]) -> None:
    spikes = Spikes(10)
    for at, milliseconds in ((0, 9), (0, 20), (0.5, 30), (0.9, 12), (2, 11)):
        clock[0] = 1_700_000_000 + at
        spikes.add("command", milliseconds * 1_000_000)
    event = spikes.events["command"]
    assert [tuple(sample) for sample in event.samples] == [(1_700_000_000, 30), (1_700_000_002, 11)]
    assert event.worst == 30
    for second in range(300):
        clock[0] = 1_700_001_000 + second
        spikes.add("command", 15_000_000)
    assert len(event.samples) == KEPT and event.worst == 30


def test_the_graph_is_drawn_as_in_redis(clock: list[float]) -> None:
    """The heights and labels that redis-server 7.0.15 drew for these times."""
    spikes = Spikes(5)
    for ago, milliseconds in ((3, 32), (2, 60), (1, 90)):
        clock[0] = 1_700_000_000 - ago
        spikes.add("command", milliseconds * 1_000_000)
    clock[0] = 1_700_000_000
    assert spikes.graph("command") == (
        "command - high 90 ms, low 32 ms (all time high 90 ms)\n" + "-" * 80 + "\n"
        "  #\n  |\n #|\n_||\n   \n321\nsss\n"
    )
    assert spikes.graph("nosuch") is None
    clock[0] += 7200
    assert spikes.graph("command") is not None
    assert str(spikes.graph("command")).endswith("\n222\nhhh\n")


async def test_answers_without_events_are_redis_s(serve: Any, redis_server: Any, play: Any) -> None:
    script = """
        a> LATENCY LATEST | LATENCY HISTORY command | LATENCY RESET | LATENCY RESET a b
        a> LATENCY GRAPH command | LATENCY GRAPH | LATENCY HISTORY | LATENCY LATEST x
        a> LATENCY FOO | LATENCY | LATENCY DOCTOR x | CONFIG SET latency-monitor-threshold -1
        a> CONFIG SET latency-tracking maybe | CONFIG GET latency-*
    """
    ours, theirs = await play(await serve(), script), await play(redis_server, script)
    assert ours[:-1] == theirs[:-1]
    assert ours[-1][1].split(b"\r\n")[0] == theirs[-1][1].split(b"\r\n")[0]


# -- redis-cli ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--latency", "-i", "0.2"), rb"^\d+ \d+ \d+\.\d\d \d+"),
        (("--latency-history", "-i", "0.2", "--csv"), rb"\d+,\d+,\d+\.\d\d,\d+"),
        (("--stat", "-i", "0.1"), rb"keys .*\n\d+ +\S+ +\d+ +\d+ +\d+"),
        (("--intrinsic-latency", "1"), rb"total runs"),
    ],
)
async def test_redis_cli_s_modes(serve: Any, arguments: tuple[str, ...], expected: bytes) -> None:
    if shutil.which("redis-cli") is None or shutil.which("stdbuf") is None:
        pytest.skip("redis-cli or stdbuf (to see what it prints at once) is not installed")
    server = await serve()
    process = await asyncio.create_subprocess_exec(
        *("stdbuf", "-oL", "redis-cli", "-p", str(server.port), *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    seen = b""
    while not re.search(expected, seen):
        piece = await asyncio.wait_for(process.stdout.read(4096), 20)
        assert piece, seen
        seen += piece
    if process.returncode is None:
        process.kill()
    await process.wait()


def test_every_sub_command_is_there() -> None:
    load_all()
    assert set(TABLE[b"latency"].subcommands) == {
        *(b"doctor", b"graph", b"help", b"histogram", b"history", b"latest", b"reset")
    }
