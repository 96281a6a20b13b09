"""FUNCTION and FCALL: libraries of functions in Lua that live in the server.

They live as long as the process: nothing is kept on disk, so an application loads
its library when it starts (FUNCTION LOAD REPLACE), or restores a dump.
"""

from __future__ import annotations

from typing import Any

from antecache.server.command import Argv, ClientView, command, container
from antecache.server.commands.scripting import COMPLEXITY, FLAGS, keys_of, prepared
from antecache.server.encode import OK
from antecache.server.errors import ClientError
from antecache.server.glob import matcher
from antecache.server.lua import libraries

BAD_NUMBER = "ERR Bad number of keys provided"


def _call(client: ClientView, argv: Argv, ro: bool) -> Any:
    found = client.server.scripts.functions.by_name.get(argv[1])
    if found is None:
        raise ClientError("ERR Function not found")
    count = prepared(client, argv, BAD_NUMBER)
    keys, rest = argv[3 : 3 + count], argv[3 + count :]
    return client.server.scripts.call(client, *found, keys, argv, rest, ro)


@command(
    "fcall",
    -3,
    flags=FLAGS,
    keys_of=keys_of,
    group="scripting",
    since="7.0.0",
    complexity=COMPLEXITY.replace("script", "function"),
    summary="Invokes a function.",
)
def fcall(client: ClientView, argv: Argv) -> Any:
    """FCALL function numkeys [key ...] [arg ...]."""
    return _call(client, argv, False)


@command(
    "fcall_ro",
    -3,
    flags=f"{FLAGS} readonly",
    keys_of=keys_of,
    group="scripting",
    since="7.0.0",
    complexity=COMPLEXITY.replace("script", "function"),
    summary="Invokes a read-only function.",
)
def fcall_ro(client: ClientView, argv: Argv) -> Any:
    """FCALL_RO function numkeys [key ...] [arg ...]."""
    return _call(client, argv, True)


container(
    "function",
    group="scripting",
    since="7.0.0",
    complexity="Depends on subcommand.",
    summary="A container for function commands.",
)


@command(
    "function|load",
    -3,
    flags="noscript write denyoom",
    since="7.0.0",
    complexity="O(1) (considering compilation time is redundant)",
    summary="Creates a library.",
)
def load(client: ClientView, argv: Argv) -> bytes:
    """FUNCTION LOAD [REPLACE] code; the name of the library."""
    replace = False
    for option in argv[2:-1]:
        if option.lower() != b"replace":
            raise ClientError(f"ERR Unknown option given: {option.decode('utf-8', 'replace')}")
        replace = True
    return bytes(client.server.scripts.functions.load(argv[-1], replace=replace))


@command(
    "function|delete",
    3,
    flags="noscript write",
    since="7.0.0",
    summary="Deletes a library and its functions.",
)
def delete(client: ClientView, argv: Argv) -> Any:
    """Forget a library."""
    client.server.scripts.functions.delete(argv[2])
    return OK


@command(
    "function|flush",
    -2,
    flags="noscript write",
    since="7.0.0",
    complexity="O(N) where N is the number of functions deleted",
    summary="Deletes all libraries and functions.",
)
def flush(client: ClientView, argv: Argv) -> Any:
    """FUNCTION FLUSH [ASYNC | SYNC]."""
    if len(argv) > 3 or (len(argv) == 3 and argv[2].lower() not in (b"sync", b"async")):
        raise ClientError("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    client.server.scripts.functions.flush()
    return OK


@command(
    "function|list",
    -2,
    flags="noscript",
    since="7.0.0",
    complexity="O(N) where N is the number of functions",
    summary="Returns information about all libraries.",
)
def list_(client: ClientView, argv: Argv) -> list[Any]:
    """FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]."""
    code = False
    pattern: bytes | None = None
    at = 2
    while at < len(argv):
        option = argv[at].lower()
        if option == b"withcode" and not code:
            code = True
        elif option == b"libraryname" and pattern is None:
            at += 1
            if at == len(argv):
                raise ClientError("ERR library name argument was not given")
            pattern = argv[at]
        else:
            raise ClientError(f"ERR Unknown argument {argv[at].decode('utf-8', 'replace')}")
        at += 1
    fits = matcher(pattern) if pattern is not None else None
    return [
        _shown(library, code)
        for library in client.server.scripts.functions.libraries.values()
        if fits is None or fits(library.name)
    ]


def _shown(library: libraries.Library, code: bool) -> dict[bytes, Any]:
    shown: dict[bytes, Any] = {
        b"library_name": library.name,
        b"engine": b"LUA",
        b"functions": [
            {
                b"name": one.name,
                b"description": one.description,
                b"flags": set(one.flags),
            }
            for one in library.functions.values()
        ],
    }
    if code:
        shown[b"library_code"] = library.code
    return shown


@command(
    "function|dump",
    2,
    flags="noscript",
    since="7.0.0",
    complexity="O(N) where N is the number of functions",
    summary="Dumps all libraries into a serialized binary payload.",
)
def dump(client: ClientView, argv: Argv) -> bytes:
    """The payload that FUNCTION RESTORE reads, here and in Redis."""
    loaded = client.server.scripts.functions.libraries
    return libraries.dump(one.code for one in loaded.values())


@command(
    "function|restore",
    -3,
    flags="noscript write denyoom",
    since="7.0.0",
    complexity="O(N) where N is the number of functions on the payload",
    summary="Restores all libraries from a payload.",
)
def restore(client: ClientView, argv: Argv) -> Any:
    """FUNCTION RESTORE payload [FLUSH | APPEND | REPLACE]; all of it, or nothing."""
    policy = argv[3].lower() if len(argv) > 3 else b"append"
    if policy not in (b"flush", b"append", b"replace") or len(argv) > 4:
        raise ClientError(
            "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
        )
    client.server.scripts.functions.restore(
        libraries.undump(argv[2]), replace=policy == b"replace", flush=policy == b"flush"
    )
    return OK


@command(
    "function|stats",
    2,
    flags="noscript allow_busy",
    since="7.0.0",
    summary="Returns information about a function during execution.",
)
def stats(client: ClientView, argv: Argv) -> dict[bytes, Any]:
    """The script that runs, and what is loaded."""
    scripts = client.server.scripts
    running = scripts.running
    shown = None
    if running is not None:
        shown = {
            b"name": running.name,
            b"command": list(running.argv),
            b"duration_ms": scripts.milliseconds(),
        }
    counts = {
        b"libraries_count": len(scripts.functions.libraries),
        b"functions_count": len(scripts.functions.by_name),
    }
    return {b"running_script": shown, b"engines": {b"LUA": counts}}


@command(
    "function|kill",
    2,
    flags="noscript allow_busy",
    since="7.0.0",
    summary="Terminates a function during execution.",
)
def kill(client: ClientView, argv: Argv) -> Any:
    """End the function that runs for too long, unless it has written."""
    client.server.scripts.kill(function=True)
    return OK
