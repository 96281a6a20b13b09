# /// script
# dependencies = ["limits[redis]"]
# [tool.antecache]
# library = "limits"
# protocols = [2]
# ///
"""limits: its three strategies of rate limiting, all of them scripts in Lua."""

import os

from limits import RateLimitItemPerMinute
from limits.storage import storage_from_string
from limits.strategies import STRATEGIES

storage = storage_from_string(f"redis://127.0.0.1:{os.environ['ANTECACHE_PORT']}")
assert storage.check()
for name, strategy in STRATEGIES.items():
    limiter = strategy(storage)
    three = RateLimitItemPerMinute(3, namespace=name)
    assert [limiter.hit(three, "user") for _ in range(5)] == [True] * 3 + [False] * 2, name
    assert limiter.get_window_stats(three, "user").remaining == 0
    assert not limiter.test(three, "user") and limiter.test(three, "other")
    limiter.clear(three, "user")
    assert limiter.hit(three, "user")
assert storage.reset() is not None
