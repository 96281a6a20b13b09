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
def play(connect: Any) -> Any:
    """A function that plays a script at a server: what comes for each line, byte for byte.

    A line is `connection> command | command ...`, sent in one write; connections whose names
    end in 3 speak RESP3. With the replies comes what was pushed to the connection since its
    last line, so a line without a command shows just that. `{b}` is the number of connection b.
    """

    async def play(server: Any, script: str) -> list[tuple[str, bytes]]:
        numbers: dict[str, int] = {}
        opened: dict[str, Any] = {}
        found = []
        while "{" in script:  # numbers so high that they can be told from others
            spare = await connect(server)
            high = await spare.ask("CLIENT", "ID") > 200
            spare.close()
            if high:
                break
        for line in filter(None, map(str.strip, script.splitlines())):
            name, _, commands = line.partition(">")
            if name not in opened:
                opened[name] = await connect(server)
                numbers[name] = await opened[name].ask("CLIENT", "ID")
                if name.endswith("3"):
                    await opened[name].ask("HELLO", 3)
            split = [one.format(**numbers).split() for one in commands.split(" | ")]
            text = await opened[name].settle(
                *(["" if word == '""' else word for word in words] for words in split if words)
            )
            for other, number in numbers.items() if "{" in script else ():
                text = text.replace(b":%d\r\n" % number, b":<%b>\r\n" % other.encode())
            found.append((line, text))
        return found

    return play


@pytest.fixture
async def shop(serve: Any, connect: Any) -> Any:
    server = await serve(backing="memory://?prefix=user&prefix=page&rows=10", load_timeout=0.5)
    server.backing.rows[b"user:empty"] = Row(("id", "name"), (7, None))
    shop = Shop(server, connect)
    yield shop
    shop.store.check()
    assert not shop.store.pinned
