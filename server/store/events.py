"""Classes of what happens to keys, as keyspace notifications name them.

A handler that changed a key says so with `Database.event(class, name, key)`. Nothing
comes of it unless `notify-keyspace-events` asks for the class; see
https://redis.io/docs/latest/develop/use/keyspace-notifications/ for the letters.

What this file does not do: send anything.
"""

from __future__ import annotations

GENERIC, STRING, LIST, SET, HASH, ZSET, EXPIRED, EVICTED, STREAM, MISS, NEW = (
    1 << at for at in range(11)
)

LETTERS = {
    "g": GENERIC,
    "$": STRING,
    "l": LIST,
    "s": SET,
    "h": HASH,
    "z": ZSET,
    "x": EXPIRED,
    "e": EVICTED,
    "t": STREAM,
    "m": MISS,
    "n": NEW,
}
ALL = GENERIC | STRING | LIST | SET | HASH | ZSET | EXPIRED | EVICTED | STREAM  # the letter A
