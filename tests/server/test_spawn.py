"""A server as a child process: up when `start` returns, gone after `stop`, with a reason if not.

What this file does not do: test what the server does.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from antecache.server.spawn import StartError, start


def answer(port: int, words: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(words)
        return connection.recv(1000)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_answers_at_once_and_is_gone_afterwards() -> None:
    with start({"prediction": "off"}) as server:
        assert server.running
        assert alive(server.pid)
        assert answer(server.port, b"PING\r\n") == b"+PONG\r\n"
        assert answer(server.port, b"CONFIG GET maxkeys\r\n").endswith(b"$1\r\n0\r\n")
    assert not server.running
    assert not alive(server.pid)
    server.stop()  # a second time is no harm


def test_settings_are_flags() -> None:
    with start({"prediction": "off", "maxkeys": 7}) as server:
        assert answer(server.port, b"CONFIG GET maxkeys\r\n").endswith(b"$1\r\n7\r\n")


def test_two_do_not_want_the_same_port() -> None:
    with start({"prediction": "off"}) as one, start({"prediction": "off"}) as other:
        assert one.port != other.port


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    with pytest.raises(StartError, match=r"none\.db"):
        start({"backing": f"sqlite:///{missing}"})
