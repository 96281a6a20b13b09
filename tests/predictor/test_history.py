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
