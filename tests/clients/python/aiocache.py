# /// script
# dependencies = ["aiocache[redis]"]
# [tool.antecache]
# library = "aiocache"
# protocols = [2]
# ///
"""aiocache: a cache object and its decorator, with serialisation and optimistic locks."""

import asyncio
import os

from aiocache import Cache, cached
from aiocache.lock import OptimisticLock, OptimisticLockError
from aiocache.serializers import JsonSerializer

port = int(os.environ["ANTECACHE_PORT"])
calls = []


@cached(
    ttl=50, cache=Cache.REDIS, endpoint="127.0.0.1", port=port, key="k", serializer=JsonSerializer()
)
async def slow() -> dict[str, int]:
    calls.append(1)
    return {"a": 1}


async def main() -> None:
    assert await slow() == await slow() == {"a": 1} and calls == [1]
    cache = Cache(Cache.REDIS, endpoint="127.0.0.1", port=port, namespace="app")
    assert await cache.multi_set([("a", "1"), ("b", "2")]) and await cache.multi_get(
        ["a", "b"]
    ) == ["1", "2"]
    assert await cache.increment("n", 2) == 2 and await cache.exists("n")
    try:
        async with OptimisticLock(cache, "a") as lock:
            await cache.set("a", "changed")
            await lock.cas("mine")
        raise SystemExit("the value changed, and the lock did not see it")
    except OptimisticLockError:
        pass
    await cache.close()


asyncio.run(main())
