"""The parameters of CONFIG GET and SET: how each is read, shown and limited.

Three kinds. A `Setting` is a field of `Config`, under Redis's name where Redis has
one. A `Fixed` parameter is one that Redis has and clients ask for, whose value here
is a fact (no persistence, no replication, no encodings to switch): it can be set to
the value it has, and to no other, so nothing pretends to work. Names that Redis
renamed (`hash-max-ziplist-entries`) are answered under both.

How text is read is in `parameter_readers.py`. Applying a value to the running
server is not done here (`commands/config.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antecache.server.config import Config
from antecache.server.config_reading import read_setting
from antecache.server.parameter_readers import (
    INT,
    LONG,
    integer,
    memory,
    merged_limits,
    one_of,
    output_limits,
    percentiles,
    policy,
    save_points,
    yes_no,
)
from antecache.server.setting_texts import parse_events


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter that is a field of `Config`.

    field     the attribute
    mutable   whether CONFIG SET may change it
    read      text to value; raises ValueError with Redis's reason
    show      value to text
    """

    field: str
    mutable: bool
    read: Callable[[str], Any]
    show: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Fixed:
    """A parameter with one value; `read` refuses text that is none of its kind."""

    value: str
    read: Callable[[str], Any] | None = None


def _show_limits(text: str) -> str:
    return merged_limits("normal 0 0 0", text).replace("replica", "slave")


def _reader(field: str) -> Callable[[str], Any]:
    """The reader of a setting that Redis does not have: as in the file, with its reasons."""
    return lambda text: read_setting(field, text)


def show(value: Any) -> str:
    """A value as CONFIG GET shows it: yes or no, whole seconds and bytes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def without_password(url: str) -> str:
    """A database URL that may be shown."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)


def _setting(field: str, read: Callable[[str], Any], shown: Callable[[Any], str] = show) -> Setting:
    return Setting(field, True, read, shown)


SETTINGS: dict[str, Setting] = {
    "maxmemory": _setting("maxmemory", memory()),
    "maxmemory-policy": _setting("policy", policy),
    "maxclients": _setting("maxclients", integer(1, 2**32 - 1)),
    "timeout": _setting("timeout", integer(0, INT)),
    "requirepass": _setting("requirepass", str),
    "protected-mode": _setting("protected_mode", yes_no),
    "proto-max-bulk-len": _setting("proto_max_bulk_len", memory(1 << 20)),
    "client-query-buffer-limit": _setting("client_query_buffer_limit", memory(1 << 20)),
    "client-output-buffer-limit": _setting(
        "client_output_buffer_limit", output_limits, _show_limits
    ),
    "slowlog-log-slower-than": _setting("slowlog_log_slower_than", integer(-LONG - 1, LONG)),
    "slowlog-max-len": _setting("slowlog_max_len", integer(0, LONG)),
    "latency-monitor-threshold": _setting("latency_monitor_threshold", integer(0, LONG)),
    "latency-tracking": _setting("latency_tracking", yes_no),
    "latency-tracking-info-percentiles": _setting("latency_tracking_info_percentiles", percentiles),
    "tracking-table-max-keys": _setting("tracking_table_max_keys", integer(0, LONG)),
    "notify-keyspace-events": _setting("notify_keyspace_events", parse_events),
    "acllog-max-len": _setting("acllog_max_len", integer(0, LONG)),
    "acl-pubsub-default": _setting("acl_pubsub_default", one_of("allchannels", "resetchannels")),
    "busy-reply-threshold": _setting("busy_reply_threshold", integer(0, LONG)),
    "lua-time-limit": _setting("busy_reply_threshold", integer(0, LONG)),
    "loglevel": _setting("loglevel", one_of("debug", "verbose", "notice", "warning")),
    "maxkeys": _setting("maxkeys", integer(0, LONG)),
    "prediction": _setting("prediction", _reader("prediction")),
}
"""What CONFIG SET changes in the running server."""

# Redis's own whose limits it has texts for, though a change is refused.
_AT_START: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("tcp_keepalive", "lfu_log_factor"), integer(0, INT)),
    **dict.fromkeys(("hz", "databases"), integer(1, INT)),
    "port": integer(0, 65535),
}

# Lists of tables; secrets (ACL LIST shows them); shown under Redis's name below.
_HIDDEN = {"sources", "rules", "users", "policy", "host"}


def _fixed_at_start() -> Iterator[tuple[str, Setting]]:
    known = {setting.field for setting in SETTINGS.values()}
    for field in Config.__struct_fields__:
        if field not in known and field not in _HIDDEN:
            shown = without_password if field == "backing" else show
            read = _AT_START.get(field) or _reader(field)
            yield field.replace("_", "-"), Setting(field, False, read, shown)
    yield "bind", Setting("host", False, str, show)
    yield "policy", Setting("policy", True, policy, show)


def _fixed() -> Iterator[tuple[str, Fixed]]:
    for line in _FIXED.split("\n"):
        name, _, value = line.strip().partition(" ")
        if name:
            read: Callable[[str], Any] | None = None
            if name == "save":
                read = save_points
            elif value in ("yes", "no"):
                read = yes_no
            elif re.fullmatch(r"-?\d+", value):
                read = integer(-LONG - 1, LONG)
            yield name, Fixed(value, read)


# Facts about this server in Redis's words. Thresholds of encodings are what OBJECT ENCODING
# goes by.
_FIXED = """
active-defrag-cycle-max 25
active-defrag-cycle-min 1
active-defrag-ignore-bytes 104857600
active-defrag-max-scan-fields 1000
active-defrag-threshold-lower 10
active-defrag-threshold-upper 100
active-expire-effort 1
activedefrag no
activerehashing yes
always-show-logo no
aof-load-truncated yes
aof-rewrite-incremental-fsync yes
aof-timestamp-enabled no
aof-use-rdb-preamble yes
appenddirname appendonlydir
appendfilename appendonly.aof
appendfsync everysec
appendonly no
auto-aof-rewrite-min-size 67108864
auto-aof-rewrite-percentage 100
cluster-enabled no
crash-log-enabled no
daemonize no
dbfilename dump.rdb
dynamic-hz no
enable-module-command no
enable-protected-configs no
hash-max-listpack-entries 512
hash-max-listpack-value 64
hash-max-ziplist-entries 512
hash-max-ziplist-value 64
hll-sparse-max-bytes 3000
io-threads 1
io-threads-do-reads no
lazyfree-lazy-eviction no
lazyfree-lazy-expire no
lazyfree-lazy-server-del no
lazyfree-lazy-user-del no
lazyfree-lazy-user-flush no
lfu-decay-time 1
list-compress-depth 0
list-max-listpack-size -2
list-max-ziplist-size -2
logfile
masterauth
masteruser
maxmemory-clients 0
maxmemory-eviction-tenacity 10
maxmemory-samples 5
min-replicas-max-lag 10
min-replicas-to-write 0
min-slaves-max-lag 10
min-slaves-to-write 0
no-appendfsync-on-rewrite no
oom-score-adj no
pidfile
rdbchecksum yes
rdbcompression yes
repl-backlog-size 1048576
repl-backlog-ttl 3600
repl-diskless-load disabled
repl-diskless-sync yes
repl-diskless-sync-delay 5
repl-timeout 60
replica-announced yes
replica-ignore-maxmemory yes
replica-lazy-flush no
replica-priority 100
replica-read-only yes
replica-serve-stale-data yes
replicaof
save
set-max-intset-entries 512
set-max-listpack-entries 128
set-max-listpack-value 64
shutdown-timeout 10
slaveof
stop-writes-on-bgsave-error no
stream-node-max-bytes 4096
stream-node-max-entries 100
supervised no
syslog-enabled no
zset-max-listpack-entries 128
zset-max-listpack-value 64
zset-max-ziplist-entries 128
zset-max-ziplist-value 64
"""

PARAMETERS: dict[str, Setting | Fixed] = dict(
    sorted([*SETTINGS.items(), *_fixed_at_start(), *_fixed(), ("dir", Fixed(str(Path.cwd())))])
)
"""Every parameter by name."""
