"""LATENCY: how long commands take (HISTOGRAM), and what took too long lately (the rest).

What this file does not do: keep either (`server/timings.py`, `server/spikes.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from antecache.server.command import TABLE, Argv, ClientView, Command, command, container, every
from antecache.server.commands.texts import shown
from antecache.server.encode import Verbatim
from antecache.server.errors import ClientError

ADMIN = "admin noscript loading stale"

container(
    "latency",
    group="server",
    since="2.8.13",
    complexity="Depends on subcommand.",
    summary="A container for latency diagnostics commands.",
)


@command(
    "latency|latest",
    2,
    flags=ADMIN,
    since="2.8.13",
    summary="Returns the latest latency samples for all events.",
)
def latest(client: ClientView, argv: Argv) -> list[Any]:
    """Each event: its name, when it last happened, how long that took, and the worst ever."""
    return [
        [name.encode(), *event.samples[-1], event.worst]
        for name, event in client.server.spikes.events.items()
    ]


@command(
    "latency|history",
    3,
    flags=ADMIN,
    since="2.8.13",
    summary="Returns timestamp-latency samples for an event.",
)
def history(client: ClientView, argv: Argv) -> list[Any]:
    """LATENCY HISTORY event: seconds and milliseconds, the oldest first."""
    event = client.server.spikes.events.get(_name(argv[2]))
    return [] if event is None else [list(sample) for sample in event.samples]


@command(
    "latency|reset",
    -2,
    flags=ADMIN,
    since="2.8.13",
    summary="Resets the latency data for one or more events.",
)
def reset(client: ClientView, argv: Argv) -> int:
    """LATENCY RESET [event ...]: how many events were forgotten."""
    return client.server.spikes.reset([_name(arg) for arg in argv[2:]])


@command(
    "latency|graph",
    3,
    flags=ADMIN,
    since="2.8.13",
    summary="Returns a latency graph for an event.",
)
def graph(client: ClientView, argv: Argv) -> Any:
    """LATENCY GRAPH event."""
    drawn = client.server.spikes.graph(_name(argv[2]))
    if drawn is None:
        raise ClientError(f"ERR No samples available for event '{shown(argv[2])}'")
    return Verbatim(drawn.encode())


def _name(arg: bytes) -> str:
    return arg.decode("utf-8", "replace")


@command(
    "latency|doctor",
    2,
    flags=ADMIN,
    since="2.8.13",
    summary="Returns a human-readable latency analysis report.",
)
def doctor(client: ClientView, argv: Argv) -> Any:
    """The events in words, and where to look."""
    return Verbatim(("\n".join(_advice(client)) + "\n").encode())


def _advice(client: ClientView) -> Iterator[str]:
    server = client.server
    spikes = server.spikes
    if not spikes.threshold:
        yield (
            "Latency events are not watched. CONFIG SET latency-monitor-threshold <milliseconds> "
            "starts it; LATENCY HISTOGRAM works without."
        )
        return
    if not spikes.events:
        yield f"Nothing has taken {spikes.threshold} ms or more since it was last reset."
        return
    yield f"These took {spikes.threshold} ms or more:"
    yield ""
    yield from spikes.report()
    yield ""
    if {"command", "fast-command"} & set(spikes.events):
        if not 0 <= server.slowlog.threshold_us <= spikes.threshold * 1000:
            yield (
                "- SLOWLOG does not log all of these commands. CONFIG SET slowlog-log-slower-than "
                f"{spikes.threshold * 1000} does."
            )
        yield "- SLOWLOG GET names the commands that took long, with their arguments."
    if "load" in spikes.events:
        yield (
            "- Loads from the database took long: INFO antecache has their mean by source, and "
            "clients that wait for one do not hold up the others."
        )
    if {"expire-cycle", "eviction-cycle"} & set(spikes.events):
        yield (
            "- Many or large keys were expired or evicted at once. Deadlines that differ by some "
            "seconds spread that (ttl-jitter does it for keys of a source)."
        )
    if server.loop_lag > spikes.threshold / 1000:
        yield (
            f"- The event loop is {server.loop_lag * 1000:.0f} ms late: the machine has too little "
            "processor time for this process."
        )


@command(
    "latency|histogram",
    -2,
    flags=ADMIN,
    since="7.0.0",
    complexity="O(N) where N is the number of commands with latency information being retrieved.",
    summary="Returns the cumulative distribution of latencies of a subset or all commands.",
)
def histogram(client: ClientView, argv: Argv) -> dict[bytes, Any]:
    """LATENCY HISTOGRAM [command ...]: of each that was called, calls and their distribution."""
    timings = client.server.timings
    timings.sample(every())
    rows = timings.known() if len(argv) == 2 else _named(argv[2:])
    return {
        row.full_name.encode(): {
            b"calls": calls,
            b"histogram_usec": dict(timings.cumulated(row)),
        }
        for row in rows
        if (calls := timings.calls(row))
    }


def _named(names: Iterable[bytes]) -> Iterator[Command]:
    """The commands of these names, a container's sub-commands after it; unknown ones are none."""
    for name in names:
        outer, _, inner = name.lower().partition(b"|")
        row = TABLE.get(outer)
        if row is not None and inner:
            row = row.subcommands.get(inner)
        if row is not None:
            yield row
            yield from row.subcommands.values()
