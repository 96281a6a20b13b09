"""Every setting of the server: its default, its limits and the reason for both.

A setting is one field of `Config`; the comment above it is what `antecache
settings` prints. Names are Redis's where Redis has the setting; a file spells them
with `-`, attributes and the environment with `_`, and both are read everywhere.

What this file does not do: read settings from anywhere (`config_reading.py`), know
which backings exist (`backing/registry.py`) or what a `[[source]]` may say
(`backing/sources.py`), or print the settings (`config_template.py`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from antecache.server.backing.base import SourceOptions
from antecache.server.backing.sources import SourceSpec
from antecache.server.rules import RuleSpec
from antecache.server.setting_texts import OutputLimit, parse_output_limits

#: What the miss log and its kin get where `maxmemory` sets no limit to take a share of: room for
#: some three million events of 10.7 bytes, little beside any server that runs without a limit.
UNLIMITED_PREDICTION_MEMORY = 32 << 20

#: Other names that are read: Redis's own, and the singular that `[[source]]` needs.
ALIASES = {
    "bind": "host",
    "lua_time_limit": "busy_reply_threshold",
    "maxmemory_policy": "policy",
    "source": "sources",
    "user": "users",
    "rule": "rules",
}

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Memory = Annotated[int, Meta(ge=0, extra={"unit": "memory"})]
Seconds = Annotated[float, Meta(ge=0, extra={"unit": "duration"})]
Share = Annotated[float, Meta(ge=0, le=1)]
Models = Literal["off", "auto", "linear", "logistic", "tree", "forest", "boosting", "sgd"]


class Config(msgspec.Struct, kw_only=True):
    """All settings. Sizes are bytes and durations seconds, unless the comment says otherwise."""

    # -- network
    #: Address to listen on, or several with blanks between; 0.0.0.0 is every IPv4 interface.
    #: Redis calls it bind.
    host: str = "127.0.0.1"
    #: Port of the Redis protocol; 0 is none where tls-port or unixsocket is set, else a free one.
    port: Port = 6379
    #: Path of a Unix socket to listen on too; empty is none.
    unixsocket: str = ""
    #: Who may open the Unix socket, in octal: 700 is its owner; 0 leaves it to the umask.
    unixsocketperm: Annotated[str, Meta(pattern="^[0-7]{1,4}$")] = "0"
    #: Port for TLS; 0 is off.
    tls_port: Port = 0
    #: The server's certificate, with those that lead to a known authority, as PEM.
    tls_cert_file: str = ""
    #: Its private key; empty: it is in the same file.
    tls_key_file: str = ""
    #: The password of the key.
    tls_key_file_pass: str = ""
    #: Certificates of those who sign the clients' certificates.
    tls_ca_cert_file: str = ""
    #: The same as a directory, as OpenSSL's c_rehash leaves it.
    tls_ca_cert_dir: str = ""
    #: Whether a client must show a certificate: yes, no, or optional.
    tls_auth_clients: Literal["yes", "no", "optional"] = "yes"
    #: Versions of TLS that are spoken; empty is TLSv1.2 TLSv1.3.
    tls_protocols: str = ""
    #: Ciphers of TLS 1.2, as OpenSSL names them; empty leaves it to OpenSSL.
    tls_ciphers: str = ""
    #: Address of the metrics and health pages.
    metrics_host: str = "127.0.0.1"
    #: Port of /metrics; 0 is off. Prometheus looks for Redis at 9121.
    metrics_port: Port = 9121
    #: Connections at once; the next one is told so and closed.
    maxclients: Positive = 10000
    #: Close a client that has been silent this long; 0 never does.
    timeout: Seconds = 0.0
    #: Ask a silent peer whether it is still there, this often; 0 never does.
    tcp_keepalive: Seconds = 300.0
    #: Connections the kernel may hold for us before we accept them.
    tcp_backlog: Positive = 511
    #: Password of the default user; empty asks for none.
    requirepass: str = ""
    #: Users and their ACL rules, one a line, such as worker on >secret ~jobs:* +@list
    users: str = ""
    #: File of ACL users, instead of `users`; ACL LOAD reads it, ACL SAVE writes it.
    aclfile: str = ""
    #: Which channels a new user may use: allchannels or resetchannels (none).
    acl_pubsub_default: Literal["allchannels", "resetchannels"] = "resetchannels"
    #: Refusals that ACL LOG keeps.
    acllog_max_len: Count = 128
    #: Without a password, refuse clients that do not come from this machine.
    protected_mode: bool = True
    #: Who may use DEBUG, which can stop the server: no (nobody), local (this machine) or yes.
    enable_debug_command: Literal["no", "local", "yes"] = "no"
    #: Databases that SELECT can choose from. Sources own keys of database 0.
    databases: Annotated[int, Meta(ge=1, le=65536)] = 16

    # -- the database behind the cache
    #: URL of the database, such as sqlite:///shop.db or postgresql://user@host/name; empty
    #: makes a plain cache of the server. Its tables are served as keys without more ado.
    backing: str = ""
    #: [[source]] tables: which keys are loaded with which query, beyond the reflected tables.
    sources: list[SourceSpec] = msgspec.field(default_factory=list)
    #: How long a loaded value stays before it is loaded again; 0 is for ever.
    ttl: Seconds = 0.0
    #: Share of the ttl by which each expiry is moved at random, so that what was loaded together
    #: does not expire together.
    ttl_jitter: Share = 0.1
    #: How long the cache remembers that the database has no such row.
    negative_ttl: Seconds = 5.0
    #: How long past its expiry a value may still be served while the database fails.
    stale_for: Seconds = 0.0
    #: A client waits this long for the database, then reads an error.
    load_timeout: Annotated[float, Meta(gt=0, extra={"unit": "duration"})] = 2.0
    #: Statements in flight at once for each source.
    load_concurrency: Positive = 8

    # -- memory and eviction
    #: The process stays below this size, its own overhead included; 0 is no limit, as in Redis.
    maxmemory: Memory = 0
    #: Keys resident at most, prefetched ones included; 0 is no limit.
    maxkeys: Count = 0
    #: What leaves when memory is full. auto, or a policy's name (s3fifo, lru ...), evicts only
    #: what can be loaded again, never what a client wrote; allkeys-NAME, volatile-NAME and
    #: noeviction mean what they mean in Redis. Redis calls it maxmemory-policy.
    policy: str = "auto"
    #: Parts the key space is cut into, a power of two, so that no resize or scan stalls replies.
    shards: Annotated[int, Meta(ge=1, le=4096)] = 16
    #: How slowly the frequency counter of an lfu policy saturates.
    lfu_log_factor: Count = 10
    #: Background rounds a second (expiry, idle clients, sampling).
    hz: Annotated[int, Meta(ge=1, le=500)] = 10

    # -- prediction
    #: Whether to prefetch what is likely to be asked next.
    prediction: bool = True
    #: Where predictions come from; blend weighs every kind of evidence.
    predictor: str = "blend"
    #: Largest share of maxmemory that may remember what follows what. How much of it is used is
    #: measured: as much as saves more waits than the values lose, and next to nothing where
    #: nothing can be predicted.
    prediction_memory: Share = 0.50
    #: Rows that prefetching may read beyond those that clients asked for, as a share of these.
    row_budget: Annotated[float, Meta(ge=0)] = 0.25
    #: A rule whose prefetches are used less often than this is switched off.
    precision_floor: Share = 0.25
    #: The most that the learning process may occupy; it is not part of maxmemory.
    trainer_maxmemory: Memory = 512 << 20
    #: The learning process is killed and started again when it gives no sign of life for so long;
    #: what it hung in is not given to it again. 0 waits for ever. On a machine that has no time
    #: for it (it runs at low priority) a fit of some seconds may take a minute.
    trainer_timeout: Seconds = 120.0
    #: [[rule]] tables: what you know follows what.
    rules: list[RuleSpec] = msgspec.field(default_factory=list)
    #: When keys that the fields of a value name are expected (orders:17 has a customer_id, so
    #: customers:8518 may follow): off, load (a row arrives or is used first) or read (every hit
    #: too, which costs some 15 µs each).
    links: Literal["off", "load", "read"] = "load"
    #: Patterns as in KEYS, separated by spaces, of keys that are never predicted: session:* audit:*
    never_predict: str = ""
    #: Which model of scikit-learn may take over from counting, in the learning process, once it
    #: proves that it saves more waits: auto (the best of them), linear, logistic, tree, forest,
    #: boosting, sgd or off. That needs 125 MB there, from the first 12,000 candidates on.
    models: Models = "auto"
    #: Recorded accesses to learn from at the start: CSV of time,client,key,size, a capture of
    #: redis-cli monitor, .gz and .zst too, or .parquet with these columns.
    history: str = ""
    #: A file that `antecache train` made: calibration and memory to start from.
    model: str = ""
    #: Where what was learned, and which keys were hot, is kept for the next start; empty for
    #: nowhere. Values are not kept: they are loaded again.
    state_file: str = ""
    #: How often the state file is written, beside at shutdown.
    state_interval: Seconds = 300.0
    #: Most keys that are loaded again at the start, the most valuable first; 0 loads none.
    warm_keys: Count = 100_000
    #: Rows a second that are loaded again at the start.
    warm_rate: Positive = 5000
    #: A CSV file that every access is appended to (time,client,key,size,outcome), for train and
    #: replay; empty for none. What stops it: access-log-size.
    access_log: str = ""
    #: The access log is not written beyond this size.
    access_log_size: Memory = 1 << 30

    # -- scripts
    #: Milliseconds after which a script that still runs lets others be told BUSY, so that it
    #: can be killed; 0 waits for it for ever.
    busy_reply_threshold: int = 5000
    #: What scripts in Lua may hold together; a script that wants more ends in an error.
    lua_maxmemory: Annotated[int, Meta(ge=4 << 20, extra={"unit": "memory"})] = 64 << 20

    # -- limits of the protocol
    #: Longest string a client may send.
    proto_max_bulk_len: Annotated[int, Meta(ge=1 << 20, extra={"unit": "memory"})] = 512 << 20
    #: What one client may have sent that is not executed yet.
    client_query_buffer_limit: Annotated[int, Meta(ge=1 << 20, extra={"unit": "memory"})] = 1 << 30
    #: What may wait to be sent to one client: class, hard limit, soft limit, seconds above the
    #: soft limit, for the classes normal, replica and pubsub; 0 is no limit.
    client_output_buffer_limit: str = "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60"

    # -- watching it
    #: How much is logged.
    loglevel: Literal["debug", "verbose", "notice", "warning"] = "notice"
    #: Commands slower than this many microseconds enter SLOWLOG; negative logs none, 0 all.
    slowlog_log_slower_than: int = 10000
    #: Entries that SLOWLOG keeps.
    slowlog_max_len: Count = 128
    #: Commands and loads that take at least this many milliseconds are kept for LATENCY; 0: none.
    latency_monitor_threshold: Count = 0
    #: Whether to keep how long each command takes, for LATENCY HISTOGRAM and INFO latencystats.
    latency_tracking: bool = True
    #: The percentiles of INFO latencystats.
    latency_tracking_info_percentiles: str = "50 99 99.9"
    #: Keys remembered for clients that cache; beyond it the oldest are invalidated. 0 is no limit.
    tracking_table_max_keys: Count = 1_000_000
    #: Events of keys that are published, in Redis's letters (KEA: all of them); empty: none.
    notify_keyspace_events: str = ""

    @property
    def prediction_bytes(self) -> int:
        """Most bytes for what predictors remember: a share of `maxmemory`; 0 without prediction."""
        if not self.prediction:
            return 0
        if self.maxmemory == 0:
            return UNLIMITED_PREDICTION_MEMORY
        return int(self.maxmemory * self.prediction_memory)

    @property
    def source_options(self) -> SourceOptions:
        """What holds for a source that says nothing else."""
        return SourceOptions(
            ttl=self.ttl,
            jitter=self.ttl_jitter,
            negative_ttl=self.negative_ttl,
            stale_for=self.stale_for,
            timeout=self.load_timeout,
            concurrency=self.load_concurrency,
        )

    @property
    def output_limits(self) -> dict[str, OutputLimit]:
        """`client_output_buffer_limit` by class; raises ValueError with the reason."""
        return parse_output_limits(self.client_output_buffer_limit)


#: Every setting by attribute name: its type and its default.
FIELDS = {field.name: field for field in msgspec.structs.fields(Config)}


def unit_of(annotation: Any) -> str:
    """`memory`, `duration` or nothing: how a setting of this type is written."""
    for meta in getattr(annotation, "__metadata__", ()):
        if meta.extra:
            return str(meta.extra["unit"])
    return ""
