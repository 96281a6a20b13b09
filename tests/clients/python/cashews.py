# /// script
# dependencies = ["cashews[redis]"]
# [tool.antecache]
# library = "cashews"
# protocols = [2]
# ///
"""cashews: decorators for caching, early recomputation, locks and rate limits, with tags."""

import asyncio
import os

from cashews import cache

cache.setup(f"redis://127.0.0.1:{os.environ['ANTECACHE_PORT']}/0")
calls = []


@cache(ttl="1m", key="user:{id}", tags=["users"])
async def user(id: int) -> dict[str, int]:
    calls.append(id)
    return {"id": id}


@cache.early(ttl="1m", key="early:{id}")
async def early(id: int) -> int:
    return id


async def main() -> None:
    assert await user(1) == await user(1) == {"id": 1} and calls == [1]
    await cache.delete_tags("users")
    await user(1)
    assert calls == [1, 1]
    assert await early(3) == 3
    async with cache.lock("l", expire="1m"):
        assert await cache.is_locked("l")
    await cache.set("k", "v", expire=10)
    assert await cache.get("k") == "v" and 0 < await cache.get_expire("k") <= 10
    await cache.close()


asyncio.run(main())
