"""Run a server as a process: logging, signals, the event loop, and what to type next.

What this file does not do: build the server (`app.py`) or read settings.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import uvloop

from antecache.server.app import Server
from antecache.server.config import Config


async def _main(config: Config, file: Path | None, ready: Callable[[Server], None]) -> int:
    server = Server(config, file)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.shutdown)
    try:
        await server.start()
        ready(server)
        await server.serve()
    finally:
        await server.stop()
    return 0


def _say_hello(server: Server) -> None:
    config = server.config
    places = (f"{p.bind}:{p.port}" if p.port else p.bind for p in server.listeners.places)
    print(f"antecache is listening on {', '.join(places)} (pid {os.getpid()})")
    names = [source.name for source in server.sources]
    if names:
        shown = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
        print(f"reading through to {len(names)} sources: {shown}")
    cli = "redis-cli" if server.port == 6379 else f"redis-cli -p {server.port}"
    print("try:")
    if names:
        name = "products" if "products" in names else names[0]
        print(f"  {cli} GET {name}:42")
        print(f"  {cli} HGETALL {name}:42")
    print(f"  {cli} PREDICTOR STATUS")
    if config.metrics_port:
        print(f"  curl http://{config.metrics_host}:{config.metrics_port}/metrics")
    sys.stdout.flush()


def run(config: Config, file: Path | None = None) -> int:
    """Serve until told to stop; returns the exit code. `file` is where the settings stand.

    Raises ConfigError, BackingError or OSError when the server cannot start.
    """
    levels = {"debug": 10, "verbose": 20, "notice": 20, "warning": 30}
    logging.basicConfig(
        level=levels[config.loglevel],
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Threads only read (a SQLite driver, a history being adopted): they must not hold the loop
    # for the usual 5 ms at a time.
    sys.setswitchinterval(0.001)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_main(config, file, _say_hello))
