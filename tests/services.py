"""Real servers for the tests: Redis, PostgreSQL and MariaDB on free ports, with data of their own.

Each is started at its first use and stopped by its process id at the end. When
the binaries are missing the test is skipped with the reason; where `CI=true` it
fails instead, so that a green run there means that everything ran.

What this file does not do: pytest fixtures (`conftest.py`), or Docker.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

#: Seconds a server may take to say that it is ready.
PATIENCE = 45.0

PASSWORD = "s3cret-Pa55"  # of the test databases; must never appear in an error text


def missing(reason: str) -> None:
    """Skip the test, or fail it where everything must run."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def binary(name: str, *places: str) -> str:
    """The path of a program in PATH or in one of the globs `places`; skips when there is none."""
    found = shutil.which(name)
    for place in places:
        found = found or next(map(str, sorted(Path("/").glob(place.lstrip("/")))), None)
    if found is None:
        missing(f"{name} is not installed")
    return str(found)


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """A server process that can be stopped and started again on the same port and data."""

    def __init__(self, name: str, ready: str, user: str = "") -> None:
        self.quick = signal.SIGKILL  # the data is thrown away with the server
        self.name = name
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"antecache-{name}-"))
        self.url = ""
        self.command: Sequence[str] = ()
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None
        self._log: list[str] = []
        self._as: list[str] = []
        if setpriv := shutil.which("setpriv"):  # it ends with us, however we end
            self._as = [setpriv, "--pdeathsig=KILL"]
        if user and os.getuid() == 0:  # PostgreSQL and MariaDB refuse to run as root
            try:
                account = pwd.getpwnam(user)
            except KeyError:
                account = pwd.getpwnam("nobody")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._as = [
                *(binary("setpriv"), "--pdeathsig=KILL", "--clear-groups"),
                *(f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"),
            ]

    def run(self, *command: str) -> None:
        """Run a program of the server's user to its end."""
        done = subprocess.run([*self._as, *command], cwd=self.folder, capture_output=True)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()

    def start(self) -> None:
        """Start, and return when the server says that it is ready.

        In the main thread: the server ends with the thread that started it.
        """
        process = self._process = subprocess.Popen(
            [*self._as, *self.command],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._log.clear()
        ready = threading.Event()

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:  # to the end, or the server would block on a full pipe
                self._log.append(line.decode(errors="replace"))
                if self._ready in self._log[-1]:
                    ready.set()
            ready.set()

        threading.Thread(target=read, daemon=True).start()
        ready.wait(PATIENCE)
        if process.poll() is not None or not any(self._ready in line for line in self._log):
            self.stop()
            raise AssertionError(f"{self.name} did not start:\n" + "".join(self._log))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop by process id; nothing when it does not run."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Make it hang: neither it nor its children run, and connections stay open."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, how: signal.Signals) -> None:
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, children)):
            os.kill(one, how)

    def remove(self) -> None:
        """Stop, and delete the data."""
        self.stop(self.quick)
        shutil.rmtree(self.folder, ignore_errors=True)


def redis() -> Service:
    """redis-server without persistence."""
    service = Service("redis", "eady to accept connections")
    service.url = f"redis://127.0.0.1:{service.port}/0"
    service.command = [
        binary("redis-server"),
        *("--port", str(service.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
        *("--dir", str(service.folder)),
    ]
    service.start()
    return service


def postgres() -> Service:
    """A PostgreSQL cluster with an empty database `shop`."""
    places = "/usr/lib/postgresql/*/bin/"
    initdb = binary("initdb", places + "initdb")
    server = binary("postgres", places + "postgres")
    service = Service("postgres", "ready to accept connections", "postgres")
    service.quick = signal.SIGQUIT  # takes its children along
    data, secret = service.folder / "data", service.folder / "password"
    secret.write_text(PASSWORD)
    service.run(
        *(initdb, "--pgdata", str(data), "--username=shop", f"--pwfile={secret}", "--no-sync"),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
    )
    service.url = f"postgresql://shop:{PASSWORD}@127.0.0.1:{service.port}/postgres"
    service.command = [
        *(server, "-D", str(data), "-p", str(service.port), "-k", str(service.folder)),
        *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=16MB"),
    ]
    service.start()
    return service


def mariadb() -> Service:
    """A MariaDB server with an empty database `shop`."""
    install = binary("mariadb-install-db")
    server = binary("mariadbd", "/usr/sbin/mariadbd")
    service = Service("mariadb", "ready for connections", "mysql")
    data, sql = service.folder / "data", service.folder / "init.sql"
    sql.write_text(
        "CREATE DATABASE IF NOT EXISTS shop CHARACTER SET utf8mb4;\n"
        f"CREATE USER IF NOT EXISTS shop@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
        "GRANT ALL ON *.* TO shop@'127.0.0.1';\n"
    )
    service.run(
        *(install, "--no-defaults", f"--datadir={data}", "--skip-test-db"),
        *("--auth-root-authentication-method=normal", "--skip-name-resolve"),
    )
    service.url = f"mysql://shop:{PASSWORD}@127.0.0.1:{service.port}/shop"
    service.command = [
        *(server, "--no-defaults", f"--datadir={data}", f"--port={service.port}"),
        *("--bind-address=127.0.0.1", f"--socket={service.folder / 'socket'}"),
        *(f"--pid-file={service.folder / 'pid'}", f"--init-file={sql}", "--skip-log-bin"),
        *(
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            "--innodb-buffer-pool-size=16M",
        ),
        *("--innodb-log-file-size=8M", "--skip-name-resolve"),
    ]
    service.start()
    return service
