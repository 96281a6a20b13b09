# /// script
# dependencies = ["Flask-Session", "flask", "redis", "msgspec"]
# [tool.antecache]
# library = "Flask-Session"
# protocols = [2]
# ///
"""Flask-Session: a server-side session over several requests."""

import os

import redis
from flask import Flask, session
from flask_session import Session

app = Flask(__name__)
store = redis.Redis(port=int(os.environ["ANTECACHE_PORT"]))
app.config.update(SESSION_TYPE="redis", SESSION_REDIS=store)
Session(app)


@app.get("/count")
def count() -> str:
    session["n"] = session.get("n", 0) + 1
    return str(session["n"])


client = app.test_client()
assert [client.get("/count").data for _ in range(3)] == [b"1", b"2", b"3"]
(key,) = store.keys("session:*")
assert store.ttl(key) > 0
store.delete(key)
assert client.get("/count").data == b"1"
