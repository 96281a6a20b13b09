# /// script
# dependencies = ["redis"]
# [tool.antecache]
# library = "redis-py"
# protocols = [2, 3]
# ///
"""redis-py as an application uses it: types, pipelines, transactions, scripts, locks, pub/sub."""

import os
import threading

import redis

port, protocol = int(os.environ["ANTECACHE_PORT"]), int(os.environ["ANTECACHE_RESP"])
r = redis.Redis(port=port, protocol=protocol, decode_responses=True)
assert r.ping()
assert r.set("k", "v", ex=100, nx=True) and r.get("k") == "v" and 0 < r.ttl("k") <= 100
assert r.hset("h", mapping={"a": 1, "b": 2}) == 2 and r.hgetall("h") == {"a": "1", "b": "2"}
assert r.rpush("l", *range(5)) == 5 and r.lrange("l", 0, -1) == list("01234")
assert r.sadd("s", "x", "y") == 2 and r.smembers("s") == {"x", "y"}
assert r.zadd("z", {"one": 1, "two": 2}) == 2
assert [tuple(pair) for pair in r.zrange("z", 0, -1, withscores=True)] == [("one", 1), ("two", 2)]
entry = r.xadd("x", {"field": "value"})
assert r.xrange("x") == [(entry, {"field": "value"})]
assert r.pfadd("p", "a", "b") and r.pfcount("p") == 2
assert r.geoadd("g", (13.361389, 38.115556, "Palermo")) == 1
assert r.setbit("bits", 7, 1) == 0 and r.bitcount("bits") == 1
with r.pipeline(transaction=True) as pipe:
    pipe.incr("n").incr("n").get("n")
    assert pipe.execute() == [1, 2, "2"]
with r.pipeline() as pipe:
    pipe.watch("n")
    r.incr("n")
    pipe.multi()
    pipe.incr("n")
    try:
        pipe.execute()
        raise SystemExit("a watched key changed, and the transaction ran")
    except redis.WatchError:
        pass
double = r.register_script("return redis.call('GET', KEYS[1]) * ARGV[1]")
assert double(keys=["n"], args=[2]) == 6
with r.lock("lock", timeout=10, blocking_timeout=1):
    other = r.lock("lock", timeout=10, blocking_timeout=0.05)
    assert not other.acquire()
assert r.get("lock") is None
counted, lock = [], r.lock("shared", timeout=30)


def count() -> None:
    for _ in range(20):
        with r.lock("shared", timeout=30):
            counted.append(len(counted))


threads = [threading.Thread(target=count) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert counted == list(range(80))
with r.pubsub() as channel:
    channel.subscribe("news")
    assert channel.get_message(timeout=5)["type"] == "subscribe"
    assert r.publish("news", "hello") == 1
    assert channel.get_message(timeout=5)["data"] == "hello"
assert set(r.scan_iter("?")) >= {"k", "h", "l", "s", "z", "x", "p", "g", "n"}
assert r.info("server")["redis_version"].startswith("7.")
assert r.client_setname("app") and r.client_getname() == "app"
if protocol == 3:
    from redis.cache import CacheConfig

    cached = redis.Redis(port=port, protocol=3, cache_config=CacheConfig(), decode_responses=True)
    assert cached.get("k") == "v" and cached.get("k") == "v"
    assert cached.get_cache().size >= 1
    r.set("k", "changed")
    for _ in range(100):
        if cached.get("k") == "changed":
            break
    assert cached.get("k") == "changed"
