"""What one server has logged, another learns from: CSV and Parquet, through PREDICTOR IMPORT.

What this file does not do: check what is learned (`predictor/test_rehearsal.py`).
"""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from prometheus_client import generate_latest
from typer.testing import CliRunner

from antecache.server.__main__ import cli
from antecache.server.metrics import registry_of

Serve = Callable[..., Awaitable[Any]]
BACKING = "memory://?prefix=a&prefix=b&rows=2000"
READS = [b"%s:%d" % (name, at * 37 % 700) for at in range(700) for name in (b"a", b"b")]


async def imported(server: Any, path: Path) -> dict[bytes, Any]:
    """What PREDICTOR STATUS says of an import once it has ended."""
    while server.trainer.state != "running":
        await server.trainer.changed()
    async with redis.asyncio.Redis(port=server.port, protocol=3) as client:
        assert await client.execute_command("PREDICTOR", "IMPORT", str(path))
        while True:
            status = await client.execute_command("PREDICTOR", "STATUS")
            if status[b"import"][b"state"] != b"running":
                told: dict[bytes, Any] = status[b"import"]
                return told
            await asyncio.sleep(0.02)


def convert(*words: object) -> None:
    done = CliRunner().invoke(cli, ["convert", *map(str, words)])
    assert done.exit_code == 0, done.output


@pytest.fixture
async def logged(serve: Serve, tmp_path: Path) -> Path:
    """The access log of a server whose readers went from a to b."""
    path = tmp_path / "accesses.csv"
    server = await serve(backing=BACKING, models="off", access_log=str(path), prediction=True)
    while server.trainer.state != "running":
        await server.trainer.changed()
    async with redis.asyncio.Redis(port=server.port) as client:
        for key in READS:
            await client.get(key)
        while not path.exists() or path.read_bytes().count(b"\n") < len(READS) + 1:
            await asyncio.sleep(0.02)
    return path


async def test_what_was_exported_is_imported(serve: Serve, logged: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    told, exported = [], []
    server = await serve(
        backing=BACKING, models="off", maxkeys=50, predictor="blend", prediction=True
    )
    for name in ("log.csv", "log.csv.gz", "log.parquet"):
        exported.append(tmp_path / name)
        convert(logged, "-o", exported[-1])
        told.append(await imported(server, exported[-1]))
        assert told[-1][b"state"] == b"done", told
        assert (told[-1][b"accesses"], told[-1][b"skipped"]) == (len(READS), 0)
    assert told[0][b"misses"] == told[1][b"misses"] == told[2][b"misses"] > 600
    async with redis.asyncio.Redis(port=server.port) as client:
        for number in range(1900, 1960):  # ids that nobody has read yet
            await client.get(f"a:{number}")
            while server.loader.inflight:
                await client.ping()
            await client.get(f"b:{number}")
    assert server.ledger.outcomes["useful"] > 20
    convert(exported[-1], "-o", tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_bytes() == exported[0].read_bytes()


async def test_what_monitor_printed_is_imported(serve: Serve, tmp_path: Path) -> None:
    """Captured of one server, with `redis-cli monitor`'s lines as they are; learned by another."""
    server = await serve(backing=BACKING, models="off")
    lines = []
    async with redis.asyncio.Redis(port=server.port) as client:
        watcher = await client.connection_pool.get_connection()
        await watcher.send_command("MONITOR")
        await watcher.read_response()
        await client.set("not read", "v")
        for key in READS:
            await client.get(key)
        await client.ping()
        while not lines or not lines[-1].endswith(b'"PING"'):
            lines.append(await watcher.read_response())
        await watcher.disconnect()
    path = tmp_path / "capture.log"
    path.write_bytes(b"OK\n" + b"\n".join(lines) + b"\n")
    other = await serve(
        backing=BACKING, models="off", maxkeys=50, predictor="blend", prediction=True
    )
    told = await imported(other, path)
    assert told[b"state"] == b"done", told
    assert (told[b"accesses"], told[b"skipped"]) == (len(READS), 0)
    path.write_bytes(b"an apple a day\n")
    told = await imported(other, path)
    assert told[b"state"] == b"failed"
    assert told[b"reason"].decode() == (
        f"{path}: no access could be read: line 1 is none: expected time,client,key,size, "
        "or lines of redis-cli monitor"
    )


async def test_without_pyarrow_it_is_said_what_to_install(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "missing" / "pyarrow"
    missing.mkdir(parents=True)
    (missing / "__init__.py").write_text("raise ImportError('not installed')")
    monkeypatch.setenv("PYTHONPATH", f"{missing.parent}:{os.environ.get('PYTHONPATH', '')}")
    server = await serve(backing=BACKING, models="off", prediction=True)
    told = await imported(server, tmp_path / "log.parquet")
    assert told[b"state"] == b"failed"
    assert told[b"reason"].endswith(b"log.parquet: install antecache[parquet] to use Parquet")
    assert server.trainer.state == "running"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, b"No such file or directory"),
        (b"time,client,key,size\n0,c,a:1,1\n", b"Parquet magic bytes not found"),
        ({"keys": [b"a:1"]}, b"has no column 'key'"),
        ({"key": [[1], [2]]}, b"column 'key' is of type list"),
        ({"key": [None, b""]}, b"no access could be read"),
    ],
)
async def test_a_file_that_is_no_history_is_refused(
    serve: Serve, tmp_path: Path, content: Any, reason: bytes
) -> None:
    arrow = pytest.importorskip("pyarrow")
    path = tmp_path / "odd.parquet"
    if isinstance(content, dict):
        importlib.import_module("pyarrow.parquet").write_table(arrow.table(content), path)
    elif content is not None:
        path.write_bytes(content)
    server = await serve(backing=BACKING, models="off", prediction=True)
    told = await imported(server, path)
    assert told[b"state"] == b"failed"
    assert path.name.encode() in told[b"reason"] and reason in told[b"reason"]


async def test_a_file_that_never_ends_costs_a_trainer_and_is_not_read_again(
    serve: Serve, logged: Path, tmp_path: Path
) -> None:
    """Nobody writes into a pipe: the process that opens it hangs, and another one goes on."""
    pipe = tmp_path / "nobody-writes.csv"
    os.mkfifo(pipe)
    server = await serve(backing=BACKING, models="off", prediction=True, trainer_timeout=4.0)
    told = await imported(server, pipe)
    assert told[b"state"] == b"failed"
    assert re.fullmatch(
        f"the trainer gave no sign of life for . s in the import of {pipe} and was killed",
        told[b"reason"].decode(),
    )
    assert (await imported(server, logged))[b"state"] == b"done"
    async with redis.asyncio.Redis(port=server.port, protocol=3, decode_responses=True) as client:
        trainer = (await client.execute_command("PREDICTOR", "STATUS"))["trainer"]
        assert (trainer["hangs"], trainer["hung"]) == (1, told[b"reason"].decode())
        info = await client.info("prediction")
        assert (info["trainer_hangs"], info["trainer_restarts"]) == (1, 1)
        assert await client.config_get("trainer-timeout") == {"trainer-timeout": "4"}
    shown = generate_latest(registry_of(server)).decode()
    assert "antecache_trainer_hangs_total 1.0" in shown


async def test_columns_of_other_types_and_rows_without_a_key(serve: Serve, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    path = tmp_path / "lake.parquet"
    table = arrow.table({"path": ["x"] * 300, "key": ["a:7", None, "ä:1"] * 100})
    importlib.import_module("pyarrow.parquet").write_table(table, path)
    server = await serve(backing=BACKING, models="off", prediction=True)
    told = await imported(server, path)
    assert told[b"state"] == b"done", told
    assert (told[b"accesses"], told[b"skipped"], told[b"misses"]) == (200, 100, 2)


def test_pyarrow_is_not_imported_before_such_a_file_is_met() -> None:
    code = "import sys, antecache.server.app, antecache.predictor.worker, antecache.server.convert"
    code += "\nsys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=50).returncode == 0
