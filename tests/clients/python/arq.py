# /// script
# dependencies = ["arq"]
# [tool.antecache]
# library = "arq"
# protocols = [2]
# ///
"""arq: jobs, a deferred one, a retry, and the unique job id."""

import asyncio
import os

from arq import Retry, create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

settings = RedisSettings(port=int(os.environ["ANTECACHE_PORT"]))


async def add(ctx: dict, a: int, b: int) -> int:
    return a + b


async def flaky(ctx: dict) -> int:
    if ctx["job_try"] < 3:
        raise Retry(defer=0.05)
    return ctx["job_try"]


async def main() -> None:
    pool = await create_pool(settings)
    first = await pool.enqueue_job("add", 1, 2)
    later = await pool.enqueue_job("add", 3, 4, _defer_by=0.3)
    again = await pool.enqueue_job("flaky")
    assert await pool.enqueue_job("add", 1, 1, _job_id="one")
    assert await pool.enqueue_job("add", 1, 1, _job_id="one") is None
    worker = Worker(
        [add, flaky], redis_pool=pool, burst=True, poll_delay=0.05, handle_signals=False
    )
    await worker.async_run()
    assert await first.result(timeout=30) == 3
    assert await later.result(timeout=30) == 7
    assert await again.result(timeout=30) == 3


asyncio.run(main())
