# /// script
# dependencies = ["taskiq-redis"]
# [tool.antecache]
# library = "taskiq-redis"
# protocols = [2]
# ///
"""taskiq over streams, with acknowledgements and a result backend."""

import asyncio
import os

from taskiq.api import run_receiver_task
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

url = f"redis://127.0.0.1:{os.environ['ANTECACHE_PORT']}"
broker = RedisStreamBroker(url).with_result_backend(RedisAsyncResultBackend(url))


@broker.task
async def add(a: int, b: int) -> int:
    return a + b


async def main() -> None:
    broker.is_worker_process = True
    await broker.startup()
    worker = asyncio.create_task(run_receiver_task(broker))
    tasks = [await add.kiq(n, n) for n in range(5)]
    results = [await task.wait_result(timeout=30) for task in tasks]
    assert [result.return_value for result in results] == [0, 2, 4, 6, 8]
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    await broker.shutdown()


asyncio.run(main())
