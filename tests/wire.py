"""A server in a thread of its own, and a client that sees every byte it answers.

`Wire` speaks RESP over a real socket without a client library in between, so that
replies can be compared byte for byte. `Running` is the whole server as `antecache
serve` builds it, on a free port, with its own event loop; `call` runs something on
that loop (a look into the store, a fault in the backing).

What this file does not do: pytest fixtures (the `conftest.py` next to each user).
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import uvloop

from antecache.server.app import Server
from antecache.server.config import Config

PATIENCE = 20.0  # seconds


class Error(str):
    """An error reply."""

    __slots__ = ()


class Map(NamedTuple):
    """A RESP3 map, in the order of its pairs."""

    pairs: tuple[tuple[Any, Any], ...]


class Members(NamedTuple):
    """A RESP3 set, in the order of its members."""

    members: tuple[Any, ...]


class Wire:
    """One connection. Commands are sequences of str, bytes or int."""

    def __init__(self, port: int, protocol: int = 2) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        if protocol == 3:
            self.ask("HELLO", 3)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, *commands: Sequence[str | bytes | int]) -> None:
        """Send commands in one write."""
        self._socket.sendall(b"".join(map(encode, commands)))

    def read(self) -> bytes:
        """The bytes of one reply; raises EOFError when the connection ends before it does."""
        while True:
            end = _end(self._buffer, 0)
            if end is not None:
                reply, self._buffer = self._buffer[:end], self._buffer[end:]
                return reply
            piece = self._socket.recv(1 << 16)
            if not piece:
                raise EOFError(self._buffer)
            self._buffer += piece

    def raw(self, *commands: Sequence[str | bytes | int]) -> list[bytes]:
        """Send commands in one write, and return the bytes of each reply."""
        self.send(*commands)
        return [self.read() for _ in commands]

    def ask(self, *argv: str | bytes | int) -> Any:
        """Send one command and return its reply as Python values."""
        return decode(self.raw(argv)[0])

    def silent(self) -> bool:
        """Whether nothing has come back to what was sent so far.

        It is said after a round trip on another connection, so that the server has had its turn.
        """
        self._socket.setblocking(False)
        try:
            self._buffer += self._socket.recv(1 << 16)
        except BlockingIOError:
            pass
        finally:
            self._socket.settimeout(PATIENCE)
        return not self._buffer


def encode(argv: Sequence[str | bytes | int]) -> bytes:
    """A command as an array of bulk strings."""
    pieces = [b"*%d\r\n" % len(argv)]
    for argument in argv:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        pieces.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(pieces)


def decode(raw: bytes) -> Any:
    """A reply as Python values: bulk strings are bytes, simple strings str."""
    value, end = _decode(raw, 0)
    assert end == len(raw), raw
    return value


def _line(raw: bytes, at: int) -> tuple[bytes, int]:
    end = raw.index(b"\r\n", at)
    return raw[at:end], end + 2


def _decode(raw: bytes, at: int) -> tuple[Any, int]:
    kind = raw[at : at + 1]
    line, at = _line(raw, at + 1)
    match kind:
        case b"+":
            return line.decode(), at
        case b"-":
            return Error(line.decode()), at
        case b":":
            return int(line), at
        case b"_":
            return None, at
        case b"#":
            return line == b"t", at
        case b",":
            return float(line), at
        case b"$" | b"=":
            size = int(line)
            return (None, at) if size < 0 else (raw[at : at + size], at + size + 2)
    count = int(line)
    if count < 0:
        return None, at
    items = []
    for _ in range(count * 2 if kind == b"%" else count):
        item, at = _decode(raw, at)
        items.append(item)
    if kind == b"%":
        return Map(tuple(zip(items[::2], items[1::2], strict=True))), at
    return (Members(tuple(items)) if kind == b"~" else items), at


def _end(raw: bytes, at: int) -> int | None:
    """Where the reply that starts at `at` ends, or None while it is not there whole."""
    stop = raw.find(b"\r\n", at)
    if stop < 0:
        return None
    kind, line = raw[at : at + 1], raw[at + 1 : stop]
    stop += 2
    if kind in b"$=" and int(line) >= 0:
        stop += int(line) + 2
        return stop if stop <= len(raw) else None
    if kind in b"*~%>":
        for _ in range(int(line) * 2 if kind == b"%" else int(line)):
            following = _end(raw, stop)
            if following is None:
                return None
            stop = following
    return stop


class Running:
    """A server in a thread; stopped by `stop`."""

    def __init__(self, **settings: Any) -> None:
        settings = {
            "port": 0,
            "metrics_port": 0,
            "prediction": False,
            "predictor": "misslog",
            **settings,
        }
        self._config = Config(**settings)
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self.server: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(PATIENCE)
        if self._failure is not None:
            raise self._failure
        self.port: int = self.server.port

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            self.server = Server(self._config)
            await self.server.start()
        except BaseException as error:
            self._failure = error
            self._started.set()
            return
        self._started.set()
        await self.server.serve()
        await self.server.stop()

    def call(self, work: Callable[[], Any]) -> Any:
        """Run `work()` on the server's loop and return what it returns."""

        async def on_loop() -> Any:
            return work()

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result(PATIENCE)

    def connect(self, protocol: int = 2) -> Wire:
        """A new connection."""
        return Wire(self.port, protocol)

    def stop(self) -> None:
        """Stop, and wait for the end."""
        self.call(self.server.shutdown)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
