"""OBJECT: how Redis would hold a value, and how much it is used.

Values are Python objects here and have no encodings; `encoding_of` answers with
the one that redis-server would choose for the same value with its default
configuration, since clients and test suites read it. What cannot be seen in the
value is not answered: a string that APPEND made is `raw` in Redis however short.

Nothing here loads, counts or refreshes a key.
"""

from __future__ import annotations

from typing import Any

from antecache.policies.lfu import LFU
from antecache.server.backing.base import Row
from antecache.server.command import Argv, ClientView, command, container
from antecache.server.commands.arguments import is_integer
from antecache.server.errors import ClientError

HASH_LISTPACK_ENTRIES = 512  # hash-max-listpack-entries
HASH_LISTPACK_VALUE = 64  # hash-max-listpack-value
EMBSTR = 44  # OBJ_ENCODING_EMBSTR_SIZE_LIMIT

NO_LFU = (
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
    "Please note that when switching between policies at runtime LRU and LFU data "
    "will take some time to adjust."
)
NO_IDLE_TIME = "ERR idle time is not tracked: no eviction policy here needs a clock per key"

container(
    "object",
    since="2.2.3",
    complexity="Depends on subcommand.",
    summary="A container for object introspection commands.",
)


def encoding_of(value: Any) -> str:
    """Redis's name of the representation it would choose for `value`."""
    if isinstance(value, bytes):
        if is_integer(value):
            return "int"
        return "embstr" if len(value) <= EMBSTR else "raw"
    if isinstance(value, dict | Row):
        fields = value if isinstance(value, dict) else value.fields()
        small = len(fields) <= HASH_LISTPACK_ENTRIES and all(
            len(name) <= HASH_LISTPACK_VALUE and len(text) <= HASH_LISTPACK_VALUE
            for name, text in fields.items()
        )
        return "listpack" if small else "hashtable"
    return str(value.encoding)


@command(
    "object|encoding",
    3,
    flags="readonly",
    keys=(2, 2, 1),
    since="2.2.3",
    summary="Returns the internal encoding of a Redis object.",
)
def encoding(client: ClientView, argv: Argv) -> bytes | None:
    """OBJECT ENCODING key."""
    entry = client.db.peek(argv[2])
    return None if entry is None else encoding_of(entry.value).encode()


@command(
    "object|refcount",
    3,
    flags="readonly",
    keys=(2, 2, 1),
    since="2.2.3",
    summary="Returns the reference count of a value of a key.",
)
def refcount(client: ClientView, argv: Argv) -> int | None:
    """OBJECT REFCOUNT key: 1, values are not shared."""
    return None if client.db.peek(argv[2]) is None else 1


@command(
    "object|freq",
    3,
    flags="readonly",
    keys=(2, 2, 1),
    since="4.0.0",
    summary="Returns the logarithmic access frequency counter of a Redis object.",
)
def freq(client: ClientView, argv: Argv) -> int | None:
    """OBJECT FREQ key: the counter of the LFU policy, 0 for a key it may not evict."""
    entry = client.db.peek(argv[2])
    if entry is None:
        return None
    policy = client.db.store.policy
    if not isinstance(policy, LFU):
        raise ClientError(NO_LFU)
    return policy.counter(entry) if entry.where > 0 else 0


@command(
    "object|idletime",
    3,
    flags="readonly",
    keys=(2, 2, 1),
    since="2.2.3",
    summary="Returns the time since the last access to a Redis object.",
)
def idletime(client: ClientView, argv: Argv) -> None:
    """OBJECT IDLETIME key: nil without a key, else refused, since nobody keeps that time."""
    if client.db.peek(argv[2]) is not None:
        raise ClientError(NO_IDLE_TIME)
