"""What each command does to each of its keys: reads it, overwrites it, changes it, removes it.

One table, in the words of Redis's key specifications (`COMMAND INFO`). A command
whose keys differ (a destination, then sources) has a list: the last entry is that of
all further keys. COMMAND shows it, and ACLs derive from it what a user must be
allowed: to read what is accessed, to write what is inserted, updated or deleted.
"""

from __future__ import annotations

from antecache.server.command import Argv, Command

READ, WRITE = 1, 2

Flags = tuple[str, ...]

_READS: Flags = ("RO", "access")
_LOOKS: Flags = ("RO",)  # at what the key is, not at its value
_CHANGES: Flags = ("RW", "access", "update")
_UPDATES: Flags = ("RW", "update")
_INSERTS: Flags = ("RW", "insert")
_DELETES: Flags = ("RW", "delete")
_POPS: Flags = ("RW", "access", "delete")
_OVERWRITES: Flags = ("OW", "update")
_REMOVES: Flags = ("RM", "delete")

_NAMES: dict[Flags | tuple[Flags, ...], str] = {
    _READS: "eval_ro evalsha_ro fcall_ro xreadgroup sort_ro",
    _LOOKS: "exists hexists hlen hstrlen llen scard sismember strlen touch type watch xlen zcard "
    "memory|usage object|encoding object|freq object|idletime object|refcount",
    _UPDATES: "expire expireat geoadd hmset hset lset persist pexpire pexpireat setrange xack xadd "
    "xclaim xgroup|setid xsetid zadd hexpire hpexpire hexpireat hpexpireat hpersist",
    _INSERTS: "append hsetnx linsert lpush lpushx pfadd rpush rpushx sadd xgroup|create "
    "xgroup|createconsumer",
    _DELETES: "hdel lrem ltrim srem xautoclaim xdel xgroup|delconsumer xgroup|destroy xtrim zrem "
    "zremrangebylex zremrangebyrank zremrangebyscore",
    _POPS: "blmpop blpop brpop bzmpop bzpopmax bzpopmin getdel lmpop lpop rpop spop zmpop zpopmax "
    "zpopmin",
    _OVERWRITES: "mset psetex restore setex",
    ("OW", "insert"): "msetnx setnx",
    _REMOVES: "del unlink",
    ("RW", "access"): "pfcount",
    ("not_key",): "spublish ssubscribe sunsubscribe",
    (_OVERWRITES, _READS): "bitop geosearchstore sdiffstore sunionstore zdiffstore zinterstore "
    "zrangestore zunionstore",
    (_UPDATES, _READS): "sinterstore",
    (_POPS, _INSERTS): "blmove brpoplpush lmove rpoplpush smove",
    (_READS, _OVERWRITES): "georadius georadiusbymember sort copy",
    (("RW", "access", "insert"), _READS): "pfmerge",
    (_POPS, _OVERWRITES): "rename",
    (_POPS, ("OW", "insert")): "renamenx",
}
_TABLE: dict[str, tuple[Flags, ...]] = {
    name: flags if isinstance(flags[0], tuple) else (flags,)
    for flags, names in _NAMES.items()
    for name in names.split()
}
# Commands that tell of keys without reading them as a client does, so that their rows name none:
# from which argument on. Of what else they tell, their handlers leave out what may not be read.
_TELL_OF = {"prefetch": 1, "predictor|explain": 2}
_NEEDS = {"access": READ, "insert": WRITE, "update": WRITE, "delete": WRITE}


def flags_of(row: Command, argv: Argv | None = None) -> tuple[Flags, ...]:
    """What a command does to its first key, the second ...; the last entry holds for the rest.

    With its arguments, SET and BITFIELD are told by what they are asked to do.
    """
    if argv is not None and row.name == "set" and row.parent is None:
        return (_CHANGES if any(arg.lower() == b"get" for arg in argv[3:]) else _OVERWRITES,)
    if argv is not None and row.name == "bitfield":
        return (_CHANGES if _bitfield_writes(argv) else _READS,)
    found = _TABLE.get(row.full_name)
    if found is None:
        found = (_READS if not row.write and row.readonly else _CHANGES,)
    return found


def _bitfield_writes(argv: Argv) -> bool:
    at = 2
    while at < len(argv):
        word = argv[at].lower()
        if word == b"get":
            at += 3
        elif word == b"overflow":
            at += 2
        else:
            return True
    return False


def keys_with_flags(row: Command, argv: Argv) -> list[tuple[bytes, Flags]]:
    """The keys of a command and what it does to each."""
    flags = flags_of(row, argv)
    last = len(flags) - 1
    return [(key, flags[min(at, last)]) for at, key in enumerate(row.keys(argv))]


def keys_with_needs(row: Command, argv: Argv) -> list[tuple[bytes, int]]:
    """The keys of a command and what a user must be allowed: READ, WRITE, both or neither."""
    found = []
    for key, flags in keys_with_flags(row, argv):
        if "not_key" not in flags:
            needs = 0
            for flag in flags:
                needs |= _NEEDS.get(flag, 0)
            found.append((key, needs))
    start = _TELL_OF.get(row.full_name)
    return found if start is None else [(key, READ) for key in argv[start:]]
