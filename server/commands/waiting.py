"""WAIT and WAITAOF on a server that has neither replicas nor an append-only file.

Nobody will ever acknowledge anything. A Redis that stands alone says so at the client's
timeout, which may be never; here it is said at once.
"""

from __future__ import annotations

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.blocking import milliseconds
from antecache.server.errors import ClientError

NO_AOF = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
NOT_POSITIVE = "ERR value is out of range, must be positive"
NOT_0_OR_1 = "ERR value is out of range, value must between 0 and 1"


@command(
    "wait",
    3,
    flags="noscript",
    group="generic",
    since="3.0.0",
    summary="Blocks until the asynchronous replication of all preceding write commands sent by "
    "the connection is completed.",
)
def wait(client: ClientView, argv: Argv) -> int:
    """WAIT numreplicas timeout: 0."""
    integer(argv[1])
    milliseconds(argv[2], client.db.store.now)
    return 0


@command(
    "waitaof",
    4,
    flags="noscript",
    group="generic",
    since="7.2.0",
    summary="Blocks until all of the preceding write commands sent by the connection are written "
    "to the append-only file of the master and/or replicas.",
)
def waitaof(client: ClientView, argv: Argv) -> list[int]:
    """WAITAOF numlocal numreplicas timeout: 0 of either."""
    local = integer(argv[1])
    if local not in (0, 1):
        raise ClientError(NOT_0_OR_1)
    if integer(argv[2]) < 0:
        raise ClientError(NOT_POSITIVE)
    milliseconds(argv[3], client.db.store.now)
    if local:
        raise ClientError(NO_AOF)
    return [0, 0]
