"""A whole server in the test's own loop, and a client that shows replies byte for byte."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import hiredis
import pytest

from antecache.server.app import Server
from antecache.server.config import Config

Serve = Callable[..., Awaitable[Server]]
END = b"the end of the replies to this command"
FRAMED_END = b"$%d\r\n%b\r\n" % (len(END), END)


def _frame(words: Sequence[bytes | str | int]) -> bytes:
    args = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(a), a) for a in args)


class Raw:
    """One connection. `ask` parses replies (errors are values), `bytes_of` doesn't."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._parser = hiredis.Reader(replyError=hiredis.ReplyError)
        self._early = b""  # what came after the end that `settle` looks for

    @classmethod
    async def open(cls, port: int) -> Raw:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, *words: bytes | str | int) -> None:
        """Write one command; its reply is read by `read`."""
        self.writer.write(_frame(words))

    async def read(self) -> Any:
        """The next reply; ConnectionError when there is none because the server closed."""
        while (reply := self._parser.gets()) is False:
            data = await asyncio.wait_for(self.reader.read(65536), 10)
            if not data:
                raise ConnectionError("closed")
            self._parser.feed(data)
        return reply

    async def ask(self, *words: bytes | str | int) -> Any:
        self.send(*words)
        return await self.read()

    async def bytes_of(self, *words: bytes | str | int) -> bytes:
        """Every byte that answers one command (nothing, for CLIENT REPLY SKIP and its like)."""
        self.send(*words)
        self.send("ECHO", END)
        found = b""
        while not found.endswith(FRAMED_END):
            data = await asyncio.wait_for(self.reader.read(65536), 10)
            if not data:
                return found + b"<closed>"
            found += data
        return found.removesuffix(FRAMED_END)

    async def settle(self, *commands: Sequence[bytes | str | int]) -> bytes:
        """Send commands in one write; every byte that has come when they are done.

        A subscribed connection may ask this too.
        """
        self.writer.write(b"".join(map(_frame, [*commands, ("PING", END)])))
        found, self._early = self._early, b""
        while FRAMED_END not in found:
            data = await asyncio.wait_for(self.reader.read(65536), 10)
            if not data:
                return found + b"<closed>"
            found += data
        found, _, self._early = found.partition(FRAMED_END)
        return found.removesuffix(b"*2\r\n$4\r\npong\r\n")

    async def closed(self) -> bytes:
        """What still comes until the server closes the connection."""
        return await asyncio.wait_for(self.reader.read(), 10)

    def close(self) -> None:
        self.writer.close()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """A function that starts a server on a free port; settings are those of `Config`."""
    running: list[Server] = []

    async def start(**settings: Any) -> Server:
        chosen = {
            "port": 0,
            "metrics_port": 0,
            "prediction": False,
            "predictor": "misslog",
            **settings,
        }
        server = Server(Config(**chosen))
        running.append(server)
        await server.start()
        return server

    yield start
    for server in running:
        await server.stop()
    gc.enable()  # what is frozen stays so: the next start has less to look at


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[Server], Awaitable[Raw]]]:
    """A function that opens a connection to a server, closed at the end."""
    opened: list[Raw] = []

    async def open_(server: Any) -> Raw:
        raw = await Raw.open(server.port)
        opened.append(raw)
        return raw

    yield open_
    for raw in opened:
        raw.close()
