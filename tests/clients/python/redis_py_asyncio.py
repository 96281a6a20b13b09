# /// script
# dependencies = ["redis", "hiredis"]
# [tool.antecache]
# library = "redis-py asyncio + hiredis"
# protocols = [2, 3]
# ///
"""redis-py's asyncio side, parsed by hiredis: many tasks on one pool, blocking pops, locks."""

import asyncio
import os

import redis.asyncio as redis

port, protocol = int(os.environ["ANTECACHE_PORT"]), int(os.environ["ANTECACHE_RESP"])


async def main() -> None:
    pool = redis.BlockingConnectionPool(port=port, protocol=protocol, max_connections=20)
    async with redis.Redis(connection_pool=pool) as r:
        await asyncio.gather(*(r.incr("n") for _ in range(500)))
        assert await r.get("n") == b"500"

        async def consume() -> list[bytes]:
            return [(await r.blpop("queue", timeout=10))[1] for _ in range(50)]

        consumers = [asyncio.create_task(consume()) for _ in range(4)]
        for number in range(200):
            await r.rpush("queue", number)
        found = sorted(int(item) for batch in await asyncio.gather(*consumers) for item in batch)
        assert found == list(range(200))
        async with r.pubsub() as channel:
            await channel.psubscribe("room:*")
            await r.publish("room:1", b"hello")
            async for message in channel.listen():
                if message["type"] == "pmessage":
                    assert message["data"] == b"hello"
                    break
        async with r.lock("lock", timeout=10):
            assert await r.exists("lock")
        await r.xgroup_create("jobs", "workers", mkstream=True)
        await r.xadd("jobs", {"id": 1})
        read = await r.xreadgroup("workers", "one", {"jobs": ">"}, count=1, block=1000)
        entries = read[b"jobs"][0] if protocol == 3 else read[0][1]
        assert await r.xack("jobs", "workers", entries[0][0]) == 1


asyncio.run(main())
