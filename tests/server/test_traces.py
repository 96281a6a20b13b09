"""Traces from files: both formats, what broken files say, and that nothing is made up.

What this file does not do: replay them.
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.traces import Trace, TraceError, blocks_of, read_trace

CSV = b"time,client,key,size\n0,10.0.0.1,a:1,10\n1.5,10.0.0.2,b,20\n2,10.0.0.1,a:1,12\n"
MONITOR = rb"""OK
1339518083.107412 [0 127.0.0.1:60866] "get" "user:1"
1339518083.207412 [0 [::1]:60866] "MGET" "user:1" "user:2"
1339518084.107412 [3 127.0.0.1:60866] "HGETALL" "user:1"
1339518085.107412 [0 lua] "hget" "a \"quoted\"\\ \x00\n key" "field"
1339518086.107412 [0 unix:/run/a redis.sock] "set" "user:9" "va\"lue"
1339518087.107412 [0 127.0.0.1:60866] "client" "setinfo" "LIB-NAME" "redis-py"
"""


def accesses(trace: Trace) -> list[tuple[float, bytes, bytes, int]]:
    """What a trace holds, as rows again."""
    sizes = trace.sizes or [1] * len(trace)
    return [
        (time, trace.client_names[client], trace.keys[number], size)
        for time, client, number, size in zip(
            trace.times, trace.clients, trace.ids, sizes, strict=True
        )
    ]


def test_plain_gzip_and_zstandard_read_the_same(tmp_path: Path) -> None:
    wanted = [
        (0.0, b"10.0.0.1", b"a:1", 10),
        (1.5, b"10.0.0.2", b"b", 20),
        (2.0, b"10.0.0.1", b"a:1", 12),
    ]
    packed = {"a.csv": CSV, "b.csv.gz": gzip.compress(CSV), "c.csv": CSV.partition(b"\n")[2]}
    zstandard = pytest.importorskip("zstandard")
    packed["d.csv.zst"] = zstandard.compress(CSV)
    for name, data in packed.items():
        (tmp_path / name).write_bytes(data)
        trace = read_trace(str(tmp_path / name))
        assert accesses(trace) == wanted
        assert (trace.name, trace.broken) == (name[0], 0)


def test_a_capture_of_monitor(tmp_path: Path) -> None:
    path = tmp_path / "captured.log"
    path.write_bytes(MONITOR)
    trace = read_trace(str(path))
    at = 1339518083.0
    local = b"127.0.0.1:60866"
    assert accesses(trace) == [
        (at + 0.107412, local, b"user:1", 1),
        (at + 0.207412, b"[::1]:60866", b"user:1", 1),
        (at + 0.207412, b"[::1]:60866", b"user:2", 1),
        (at + 1.107412, local, b"user:1@3", 1),
        (at + 2.107412, b"lua", b'a "quoted"\\ \x00\n key', 1),
    ]
    assert (trace.broken, trace.other) == (0, 2)
    assert not trace.sizes


async def test_what_our_own_monitor_sends_is_read(serve: Any, connect: Any, tmp_path: Path) -> None:
    server = await serve(backing="memory://?prefix=user&rows=10")
    watcher, client = await connect(server), await connect(server)
    await watcher.ask("MONITOR")
    odd = b'user:\x00"\r\n\\ \xff'
    for argv in (("GET", "user:1"), ("MGET", "user:2", odd), ("SET", "k", "v"), ("GET", "k")):
        await client.ask(*argv)
    lines = [b"OK"]
    while not lines[-1].endswith(b'"GET" "k"'):
        lines.append(await watcher.read())
    path = tmp_path / "monitor.txt"
    path.write_bytes(b"\n".join(lines) + b"\n")
    trace = read_trace(str(path))
    assert [trace.keys[number] for number in trace.ids] == [b"user:1", b"user:2", odd, b"k"]
    assert trace.broken == 0


def test_broken_lines_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    broken = (b"no commas", b"x,0,key,1", b"1,0,key,-5", b"1,0,key,nan", b"inf,0,key,1", b"1,0,,1")
    path.write_bytes(CSV + b"\n" + b"\n".join(broken) + b"\n9,0,last,1\n")
    trace = read_trace(str(path))
    assert trace.keys == [b"a:1", b"b", b"last"]
    assert trace.broken == len(broken)
    assert trace.complaint == f"{path}:6: expected time,client,key,size"


def test_a_cut_capture_keeps_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "cut.log"
    path.write_bytes(MONITOR[: MONITOR.index(b'"user:2"') + 4])
    trace = read_trace(str(path))
    assert trace.keys == [b"user:1"]
    assert trace.complaint == f"{path}:3: expected a line of redis-cli monitor"


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.csv", b"", "{}: there is no access in it"),
        ("a.csv", b"time,client,key,size\n", "{}: there is no access in it"),
        ("a.csv", b"<html>\n<body>\n", "{}:1: expected time,client,key,size"),
        ("a.csv", b"key,count\nk,3\n", "{}:2: expected time,client,key,size"),
        ("a.csv.gz", CSV, "{}: Not a gzipped file (b'ti')"),
        ("a.log", MONITOR.splitlines()[-1], "{}: there is no access in it"),
    ],
)
def test_what_is_no_trace_says_so(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(TraceError) as raised:
        read_trace(str(path))
    assert str(raised.value) == reason.format(path)


def test_a_file_that_breaks_off_says_where(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    data = gzip.compress(b"".join(b"%d,0,key:%d,1\n" % (at, at) for at in range(200_000)))
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(TraceError, match=rf"^{path}: .+, after line [0-9,]+$"):
        read_trace(str(path))
    with pytest.raises(TraceError, match=r"none\.csv: No such file or directory$"):
        read_trace(str(tmp_path / "none.csv"))


fields = st.tuples(
    st.integers(0, 10**9),
    st.text("abc.:", max_size=4),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1),
    st.integers(0, 1 << 40),
)


@given(rows=st.lists(fields, min_size=1, max_size=30), limit=st.integers(0, 40))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], limit: int
) -> None:
    path = tmp_path_factory.mktemp("trace") / "made.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time", "client", "key", "size"))
        writer.writerows(rows)
    trace = read_trace(str(path), limit=limit)
    kept = rows[:limit] if limit else rows
    assert accesses(trace) == [
        (float(time), client.encode(), key.encode(), size) for time, client, key, size in kept
    ]
    assert trace.keys == list(dict.fromkeys(key.encode() for _, _, key, _ in kept))
    largest: dict[bytes, int] = {}
    for _, _, key, size in kept:
        largest[key.encode()] = max(size, largest.get(key.encode(), 0))
    assert trace.amount("keys") == len(largest)
    assert trace.amount("bytes") == sum(largest.values())
    assert trace.amount("total") == sum(largest.values()) + sum(100 + len(key) for key in largest)
    assert trace.amount("total", 500) == sum(600 + len(key) for key in largest)


def test_blocks_are_the_whole_trace_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"".join(b"%d,%d,key:%d,%d\n" % (n, n % 3, n % 7, n % 5) for n in range(100)))
    trace = read_trace(str(path))
    blocks = list(blocks_of(trace, "bytes", size=33))
    assert [len(keys) for keys, _, _ in blocks] == [33, 33, 33, 1]
    assert [key for keys, _, _ in blocks for key in keys] == [
        b"key:%d" % (n % 7) for n in range(100)
    ]
    assert [cost for _, costs, _ in blocks for cost in costs or ()] == [n % 5 for n in range(100)]
    assert [client for _, _, clients in blocks for client in clients] == [n % 3 for n in range(100)]
    assert {costs for _, costs, _ in blocks_of(trace, "keys")} == {None}


def test_a_million_accesses_take_little_memory(shared_traces: Path) -> None:
    trace = read_trace(str(shared_traces / "cp_w106.csv.gz"), limit=300_000)
    columns = (trace.ids, trace.sizes, trace.times, trace.clients)
    assert sum(len(column) * column.itemsize for column in columns) <= 16 * len(trace)
    assert len(trace) == 300_000
    assert len(set(trace.keys)) == len(trace.keys) == max(trace.ids) + 1
