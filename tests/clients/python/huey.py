# /// script
# dependencies = ["huey", "redis"]
# [tool.antecache]
# library = "huey"
# protocols = [2]
# ///
"""Huey: tasks, a schedule, priorities and locks, worked off by its consumer."""

import os

from huey import PriorityRedisHuey, RedisHuey

port = int(os.environ["ANTECACHE_PORT"])
for kind in (RedisHuey, PriorityRedisHuey):
    huey = kind(kind.__name__, host="127.0.0.1", port=port)

    @huey.task()
    def add(a: int, b: int) -> int:
        return a + b

    consumer = huey.create_consumer(workers=2, periodic=False)
    consumer.start()
    try:
        assert add(1, 2).get(blocking=True, timeout=30) == 3
        assert add.schedule((3, 4), delay=1).get(blocking=True, timeout=30) == 7
        with huey.lock_task("lock"):
            assert huey.is_locked("lock")
    finally:
        consumer.stop(graceful=True)
