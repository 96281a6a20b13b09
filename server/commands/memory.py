"""MEMORY: what keys and the server occupy, as the estimates behind `maxmemory` have it."""

from __future__ import annotations

from typing import Any

from antecache.server import errors, process
from antecache.server.command import Argv, ClientView, command, container
from antecache.server.commands.arguments import integer
from antecache.server.encode import OK, Verbatim
from antecache.server.errors import ClientError
from antecache.server.info_redis import human

container(
    "memory",
    group="server",
    since="4.0.0",
    summary="A container for memory diagnostics commands.",
    help_lines="""DOCTOR
    Return memory problems reports.
MALLOC-STATS
    Return internal statistics report from the memory allocator.
PURGE
    Attempt to purge dirty pages for reclamation by the allocator.
STATS
    Return information about the memory usage of the server.
USAGE <key> [SAMPLES <count>]
    Return memory in bytes used by <key> and its value. Nested values are
    sampled up to <count> times (default: 5, 0 means sample all).""",
)

SMALL = 5 << 20  # bytes of entries below which Redis's MEMORY DOCTOR has nothing to say either


@command(
    "memory|usage",
    -3,
    flags="readonly",
    keys=(2, 2, 1),
    complexity="O(N) where N is the number of samples.",
    summary="Estimates the memory usage of a key.",
)
def usage(client: ClientView, argv: Argv) -> int | None:
    """MEMORY USAGE key [SAMPLES count]: the bytes charged for the key, null when it is absent.

    The count is read and not needed: sizes are kept up to date, not sampled.
    """
    for at in range(3, len(argv), 2):
        if argv[at].lower() != b"samples" or at + 1 == len(argv):
            raise ClientError(errors.SYNTAX)
        if integer(argv[at + 1]) < 0:
            raise ClientError(errors.SYNTAX)
    return client.db.cost(argv[2])


@command("memory|stats", 2, summary="Returns details about memory usage.")
def stats(client: ClientView, argv: Argv) -> dict[bytes, Any]:
    """Redis's names; `antecache.*` are the parts of the metadata."""
    server = client.server
    store = server.store
    used, rss = server.memory(), process.resident_bytes()
    peak = max(server.peak_memory, used)
    metadata = server.metadata()
    startup = used - store.used - sum(metadata.values())
    found: dict[str, Any] = {
        "peak.allocated": peak,
        "total.allocated": used,
        "startup.allocated": startup,
        "replication.backlog": 0,
        "clients.slaves": 0,
        "clients.normal": sum(c.query_buffer + c.output_buffer for c in server.clients.values()),
        "cluster.links": 0,
        "aof.buffer": 0,
        "lua.caches": 0,
        "functions.caches": 0,
    }
    for database in store.databases:
        if len(database):
            found[f"db.{database.index}"] = {
                b"overhead.hashtable.main": 0,  # part of each key's own size here
                b"overhead.hashtable.expires": 0,
            }
    found |= {
        "overhead.total": used - store.used,
        "keys.count": store.count,
        "keys.bytes-per-key": store.used // store.count if store.count else 0,
        "dataset.bytes": store.used,
        "dataset.percentage": 100 * store.used / max(used - startup, 1),
        "peak.percentage": 100 * used / peak,
        "allocator.allocated": used,
        "allocator.active": rss,
        "allocator.resident": rss,
        "fragmentation": rss / used,
        "fragmentation.bytes": rss - used,
        **{f"antecache.{part}": size for part, size in metadata.items()},
    }
    return {name.encode(): value for name, value in found.items()}


@command("memory|doctor", 2, summary="Outputs a memory problems report.")
def doctor(client: ClientView, argv: Argv) -> Any:
    """What an operator should look at; compares the estimate with the operating system."""
    server = client.server
    used, rss, limit = server.memory(), process.resident_bytes(), server.config.maxmemory
    found = []
    if rss > 1.25 * used and rss - used > SMALL:
        found.append(
            f"The process occupies {human(rss)}, the estimate is {human(used)}: freed memory "
            "was not given back to the system. MEMORY PURGE may help."
        )
    if limit and rss > limit:
        found.append(f"The process occupies {human(rss)}, more than maxmemory ({human(limit)}).")
    if limit and server.store.over():
        found.append(
            "maxmemory is reached and no key may be evicted: what clients wrote fills it. "
            "See maxmemory-policy."
        )
    return Verbatim("\n".join(found or ["No memory problem was found."]).encode() + b"\n")


@command("memory|purge", 2, summary="Asks the allocator to release memory.")
def purge(client: ClientView, argv: Argv) -> Any:
    """A full garbage collection: it may stall replies for most of a second on a large store."""
    process.collect_all()
    return OK


@command("memory|malloc-stats", 2, summary="Returns the allocator statistics.")
def malloc_stats(client: ClientView, argv: Argv) -> Any:
    """Memory is Python's: there is no allocator whose statistics could be shown."""
    return Verbatim(b"Stats not supported for the current allocator")
