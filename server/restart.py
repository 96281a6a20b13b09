"""A warm restart: what was learned, and which keys were hot, across the life of a process.

On shutdown, and every few minutes for the case that there is no shutdown, the Plan,
the predictor's memory, the links and the resident keys with what each is worth
are written to `state-file` (`predictor/model_file.py`). At the start they are taken
over, and the most valuable keys are loaded from their sources again: in batches, no
faster than `warm-rate` rows a second, never beyond `warm-keys` or the room there is,
each with a time to live of its own between a fifth and the whole of its source's,
so that what was loaded together does not expire together. Values are not kept on
disk: the database may have changed meanwhile.

Worth is what a key saves: the uses its policy has counted, weighed by how late it
would have left, times what a load of it takes. What is loaded here is no prefetch:
it goes where it was, not to probation, and the ledger does not know it.

What this file does not do: save what clients wrote.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from heapq import nlargest
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from antecache.predictor import model_file
from antecache.predictor.model_file import ModelError, Saved
from antecache.predictor.plan import Plan
from antecache.predictor.trainer import Trainer
from antecache.server.backing.base import BackingError, Source
from antecache.server.config import Config
from antecache.server.errors import ConfigError
from antecache.server.followups import Followups
from antecache.server.loader import Loader
from antecache.server.prefetch import Prefetcher
from antecache.server.stats import Stats
from antecache.server.store import Entry, Store

log = logging.getLogger(__name__)

#: keys of one statement of the warming
BATCH = 128
#: share of the room that is filled
FULL = 0.95
#: residents up to which they are ranked in one go; beyond, a part of the store at a time
_AT_ONCE = 100_000
#: a key whose load was never timed counts as taking this long, in seconds
_UNTIMED = 0.001


class Parts(NamedTuple):
    """What is saved and restored."""

    config: Config
    store: Store
    stats: Stats
    owner: Callable[[bytes], Source | None]
    loader: Loader
    prefetcher: Prefetcher
    followups: Followups
    trainer: Trainer


class Restart:
    """Saves and restores; `progress` is what STATUS shows."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._random = random.Random()
        self._saving: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._active = False  # whether anything is saved at the end
        self._flushed = False
        self._wanted: list[tuple[bytes, float]] = []
        self.progress: dict[str, str | int] = {"state": "off"}

    # -- starting -----------------------------------------------------------

    def read(self) -> Saved | None:
        """What to start from: the state of the last life, or else the model that is set.

        Raises ConfigError when the model cannot be used. A state that cannot be is passed
        over with a warning: a server that was hurt must start all the same.
        """
        config = self._parts.config
        path = Path(config.state_file) if config.state_file else None
        if path is not None and path.exists():
            try:
                saved = model_file.load(path)
                self._check(saved)
                return saved
            except ModelError as error:
                log.warning("starting cold: state-file %s", error)
        if not config.model:
            return None
        try:
            saved = model_file.load(Path(config.model))
            self._check(saved)
        except ModelError as error:
            raise ConfigError(f"model: {error}") from None
        return saved

    def _check(self, saved: Saved) -> None:
        if saved.predictor != self._parts.config.predictor:
            raise ModelError(
                f"was made by predictor '{saved.predictor}', the setting is "
                f"'{self._parts.config.predictor}'"
            )

    def start(self, saved: Saved | None) -> None:
        """Take over what was learned, before the trainer starts. Raises ConfigError."""
        parts = self._parts
        if saved is not None:
            try:
                self._take_over(saved)
            except ValueError as error:
                if parts.config.model and not saved.keys:
                    raise ConfigError(f"model: {parts.config.model}: {error}") from None
                log.warning("starting without what was learned: %s", error)

    def begin(self, saved: Saved | None) -> None:
        """Begin to warm up and to save, once it is known how much room there is."""
        config = self._parts.config
        self._active = bool(config.state_file)
        if saved is not None and saved.keys and config.warm_keys:
            self._wanted = saved.keys[: config.warm_keys]
            self.progress = {"state": "running", "keys": len(self._wanted), "loaded": 0}
            self._warming = asyncio.create_task(self._warm(self._wanted), name="warming")
        if self._active and config.state_interval:
            self._saving = asyncio.create_task(self._save_often(), name="saving")

    def _take_over(self, saved: Saved) -> None:
        if saved.state and self._parts.config.prediction:
            self._parts.prefetcher.predictor.load(saved.state)
        self._parts.followups.links.load(saved.links)
        plan = saved.read_plan()
        if plan is not None and plan.version:
            self._parts.trainer.go_on_from(plan)

    # -- warming up ---------------------------------------------------------

    async def _warm(self, wanted: list[tuple[bytes, float]]) -> None:
        store, rate = self._parts.store, self._parts.config.warm_rate
        previous = store.on_flush

        def flushed(db: int) -> None:
            self._flushed = self._flushed or db == 0
            previous(db)

        store.on_flush = flushed
        loaded = failures = 0
        try:
            for source, batch in self._batches(wanted):
                if not self._has_room() or failures >= 3 or self._flushed:
                    break
                started = time.monotonic()
                try:
                    loaded += await self._load(source, batch)
                    failures = 0
                except (TimeoutError, BackingError) as error:
                    failures += 1
                    log.warning("warming up: source '%s': %s", source.name, error)
                self.progress["loaded"] = loaded
                await asyncio.sleep(max(0.0, len(batch) / rate - (time.monotonic() - started)))
        finally:
            store.on_flush = previous
            self.progress["state"] = "broken off" if failures >= 3 else "done"
        log.info("warming up: %d of %d keys were loaded", loaded, len(wanted))

    def _batches(self, keys: Iterable[tuple[bytes, float]]) -> Iterator[tuple[Source, list[bytes]]]:
        """Keys by source, each batch as soon as it is full, so that the best come first."""
        waiting: dict[str, tuple[Source, list[bytes]]] = {}
        for key, _ in keys:
            source = self._parts.owner(key)
            if source is None or not source.options.prefetch:
                continue
            _, batch = waiting.setdefault(source.name, (source, []))
            batch.append(key)
            if len(batch) == BATCH:
                yield waiting.pop(source.name)
        yield from waiting.values()

    def _has_room(self) -> bool:
        store = self._parts.store
        return store.count < FULL * store.limit and store.used < FULL * store.room

    async def _load(self, source: Source, keys: list[bytes]) -> int:
        """Load some keys that are still absent; a key that changes meanwhile is left alone."""
        store, loader, stats = self._parts.store, self._parts.loader, self._parts.stats
        keys = [key for key in keys if self._is_free(key)]
        if not keys:
            return 0
        changed: set[bytes] = set()

        def note(db: int, key: bytes) -> None:
            if db == 0:
                changed.add(key)

        store.observe(note)
        try:
            loaded = await asyncio.wait_for(
                source.backing.get_many(source, keys), source.options.timeout
            )
            while loader.gate is not None:  # a script runs: nothing else touches the store
                await loader.gate.wait()
        finally:
            store.unobserve(note)
        stats.statements[source.name] += loaded.statements
        stats.prefetch_rows[source.name] += len(keys)
        store.now = max(store.now, time.time_ns() // 1_000_000)
        origin, ttl = store.origin(source), source.options.ttl
        count = 0
        for key in keys:
            value = loaded.values.get(key)
            free = key not in changed and key not in loader.inflight and self._is_free(key)
            if value is None or not free or self._flushed or not self._has_room():
                continue
            left = int(1000 * ttl * self._random.uniform(0.2, 1.0))
            expire_at = store.now + left if ttl else 0
            entry = store.databases[0].put(key, value, expire_at, origin=origin, quiet=True)
            if entry.where > 0:
                store.touch(entry)  # it was in use: a first miss must not push it out
            count += 1
        return count

    def _is_free(self, key: bytes) -> bool:
        store = self._parts.store
        return store.must_load(key) and not store.databases[0].holds(key)

    # -- saving -------------------------------------------------------------

    async def _save_often(self) -> None:
        while True:
            await asyncio.sleep(self._parts.config.state_interval)
            try:
                saved = self._describe(await self._ranked_in_slices())
                await asyncio.to_thread(model_file.save, Path(self._parts.config.state_file), saved)
            except OSError as error:
                log.warning("state-file: %s", error)

    async def stop(self) -> None:
        """Save for the last time; may be called twice, and after a failed start."""
        unfinished = self._warming is not None and not self._warming.done()
        for task in (self._warming, self._saving):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        self._saving = self._warming = None
        active, self._active = self._active, False
        if active:
            keys = self._ranked(self._parts.store.policy.nodes())
            if unfinished:  # what was not loaded yet was hot before, and may be again
                known = {key for key, _ in keys}
                keys += [pair for pair in self._wanted if pair[0] not in known]
            saved = self._describe(keys[: self._parts.config.warm_keys])
            try:
                model_file.save(Path(self._parts.config.state_file), saved)
            except OSError as error:
                log.warning("state-file: %s", error)

    def _describe(self, keys: list[tuple[bytes, float]]) -> Saved:
        prefetcher, trainer = self._parts.prefetcher, self._parts.trainer
        prefetcher.witnesses.catch_up()
        plan: Plan | None = prefetcher.plan
        kind = type(prefetcher.predictor)
        return Saved(
            made_by=version("antecache"),
            created=time.time(),
            predictor=self._parts.config.predictor,
            buckets=model_file.buckets_of(kind),
            accesses=plan.trained_on if plan is not None else 0,
            plan=plan.to_bytes() if plan is not None else b"",
            state=prefetcher.predictor.dump(),
            links=self._parts.followups.links.dump(),
            keys=keys,
            reports=trainer.contest.reports if trainer.contest is not None else [],
        )

    async def _ranked_in_slices(self) -> list[tuple[bytes, float]]:
        """As `_ranked`; of a large store a shard at a time, without the policy's order."""
        store = self._parts.store
        if store.policy.count <= _AT_ONCE:
            return self._ranked(store.policy.nodes())
        best: list[tuple[bytes, float]] = []
        for data in store.databases[0].dicts:
            held = [entry for entry in list(data.values()) if not isinstance(entry, bytes)]
            best += self._ranked(entry for entry in held if entry.where > 0)
            await asyncio.sleep(0)
        return nlargest(self._parts.config.warm_keys, best, key=lambda pair: pair[1])

    def _ranked(self, nodes: Iterable[object]) -> list[tuple[bytes, float]]:
        """The keys a source can load, with what each is worth, best first."""
        uses, now = self._parts.store.policy.uses, self._parts.store.now
        held = list(nodes)
        found = []
        for place, node in enumerate(held, 1):
            if not isinstance(node, Entry) or node.origin is None:
                continue
            if node.expire_at and node.expire_at <= now:
                continue
            late = 0.5 + 0.5 * place / len(held)
            found.append((node.key, uses(node) * late * (node.cost or _UNTIMED)))
        return nlargest(self._parts.config.warm_keys, found, key=lambda pair: pair[1])
