"""The server as a whole: INFO, TIME, ROLE, SHUTDOWN, and what is asked of every Redis.

Commands about things that do not exist here say so: SAVE and its kin refuse (there
is no persistence: what is cached is in the database, what is not would be lost), and
of replication there is only the truth that this is a master without replicas.
"""

from __future__ import annotations

import time
from typing import Any

from antecache.server import errors
from antecache.server.command import Argv, ClientView, command
from antecache.server.encode import OK, Encoded, Verbatim
from antecache.server.errors import ClientError
from antecache.server.info import render

NO_PERSISTENCE = "ERR this server has no persistence: nothing can be saved to disk"


@command(
    "info",
    -1,
    flags="loading stale",
    group="server",
    categories="dangerous",
    summary="Returns information and statistics about the server.",
)
def info(client: ClientView, argv: Argv) -> Any:
    """INFO [section ...]."""
    sections = [name.decode("utf-8", "replace").lower() for name in argv[1:]]
    return Verbatim(render(client.server, sections))


@command(
    "time",
    1,
    flags="loading stale fast",
    group="server",
    since="2.6.0",
    summary="Returns the server time.",
)
def time_(client: ClientView, argv: Argv) -> list[bytes]:
    """Unix seconds and the microseconds in this second."""
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    return [b"%d" % seconds, b"%d" % microseconds]


@command(
    "role",
    1,
    flags="noscript loading stale fast",
    group="server",
    since="2.8.12",
    categories="admin dangerous",
    summary="Returns the replication role.",
)
def role(client: ClientView, argv: Argv) -> list[Any]:
    """A master at offset 0 without replicas."""
    return [b"master", 0, []]


@command(
    "lastsave",
    1,
    flags="loading stale fast",
    group="server",
    categories="admin dangerous",
    summary="Returns the Unix timestamp of the last successful save to disk.",
)
def lastsave(client: ClientView, argv: Argv) -> int:
    """When the server started: as in Redis, before anything was saved."""
    return int(client.server.started)


@command(
    "save",
    1,
    flags="admin noscript no_async_loading no_multi",
    group="server",
    complexity="O(N) where N is the total number of keys in all databases",
    summary="Synchronously saves the database(s) to disk.",
)
def save(client: ClientView, argv: Argv) -> Any:
    """Refused."""
    raise ClientError(NO_PERSISTENCE)


@command(
    "bgsave",
    -1,
    flags="admin noscript no_async_loading",
    group="server",
    summary="Asynchronously saves the database(s) to disk.",
)
def bgsave(client: ClientView, argv: Argv) -> Any:
    """Refused."""
    if len(argv) > 2 or (len(argv) == 2 and argv[1].lower() != b"schedule"):
        raise ClientError(errors.SYNTAX)
    raise ClientError(NO_PERSISTENCE)


@command(
    "bgrewriteaof",
    1,
    flags="admin noscript no_async_loading",
    group="server",
    summary="Asynchronously rewrites the append-only file to disk.",
)
def bgrewriteaof(client: ClientView, argv: Argv) -> Any:
    """Refused."""
    raise ClientError(NO_PERSISTENCE)


@command(
    "shutdown",
    -1,
    flags="admin noscript loading stale no_multi allow_busy",
    group="server",
    complexity="O(N) when saving, where N is the total number of keys in all databases when saving "
    "data, otherwise O(1)",
    summary="Synchronously saves the database(s) to disk and shuts down the Redis server.",
)
def shutdown(client: ClientView, argv: Argv) -> Any:
    """SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]; the connection closes without a reply."""
    options = [option.lower() for option in argv[1:]]
    unknown = set(options) - {b"nosave", b"save", b"now", b"force", b"abort"}
    if unknown or {b"save", b"nosave"} <= set(options):
        raise ClientError(errors.SYNTAX)
    if b"abort" in options:
        if len(options) > 1:
            raise ClientError(errors.SYNTAX)
        raise ClientError("ERR No shutdown in progress.")
    if b"save" in options:
        raise ClientError(NO_PERSISTENCE)
    client.closing = True
    client.server.shutdown()
    return Encoded(b"")


@command(
    "replicaof",
    3,
    flags="admin noscript stale no_async_loading",
    group="server",
    since="5.0.0",
    summary="Configures a server as replica of another, or promotes it to a master.",
)
def replicaof(client: ClientView, argv: Argv) -> Any:
    """NO ONE is what it already is; anything else is refused."""
    if (argv[1].lower(), argv[2].lower()) != (b"no", b"one"):
        raise ClientError("ERR this server cannot be a replica")
    return OK


command(
    "slaveof",
    3,
    flags="admin noscript stale no_async_loading",
    group="server",
    summary="Sets a Redis server as a replica of another, or promotes it to being a master.",
)(replicaof)
