"""What both benches measure with: CPU time of a process, a redis-server, quantiles.

Imported by the benches beside it, which run as scripts.

What this file does not do: start antecache (`antecache.server.spawn`), or
interpret anything.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data" / "bench"
TRACES = ROOT.parent / "shared" / "traces"

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time the process has used, all its threads, not its children (Linux)."""
    stat = Path(f"/proc/{pid}/stat").read_text("ascii")
    fields = stat.rpartition(")")[2].split()  # the name may hold anything but ends with ")"
    return (int(fields[11]) + int(fields[12])) / _TICK


def children(pid: int) -> list[int]:
    """Pids of the processes it started that still live (Linux)."""
    return [
        int(child)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for child in path.read_text("ascii").split()
    ]


@contextlib.contextmanager
def one_core(pid: int) -> Iterator[None]:
    """Keep this process and a server on one CPU; the server's children (trainer) go where they may.

    One client that waits for each reply never needs two. When the scheduler gives it two, each
    message wakes an idle one, which in a virtual machine may take longer than the request
    (measured: 88 against 38 microseconds a read), and it changes its mind between two runs.
    Without a second CPU nothing is changed.
    """
    usual = os.sched_getaffinity(0)
    if len(usual) < 2:
        yield
        return
    shared = {min(usual)}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), shared)
    os.sched_setaffinity(0, shared)
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of an ordered sequence lies (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Redis(NamedTuple):
    """A running redis-server."""

    port: int
    pid: int


def has_redis() -> bool:
    """Whether redis-server is installed."""
    return shutil.which("redis-server") is not None


@contextlib.contextmanager
def redis_server(**settings: str) -> Iterator[Redis]:
    """A redis-server without persistence, on a free port; `maxmemory_policy="allkeys-lru"`."""
    with socket.socket() as probe:  # redis-server cannot choose a port itself
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
    for name, value in settings.items():
        command += [f"--{name.replace('_', '-')}", value]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_port(port, process)
        yield Redis(port, process.pid)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def database_server(kind: str) -> Iterator[str]:
    """An empty `postgres` or `mariadb` of its own: its URL for asyncio.

    Raises RuntimeError where it is not installed.
    """
    sys.path.insert(0, str(ROOT / "tests"))
    import services  # of the tests: imported only where a bench starts a database

    driver = {"postgres": "postgresql+asyncpg", "mariadb": "mysql+asyncmy"}[kind]
    try:
        service = getattr(services, kind)()
    except pytest.skip.Exception as skipped:
        raise RuntimeError(str(skipped)) from None
    try:
        yield f"{driver}:{service.url.partition(':')[2]}"
    finally:
        service.remove()


def _await_port(port: int, process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    stop = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > stop:
                raise RuntimeError("redis-server did not start") from None
            time.sleep(0.02)
