"""The key events of every command that writes, next to those of a real redis-server.

What this file does not do: how events are chosen and when there are none (`test_notifications.py`).
"""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from antecache.server import command as table

# `PASS` waits until the 1 ms that keys were given has passed.
COMMANDS = """
SET a 1 | SET a 2 | SET b 1 EX 100 | SET b 1 PXAT 1000 | SET b 1 NX | SET nx 1 XX | SET g 1 GET
SET b 1 KEEPTTL | SETEX c 100 v | PSETEX c 100000 v | SETNX a 1 | SETNX d 1 | GETEX a
GETEX a EX 100 | GETEX a PERSIST | GETEX a PERSIST | GETEX a PXAT 1 | GETEX nokey | GETDEL d
GETDEL d | GETSET e 1 | GETSET e 1 | MSET a 1 b 2 newk 3 | MSETNX a 1 y 2 | MSETNX x1 1 x2 2
MGET a nokey1 nokey2 | GET nokey | STRLEN nokey | EXISTS nokey a nokey3 | TTL nokey
PEXPIRETIME nokey | TYPE nokey | OBJECT ENCODING nokey | MEMORY USAGE nokey | TOUCH nokey
APPEND a x | APPEND ap x | APPEND ap "" | SETRANGE ap 1 zz | SETRANGE sr 1 zz
SETRANGE sr2 1 "" | GETRANGE nokey 0 1 | INCR i | INCR i | DECR i | INCRBY i 5 | DECRBY i 5
INCRBYFLOAT i 0.5 | INCRBYFLOAT if 0.5 | LCS a nokey | HSET h f 1 | HSET h f 1 | HSET h f 1 g 2
HMSET h2 a b | HSETNX h f 1 | HSETNX h q 1 | HSETNX h3 q 1 | HINCRBY h f 1 | HINCRBY h4 f 1
HINCRBYFLOAT h f 1 | HINCRBYFLOAT h5 f 1 | HDEL h nof | HDEL h f | HDEL h3 q | HGET nokey f
HMGET nokey f | HGETALL nokey | HKEYS nokey | HVALS nokey | HLEN nokey | HEXISTS nokey a
HSTRLEN nokey a | HRANDFIELD nokey | HRANDFIELD nokey 2 | HSCAN nokey 0 | DEL h2 nokey
UNLINK h4 nokey | EXPIRE a 100 | EXPIRE a 100 NX | EXPIRE nokey 100 | EXPIRE a -1
PEXPIREAT b 1 | EXPIREAT newk 99999999999 | PERSIST newk | PERSIST newk | PERSIST nokey
SET ra 1 | RENAME ra rb | SET ra 1 | RENAME ra rb | RENAME rb rb | RENAME nokey x
RENAMENX rb rc | SET rb 1 | RENAMENX rb rc | COPY rc rd | COPY rc rd | COPY rc rd REPLACE
COPY nokey rd | COPY rc rd DB 3 | MOVE rc 4 | MOVE nokey 4 | MOVE rc 4 | SET m5 1 EX 100
MOVE m5 5 | SELECT 7 | SET in7 1 | SELECT 0 | MULTI | SET tx 1 | INCR tx | GET nokey | DEL tx
EXEC | WRONG a | INCR h | RPUSH l a b c | RPUSH l d | LPUSH l e f | LPUSHX l g | LPUSHX nokey g
RPUSHX l g | LSET l 0 x | LINSERT l BEFORE x y | LINSERT l BEFORE no y | LREM l 0 no
LREM l 1 x | LREM l -1 a | LTRIM l 0 -2 | LTRIM l 0 100 | LPOP l | RPOP l 2 | LPOP l 0
LMOVE l l2 LEFT RIGHT | LMOVE l l LEFT RIGHT | RPOPLPUSH l2 l | LMPOP 2 nokey l LEFT COUNT 100
RPUSH l a | RPOP l | RPUSH l a | LREM l 0 a | RPUSH l a | LTRIM l 1 0 | LTRIM nokey 0 1
RPUSH l a b | BLPOP nokey l 0 | BRPOPLPUSH l l2 0 | BLMOVE l2 l LEFT RIGHT 0
BLMPOP 0 1 l LEFT COUNT 5 | BLPOP nokey 0.001 | LRANGE nokey 0 1 | LLEN nokey | LINDEX nokey 0
LPOS nokey a | LPOP nokey | SADD s a b c | SADD s a | SADD s2 a | SREM s a z | SREM s z
SMOVE s s2 b | SMOVE s s2 b | SMOVE s s c | SMOVE s s3 c | SADD s a | SPOP s | SADD s a
SPOP s 5 | SPOP s 5 | SADD s a | SPOP s 0 | SREM s a | SADD s x y | SINTERSTORE d s s2
SINTERSTORE d s s | SINTERSTORE d s nokey | SUNIONSTORE d s s2 | SUNIONSTORE d s
SDIFFSTORE d s nokey | SDIFFSTORE d s s | SDIFFSTORE d nokey | SINTER s nokey | SMEMBERS nokey
SCARD nokey | SISMEMBER nokey a | SMISMEMBER nokey a b | SRANDMEMBER nokey | SSCAN nokey 0
SINTERCARD 2 s nokey | RPUSH l 2 1 | SORT l | SORT l STORE d | SORT l STORE l
SORT nokey STORE l | SORT nokey STORE l | SADD s4 x | SORT s4 BY nokey_* ALPHA GET nokey_*
SORT_RO nokey | SET px 1 PX 1 | PASS | GET px | SET px 1 PX 1 | PASS | SET px 2 | HSET hx a b
PEXPIRE hx 1 | PASS | HSET hx a b | SET px 1 PX 1 | PASS | DEL px | SET px 1 PX 1 | PASS
EXISTS px | SET px 1 PX 1 | PASS | INCR px | SET px 1 PX 1 | PASS | SETNX px 3 | SET px 1 PX 1
PASS | SET px 3 XX | SET px 1 PX 1 | PASS | SETEX px 100 v | SET px 1 PX 1 | PASS | MSET px 1
SET px 1 PX 1 | PASS | APPEND px 1 | SET px 1 PX 1 | PASS | RENAME g px | COPY newk px
FLUSHDB | SET fl 1 | SWAPDB 0 1 | FLUSHALL
"""


# Left out for what 7.0 does otherwise than 7.4: XREAD of an absent key misses it twice, XCLAIM
# that claims nothing makes no consumer.
TYPES = """
RPUSH l a b c | RPUSH l a | LPUSH l z | LPUSHX nol a | RPUSHX l q | LPOP l | RPOP l 2
LPOP nokey | LPOP nokey 2 | LRANGE nokey 0 1 | LLEN nokey | LINDEX nokey 0 | LPOS nokey a
LSET l 0 x | LINSERT l BEFORE x y | LINSERT l BEFORE nosuch y | LREM l 0 x | LREM l 0 nosuch
LTRIM l 0 0 | LTRIM l 5 6 | RPUSH l a b | RPOPLPUSH l l2 | RPOPLPUSH l l2 | RPOPLPUSH nokey l2
LMOVE l2 l3 LEFT RIGHT | LMOVE l2 l2 LEFT RIGHT | LMPOP 2 nokey l2 LEFT COUNT 1
LMPOP 1 nokey LEFT | BLPOP l3 1 | RPUSH l3 a | BRPOP l3 1 | RPUSH l3 a b c
BLMOVE l3 l4 LEFT RIGHT 1 | BRPOPLPUSH l3 l4 1 | BLMPOP 1 1 l4 LEFT COUNT 5 | RPUSH s1 3 1 2
SORT s1 STORE sd | SORT nokey STORE sd | SORT nokey | SORT_RO nokey | SADD s a b c | SADD s a
SREM s a nosuch | SREM s nosuch | SISMEMBER nokey a | SMISMEMBER nokey a | SCARD nokey
SMEMBERS nokey | SRANDMEMBER nokey | SSCAN nokey 0 | SPOP s | SPOP s 5 | SPOP nokey
SPOP nokey 2 | SADD s a b | SMOVE s t a | SMOVE s t nosuch | SMOVE s t b | SMOVE nokey t b
SADD u a x | SINTER u nokey | SUNION u nokey | SDIFF nokey u | SINTERCARD 2 u nokey
SINTERSTORE d u t | SINTERSTORE d u nokey | SUNIONSTORE d u t | SDIFFSTORE d u u
SDIFFSTORE d u nokey | ZADD z 1 a 2 b 3 c | ZADD z 1 a | ZADD z XX 1 nosuch | ZADD z INCR 1 a
ZADD z NX 5 a | ZADD noz XX 1 a | ZINCRBY z 1 a | ZREM z a nosuch | ZREM z nosuch
ZSCORE nokey a | ZMSCORE nokey a | ZRANK nokey a | ZCARD nokey | ZCOUNT nokey 0 1
ZLEXCOUNT nokey - + | ZRANGE nokey 0 -1 | ZREVRANGE nokey 0 -1 | ZRANGEBYSCORE nokey 0 1
ZRANDMEMBER nokey | ZSCAN nokey 0 | ZADD z 1 a 2 b 3 c 4 d 5 e 6 f | ZPOPMIN z | ZPOPMAX z 2
ZPOPMIN nokey | BZPOPMIN z 1 | BZPOPMAX z 1 | ZMPOP 1 z MIN | ZMPOP 1 nokey MIN
ZADD z 1 a 2 b 3 c 4 d 5 e 6 f | BZMPOP 1 1 z MAX | ZRANGESTORE zd z 0 1
ZRANGESTORE zd nokey 0 1 | ZREMRANGEBYSCORE z 1 2 | ZREMRANGEBYSCORE z 100 200
ZREMRANGEBYRANK z 0 0 | ZREMRANGEBYLEX z [e [e | ZREMRANGEBYRANK z 0 -1 | ZADD z 1 a 2 b
ZADD y 1 a 3 c | ZINTER 2 z nokey | ZUNION 2 z nokey | ZDIFF 2 nokey z | ZINTERCARD 2 z nokey
ZUNIONSTORE zd 2 z y | ZINTERSTORE zd 2 z y | ZDIFFSTORE zd 2 z y | ZINTERSTORE zd 2 z nokey
ZDIFFSTORE zd 2 z z | GEOADD geo 13.361389 38.115556 P 15.087269 37.502669 C
GEOADD geo 13.361389 38.115556 P | GEODIST nokey a b | GEOHASH nokey a | GEOPOS nokey a
GEOSEARCH nokey FROMLONLAT 15 37 BYRADIUS 200 km | GEORADIUS geo 15 37 200 km STORE gd
GEORADIUSBYMEMBER geo P 1 m STORE gd | GEORADIUS nokey 15 37 200 km
GEOSEARCHSTORE gd geo FROMLONLAT 15 37 BYRADIUS 200 km
GEOSEARCHSTORE gd geo FROMLONLAT 15 37 BYRADIUS 1 m
GEOSEARCHSTORE gd nokey FROMLONLAT 15 37 BYRADIUS 1 m | GEORADIUSBYMEMBER_RO nokey P 1 m
PFADD hll a | PFADD hll a | PFCOUNT hll | PFCOUNT hll | PFCOUNT nokey | PFCOUNT hll nokey
PFMERGE hd hll nokey | PFMERGE hd | PFADD empty | PFADD empty | SETBIT bit 1 1 | SETBIT bit 1 1
SETBIT bit 1 0 | GETBIT nokey 1 | BITCOUNT nokey | BITPOS nokey 1 | BITOP AND dest nokey nokey2
BITOP OR dest bit nokey | BITOP AND dest nokey nokey2 | BITFIELD bf SET u8 0 1
BITFIELD bf GET u8 0 | BITFIELD bf INCRBY u8 0 1 | BITFIELD nokey GET u8 0
BITFIELD_RO nokey GET u8 0 | XADD st 1-1 a b | XADD st 2-1 a b | XADD st MAXLEN 1 3-1 a b
XADD nost NOMKSTREAM 1-1 a b | XLEN nokey | XRANGE nokey - + | XREVRANGE nokey + -
XREAD STREAMS st 0 | XINFO STREAM st | XTRIM st MAXLEN 0 | XADD st 4-1 a b | XADD st 5-1 a b
XDEL st 4-1 | XDEL st 4-1 | XGROUP CREATE st g 0 | XGROUP CREATE st2 g 0 MKSTREAM
XGROUP SETID st g 0 | XGROUP CREATECONSUMER st g alice | XGROUP CREATECONSUMER st g alice
XREADGROUP GROUP g bob STREAMS st > | XREADGROUP GROUP g bob STREAMS st > | XACK st g 5-1
XACK st g 5-1 | XADD st 6-1 a b | XREADGROUP GROUP g bob STREAMS st > | XCLAIM st g carl 0 6-1
XAUTOCLAIM st g dora 0 0 | XPENDING st g | XGROUP DELCONSUMER st g bob
XGROUP DELCONSUMER st g nosuch | XGROUP DESTROY st g | XGROUP DESTROY st g | XSETID st 9-1
SET du v | DUMP nokey | RENAME l4 nosuch | DEL s1 zd | LCS du nokey | EXPIRE du 100 GT
EXPIRE du 100 LT | EXPIRETIME nokey | OBJECT FREQ nokey | TOUCH nokey du
"""


async def _events_of(
    server: Any, connect: Any, commands: str, speaks: int
) -> list[tuple[Any, ...]]:
    """What a client that listens to everything is sent while another runs commands."""
    client, listener = await connect(server), await connect(server)
    await client.ask("FLUSHALL")
    await client.ask("CONFIG", "SET", "notify-keyspace-events", "KEAmn")
    await listener.ask("HELLO", speaks)
    await listener.ask("PSUBSCRIBE", "__key*__:*")
    for line in map(str.strip, re.split(r" \| |\n", commands.strip())):
        if line == "PASS":
            passed = time.time() + 0.01
            while time.time() < passed:
                await client.ask("PING")
        else:
            words = ["" if word == '""' else word for word in line.split()]
            await client.ask(*words)
    await client.ask("SET", "the end", "x")
    found = []
    while not found or found[-1] != (b"__keyevent@0__:set", b"the end"):
        found.append(tuple((await listener.read())[2:]))
    await client.ask("FLUSHALL")
    await client.ask("CONFIG", "SET", "notify-keyspace-events", "")
    return found


@pytest.mark.parametrize("speaks", [2, 3])
@pytest.mark.parametrize("commands", [COMMANDS, TYPES], ids=["keys", "types"])
async def test_every_command_tells_what_it_tells_in_redis(
    serve: Any, connect: Any, redis_server: Any, commands: str, speaks: int
) -> None:
    ours = await _events_of(await serve(), connect, commands, speaks)
    theirs = await _events_of(redis_server, connect, commands, speaks)
    assert ours == theirs
    assert len(ours) > 200


async def test_deadlines_of_fields_are_told_as_documented(serve: Any, connect: Any) -> None:
    """Redis has them since 7.4: https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/."""
    commands = """
        HSET h a 1 b 2 c 3 d 4
        HEXPIRE h 100 FIELDS 2 a nosuch
        HPEXPIREAT h 9999999999999 FIELDS 1 b
        HPERSIST h FIELDS 1 a
        HPERSIST h FIELDS 1 a
        HEXPIREAT h 1 FIELDS 1 d
        HPEXPIRE h 1 FIELDS 1 a
        HEXPIRE nokey 100 FIELDS 1 a
        PASS
        HGET h a
        HEXPIRE h 0 FIELDS 2 b c
    """
    told = await _events_of(await serve(), connect, commands, 2)
    assert [event.decode() for channel, event in told if channel == b"__keyspace@0__:h"] == [
        *("new", "hset", "hexpire", "hexpire", "hpersist", "hdel", "hexpire", "hexpired"),
        *("hdel", "del"),
    ]


async def test_restore_tells(serve: Any, connect: Any, redis_server: Any) -> None:
    found = []
    for server in (await serve(), redis_server):
        client = await connect(server)
        await client.ask("FLUSHALL")
        await client.ask("SET", "k", "v")
        payload = await client.ask("DUMP", "k")
        listener = await connect(server)
        await client.ask("CONFIG", "SET", "notify-keyspace-events", "EAn")
        await listener.ask("PSUBSCRIBE", "*")
        await client.ask("RESTORE", "r1", 0, payload)
        await client.ask("RESTORE", "r1", 0, payload)
        await client.ask("RESTORE", "r1", 0, payload, "REPLACE")
        await client.ask("RESTORE", "r2", 100_000, payload)
        await client.ask("RESTORE", "r3", 1, payload, "ABSTTL")
        await client.ask("RESTORE", "r2", 1, payload, "ABSTTL", "REPLACE")
        await client.ask("PUBLISH", "end", "x")
        told = []
        while not told or told[-1][2] != b"end":
            told.append(await listener.read())
        found.append(told)
        await client.ask("CONFIG", "SET", "notify-keyspace-events", "")
    assert found[0] == found[1]
    assert len(found[0]) > 5


def test_every_command_that_writes_is_among_them() -> None:
    table.load_all()
    spoken = set()
    for line in re.split(r" \| |\n", COMMANDS + TYPES):
        row = table.find([word.encode() for word in line.split() or ["ping"]])
        spoken.add(row.full_name if row is not None else "")
    elsewhere = {"restore", "hexpire", "hexpireat", "hpexpire", "hpexpireat", "hpersist"}
    silent = {row.full_name for row in table.every() if row.full_name.startswith("function|")}
    writing = {row.full_name for row in table.every() if row.write}
    assert writing - silent - elsewhere <= spoken
