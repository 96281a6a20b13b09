"""The `antecache` command line.

`serve` is the server; its flags are the settings people change most, and every
other setting can stand in a config file or the environment. `settings` prints
them all, `shop` makes a sample database to try it with, `replay` compares policies
and predictors on recorded accesses, `ping` asks a running server whether it answers
(the container's health check).

Whatever keeps the server from starting is said in one line on stderr, with exit
code 2. The server itself is imported only by the command that runs it, so that
`--help` and `ping` stay quick.

What this file does not do: know how the parts fit together (`app.py`), or what
a setting means and which values it takes (`config.py`).
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from antecache.server.backing.base import BackingError
from antecache.server.config_reading import file_of, load
from antecache.server.config_template import as_toml
from antecache.server.errors import ConfigError
from antecache.server.replay_command import replay
from antecache.server.train_command import convert, train

cli = typer.Typer(
    name="antecache",
    help="A cache server that speaks the Redis protocol and reads ahead of your database.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Entry point of the `antecache` script."""
    cli()


@cli.callback(invoke_without_command=True)
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.")
    ] = False,
) -> None:
    if show_version:
        typer.echo(f"antecache {version('antecache')}")
        raise typer.Exit


@cli.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file with any of the settings that `antecache settings` prints."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1].")] = None,
    port: Annotated[str | None, typer.Option(help="Port of the Redis protocol [6379].")] = None,
    metrics_port: Annotated[
        str | None, typer.Option(help="Port of /metrics, 0 for none [9121].")
    ] = None,
    backing: Annotated[
        str | None, typer.Option(help="Database behind the cache, such as sqlite:///shop.db.")
    ] = None,
    maxmemory: Annotated[
        str | None, typer.Option(help="Most that the process may occupy, such as 200mb.")
    ] = None,
    maxkeys: Annotated[str | None, typer.Option(help="Most keys resident at once.")] = None,
    policy: Annotated[str | None, typer.Option(help="Eviction policy [auto].")] = None,
    prediction: Annotated[
        str | None, typer.Option(help="on or off: fetch what is likely to follow [on].")
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(
            help="Recorded accesses to learn from at the start (CSV: time,client,key,size)."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="What antecache train has learned, to start from.")
    ] = None,
    ttl: Annotated[
        str | None, typer.Option(help="How long a loaded value stays, such as 5m [for ever].")
    ] = None,
) -> None:
    """Run the server until it is told to stop.

    Every other setting that `antecache settings` prints is a flag too: --timeout 5m.
    """
    flags: dict[str, Any] = dict(context.params)
    flags.pop("config")
    try:
        options = load(config, os.environ, {**flags, **_other_flags(context.args)})
        from antecache.server.run import run

        code = run(options, file_of(config, os.environ))
    except (ConfigError, BackingError) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(error.strerror or str(error))
    raise typer.Exit(code)


def _other_flags(words: list[str]) -> dict[str, str]:
    """`--name value` and `--name=value` for the settings that `serve` does not list."""
    flags = {}
    remaining = iter(words)
    for word in remaining:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise ConfigError(f"{word}: expected a setting, such as --port")
        if not equals:
            following = next(remaining, None)
            if following is None:
                raise ConfigError(f"{word}: needs a value")
            value = following
        flags[name] = value
    return flags


@cli.command()
def settings() -> None:
    """Print every setting, its default and its reason, as a config file to start from."""
    typer.echo(as_toml())


@cli.command()
def shop(
    target: Annotated[
        str, typer.Argument(help="An SQLite file to make, or the URL of a database to fill.")
    ],
    seed: Annotated[int, typer.Option(help="Another seed makes another shop.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    if_absent: Annotated[
        bool, typer.Option("--if-absent", help="Be content with a shop that is there.")
    ] = False,
) -> None:
    """Make a sample database: an online shop with some 100,000 rows."""
    from antecache.server import shop as sample

    # What is shown of a URL leaves out who logs in, and with which password.
    shown = target.rpartition("@")[2]
    try:
        if "://" in target:
            rows = asyncio.run(sample.fill(target, seed=seed))
        else:
            rows = sample.create(Path(target), seed=seed, force=force)
    except FileExistsError as error:
        if not if_absent:
            _refuse(f"{shown}: {error.strerror}")
        typer.echo(f"{shown}: {error.strerror}")
        return
    except OSError as error:
        _refuse(f"{shown}: {error.strerror or error}")
    except (ConfigError, BackingError) as error:
        _refuse(f"{shown}: {error}")
    typer.echo(f"{shown}: {sum(rows.values()):,} rows in {len(rows)} tables")


@cli.command()
def demo(
    backing: Annotated[
        str | None, typer.Option(help="URL of a shop that `antecache shop` made [makes one].")
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long to watch; Ctrl-C ends it too.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Another seed brings other visitors.")] = 1,
    maxkeys: Annotated[int, typer.Option(help="Keys that each server holds.")] = 1000,
) -> None:
    """Watch the sample shop behind two servers, one that predicts and one that does not."""
    from antecache.server.demo import DemoError, run
    from antecache.server.spawn import StartError

    try:
        code = run(backing=backing, seconds=seconds, seed=seed, maxkeys=maxkeys)
    except (DemoError, StartError) as error:
        _refuse(str(error))
    raise typer.Exit(code)


cli.command()(replay)
cli.command()(train)
cli.command()(convert)


@cli.command()
def ping(
    host: Annotated[str, typer.Option(help="Address of the server.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port.", envvar="ANTECACHE_PORT")] = 6379,
    seconds: Annotated[float, typer.Option(help="How long to wait for the answer.")] = 2.0,
) -> None:
    """Ask a running server whether it answers; exit code 0 when it does."""
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            connection.sendall(b"PING\r\n")
            answer = connection.recv(512)
    except OSError as error:
        _refuse(f"{host}:{port}: {error.strerror or error}", code=1)
    # A server that wants a password answers too, and that is what was asked.
    if not answer.startswith((b"+PONG", b"-NOAUTH")):
        _refuse(f"{host}:{port}: answered {answer[:80]!r}", code=1)
    typer.echo(answer.decode("utf-8", "replace").strip())


def _refuse(reason: str, code: int = 2) -> NoReturn:
    print(f"antecache: {reason}", file=sys.stderr)
    raise typer.Exit(code)


if __name__ == "__main__":
    main()
