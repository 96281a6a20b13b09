"""A fixed number of persistent connections, opened when they are first needed.

The last one used is taken first, so that a quiet server keeps few connections
warm. A broken or cancelled connection is closed in the background and its place
is free only then: the number is a promise to the database. There is no ping
before use, because it would cost a round trip on every load; a connection that
turns out dead is dropped together with all idle ones, which died with it.

What this file does not do: run statements, retry, or time out.
"""

from __future__ import annotations

import asyncio
from collections import deque

from antecache.server.backing.base import BackingError
from antecache.server.backing.driver import Driver, Raw

#: Seconds that closing an abandoned connection may take before it is left to itself.
PATIENCE = 2.0


class Connections:
    """At most `size` connections of `driver`."""

    def __init__(self, driver: Driver, size: int) -> None:
        self._driver = driver
        self._size = size
        self._idle: list[Raw] = []
        self._waiting: deque[asyncio.Future[Raw | None]] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False
        self.count = 0  # open, opening or closing

    async def take(self) -> Raw:
        """A connection that nobody else uses; give it back with `give` or `drop`."""
        while True:
            if self._closed:
                raise BackingError("the backing is closed")
            while self._idle:
                raw = self._idle.pop()
                if self._driver.usable(raw):
                    return raw
                self.drop(raw)
            if self.count < self._size:
                self.count += 1
                try:
                    return await self._driver.connect()
                except BaseException:
                    self._free()
                    raise
            raw = await self._wait()
            if raw is not None:
                return raw

    async def _wait(self) -> Raw | None:
        """A connection that was given back, or None when there may be room for a new one."""
        future: asyncio.Future[Raw | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled() or not future.done():
                self._waiting = deque(other for other in self._waiting if other is not future)
            elif (raw := future.result()) is not None:
                self.give(raw)
            else:
                self._wake(None)
            raise

    def give(self, raw: Raw) -> None:
        """Give back a connection that works."""
        if self._closed:
            self.drop(raw)
        elif not self._wake(raw):
            self._idle.append(raw)

    def drop(self, raw: Raw) -> None:
        """Give back a connection that must not be used again."""
        task = asyncio.get_running_loop().create_task(self._abandon(raw))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def drop_idle(self) -> None:
        """Drop all connections that are not in use."""
        idle, self._idle = self._idle, []
        for raw in idle:
            self.drop(raw)

    async def _abandon(self, raw: Raw) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._driver.abandon(raw)
        except Exception:  # it is gone either way, and there is nobody to tell
            pass
        finally:
            self._free()

    def _free(self) -> None:
        self.count -= 1
        self._wake(None)

    def _wake(self, raw: Raw | None) -> bool:
        """Hand `raw` to whoever waits longest; False when nobody does."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(raw)
                return True
        return False

    async def close(self) -> None:
        """Close all; those in use are closed when they are given back."""
        self._closed = True
        self.drop_idle()
        while self._wake(None):
            pass
        while self._closing:
            await asyncio.wait(self._closing)
