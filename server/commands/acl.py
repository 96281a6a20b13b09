"""ACL: users, what they may do, and what was refused to them.

What rules mean is `server/acl/`; dispatch asks there before each command of a user
who may not do everything.
"""

from __future__ import annotations

import secrets
from typing import Any

from antecache.server import errors
from antecache.server.acl.selector import CATEGORIES, BadRule
from antecache.server.acl.user import User, merged
from antecache.server.acl.users import message
from antecache.server.command import Argv, ClientView, command, container, every, find
from antecache.server.commands.arguments import integer
from antecache.server.commands.texts import shown, too_many
from antecache.server.encode import OK
from antecache.server.errors import ClientError

ADMIN = "admin noscript loading stale"
OPEN = "noscript loading stale"
BITS = (
    "ERR ACL GENPASS argument must be the number of bits for the output password, a positive "
    "number up to 4096"
)

container(
    "acl",
    group="server",
    since="6.0.0",
    complexity="Depends on subcommand.",
    summary="A container for Access List Control commands.",
)


@command("acl|whoami", 2, flags=OPEN, since="6.0.0", summary="Returns the authenticated username.")
def whoami(client: ClientView, argv: Argv) -> bytes:
    """The name of the user of this connection."""
    return client.user


@command(
    "acl|users",
    2,
    flags=ADMIN,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
    summary="Lists all ACL users.",
)
def users(client: ClientView, argv: Argv) -> list[bytes]:
    """The names of all users."""
    return [user.name for user in client.server.users.listed()]


@command(
    "acl|list",
    2,
    flags=ADMIN,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
    summary="Dumps the effective rules in ACL file format.",
)
def list_(client: ClientView, argv: Argv) -> list[bytes]:
    """The users, as a line of an ACL file each."""
    return [user.describe() for user in client.server.users.listed()]


@command(
    "acl|getuser",
    3,
    flags=ADMIN,
    since="6.0.0",
    complexity="O(N). Where N is the number of password, command and pattern rules that the "
    "user has.",
    summary="Lists the ACL rules of a user.",
)
def getuser(client: ClientView, argv: Argv) -> dict[bytes, Any] | None:
    """The rules of a user, null for an unknown one."""
    user = client.server.users.by_name.get(argv[2])
    if user is None:
        return None
    root, *others = user.selectors
    return {
        b"flags": set(user.flags) if client.protocol == 3 else list(user.flags),
        b"passwords": list(user.passwords),
        **_rules(root),
        b"selectors": [_rules(selector) for selector in others],
    }


def _rules(selector: Any) -> dict[bytes, Any]:
    texts = {
        b"commands": selector.commands_text,
        b"keys": selector.keys_text,
        b"channels": selector.channels_text,
    }
    return {name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}


@command(
    "acl|setuser",
    -3,
    flags=ADMIN,
    since="6.0.0",
    complexity="O(N). Where N is the number of rules provided.",
    summary="Creates and modifies an ACL user and its rules.",
)
def setuser(client: ClientView, argv: Argv) -> Any:
    """ACL SETUSER username [rule ...]: all of them, or none."""
    name = argv[2]
    if b" " in name or b"\0" in name:
        raise ClientError("ERR Usernames can't contain spaces or null characters")
    known = client.server.users
    user: User = known.by_name.get(name) or known.new(name)
    try:
        user.apply_all(merged(argv[3:]))
    except BadRule as error:
        rule, reason = error.args
        raise ClientError(f"ERR Error in ACL SETUSER modifier '{rule}': {reason}") from None
    known.put(user)
    return OK


@command(
    "acl|deluser",
    -3,
    flags=ADMIN,
    since="6.0.0",
    complexity="O(1) amortized time considering the typical user.",
    summary="Deletes ACL users, and terminates their connections.",
)
def deluser(client: ClientView, argv: Argv) -> int:
    """How many of these users there were."""
    if b"default" in argv[2:]:
        raise ClientError("ERR The 'default' user cannot be removed")
    return sum(client.server.users.remove(name, client) for name in argv[2:])


@command(
    "acl|cat",
    -2,
    flags=OPEN,
    since="6.0.0",
    complexity="O(1) since the categories and commands are a fixed set.",
    summary="Lists the ACL categories, or the commands inside a category.",
)
def cat(client: ClientView, argv: Argv) -> list[bytes]:
    """ACL CAT [category]."""
    if len(argv) > 3:
        raise too_many("ACL", argv[1])
    if len(argv) == 2:
        return [category.encode() for category in CATEGORIES]
    category = argv[2].lower().decode("utf-8", "replace")
    if category not in CATEGORIES:
        raise ClientError(f"ERR Unknown category '{shown(argv[2])}'")
    return [row.full_name.encode() for row in every() if category in row.categories]


@command(
    "acl|genpass",
    -2,
    flags=OPEN,
    since="6.0.0",
    summary="Generates a pseudorandom, secure password that can be used to identify ACL users.",
)
def genpass(client: ClientView, argv: Argv) -> bytes:
    """ACL GENPASS [bits]: that many bits, rounded up to whole hexadecimal digits."""
    if len(argv) > 3:
        raise too_many("ACL", argv[1])
    bits = integer(argv[2]) if len(argv) == 3 else 256
    if not 0 < bits <= 4096:
        raise ClientError(BITS)
    digits = (bits + 3) // 4
    return secrets.token_hex((digits + 1) // 2)[:digits].encode()


@command(
    "acl|dryrun",
    -4,
    flags=ADMIN,
    since="7.0.0",
    complexity="O(1).",
    summary="Simulates the execution of a command by a user, without executing the command.",
)
def dryrun(client: ClientView, argv: Argv) -> Any:
    """ACL DRYRUN username command [arg ...]: OK, or what would be refused."""
    user = client.server.users.by_name.get(argv[2])
    if user is None:
        raise ClientError(f"ERR User '{argv[2].decode('utf-8', 'replace')}' not found")
    inner = argv[3:]
    row = find(inner)
    if row is None or (row.subcommands and len(inner) > 1):
        raise ClientError(f"ERR Command '{inner[0].decode('utf-8', 'replace')}' not found")
    if not row.accepts(len(inner)):
        raise ClientError(errors.wrong_arity(row.full_name))
    denied = user.denies(row, inner)
    if denied is None:
        return OK
    return message(user, denied, verbose=True).encode("utf-8", "surrogateescape")


@command(
    "acl|log",
    -2,
    flags=ADMIN,
    since="6.0.0",
    complexity="O(N) with N being the number of entries shown.",
    summary="Lists recent security events generated due to ACL rules.",
)
def log(client: ClientView, argv: Argv) -> Any:
    """ACL LOG [count | RESET]: what was refused lately, the newest first."""
    if len(argv) > 3:
        raise too_many("ACL", argv[1])
    entries = client.server.users.log.entries
    if len(argv) == 3 and argv[2].lower() == b"reset":
        entries.clear()
        return OK
    count = max(0, integer(argv[2])) if len(argv) == 3 else 10
    return [entry.shown() for _, entry in zip(range(count), entries, strict=False)]


@command(
    "acl|load",
    2,
    flags=ADMIN,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
    summary="Reloads the rules from the configured ACL file.",
)
def load(client: ClientView, argv: Argv) -> Any:
    """Read the users from the file `aclfile`; all of them, or none."""
    client.server.users.load(client)
    return OK


@command(
    "acl|save",
    2,
    flags=ADMIN,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
    summary="Saves the effective ACL rules in the configured ACL file.",
)
def save(client: ClientView, argv: Argv) -> Any:
    """Write the users to the file `aclfile`."""
    client.server.users.save()
    return OK
