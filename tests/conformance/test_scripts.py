"""Scripts in Lua next to redis-server's: every conversion, library and error text, byte for byte.

`scripts.txt` has a script a line; each runs on both servers, in RESP2 and RESP3, with two
keys and two arguments. Those that differ by version are listed with the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SCRIPTS = [
    line for line in (Path(__file__).parent / "scripts.txt").read_text("utf-8").splitlines() if line
]

#: Numbers as arguments: since Redis 7.2 whole ones are written as integers (double2ll).
SINCE_7_2 = {line for line in SCRIPTS if "1e17" in line or "-0.0) and" in line}


@pytest.mark.parametrize("protocol", [2, 3])
def test_scripts_answer_as_redis_does(both: Any, protocol: int) -> None:
    pair = both[protocol]
    pair.clear()
    different = []
    for line in SCRIPTS:
        if line in SINCE_7_2:
            continue
        ((ours, theirs),) = pair.raw(("EVAL", line, 2, "k1", "k2", "a1", "a2"))
        if ours != theirs:
            different.append(f"{line}\n   ours   {ours!r}\n   theirs {theirs!r}")
    assert len(SCRIPTS) > 200
    assert not different, "\n".join(different)


CALLS = [
    ("EVAL", "return 1", -1),
    ("EVAL", "return 1", 5),
    ("EVAL", "return 1", "x"),
    ("EVAL", "#!lua flags=foo\nreturn 1", 0),
    ("EVAL", "#!lua name=x\nreturn 1", 0),
    ("EVAL", "#!js\nreturn 1", 0),
    ("EVAL", "#!lua flags=no-writes", 0),
    ("EVAL", "#!lua\nreturn redis.call('set','a',1)", 0),
    ("EVAL", "#!lua flags=no-writes\n\nreturn redis.call('set','a',1)", 0),
    ("EVAL", "#!lua flags=no-writes,allow-oom\nreturn redis.call('get','a')", 0),
    ("EVAL_RO", "#!lua\nreturn 1", 0),
    ("EVAL_RO", "return redis.call('set','a',1)", 0),
    ("EVAL_RO", "return redis.pcall('publish','a',1)", 0),
    ("EVAL_RO", "return redis.call('get','a')", 0),
    ("EVALSHA", "abc", 0),
    ("EVALSHA", "f" * 40, 0),
    ("SCRIPT", "LOAD", "return 7"),
    ("EVALSHA", "4CA238F611C9D0AE4E9A75A5DBAC22AEDC1C1D46", 0),
    ("EVALSHA_RO", "4ca238f611c9d0ae4e9a75a5dbac22aedc1c1d46", 0),
    ("SCRIPT", "LOAD", "retur"),
    ("SCRIPT", "EXISTS", "a", "4ca238f611c9d0ae4e9a75a5dbac22aedc1c1d46"),
    ("SCRIPT", "FLUSH", "foo"),
    ("SCRIPT", "FLUSH", "ASYNC"),
    ("SCRIPT", "EXISTS", "4ca238f611c9d0ae4e9a75a5dbac22aedc1c1d46"),
    ("SCRIPT", "KILL"),
    ("SCRIPT", "DEBUG", "foo"),
    ("SCRIPT", "NOSUCH"),
    ("COMMAND", "GETKEYS", "EVAL", "return 1", 2, "a", "b", "c"),
    ("COMMAND", "GETKEYS", "FCALL", "f", 1, "a", "b"),
]


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_commands_of_scripts(both: Any, protocol: int) -> None:
    pair = both[protocol]
    pair.clear()
    different = [
        f"{call}\n   ours   {ours!r}\n   theirs {theirs!r}"
        for call in CALLS
        for ours, theirs in pair.raw(call)
        if ours != theirs
    ]
    assert not different, "\n".join(different)


LIBRARY = """#!lua name=l1
local function keys(k, a) return {k[1], a[1], redis.call("ping")} end
redis.register_function("f1", keys)
redis.register_function{function_name="ro", callback=function() return redis.call("set","a",1) end,
  flags={"no-writes"}, description="reads"}
redis.register_function("globals", function() return KEYS end)
redis.register_function("fails", function() error("no") end)
"""

FUNCTION_CALLS: list[tuple[str | int, ...]] = [
    ("FUNCTION", "FLUSH"),
    ("FUNCTION", "LOAD", LIBRARY),
    ("FUNCTION", "LOAD", LIBRARY),
    ("FUNCTION", "LOAD", "REPLACE", LIBRARY),
    *(
        ("FUNCTION", "LOAD", f"#!lua name=l2\n{code}")
        for code in (
            "return 1",
            'redis.call("ping")',
            "x=1",
            "retur 1",
            'redis.register_function("f1",function() end)',
            'redis.register_function("f1-",function() end)',
            'redis.register_function("f9")',
            'redis.register_function("f9",1)',
            "redis.register_function(1,2)",
            "redis.register_function()",
            'redis.register_function{function_name="a",callback=function() end,flags={"x"}}',
            'redis.register_function{function_name="a",callback=function() end,flags="x"}',
            'redis.register_function{function_name="a",callback=function() end,foo=1}',
            "redis.register_function{callback=function() end}",
            'redis.register_function{function_name="a"}',
            "redis.register_function{function_name={},callback=function() end}",
            'for i=1,2 do redis.register_function("a",function() end) end',
        )
    ),
    ("FUNCTION", "LOAD", "#!lua\nreturn 1"),
    ("FUNCTION", "LOAD", "#!js name=x\nreturn 1"),
    ("FUNCTION", "LOAD", "#!lua name=l-2\nreturn 1"),
    ("FUNCTION", "LOAD", "#!lua name=l2 foo=1\nreturn 1"),
    ("FUNCTION", "LOAD", "#!lua name=l2 name=l3\nreturn 1"),
    ("FUNCTION", "LOAD", "lua"),
    ("FUNCTION", "LOAD", "#!lua name=l2"),
    ("FUNCTION", "LOAD", "foo", "#!lua name=l2"),
    ("FCALL", "f1", 1, "k", "v"),
    ("FCALL", "ro", 0),
    ("FCALL", "globals", 0),
    ("FCALL", "fails", 0),
    ("FCALL", "nof", 0),
    ("FCALL", "f1", -1),
    ("FCALL", "f1", "a"),
    ("FCALL", "f1", 5),
    ("FCALL_RO", "f1", 1, "k", "v"),
    ("FCALL_RO", "ro", 0),
    ("FUNCTION", "LIST", "LIBRARYNAME", "x*"),
    ("FUNCTION", "LIST", "LIBRARYNAME"),
    ("FUNCTION", "LIST", "WITHCODE", "foo"),
    ("FUNCTION", "STATS"),
    ("FUNCTION", "KILL"),
    ("FUNCTION", "DELETE", "nolib"),
    ("FUNCTION", "FLUSH", "foo"),
    ("FUNCTION", "RESTORE", "abc"),
    ("FUNCTION", "RESTORE", "abc", "foo"),
    ("FUNCTION", "DELETE", "l1"),
    ("FCALL", "f1", 0),
    ("FUNCTION", "LIST"),
]


@pytest.mark.parametrize("protocol", [2, 3])
def test_functions_answer_as_redis_does(both: Any, protocol: int) -> None:
    pair = both[protocol]
    different = [
        f"{call}\n   ours   {ours!r}\n   theirs {theirs!r}"
        for call in FUNCTION_CALLS
        for ours, theirs in pair.raw(call)
        if ours != theirs
    ]
    assert not different, "\n".join(different)


def test_a_dump_of_functions_moves_between_the_servers(both: Any) -> None:
    pair = both[2]
    for source, target in ((pair.ours, pair.theirs), (pair.theirs, pair.ours)):
        source.ask("FUNCTION", "FLUSH")
        target.ask("FUNCTION", "FLUSH")
        source.ask("FUNCTION", "LOAD", LIBRARY)
        payload = source.ask("FUNCTION", "DUMP")
        assert target.ask("FUNCTION", "RESTORE", payload) == "OK"
        assert target.ask("FCALL", "f1", 1, "k", "v") == [b"k", b"v", "PONG"]
        assert "already exists" in target.ask("FUNCTION", "RESTORE", payload)
        assert target.ask("FUNCTION", "RESTORE", payload, "REPLACE") == "OK"
        assert target.ask("FUNCTION", "RESTORE", payload, "FLUSH") == "OK"
    pair.ours.ask("FUNCTION", "FLUSH")
    pair.theirs.ask("FUNCTION", "FLUSH")
