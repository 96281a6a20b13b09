"""`@command` and the table: everything the server knows of a command, in one row.

A command is one decorated function: `handler(client, argv) -> reply`. The row
holds its name, arity, flags, key positions, group and documentation, and COMMAND,
ACLs, dispatch and INFO commandstats read nothing else. Handlers are synchronous,
look their keys up before their first write (a look-up may raise `Absent`, and the
handler is then run again once the key has been loaded) and know nothing of the
database behind the cache.

What a handler may use of the parts above it is declared here as Protocols, which
`app.py` fills; it never imports them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from antecache.server.errors import ClientError, unknown_subcommand

if TYPE_CHECKING:
    from antecache.policies.registry import Choice
    from antecache.server.acl.user import User
    from antecache.server.acl.users import Users
    from antecache.server.config import Config
    from antecache.server.histogram import Histogram
    from antecache.server.lua.scripts import Scripts
    from antecache.server.pubsub import PubSub, Subscriptions
    from antecache.server.rates import Rates
    from antecache.server.slowlog import SlowLog
    from antecache.server.spikes import Spikes
    from antecache.server.stats import Stats
    from antecache.server.store import Database, Store
    from antecache.server.timings import Timings
    from antecache.server.tracking import Tracked, Tracking
    from antecache.server.watch import Watches
    from antecache.server.whatif import Lately

Argv = list[bytes]
Handler = Callable[[Any, Argv], Any]
Batch = Callable[[Any, Sequence[Argv], int, list[bytes]], int]

# Flags as COMMAND INFO shows them.
FLAGS = frozenset(
    "write readonly denyoom admin pubsub noscript blocking loading stale fast skip_monitor "
    "skip_slowlog asking no_auth may_replicate sentinel no_mandatory_keys protected "
    "no_async_loading no_multi allow_busy movablekeys".split()
)


class Absent(Exception):
    """Keys that a source owns, and that must be loaded before the command can run."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        super().__init__(keys)
        self.keys = keys


class Command:
    """One row of the table.

    arity     as in Redis: exact when positive, a minimum of -arity when negative,
              the name counted
    first, last, step   key positions as in Redis; `last` negative counts from the end
    keys_of   for commands whose key positions depend on the arguments
    batch     a quicker way for consecutive commands of one name: `batch(client, commands,
              first, out)` runs some from `first` on, appends their encoded replies and
              returns how many it ran; the handler runs the next. It loads nothing, and
              where it raises, nothing is appended and the handlers run them all
    calls, nanoseconds, rejected, failed   plain counters, read by INFO and the metrics
    """

    __slots__ = (
        "admin",
        "arity",
        "batch",
        "calls",
        "careful",
        "categories",
        "complexity",
        "denyoom",
        "failed",
        "fast",
        "first",
        "flags",
        "group",
        "handler",
        "keys_of",
        "last",
        "multi",
        "name",
        "nanoseconds",
        "parent",
        "readonly",
        "rejected",
        "since",
        "step",
        "subcommands",
        "summary",
        "write",
    )

    def __init__(
        self,
        name: str,
        handler: Handler,
        arity: int,
        *,
        flags: str = "",
        keys: tuple[int, int, int] = (0, 0, 0),
        keys_of: Callable[[Argv], list[bytes]] | None = None,
        batch: Batch | None = None,
        group: str = "generic",
        since: str = "1.0.0",
        summary: str = "",
        complexity: str = "O(1)",
        categories: str = "",
        parent: Command | None = None,
    ) -> None:
        self.name = name
        self.handler = handler
        self.arity = arity
        self.flags = tuple(flags.split())
        unknown = set(self.flags) - FLAGS
        if unknown:
            raise ValueError(f"command {name}: unknown flags {sorted(unknown)}")
        self.first, self.last, self.step = keys
        self.keys_of = keys_of
        self.batch = batch
        self.group = group
        self.since = since
        self.summary = summary
        self.complexity = complexity
        self.parent = parent
        self.subcommands: dict[bytes, Command] = {}
        self.write = "write" in self.flags
        self.readonly = "readonly" in self.flags
        self.denyoom = "denyoom" in self.flags
        self.fast = "fast" in self.flags or name == "set"  # SET is `slow` only for its memory
        self.admin = "admin" in self.flags
        # A read of several keys: what of it is absent is loaded before the handler runs.
        self.multi = self.readonly and (self.first != self.last or keys_of is not None)
        self.careful = self.denyoom or self.multi
        self.categories = _categories(self, categories)
        self.calls = self.nanoseconds = self.rejected = self.failed = 0

    @property
    def full_name(self) -> str:
        """`get`, or `config|get` for a sub-command."""
        return f"{self.parent.name}|{self.name}" if self.parent else self.name

    def accepts(self, count: int) -> bool:
        """Whether `count` arguments, the name included, satisfy the arity."""
        return count == self.arity if self.arity >= 0 else count >= -self.arity

    def keys(self, argv: Argv) -> list[bytes]:
        """The keys among the arguments, in order."""
        if self.keys_of is not None:
            return self.keys_of(argv)
        if not self.first:
            return []
        last = self.last if self.last >= 0 else len(argv) + self.last
        return argv[self.first : last + 1 : self.step]

    def reset(self) -> None:
        """CONFIG RESETSTAT."""
        self.calls = self.nanoseconds = self.rejected = self.failed = 0


def _categories(row: Command, extra: str) -> tuple[str, ...]:
    """ACL categories as Redis derives them from flags, plus the command's own."""
    found = list(extra.split())
    by_group = {"sorted_set": "sortedset", "transactions": "transaction", "generic": "keyspace"}
    name = (row.parent or row).name
    group = {"command": "connection", "wait": "connection", "sort": "", "sort_ro": ""}.get(
        name, by_group.get(row.group, row.group)
    )
    container = not row.flags and row.arity == -2 and row.parent is None
    if group and not container and group not in ("server", "cluster", "prediction", "pubsub"):
        found.append(group)
    flags = set(row.flags)
    if row.write:
        found.append("write")
    if row.readonly and row.group != "scripting":
        found.append("read")
    if "admin" in flags:
        found += ["admin", "dangerous"]
    if "pubsub" in flags:
        found.append("pubsub")
    if "blocking" in flags:
        found.append("blocking")
    found.append("fast" if "fast" in flags else "slow")
    return tuple(dict.fromkeys(found))


TABLE: dict[bytes, Command] = {}
"""Commands by lower-case name; the only module state of the project."""


def command(name: str, arity: int, **row: Any) -> Callable[[Handler], Handler]:
    """Add the decorated function to the table; `container|sub` adds a sub-command.

    A container (`config`) is declared by `container("config", ...)` before its
    sub-commands. Keyword arguments are those of `Command`.
    """

    def add(handler: Handler) -> Handler:
        parent_name, _, sub = name.partition("|")
        if sub:
            parent = TABLE[parent_name.encode()]
            row.setdefault("group", parent.group)
            entry = Command(sub, handler, arity, parent=parent, **row)
            place = parent.subcommands
        else:
            entry = Command(name, handler, arity, **row)
            place = TABLE
        key = entry.name.encode()
        if key in place:
            raise ValueError(f"command {name} is declared twice")
        place[key] = entry
        return handler

    return add


def container(name: str, *, help_lines: str = "", **row: Any) -> None:
    """Declare a command that only has sub-commands.

    HELP is answered from their rows, or with Redis's own words where these are given.
    """

    def refuse(client: Any, argv: Argv) -> Any:
        raise ClientError(unknown_subcommand(name, argv[1]))

    command(name, -2, **row)(refuse)

    @command(f"{name}|help", 2, flags="loading stale", summary="Returns helpful text.")
    def help_(client: Any, argv: Argv) -> list[str]:
        lines = [f"{name.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
        if help_lines:
            return [*lines, *help_lines.splitlines(), "HELP", "    Prints this help."]
        for sub in sorted(TABLE[name.encode()].subcommands.values(), key=lambda row: row.name):
            lines += [sub.name.upper(), f"    {sub.summary}"]
        return lines


def find(argv: Argv) -> Command | None:
    """The row for these arguments (the sub-command's where there is one), or None."""
    row = TABLE.get(argv[0].lower())
    if row is not None and row.subcommands and len(argv) > 1:
        return row.subcommands.get(argv[1].lower(), row)
    return row


def every() -> Iterator[Command]:
    """All rows, sub-commands after their container."""
    for row in TABLE.values():
        yield row
        yield from row.subcommands.values()


def load_all() -> None:
    """Import every file of `commands/`, which fills the table."""
    package = importlib.import_module("antecache.server.commands")
    for found in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{found.name}")


class ClientView(Protocol):
    """What a handler sees of the connection it serves, or (CLIENT LIST, KILL) of another."""

    id: int
    db: Database
    protocol: int  # 2 or 3
    name: bytes  # CLIENT SETNAME
    lib_name: bytes  # CLIENT SETINFO
    lib_version: bytes
    authenticated: bool
    user: bytes  # its name, as CLIENT LIST shows it
    account: User  # whose permissions hold
    transaction: list[Argv] | None  # commands queued since MULTI
    transaction_failed: bool  # one of them was refused: EXEC will be too
    transaction_dirty: bool  # a watched key changed; `server.watches` keeps it
    watched: set[tuple[int, bytes]]  # database and key of each
    closing: bool  # set to close once the replies are written
    reply_mode: str  # CLIENT REPLY: "on", "off", "skip" this reply, "skip next" after this one
    subscriptions: Subscriptions | None  # pub/sub; `server.pubsub` keeps it
    tracking: Tracked | None  # client-side caching; `server.tracking` keeps it
    no_evict: bool
    no_touch: bool
    monitoring: bool  # MONITOR; the session is then in `server.monitors`
    address: str  # ip:port
    local_address: str
    fd: int
    created: float  # Unix seconds
    last_command: Argv | None
    net_in: int  # bytes
    net_out: int

    @property
    def server(self) -> ServerView: ...

    def asks_as(self, name: bytes, *, declared: bool = False) -> None:
        """Name the session behind the connection, for prediction."""

    @property
    def blocked(self) -> Argv | None:
        """The command of this client that waits for another one (BLPOP), or None."""

    @property
    def last_active(self) -> float:
        """Unix seconds of the last command."""

    @property
    def query_buffer(self) -> int:
        """Bytes received and not executed yet."""

    @property
    def output_buffer(self) -> int:
        """Bytes answered and not sent yet."""

    def select(self, index: int) -> None: ...

    def push(self, reply: Any) -> None:
        """Send something outside the order of replies (MONITOR)."""

    def deliver(self, data: bytes) -> None:
        """As `push`, for what is encoded already (invalidations)."""

    def deliver_soon(self, data: bytes) -> None:
        """As `deliver`, gathered for the rest of this turn of the loop (pub/sub)."""

    def look(self) -> None:
        """Something began or ended that every command of this client must be asked about."""

    def kill(self) -> None:
        """Close the connection now; what waits to be sent is lost."""

    def reset(self) -> None:
        """RESET: as the connection was when it was opened."""


class ServerView(Protocol):
    """What a handler sees of the server; `app.py` provides it."""

    store: Store
    config: Config
    stats: Stats
    watches: Watches
    scripts: Scripts
    users: Users
    pubsub: PubSub
    tracking: Tracking
    timings: Timings  # how long commands took
    spikes: Spikes  # what took too long
    notifications: Any  # `listen(letters)`: notify-keyspace-events
    clients: dict[int, Any]  # sessions (ClientView) by id
    monitors: set[Any]  # sessions in MONITOR
    slowlog: SlowLog
    # `slow_ns`: commands that take at least as long are logged in `slowlog`. `blocked`: clients
    # that wait for keys (server/blocked.py)
    dispatch: Any
    started: float  # Unix seconds
    run_id: str  # 40 hexadecimal digits, another at every start
    port: int  # the one really listened on
    listeners: Any  # `places`: kind, address and port of each
    config_file: str | None  # the path of the file that the settings came from
    policy_choice: Choice
    peak_memory: int  # bytes
    load_seconds: Histogram  # how long loads took; the loader observes
    rates: Rates  # commands and bytes a second; sampled in the background
    lately: Lately  # reads and waits of the recent past; sampled in the background
    ledger: Any  # prefetches: `issued` and `outcomes` (useful, late, wasted, dropped)
    prefetcher: Any  # what prediction may do: its `predictor`, and `worth`, the gate
    schedule: Any  # what is due at regular intervals: `due(key)`
    trainer: Any  # the learning process: `status()`, `retrain()`
    access: Any  # the command log: `items` since the last block, and `dropped`
    learning: Any  # prediction as a whole: `switch_soon(on)`, `import_history(path)`, `imports`
    attention: Any  # `look()`: `monitors` changed; `pause(until_ms, mode)`: CLIENT PAUSE
    loop_lag: float  # seconds the event loop was late, lately
    unreachable: dict[str, str]  # backings that failed when last tried, and why

    @property
    def plan(self) -> Any:
        """The Plan in use, or None."""

    def execute(self, client: Any, argv: Argv) -> Any:
        """Run one command inside another (EXEC); returns its reply, errors as values."""

    def absent(self, client: Any, commands: Sequence[Argv]) -> list[bytes]:
        """The keys of these commands that are owned by a source and must be loaded first."""

    def memory(self) -> int:
        """Bytes in use: the entries, the metadata and the process itself."""

    def metadata(self) -> dict[str, int]:
        """Bytes beyond entries and process, by part (log, plan, policy ...)."""

    def set_policy(self, text: str) -> None:
        """Change maxmemory-policy; ValueError when there is no such policy."""

    def set_maxmemory(self, size: int) -> None:
        """Change maxmemory (bytes; 0 for no limit)."""

    def watch_slow(self) -> None:
        """What SLOWLOG or LATENCY asks for changed."""

    def shutdown(self) -> None:
        """Stop serving, soon after the current batch of commands."""
