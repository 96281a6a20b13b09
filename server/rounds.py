"""The background round, `hz` times a second: expiry, memory, eviction, samples, garbage.

What need not be so punctual happens in one round of each second: idle clients,
clients that do not read, sources that fail.

What this file does not do: any of that itself; the parts do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from antecache.server import command, process

if TYPE_CHECKING:
    from antecache.server.app import Server

log = logging.getLogger(__name__)

NEWS = 10.0  # seconds for which a failed load makes its source unreachable


async def rounds(server: Server) -> None:
    """Go round until cancelled; what a round raises is logged, and the next one comes."""
    interval = 1 / server.config.hz
    count = 0
    loop = asyncio.get_running_loop()
    due = loop.time() + interval
    while True:
        await asyncio.sleep(max(0.0, due - loop.time()))
        late = max(0.0, loop.time() - due)
        server.loop_lag = max(late, server.loop_lag * 0.9)
        due = max(due + interval, loop.time())
        count += 1
        try:
            _round(server, count)
        except Exception:
            log.exception("background round failed")


def _round(server: Server, count: int) -> None:
    if server.scripts.busy:
        return  # nothing but the script touches the store
    store, hz = server.store, server.config.hz
    server.dispatch.set_clock()
    started = time.perf_counter_ns()
    store.expire_cycle()
    expired = time.perf_counter_ns()
    server.spikes.add("expire-cycle", expired - started)
    server.tracking.tick()
    server.measure()
    measured = time.perf_counter_ns()
    store.enforce()
    server.spikes.add("eviction-cycle", time.perf_counter_ns() - measured)
    server.timings.sample(command.every())
    server.rates.sample(time.monotonic(), server.stats)
    server.lately.look(server)
    process.collect_young(settle=count % (10 * hz) == 0)
    if not server.config.prediction:
        server.access.items.clear()
    server.attention.tick()
    server.schedule.tick()
    if count % hz == 0:
        _every_second(server)


def _every_second(server: Server) -> None:
    now = time.time()
    server.huge_pages.advise()
    if server.config.timeout:
        for session in list(server.clients.values()):
            idle = now - session.last_active > server.config.timeout
            listens = session.monitoring or session.subscriptions is not None
            if idle and session.waiting is None and not listens:
                session.kill()
    # A failure counts as news for a while only: a node that gets no traffic because it
    # is not ready would otherwise never learn that its database is back.
    server.unreachable = {
        name: text for name, (text, at) in server.loader.failing.items() if now - at < NEWS
    }
    for session in list(server.slow_readers):
        server.check_output(session, now)
