"""CLIENT, the modes of a connection: NO-EVICT, NO-TOUCH, REPLY, PAUSE, UNBLOCK, TRACKING.

What does not exist here is refused (TRACKING ON) or answered with what is true
(nobody is tracked), never pretended.
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
NOT_TRACKING = (
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
    "OPTOUT mode enabled"
)


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
    client.server.pause(client.server.store.now + milliseconds, mode.decode())
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
    client.server.pause(0, "all")
    return OK


@command(
    "client|getredir",
    2,
    flags=OPEN,
    since="6.0.0",
    summary="Returns the client ID to which the connection's tracking notifications are "
    "redirected.",
)
def getredir(client: ClientView, argv: Argv) -> int:
    """-1: tracking is off."""
    return -1


@command(
    "client|trackinginfo",
    2,
    flags=OPEN,
    since="6.2.0",
    summary="Returns information about server-assisted client-side caching for the connection.",
)
def trackinginfo(client: ClientView, argv: Argv) -> dict[bytes, Any]:
    """Tracking is off."""
    return {b"flags": {b"off"}, b"redirect": -1, b"prefixes": []}


@command(
    "client|tracking",
    -3,
    flags=OPEN,
    since="6.0.0",
    summary="Controls server-assisted client-side caching for the connection.",
)
def tracking(client: ClientView, argv: Argv) -> Any:
    """OFF is the only state there is so far; ON is refused, so that no client relies on it."""
    at = 3
    while at < len(argv):
        option = argv[at].lower()
        takes_one = option in (b"redirect", b"prefix") and at + 1 < len(argv)
        if not takes_one and option not in (b"bcast", b"optin", b"optout", b"noloop"):
            raise ClientError(errors.SYNTAX)
        at += 1 + takes_one
    if _on_off(argv[2]):
        raise ClientError("ERR CLIENT TRACKING ON is not supported by this server yet")
    return OK


@command(
    "client|caching",
    3,
    flags=OPEN,
    since="6.0.0",
    summary="Instructs the server whether to track the keys in the next request.",
)
def caching(client: ClientView, argv: Argv) -> Any:
    """Only means something while tracking is on."""
    raise ClientError(NOT_TRACKING)
