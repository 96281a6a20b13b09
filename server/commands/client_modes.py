"""CLIENT, the modes of a connection: NO-EVICT, NO-TOUCH, REPLY, PAUSE, UNBLOCK.

What this file does not do: client-side caching (`client_tracking.py`).
"""

from __future__ import annotations

from typing import Any

from antecache.server import errors
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.client import ADMIN, OPEN
from antecache.server.commands.texts import too_many
from antecache.server.encode import OK, Encoded
from antecache.server.errors import ClientError

SILENT = Encoded(b"")  # a reply of no bytes at all


@command(
    "client|no-evict",
    3,
    flags=ADMIN,
    since="7.0.0",
    summary="Sets the client eviction mode of the connection.",
)
def no_evict(client: ClientView, argv: Argv) -> Any:
    """ON | OFF. Clients are never evicted here; the mark is kept and shown."""
    client.no_evict = _on_off(argv[2])
    return OK


@command(
    "client|no-touch",
    3,
    flags=OPEN,
    since="7.2.0",
    summary="Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
)
def no_touch(client: ClientView, argv: Argv) -> Any:
    """ON | OFF."""
    client.no_touch = _on_off(argv[2])
    client.look()
    return OK


def _on_off(arg: bytes) -> bool:
    if arg.lower() not in (b"on", b"off"):
        raise ClientError(errors.SYNTAX)
    return arg.lower() == b"on"


@command(
    "client|reply",
    3,
    flags=OPEN,
    since="3.2.0",
    summary="Instructs the server whether to reply to commands.",
)
def reply(client: ClientView, argv: Argv) -> Any:
    """ON | OFF | SKIP; only ON is answered."""
    mode = argv[2].lower()
    if mode == b"on":
        client.reply_mode = "on"
        return OK
    if mode == b"off":
        client.reply_mode = "off"
    elif mode == b"skip":
        if client.reply_mode != "off":
            client.reply_mode = "skip next"
    else:
        raise ClientError(errors.SYNTAX)
    return SILENT


@command(
    "client|unblock",
    -3,
    flags=ADMIN,
    since="5.0.0",
    complexity="O(log N)",
    summary="Unblocks a client blocked by a blocking command from a different connection.",
)
def unblock(client: ClientView, argv: Argv) -> int:
    """CLIENT UNBLOCK id [TIMEOUT | ERROR]: 1 if that client was blocked."""
    if len(argv) > 4:
        raise too_many("CLIENT", argv[1])
    if len(argv) == 4 and argv[3].lower() not in (b"timeout", b"error"):
        raise ClientError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    number = integer(argv[2])
    waiting = client.server.clients.get(number)
    if waiting is None:
        return 0
    with_error = len(argv) == 4 and argv[3].lower() == b"error"
    return int(client.server.dispatch.blocked.unblock(waiting, error=with_error))


@command(
    "client|pause",
    -3,
    flags=ADMIN,
    since="3.0.0",
    summary="Suspends commands processing.",
)
def pause(client: ClientView, argv: Argv) -> Any:
    """CLIENT PAUSE milliseconds [WRITE | ALL]."""
    if len(argv) > 4:
        raise too_many("CLIENT", argv[1])
    mode = argv[3].lower() if len(argv) == 4 else b"all"
    if mode not in (b"all", b"write"):
        raise ClientError("ERR CLIENT PAUSE mode must be WRITE or ALL")
    milliseconds = integer(argv[2], "ERR timeout is not an integer or out of range")
    if milliseconds < 0:
        raise ClientError("ERR timeout is negative")
    client.server.attention.pause(client.server.store.now + milliseconds, mode.decode())
    return OK


@command(
    "client|unpause",
    2,
    flags=ADMIN,
    since="6.2.0",
    complexity="O(N)",
    summary="Resumes processing commands from paused clients.",
)
def unpause(client: ClientView, argv: Argv) -> Any:
    """End a CLIENT PAUSE."""
    client.server.attention.pause(0, "all")
    return OK
