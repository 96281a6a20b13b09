"""Watching the server: MONITOR and SLOWLOG. What LATENCY tells is in `latency.py`."""

from __future__ import annotations

from typing import Any

from antecache.server.command import Argv, ClientView, command, container
from antecache.server.commands.arguments import integer
from antecache.server.commands.texts import too_many
from antecache.server.encode import OK, Encoded
from antecache.server.errors import ClientError

ADMIN = "admin loading stale"
BAD_COUNT = "ERR count should be greater than or equal to -1"


@command(
    "monitor",
    1,
    flags="admin noscript loading stale",
    group="server",
    summary="Listens for all requests received by the server in real-time.",
)
def monitor(client: ClientView, argv: Argv) -> Any:
    """From now on this connection is sent a line for every command."""
    if client.monitoring:
        return Encoded(b"")  # as Redis: a second MONITOR is not answered
    client.monitoring = True
    client.server.monitors.add(client)
    client.server.attention.look()
    return OK


container("slowlog", group="server", since="2.2.12", summary="A container for slow log commands.")


@command(
    "slowlog|get",
    -2,
    flags=ADMIN,
    complexity="O(N) where N is the number of entries returned",
    summary="Returns the slow log's entries.",
)
def slowlog_get(client: ClientView, argv: Argv) -> list[Any]:
    """SLOWLOG GET [count]: the youngest, 10 of them; -1 is all."""
    if len(argv) > 3:
        raise too_many("SLOWLOG", argv[1])
    count = integer(argv[2], BAD_COUNT) if len(argv) == 3 else 10
    if count < -1:
        raise ClientError(BAD_COUNT)
    return [
        [slow.id, slow.at, slow.microseconds, slow.argv, slow.address.encode(), slow.name]
        for slow in client.server.slowlog.latest(count)
    ]


@command("slowlog|len", 2, flags=ADMIN, summary="Returns the number of entries in the slow log.")
def slowlog_len(client: ClientView, argv: Argv) -> int:
    """How many entries are kept."""
    return len(client.server.slowlog)


@command(
    "slowlog|reset",
    2,
    flags=ADMIN,
    complexity="O(N) where N is the number of entries in the slowlog",
    summary="Clears all entries from the slow log.",
)
def slowlog_reset(client: ClientView, argv: Argv) -> Any:
    """Forget them all; ids go on."""
    client.server.slowlog.clear()
    return OK
