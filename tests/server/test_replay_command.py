"""`antecache replay` as people call it: what it prints, writes and refuses.

What this file does not do: check the numbers (`test_replay.py`).
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from antecache.server import plot
from antecache.server.__main__ import cli
from antecache.server.sweep import Size, SweepError, Task, compare, parse_size

REQUESTS, KEYS = 1600, 300
COLUMNS = (
    "trace,unit,cache_frac,capacity,policy,predictor,arrival,requests,waits,misses,statements,"
    "rows,prefetches,precision,late,metadata_bytes"
)


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of four keys that follow each other, of up to 2,000 bytes each."""
    path = tmp_path_factory.mktemp("traces") / "made.csv"
    draw = random.Random(2)
    with path.open("w") as file:
        file.write("time,client,key,size\n")
        for at in range(0, REQUESTS, 4):
            run = 0 if at < KEYS else int(draw.paretovariate(0.4)) % (KEYS // 4)
            for step in range(4):
                # every key comes first once
                key = at + step if at < KEYS else 4 * run + step
                file.write(f"{at + step},c{run % 3},t{step % 2}:{key},{1 + key * 37 % 2000}\n")
    return path


def call(*words: str | Path | int) -> Result:
    return CliRunner().invoke(cli, ["replay", *map(str, words)])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_way_at_every_size(trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    answer = call(trace, "--csv", out, "--jobs", 1)
    assert answer.exit_code == 0, answer.output
    assert out.read_text().partition("\n")[0] == COLUMNS
    rows = rows_of(out)
    ways = [("lru", "none"), ("lru", "blend"), ("auto", "none"), ("auto", "blend")]
    ways.append(("belady", "none"))
    assert [(row["policy"], row["predictor"]) for row in rows] == ways * 4
    sizes = [(row["cache_frac"], row["capacity"]) for row in rows[:: len(ways)]]
    assert sizes == [("0.01", "3"), ("0.05", "15"), ("0.1", "30"), ("0.25", "75")]
    for at, row in enumerate(rows):
        assert (row["trace"], row["unit"], row["arrival"]) == ("made", "keys", "0")
        assert int(row["requests"]) == REQUESTS
        assert 0 < int(row["waits"]) == int(row["misses"]) <= REQUESTS
        if row["predictor"] == "none":
            assert row["waits"] == row["statements"] == row["rows"]
            assert (row["prefetches"], row["late"], row["precision"]) == ("0", "0", "0.000000")
            assert int(row["waits"]) >= int(rows[at // 5 * 5 + 4]["waits"])
        else:
            assert int(row["prefetches"]) > 0 < float(row["precision"]) <= 1
            assert int(row["metadata_bytes"]) > 0
    shown = answer.stdout
    for word in "trace size policy predictor waits misses statements rows prefetches".split():
        assert f" {word} " in shown
    for row in rows:
        assert f" {int(row['waits']) / REQUESTS:.4f} " in shown
    assert "the predictor's memory is not charged" in shown


def test_several_processes_find_the_same(trace: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("".join(trace.read_text().splitlines(keepends=True)[1:1000]))
    words = (trace, other, "--policy", "lru", "--size", "5%", "--size", "40")
    written = []
    for jobs in (1, 2):
        out = tmp_path / f"{jobs}.csv"
        answer = call(*words, "--csv", out, "--jobs", jobs)
        assert answer.exit_code == 0, answer.output
        written.append(out.read_text())
    assert written[0] == written[1]
    assert len(written[0].splitlines()) == 1 + 2 * 2 * 2


def test_units(trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    sizes = [1 + key * 37 % 2000 for key in range(KEYS)]
    texts = sum(len(f"t{key % 2}:{key}") for key in range(KEYS))
    for unit, more, whole in (
        ("bytes", (), sum(sizes)),
        ("total", (), sum(sizes) + texts + 100 * KEYS),
        ("total", ("--value-size", "500"), 600 * KEYS + texts),
    ):
        answer = call(
            *(trace, "--unit", unit, *more, "--size", "10%", "--size", "20kb", "--policy", "lru"),
            *("--csv", out, "--jobs", 1, "--predictor", "none"),
        )
        assert answer.exit_code == 0, answer.output
        share, amount = rows_of(out)
        assert (share["cache_frac"], int(share["capacity"])) == ("0.1", round(0.1 * whole))
        assert int(amount["capacity"]) == 20 << 10
        assert float(amount["cache_frac"]) == pytest.approx((20 << 10) / whole, rel=1e-5)
        assert share["unit"] == unit


def test_only_the_first_requests(trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    call(trace, "--requests", 120, "--policy", "lru", "--size", "100%", "--csv", out, "--jobs", 1)
    assert rows_of(out)[0]["waits"] == rows_of(out)[0]["requests"] == "120"


def test_what_a_reader_must_know(tmp_path: Path) -> None:
    path = tmp_path / "captured.log"
    lines = "".join(f'1.{at:06} [0 10.0.0.1:5] "get" "k{at % 9}"\n' for at in range(60))
    path.write_text(f"OK\n{lines}what is this\n")
    answer = call(path, "--unit", "bytes", "--size", "5", "--policy", "lru", "--jobs", 1)
    assert answer.exit_code == 0, answer.output
    assert f"captured: 1 line skipped; {path}:62: expected a line of redis-cli" in answer.stderr
    assert "captured: knows no sizes, every value is taken as 1 byte" in answer.stderr


@pytest.mark.parametrize("name", ["curves.png", "curves.svg"])
def test_plots(trace: Path, tmp_path: Path, name: str) -> None:
    pytest.importorskip("matplotlib")
    pictures = []
    for _ in range(2):
        answer = call(
            *(trace, "--plot", tmp_path / name, "--policy", "lru", "--policy", "fifo"),
            *("--policy", "belady", "--predictor", "none"),
            *("--size", "5%", "--size", "20%", "--jobs", 1),
        )
        assert answer.exit_code == 0, answer.output
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1]
    if name.endswith("png"):
        assert pictures[0].startswith(b"\x89PNG\r\n\x1a\n")
        assert pictures[0].endswith(b"IEND\xaeB`\x82")
    else:
        assert ElementTree.fromstring(pictures[0]).tag == "{http://www.w3.org/2000/svg}svg"


def test_the_lines_of_a_plot(trace: Path) -> None:
    tasks = [
        Task(str(trace), Size(share, 0), policy=policy, predictor=predictor)
        for share in (0.2, 0.05)
        for policy, predictor in (
            *(("lru", "none"), ("fifo", "none"), ("belady", "none"), ("lru", "misslog")),
        )
    ]
    rows = compare(tasks)
    lines = plot.curves(rows)
    assert set(lines) == {"lru", "fifo", "belady", "best policy", "lru + misslog"}
    for points in lines.values():
        assert [share for share, _ in points] == [0.05, 0.2]
    for at in (0, 1):
        assert lines["best policy"][at] == min(lines["lru"][at], lines["fifo"][at])
    assert lines["lru + misslog"][0][1] == rows[7].result.waits / REQUESTS


def test_a_missing_matplotlib_is_said_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    answer = call(tmp_path / "no such trace", "--plot", tmp_path / "a.png")
    assert answer.exit_code == 2
    assert answer.stderr == "antecache: --plot needs matplotlib: pip install 'antecache[plot]'\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--size", "0%"), "--size: '0%' is not a share between 0% and 100%"),
        (("--size", "101%"), "--size: '101%' is not a share between 0% and 100%"),
        (("--size", "1.5"), "--size: '1.5' is not a share between 0% and 100%"),
        (("--size", "10mb"), "--size: '10mb' is neither a share such as 5% nor a number of keys"),
        (("--size", "0"), "--size: a cache of 0 holds nothing"),
        (
            ("--unit", "bytes", "--size", "5 apples"),
            "--size: '5 apples' is not a size such as 1024, 64kb, 200mb or 1gb",
        ),
        (("--unit", "rows"), "--unit: 'rows' is none of keys, bytes, total"),
        (("--value-size", "0"), "--value-size: a value of 0 bytes is none"),
        (("--policy", "noeviction"), "--policy: 'noeviction' is none of arc, auto, "),
        (("--predictor", "oracle"), "--predictor: 'oracle' is none of "),
        (("--row-budget", "much"), "--row-budget: 'much' is not a share between 0% and "),
        (
            ("--prediction-memory", "95%"),
            "--prediction-memory: '95%' is not a share between 0% and",
        ),
        (("--csv", "/nowhere/out.csv"), "/nowhere/out.csv: cannot be written there"),
        (("--plot", "curves.bmp"), "--plot: 'curves.bmp' ends in none of .png, .svg, .pdf"),
    ],
)
def test_what_cannot_be_used_is_said_first(words: tuple[str, ...], reason: str) -> None:
    answer = call("no such trace", *words)
    assert answer.exit_code == 2
    assert answer.stderr.startswith(f"antecache: {reason}")
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_that_is_no_trace(tmp_path: Path, jobs: int) -> None:
    path = tmp_path / "page.csv"
    path.write_text("<html>\n")
    answer = call(path, "--jobs", jobs)
    assert answer.exit_code == 2
    assert answer.stderr == f"antecache: {path}:1: expected time,client,key,size\n"
    answer = call(tmp_path / "none.csv", "--jobs", jobs)
    assert answer.stderr == f"antecache: {tmp_path / 'none.csv'}: No such file or directory\n"


def test_a_worker_that_is_killed(trace: Path) -> None:
    def kill(_: float) -> None:
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, signal.SIGKILL)

    tasks = [Task(str(trace), Size(0, capacity)) for capacity in range(20, 60)]
    with pytest.raises(SweepError, match=r"^a worker process ended .* \(out of memory\?\)$"):
        compare(tasks, jobs=2, tick=kill)
    assert not multiprocessing.active_children()


def test_interrupted(trace: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    lines = trace.read_text().splitlines(keepends=True)[1:]
    path.write_text("broken\n" + "".join(lines * 30))
    command = [sys.executable, "-m", "antecache.server", "replay", str(path), "--jobs", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "1 line skipped" in process.stderr.readline()  # the trace is there, work began
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "antecache: interrupted\n"
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("text", "unit", "size"),
    [
        ("5%", "keys", Size(0.05, 0)),
        (" 0.1% ", "total", Size(0.001, 0)),
        ("100%", "bytes", Size(1.0, 0)),
        ("0.05", "keys", Size(0.05, 0)),
        ("2679", "keys", Size(0.0, 2679)),
        ("10mb", "bytes", Size(0.0, 10 << 20)),
        ("10M", "total", Size(0.0, 10_000_000)),
    ],
)
def test_sizes(text: str, unit: str, size: Size) -> None:
    assert parse_size(text, unit) == pytest.approx(size)
    assert parse_size("0.001%", "keys").of(300) == 1
    assert parse_size("5%", "keys").of(53_571) == 2679
