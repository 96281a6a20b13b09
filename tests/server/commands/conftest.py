"""A server that reads through to a database held in memory, where faults can be set."""

from __future__ import annotations

from typing import Any

import pytest

from antecache.server.backing.base import Row
from antecache.server.backing.memory import MemoryBacking


class Shop:
    """A server whose sources own `user:*` and `page:*`; the rows 0 to 9 of each exist.

    Connections are made by `client`; `statements` counts the SELECTs since the last look.
    """

    def __init__(self, server: Any, connect: Any) -> None:
        self.server = server
        self.store = server.store
        self.backing: MemoryBacking = server.backing
        self.connect = connect
        self._seen = 0

    async def client(self) -> Any:
        return await self.connect(self.server)

    @property
    def statements(self) -> int:
        seen, self._seen = self._seen, self.backing.statements
        return self._seen - seen

    def entry(self, key: bytes, db: int = 0) -> Any:
        """What is resident under `key`, without a trace."""
        return self.store.databases[db].peek(key)


@pytest.fixture
async def shop(serve: Any, connect: Any) -> Any:
    server = await serve(backing="memory://?prefix=user&prefix=page&rows=10", load_timeout=0.5)
    server.backing.rows[b"user:empty"] = Row(("id", "name"), (7, None))
    shop = Shop(server, connect)
    yield shop
    shop.store.check()
    assert not shop.store.pinned
