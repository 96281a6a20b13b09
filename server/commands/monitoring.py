"""Watching the server: MONITOR, SLOWLOG, LATENCY.

LATENCY has no events to tell of: it is answered as by a Redis whose monitor is off,
which `latency-monitor-threshold` 0 says too.
"""

from __future__ import annotations

from typing import Any

from antecache.server.command import Argv, ClientView, command, container
from antecache.server.commands.arguments import integer
from antecache.server.commands.texts import shown, too_many
from antecache.server.encode import OK, Encoded, Verbatim
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
    client.server.look_around()
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


container(
    "latency",
    group="server",
    since="2.8.13",
    summary="A container for latency diagnostics commands.",
)


@command(
    "latency|latest",
    2,
    flags="admin noscript loading stale",
    summary="Returns the latest latency samples for all events.",
)
def latency_latest(client: ClientView, argv: Argv) -> list[Any]:
    """No events."""
    return []


@command(
    "latency|history",
    3,
    flags="admin noscript loading stale",
    summary="Returns timestamp-latency samples for an event.",
)
def latency_history(client: ClientView, argv: Argv) -> list[Any]:
    """No samples."""
    return []


@command(
    "latency|reset",
    -2,
    flags="admin noscript loading stale",
    summary="Resets the latency data for one or more events.",
)
def latency_reset(client: ClientView, argv: Argv) -> int:
    """How many events were reset: none."""
    return 0


@command(
    "latency|graph",
    3,
    flags="admin noscript loading stale",
    summary="Returns a latency graph for an event.",
)
def latency_graph(client: ClientView, argv: Argv) -> Any:
    """There is no event to draw."""
    raise ClientError(f"ERR No samples available for event '{shown(argv[2])}'")


@command(
    "latency|doctor",
    2,
    flags="admin noscript loading stale",
    summary="Returns a human-readable latency analysis report.",
)
def latency_doctor(client: ClientView, argv: Argv) -> Any:
    """What there is instead."""
    return Verbatim(
        b"Latency events are not monitored by this server. See SLOWLOG GET for slow commands, "
        b"and INFO antecache (load_usec_mean, loop_lag_usec) for the database and the event loop.\n"
    )


@command(
    "latency|histogram",
    -2,
    flags="admin noscript loading stale",
    since="7.0.0",
    summary="Returns the cumulative distribution of latencies of a subset or all commands.",
)
def latency_histogram(client: ClientView, argv: Argv) -> dict[bytes, Any]:
    """The distribution of times is not kept for each command."""
    return {}
