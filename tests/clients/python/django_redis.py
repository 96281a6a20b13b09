# /// script
# dependencies = ["django-redis"]
# [tool.antecache]
# library = "django-redis"
# protocols = [2]
# ///
"""django-redis: patterns, time to live, locks, beside Django's own cache interface."""

import os

import django
from django.conf import settings

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{os.environ['ANTECACHE_PORT']}/1",
            "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
        }
    }
)
django.setup()

from django.core.cache import cache

cache.set("foo", "value", timeout=25)
assert cache.ttl("foo") == 25
cache.persist("foo")
assert cache.ttl("foo") is None
cache.set_many({f"item:{n}": n for n in range(20)})
assert sorted(cache.keys("item:*")) == sorted(f"item:{n}" for n in range(20))
assert len(list(cache.iter_keys("item:*"))) == 20
assert cache.delete_pattern("item:*") == 20
with cache.lock("lock", timeout=5):
    assert cache.keys("lock")
cache.set("n", 1)
assert cache.incr("n") == 2
