"""HTTP beside the cache: /metrics for Prometheus, /health for what starts and stops us.

`/health/live` says that the event loop turns; `/health/ready` also that every
database answered when last tried, and why not. Metrics come in the format the
scraper asks for (OpenMetrics or Prometheus text). There is no login: the default is
to listen on this machine only.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from antecache.server.metrics import registry_of

if TYPE_CHECKING:
    from antecache.server.command import ServerView

INDEX = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>antecache</title>
<h1>antecache</h1>
<p>{state}</p>
<ul>
<li><a href="/metrics">/metrics</a>: for Prometheus
<li><a href="/health/live">/health/live</a>: the process answers
<li><a href="/health/ready">/health/ready</a>: its databases do too
</ul>
</html>
"""


class MetricsServer:
    """Serves the pages of one server; port 0 means that there are none.

    port  after `start`, the one really listened on
    """

    def __init__(self, server: ServerView, host: str, port: int) -> None:
        self._server = server
        self._registry = registry_of(server)
        self._runner: web.AppRunner | None = None
        self.host = host
        self.port = port

    async def start(self) -> None:
        """Listen; raises OSError when the port is taken."""
        if not self.port:
            return
        app = web.Application()
        app.router.add_get("/", self._index)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/health/live", self._live)
        app.router.add_get("/health/ready", self._ready)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port).start()
        except OSError as error:
            await self.stop()
            raise OSError(
                error.errno,
                f"cannot listen on {self.host}:{self.port} for metrics: {error.strerror}",
            ) from error

    async def stop(self) -> None:
        """Close the listener and its connections; may be called twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _index(self, request: web.Request) -> web.Response:
        state = html.escape("; ".join(self._troubles()) or "Ready.")
        return web.Response(text=INDEX.format(state=state), content_type="text/html")

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        body = encode(self._registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _live(self, request: web.Request) -> web.Response:
        return web.Response(text="live\n")

    async def _ready(self, request: web.Request) -> web.Response:
        troubles = self._troubles()
        text = "\n".join(troubles) or "ready"
        return web.Response(status=503 if troubles else 200, text=text + "\n")

    def _troubles(self) -> list[str]:
        return [f"{name}: {reason}" for name, reason in sorted(self._server.unreachable.items())]
