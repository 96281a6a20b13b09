"""DEBUG: what test suites of clients use of it, where `enable-debug-command` allows it.

It is off unless the configuration says otherwise, as in Redis: DEBUG SLEEP stops the
server for everybody. `local` allows it to clients on this machine.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from typing import Any

from antecache.server import errors, longdouble
from antecache.server.buffer import settled
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.objects import idle_seconds
from antecache.server.dump import dump
from antecache.server.encode import OK, BigNumber, Encoded, Verbatim
from antecache.server.errors import ClientError
from antecache.server.store.kinds import kind_of

log = logging.getLogger(__name__)

NOT_ALLOWED = (
    'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you '
    "can run it from a local connection, otherwise you need to set this option in the "
    "configuration file, and then restart the server."
)
OVERHEAD = 11  # bytes of a payload that are no value: type, version, checksum
NOT_POSITIVE = "ERR value is out of range, must be positive"
LONGEST_SLEEP = 3600.0  # seconds

HELP = """DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
ERROR <string>
    Return a Redis protocol error with <string> as message. Useful for clients
    unit tests to simulate Redis errors.
LOG <message>
    Write <message> to the server log.
OBJECT <key>
    Show low level info about `key` and associated value.
POPULATE <count> [<prefix>] [<size>]
    Create <count> string keys named key:<num>. If <prefix> is specified then
    it is used instead of the 'key' prefix. If <size> is specified, values have
    that many bytes. Keys that are there already stay as they are.
PROTOCOL <type>
    Reply with a test value of the specified type. <type> can be: string,
    integer, double, bignum, null, array, set, map, attrib, push, verbatim,
    true, false.
SET-ACTIVE-EXPIRE <0|1>
    Setting it to 0 disables expiring keys (and hash-fields) in background
    when they are not accessed (otherwise the behavior). Setting it
    to 1 reenables back the default.
SLEEP <seconds>
    Stop the server for <seconds>. Decimals allowed.
HELP
    Prints this help."""

# What DEBUG PROTOCOL answers, as Redis does.
EXAMPLES: dict[bytes, Any] = {
    b"STRING": b"Hello World",
    b"INTEGER": 12345,
    b"DOUBLE": 3.141,
    b"NULL": None,
    b"ARRAY": [0, 1, 2],
    b"MAP": {0: False, 1: True, 2: False},
    b"VERBATIM": Verbatim(b"This is a verbatim\nstring"),
    b"TRUE": True,
    b"FALSE": False,
    b"BIGNUM": BigNumber(1234567999999999999999999999999999999),
}
# A push, and attributes, each with the reply that comes after it.
ENCODED = {
    b"PUSH": Encoded(
        b">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n"
        b"$40\r\nSome real reply following the push reply\r\n"
    ),
    b"ATTRIB": Encoded(
        b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"
        b"$39\r\nSome real reply following the attribute\r\n"
    ),
}


def allowed(client: ClientView) -> bool:
    """Whether this client may use DEBUG."""
    setting = client.server.config.enable_debug_command
    if setting == "local":  # as for protected mode
        return _local(client.address)
    return bool(setting == "yes")


def _local(address: str) -> bool:
    try:
        host = address.rpartition(":")[0].strip("[]")
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return True  # a Unix socket


@command(
    "debug",
    -2,
    flags="admin noscript loading stale protected",
    group="server",
    complexity="Depends on subcommand.",
    summary="A container for debugging commands.",
)
def debug(client: ClientView, argv: Argv) -> Any:
    """DEBUG subcommand [argument ...]."""
    if not allowed(client):
        raise ClientError(NOT_ALLOWED)
    name, count = argv[1].upper(), len(argv)
    if name == b"HELP" and count == 2:
        return HELP.splitlines()
    if name == b"OBJECT" and count == 3:
        return _object(client, argv[2])
    if name == b"SLEEP" and count == 3:
        number = longdouble.parse(argv[2])
        if number is not None and number != longdouble.INFINITE:
            significand, exponent = number
            time.sleep(min(max(significand * 2.0**exponent, 0.0), LONGEST_SLEEP))
        return OK
    if name == b"SET-ACTIVE-EXPIRE" and count == 3:
        client.db.store.expires = argv[2] != b"0"
        return OK
    if name == b"ERROR" and count == 3:
        raise ClientError(argv[2].decode("utf-8", "surrogateescape"))
    if name == b"LOG" and count == 3:
        log.info("DEBUG LOG: %s", argv[2].decode("utf-8", "replace"))
        return OK
    if name == b"POPULATE" and 3 <= count <= 5:
        return _populate(client, argv)
    if name == b"PROTOCOL" and count == 3:
        return _example(client, argv[2].upper())
    shown = argv[1][:128].decode("utf-8", "backslashreplace")
    raise ClientError(
        f"ERR unknown subcommand or wrong number of arguments for '{shown}'. Try DEBUG HELP."
    )


def _object(client: ClientView, key: bytes) -> str:
    entry = client.db.peek(key)
    if entry is None:
        raise ClientError(errors.NO_SUCH_KEY)
    value = settled(entry)
    idle = idle_seconds(client, entry)
    clock = int(client.db.store.now // 1000 - idle) & 0xFFFFFF
    return (
        f"Value at:{id(value):#x} refcount:1 encoding:{kind_of(value).encoding(value)} "
        f"serializedlength:{len(dump(value)) - OVERHEAD} lru:{clock} lru_seconds_idle:{idle}"
    )


def _populate(client: ClientView, argv: Argv) -> bytes:
    """Keys `prefix:0` and so on, each with `value:0` cut or filled with zeros to the size."""
    count = integer(argv[2], NOT_POSITIVE)
    size = integer(argv[4]) if len(argv) > 4 else 0
    if count < 0 or not 0 <= size <= client.server.config.proto_max_bulk_len:
        raise ClientError(NOT_POSITIVE)
    prefix = argv[3] if len(argv) > 3 else b"key"
    for number in range(count):
        key = b"%b:%d" % (prefix, number)
        if not client.db.holds(key):
            value = b"value:%d" % number
            client.db.put(key, value[:size].ljust(size, b"\0") if size else value)
    return OK


def _example(client: ClientView, kind: bytes) -> Any:
    if kind == b"SET":
        return {0, 1, 2}
    if kind in ENCODED:
        if client.protocol == 2:
            raise ClientError("ERR RESP2 is not supported by this command")
        return ENCODED[kind]
    if kind not in EXAMPLES:
        raise ClientError(
            "ERR Wrong protocol type name. Please use one of the following: "
            "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
        )
    return EXAMPLES[kind]
