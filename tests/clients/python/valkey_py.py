# /// script
# dependencies = ["valkey"]
# [tool.antecache]
# library = "valkey-py"
# protocols = [2, 3]
# ///
"""valkey-py: the fork of redis-py, with sessions, counters and a sorted leaderboard."""

import os

import valkey

port, protocol = int(os.environ["ANTECACHE_PORT"]), int(os.environ["ANTECACHE_RESP"])
v = valkey.Valkey(port=port, protocol=protocol, decode_responses=True)
v.hset("session:1", mapping={"user": "ada", "visits": 1})
v.expire("session:1", 1800)
assert v.hincrby("session:1", "visits") == 2
v.zadd("board", {"ada": 10, "bob": 20, "eve": 15})
assert v.zrevrange("board", 0, 1) == ["bob", "eve"]
assert v.zrevrank("board", "ada") == 2
with v.pipeline() as pipe:
    results = pipe.set("a", 1).expire("a", 10).incrby("a", 5).execute()
assert results == [True, True, 6]
assert v.eval("return {KEYS[1], ARGV[1]}", 1, "key", "arg") == ["key", "arg"]
