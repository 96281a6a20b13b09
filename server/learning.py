"""Prediction as a whole: switched on and off, taught from a history, told how large the cache is.

Logging, prefetching and the trainer's process are switched together. The first two
at once; the process follows at its own pace, one change after the other, so that
the last word holds however quickly it is said.

What this file does not do: decide what is prefetched (`prefetch.py`) or learn
(`predictor/`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from antecache.predictor.messages import Hello
from antecache.predictor.trainer import Trainer
from antecache.server.accesslog import AccessLog
from antecache.server.config import Config
from antecache.server.dispatch import Dispatch
from antecache.server.followups import Followups
from antecache.server.prefetch import Prefetcher
from antecache.server.store import Store

log = logging.getLogger(__name__)

DEFAULT_CACHE = 1 << 30  # bytes: the cache a history is rehearsed with where nothing limits it
TYPICAL_ENTRY = 1024  # bytes, where only bytes are limited


class Learning:
    """What switches the parts of prediction. `imports` tells of the last history: file, state."""

    def __init__(
        self,
        config: Config,
        store: Store,
        dispatch: Dispatch,
        access: AccessLog,
        prefetcher: Prefetcher,
        followups: Followups,
        trainer: Trainer,
    ) -> None:
        self._config = config
        self._store = store
        self._dispatch = dispatch
        self._access = access
        self._prefetcher = prefetcher
        self._followups = followups
        self._trainer = trainer
        self._switching = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.imports: dict[str, Any] = {}

    async def switch(self, on: bool) -> None:
        """Start or stop logging, learning and prefetching."""
        self._config.prediction = on
        self._prefetcher.enabled = on
        self._dispatch.logging = on
        self._dispatch.entered = None
        store = self._store
        if on:
            self._prefetcher.predictor.resize(self._config.prediction_bytes)
            store.record = self._followups.recorder(self._access.items.append)
            store.record_miss = self._followups.miss_recorder(self._access.miss)
        else:
            store.record = _nothing
            store.record_miss = _nothing
        async with self._switching:
            if on and self._config.prediction:
                await self._trainer.start()
            elif not on:
                await self._trainer.stop()
                self._access.items.clear()

    def switch_soon(self, on: bool) -> None:
        """PREDICTOR ON | OFF."""
        self._spawn(self.switch(on))

    def import_history(self, path: str) -> None:
        """PREDICTOR IMPORT, --history: learn from recorded accesses, in the background."""
        self.imports = {"file": path, "state": "running"}

        async def work() -> None:
            try:
                result = await self._trainer.import_history(path)
            except Exception as error:
                log.error("history %s: %s", path, error)
                self.imports = {"file": path, "state": "failed", "reason": str(error)}
            else:
                self.imports = {"file": path, "state": "done", **result}

        self._spawn(work())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def adopt_history(prefetcher: Prefetcher, state: bytes) -> None:
    """Take over what a rehearsal remembered; read in a thread, since it may be megabytes.

    Raises ValueError when the state cannot be used.
    """
    fresh = type(prefetcher.predictor)(prefetcher.predictor.budget_bytes)
    await asyncio.to_thread(fresh.load, state)
    if prefetcher.plan is not None:
        fresh.adopt(prefetcher.plan)
    prefetcher.predictor = fresh


def hello(config: Config) -> Hello:
    """What the trainer must know of this server: it rehearses a cache of the same size."""
    capacity = config.maxkeys or (config.maxmemory or DEFAULT_CACHE) // TYPICAL_ENTRY
    return Hello(
        predictor=config.predictor,
        budget=max(config.prediction_bytes, 1),
        capacity=max(capacity, 1),
        charged=bool(config.maxmemory) and not config.maxkeys,
        memory_limit=config.trainer_maxmemory,
        models=config.models,
        record=config.access_log,
        record_limit=config.access_log_size,
    )


def _nothing(_: bytes) -> None:
    """What records an access while nothing learns from it."""
