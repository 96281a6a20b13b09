"""EVAL and its kin, and SCRIPT: scripts in Lua, as Redis runs them.

The keys that a script declares are loaded before it starts, since it cannot wait for
the database half-way. What a script may do and how it runs is `server/lua/`.
"""

from __future__ import annotations

from typing import Any

from antecache.server import monitor
from antecache.server.command import Absent, Argv, ClientView, command, container
from antecache.server.commands.arguments import integer
from antecache.server.encode import OK
from antecache.server.errors import ClientError
from antecache.server.lua.script import Script

FLAGS = "noscript stale skip_monitor no_mandatory_keys"
NO_SCRIPT = "NOSCRIPT No matching script. Please use EVAL."
COMPLEXITY = "Depends on the script that is executed."
GREATER = "ERR Number of keys can't be greater than number of args"
NEGATIVE = "ERR Number of keys can't be negative"


def keys_of(argv: Argv) -> list[bytes]:
    """The keys that `name body numkeys key ...` declares; none where numkeys makes no sense."""
    try:
        count = int(argv[2])
    except (ValueError, IndexError):
        return []
    return argv[3 : 3 + count] if 0 <= count <= len(argv) - 3 else []


def prepared(client: ClientView, argv: Argv, refusal: str) -> int:
    """How many keys there are, once those that a database owns are loaded; feeds the monitors."""
    client.server.scripts.check()
    count = integer(argv[2], refusal)
    if count > len(argv) - 3:
        raise ClientError(GREATER)
    if count < 0:
        raise ClientError(NEGATIVE)
    absent = client.server.absent(client, [argv])
    if absent:
        raise Absent(absent)
    if client.server.monitors:  # before what the script calls
        monitor.show(client.server.monitors, client, argv)
    return count


def _evaluate(client: ClientView, argv: Argv, script: Script, count: int, ro: bool) -> Any:
    keys, rest = argv[3 : 3 + count], argv[3 + count :]
    return client.server.scripts.eval(client, script, keys, argv, rest, ro)


def _eval(client: ClientView, argv: Argv, ro: bool) -> Any:
    count = prepared(client, argv, NOT_INTEGER)
    return _evaluate(client, argv, client.server.scripts.cache.add(argv[1]), count, ro)


def _evalsha(client: ClientView, argv: Argv, ro: bool) -> Any:
    client.server.scripts.check()
    script = client.server.scripts.cache.find(argv[1]) if len(argv[1]) == 40 else None
    if script is None:
        raise ClientError(NO_SCRIPT)
    return _evaluate(client, argv, script, prepared(client, argv, NOT_INTEGER), ro)


NOT_INTEGER = "ERR value is not an integer or out of range"


@command(
    "eval",
    -3,
    flags=FLAGS,
    keys_of=keys_of,
    group="scripting",
    since="2.6.0",
    complexity=COMPLEXITY,
    summary="Executes a server-side Lua script.",
)
def eval_(client: ClientView, argv: Argv) -> Any:
    """EVAL script numkeys [key ...] [arg ...]."""
    return _eval(client, argv, False)


@command(
    "eval_ro",
    -3,
    flags=f"{FLAGS} readonly",
    keys_of=keys_of,
    group="scripting",
    since="7.0.0",
    complexity=COMPLEXITY,
    summary="Executes a read-only server-side Lua script.",
)
def eval_ro(client: ClientView, argv: Argv) -> Any:
    """EVAL_RO script numkeys [key ...] [arg ...]."""
    return _eval(client, argv, True)


@command(
    "evalsha",
    -3,
    flags=FLAGS,
    keys_of=keys_of,
    group="scripting",
    since="2.6.0",
    complexity=COMPLEXITY,
    summary="Executes a server-side Lua script by SHA1 digest.",
)
def evalsha(client: ClientView, argv: Argv) -> Any:
    """EVALSHA sha1 numkeys [key ...] [arg ...]."""
    return _evalsha(client, argv, False)


@command(
    "evalsha_ro",
    -3,
    flags=f"{FLAGS} readonly",
    keys_of=keys_of,
    group="scripting",
    since="7.0.0",
    complexity=COMPLEXITY,
    summary="Executes a read-only server-side Lua script by SHA1 digest.",
)
def evalsha_ro(client: ClientView, argv: Argv) -> Any:
    """EVALSHA_RO sha1 numkeys [key ...] [arg ...]."""
    return _evalsha(client, argv, True)


container(
    "script",
    group="scripting",
    since="2.6.0",
    complexity="Depends on subcommand.",
    summary="A container for Lua scripts management commands.",
)


@command(
    "script|load",
    3,
    flags="noscript stale",
    since="2.6.0",
    complexity="O(N) with N being the length in bytes of the script body.",
    summary="Loads a server-side Lua script to the script cache.",
)
def load(client: ClientView, argv: Argv) -> bytes:
    """Compile a script and keep it; its digest."""
    return bytes(client.server.scripts.cache.add(argv[2], load=True).sha)


@command(
    "script|exists",
    -3,
    flags="noscript",
    since="2.6.0",
    complexity="O(N) with N being the number of scripts to check "
    "(so checking a single script is an O(1) operation).",
    summary="Determines whether server-side Lua scripts exist in the script cache.",
)
def exists(client: ClientView, argv: Argv) -> list[int]:
    """1 for each digest that is known, 0 for the others."""
    return [int(client.server.scripts.cache.find(sha) is not None) for sha in argv[2:]]


@command(
    "script|flush",
    -2,
    flags="noscript",
    since="2.6.0",
    complexity="O(N) with N being the number of scripts in cache",
    summary="Removes all server-side Lua scripts from the script cache.",
)
def flush(client: ClientView, argv: Argv) -> Any:
    """SCRIPT FLUSH [ASYNC | SYNC]."""
    if len(argv) > 3 or (len(argv) == 3 and argv[2].lower() not in (b"sync", b"async")):
        raise ClientError("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    client.server.scripts.flush()
    return OK


@command(
    "script|kill",
    2,
    flags="noscript allow_busy",
    since="2.6.0",
    summary="Terminates a server-side Lua script during execution.",
)
def kill(client: ClientView, argv: Argv) -> Any:
    """End the script that runs for too long, unless it has written."""
    client.server.scripts.kill(function=False)
    return OK


@command(
    "script|debug",
    3,
    flags="noscript",
    since="3.2.0",
    summary="Sets the debug mode of server-side Lua scripts.",
)
def debug(client: ClientView, argv: Argv) -> Any:
    """SCRIPT DEBUG NO; there is no debugger to switch on."""
    mode = argv[2].lower()
    if mode == b"no":
        return OK
    if mode in (b"yes", b"sync"):
        raise ClientError("ERR there is no debugger for scripts here")
    raise ClientError("ERR Use SCRIPT DEBUG YES/SYNC/NO")
