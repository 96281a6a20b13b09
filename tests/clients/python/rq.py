# /// script
# dependencies = ["rq"]
# [tool.antecache]
# library = "rq"
# protocols = [2]
# ///
"""RQ: jobs enqueued, worked off in a burst, with results, failures and dependencies."""

import os
from operator import add

import redis
from rq import Queue, SimpleWorker

connection = redis.Redis(port=int(os.environ["ANTECACHE_PORT"]))
queue = Queue(connection=connection)
first = queue.enqueue(add, 2, 3)
second = queue.enqueue(add, 1, 1, depends_on=first)
broken = queue.enqueue(add, 1)
SimpleWorker([queue], connection=connection).work(burst=True, logging_level="ERROR")
assert first.latest_result().return_value == 5, first.get_status()
assert second.latest_result().return_value == 2, second.get_status()
assert broken.get_status(refresh=True) == "failed"
assert queue.failed_job_registry.count == 1 and queue.is_empty()
