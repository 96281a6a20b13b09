"""CLIENT: the connections, as their own users and the operator see them.

One line describes a connection, as in Redis (`catClientInfoString`), with two
fields of later versions at its end (`tot-net-in`, `tot-net-out`). Fields for what
does not exist here (reply blocks) hold the value they have in Redis when the feature
is unused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from antecache.server import errors
from antecache.server.command import Argv, ClientView, command, container
from antecache.server.command import find as find_row
from antecache.server.commands.arguments import integer
from antecache.server.commands.connection import NAME_CHARACTERS
from antecache.server.commands.texts import clean, shown
from antecache.server.encode import OK, Verbatim
from antecache.server.errors import ClientError
from antecache.server.pubsub import CHANNEL, PATTERN, SHARD, names_of

BAD_ID = "ERR client-id should be greater than 0"
OPEN = "noscript loading stale"
ADMIN = "admin noscript loading stale"

container(
    "client",
    group="connection",
    since="2.4.0",
    summary="A container for client connection commands.",
)


@command(
    "client|id",
    2,
    flags=OPEN,
    since="5.0.0",
    summary="Returns the unique client ID of the connection.",
)
def client_id(client: ClientView, argv: Argv) -> int:
    """The number of this connection; never used twice."""
    return client.id


@command(
    "client|getname", 2, flags=OPEN, since="2.6.9", summary="Returns the name of the connection."
)
def getname(client: ClientView, argv: Argv) -> bytes | None:
    """The name, null when there is none."""
    return client.name or None


@command("client|setname", 3, flags=OPEN, since="2.6.9", summary="Sets the connection name.")
def setname(client: ClientView, argv: Argv) -> Any:
    """Give the connection a name; an empty one takes it away."""
    client.name = clean(argv[2], NAME_CHARACTERS)
    client.asks_as(client.name)
    return OK


@command(
    "client|setinfo",
    4,
    flags=OPEN,
    since="7.2.0",
    summary="Sets information specific to the client or connection.",
)
def setinfo(client: ClientView, argv: Argv) -> Any:
    """LIB-NAME or LIB-VER, which client libraries send by themselves."""
    option = argv[2].lower()
    if option not in (b"lib-name", b"lib-ver"):
        raise ClientError(f"ERR Unrecognized option '{shown(argv[2])}'")
    refusal = f"ERR {option.decode()} cannot contain spaces, newlines or special characters."
    value = clean(argv[3], refusal)
    if option == b"lib-name":
        client.lib_name = value
    else:
        client.lib_version = value
    return OK


@command(
    "client|info", 2, flags=OPEN, since="6.2.0", summary="Returns information about the connection."
)
def info(client: ClientView, argv: Argv) -> Any:
    """The line of this connection."""
    return Verbatim(describe([client], client, argv))


@command(
    "client|list",
    -2,
    flags=ADMIN,
    since="2.4.0",
    complexity="O(N)",
    summary="Lists open connections.",
)
def list_(client: ClientView, argv: Argv) -> Any:
    """CLIENT LIST [TYPE type | ID id ...]."""
    clients = client.server.clients
    chosen: Iterable[ClientView] = (clients[number] for number in sorted(clients))
    if len(argv) == 4 and argv[2].lower() == b"type":
        wanted = client_type(argv[3])
        chosen = [one for one in chosen if type_of(one) == wanted]
    elif len(argv) > 3 and argv[2].lower() == b"id":
        numbers = [integer(arg, "ERR Invalid client ID") for arg in argv[3:]]
        chosen = [clients[number] for number in numbers if number in clients]
    elif len(argv) != 2:
        raise ClientError(errors.SYNTAX)
    return Verbatim(describe(chosen, client, argv))


def describe(clients: Iterable[ClientView], asking: ClientView, argv: Argv) -> bytes:
    """One line for each connection; `asking` is running `argv`."""
    now = time.time()
    return b"".join(_line(one, now, argv if one is asking else None) + b"\n" for one in clients)


def _line(one: ClientView, now: float, argv: Argv | None) -> bytes:
    queued = one.transaction
    waiting_out = one.output_buffer
    queued_bytes = 0 if queued is None else sum(len(arg) for words in queued for arg in words)
    fields: dict[str, Any] = {
        "id": one.id,
        "addr": one.address,
        "laddr": one.local_address,
        "fd": one.fd,
        "name": one.name,
        "age": max(0, int(now - one.created)),
        "idle": 0 if argv is not None else max(0, int(now - one.last_active)),
        "flags": _flags(one),
        "db": one.db.index,
        "sub": len(names_of(one, CHANNEL)),
        "psub": len(names_of(one, PATTERN)),
        "ssub": len(names_of(one, SHARD)),
        "multi": -1 if queued is None else len(queued),
        "watch": len(one.watched),
        "qbuf": one.query_buffer,
        "qbuf-free": 0,
        "argv-mem": 0 if argv is None else sum(map(len, argv)),
        "multi-mem": queued_bytes,
        "rbs": 0,
        "rbp": 0,
        "obl": 0,
        "oll": 1 if waiting_out else 0,
        "omem": waiting_out,
        "tot-mem": one.query_buffer + queued_bytes + waiting_out,
        "events": "rw" if waiting_out else "r",
        "cmd": _command_name(argv or one.blocked or one.last_command),
        "user": one.user,
        "redir": -1 if one.tracking is None else one.tracking.redirect,
        "resp": one.protocol,
        "lib-name": one.lib_name,
        "lib-ver": one.lib_version,
        "tot-net-in": one.net_in,
        "tot-net-out": one.net_out,
    }
    return b" ".join(
        name.encode() + b"=" + (value if isinstance(value, bytes) else str(value).encode())
        for name, value in fields.items()
    )


def _flags(one: ClientView) -> str:
    marks = {
        "O": one.monitoring,
        "P": one.subscriptions is not None,
        "x": one.transaction is not None,
        "b": one.blocked is not None,
        "t": one.tracking is not None,
        "R": one.tracking is not None and one.tracking.broken,
        "B": one.tracking is not None and one.tracking.bcast,
        "d": one.transaction_dirty,
        "c": one.closing,
        "e": one.no_evict,
        "T": one.no_touch,
    }
    return "".join(mark for mark, holds in marks.items() if holds) or "N"


def _command_name(argv: Argv | None) -> str:
    if not argv:
        return "NULL"
    row = find_row(argv)
    return "NULL" if row is None else row.full_name


def client_type(arg: bytes) -> str:
    """`normal`, `master`, `replica` or `pubsub`; raises ClientError for anything else."""
    kind = arg.lower().decode("latin-1")
    if kind not in ("normal", "master", "replica", "slave", "pubsub"):
        raise ClientError(f"ERR Unknown client type '{shown(arg)}'")
    return "replica" if kind == "slave" else kind


def type_of(one: ClientView) -> str:
    """The type of a connection: `pubsub` or `normal`, which those of MONITOR are too."""
    return "normal" if one.subscriptions is None else "pubsub"


@command(
    "client|kill",
    -3,
    flags=ADMIN,
    since="2.4.0",
    complexity="O(N)",
    summary="Terminates open connections.",
)
def kill(client: ClientView, argv: Argv) -> Any:
    """CLIENT KILL addr, or CLIENT KILL with filters, which spares the asking client."""
    if len(argv) == 3:
        victims = [one for one in _all(client) if one.address.encode() == argv[2]]
        if not victims:
            raise ClientError("ERR No such client")
        _close(client, victims)
        return OK
    keep_self, tests = _filters(client, argv)
    victims = [
        one
        for one in _all(client)
        if not (keep_self and one is client) and all(test(one) for test in tests)
    ]
    _close(client, victims)
    return len(victims)


def _all(client: ClientView) -> list[ClientView]:
    return list(client.server.clients.values())


def _close(client: ClientView, victims: Iterable[ClientView]) -> None:
    for one in victims:
        if one is client:
            one.closing = True  # its reply goes out first
        else:
            one.kill()


def _filters(client: ClientView, argv: Argv) -> tuple[bool, list[Callable[[ClientView], bool]]]:
    """Whether to spare the asking client, and the tests of CLIENT KILL's filters."""
    keep_self = True
    tests: list[Callable[[ClientView], bool]] = []
    for at in range(2, len(argv), 2):
        if at + 1 == len(argv):
            raise ClientError(errors.SYNTAX)
        name, value = argv[at].lower(), argv[at + 1]
        if name == b"skipme":
            if value.lower() not in (b"yes", b"no"):
                raise ClientError(errors.SYNTAX)
            keep_self = value.lower() == b"yes"
        else:
            tests.append(_filter(name, value, client.server.users.by_name))
    return keep_self, tests


def _filter(name: bytes, value: bytes, users: Collection[bytes]) -> Callable[[ClientView], bool]:
    if name == b"id":
        number = integer(value, BAD_ID)
        if number < 1:
            raise ClientError(BAD_ID)
        return lambda one: one.id == number
    if name == b"type":
        kind = client_type(value)
        return lambda one: type_of(one) == kind
    if name == b"addr":
        return lambda one: one.address.encode() == value
    if name == b"laddr":
        return lambda one: one.local_address.encode() == value
    if name == b"user":
        if value not in users:
            raise ClientError(f"ERR No such user '{shown(value)}'")
        return lambda one: one.user == value
    if name == b"maxage":
        age = integer(value, "ERR maxage is not an integer or out of range")
        if age < 1:
            raise ClientError("ERR maxage should be greater than 0")
        return lambda one: time.time() - one.created >= age
    raise ClientError(errors.SYNTAX)
