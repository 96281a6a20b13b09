"""A selector: one set of permissions to commands, keys and channels, and the rules that make it.

A user has a root selector and may have more; a command is allowed when one of them
allows all of it. Rules are applied in their order, as in Redis's `ACLSetSelector`:
the commands that are allowed are kept as a set, and the rules that led there as text
for ACL LIST, without those that later ones made void.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from antecache.server.command import TABLE, Argv, Command, every
from antecache.server.glob import matcher
from antecache.server.keyaccess import READ, WRITE, keys_with_needs

CATEGORIES = tuple(
    "keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin "
    "fast slow blocking dangerous connection transaction scripting".split()
)
UNKNOWN = "Unknown command or category name in ACL"
SYNTAX = "Syntax error"
AFTER_ALL_KEYS = (
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have "
    "any effect. Try 'resetkeys' to start with an empty list of patterns"
)
AFTER_ALL_CHANNELS = (
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not "
    "have any effect. Try 'resetchannels' to start with an empty list of channels"
)
FIRST_ARGUMENT = "Allowing first-arg of a subcommand is not supported"

COMMAND, KEY, CHANNEL = "command", "key", "channel"
_SEVERITY = {COMMAND: 1, KEY: 2, CHANNEL: 3}

SUBSCRIBES = {"subscribe": False, "ssubscribe": False, "psubscribe": True}  # name: by pattern?
PUBLISHES = frozenset(("publish", "spublish"))


class BadRule(Exception):
    """A rule that cannot be applied: the reason."""


class Denied(NamedTuple):
    """What is not allowed: a command, a key or a channel, which, and how many were before it."""

    reason: str
    thing: bytes
    at: int = 0

    @property
    def severity(self) -> tuple[int, int]:
        """Of several selectors' refusals, the one that came furthest is told."""
        return _SEVERITY[self.reason], self.at


Matcher = Callable[[bytes], object]


class Pattern(NamedTuple):
    """A key pattern: what may be done (READ, WRITE), and its text."""

    rights: int
    text: bytes
    fits: Matcher

    def __str__(self) -> str:
        prefix = {READ: "%R~", WRITE: "%W~"}.get(self.rights, "~")
        return prefix + _text(self.text)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


class Selector:
    """One set of permissions; nothing is allowed in a new one.

    commands   full names of the commands that are allowed
    firsts     of a command that is not: the first arguments with which it is
    future     whether commands that do not exist yet are allowed (+@all)
    """

    def __init__(self) -> None:
        self.commands: set[str] = set()
        self.firsts: dict[str, set[bytes]] = {}
        self.future = False
        self._removed = False  # whether anything was taken away since +@all
        self._rules: list[str] = []
        self.all_keys = self.all_channels = False
        self.keys: list[Pattern] = []
        self.channels: dict[bytes, Matcher] = {}

    def copy(self) -> Selector:
        """One that shares nothing that may change."""
        other = Selector()
        other.commands = set(self.commands)
        other.firsts = {name: set(found) for name, found in self.firsts.items()}
        other.future, other._removed = self.future, self._removed
        other._rules = list(self._rules)
        other.all_keys, other.all_channels = self.all_keys, self.all_channels
        other.keys = list(self.keys)
        other.channels = dict(self.channels)
        return other

    @property
    def unrestricted(self) -> bool:
        """Whether everything is allowed."""
        return self.future and not self._removed and self.all_keys and self.all_channels

    # -- rules ----------------------------------------------------------------

    def apply(self, rule: bytes) -> None:
        """Change it by one rule; raises BadRule."""
        word = rule.lower()
        if word in (b"allkeys", b"~*"):
            self.all_keys = True
            self.keys.clear()
        elif word == b"resetkeys":
            self.all_keys = False
            self.keys.clear()
        elif word in (b"allchannels", b"&*"):
            self.all_channels = True
            self.channels.clear()
        elif word == b"resetchannels":
            self.all_channels = False
            self.channels.clear()
        elif word in (b"allcommands", b"+@all"):
            self._all_commands(True)
        elif word in (b"nocommands", b"-@all"):
            self._all_commands(False)
        elif rule[:1] in (b"~", b"%"):
            self._key_pattern(rule)
        elif rule[:1] == b"&":
            self._channel(rule[1:])
        elif rule[:1] in (b"+", b"-"):
            self._command(word[1:].decode("utf-8", "replace"), rule[:1] == b"+")
        else:
            raise BadRule(SYNTAX)

    def _all_commands(self, allowed: bool) -> None:
        self.commands = {row.full_name for row in every()} if allowed else set()
        self.future, self._removed = allowed, False
        self.firsts.clear()
        self._rules.clear()

    def _key_pattern(self, rule: bytes) -> None:
        if self.all_keys:
            raise BadRule(AFTER_ALL_KEYS)
        rights = READ | WRITE
        pattern = rule[1:]
        if rule[:1] == b"%":
            letters, tilde, pattern = rule[1:].partition(b"~")
            rights = 0
            for letter in letters.upper():
                right = {ord("R"): READ, ord("W"): WRITE}.get(letter, 0)
                if not right or rights & right:
                    raise BadRule(SYNTAX)
                rights |= right
            if not rights or not tilde:
                raise BadRule(SYNTAX)
            if rights == READ | WRITE and pattern == b"*":
                self.apply(b"allkeys")
                return
        if b" " in pattern or b"\0" in pattern:
            raise BadRule(SYNTAX)
        for at, known in enumerate(self.keys):
            if known.text == pattern:
                self.keys[at] = known._replace(rights=known.rights | rights)
                return
        self.keys.append(Pattern(rights, pattern, matcher(pattern)))

    def _channel(self, pattern: bytes) -> None:
        if self.all_channels:
            raise BadRule(AFTER_ALL_CHANNELS)
        if b" " in pattern or b"\0" in pattern:
            raise BadRule(SYNTAX)
        self.channels.setdefault(pattern, matcher(pattern))

    def _command(self, name: str, allowed: bool) -> None:
        if name.startswith("@"):
            if name[1:] not in CATEGORIES:
                raise BadRule(UNKNOWN)
            for row in every():
                if name[1:] in row.categories:
                    self._set(row, allowed)
            self._note(name, allowed)
            return
        parent, _, rest = name.partition("|")
        found = TABLE.get(parent.encode())
        if found is None:
            raise BadRule(UNKNOWN)
        if not rest:
            for one in (found, *found.subcommands.values()):
                self._set(one, allowed)
        elif rest.partition("|")[0].encode() in found.subcommands:
            if "|" in rest:
                raise BadRule(FIRST_ARGUMENT)
            self._set(found.subcommands[rest.encode()], allowed)
        elif found.subcommands or not allowed:
            raise BadRule(UNKNOWN)
        elif parent not in self.commands:
            self.firsts.setdefault(parent, set()).add(rest.encode())
        else:
            return  # it is allowed already, whatever its first argument
        self._note(name, allowed)

    def _set(self, row: Command, allowed: bool) -> None:
        if allowed:
            self.commands.add(row.full_name)
        else:
            self.commands.discard(row.full_name)
            self._removed = True
        self.firsts.pop(row.full_name, None)

    def _note(self, name: str, allowed: bool) -> None:
        """Remember a rule; those on the same command, or what it contains, are void now."""
        contained = name + "|"
        self._rules = [
            old
            for old in self._rules
            if old[1:] != name and (not old[1:].startswith(contained) or name.startswith("@"))
        ]
        self._rules.append(("+" if allowed else "-") + name)

    # -- what it allows -------------------------------------------------------

    def denies(self, row: Command, argv: Argv) -> Denied | None:
        """What of a command is not allowed; None when all of it is."""
        if not (self.future and not self._removed) and not self._may_call(row, argv):
            return Denied(COMMAND, row.full_name.encode())
        if not self.all_keys:
            for at, (key, needs) in enumerate(keys_with_needs(row, argv)):
                if not self.may_use(key, needs):
                    return Denied(KEY, key, at)
        if not self.all_channels:
            by_pattern = SUBSCRIBES.get(row.name)
            if by_pattern is not None or row.name in PUBLISHES:
                names = argv[1:2] if by_pattern is None else argv[1:]
                for at, name in enumerate(names):
                    if not self.may_hear(name, pattern=bool(by_pattern)):
                        return Denied(CHANNEL, name, at)
        return None

    def _may_call(self, row: Command, argv: Argv) -> bool:
        if row.full_name in self.commands or "no_auth" in row.flags:
            return True
        firsts = self.firsts.get(row.full_name)
        return firsts is not None and len(argv) > 1 and argv[1].lower() in firsts

    def may_use(self, key: bytes, needs: int) -> bool:
        """Whether a key may be used for all of `needs` (READ, WRITE)."""
        return self.all_keys or any(
            pattern.rights & needs == needs and pattern.fits(key) for pattern in self.keys
        )

    def may_hear(self, name: bytes, *, pattern: bool) -> bool:
        """Whether a channel may be used; a pattern only as it stands in the rules."""
        if self.all_channels:
            return True
        if pattern:
            return name in self.channels
        return any(fits(name) for fits in self.channels.values())

    # -- text -----------------------------------------------------------------

    @property
    def commands_text(self) -> str:
        """The rules for commands."""
        return " ".join(("+@all" if self.future else "-@all", *self._rules))

    @property
    def keys_text(self) -> str:
        """The rules for keys."""
        return "~*" if self.all_keys else " ".join(map(str, self.keys))

    @property
    def channels_text(self) -> str:
        """The rules for channels."""
        return "&*" if self.all_channels else " ".join("&" + _text(name) for name in self.channels)

    def __str__(self) -> str:
        channels = self.channels_text
        if not self.all_channels:
            channels = f"resetchannels {channels}".rstrip()
        return " ".join(filter(None, (self.keys_text, channels, self.commands_text)))
