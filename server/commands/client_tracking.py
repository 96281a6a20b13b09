"""CLIENT TRACKING, CACHING, TRACKINGINFO, GETREDIR: client-side caching, switched and shown.

What this file does not do: remember or tell anything (`server/tracking.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from antecache.server import errors
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.client import OPEN
from antecache.server.commands.texts import shown
from antecache.server.encode import OK, Members
from antecache.server.errors import ClientError
from antecache.server.tracking import NOBODY, Tracked

NOT_TRACKING = (
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
    "OPTOUT mode enabled"
)
SWITCH = "before disabling tracking for this client, and then re-enabling it with a different mode."


@command(
    "client|tracking",
    -3,
    flags=OPEN,
    since="6.0.0",
    complexity="O(1). Some options may introduce additional complexity.",
    summary="Controls server-assisted client-side caching for the connection.",
)
def tracking(client: ClientView, argv: Argv) -> Any:
    """CLIENT TRACKING ON | OFF [REDIRECT id] [PREFIX p ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]."""
    state = _options(client, argv)
    word = argv[2].lower()
    if word == b"on":
        _check(client.tracking, state)
        client.server.tracking.begin(client, _merged(client.tracking, state))
    elif word == b"off":
        client.server.tracking.end(client)
    else:
        raise ClientError(errors.SYNTAX)
    client.look()
    return OK


def _options(client: ClientView, argv: Argv) -> Tracked:
    state = Tracked()
    at = 3
    while at < len(argv):
        option, left = argv[at].lower(), len(argv) - at - 1
        if option == b"redirect" and left:
            at += 1
            if state.redirect != NOBODY:
                raise ClientError("ERR A client can only redirect to a single other client")
            state.redirect = integer(argv[at])
            if state.redirect not in client.server.clients:
                raise ClientError("ERR The client ID you want redirect to does not exist")
        elif option == b"prefix" and left:
            at += 1
            state.prefixes.append(argv[at])
        elif option in (b"bcast", b"optin", b"optout", b"noloop"):
            setattr(state, option.decode(), True)
        else:
            raise ClientError(errors.SYNTAX)
        at += 1
    return state


def _check(old: Tracked | None, new: Tracked) -> None:
    """Raise ClientError for options that do not go together, or not with what is on."""
    if new.prefixes and not new.bcast:
        raise ClientError("ERR PREFIX option requires BCAST mode to be enabled")
    if old is not None and old.bcast != new.bcast:
        raise ClientError(f"ERR You can't switch BCAST mode on/off {SWITCH}")
    if new.bcast and (new.optin or new.optout):
        raise ClientError("ERR OPTIN and OPTOUT are not compatible with BCAST")
    if new.optin and new.optout:
        raise ClientError("ERR You can't specify both OPTIN mode and OPTOUT mode")
    if old is not None and ((new.optin and old.optout) or (new.optout and old.optin)):
        raise ClientError(f"ERR You can't switch OPTIN/OPTOUT mode {SWITCH}")
    for at, prefix in enumerate(new.prefixes):
        _check_overlap(prefix, [] if old is None else old.prefixes, "an existing prefix")
        _check_overlap(prefix, new.prefixes[at + 1 :], "another provided prefix")


def _check_overlap(prefix: bytes, others: Iterable[bytes], which: str) -> None:
    for other in others:
        if prefix.startswith(other) or other.startswith(prefix):
            raise ClientError(
                f"ERR Prefix '{shown(prefix)}' overlaps with {which} '{shown(other)}'. "
                "Prefixes for a single client must not overlap."
            )


def _merged(old: Tracked | None, new: Tracked) -> Tracked:
    """What a second ON leaves: the new options, and in BCAST mode the old prefixes too."""
    if new.bcast and not new.prefixes:
        new.prefixes = [b""]  # every key
    if old is not None:
        new.caching = old.caching
        new.prefixes = list(dict.fromkeys([*old.prefixes, *new.prefixes]))
    return new


@command(
    "client|caching",
    3,
    flags=OPEN,
    since="6.0.0",
    summary="Instructs the server whether to track the keys in the next request.",
)
def caching(client: ClientView, argv: Argv) -> Any:
    """YES under OPTIN, NO under OPTOUT: holds for the next command, or transaction."""
    state = client.tracking
    if state is None:
        raise ClientError(NOT_TRACKING)
    word = argv[2].lower()
    if word == b"yes":
        if not state.optin:
            raise ClientError(
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
            )
    elif word == b"no":
        if not state.optout:
            raise ClientError(
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
            )
    else:
        raise ClientError(errors.SYNTAX)
    state.caching = True
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
    """The number of that client, 0 for none, -1 when tracking is off."""
    return redirection(client)


def redirection(client: ClientView) -> int:
    """As CLIENT GETREDIR and CLIENT LIST show it."""
    return -1 if client.tracking is None else client.tracking.redirect


@command(
    "client|trackinginfo",
    2,
    flags=OPEN,
    since="6.2.0",
    summary="Returns information about server-assisted client-side caching for the connection.",
)
def trackinginfo(client: ClientView, argv: Argv) -> dict[bytes, Any]:
    """The options in words, the redirection, and the prefixes."""
    state = client.tracking
    if state is None:
        return {b"flags": Members([b"off"]), b"redirect": -1, b"prefixes": []}
    marks = {
        b"on": True,
        b"bcast": state.bcast,
        b"optin": state.optin,
        b"caching-yes": state.optin and state.caching,
        b"optout": state.optout,
        b"caching-no": state.optout and state.caching,
        b"noloop": state.noloop,
        b"broken_redirect": state.broken,
    }
    return {
        b"flags": Members(mark for mark, holds in marks.items() if holds),
        b"redirect": state.redirect,
        b"prefixes": sorted(state.prefixes),
    }
