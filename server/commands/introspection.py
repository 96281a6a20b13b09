"""COMMAND: the command table, told to clients.

Everything comes from the rows of the table, but for what a command does to its keys
(`keyaccess.py`) and where they are when their places vary (`keyspecs.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from antecache.server import errors
from antecache.server.command import TABLE, Argv, ClientView, Command, command, every, find
from antecache.server.encode import Members
from antecache.server.errors import ClientError, unknown_subcommand
from antecache.server.glob import matcher
from antecache.server.keyaccess import keys_with_flags
from antecache.server.keyspecs import described

FLAGS = "loading stale"


@command(
    "command",
    -1,
    flags=FLAGS,
    group="server",
    since="2.8.13",
    complexity="O(N) where N is the total number of Redis commands",
    summary="Returns detailed information about all commands.",
)
def command_(client: ClientView, argv: Argv) -> list[Any]:
    """Details of every command."""
    if len(argv) > 1:
        raise ClientError(unknown_subcommand("command", argv[1]))
    return [describe(row) for row in TABLE.values()]


def describe(row: Command) -> list[Any]:
    """The ten fields of COMMAND INFO."""
    flags = [*row.flags, *(("movablekeys",) if row.keys_of is not None else ())]
    return [
        row.full_name.encode(),
        row.arity,
        Members(flags),
        row.first,
        row.last,
        row.step,
        Members(f"@{category}" for category in row.categories),
        [],
        described(row),
        [describe(sub) for sub in row.subcommands.values()],
    ]


def _named(name: bytes) -> Command | None:
    """The row of `get` or `config|get`."""
    parent, _, sub = name.lower().partition(b"|")
    row = TABLE.get(parent)
    return row.subcommands.get(sub) if row is not None and sub else row


@command("command|count", 2, flags=FLAGS, summary="Returns a count of commands.")
def count(client: ClientView, argv: Argv) -> int:
    """How many commands there are, sub-commands not counted."""
    return len(TABLE)


@command(
    "command|info",
    -2,
    flags=FLAGS,
    complexity="O(N) where N is the number of commands to look up",
    summary="Returns information about one, multiple or all commands.",
)
def info(client: ClientView, argv: Argv) -> list[Any]:
    """Details of the named commands, null for an unknown one."""
    if len(argv) == 2:
        return [describe(row) for row in TABLE.values()]
    rows = [_named(name) for name in argv[2:]]
    return [None if row is None else describe(row) for row in rows]


@command(
    "command|docs",
    -2,
    flags=FLAGS,
    since="7.0.0",
    complexity="O(N) where N is the number of commands to look up",
    summary="Returns documentary information about one, multiple or all commands.",
)
def docs(client: ClientView, argv: Argv) -> dict[bytes, Any]:
    """Documentation of the named commands, or of all; unknown ones are left out."""
    rows: Iterable[Command | None] = TABLE.values()
    if len(argv) > 2:
        rows = (_named(name) for name in argv[2:])
    return {row.full_name.encode(): document(row) for row in rows if row is not None}


def document(row: Command) -> dict[bytes, Any]:
    """The documentation of one command and of its sub-commands."""
    found: dict[bytes, Any] = {
        b"summary": row.summary.encode(),
        b"since": row.since.encode(),
        b"group": row.group.replace("_", "-").encode(),
        b"complexity": row.complexity.encode(),
    }
    if row.subcommands:
        found[b"subcommands"] = {
            sub.full_name.encode(): document(sub) for sub in row.subcommands.values()
        }
    return found


@command(
    "command|list",
    -2,
    flags=FLAGS,
    since="7.0.0",
    complexity="O(N) where N is the total number of Redis commands",
    summary="Returns a list of command names.",
)
def list_(client: ClientView, argv: Argv) -> list[bytes]:
    """COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]."""
    if len(argv) == 2:
        return list(TABLE)
    if len(argv) != 5 or argv[2].lower() != b"filterby":
        raise ClientError(errors.SYNTAX)
    by, value = argv[3].lower(), argv[4]
    if by == b"module":
        return []  # there are no modules
    if by == b"aclcat":
        wanted = value.lower().decode("utf-8", "replace")
        return [row.full_name.encode() for row in every() if wanted in row.categories]
    if by == b"pattern":
        fits = matcher(value, ignore_case=True)
        names = (row.full_name.encode() for row in every())
        return [name for name in names if fits(name)]
    raise ClientError(errors.SYNTAX)


@command(
    "command|getkeys",
    -3,
    flags=FLAGS,
    complexity="O(N) where N is the number of arguments to the command",
    summary="Extracts the key names from an arbitrary command.",
)
def getkeys(client: ClientView, argv: Argv) -> list[bytes]:
    """The keys among the arguments of a command."""
    return _keys(argv)[1]


@command(
    "command|getkeysandflags",
    -3,
    flags=FLAGS,
    since="7.0.0",
    complexity="O(N) where N is the number of arguments to the command",
    summary="Extracts the key names and access flags for an arbitrary command.",
)
def getkeysandflags(client: ClientView, argv: Argv) -> list[Any]:
    """The keys and what the command does to each."""
    row, _ = _keys(argv)
    return [[key, Members(flags)] for key, flags in keys_with_flags(row, argv[2:])]


def _keys(argv: Argv) -> tuple[Command, list[bytes]]:
    inner = argv[2:]
    row = find(inner)
    if row is None or (row.subcommands and len(inner) > 1):
        raise ClientError("ERR Invalid command specified")
    if not row.first and row.keys_of is None:
        raise ClientError("ERR The command has no key arguments")
    if not row.accepts(len(inner)):
        raise ClientError("ERR Invalid number of arguments specified for command")
    keys = row.keys(inner)
    if not keys and "no_mandatory_keys" not in row.flags:  # numkeys is none
        raise ClientError("ERR Invalid arguments specified for command")
    return row, keys


@command("command|help", 2, flags=FLAGS, since="5.0.0", summary="Returns helpful text.")
def help_(client: ClientView, argv: Argv) -> list[str]:
    """The sub-commands, one pair of lines each."""
    lines = ["COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    lines += ["(no subcommand)", "    Return details about all commands."]
    for sub in sorted(TABLE[b"command"].subcommands.values(), key=lambda row: row.name):
        lines += [sub.name.upper(), f"    {sub.summary}"]
    return lines
