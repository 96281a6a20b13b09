"""The users of a server: who there is, who may enter, and what is refused to whom.

A user who may do everything costs nothing: the sessions of all others are `special`,
and dispatch asks here before each of their commands, before anything is loaded for
it. Users come from the setting `users` or from the file `aclfile`, which ACL LOAD
reads and ACL SAVE writes; the password of the default user is `requirepass` too.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from antecache.server.acl.log import AclLog
from antecache.server.acl.selector import COMMAND, KEY, BadRule, Denied
from antecache.server.acl.user import User, merged
from antecache.server.command import Argv, Command
from antecache.server.errors import ClientError, ConfigError

DEFAULT = b"default"
NO_FILE = (
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
    "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
    "configuration file set) in order to store users in the Redis configuration."
)


class Users:
    """All users, by name.

    `describe(client)` is the line of CLIENT LIST, for the log.
    """

    def __init__(self, server: Any, describe: Callable[[Any], bytes]) -> None:
        self._server = server
        self._describe = describe
        config = server.config
        self.log = AclLog(config.acllog_max_len)
        self.default = self._new_default()
        self.by_name: dict[bytes, User] = {DEFAULT: self.default}
        if config.users and config.aclfile:
            raise ConfigError("aclfile: users are given in the settings too; choose one of them")
        try:
            if config.aclfile:
                self._replace(self._read(Path(config.aclfile)))
            elif config.users:
                self._replace(self._parse(_lines(config.users), "users"))
        except ClientError as error:
            raise ConfigError(error.text.removeprefix("ERR ")) from None

    def _new_default(self) -> User:
        """The default user where nobody says otherwise: all rights, and `requirepass`."""
        user = User(DEFAULT)
        password = self._server.config.requirepass.encode("utf-8", "surrogateescape")
        for rule in (b"on", b">" + password if password else b"nopass", b"~*", b"&*", b"+@all"):
            user.apply(rule)
        return user

    def new(self, name: bytes) -> User:
        """A user that is not known yet; `put` makes it so."""
        return User(name, all_channels=self._server.config.acl_pubsub_default == "allchannels")

    # -- entering -------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether a new connection may go on as the default user."""
        return self.default.enabled and self.default.no_password

    def set_requirepass(self, password: str) -> None:
        """The password of the default user; an empty one asks for none."""
        self.default.apply(b"resetpass")
        given = password.encode("utf-8", "surrogateescape")
        self.default.apply(b">" + given if given else b"nopass")

    def enter(self, client: Any, name: bytes, password: bytes, argv: Argv) -> bool:
        """AUTH, HELLO: whether `client` is that user from now on."""
        user = self.by_name.get(name)
        if user is None or not user.accepts(password):
            context = "multi" if client.transaction is not None else "toplevel"
            self.log.add("auth", context, argv[0], name, self._describe(client))
            return False
        client.account = user
        client.user = user.name
        client.authenticated = True
        return True

    # -- refusing -------------------------------------------------------------

    def refusal(self, client: Any, row: Command, argv: Argv, context: str = "") -> str | None:
        """The error for a command that `client` may not run, or None; noted in the log."""
        user: User = client.account
        denied = user.denies(row, argv)
        if denied is not None:
            if not context:
                context = "multi" if client.transaction is not None else "toplevel"
            line = self._describe(client)
            self.log.add(denied.reason, context, denied.thing, user.name, line)
            return f"NOPERM {message(user, denied)}"
        if row.name in ("sort", "sort_ro") and not user.reads_everything(row, argv):
            return _sorting(argv)
        return None

    # -- changing -------------------------------------------------------------

    def put(self, user: User) -> None:
        """A user is new, or has changed."""
        self.by_name[user.name] = user
        self._look(user)
        self._remember()

    def _remember(self) -> None:
        """Keep the setting as the users are, for CONFIG REWRITE; a file has its own command."""
        config = self._server.config
        if not config.aclfile:
            pristine = self._new_default().describe()
            lines = [user.describe() for user in self.listed()]
            text = b"\n".join(line[len(b"user ") :] for line in lines if line != pristine)
            config.users = text.decode("utf-8", "surrogateescape")

    def _look(self, user: User) -> None:
        """The connections of a user who has changed."""
        for session in list(self._server.clients.values()):
            if session.account is not user:
                continue
            session.look()
            held = session.subscriptions
            if held is not None and not all(
                user.may_hear(name, pattern=kind == 1) for kind in (0, 1, 2) for name in held[kind]
            ):
                session.kill()

    def remove(self, name: bytes, asking: Any) -> bool:
        """ACL DELUSER: whether there was such a user; its connections are closed."""
        if name == DEFAULT:
            raise ClientError("ERR The 'default' user cannot be removed")
        user = self.by_name.pop(name, None)
        if user is None:
            return False
        self._end(user, asking)
        self._remember()
        return True

    def _end(self, user: User, asking: Any = None) -> None:
        for session in list(self._server.clients.values()):
            if session.account is user:
                session.account, session.user = self.default, DEFAULT
                session.authenticated = False
                if session is asking:
                    session.closing = True  # it is answered first
                else:
                    session.kill()

    # -- files ----------------------------------------------------------------

    def load(self, asking: Any = None) -> None:
        """ACL LOAD: the users of the file instead of all others, or ClientError and no change."""
        self._replace(self._read(self._file()), asking)

    def save(self) -> None:
        """ACL SAVE: write the file, as a whole or not at all."""
        file = self._file()
        lines = b"".join(user.describe() + b"\n" for user in self.listed())
        try:
            descriptor, name = tempfile.mkstemp(prefix=file.name, dir=file.parent)
            with os.fdopen(descriptor, "wb") as written:
                written.write(lines)
                written.flush()
                os.fsync(written.fileno())
            Path(name).replace(file)
        except OSError as error:
            text = f"ERR There was an error trying to save the ACLs: {error.strerror}"
            raise ClientError(text) from None

    def listed(self) -> list[User]:
        """All users, in the order of their names."""
        return [self.by_name[name] for name in sorted(self.by_name)]

    def _file(self) -> Path:
        if not self._server.config.aclfile:
            raise ClientError(NO_FILE)
        return Path(self._server.config.aclfile)

    def _read(self, file: Path) -> dict[bytes, User]:
        try:
            lines = file.read_bytes().split(b"\n")
        except OSError as error:
            raise ClientError(
                f"ERR Error loading ACLs, opening file '{file}': {error.strerror}"
            ) from None
        return self._parse(lines, str(file))

    def _parse(self, lines: Iterable[bytes], place: str) -> dict[bytes, User]:
        found: dict[bytes, User] = {}
        problems = []
        for number, line in enumerate(lines, 1):
            words = line.split()
            if not words or words[0].startswith(b"#"):
                continue
            try:
                user = self._read_line(words, found)
                found[user.name] = user
            except (BadRule, ClientError) as error:
                text = ": ".join(error.args).removeprefix("ERR ")
                problems.append(f"{place}:{number}: {text}.")
        if problems:
            raise ClientError(
                f"ERR {' '.join(problems)} WARNING: ACL errors detected, no change to the "
                "previously active ACL rules was performed"
            )
        return found

    def _read_line(self, words: list[bytes], known: dict[bytes, User]) -> User:
        if words[0] != b"user" or len(words) < 2:
            raise BadRule("line should start with user keyword followed by the username")
        name = words[1]
        if name in known:
            raise BadRule("Duplicate user found. A user can only be defined once in config files")
        user = self.new(name)
        user.apply_all(merged(words[2:]))
        return user

    def _replace(self, found: dict[bytes, User], asking: Any = None) -> None:
        old = self.by_name
        if DEFAULT not in found:
            found[DEFAULT] = self._new_default()
        # The default user stays the same object: every new connection refers to it.
        self.default.become(found[DEFAULT])
        found[DEFAULT] = self.default
        self.by_name = found
        for name, user in old.items():
            if name not in found:
                self._end(user, asking)
            elif user is not self.default:
                user.become(found[name])
                found[name] = user
                self._look(user)
        self._look(self.default)


def _lines(text: str) -> list[bytes]:
    """The lines of a file for the setting `users`, which goes without the first word."""
    lines = (line.strip() for line in text.splitlines())
    return [f"user {line}".encode("utf-8", "surrogateescape") for line in lines if line]


def message(user: User, denied: Denied, *, verbose: bool = False) -> str:
    """What is refused, in the words of Redis 7.4; `verbose` names the key or channel."""
    name = user.name.decode("utf-8", "surrogateescape")
    thing = denied.thing.decode("utf-8", "surrogateescape")
    if denied.reason == COMMAND:
        return f"User {name} has no permissions to run the '{thing}' command"
    kind = "key" if denied.reason == KEY else "channel"
    if verbose:
        return f"User {name} has no permissions to access the '{thing}' {kind}"
    return f"No permissions to access a {kind}"


def _sorting(argv: Argv) -> str | None:
    """SORT reads keys that it makes up, which takes the right to read them all."""
    at = 2
    while at < len(argv) - 1:
        word = argv[at].lower()
        if word == b"limit":
            at += 3
        elif word == b"store":
            at += 2
        elif word in (b"by", b"get"):
            if word == b"get" or b"*" in argv[at + 1]:
                option = word.decode().upper()
                return f"ERR {option} option of SORT denied due to insufficient ACL permissions"
            at += 2
        else:
            at += 1
    return None
