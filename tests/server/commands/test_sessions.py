"""Whose session a read belongs to: the connection's, its name's, or the one that is declared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from antecache.server.accesslog import session_number

Connect = Callable[[Any], Awaitable[Any]]


def sessions_of(server: Any, *keys: bytes) -> list[int]:
    """The session that asked for each key, as the command log has it."""
    found: dict[bytes, int] = {}
    session = server.access.session
    for item in server.access.items:
        if isinstance(item, int) and not isinstance(item, bool):
            session = item
        elif isinstance(item, bytes):
            found[item] = session
    return [found[key] for key in keys]


async def test_names_are_sessions_whatever_the_connection(serve: Any, connect: Connect) -> None:
    server = await serve(prediction=True)
    server.trainer._drain = lambda: None  # nothing is taken out of the log
    one, other = await connect(server), await connect(server)
    await one.ask("GET", "a")
    await other.ask("GET", "b")
    assert len(set(sessions_of(server, b"a", b"b"))) == 2

    await one.ask("CLIENT", "SETNAME", "ann")
    await one.ask("GET", "c")
    await other.ask("HELLO", "3", "SETNAME", "ann")
    await other.ask("GET", "d")
    assert sessions_of(server, b"c", b"d") == [session_number(b"ann")] * 2

    one.send("PREDICTOR", "SESSION", "cart-7")  # in one pipeline with what it is about
    one.send("GET", "e")
    one.send("CLIENT", "SETNAME", "bob")
    one.send("GET", "f")
    for _ in range(4):
        await one.read()
    assert sessions_of(server, b"e", b"f") == [session_number(b"cart-7", declared=True)] * 2

    await one.ask("PREDICTOR", "SESSION", "")
    await one.ask("GET", "g")
    await one.ask("RESET")
    await one.ask("GET", "h")
    assert sessions_of(server, b"g") == [session_number(b"bob")]
    assert sessions_of(server, b"h") == sessions_of(server, b"a")
