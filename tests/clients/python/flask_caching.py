# /// script
# dependencies = ["Flask-Caching", "flask", "redis"]
# [tool.antecache]
# library = "Flask-Caching"
# protocols = [2]
# ///
"""Flask-Caching: cached views and memoised functions."""

import os

from flask import Flask
from flask_caching import Cache

app = Flask(__name__)
app.config.update(
    CACHE_TYPE="RedisCache",
    CACHE_REDIS_HOST="127.0.0.1",
    CACHE_REDIS_PORT=int(os.environ["ANTECACHE_PORT"]),
)
cache = Cache(app)
calls = []


@app.get("/page")
@cache.cached(timeout=50)
def page() -> str:
    calls.append(1)
    return "page"


@cache.memoize(50)
def add(a: int, b: int) -> int:
    calls.append((a, b))
    return a + b


client = app.test_client()
assert client.get("/page").data == client.get("/page").data == b"page" and calls == [1]
with app.app_context():
    assert add(1, 2) == add(1, 2) == 3 and calls == [1, (1, 2)]
    cache.delete_memoized(add)
    assert add(1, 2) == 3 and len(calls) == 3
    cache.set_many({"a": 1, "b": 2})
    assert cache.get_many("a", "b") == [1, 2]
    cache.clear()
    assert cache.get("a") is None
