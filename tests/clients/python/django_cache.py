# /// script
# dependencies = ["django", "redis"]
# [tool.antecache]
# library = "Django's Redis cache"
# protocols = [2]
# ///
"""Django's own Redis cache backend: values, many at once, counters, sessions."""

import os

import django
from django.conf import settings

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{os.environ['ANTECACHE_PORT']}/1",
        }
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    SESSION_CACHE_ALIAS="default",
)
django.setup()

from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import cache

cache.set("k", {"a": [1, 2]}, timeout=100)
assert cache.get("k") == {"a": [1, 2]}
assert cache.add("k", 1) is False and cache.add("new", 1) is True
assert cache.set_many({"x": 1, "y": 2}) == [] and cache.get_many(["x", "y", "z"]) == {
    "x": 1,
    "y": 2,
}
assert cache.incr("x", 5) == 6 and cache.touch("x", 10)
assert cache.get_or_set("made", lambda: 42) == 42
cache.delete_many(["x", "y"])
assert cache.get("x") is None and cache.has_key("k")
session = SessionStore()
session["user"] = 7
session.save()
assert SessionStore(session.session_key)["user"] == 7
cache.clear()
assert cache.get("k") is None
