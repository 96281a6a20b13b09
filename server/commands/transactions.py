"""MULTI, EXEC, DISCARD, WATCH and UNWATCH, as Redis has them.

Between MULTI and EXEC dispatch does not run commands but has `queue` keep them;
one that is refused there (unknown name, wrong arity, no memory) makes EXEC refuse
the whole. An error of a command that EXEC runs is an element of its reply, and
the others still run.

A transaction must not stop half-way to wait for the database. So what its
commands will read is loaded before the first of them runs, and from then on
nothing is: a key that the transaction itself removed reads as absent.

What this file does not do: notice changes of watched keys (`server/watch.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from antecache.server.command import Absent, Argv, ClientView, Command, command
from antecache.server.encode import NULL_ARRAY, OK, NullArray
from antecache.server.errors import EXECABORT, ClientError
from antecache.server.store import Resumed

OPEN = "noscript loading stale fast allow_busy"


def queue(client: ClientView, row: Command, argv: Argv) -> str:
    """Keep a command that was found in order for EXEC; `client` has a transaction open."""
    assert client.transaction is not None
    if "no_multi" in row.flags:
        client.transaction_failed = True
        raise ClientError("ERR Command not allowed inside a transaction")
    client.transaction.append(argv)
    return "QUEUED"


def refused(client: ClientView, row: Command, text: str) -> str:
    """The error for a command that dispatch refuses: EXEC takes its transaction along."""
    if row.name != "exec" or row.parent is not None:
        return text
    if client.transaction is not None:
        _end(client)
    return f"EXECABORT Transaction discarded because of: {text.removeprefix('ERR ')}"


@command(
    "multi",
    1,
    flags=OPEN,
    group="transactions",
    since="1.2.0",
    summary="Starts a transaction.",
)
def multi(client: ClientView, argv: Argv) -> bytes:
    """MULTI."""
    if client.transaction is not None:
        raise ClientError("ERR MULTI calls can not be nested")
    client.transaction = []
    return OK


@command(
    "discard",
    1,
    flags=OPEN,
    group="transactions",
    since="2.0.0",
    complexity="O(N), when N is the number of queued commands",
    summary="Discards a transaction.",
)
def discard(client: ClientView, argv: Argv) -> bytes:
    """DISCARD."""
    if client.transaction is None:
        raise ClientError("ERR DISCARD without MULTI")
    _end(client)
    return OK


def _end(client: ClientView) -> None:
    client.transaction = None
    client.server.watches.forget(client)


@command(
    "exec",
    1,
    flags="noscript loading stale skip_slowlog",
    group="transactions",
    since="1.2.0",
    complexity="Depends on commands in the transaction",
    summary="Executes all commands in a transaction.",
)
def exec_(client: ClientView, argv: Argv) -> list[Any] | NullArray:
    """EXEC: the replies in order; null when a watched key changed."""
    queued = client.transaction
    if queued is None:
        raise ClientError("ERR EXEC without MULTI")
    if client.transaction_failed:
        _end(client)
        raise ClientError(EXECABORT)
    if client.server.watches.dirty(client):
        _end(client)
        return NULL_ARRAY
    absent = client.server.absent(client, queued)
    if absent:
        raise Absent(absent)
    # The transaction stays open while it runs: commands that would block see that they must not.
    client.server.watches.forget(client)
    view = client.db
    waited = view.waited if isinstance(view, Resumed) else set()
    errors = view.errors if isinstance(view, Resumed) else {}
    scripts = client.server.scripts
    if not any(map(scripts.runs_long, queued)):
        return _replies(client, queued, waited, errors, client.server.execute)
    # What holds for its scripts holds for the transaction: it runs where they do.
    found: list[Any] = scripts.beside(
        client, lambda: _replies(client, queued, waited, errors, scripts.execute)
    )
    return found


def _replies(
    client: ClientView,
    queued: list[Argv],
    waited: set[bytes],
    errors: Mapping[bytes, str],
    execute: Callable[[Any, Argv], Any],
) -> list[Any]:
    """Run the commands; the transaction ends with the last."""
    databases = client.db.store.databases
    try:
        replies = []
        for one in queued:
            # Anew for each command: one of them may be SELECT or SWAPDB.
            database = databases[client.db.index]
            client.db = Resumed(database, waited, errors, loads=False)
            reply = execute(client, one)
            # A handler may answer with the value itself, and a later command change it.
            replies.append(reply.copy() if type(reply) in (dict, set, list) else reply)
        return replies
    finally:
        client.db = databases[client.db.index]
        client.transaction = None


@command(
    "watch",
    -2,
    flags=OPEN,
    keys=(1, -1, 1),
    group="transactions",
    since="2.2.0",
    complexity="O(1) for every key.",
    summary="Monitors changes to keys to determine the execution of a transaction.",
)
def watch(client: ClientView, argv: Argv) -> bytes:
    """WATCH key [key ...]."""
    if client.transaction is not None:
        raise ClientError("ERR WATCH inside MULTI is not allowed")
    if not client.transaction_dirty:  # EXEC will refuse already
        for key in argv[1:]:
            client.server.watches.watch(client, client.db.index, key)
    return OK


@command(
    "unwatch",
    1,
    flags=OPEN,
    group="transactions",
    since="2.2.0",
    summary="Forgets about watched keys of a transaction.",
)
def unwatch(client: ClientView, argv: Argv) -> bytes:
    """UNWATCH."""
    client.server.watches.forget(client)
    return OK
