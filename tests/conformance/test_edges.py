"""Hand-picked commands at the edges: errors, overflows, options, wrong types, empty arguments.

Each line is one script, sent to antecache and to redis-server on a connection each,
in both protocols; every reply must be the same byte for byte.
"""

from __future__ import annotations

import random
import shlex
import sys
from typing import Any

import pytest

wire = sys.modules["antecache_tests_wire"]

MAX = "9223372036854775807"
MIN = "-9223372036854775808"
TOO_LARGE = "9223372036854775808"

SCRIPTS = {
    "arity": "GET; GET a b; SET a; SETEX a 1; MSET a; MSET a b c; MSETNX a; HSET h f; HSET h f v g;"
    "HMSET h f v g; EXPIRE a; OBJECT; OBJECT ENCODING; OBJECT ENCODING a b; EXEC a; WATCH",
    "unknown": "NOSUCH; NOSUCH a b c; OBJECT NOSUCH a; OBJECT nosuch; get nokey; GeT nokey",
    "set options": "SET a 1 NX; SET a 2 NX; SET a 3 XX; SET b 1 XX; SET a 4 NX XX; SET a 4 XX NX;"
    "SET a 5 NX GET; SET n 5 NX GET; SET a 6 XX GET; SET m 6 XX GET; GET n; GET m; GET a;"
    "SET a 7 GET; SET a 8 GET GET; SET a 9 nx nx; SET a x BOGUS; SET a x EX; SET a x EX 10 PX 10;"
    "SET a x EX 10 EX 20; SET a x KEEPTTL EX 10; SET a x EX 10 KEEPTTL; SET a x PERSIST; SET a ''",
    "set expiry": f"SET a 1 EX 0; SET a 1 EX -1; SET a 1 PX 0; SET a 1 EX x; SET a 1 EX 1.5;"
    f"SET a 1 EX {MAX}; SET a 1 PX {MAX}; SET a 1 EX {TOO_LARGE}; SET a 1 EX 9223372036854775;"
    f"SET a 1 EXAT 0; SET a 1 PXAT -1; SET a 1 EXAT {MAX}; SET a 1 PXAT {MAX}; TYPE a; EXISTS a;"
    "SET a 1 EXAT 1; GET a; SET a 1; SET a 2 PXAT 1; EXISTS a; SET a 1 EX ''",
    "set keeps": "SET a 1 EX 1000; SET a 2 KEEPTTL; PERSIST a; SET a 1 EX 1000; SET a 3; PERSIST a;"
    "SET a 1 PX 1000000; SET a 2 XX KEEPTTL; GET a; PERSIST a; SET b 1 KEEPTTL; PERSIST b",
    "setex": f"SETEX a 0 x; SETEX a -5 x; SETEX a {MAX} x; SETEX a x x; PSETEX a 0 x;"
    f"PSETEX a {MAX} x; PSETEX a 9223370000000000000 x; EXISTS a; SETEX a 100 x; GET a",
    "getex": f"GETEX no; GETEX no EX 0; GETEX no BOGUS; SET a 1; GETEX a EX 0; GETEX a EX {MAX};"
    "GETEX a PERSIST EX 1; GETEX a EX 1 PERSIST; GETEX a KEEPTTL; GETEX a EX; GETEX a NX;"
    "GETEX a EX 100; PERSIST a; GETEX a EXAT 1; EXISTS a; HSET h f v; GETEX h; GETEX h EX 0;"
    "SET a 1 EX 100; GETEX a PERSIST; PERSIST a; GETEX a PXAT 9999999999999; GETEX a persist",
    "wrong type, strings": "HSET h f v; GET h; SET h x GET; GETSET h x; GETDEL h; APPEND h x; INCR h;"
    "INCRBY h 1; INCRBY h x; INCRBYFLOAT h 1; INCRBYFLOAT h x; STRLEN h; GETRANGE h 0 1;"
    "GETRANGE h x 1; SETRANGE h 0 x; SETRANGE h 0 ''; SETRANGE h -1 x; MGET h; SUBSTR h 0 1;"
    "LCS h h; LCS h no; LCS h h BOGUS; SETNX h x; MSETNX h x; SET h x NX; SET h x; GET h",
    "wrong type, hashes": "SET s x; HGET s f; HSET s f v; HMSET s f v; HSETNX s f v; HMGET s f;"
    "HGETALL s; HDEL s f; HEXISTS s f; HLEN s; HKEYS s; HVALS s; HINCRBY s f 1; HINCRBY s f x;"
    "HINCRBYFLOAT s f 1; HINCRBYFLOAT s f x; HSTRLEN s f; HSCAN s 0; HSCAN s x; HSCAN s 0 COUNT;"
    "HRANDFIELD s; HRANDFIELD s 1; HRANDFIELD s x; HRANDFIELD s 1 BOGUS",
    "counting": f"SET a {MAX}; INCR a; INCRBY a 1; DECR a; INCR a; INCR a; SET a {MIN}; DECR a;"
    f"DECRBY a 1; INCRBY a -1; INCRBY b {MIN}; DECRBY b {MIN}; DECRBY c {MAX}; INCRBY d {MAX};"
    f"DECRBY d -1; INCRBY d {TOO_LARGE}; INCRBY d ' 1'; INCRBY d +1; INCRBY d 01; INCRBY d ''",
    "no integers": "SET a ' 1'; INCR a; SET a '1 '; INCR a; SET a +1; INCR a; SET a 01; INCR a;"
    "SET a -0; INCR a; SET a 1_0; INCR a; SET a 1e3; INCR a; SET a ''; INCR a; SET a 0x1; INCR a;"
    f"SET a {TOO_LARGE}; INCR a; SET a -; INCR a; SET a 00; INCR a; SET a -01; DECR a;"
    "SET a 123456789012345678901234567890; INCR a; SET a -7; INCR a; SET a 1.0; INCR a",
    "floats": "INCRBYFLOAT a 0.1; INCRBYFLOAT a 0.2; INCRBYFLOAT a -0.3; INCRBYFLOAT b 3.0e3;"
    "INCRBYFLOAT b 200; INCRBYFLOAT c 1e-17; INCRBYFLOAT c 1e-18; INCRBYFLOAT d 1e300;"
    "INCRBYFLOAT d 1e300; INCRBYFLOAT e 1e4931; INCRBYFLOAT e 1e4932; INCRBYFLOAT e 1e4932;"
    "INCRBYFLOAT e 1e4933; INCRBYFLOAT f inf; INCRBYFLOAT f -inf; INCRBYFLOAT f nan;"
    "INCRBYFLOAT f ' 1'; INCRBYFLOAT f '1 '; INCRBYFLOAT f +1; INCRBYFLOAT f .5;"
    "INCRBYFLOAT f 5.; INCRBYFLOAT f .; INCRBYFLOAT f 0x1p4; INCRBYFLOAT f 0x.8;"
    "INCRBYFLOAT f 1e; INCRBYFLOAT f ''; INCRBYFLOAT f infinity; INCRBYFLOAT g 17;"
    "SET h ' 1'; INCRBYFLOAT h 1; SET h inf; INCRBYFLOAT h 1; INCRBYFLOAT h -inf; GET g;"
    "INCRBYFLOAT i 1e-5000; INCRBYFLOAT i 0e-99999999999999999999; INCRBYFLOAT j -0.0;"
    "INCRBYFLOAT k 1.123456789012345678901234567890; INCRBYFLOAT k 0.000000000000000001;"
    "INCRBYFLOAT l 9007199254740993; INCRBYFLOAT l 18446744073709551615; INCRBYFLOAT l 1",
    "ranges": "SET a 'This is a string'; GETRANGE a 0 3; GETRANGE a -3 -1; GETRANGE a 0 -1;"
    "GETRANGE a 10 100; GETRANGE a 5 3; GETRANGE a -100 -99; GETRANGE a 0 -100; GETRANGE a -1 -5;"
    f"GETRANGE a 100 200; GETRANGE no 0 -1; GETRANGE a {MIN} {MAX}; GETRANGE a {TOO_LARGE} 1;"
    "GETRANGE a -5 -3; SUBSTR a 1 1; SET e ''; GETRANGE e 0 0; GETRANGE e -1 -1; GETRANGE e 0 -5",
    "setrange": "SETRANGE a 0 ''; EXISTS a; SETRANGE a 5 x; GET a; SETRANGE a 0 hello; GET a;"
    "SETRANGE a 2 ''; SETRANGE a -1 x; SETRANGE a x x; SETRANGE a 536870912 x;"
    f"SETRANGE b 536870911 ''; SETRANGE b {MAX} x; EXISTS b; SETRANGE a 6 tail; GET a; STRLEN a",
    "lcs": "MSET a ohmytext b mynewtext; LCS a b; LCS a b LEN; LCS a b IDX; LCS a b IDX MINMATCHLEN 4;"
    "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN; LCS a b LEN IDX; LCS a b BOGUS; LCS a b MINMATCHLEN;"
    "LCS a b MINMATCHLEN x; LCS a b IDX MINMATCHLEN -5; LCS a no; LCS no no IDX; LCS a a IDX;"
    "MSET x AAAABBBB y BBBBAAAA; LCS x y IDX; LCS y x; MSET x '' y abc; LCS x y IDX; LCS a b WITHMATCHLEN",
    "expire": f"EXPIRE no 10; EXPIRE no x; EXPIRE no 10 BOGUS; SET a 1; EXPIRE a x; EXPIRE a {MAX};"
    f"EXPIRE a {MIN}; EXPIRE a 9223372036854775; PEXPIRE a {MAX}; EXISTS a; EXPIREAT a {MAX};"
    "EXPIRE a 10 NX XX; EXPIRE a 10 GT LT; EXPIRE a 10 NX GT; EXPIRE a 10 BOGUS; EXPIRE a x BOGUS;"
    "EXPIRE a 10 XX; EXPIRE a 10 GT; EXPIRE a 1000 LT; EXPIRE a 100 NX; EXPIRE a 2000 GT;"
    "EXPIRE a 100 GT; EXPIRE a 100 XX; EXPIRE a 50 LT XX; EXPIRE a 1000 LT; EXPIRE a 10 gt xx;"
    "EXPIRE a 1.5; EXPIRE a ''; EXPIRE a 0; EXISTS a",
    "expire in the past": f"SET a 1; PEXPIREAT a 1; GET a; SET a 1; EXPIREAT a -5; GET a; SET a 1;"
    f"PEXPIRE a -1; EXISTS a; SET a 1; PEXPIREAT a {MIN}; EXISTS a; SET a 1; EXPIRE a -1 GT;"
    "EXISTS a; SET a 1; EXPIRE a -1 LT; EXISTS a; SET a 1; EXPIRE a -1 XX; EXISTS a",
    "ttl": "TTL no; PTTL no; EXPIRETIME no; PEXPIRETIME no; SET a 1; TTL a; PTTL a; EXPIRETIME a;"
    "PEXPIRETIME a; PERSIST a; PERSIST no; EXPIREAT a 9999999999; EXPIRETIME a; PEXPIRETIME a;"
    "PEXPIREAT a 9999999999999; EXPIRETIME a; PEXPIRETIME a; PERSIST a; TTL a;"
    "PEXPIREAT a 9999999999499; EXPIRETIME a; PEXPIREAT a 9999999999500; EXPIRETIME a",
    "rename": "RENAME no x; RENAME no no; RENAMENX no x; SET a 1; RENAME a a; RENAMENX a a; GET a;"
    "SET b 2; RENAMENX a b; RENAME a b; GET b; EXISTS a; SET c 1 EX 1000; RENAME c d; PERSIST d;"
    "SET c 1; SET d 2 EX 1000; RENAME c d; TTL d; HSET h f v; RENAME h d; HGETALL d; EXISTS c h",
    "copy": "COPY no x; COPY a a; COPY a a DB 0; SET a 1 EX 1000; COPY a b; PERSIST b; COPY a b;"
    "COPY a b REPLACE; PERSIST b; COPY a b DB 99; COPY a b DB x; COPY a b DB; COPY a b BOGUS;"
    "COPY a a DB 1; SELECT 1; GET a; COPY a b DB 0; COPY a b DB 0 REPLACE; COPY a b DB -1;"
    "SELECT 0; HSET h f v; COPY h i; HSET i f w; HGET h f; COPY h i REPLACE; HGET i f",
    "move": "MOVE no 1; MOVE no 0; MOVE no 99; MOVE no x; SET a 1 EX 1000; MOVE a 1; EXISTS a;"
    "SELECT 1; GET a; PERSIST a; SELECT 0; SET a 2; MOVE a 1; GET a; MOVE a -1; SELECT 1; FLUSHDB",
    "swapdb": "SET a 0; SELECT 1; SET a 1; SET b 1; SWAPDB 0 1; GET a; EXISTS b; SELECT 0; GET a;"
    "SWAPDB 0 0; SWAPDB x 1; SWAPDB 0 x; SWAPDB 0 99; SWAPDB -1 0; SWAPDB 1 0; GET a; FLUSHALL",
    "flush": "SET a 1; FLUSHDB BOGUS; FLUSHDB SYNC ASYNC; FLUSHALL BOGUS; DBSIZE; FLUSHDB async;"
    "DBSIZE; SET a 1; SELECT 1; SET b 1; FLUSHDB; SELECT 0; DBSIZE; FLUSHALL SYNC; DBSIZE",
    "keys": "MSET a 1 ab 2 abc 3 a[c 4 a*c 5 '' 6; EXISTS a a a no; TOUCH a a no; DEL a a no;"
    "UNLINK ab no; KEYS x; KEYS ab; KEYS a[[]c; KEYS a\\\\*c; KEYS a[; KEYS ''; TYPE ''; TYPE no; GET ''",
    "scan": "SET a 1; SCAN 0; SCAN x; SCAN +; SCAN -; SCAN +0; SCAN -0; SCAN ' 1'; SCAN 1x; SCAN ''; SCAN 0 COUNT;"
    "SCAN 0 COUNT 0; SCAN 0 COUNT -1; SCAN 0 COUNT x; SCAN 0 MATCH; SCAN 0 BOGUS 1;"
    "SCAN 18446744073709551616; SCAN 0 TYPE string; SCAN 0 TYPE STRING; SCAN 0 TYPE hash;"
    "SCAN 0 TYPE bogus; SCAN 0 match a count 5 type string; SCAN 0 MATCH b; SCAN 0 NOVALUES x",
    "hash": "HSET h f 1 f 2 g 3; HGETALL h; HSET h f 1; HMSET h f 1 k 2; HSETNX h f 9; HSETNX h n 9;"
    "HGET h no; HGET no f; HMGET h f no f; HMGET no f g; HLEN h; HLEN no; HEXISTS h f;"
    "HEXISTS h no; HSTRLEN h f; HSTRLEN h no; HKEYS no; HVALS no; HGETALL no; HDEL h f f no;"
    "HDEL no f; HDEL h g k n; EXISTS h; HSET h '' ''; HGETALL h; HSTRLEN h ''; HEXISTS h ''",
    "hash counting": f"HINCRBY h f 1; HINCRBY h f {MAX}; HINCRBY h f x; HINCRBY h g {MIN};"
    f"HINCRBY h g -1; HINCRBY h g {TOO_LARGE}; HSET h t text; HINCRBY h t 1; HINCRBYFLOAT h t 1;"
    "HSET h s ' 1'; HINCRBY h s 1; HINCRBYFLOAT h s 1; HINCRBYFLOAT h f 0.5; HINCRBY h f 1;"
    "HINCRBYFLOAT h f inf; HINCRBYFLOAT h f nan; HINCRBYFLOAT h f x; HINCRBYFLOAT h n 1e4932;"
    "HINCRBYFLOAT h n 1e4932; HSET h i inf; HINCRBYFLOAT h i 1; HINCRBYFLOAT h e 3.0e3; HGET h e;"
    "HINCRBYFLOAT no f inf; EXISTS no; HINCRBY no f x; EXISTS no",
    "hrandfield": f"HRANDFIELD no; HRANDFIELD no 5; HRANDFIELD no -5 WITHVALUES; HSET h f v;"
    f"HRANDFIELD h; HRANDFIELD h 0; HRANDFIELD h 5; HRANDFIELD h -2; HRANDFIELD h 5 WITHVALUES;"
    f"HRANDFIELD h -2 withvalues; HRANDFIELD h x; HRANDFIELD h {MIN}; HRANDFIELD h {MAX};"
    f"HRANDFIELD h {MAX} WITHVALUES; HRANDFIELD h -{MAX} WITHVALUES; HRANDFIELD h 1 BOGUS;"
    "HRANDFIELD h 1 WITHVALUES x; HRANDFIELD h 0 WITHVALUES; HRANDFIELD h 1.5",
    "hscan": "HSET h f v g w; HSCAN h 0; HSCAN h 0 MATCH f*; HSCAN h 0 COUNT 1; HSCAN h x;"
    "HSCAN h 0 COUNT 0; HSCAN h 0 COUNT x; HSCAN h 0 MATCH; HSCAN no 0; HSCAN no 0 BOGUS;"
    "HSCAN no x; HSCAN h 0 TYPE string; HSCAN h 0 MATCH x; HSCAN h 0 BOGUS x",
    "encodings": f"SET a 1; OBJECT ENCODING a; SET a {MAX}; OBJECT ENCODING a; SET a {TOO_LARGE};"
    "OBJECT ENCODING a; SET a 01; OBJECT ENCODING a; SET a ''; OBJECT ENCODING a; SET a -0;"
    f"OBJECT ENCODING a; SET a {'x' * 44}; OBJECT ENCODING a; SET a {'x' * 45}; OBJECT ENCODING a;"
    f"HSET h f v; OBJECT ENCODING h; HSET h f {'x' * 64}; OBJECT ENCODING h; OBJECT ENCODING no;"
    f"HSET h f {'x' * 65}; OBJECT ENCODING h; OBJECT FREQ no; OBJECT REFCOUNT no; OBJECT IDLETIME no;"
    "OBJECT FREQ a; INCR c; OBJECT ENCODING c; INCRBYFLOAT c 0.5; OBJECT ENCODING c",
    "transaction": "EXEC; DISCARD; MULTI; MULTI; EXEC; MULTI; SET a 1; GET a; EXEC; MULTI; DISCARD;"
    "EXEC; MULTI; SET a x; INCR a; GET a; EXEC; GET a; MULTI; EXEC; MULTI; WATCH a; EXEC; UNWATCH;"
    "MULTI; HSET h f v; HGETALL h; HSET h f w; HGETALL h; EXEC; MULTI; SELECT 1; SET s 1; EXEC;"
    "GET s; SELECT 0; GET s; MULTI; UNWATCH; EXEC; MULTI; DBSIZE; FLUSHALL; DBSIZE; EXEC",
    "transaction refused": "MULTI; SET a; SET a 1; EXEC; GET a; MULTI; NOSUCH; EXEC; MULTI;"
    "OBJECT NOSUCH a; EXEC; MULTI; SET b; DISCARD; GET b; EXEC; MULTI; SET; WATCH x; EXEC; WATCH a;"
    "SET a 2; MULTI; NOSUCH; EXEC; MULTI; SET c 1; EXEC",
    "watch": "WATCH a; SET a 1; MULTI; GET a; EXEC; MULTI; GET a; EXEC; WATCH a; GET a; MULTI; EXEC;"
    "WATCH a; DEL a; MULTI; EXEC; WATCH no; DEL no; MULTI; EXEC; WATCH a; SET a 1; UNWATCH; MULTI;"
    "EXEC; WATCH a; SET a 2; MULTI; DISCARD; MULTI; EXEC; WATCH a b; FLUSHALL; MULTI; EXEC;"
    "WATCH a; FLUSHALL; MULTI; EXEC; SET a 1; WATCH a; EXPIRE a 100; MULTI; EXEC; WATCH a;"
    "APPEND a ''; MULTI; EXEC; WATCH a; INCR a; MULTI; EXEC; HSET h f v; WATCH h; HSET h f v; MULTI;"
    "EXEC; WATCH h; HDEL h no; MULTI; EXEC; WATCH h; HDEL h f; MULTI; EXEC; WATCH a; PERSIST a;"
    "MULTI; EXEC; WATCH a; PERSIST a; MULTI; EXEC; WATCH a; RENAME a b; MULTI; EXEC; WATCH a;"
    "RENAME b a; MULTI; EXEC; WATCH z; COPY a z; MULTI; EXEC; WATCH a; SETNX a 1; MULTI; EXEC;"
    "WATCH a; SELECT 1; SET a 1; SELECT 0; MULTI; EXEC; WATCH a; SWAPDB 0 1; MULTI; EXEC; WATCH a;"
    "GETEX a; MULTI; EXEC; WATCH a; GETEX a EX 100; MULTI; EXEC; WATCH a; GETDEL a; MULTI; EXEC;"
    "WATCH q; SWAPDB 0 1; MULTI; EXEC; SELECT 1; FLUSHALL; SELECT 0",
}


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", SCRIPTS)
def test_edge(both: Any, name: str, protocol: int) -> None:
    pair = both[protocol]
    pair.clear()
    commands = [shlex.split(line) for line in SCRIPTS[name].split(";")]
    different = [
        (argv, ours, theirs)
        for argv, (ours, theirs) in zip(commands, pair.raw(*commands), strict=True)
        if ours != theirs
    ]
    assert not different, "\n".join(f"{argv}\n  {a!r}\n  {b!r}" for argv, a, b in different)
    pair.check()


def test_large_hash(both: Any) -> None:
    pair = both[2]
    pair.clear()
    fields = [part for n in range(600) for part in (f"field:{n}", n)]
    pair.raw(("HSET", "h", *fields[:1024]), ("OBJECT", "ENCODING", "h"))
    for line in ("OBJECT ENCODING h", "HSET h one more", "OBJECT ENCODING h", "HLEN h"):
        ((ours, theirs),) = pair.raw(line.split())
        assert ours == theirs, line
    pair.raw(("HSET", "h", *fields))
    for options in ((), ("COUNT", 7), ("COUNT", 10_000), ("MATCH", "*5*")):
        walked = [walk(side, "HSCAN", "h", *options) for side in (pair.ours, pair.theirs)]
        assert walked[0] == walked[1]
    assert walk(pair.ours, "HSCAN", "h", "NOVALUES") == {
        f"field:{n}".encode() for n in range(600)
    } | {b"one"}
    pair.check()


def walk(connection: Any, *command: Any) -> set[Any]:
    """Everything a scan returns: names, or (name, value) pairs."""
    cursor, found = b"0", []
    while True:
        cursor, page = connection.ask(*command[:2], cursor, *command[2:])
        found += page
        if cursor == b"0":
            break
    if "NOVALUES" in command:
        return set(found)
    return set(zip(found[::2], found[1::2], strict=True))


def test_long_common_subsequences(both: Any) -> None:
    pair = both[2]
    rng = random.Random(7)
    for size, letters in ((3, "ab"), (40, "ab"), (200, "abcd"), (700, "abcdefghij")):
        for _ in range(12):
            one, two = ("".join(rng.choices(letters, k=rng.randint(0, size))) for _ in "12")
            for argv in (("LCS", "x", "y"), ("LCS", "x", "y", "IDX"), ("LCS", "x", "y", "LEN")):
                pair.raw(("MSET", "x", one, "y", two))
                ((ours, theirs),) = pair.raw(argv)
                assert ours == theirs, (argv, one, two)


def test_glob_patterns(both: Any) -> None:
    pair = both[2]
    pair.clear()
    rng = random.Random(11)
    names = {"".join(rng.choices("ab]-^\\[*", k=rng.randint(0, 5))) for _ in range(300)}
    names |= {bytes(rng.choices(range(120, 140), k=2)) for _ in range(40)}
    pair.raw(("MSET", *(part for name in names for part in (name, "1"))))
    for _ in range(600):
        if rng.random() < 0.2:
            pattern: Any = b"[" + bytes(rng.choices([*range(120, 140), 45, 93], k=4)) + b"]*"
        else:
            pattern = "".join(rng.choices("ab]-^\\[*?", k=rng.randint(0, 7)))
        ours, theirs = (set(side.ask("KEYS", pattern)) for side in (pair.ours, pair.theirs))
        assert ours == theirs, pattern
