"""Random sequences of commands, answered by antecache and by redis-server alike.

Few keys, few fields and few values, so that commands meet each other's traces:
wrong types, overflows, keys that another command removed. Replies are compared
byte for byte, unless Redis itself promises no order, or the answer is a time or a
random choice. At the end everything the databases hold is compared, and our
store's books are recounted. `ANTECACHE_FUZZ=20` runs twenty times as many.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

wire = sys.modules["antecache_tests_wire"]

SCALE = int(os.environ.get("ANTECACHE_FUZZ", "1"))
TOLERANCE_S, TOLERANCE_MS = 2, 1500

Argv = list[bytes]
Same = Callable[[Any, Any], bool]

# -- what is sent -----------------------------------------------------------

key = st.sampled_from([b"a", b"b", b"c", b"d"])
field = st.sampled_from([b"f", b"g", b"h", b""])
number = st.sampled_from(
    [b"0", b"1", b"-1", b"7", b"100", b"9223372036854775807", b"-9223372036854775808"]
)
odd_number = st.one_of(
    number,
    st.sampled_from(
        [b"", b"x", b"1.5", b" 1", b"+1", b"01", b"-0", b"1_0", b"9223372036854775808", b"1e3"]
    ),
)
amount = st.sampled_from(
    [b"1.5", b"-2", b"0", b"3.0e3", b"1e400", b"inf", b"nan", b"", b"x", b"0x10", b".5", b"1e-17"]
)
value = st.one_of(
    number,
    st.sampled_from(
        [b"", b"text", b"1.5", b"0.1", b"long" * 12, b"x" * 70, b"\x00\xff\r\n", b"inf"]
    ),
)
# Deadlines are far away or long ago: none of them falls within the test.
lasting = st.sampled_from([b"1000", b"5000", b"100000", b"0", b"-1", b"x", b"9223372036854775807"])
instant = st.sampled_from([b"9999999999", b"9999999999999", b"1", b"0", b"-5", b"x"])
milliseconds = st.sampled_from([b"1000000", b"5000000", b"0", b"-1", b"x", b"9223372036854775807"])
index = st.sampled_from([b"0", b"1", b"-1", b"2", b"-3", b"100", b"-100", b"x"])
database = st.sampled_from([b"0", b"1", b"1", b"99", b"x"])
glob = st.sampled_from(
    [b"*", b"a", b"?", b"[ab]", b"[^a]", b"[a-c]*", b"\\a", b"", b"**", b"[", b"x*"]
)


def joined(parts: Iterable[Iterable[bytes]]) -> Argv:
    """Several arguments as one list."""
    return list(chain.from_iterable(parts))


def flag(*words: str) -> st.SearchStrategy[Argv]:
    """One of some options, or none of them."""
    return st.sampled_from([[], *([word.encode()] for word in words)])


def expiry(at: st.SearchStrategy[bytes]) -> st.SearchStrategy[Argv]:
    """An option of SET or GETEX, with absolute times from `at`."""
    return st.one_of(
        st.tuples(st.sampled_from([b"EX", b"ex"]), lasting),
        st.tuples(st.just(b"PX"), milliseconds),
        st.tuples(st.sampled_from([b"EXAT", b"PXAT"]), at),
    ).map(list)


# SET keeps a key whose deadline has passed until somebody looks, and DBSIZE would count it or not.
future = st.sampled_from([b"9999999999", b"9999999999999", b"0", b"-5", b"x"])
set_options = st.lists(
    st.one_of(expiry(future), flag("NX", "XX", "GET", "KEEPTTL", "nx", "get", "bogus")), max_size=3
).map(joined)
getex_options = st.lists(st.one_of(expiry(instant), flag("PERSIST", "KEEPTTL")), max_size=2).map(
    joined
)
conditions = st.lists(flag("NX", "XX", "GT", "LT", "gt", "bogus"), max_size=2).map(joined)
keys = st.lists(key, min_size=1, max_size=3)
pairs = st.lists(st.tuples(key, value), min_size=1, max_size=3).map(joined)
fields = st.lists(field, min_size=1, max_size=3)
field_pairs = st.lists(st.tuples(field, value), min_size=1, max_size=3).map(joined)


def cmd(name: str, *parts: Any) -> st.SearchStrategy[Argv]:
    """A command from strategies of one argument (bytes) or of several (lists)."""

    def join(drawn: tuple[Any, ...]) -> Argv:
        argv = [word.encode() for word in name.split()]
        for part in drawn:
            argv += part if isinstance(part, list) else [part]
        return argv

    return st.tuples(*(st.just(p) if isinstance(p, bytes) else p for p in parts)).map(join)


STRINGS = [
    cmd("SET", key, value),
    cmd("SET", key, value, set_options),
    cmd("GET", key),
    cmd("GETEX", key, getex_options),
    cmd("GETDEL", key),
    cmd("GETSET", key, value),
    cmd("SETNX", key, value),
    cmd("SETEX", key, lasting, value),
    cmd("PSETEX", key, milliseconds, value),
    cmd("MGET", keys),
    cmd("MSET", pairs),
    cmd("MSET", pairs, key),
    cmd("MSETNX", pairs),
    cmd("INCR", key),
    cmd("DECR", key),
    cmd("INCRBY", key, odd_number),
    cmd("DECRBY", key, odd_number),
    cmd("INCRBYFLOAT", key, amount),
    cmd("APPEND", key, value),
    cmd("STRLEN", key),
    cmd("GETRANGE", key, index, index),
    cmd("SUBSTR", key, index, index),
    cmd("SETRANGE", key, index, value),
    cmd("LCS", key, key, flag("LEN", "IDX"), flag("WITHMATCHLEN"), flag("LEN")),
    cmd("LCS", key, key, b"IDX", b"MINMATCHLEN", odd_number),
]
bit = st.sampled_from([b"0", b"1", b"7", b"8", b"20", b"100", b"-1", b"x", b"4294967296"])
bit_range = st.tuples(index, index, st.sampled_from([b"BIT", b"byte"])).map(
    lambda three: [part if part != b"x" else b"0" for part in three]
)
field_type = st.sampled_from([b"u1", b"i1", b"u8", b"i8", b"i5", b"u13", b"i64", b"u63", b"u64"])
field_place = st.sampled_from([b"0", b"3", b"#1", b"#2", b"64", b"-1"])
field_steps = st.lists(
    st.one_of(
        cmd("GET", field_type, field_place),
        # The smallest integer saturates at the wrong end in Redis (docs/differences.md).
        cmd("SET", field_type, field_place, number.filter(lambda text: text[:3] != b"-92")),
        cmd("INCRBY", field_type, field_place, number),
        cmd("OVERFLOW", st.sampled_from([b"WRAP", b"SAT", b"FAIL"])),
    ),
    max_size=4,
).map(joined)
element = st.integers(0, 10**6).map(lambda seed: b"%d" % seed)
BITS = [
    cmd("SETBIT", key, bit, st.sampled_from([b"0", b"1", b"1", b"2"])),
    cmd("GETBIT", key, bit),
    cmd("BITCOUNT", key),
    cmd("BITCOUNT", key, bit_range),
    cmd("BITPOS", key, st.sampled_from([b"0", b"1"])),
    cmd("BITPOS", key, st.sampled_from([b"0", b"1"]), bit_range),
    cmd("BITOP", st.sampled_from([b"AND", b"OR", b"XOR", b"NOT"]), key, keys),
    cmd("BITFIELD", key, field_steps),
    cmd("BITFIELD_RO", key, field_steps),
    cmd("SET", key, value),
]
COUNTERS = [
    cmd("PFADD", key, st.lists(element, max_size=60)),
    cmd("PFCOUNT", key),
    cmd("PFCOUNT", keys),
    cmd("PFMERGE", key, st.lists(key, max_size=2)),
]
HASHES = [
    cmd("HSET", key, field_pairs),
    cmd("HSET", key, field_pairs, field),
    cmd("HMSET", key, field_pairs),
    cmd("HSETNX", key, field, value),
    cmd("HGET", key, field),
    cmd("HMGET", key, fields),
    cmd("HGETALL", key),
    cmd("HKEYS", key),
    cmd("HVALS", key),
    cmd("HLEN", key),
    cmd("HEXISTS", key, field),
    cmd("HSTRLEN", key, field),
    cmd("HDEL", key, fields),
    cmd("HINCRBY", key, field, odd_number),
    cmd("HINCRBYFLOAT", key, field, amount),
    cmd("HRANDFIELD", key),
    cmd("HRANDFIELD", key, index, flag("WITHVALUES", "bogus")),
    cmd("HSCAN", key, b"0", flag("bogus")),
    cmd("HSCAN", key, b"0", b"MATCH", glob),
    cmd("HSCAN", key, b"0", b"COUNT", odd_number),
]
KEYS = [
    cmd("DEL", keys),
    cmd("UNLINK", keys),
    cmd("EXISTS", keys),
    cmd("TOUCH", keys),
    cmd("TYPE", key),
    cmd("TTL", key),
    cmd("PTTL", key),
    cmd("EXPIRETIME", key),
    cmd("PEXPIRETIME", key),
    cmd("EXPIRE", key, lasting, conditions),
    cmd("PEXPIRE", key, milliseconds, conditions),
    cmd("EXPIREAT", key, instant, conditions),
    cmd("PEXPIREAT", key, instant, conditions),
    cmd("PERSIST", key),
    cmd("RENAME", key, key),
    cmd("RENAMENX", key, key),
    cmd("COPY", key, key, flag("REPLACE", "replace")),
    cmd("COPY", key, key, b"DB", database, flag("REPLACE", "bogus")),
    cmd("MOVE", key, database),
    cmd("KEYS", glob),
    cmd("SCAN", b"0", b"COUNT", b"1000"),
    cmd("SCAN", b"0", b"COUNT", b"1000", b"MATCH", glob),
    cmd("SCAN", b"0", b"COUNT", b"1000", b"TYPE", st.sampled_from([b"hash", b"STRING", b"x"])),
    cmd("RANDOMKEY"),
    cmd("DBSIZE"),
    cmd("FLUSHDB", flag("ASYNC", "SYNC", "bogus")),
    cmd("SWAPDB", database, database),
    cmd("SELECT", st.sampled_from([b"0", b"1"])),
    cmd("OBJECT REFCOUNT", key),
]
item = st.one_of(number, st.sampled_from([b"", b"text", b"x", b"1.5", b"long" * 20]))
items = st.lists(item, min_size=1, max_size=4)
end = st.sampled_from([b"LEFT", b"right", b"LEFT", b"RIGHT", b"bogus"])
# What finds nothing waits a millisecond.
timeout = st.sampled_from([b"0.001", b"0.001", b"-1", b"x", b"nan", b""])
count_option = st.one_of(st.just([]), st.tuples(st.just(b"COUNT"), odd_number).map(list))
counted = keys.map(lambda names: [b"%d" % len(names), *names])
LISTS = [
    cmd("LPUSH", key, items),
    cmd("RPUSH", key, items),
    cmd("LPUSHX", key, items),
    cmd("RPUSHX", key, items),
    cmd("LPOP", key),
    cmd("RPOP", key),
    cmd("LPOP", key, odd_number),
    cmd("RPOP", key, index),
    cmd("LLEN", key),
    cmd("LRANGE", key, index, index),
    cmd("LINDEX", key, index),
    cmd("LSET", key, index, item),
    cmd("LINSERT", key, st.sampled_from([b"BEFORE", b"after", b"bogus"]), item, item),
    cmd("LREM", key, index, item),
    cmd("LTRIM", key, index, index),
    cmd("LPOS", key, item),
    # Redis refuses the smallest rank since 7.2 only.
    cmd("LPOS", key, item, b"RANK", odd_number.filter(lambda n: len(n) < 20), count_option),
    cmd("LPOS", key, item, count_option, b"MAXLEN", index),
    cmd("LMOVE", key, key, end, end),
    cmd("RPOPLPUSH", key, key),
    cmd("LMPOP", counted, end, count_option),
    cmd("BLPOP", keys, timeout),
    cmd("BRPOP", keys, timeout),
    cmd("BLMOVE", key, key, end, end, timeout),
    cmd("BRPOPLPUSH", key, key, timeout),
    cmd("BLMPOP", timeout, counted, end, count_option),
]
SETS = [
    cmd("SADD", key, items),
    cmd("SADD", key, items),
    cmd("SADD", key, items),
    cmd("SREM", key, items),
    cmd("SMEMBERS", key),
    cmd("SISMEMBER", key, item),
    cmd("SMISMEMBER", key, items),
    cmd("SCARD", key),
    # What is popped at random differs: all of them or none.
    cmd("SPOP", key, st.sampled_from([b"0", b"1000", b"-1", b"x"])),
    cmd("SPOP", key, b"1", b"1"),
    cmd("SRANDMEMBER", key),
    cmd("SRANDMEMBER", key, index),
    cmd("SMOVE", key, key, item),
    cmd("SINTER", keys),
    cmd("SUNION", keys),
    cmd("SDIFF", keys),
    cmd("SINTERSTORE", key, keys),
    cmd("SUNIONSTORE", key, keys),
    cmd("SDIFFSTORE", key, keys),
    cmd("SINTERCARD", counted),
    cmd("SINTERCARD", counted, b"LIMIT", odd_number),
    cmd("SINTERCARD", odd_number, keys),
    cmd("SSCAN", key, b"0", flag("bogus")),
    cmd("SSCAN", key, b"0", b"MATCH", glob),
    cmd("SSCAN", key, b"0", b"COUNT", odd_number),
]
# Scores that Redis 7.0 and later versions print alike.
score = st.sampled_from(
    [b"0", b"1", b"-1", b"2.5", b"7", b"inf", b"-inf", b"1e3", b"-0", b"0x8", b"nan", b"x", b""]
)
zmember = st.sampled_from([b"", b"a", b"b", b"text", b"x", b"1.5", b"long" * 20])
bound = st.one_of(score, st.sampled_from([b"(1", b"(-inf", b"+inf", b"(2.5", b"(", b"[1"]))
lex = st.sampled_from([b"-", b"+", b"[a", b"(a", b"[text", b"(x", b"[", b"(", b"a", b""])
zlimit = st.one_of(st.just([]), st.tuples(st.just(b"LIMIT"), index, index).map(list))
zpairs = st.lists(st.tuples(score, zmember), min_size=1, max_size=3).map(joined)
zadd_options = st.lists(flag("NX", "XX", "GT", "LT", "CH", "INCR", "gt", "bogus"), max_size=2).map(
    joined
)
with_scores = flag("WITHSCORES", "withscores", "bogus")
weights = st.one_of(
    st.just([]),
    st.lists(score, min_size=1, max_size=3).map(lambda given: [b"WEIGHTS", *given]),
)
aggregate = st.sampled_from(
    [
        [],
        [],
        [b"AGGREGATE", b"SUM"],
        [b"aggregate", b"min"],
        [b"AGGREGATE", b"MAX"],
        [b"AGGREGATE", b"x"],
        [b"AGGREGATE"],
    ]
)
lowest = st.sampled_from([b"MIN", b"max", b"MIN", b"MAX", b"bogus"])
ZSETS = [
    cmd("ZADD", key, zpairs),
    cmd("ZADD", key, zpairs),
    cmd("ZADD", key, zadd_options, zpairs),
    cmd("ZINCRBY", key, score, zmember),
    cmd("ZREM", key, st.lists(zmember, min_size=1, max_size=3)),
    cmd("ZSCORE", key, zmember),
    cmd("ZMSCORE", key, st.lists(zmember, min_size=1, max_size=3)),
    cmd("ZCARD", key),
    cmd("ZRANK", key, zmember),
    cmd("ZREVRANK", key, zmember),
    cmd("ZCOUNT", key, bound, bound),
    cmd("ZLEXCOUNT", key, lex, lex),
    cmd("ZRANGE", key, index, index, flag("REV"), with_scores),
    cmd("ZRANGE", key, bound, bound, b"BYSCORE", flag("REV"), zlimit, with_scores),
    cmd("ZRANGE", key, lex, lex, b"BYLEX", flag("REV"), zlimit),
    cmd("ZRANGESTORE", key, key, index, index, flag("REV")),
    cmd("ZRANGESTORE", key, key, bound, bound, b"BYSCORE", flag("REV"), zlimit),
    cmd("ZREVRANGE", key, index, index, with_scores),
    cmd("ZRANGEBYSCORE", key, bound, bound, with_scores, zlimit),
    cmd("ZREVRANGEBYSCORE", key, bound, bound, zlimit, with_scores),
    cmd("ZRANGEBYLEX", key, lex, lex, zlimit),
    cmd("ZREVRANGEBYLEX", key, lex, lex, zlimit),
    cmd("ZREMRANGEBYRANK", key, index, index),
    cmd("ZREMRANGEBYSCORE", key, bound, bound),
    cmd("ZREMRANGEBYLEX", key, lex, lex),
    cmd("ZPOPMIN", key),
    cmd("ZPOPMAX", key, odd_number),
    cmd("ZMPOP", counted, lowest, count_option),
    cmd("BZPOPMIN", keys, timeout),
    cmd("BZPOPMAX", keys, timeout),
    cmd("BZMPOP", timeout, counted, lowest, count_option),
    cmd("ZUNION", counted, weights, aggregate, with_scores),
    cmd("ZINTER", counted, aggregate, weights, with_scores),
    cmd("ZDIFF", counted, with_scores),
    cmd("ZUNIONSTORE", key, counted, weights, aggregate),
    cmd("ZINTERSTORE", key, counted, weights, aggregate),
    cmd("ZDIFFSTORE", key, counted),
    cmd("ZINTERCARD", counted),
    cmd("ZINTERCARD", counted, b"LIMIT", odd_number),
    cmd("ZRANDMEMBER", key),
    cmd("ZRANDMEMBER", key, index, with_scores),
    cmd("ZSCAN", key, b"0", flag("bogus")),
    cmd("ZSCAN", key, b"0", b"MATCH", glob),
]
longitude = st.sampled_from([b"0", b"13.361389", b"15.087269", b"-179.5", b"179.9", b"181", b"x"])
latitude = st.sampled_from([b"0", b"38.115556", b"37.502669", b"-85", b"85.0511", b"86", b"x"])
places = st.lists(st.tuples(longitude, latitude, zmember), min_size=1, max_size=3).map(joined)
unit = st.sampled_from([b"m", b"KM", b"ft", b"mi", b"x"])
radius = st.sampled_from([b"0", b"1000", b"200000", b"30000000", b"-1", b"x", b"1.5"])
origin = st.one_of(cmd("FROMMEMBER", zmember), cmd("FROMLONLAT", longitude, latitude))
area = st.one_of(cmd("BYRADIUS", radius, unit), cmd("BYBOX", radius, radius, unit))
geo_options = st.lists(
    st.one_of(flag("ASC", "DESC", "WITHCOORD", "WITHDIST", "WITHHASH", "bogus"), count_option),
    max_size=3,
).map(joined)
GEO = [
    cmd("GEOADD", key, places),
    cmd("GEOADD", key, flag("NX", "XX", "CH"), flag("CH"), places),
    cmd("GEOPOS", key, zmember, zmember),
    cmd("GEOHASH", key, zmember, zmember),
    cmd("GEODIST", key, zmember, zmember),
    cmd("GEODIST", key, zmember, zmember, unit),
    cmd("GEOSEARCH", key, origin, area, geo_options),
    cmd("GEOSEARCHSTORE", key, key, origin, area, flag("STOREDIST", "ASC")),
    cmd("GEORADIUS", key, longitude, latitude, radius, unit, geo_options),
    cmd("GEORADIUSBYMEMBER", key, zmember, radius, unit, geo_options),
    cmd("GEORADIUSBYMEMBER", key, zmember, radius, unit, b"STORE", key),
    cmd("ZREM", key, zmember),
]
by = st.sampled_from([[], [b"BY", b"*"], [b"BY", b"#*"], [b"BY", b"a->*"]])
get = st.lists(
    st.sampled_from([[b"GET", b"#"], [b"GET", b"*"], [b"GET", b"*->f"], [b"get", b"x"]]), max_size=2
).map(joined)
order = st.lists(flag("ASC", "DESC", "ALPHA", "alpha", "bogus"), max_size=2).map(joined)
limit = st.one_of(st.just([]), st.tuples(st.just(b"LIMIT"), index, index).map(list))
SORTING = [
    cmd("SORT", key, by, get, order, limit),
    cmd("SORT", key, order, limit, b"STORE", key),
    cmd("SORT_RO", key, by, get, order, limit),
    cmd("SORT", key, b"BY", b"nosort", order),
]
# A transaction around the next commands; where there is none the errors are compared.
TRANSACTIONS = [
    cmd("MULTI"),
    cmd("EXEC"),
    cmd("DISCARD"),
    cmd("WATCH", keys),
    cmd("UNWATCH"),
    cmd("GET"),
    cmd("NOSUCHCOMMAND", key),
]

FAMILIES = {
    "strings and hashes": [STRINGS, HASHES],
    "lists": [LISTS, LISTS],
    "sets": [SETS, SETS],
    "sorting": [LISTS[:4], SETS[:4], SORTING],
    "bits": [BITS, COUNTERS],
    "sorted sets": [ZSETS, ZSETS, SETS[:3]],
    "places": [GEO, GEO],
    "all types": [STRINGS, HASHES, LISTS, SETS, SORTING, BITS, COUNTERS, ZSETS, GEO],
}
"""Commands that are mixed with one another; each time those on keys and transactions with them."""

# -- how replies are compared -----------------------------------------------


def _flat(reply: Any) -> list[Any]:
    """The pairs of a map or of a flat array, sorted."""
    items = [x for pair in reply.pairs for x in pair] if isinstance(reply, wire.Map) else reply
    return sorted(zip(items[::2], items[1::2], strict=True))


def in_any_order(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, wire.Members):
        return type(ours) is type(theirs) and sorted(ours.members) == sorted(theirs.members)
    if not isinstance(theirs, list):
        return bool(ours == theirs)
    return isinstance(ours, list) and sorted(ours, key=repr) == sorted(theirs, key=repr)


def pairs_in_any_order(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, wire.Error) or theirs is None:
        return bool(ours == theirs)
    return type(ours) is type(theirs) and _flat(ours) == _flat(theirs)


def page(same: Same) -> Same:
    """A reply of SCAN: the cursor is the server's own, the elements are to be the same."""

    def compare(ours: Any, theirs: Any) -> bool:
        if not isinstance(theirs, list):
            return bool(ours == theirs)
        return ours[0] == theirs[0] == b"0" and same(ours[1], theirs[1])

    return compare


def within(tolerance: int) -> Same:
    def compare(ours: Any, theirs: Any) -> bool:
        if isinstance(ours, int) and isinstance(theirs, int) and theirs >= 0:
            return ours >= 0 and abs(ours - theirs) <= tolerance
        return bool(ours == theirs)

    return compare


def same_shape(ours: Any, theirs: Any) -> bool:
    """A random choice: as many, of the same form."""
    if isinstance(theirs, wire.Error) or theirs is None:
        return bool(ours == theirs)
    if isinstance(theirs, list):
        return (
            isinstance(ours, list)
            and len(ours) == len(theirs)
            and all(map(same_shape, ours, theirs))
        )
    return type(ours) is type(theirs)


COMPARE: dict[bytes, Same] = {
    b"KEYS": in_any_order,
    b"HKEYS": in_any_order,
    b"HVALS": in_any_order,
    b"HGETALL": pairs_in_any_order,
    b"SCAN": page(in_any_order),
    b"HSCAN": page(pairs_in_any_order),
    b"TTL": within(TOLERANCE_S),
    b"EXPIRETIME": within(TOLERANCE_S),
    b"PTTL": within(TOLERANCE_MS),
    b"PEXPIRETIME": within(TOLERANCE_MS),
    b"RANDOMKEY": same_shape,
    b"HRANDFIELD": same_shape,
    b"SMEMBERS": in_any_order,
    b"SPOP": in_any_order,
    b"SRANDMEMBER": same_shape,
    b"SINTER": in_any_order,
    b"SUNION": in_any_order,
    b"SDIFF": in_any_order,
    b"SSCAN": page(in_any_order),
    b"ZSCAN": page(pairs_in_any_order),
    b"ZRANDMEMBER": same_shape,
    b"OBJECT": same_shape,  # Redis shares small integers and says so
}


class Replies:
    """Compares replies in order; the elements of EXEC's as those of the commands queued."""

    def __init__(self) -> None:
        self.queued: list[Argv] = []

    def same(self, argv: Argv, ours: bytes, theirs: bytes) -> bool:
        if ours == b"+QUEUED\r\n" == theirs:
            self.queued.append(argv)
            return True
        queued = self.queued
        if argv[0] in (b"EXEC", b"DISCARD", b"MULTI"):
            self.queued = []
        if ours == theirs:
            return True
        if argv[0] == b"EXEC":
            mine, others = wire.decode(ours), wire.decode(theirs)
            return (
                isinstance(mine, list)
                and isinstance(others, list)
                and len(mine) == len(others) == len(queued)
                and all(map(self._alike, queued, mine, others))
            )
        return self._alike(argv, wire.decode(ours), wire.decode(theirs))

    @staticmethod
    def _alike(argv: Argv, ours: Any, theirs: Any) -> bool:
        if ours == theirs:
            return True
        if b"nosort" in argv or b"BY" in argv:  # a set's own order, of what weighs the same too
            return in_any_order(ours, theirs)
        return argv[0] in COMPARE and COMPARE[argv[0]](ours, theirs)


LOOK = {"string": "GET", "hash": "HGETALL", "list": "LRANGE", "set": "SMEMBERS", "zset": "ZRANGE"}
"""What shows the whole value of a key of each type; arguments behind the key; in what order."""
WHOLE = {"list": "0 -1", "zset": "0 -1 WITHSCORES"}
HELD: dict[str, Callable[[Any], Any]] = {
    "string": lambda reply: reply,
    "hash": lambda reply: _flat(reply),
    "list": lambda reply: reply,
    "zset": lambda reply: reply,
    "set": lambda reply: sorted(reply if isinstance(reply, list) else reply.members),
}

Contents = dict[int, dict[bytes, tuple[Any, ...]]]


def contents(connection: Any) -> Contents:
    """Type, deadline and value of every key in the databases that the commands reach."""
    found: Contents = {}
    connection.raw((b"DISCARD",), (b"UNWATCH",))
    for db in (0, 1):
        connection.ask("SELECT", db)
        connection.ask("EXISTS", "a", "b", "c", "d")  # what has expired is counted until looked at
        names = sorted(connection.ask("KEYS", "*"))
        assert connection.ask("DBSIZE") == len(names)
        assert sorted(connection.ask("SCAN", 0, "COUNT", 1000)[1]) == names
        found[db] = {}
        for name in names:
            kind = connection.ask("TYPE", name)
            whole = connection.ask(LOOK[kind], name, *WHOLE.get(kind, "").split())
            held = HELD[kind](whole)
            found[db][name] = (kind, connection.ask("PEXPIRETIME", name), held)
    return found


def same_contents(ours: Contents, theirs: Contents) -> bool:
    near = within(TOLERANCE_MS)
    return all(
        ours[db].keys() == theirs[db].keys()
        and all(
            kind == other_kind and near(at, other_at) and held == other_held
            for (kind, at, held), (other_kind, other_at, other_held) in zip(
                ours[db].values(), theirs[db].values(), strict=True
            )
        )
        for db in theirs
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("protocol", [2, 3])
@settings(
    max_examples=60 * SCALE,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_answers_as_redis_does(both: Any, protocol: int, family: str, data: Any) -> None:
    groups = [*FAMILIES[family], KEYS, TRANSACTIONS]
    any_command = st.one_of(*(st.one_of(group) for group in groups))
    commands = data.draw(st.lists(any_command, min_size=1, max_size=40))
    pair = both[protocol]
    pair.clear()
    replies = Replies()
    answered = zip(commands, pair.raw(*commands), strict=True)
    for argv, (ours, theirs) in answered:
        assert replies.same(argv, ours, theirs), (argv, ours, theirs)
    ours_held, theirs_held = contents(pair.ours), contents(pair.theirs)
    assert same_contents(ours_held, theirs_held), (ours_held, theirs_held)
    pair.check()
