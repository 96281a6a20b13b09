# /// script
# dependencies = ["dramatiq[redis]"]
# [tool.antecache]
# library = "dramatiq"
# protocols = [2]
# ///
"""Dramatiq: broker and results by scripts in Lua, a retry, a delayed message, a pipeline."""

import logging
import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

port = int(os.environ["ANTECACHE_PORT"])
broker = RedisBroker(port=port)
broker.add_middleware(Results(backend=RedisBackend(port=port)))
dramatiq.set_broker(broker)
tries = []


@dramatiq.actor(store_results=True)
def double(n: int) -> int:
    return 2 * n


@dramatiq.actor(store_results=True, max_retries=3, min_backoff=10, max_backoff=20)
def flaky() -> int:
    tries.append(1)
    if len(tries) < 3:
        raise ValueError("not yet")
    return len(tries)


logging.disable(logging.CRITICAL)
worker = dramatiq.Worker(broker, worker_timeout=50)
worker.start()
try:
    assert double.send(21).get_result(block=True, timeout=30_000) == 42
    assert (
        double.send_with_options(args=(1,), delay=200).get_result(block=True, timeout=30_000) == 2
    )
    assert flaky.send().get_result(block=True, timeout=30_000) == 3
    piped = (double.message(1) | double.message()).run()
    assert piped.get_result(block=True, timeout=30_000) == 4
finally:
    worker.stop()
