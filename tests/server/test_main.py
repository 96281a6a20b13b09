"""The command line, run as a user runs it: what it prints, and how it ends when it cannot start."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antecache.server.__main__ import cli


class Done:
    """How a run ended and what it printed."""

    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code, self.stdout, self.stderr = code, stdout, stderr


def environment(variables: dict[str, str]) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ANTECACHE_")}
    return {**clean, **variables}


def process(*arguments: str, **variables: str) -> Done:
    """In a process of its own, as a user runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "antecache.server", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(variables),
    )
    return Done(done.returncode, done.stdout, done.stderr)


def antecache(*arguments: str, **variables: str) -> Done:
    """In this process: quicker, for what never comes as far as starting the server."""
    kept = dict.fromkeys(name for name in os.environ if name.startswith("ANTECACHE_"))
    result = CliRunner().invoke(cli, arguments, env={**kept, **variables})
    return Done(result.exit_code, result.stdout, result.stderr)


def test_it_says_its_version() -> None:
    done = process("--version")
    assert (done.code, done.stdout) == (0, f"antecache {version('antecache')}\n")


def test_settings_can_be_served_from_as_printed(tmp_path: Path) -> None:
    printed = antecache("settings")
    assert printed.code == 0
    path = tmp_path / "antecache.toml"
    path.write_text(printed.stdout + "\nport = 70000\n", "utf-8")
    done = antecache("serve", "--config", str(path))
    assert done.stderr == f"antecache: {path}: port: expected int <= 65535, not 70000\n"


def refused(done: Done, said: str) -> None:
    assert done.code == 2
    assert done.stderr.startswith(f"antecache: {said}"), done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prediction", "maybe"], "--prediction: 'maybe' is neither on nor off"),
        (["--maxmemory", "lots"], "--maxmemory: 'lots' is not a size such as"),
        (["--policy", "best"], "policy: unknown maxmemory-policy 'best'"),
        (["--predictor", "oracle"], "predictor: unknown predictor 'oracle'; known: "),
        (["--config", "no-such.toml"], "no-such.toml: cannot be read: No such file"),
        (["--prot", "1"], "--prot: there is no such setting; did you mean port?"),
        (["--shards=12"], "shards: 12 is not a power of two"),
        (["--shards"], "--shards: needs a value"),
        (["nonsense"], "nonsense: expected a setting, such as --port"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_settings_that_cannot_be_used_are_refused_in_one_line(
    arguments: list[str], said: str
) -> None:
    refused(antecache("serve", *arguments), said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--maxmemory", "1mb"], "maxmemory: 1 MiB is less than the process itself"),
        (["--backing", "nosuch://x"], "no backing serves 'nosuch:'"),
        (["--backing", "sqlite:///no/such/file.db"], ""),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1:"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_server_that_cannot_start_says_why_in_one_line(arguments: list[str], said: str) -> None:
    refused(process("serve", "--port", "0", "--metrics-port", "0", *arguments), said)


def test_a_port_that_is_taken_is_said_to_be_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = process("serve", "--port", str(port), "--metrics-port", "0")
        metrics = process("serve", "--port", "0", "--metrics-port", str(port))
    assert done.code == metrics.code == 2
    said = rf"antecache: cannot listen on 127\.0\.0\.1:{port}\b.*in use\n"
    assert re.fullmatch(said, done.stderr, re.IGNORECASE), done.stderr
    assert re.fullmatch(said, metrics.stderr, re.IGNORECASE), metrics.stderr


def test_the_environment_is_read() -> None:
    done = antecache("serve", ANTECACHE_HZ="0")
    assert done.code == 2
    assert done.stderr == "antecache: environment: ANTECACHE_HZ: expected int >= 1, not 0\n"


def test_shop_and_the_ways_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    made = antecache("shop", str(path))
    assert made.code == 0
    assert re.fullmatch(rf"{path}: [\d,]+ rows in 7 tables\n", made.stdout)
    again = antecache("shop", str(path))
    assert (again.code, again.stderr) == (2, f"antecache: {path}: exists already\n")
    content = antecache("shop", "--if-absent", str(path))
    assert (content.code, content.stdout) == (0, f"{path}: exists already\n")
    nowhere = antecache("shop", str(tmp_path / "no" / "shop.db"))
    assert (nowhere.code, nowhere.stderr.count("\n")) == (2, 1)


def test_no_password_is_shown() -> None:
    done = antecache("shop", "postgresql://me:s3cret@127.0.0.1:1/x")
    assert done.code == 2
    assert "s3cret" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("answer", "code"), [(b"+PONG\r\n", 0), (b"-NOAUTH no\r\n", 0), (b"-LOADING\r\n", 1), (b"", 1)]
)
def test_ping_believes_what_a_redis_server_answers(answer: bytes, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                assert client.recv(100) == b"PING\r\n"
                client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        done = antecache("ping", "--port", str(listener.getsockname()[1]))
        thread.join()
    assert done.code == code
    assert (done.stderr == "") == (code == 0)


def test_ping_when_nobody_listens(unused_tcp_port: int) -> None:
    done = antecache("ping", ANTECACHE_PORT=str(unused_tcp_port))
    assert done.code == 1
    assert done.stderr == f"antecache: 127.0.0.1:{unused_tcp_port}: Connection refused\n"


def test_a_server_serves_and_stops_when_told_to() -> None:
    command = [sys.executable, "-m", "antecache.server", "serve"]
    with subprocess.Popen(
        [*command, "--port", "0", "--metrics-port=0", "--prediction=off"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment({}),
    ) as server:
        assert server.stdout is not None
        said = re.match(r"antecache is listening on 127\.0\.0\.1:(\d+)", server.stdout.readline())
        assert said
        asked = antecache("ping", "--port", said[1])
        server.terminate()
        assert (asked.code, asked.stdout) == (0, "+PONG\n")
        assert server.wait(20) == 0
