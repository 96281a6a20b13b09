# /// script
# dependencies = ["dogpile.cache", "redis"]
# [tool.antecache]
# library = "dogpile.cache"
# protocols = [2]
# ///
"""dogpile.cache: a region with a distributed lock, so that one of many threads computes."""

import os
import threading
import time

from dogpile.cache import make_region

region = make_region().configure(
    "dogpile.cache.redis",
    expiration_time=60,
    arguments={
        "host": "127.0.0.1",
        "port": int(os.environ["ANTECACHE_PORT"]),
        "distributed_lock": True,
        "thread_local_lock": False,
        "lock_timeout": 10,
    },
)
calls = []


@region.cache_on_arguments()
def compute(n: int) -> int:
    calls.append(n)
    time.sleep(0.2)
    return n * n


results = []
threads = [threading.Thread(target=lambda: results.append(compute(7))) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert results == [49] * 8 and calls == [7]
compute.invalidate(7)
assert compute(7) == 49 and calls == [7, 7]
region.set_multi({"a": 1, "b": 2})
assert region.get_multi(["a", "b"]) == [1, 2]
