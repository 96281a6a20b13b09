"""Containers of stream commands whose HELP is Redis's own text."""

from __future__ import annotations

from antecache.server.command import Argv, ClientView, command
from antecache.server.errors import ClientError, unknown_subcommand


def container_with_help(name: str, summary: str, lines: str) -> None:
    """Declare a command that only has sub-commands; `lines` is what HELP says of them."""

    def refuse(client: ClientView, argv: Argv) -> bytes:
        raise ClientError(unknown_subcommand(name, argv[1]))

    command(
        name,
        -2,
        group="stream",
        since="5.0.0",
        complexity="Depends on subcommand.",
        summary=summary,
    )(refuse)

    @command(
        f"{name}|help",
        2,
        flags="loading stale",
        since="5.0.0",
        summary="Returns helpful text about the different subcommands.",
    )
    def help_(client: ClientView, argv: Argv) -> list[str]:
        first = f"{name.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
        return [first, *lines.splitlines(), "HELP", "    Prints this help."]
