"""An antecache server as a child process: on a free port, up when `start` returns.

The demo and the benches need real processes: what they show would be worth
little if server, client and measuring shared one interpreter. The child says
its port on stdout (`--port 0` lets the system choose), so that no port is
guessed, and it is stopped by its own pid.

What this file does not do: talk to the server, or restart one that dies.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from types import TracebackType
from typing import IO

_LISTENING = re.compile(rb"listening on .*:(\d+) \(pid (\d+)\)")


class StartError(Exception):
    """The server did not start; `str()` is what it said."""


class Child:
    """A running server; leaving the `with` block stops it.

    port  of the Redis protocol
    pid   of the server (its trainer is a child of its own)
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, errors: IO[bytes]) -> None:
        self._process = process
        self._errors = errors
        self.port = port
        self.pid = process.pid

    def stop(self, patience: float = 10.0) -> None:
        """Ask it to stop, and end it after `patience` seconds if it does not; callable twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    @property
    def running(self) -> bool:
        """Whether the process still lives."""
        return self._process.poll() is None

    def complaints(self) -> str:
        """What it has written to stderr so far, at most the last 4,000 bytes."""
        return _tail(self._errors)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def start(settings: Mapping[str, object]) -> Child:
    """Start `antecache serve` with `settings` as its flags (`{"maxkeys": 100}`).

    A free port is chosen unless `port` is given, and metrics are off unless
    `metrics-port` is. Returns once it listens; raises StartError with its last
    words when it does not.
    """
    flags = {"port": 0, "metrics-port": 0, "loglevel": "warning", **settings}
    command = [sys.executable, "-m", "antecache.server", "serve"]
    for name, value in flags.items():
        command += [f"--{name}", str(value)]
    errors = tempfile.TemporaryFile("a+b")  # noqa: SIM115 (the child writes to it; Child closes it)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
    )
    assert process.stdout is not None
    for line in process.stdout:
        found = _LISTENING.search(line)
        if found is not None:
            return Child(process, int(found[1]), errors)
    process.wait()
    reason = _tail(errors).strip().removeprefix("antecache: ")
    reason = reason or f"exit code {process.returncode}"
    process.stdout.close()
    errors.close()
    raise StartError(reason)


def _tail(file: IO[bytes]) -> str:
    # Opened to append: the child shares the offset, but writes at the end wherever that stands.
    file.seek(max(0, file.seek(0, 2) - 4000))
    return file.read().decode("utf-8", "replace")
