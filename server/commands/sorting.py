"""SORT and SORT_RO: the members of a list, a set or a sorted set in another order.

BY and GET patterns name keys, or fields of hashes, that differ from member to member. So
what they name is known only once the members are: the keys among it that a source owns are
loaded together before anything is looked up. Text is compared byte by byte, as Redis does in
the C locale.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from antecache.server import items
from antecache.server.command import Absent, Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.commands.hashes import hget
from antecache.server.commands.ranges import score
from antecache.server.commands.strings import get
from antecache.server.errors import SYNTAX, WRONGTYPE, ClientError
from antecache.server.store import Entry, events
from antecache.server.zset import SortedSet

NO_NUMBERS = "ERR One or more scores can't be converted into double"
BLANKS = b" \t\n\v\f\r"


class Pattern(NamedTuple):
    """What BY or GET names for a member: `before` + the member + `after`, and a field of it.

    `names` is "key", "member" for `#`, or "nothing" for a pattern without `*`.
    """

    names: str
    before: bytes = b""
    after: bytes = b""
    field: bytes = b""

    def key(self, member: bytes) -> bytes:
        """The key that a pattern of keys names."""
        return self.before + member + self.after

    def look_up(self, client: ClientView, member: bytes) -> bytes | None:
        """What is there; None where it is absent or of another type."""
        if self.names == "member":
            return member
        if self.names == "nothing":
            return None
        found: bytes | None
        try:
            if self.field:
                found = hget(client, [b"HGET", self.key(member), self.field])
            else:
                found = get(client, [b"GET", self.key(member)])
            return found
        except ClientError as error:
            if error.text != WRONGTYPE:
                raise
            return None


def pattern(text: bytes) -> Pattern:
    """`#`, `weight_*`, `user:*->name`."""
    if text == b"#":
        return Pattern("member")
    before, star, after = text.partition(b"*")
    if not star:
        return Pattern("nothing")
    key, _, field = after.partition(b"->")
    return Pattern("key", before, key, field) if field else Pattern("key", before, after)


class Options:
    """The arguments after the key. `sorts` is false for a BY pattern without `*`."""

    __slots__ = ("alpha", "by", "count", "descending", "get", "offset", "sorts", "store")

    def __init__(self, argv: Argv, *, stores: bool) -> None:
        self.alpha = self.descending = False
        self.sorts = True
        self.by: Pattern | None = None
        self.get: list[Pattern] = []
        self.offset, self.count = 0, -1
        self.store: bytes | None = None
        words = iter(argv[2:])
        for word in words:
            option = word.upper()
            if option in (b"ASC", b"DESC"):
                self.descending = option == b"DESC"
            elif option == b"ALPHA":
                self.alpha = True
            elif option == b"LIMIT":
                offset, count = _next(words), _next(words)
                self.offset, self.count = integer(offset), integer(count)
            elif option == b"STORE" and stores:
                self.store = _next(words)
            elif option == b"BY":
                text = _next(words)
                if b"*" in text:
                    self.by = pattern(text)
                else:
                    self.sorts = False
            elif option == b"GET":
                self.get.append(pattern(_next(words)))
            else:
                raise ClientError(SYNTAX)

    def span(self, length: int) -> tuple[int, int]:
        """The half-open range of LIMIT among so many members."""
        start = min(max(self.offset, 0), length)
        return start, length if self.count < 0 else min(start + self.count, length)


def _next(words: Any) -> bytes:
    word: bytes | None = next(words, None)
    if word is None:
        raise ClientError(SYNTAX)
    return word


def sort_keys(argv: Argv) -> list[bytes]:
    """The keys that stand among the arguments."""
    keys = argv[1:2]
    at = 2
    while at + 1 < len(argv):
        option = argv[at].upper()
        if option == b"STORE":
            keys = [argv[1], argv[at + 1]]  # the last one counts
        at += {b"LIMIT": 3, b"GET": 2, b"BY": 2, b"STORE": 2}.get(option, 1)
    return keys


def _members(entry: Entry | None, options: Options) -> list[bytes]:
    """The members in the order in which they stand, or what is like it."""
    if entry is None:
        return []
    value = entry.value
    if isinstance(value, SortedSet):
        members = [member for _, member in value]
    elif isinstance(value, list | deque | set):
        members = list(value)
    else:
        raise ClientError(WRONGTYPE)
    if not options.sorts and isinstance(value, set) and options.store is not None:
        members.sort()  # a set has no order of its own that would be worth storing
    elif not options.sorts and options.descending:
        members.reverse()
    return members


def _load(client: ClientView, patterns: Iterable[Pattern], members: list[bytes]) -> None:
    """Have everything loaded that the patterns name and a source owns."""
    if client.db.store.owner is None:
        return
    keys = [one.key(member) for one in patterns if one.names == "key" for member in members]
    absent = client.server.absent(client, [[b"exists", *keys]]) if keys else []
    if absent:
        raise Absent(absent)


def _number(text: bytes | None) -> float:
    """The number that members are compared by: what is missing or empty is 0."""
    return score(text.lstrip(BLANKS), NO_NUMBERS) if text else 0.0


def _sort(client: ClientView, members: list[bytes], options: Options) -> None:
    by, down = options.by, options.descending
    if not options.alpha:
        numbers = [
            (_number(member if by is None else by.look_up(client, member)), member)
            for member in members
        ]
        numbers.sort(reverse=down)
        members[:] = [member for _, member in numbers]
    elif by is None:
        members.sort(reverse=down)
    else:
        weights = {member: by.look_up(client, member) for member in members}
        # What is missing comes first.
        members.sort(
            key=lambda member: (weights[member] is not None, weights[member]), reverse=down
        )


def _sorted(client: ClientView, argv: Argv, options: Options) -> list[bytes | None]:
    members = _members(client.db.read(argv[1]), options)
    if options.sorts:
        patterns = options.get if options.by is None else [options.by, *options.get]
        _load(client, patterns, members)
        _sort(client, members, options)
    start, stop = options.span(len(members))
    members = members[start:stop]
    if not options.get:
        return list(members)
    _load(client, options.get, members)
    return [one.look_up(client, member) for member in members for one in options.get]


COMPLEXITY = (
    "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number "
    "of returned elements. When the elements are not sorted, complexity is O(N)."
)


@command(
    "sort_ro",
    -2,
    flags="readonly",
    keys=(1, 1, 1),
    keys_of=lambda argv: argv[1:2],
    since="7.0.0",
    complexity=COMPLEXITY,
    categories="set sortedset list dangerous",
    summary="Returns the sorted elements of a list, a set, or a sorted set.",
)
def sort_ro(client: ClientView, argv: Argv) -> list[bytes | None]:
    """SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA]."""
    return _sorted(client, argv, Options(argv, stores=False))


@command(
    "sort",
    -2,
    flags="write denyoom",
    keys=(1, 1, 1),
    keys_of=sort_keys,
    complexity=COMPLEXITY,
    categories="set sortedset list dangerous",
    summary="Sorts the elements in a list, a set, or a sorted set, optionally storing the result.",
)
def sort(client: ClientView, argv: Argv) -> list[bytes | None] | int:
    """SORT key [BY p] [LIMIT offset count] [GET p ...] [ASC | DESC] [ALPHA] [STORE key]."""
    options = Options(argv, stores=True)
    found = _sorted(client, argv, options)
    key = options.store
    if key is None:
        return found
    db = client.db
    if found:
        db.put(key, items.new(b"" if item is None else item for item in found))
        db.event(events.LIST, "sortstore", key)
    elif db.delete(key):
        db.event(events.GENERIC, "del", key)
    return len(found)
