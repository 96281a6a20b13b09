# /// script
# dependencies = ["coredis"]
# [tool.antecache]
# library = "coredis"
# protocols = [3]
# ///
"""coredis: typed asyncio client, with pipelines and streams."""

import asyncio
import os

import coredis

port = int(os.environ["ANTECACHE_PORT"])


async def main() -> None:
    client = coredis.Redis(host="127.0.0.1", port=port, decode_responses=True)
    async with client:
        assert await client.set("k", "v", ex=10)
        assert await client.get("k") == "v"
        await client.zadd("z", {"a": 1, "b": 2})
        assert list(await client.zrange("z", 0, -1)) == ["a", "b"]
        await client.sadd("s", ["x", "y"])
        assert set(await client.smembers("s")) == {"x", "y"}
        assert await client.info("server")


asyncio.run(main())
