"""Files of past accesses: broken lines are skipped and counted, broken files say why."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from antecache.predictor.history import HistoryError, HistoryFile

LINES = b'time,client,key,size\n0,0,user:1,10\n1.5,h,page/2,1\n2,h,/a,b.gif,3\r\n3,h,"q,""x",1\n'
KEYS = [b"user:1", b"page/2", b"/a,b.gif", b'q,"x']


def read(path: Path) -> tuple[list[bytes], int]:
    file = HistoryFile(str(path))
    return [key for block in file.blocks() for key in block], file.skipped


def test_plain_gzip_and_zstandard_read_the_same(tmp_path: Path) -> None:
    plain, gzipped = tmp_path / "log.csv", tmp_path / "log.csv.gz"
    plain.write_bytes(LINES)
    gzipped.write_bytes(gzip.compress(LINES))
    assert read(plain) == (KEYS, 0)
    assert read(gzipped) == (KEYS, 0)
    zstandard = pytest.importorskip("zstandard")
    packed = tmp_path / "log.csv.zst"
    packed.write_bytes(zstandard.compress(LINES))
    assert read(packed) == (KEYS, 0)


def test_the_header_is_optional(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(LINES.partition(b"\n")[2])
    assert read(path) == (KEYS, 0)


def test_broken_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    broken = [
        b"no commas",
        b"1,2,3",
        b"x,0,key,1",
        b"1,0,key,large",
        b"1,0,,1",
        b'1,0,"key,1',
        b"\xff\xfe\x00",
        b"1,0," + b"k" * 70_000 + b",1",
        b"5" * 3_000_000,
    ]
    path.write_bytes(b"\n".join([b"0,0,first,1", *broken, b"", b"9,0,last,1"]))
    assert read(path) == ([b"first", b"last"], len(broken))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_file_that_is_not_what_it_says(tmp_path: Path, suffix: str) -> None:
    if suffix == ".zst":
        pytest.importorskip("zstandard")
    path = tmp_path / f"log.csv{suffix}"
    path.write_bytes(LINES)
    with pytest.raises(HistoryError, match=r"log\.csv"):
        read(path)


def test_a_file_that_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(LINES * 10_000)[:-300])
    with pytest.raises(HistoryError, match=r"log\.csv\.gz"):
        read(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="No such file"):
        read(tmp_path / "absent.csv")
    with pytest.raises(HistoryError, match="directory"):
        read(tmp_path)


CAPTURE = rb"""OK
1339518083.107412 [0 127.0.0.1:60866] "get" "user:1"
1339518083.207412 [0 [::1]:60866] "MGET" "user:1" "user:2"
1339518084.107412 [3 127.0.0.1:60866] "HGETALL" "user:3"
1339518085.107412 [0 lua] "hget" "a \"quoted\"\\ \x00\n key" "field"
1339518086.107412 [0 unix:/run/a redis.sock] "set" "user:9" "va\"lue"
1339518087.107412 [0 127.0.0.1:60866] "get" "cut o
"""


@pytest.mark.parametrize("packed", [False, True])
def test_a_capture_of_monitor(tmp_path: Path, packed: bool) -> None:
    """Reads of database 0, the others have no table behind them; the last line was cut off."""
    path = tmp_path / ("capture.log.gz" if packed else "capture.log")
    path.write_bytes(gzip.compress(CAPTURE) if packed else CAPTURE)
    keys = [b"user:1", b"user:1", b"user:2", b'a "quoted"\\ \x00\n key']
    assert read(path) == (keys, 1)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (LINES, ""),
        (CAPTURE, "line 7 is none: expected a line of redis-cli monitor"),
        (
            b"<html>\n<body>\n",
            "line 1 is none: expected time,client,key,size, or lines of redis-cli monitor",
        ),
        (
            b"key,count\nk,3\n",
            "line 2 is none: expected time,client,key,size, or lines of redis-cli monitor",
        ),
        (CAPTURE.splitlines()[5], "no command of this capture reads a value in database 0"),
        (CAPTURE.splitlines()[3], "no command of this capture reads a value in database 0"),
    ],
)
def test_what_is_neither_is_named(tmp_path: Path, data: bytes, complaint: str) -> None:
    path = tmp_path / "what.log"
    path.write_bytes(data)
    file = HistoryFile(str(path))
    for _ in file.blocks():
        pass
    assert file.complaint == complaint


def test_lines_are_numbered_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_bytes(b"0,0,user:1,1\n" * 200_000 + b"broken\n")
    file = HistoryFile(str(path))
    assert sum(map(len, file.blocks())) == 200_000
    assert file.complaint.startswith("line 200001 ")
