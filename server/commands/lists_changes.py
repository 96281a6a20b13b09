"""Changes within a list: LSET, LINSERT, LREM, LTRIM."""

from __future__ import annotations

from antecache.server import items as lists
from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.lists import ONE_KEY, list_of, removed, span
from antecache.server.encode import OK
from antecache.server.errors import INDEX_OUT_OF_RANGE, NO_SUCH_KEY, SYNTAX, ClientError
from antecache.server.store import events
from antecache.server.store import size as sizes


@command(
    "lset",
    4,
    flags="write denyoom",
    keys=ONE_KEY,
    group="list",
    complexity="O(N) where N is the length of the list. Setting either the first or the last "
    "element of the list is O(1).",
    summary="Sets the value of an element in a list by its index.",
)
def lset(client: ClientView, argv: Argv) -> bytes:
    """LSET key index element."""
    entry = client.db.modify(argv[1])
    value = list_of(entry)
    if entry is None or value is None:
        raise ClientError(NO_SUCH_KEY)
    index = integer(argv[2])
    if not -len(value) <= index < len(value):
        raise ClientError(INDEX_OUT_OF_RANGE)
    delta = len(argv[3]) - len(value[index])
    value[index] = argv[3]
    client.db.grew(entry, delta)
    client.db.event(events.LIST, "lset", argv[1])
    return OK


@command(
    "linsert",
    5,
    flags="write denyoom",
    keys=ONE_KEY,
    group="list",
    since="2.2.0",
    complexity="O(N) where N is the number of elements to traverse before seeing the value pivot. "
    "This means that inserting somewhere on the left end on the list (head) can be considered "
    "O(1) and inserting somewhere on the right end (tail) is O(N).",
    summary="Inserts an element before or after another element in a list.",
)
def linsert(client: ClientView, argv: Argv) -> int:
    """LINSERT key BEFORE | AFTER pivot element: the new length, -1 without the pivot."""
    where = argv[2].upper()
    if where not in (b"BEFORE", b"AFTER"):
        raise ClientError(SYNTAX)
    entry = client.db.modify(argv[1])
    value = list_of(entry)
    if entry is None or value is None:
        return 0
    try:
        at = value.index(argv[3])
    except ValueError:
        return -1
    frame = sizes.of_frame(value)
    value.insert(at + (where == b"AFTER"), argv[4])
    value = entry.value = lists.grown(value)
    client.db.grew(entry, sizes.of_item(argv[4]) + sizes.of_frame(value) - frame)
    client.db.event(events.LIST, "linsert", argv[1])
    return len(value)


@command(
    "lrem",
    4,
    flags="write",
    keys=ONE_KEY,
    group="list",
    complexity="O(N+M) where N is the length of the list and M is the number of elements removed.",
    summary="Removes elements from a list. Deletes the list if the last element was removed.",
)
def lrem(client: ClientView, argv: Argv) -> int:
    """LREM key count element: the first `count`, from the end if negative, all with 0."""
    count = integer(argv[2])
    entry = client.db.modify(argv[1])
    value = list_of(entry)
    if entry is None or value is None:
        return 0
    kept, gone = lists.without(value, argv[3], count)
    if gone:
        entry.value = kept
        removed(client, entry, [argv[3]] * gone, "lrem")
    return gone


@command(
    "ltrim",
    4,
    flags="write",
    keys=ONE_KEY,
    group="list",
    complexity="O(N) where N is the number of elements to be removed by the operation.",
    summary="Removes elements from both ends a list. Deletes the list if all elements were "
    "trimmed.",
)
def ltrim(client: ClientView, argv: Argv) -> bytes:
    """LTRIM key start stop."""
    first, last = integer(argv[2]), integer(argv[3])
    entry = client.db.modify(argv[1])
    value = list_of(entry)
    if entry is None or value is None:
        return OK
    gone = lists.cut(value, *span(first, last, len(value)))
    removed(client, entry, gone, "ltrim")
    return OK
