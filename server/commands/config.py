"""CONFIG: read and change parameters of the running server.

CONFIG SET takes several parameters and is all or nothing: everything is read
first, then applied in order, and what was applied is taken back if a later one
fails. What a parameter is stands in `server/parameters.py`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from antecache.policies.registry import redis_name
from antecache.server import errors
from antecache.server import parameters as table
from antecache.server.command import Argv, ClientView, ServerView, command, container, every
from antecache.server.commands.texts import shown
from antecache.server.encode import OK
from antecache.server.errors import ClientError
from antecache.server.glob import matcher
from antecache.server.parameter_readers import merged_limits
from antecache.server.parameters import PARAMETERS, Fixed, Setting
from antecache.server.rewrite import rewrite as write

FLAGS = "admin noscript loading stale"
LEVELS = {"debug": logging.DEBUG, "verbose": logging.INFO, "notice": logging.INFO}

container(
    "config",
    group="server",
    since="2.0.0",
    summary="A container for server configuration commands.",
)


@command(
    "config|get",
    -3,
    flags=FLAGS,
    complexity="O(N) when N is the number of configuration parameters provided",
    summary="Returns the effective values of configuration parameters.",
)
def get(client: ClientView, argv: Argv) -> dict[bytes, bytes]:
    """CONFIG GET pattern ...: names and values; a plain name is answered as it was spelled."""
    found: dict[str, bytes] = {}
    for pattern in argv[2:]:
        if any(char in pattern for char in b"*?["):
            fits = matcher(pattern, ignore_case=True)
            names = [name for name in PARAMETERS if fits(name.encode())]
        else:
            spelled = pattern.decode("utf-8", "replace")
            names = [spelled] if spelled.lower() in PARAMETERS else []
        for name in names:
            value = value_of(client.server, name.lower())
            found[name] = value.encode("utf-8", "surrogateescape")
    return {name.encode("utf-8", "replace"): value for name, value in found.items()}


def value_of(server: ServerView, name: str) -> str:
    """The value of a parameter as text; raises KeyError when there is none of that name."""
    parameter = PARAMETERS[name]
    if isinstance(parameter, Fixed):
        return parameter.value
    if name == "port":
        return str(server.port)
    if name == "maxmemory-policy":
        return redis_name(server.policy_choice)
    return parameter.show(getattr(server.config, parameter.field))


@command(
    "config|set",
    -4,
    flags=FLAGS,
    complexity="O(N) when N is the number of configuration parameters provided",
    summary="Sets configuration parameters in-flight.",
)
def set_(client: ClientView, argv: Argv) -> Any:
    """CONFIG SET parameter value [parameter value ...]."""
    if len(argv) % 2:
        raise ClientError(errors.SYNTAX)
    wanted = _read(client.server, argv[2::2], argv[3::2])
    done: list[tuple[str, Setting, Any]] = []
    for name, (setting, value) in wanted.items():
        old = getattr(client.server.config, setting.field)
        try:
            _apply(client.server, setting, value)
        except ValueError as error:
            for _, applied, previous in reversed(done):
                _apply(client.server, applied, previous)
            raise _refused(name, str(error)) from None
        done.append((name, setting, old))
    return OK


def _read(
    server: ServerView, names: list[bytes], values: list[bytes]
) -> dict[str, tuple[Setting, Any]]:
    """What is to be changed to what; raises ClientError before anything is."""
    given: dict[str, bytes] = {}
    for spelled, raw in zip(names, values, strict=True):
        name = spelled.decode("utf-8", "replace").lower()
        if name not in PARAMETERS:
            raise ClientError(
                f"ERR Unknown option or number of arguments for CONFIG SET - '{shown(spelled)}'"
            )
        if name in given:
            raise _refused(shown(spelled), "duplicate parameter")
        given[name] = raw
    wanted: dict[str, tuple[Setting, Any]] = {}
    for name, raw in given.items():
        parameter = PARAMETERS[name]
        text = raw.decode("utf-8", "surrogateescape")
        try:
            value = text if parameter.read is None else parameter.read(text)
        except ValueError as error:
            raise _refused(name, str(error)) from None
        if isinstance(parameter, Setting) and parameter.mutable:
            wanted[name] = (parameter, value)
        elif table.show(value) != value_of(server, name):
            raise _refused(name, "can't set immutable config")
    return wanted


def _refused(name: str, reason: str) -> ClientError:
    return ClientError(f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")


def _apply(server: ServerView, setting: Setting, value: Any) -> None:
    """Change one setting of the running server; raises ValueError when it cannot be."""
    config = server.config
    field = setting.field
    if field == "maxmemory":
        server.set_maxmemory(value)
    elif field == "policy":
        server.set_policy(value)
    elif field == "prediction":
        if value != config.prediction:
            server.learning.switch_soon(value)
    elif field == "client_output_buffer_limit":
        value = merged_limits(config.client_output_buffer_limit, value)
    setattr(config, field, value)
    if field == "maxkeys":
        server.set_maxmemory(config.maxmemory)  # measures and enforces both limits
    elif field == "slowlog_log_slower_than":
        server.slowlog.set_threshold(value)
        server.watch_slow()
    elif field == "latency_monitor_threshold":
        server.spikes.threshold = value
        server.watch_slow()
    elif field == "latency_tracking":
        server.timings.switch(value, every())
        server.watch_slow()
    elif field == "requirepass":
        server.users.set_requirepass(value)
    elif field == "acllog_max_len":
        server.users.log.set_limit(value)
    elif field == "slowlog_max_len":
        server.slowlog.set_limit(value)
    elif field == "tracking_table_max_keys":
        server.tracking.limit = value
        server.tracking.trim()
    elif field == "notify_keyspace_events":
        server.notifications.listen(value)
    elif field == "loglevel":
        logging.getLogger().setLevel(LEVELS.get(value, logging.WARNING))


@command(
    "config|resetstat",
    2,
    flags=FLAGS,
    summary="Resets the server's statistics.",
)
def resetstat(client: ClientView, argv: Argv) -> Any:
    """Counters start anew: commands, errors, hits, loads, prefetches, the peak of memory."""
    server = client.server
    server.stats.reset()
    store = server.store
    store.hits = store.misses = store.expired = store.evicted = 0
    server.ledger.reset()
    server.load_seconds.reset()
    server.peak_memory = server.memory()
    for row in every():
        row.reset()
    server.timings.reset()
    return OK


@command(
    "config|rewrite",
    2,
    flags=FLAGS,
    since="2.8.0",
    summary="Persists the effective configuration to file.",
)
def rewrite(client: ClientView, argv: Argv) -> Any:
    """The settings in effect go into the file that the server was started with."""
    server = client.server
    if server.config_file is None:
        raise ClientError("ERR The server is running without a config file")
    try:
        write(Path(server.config_file), server.config)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ClientError(f"ERR Rewriting config file: {reason}") from None
    return OK
