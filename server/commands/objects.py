"""OBJECT: how Redis would hold a value, and how much it is used.

What the encoding of a value would be in Redis is in the table of `store/kinds.py`.

Nothing here loads, counts or refreshes a key.
"""

from __future__ import annotations

from antecache.policies.lfu import LFU
from antecache.policies.lru import LRU
from antecache.server.command import Argv, ClientView, command, container
from antecache.server.errors import ClientError
from antecache.server.store import Entry, Evidence
from antecache.server.store.kinds import kind_of

NO_LFU = (
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
    "Please note that when switching between policies at runtime LRU and LFU data "
    "will take some time to adjust."
)
NO_LRU = (
    "ERR An LFU maxmemory policy is selected, idle time not tracked. "
    "Please note that when switching between policies at runtime LRU and LFU data "
    "will take some time to adjust."
)

container(
    "object",
    since="2.2.3",
    complexity="Depends on subcommand.",
    summary="A container for object introspection commands.",
    help_lines="""ENCODING <key>
    Return the kind of internal representation used in order to store the value
    associated with a <key>.
FREQ <key>
    Return the access frequency index of the <key>. The returned integer is
    proportional to the logarithm of the recent access frequency of the key.
IDLETIME <key>
    Return the idle time of the <key>, that is the approximated number of
    seconds elapsed since the last access to the key.
REFCOUNT <key>
    Return the number of references of the value associated with the specified
    <key>.""",
)


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
    return None if entry is None else kind_of(entry.value).encoding(entry.value).encode()


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
def idletime(client: ClientView, argv: Argv) -> int | None:
    """OBJECT IDLETIME key: seconds, as far as the policy knows."""
    entry = client.db.peek(argv[2])
    if entry is None:
        return None
    if isinstance(client.db.store.policy, LFU):
        raise ClientError(NO_LRU)
    return idle_seconds(client, entry)


def idle_seconds(client: ClientView, entry: Entry) -> int:
    """The least time that a key has not been used for.

    The LRU policies know it of the keys that they may evict, and of a row that was
    prefetched and not asked for yet the time of the prefetch is known. Of any other
    key nobody keeps a time, since that would cost every read; it may be in use, so 0.
    """
    store = client.db.store
    if entry.where > 0 and isinstance(store.policy, LRU):
        return store.policy.idle(entry)
    if entry.where < 0 and isinstance(entry.origin, Evidence):
        return max(0, store.now - entry.origin.at) // 1000
    return 0
