"""A user: who may connect with which password, and what they may do then.

Passwords are kept as SHA-256 digests only. The rules are Redis's (`ACLSetUser`):
`on`, `off`, `nopass`, `>password`, `<password`, `#digest`, `!digest`, `resetpass`,
`reset`, `(selector)`, `clearselectors`, and those of the root selector.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence

from antecache.server.acl.selector import BadRule, Denied, Selector
from antecache.server.command import Argv, Command
from antecache.server.errors import ClientError
from antecache.server.keyaccess import READ

_DIGEST = re.compile(rb"[0-9a-f]{64}\Z")
BAD_DIGEST = (
    "The password hash must be exactly 64 characters and contain only lowercase "
    "hexadecimal characters"
)
NO_PASSWORD = "The password you are trying to remove from the user does not exist"


def digest(password: bytes) -> bytes:
    """What is kept of a password."""
    return hashlib.sha256(password).hexdigest().encode()


class User:
    """A user and what it may do; a new one is off, and may do nothing."""

    def __init__(self, name: bytes, *, all_channels: bool = False) -> None:
        self.name = name
        self.enabled = False
        self.no_password = False
        self.sanitize = True  # Redis's own; kept for ACL LIST
        self.passwords: dict[bytes, None] = {}  # digests, in their order
        self.selectors = [Selector()]
        self.selectors[0].all_channels = self._all_channels = all_channels
        self.unrestricted = False  # whether everything is allowed, and nothing need be checked

    def apply_all(self, rules: Sequence[bytes]) -> None:
        """Change the user by rules, or not at all; raises BadRule with `(rule, reason)`."""
        changed = User(self.name)
        changed.become(self)
        for rule in rules:
            try:
                changed.apply(rule)
            except BadRule as error:
                raise BadRule(rule.decode("utf-8", "replace"), str(error)) from None
        self.become(changed)

    def become(self, other: User) -> None:
        """Take over everything but the name."""
        self.enabled, self.no_password = other.enabled, other.no_password
        self.sanitize = other.sanitize
        self._all_channels = other._all_channels
        self.passwords = dict(other.passwords)
        self.selectors = [selector.copy() for selector in other.selectors]
        self._look()

    def _look(self) -> None:
        self.unrestricted = any(selector.unrestricted for selector in self.selectors)

    def apply(self, rule: bytes) -> None:
        """Change the user by one rule; raises BadRule."""
        word = rule.lower()
        if word in (b"on", b"off"):
            self.enabled = word == b"on"
        elif word == b"nopass":
            self.no_password = True
            self.passwords.clear()
        elif word == b"resetpass":
            self.no_password = False
            self.passwords.clear()
        elif word in (b"sanitize-payload", b"skip-sanitize-payload"):
            self.sanitize = word == b"sanitize-payload"
        elif rule[:1] in (b">", b"#"):
            found = digest(rule[1:]) if rule[:1] == b">" else _checked(rule[1:])
            self.passwords[found] = None
            self.no_password = False
        elif rule[:1] in (b"<", b"!"):
            found = digest(rule[1:]) if rule[:1] == b"<" else _checked(rule[1:])
            if found not in self.passwords:
                raise BadRule(NO_PASSWORD)
            del self.passwords[found]
        elif rule[:1] == b"(" and rule[-1:] == b")":
            self.selectors.append(_selector(rule[1:-1], self._all_channels))
        elif word == b"clearselectors":
            del self.selectors[1:]
        elif word == b"reset":
            fresh = User(self.name, all_channels=self._all_channels)
            self.become(fresh)
        else:
            self.selectors[0].apply(rule)
        self._look()

    def accepts(self, password: bytes) -> bool:
        """Whether the user may enter with this password."""
        given = digest(password)
        known = any(hmac.compare_digest(given, one) for one in self.passwords)
        return self.enabled and (self.no_password or known)

    # -- what it may do -------------------------------------------------------

    def denies(self, row: Command, argv: Argv) -> Denied | None:
        """What of a command is not allowed; None when it may run."""
        worst: Denied | None = None
        for selector in self.selectors:
            denied = selector.denies(row, argv)
            if denied is None:
                return None
            if worst is None or denied.severity > worst.severity:
                worst = denied
        return worst

    def reads_everything(self, row: Command, argv: Argv) -> bool:
        """Whether the command may read keys that are not among its arguments (SORT ... GET)."""
        return any(
            selector.denies(row, argv) is None
            and (
                selector.all_keys or any(p.text == b"*" and p.rights & READ for p in selector.keys)
            )
            for selector in self.selectors
        )

    def may_read(self, key: bytes) -> bool:
        """Whether the user may read a key, by some command or other."""
        return self.unrestricted or any(s.may_use(key, READ) for s in self.selectors)

    def may_hear(self, name: bytes, *, pattern: bool) -> bool:
        """Whether the user may be subscribed to a channel, or a pattern of channels."""
        return any(selector.may_hear(name, pattern=pattern) for selector in self.selectors)

    # -- text -----------------------------------------------------------------

    @property
    def flags(self) -> list[bytes]:
        """As ACL GETUSER shows them."""
        found = [b"on" if self.enabled else b"off"]
        if self.no_password:
            found.append(b"nopass")
        found.append(b"sanitize-payload" if self.sanitize else b"skip-sanitize-payload")
        return found

    def describe(self) -> bytes:
        """The line of ACL LIST, and of a file."""
        root, *others = map(str, self.selectors)
        text = " ".join((root, *(f"({other})" for other in others)))
        digests = [b"#" + one for one in self.passwords]
        rules = text.encode("utf-8", "surrogateescape")
        return b" ".join((b"user", self.name, *self.flags, *digests, rules))


def _checked(found: bytes) -> bytes:
    if not _DIGEST.match(found):
        raise BadRule(BAD_DIGEST)
    return found


def _selector(text: bytes, all_channels: bool) -> Selector:
    selector = Selector()
    selector.all_channels = all_channels
    for rule in text.split(b" "):
        if rule:
            selector.apply(rule)
    return selector


def merged(rules: Iterable[bytes]) -> list[bytes]:
    """Rules with the words between parentheses joined to one; raises ClientError."""
    found: list[bytes] = []
    pending: list[bytes] | None = None
    for rule in rules:
        if pending is not None:
            pending.append(rule)
        elif rule[:1] == b"(":
            pending = [rule]
        else:
            found.append(rule)
            continue
        if rule[-1:] == b")":
            found.append(b" ".join(pending))
            pending = None
    if pending is not None:
        start = pending[0].decode("utf-8", "replace")
        raise ClientError(f"ERR Unmatched parenthesis in acl selector starting at '{start}'.")
    return found
