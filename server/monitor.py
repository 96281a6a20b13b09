"""What MONITOR shows of a command, and the redaction it shares with SLOWLOG.

Dispatch calls `feed` only while somebody monitors, after a command has run and
before its reply is sent. As in Redis (`call`, `replicationFeedMonitors`) commands
of the administrator are not shown, nor those flagged `skip_monitor`, and
passwords are never shown.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from antecache.server.command import Command

if TYPE_CHECKING:
    from antecache.server.command import Argv, ClientView

REDACTED = b"(redacted)"
SECRETS = frozenset({b"requirepass", b"masterauth", b"masteruser", b"tls-key-file-pass"})

_ESCAPES = {
    **{byte: f"\\x{byte:02x}" for byte in range(256) if not 32 <= byte < 127},
    **{ord("\\"): "\\\\", ord('"'): '\\"', 10: "\\n", 13: "\\r", 9: "\\t", 7: "\\a", 8: "\\b"},
}


def feed(monitors: Collection[ClientView], client: ClientView, argv: Argv, row: Command) -> None:
    """Send the line of one command to every monitor."""
    if not row.admin and "skip_monitor" not in row.flags:
        show(monitors, client, argv)


def show(monitors: Collection[ClientView], client: ClientView, argv: Argv) -> None:
    """Send the line of a command whose row says that it shows itself (EVAL)."""
    text = line(time.time_ns(), client.db.index, client.address, redacted(argv))
    for monitor in list(monitors):
        monitor.push(text)


def line(now_ns: int, db: int, address: str, argv: Argv) -> str:
    """`1718000000.123456 [0 127.0.0.1:50000] "get" "key"`; `now_ns` is Unix nanoseconds."""
    seconds, microseconds = divmod(now_ns // 1000, 1_000_000)
    words = " ".join(quoted(arg) for arg in argv)
    return f"{seconds}.{microseconds:06d} [{db} {address}] {words}"


def quoted(arg: bytes) -> str:
    """`arg` between double quotes, escaped as Redis's `sdscatrepr` does."""
    return f'"{arg.decode("latin-1").translate(_ESCAPES)}"'


def redacted(argv: Argv) -> Argv:
    """`argv` without what must be kept secret; the same list when nothing must."""
    name = argv[0].lower()
    if name == b"auth":
        return [argv[0], *(REDACTED for _ in argv[1:])]
    if name == b"hello":
        return _hello(argv)
    if name == b"acl" and len(argv) > 2 and argv[1].lower() == b"setuser":
        return [*argv[:2], *(REDACTED for _ in argv[2:])]
    if name == b"config" and len(argv) > 3 and argv[1].lower() == b"set":
        shown = list(argv)
        for at in range(2, len(argv) - 1, 2):
            if argv[at].lower() in SECRETS:
                shown[at + 1] = REDACTED
        return shown
    return argv


def _hello(argv: Argv) -> Argv:
    shown, at = list(argv), 2
    while at < len(argv):
        if argv[at].lower() == b"auth":
            shown[at + 1 : at + 3] = [REDACTED] * len(shown[at + 1 : at + 3])
            at += 2
        at += 1
    return shown
