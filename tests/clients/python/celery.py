# /// script
# dependencies = ["celery[redis]"]
# [tool.antecache]
# library = "celery"
# protocols = [2]
# ///
"""Celery with broker and results here: a worker, a group, a chord, a retry, a task with a delay."""

import os

from celery import Celery, chord, group
from celery.contrib.testing.worker import start_worker

url = f"redis://127.0.0.1:{os.environ['ANTECACHE_PORT']}"
app = Celery("app", broker=f"{url}/0", backend=f"{url}/1")
app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)


@app.task
def add(a: int, b: int) -> int:
    return a + b


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(bind=True, max_retries=3)
def flaky(self) -> int:
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return self.request.retries


with start_worker(app, perform_ping_check=False, pool="solo", concurrency=1):
    assert add.delay(1, 2).get(timeout=30) == 3
    assert group(add.s(n, n) for n in range(5))().get(timeout=30) == [0, 2, 4, 6, 8]
    assert flaky.delay().get(timeout=30) == 2
    assert add.apply_async((2, 2), countdown=0.5).get(timeout=30) == 4
    result = chord([add.s(n, 1) for n in range(4)])(total.s())
    assert result.get(timeout=30, disable_sync_subtasks=False) == 10
