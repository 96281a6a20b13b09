"""The connection itself: PING, ECHO, SELECT, HELLO, AUTH, QUIT, RESET.

As in Redis, a client that is authenticated stays so when the password of its user
changes. Who the users are is `server/acl/`.
"""

from __future__ import annotations

from typing import Any

from antecache.server import errors
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.texts import clean, shown
from antecache.server.encode import OK
from antecache.server.errors import ClientError
from antecache.server.version import REDIS_VERSION

NO_PASSWORD = (
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
HELLO_NOAUTH = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the "
    "HELLO AUTH <user> <pass> option can be used to authenticate the client and select the "
    "RESP protocol version at the same time"
)
NOT_INT = "ERR value is out of range, value must between -2147483648 and 2147483647"
NAME_CHARACTERS = "ERR Client names cannot contain spaces, newlines or special characters."
OPEN = "noscript loading stale fast no_auth allow_busy"


@command(
    "ping",
    -1,
    flags="fast",
    group="connection",
    summary="Returns the server's liveliness response.",
)
def ping(client: ClientView, argv: Argv) -> Any:
    """PONG, or the argument."""
    if len(argv) > 2:
        raise ClientError(errors.wrong_arity("ping"))
    if client.subscriptions is not None and client.protocol == 2:  # looks like a message
        return [b"pong", argv[1] if len(argv) == 2 else b""]
    return argv[1] if len(argv) == 2 else "PONG"


@command(
    "echo",
    2,
    flags="loading stale fast",
    group="connection",
    summary="Returns the given string.",
)
def echo(client: ClientView, argv: Argv) -> bytes:
    """The argument."""
    return argv[1]


@command(
    "select",
    2,
    flags="loading stale fast",
    group="connection",
    summary="Changes the selected database.",
)
def select(client: ClientView, argv: Argv) -> Any:
    """Choose a database for what follows on this connection."""
    index = integer(argv[1])
    if not -(2**31) <= index < 2**31:
        raise ClientError(NOT_INT)
    client.select(index)
    return OK


@command(
    "auth",
    -2,
    flags=OPEN,
    group="connection",
    complexity="O(1)",
    summary="Authenticates the connection.",
)
def auth(client: ClientView, argv: Argv) -> Any:
    """AUTH password, or AUTH username password."""
    if len(argv) > 3:
        raise ClientError(errors.SYNTAX)
    if len(argv) == 2 and client.server.users.default.no_password:
        raise ClientError(NO_PASSWORD)
    user = argv[1] if len(argv) == 3 else b"default"
    if not client.server.users.enter(client, user, argv[-1], argv):
        raise ClientError(errors.WRONGPASS)
    return OK


@command(
    "hello",
    -1,
    flags=OPEN,
    group="connection",
    since="6.0.0",
    summary="Handshakes with the server.",
)
def hello(client: ClientView, argv: Argv) -> dict[bytes, Any]:
    """HELLO [protover [AUTH username password] [SETNAME name]]."""
    protocol = client.protocol
    if len(argv) > 1:
        protocol = integer(argv[1], "ERR Protocol version is not an integer or out of range")
        if protocol not in (2, 3):
            raise ClientError(errors.NOPROTO)
    login: tuple[bytes, bytes] | None = None
    name: bytes | None = None
    at = 2
    while at < len(argv):
        option, left = argv[at].lower(), len(argv) - at - 1
        if option == b"auth" and left >= 2:
            login = (argv[at + 1], argv[at + 2])
            at += 3
        elif option == b"setname" and left >= 1:
            name = clean(argv[at + 1], NAME_CHARACTERS)
            at += 2
        else:
            raise ClientError(f"ERR Syntax error in HELLO option '{shown(argv[at])}'")
    if login is not None and not client.server.users.enter(client, *login, argv):
        raise ClientError(errors.WRONGPASS)
    if not client.authenticated:
        raise ClientError(HELLO_NOAUTH)
    if name is not None:
        client.name = name
        client.asks_as(name)
    client.protocol = protocol
    return {
        b"server": b"redis",
        b"version": REDIS_VERSION.encode(),
        b"proto": protocol,
        b"id": client.id,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }


@command("quit", -1, flags=OPEN, group="connection", summary="Closes the connection.")
def quit_(client: ClientView, argv: Argv) -> Any:
    """Answer, then close."""
    client.closing = True
    return OK


@command(
    "reset",
    1,
    flags=OPEN,
    group="connection",
    since="6.2.0",
    summary="Resets the connection.",
)
def reset(client: ClientView, argv: Argv) -> str:
    """Back to the state of a new connection: transaction, database, name, protocol, login."""
    client.server.monitors.discard(client)
    client.server.attention.look()
    client.reset()
    return "RESET"
