"""Scripts over real sockets: what they must never do or stop, and what relies on them.

Their replies are compared with redis-server's in `tests/conformance/test_scripts.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
import redis

from antecache.server.session import Session

BUSY = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
FOREVER = "while true do end"

#: Ways out of the sandbox that others have tried; each must end in an error or find nothing.
ESCAPES = [
    "return os.execute('id')",
    "return io.open('/etc/passwd')",
    "return require('os')",
    "return package.loaded.os",
    "return dofile('/etc/passwd')",
    "return loadfile('/etc/passwd')",
    "return debug.getregistry()",
    "return python.eval('1')",
    "return getfenv(0).os.execute",
    "setfenv(1, {})",
    "return newproxy(true)",
    "return module('x')",
    "return redis.call.__class__",
    "return redis.call['__globals__']",
    "return getmetatable(redis.call)['__index']",
    "return loadstring(string.dump(function() end))()",
    "return loadstring('\\27Lua')()",
    "local f = load(function() return '\\27Lua' end) return f()",
    "getmetatable('').__index = nil",
    "getmetatable('').__index.rep = 1",
    "string.rep = nil",
    "rawset(string, 'rep', nil)",
    "table.insert(redis, 1)",
    "setmetatable(redis, {})",
    "getmetatable(_G).__index = nil",
    "_G.redis = nil",
    "rawset(_G, 'redis', nil)",
    "for k, v in pairs(_G) do _G[k] = nil end",
    "redis.call = nil",
    "cjson.encode = nil",
    "local ok, e = pcall(redis.call) return e.args",
    "local ok, e = xpcall(redis.call, function(e) return e.__class__ end) return e",
    "local co = coroutine.create(redis.call) local ok, e = coroutine.resume(co) return e.__class__",
]


@pytest.fixture
async def client(serve: Any, connect: Any) -> Any:
    return await connect(await serve())


@pytest.mark.parametrize("code", ESCAPES)
async def test_the_sandbox_holds(client: Any, code: str) -> None:
    reply = await client.ask("EVAL", code, 0)
    assert reply is None or isinstance(reply, Exception), reply
    # And whatever it did harmed nobody else.
    check = "return {('x'):rep(2), type(redis.call), cjson.encode({1}), tostring(1)}"
    assert await client.ask("EVAL", check, 0) == [b"xx", b"function", b"[1]", b"1"]


async def test_no_object_of_python_is_in_reach(client: Any) -> None:
    walk = """
    local seen, found = {}, {}
    local function visit(value, path)
      if type(value) == "userdata" and value ~= cjson.null then found[#found + 1] = path end
      if type(value) ~= "table" or seen[value] then return end
      seen[value] = true
      for k, v in pairs(value) do visit(k, path .. ".key") visit(v, path .. "." .. tostring(k)) end
      visit(getmetatable(value), path .. ".meta")
    end
    visit(_G, "_G") visit(getmetatable(""), "string") visit(redis.pcall("info"), "info")
    redis.setresp(3) visit(redis.pcall("info"), "info3") visit(redis.pcall("ping"), "ping")
    visit(redis.pcall("nosuch"), "error")
    return found
    """
    assert await client.ask("EVAL", walk, 0) == []


async def test_arguments_and_results_are_bytes(client: Any) -> None:
    everything = bytes(range(256))
    assert await client.ask("EVAL", "return ARGV[1]", 0, everything) == everything
    await client.ask(
        "EVAL", "return redis.call('set', KEYS[1], ARGV[1])", 1, everything, everything
    )
    assert await client.ask("GET", everything) == everything


async def test_memory_of_scripts_is_limited(serve: Any, connect: Any) -> None:
    server = await serve(lua_maxmemory=16 << 20, busy_reply_threshold=0)
    client = await connect(server)
    await client.ask("SET", "big", b"x" * (10 << 20))
    for code in (
        "local s = 'x' while true do s = s .. s end",
        "local t = {} for i = 1, 1e9 do t[i] = {i} end",
        "local t = {} for i = 1, 10 do t[i] = redis.call('get', 'big') end",
        "return string.rep('x', 1e9)",
        "local t = {} for i = 1, 9 do t[i] = redis.pcall('get', 'big') end return t[9]",
    ):
        reply = await client.ask("EVAL", code, 0)
        assert "not enough memory" in str(reply), code
    assert "not enough memory" in str(
        await client.ask("EVAL", "return #ARGV[1]", 0, b"x" * (20 << 20))
    )
    assert await client.ask("EVAL", "return 5", 0) == 5
    assert server.scripts.memory < 20 << 20


FILL = [
    "for i = 1, %d do t[i] = string.rep('x', 50) .. i end",
    "for i = 1, %d do t[i] = {i} end",
    "for i = 1, %d do t[i] = function() return i end end",
    "for i = 1, %d do t[i] = coroutine.wrap(function() coroutine.yield() end) t[i]() end",
]
THEN = [
    "for i = 1, 20 do redis.pcall('get', {}) pcall(redis.call, 'get', t) end",
    "for i = 1, 9 do t[#t + 1] = redis.pcall('get', 'big') end",
    "for i = 1, 9 do t[#t + 1] = redis.pcall('lrange', 'list', 0, -1) end",
    "for i = 1, 1e4 do t[#t + 1] = redis.pcall('nosuch') end",
    "return {cjson.encode({pcall(cjson.encode, t)}), redis.sha1hex(string.rep('a', 1e6))}",
    "return cmsgpack.pack(t), struct.pack('s', string.rep('a', 3e6))",
    "error(t)",
    "return t",
]


async def test_whatever_fills_the_memory_leaves_the_server_as_it_was(
    serve: Any, connect: Any
) -> None:
    """Where Lua finds no memory outside of a protected call, it ends the process."""
    server = await serve(lua_maxmemory=4 << 20, busy_reply_threshold=0)
    client = await connect(server)
    await client.ask("SET", "big", b"x" * (1 << 20))
    await client.ask("RPUSH", "list", *(b"y" * 1000 for _ in range(300)))
    for at, then in enumerate(THEN):
        for size in (100, 9_000, 60_000):
            fill = FILL[(at + size // 9_000) % len(FILL)] % size
            await client.ask("EVAL", f"local t = {{}} {fill} {then}", 0)
            assert await client.ask("EVAL", "return 7", 0) == 7, (fill, then)
    await client.ask("SCRIPT", "FLUSH")
    assert server.scripts.memory == 0


class Two:
    """A client whose script is running beside the loop, and another."""

    def __init__(self, server: Any, first: Any, second: Any) -> None:
        self.server, self.first, self.second = server, first, second

    async def start(self, *words: Any) -> None:
        """Send a command, and return when others are told BUSY."""
        self.first.send(*words)
        while str(await self.second.ask("ECHO", "x")) != BUSY:
            await asyncio.sleep(0)


@pytest.fixture
async def two(serve: Any, connect: Any) -> Any:
    server = await serve(busy_reply_threshold=20)
    return Two(server, await connect(server), await connect(server))


async def test_an_endless_script_does_not_stop_the_server(two: Two, connect: Any) -> None:
    await two.start("EVAL", FOREVER, 0)
    third = await connect(two.server)
    assert str(await third.ask("GET", "a")) == BUSY
    assert str(await third.ask("FUNCTION", "KILL")) == BUSY
    status = await third.ask("FUNCTION", "STATS")
    assert status[1][3] == [b"EVAL", FOREVER.encode(), b"0"]
    assert await third.ask("SCRIPT", "KILL") == b"OK"
    reply = str(await two.first.read())
    assert reply.startswith("ERR Script killed by user with SCRIPT KILL. script: ")
    assert await two.first.ask("PING") == b"PONG"
    assert await third.ask("SET", "a", "1") == b"OK"
    assert str(await third.ask("SCRIPT", "KILL")).startswith("NOTBUSY ")


@pytest.mark.parametrize(
    "code",
    [
        "while true do pcall(function() while true do end end) end",
        "local function f() while true do end end while true do xpcall(f, f) end",
        "local co = coroutine.wrap(function() while true do end end) co()",
        "local f, c = function() while true do end end, coroutine "
        "while true do c.resume(c.create(f)) end",
        "while true do redis.pcall('get', 'a') end",
        "while true do pcall(redis.call, 'get', 'a') end",
        "while true do redis.pcall('nosuch') end",
        "local function f() return f() end f()",
        "repeat local t = {} t[1] = t pcall(cjson.encode, t) until false",
        "for i = 1, math.huge do pcall(error, {}) end",
        "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
    ],
)
async def test_no_script_escapes_its_end(two: Two, code: str) -> None:
    await two.start("EVAL", code, 0)
    assert await two.second.ask("SCRIPT", "KILL") == b"OK"
    assert "Script killed by user" in str(await two.first.read())
    assert await two.first.ask("EVAL", "for i = 1, 10 do end return 7", 0) == 7


async def test_what_was_sent_behind_a_script_waits_for_it(two: Two) -> None:
    two.first.send("SET", "a", "1")
    await two.start("EVAL", FOREVER, 0)
    two.first.send("GET", "a")
    two.first.send("INCR", "a")
    assert await two.second.ask("SCRIPT", "KILL") == b"OK"
    assert await two.first.read() == b"OK"
    assert "killed" in str(await two.first.read())
    assert [await two.first.read() for _ in range(2)] == [b"1", 2]


async def test_the_next_long_script_comes_right_behind_the_first(two: Two) -> None:
    await two.start("EVAL", FOREVER, 0)
    two.first.send("EVAL", FOREVER, 0)
    two.first.send("PING")
    assert await two.second.ask("SCRIPT", "KILL") == b"OK"
    assert "killed" in str(await two.first.read())
    while str(await two.second.ask("SCRIPT", "KILL")).startswith("NOTBUSY"):
        await asyncio.sleep(0)
    assert "killed" in str(await two.first.read())
    assert await two.first.read() == b"PONG"
    assert await two.second.ask("PING") == b"PONG"


async def test_a_connection_accepted_before_and_heard_of_after(two: Two) -> None:
    session = Session(two.server)  # as the listener makes one
    await two.start("EVAL", FOREVER, 0)
    assert not session.special
    two.server.connected(session)
    assert session.special
    two.server.disconnected(session)
    assert await two.second.ask("SCRIPT", "KILL") == b"OK"
    assert "killed" in str(await two.first.read())


async def test_many_clients_and_scripts_of_every_length(serve: Any, connect: Any) -> None:
    server = await serve(busy_reply_threshold=1)
    commands: list[tuple[Any, ...]] = [
        ("EVAL", "for i = 1, 300 do redis.call('incr', 'n') end return 1", 0),
        ("EVAL", "local x = 0 for i = 1, 100000 do x = x + i end return 1", 0),
        ("EVAL", "return redis.call('incr', 'm')", 0),
        ("SCRIPT", "KILL"),
        ("INCR", "m"),
    ]

    async def work(start: int) -> int:
        client = await connect(server)
        done = 0
        for at in range(25):
            reply = await client.ask(*commands[(start + at) % len(commands)])
            done += isinstance(reply, int)
        return done

    done = await asyncio.gather(*(work(start) for start in range(8)))
    assert sum(done) > 0
    client = await connect(server)
    while str(await client.ask("PING")) == BUSY:
        await asyncio.sleep(0)
    assert await client.ask("EVAL", "for i = 1, 1 do return 5 end", 0) == 5
    assert server.stats.internal_errors == 0
    assert int(await client.ask("GET", "n") or 0) % 300 == 0
    server.store.check()


async def test_a_script_that_wrote_is_not_killed(two: Two) -> None:
    code = "repeat local n = redis.call('incr', 'n') until n == 20000 return 'end'"
    await two.start("EVAL", code, 0)
    refusal = str(await two.second.ask("SCRIPT", "KILL"))
    # On a quick machine it may have ended meanwhile.
    assert refusal.startswith(("UNKILLABLE Sorry the script already executed write", "NOTBUSY "))
    assert await two.first.read() == b"end"
    assert await two.second.ask("GET", "n") == b"20000"


async def test_a_transaction_with_an_endless_script(two: Two) -> None:
    two.first.send("MULTI")
    two.first.send("SET", "a", "1")
    two.first.send("EVAL", FOREVER, 0)
    two.first.send("INCR", "a")
    await two.start("EXEC")
    assert await two.second.ask("SCRIPT", "KILL") == b"OK"
    assert [await two.first.read() for _ in range(4)] == [b"OK", b"QUEUED", b"QUEUED", b"QUEUED"]
    first, second, third = await two.first.read()
    assert (first, third) == (b"OK", 2)
    assert "killed" in str(second)
    assert await two.first.ask("GET", "a") == b"2"


async def test_a_client_that_goes_while_its_script_runs(two: Two) -> None:
    await two.start("EVAL", FOREVER, 0)
    two.first.close()
    assert await two.second.ask("SCRIPT", "KILL") == b"OK"
    while str(reply := await two.second.ask("ECHO", "x")) == BUSY:
        await asyncio.sleep(0)
    assert reply == b"x"


async def test_the_server_stops_though_a_script_does_not(two: Two) -> None:
    await two.start("EVAL", FOREVER, 0)
    two.second.send("SHUTDOWN", "NOSAVE")
    await asyncio.wait_for(two.server.serve(), 10)


async def test_a_blocked_client_is_served_after_the_script(serve: Any, connect: Any) -> None:
    server = await serve()
    waiting, other = await connect(server), await connect(server)
    waiting.send("BLPOP", "queue", 0)
    while not len(server.dispatch.blocked):
        await asyncio.sleep(0)
    code = "for i = 1, 3 do redis.call('rpush', 'queue', i) end return redis.call('llen', 'queue')"
    assert await other.ask("EVAL", code, 0) == 3
    assert await waiting.read() == [b"queue", b"1"]
    assert await other.ask("EVAL", "return redis.call('lrange', 'queue', 0, -1)", 0) == [b"2", b"3"]


async def test_a_script_trips_watch(serve: Any, connect: Any) -> None:
    server = await serve()
    watching, other = await connect(server), await connect(server)
    await watching.ask("WATCH", "a")
    await other.ask("EVAL", "for i = 1, 2 do redis.call('incr', 'a') end", 0)
    await watching.ask("MULTI")
    await watching.ask("GET", "a")
    assert await watching.ask("EXEC") is None


async def test_the_cache_of_scripts_forgets_what_eval_brought(serve: Any, connect: Any) -> None:
    server = await serve()
    client = await connect(server)
    kept = await client.ask("SCRIPT", "LOAD", "return 'kept'")
    for number in range(600):
        await client.ask("EVAL", f"return {number}", 0)
    last = hashlib.sha1(b"return 599").hexdigest()
    first = hashlib.sha1(b"return 0").hexdigest()
    assert await client.ask("SCRIPT", "EXISTS", kept, last, first) == [1, 1, 0]
    assert len(server.scripts.cache) == 501


async def test_declared_keys_are_loaded_before_the_script(shop: Any) -> None:
    client = await shop.client()
    code = "return {redis.call('hget', KEYS[1], 'id'), redis.call('get', KEYS[2])}"
    reply = await client.ask("EVAL", code, 2, "user:1", "page:nosuch")
    assert reply == [b"1", None]
    assert shop.statements == 2
    # What it did not declare is what is there: a script never waits half-way.
    assert await client.ask("EVAL", "return redis.call('hget', 'user:2', 'id')", 0) is None
    assert shop.statements == 0
    await client.ask("MULTI")
    await client.ask(
        "EVAL", "for i = 1, 1 do return redis.call('hget', KEYS[1], 'id') end", 1, "user:3"
    )
    assert await client.ask("EXEC") == [b"3"]


async def test_nothing_changes_under_a_script_that_runs_beside_the_loop(
    serve: Any, connect: Any
) -> None:
    server = await serve(
        backing="memory://?prefix=user&rows=10", busy_reply_threshold=20, load_timeout=5.0
    )
    reader, two = await connect(server), Two(server, await connect(server), await connect(server))
    release = asyncio.Event()
    get_many = server.backing.get_many

    async def slow(source: Any, keys: Any) -> Any:
        loaded = await get_many(source, keys)
        await release.wait()
        return loaded

    server.backing.get_many = slow
    reader.send("HGET", "user:1", "id")
    while not server.loader.inflight:
        await asyncio.sleep(0)
    code = "while redis.call('exists', 'user:1') == 0 do end return 'changed'"
    await two.start("EVAL", code, 0)
    release.set()
    for _ in range(20):  # the load has arrived, and the script still finds nothing
        assert str(await two.second.ask("ECHO", "x")) == BUSY
    assert await two.second.ask("SCRIPT", "KILL") == b"OK"
    assert "killed" in str(await two.first.read())
    assert await reader.read() == b"1"


async def test_monitors_see_what_scripts_call(serve: Any, connect: Any) -> None:
    server = await serve()
    monitor, client = await connect(server), await connect(server)
    await monitor.ask("MONITOR")
    await client.ask("EVAL", "return redis.call('set', 'a', 1)", 0)
    lines = [await monitor.read() for _ in range(2)]
    assert b'"EVAL" "return redis.call(' in lines[0]
    assert b' [0 lua] "set" "a" "1"' in lines[1]


async def test_a_full_store_refuses_what_scripts_would_add(serve: Any, connect: Any) -> None:
    server = await serve(maxkeys=2, policy="noeviction")
    client = await connect(server)
    await client.ask("MSET", "a", 1, "b", 2)
    server.store.limit = 1
    refused = str(await client.ask("EVAL", "return redis.call('set', 'c', 1)", 0))
    assert refused.startswith("OOM command not allowed when used memory > 'maxmemory'. script: ")
    plain = "#!lua\nreturn redis.call('get', 'a')"
    assert str(await client.ask("EVAL", plain, 0)).startswith("OOM allow-oom flag is not set on")
    for flags in ("allow-oom", "no-writes"):
        code = f"#!lua flags={flags}\nreturn redis.call('get', 'a')"
        assert await client.ask("EVAL", code, 0) == b"1"


async def test_redis_py_locks_and_registered_scripts(serve: Any) -> None:
    server = await serve()

    def use() -> None:
        with redis.Redis(port=server.port) as connection:
            lock = connection.lock("lock", timeout=10)
            assert lock.acquire(blocking=False)
            assert not connection.lock("lock", timeout=10).acquire(blocking=False)
            lock.extend(20)
            assert connection.pttl("lock") > 10_000
            lock.reacquire()
            lock.release()
            assert not connection.exists("lock")
            with pytest.raises(redis.exceptions.LockError):
                lock.release()
            add = connection.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
            assert [add(keys=["n"], args=[2]) for _ in range(2)] == [2, 4]
            connection.script_flush()
            assert add(keys=["n"], args=[3]) == 7
            pipeline = connection.pipeline()
            add(keys=["n"], args=[1], client=pipeline)
            assert pipeline.execute() == [8]

    await asyncio.to_thread(use)


async def test_the_code_of_a_library_has_little_time(client: Any) -> None:
    reply = str(await client.ask("FUNCTION", "LOAD", "#!lua name=x\nwhile true do end"))
    assert reply == "ERR Error registering functions: ERR FUNCTION LOAD timeout"
    assert await client.ask("FUNCTION", "LIST") == []


async def test_functions_call_what_their_library_kept(client: Any) -> None:
    code = """#!lua name=counter
    local step = 5
    local function bump(keys) step = step + 1 return redis.call('incrby', keys[1], step) end
    redis.register_function('bump', bump)
    """
    assert await client.ask("FUNCTION", "LOAD", code) == b"counter"
    assert [await client.ask("FCALL", "bump", 1, "n") for _ in range(2)] == [6, 13]
    assert await client.ask("FUNCTION", "LOAD", "REPLACE", code) == b"counter"
    assert await client.ask("FCALL", "bump", 1, "n") == 19


async def test_a_function_is_killed_by_function_kill(two: Two) -> None:
    code = "#!lua name=x\nredis.register_function('forever', function() while true do end end)"
    await two.second.ask("FUNCTION", "LOAD", code)
    two.first.send("FCALL", "forever", 0)
    while "FUNCTION KILL" not in str(await two.second.ask("ECHO", "x")):
        await asyncio.sleep(0)
    assert "FUNCTION KILL" in str(await two.second.ask("SCRIPT", "KILL"))
    assert await two.second.ask("FUNCTION", "KILL") == b"OK"
    assert "Script killed by user with FUNCTION KILL." in str(await two.first.read())
