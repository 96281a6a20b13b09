"""Every Prometheus metric, declared once, and read from plain ints when scraped.

Nothing is paid per command: the collector below walks the command table and the
counters at each scrape. Names of the first part are those of redis_exporter, so that
its dashboards work; the second part (`antecache_*`) is ours. Counters carry `_total`
in the output, which prometheus_client adds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from antecache.policies.registry import redis_name
from antecache.server import process
from antecache.server.command import every
from antecache.server.info import known_sources
from antecache.server.pubsub import CHANNEL, PATTERN
from antecache.server.rates import commands_processed
from antecache.server.version import REDIS_VERSION, antecache_version
from antecache.server.whatif import outlook

if TYPE_CHECKING:
    from antecache.server.command import ServerView


FAILURES = ("restarts", "fits_refused", "plans_refused")


def registry_of(server: ServerView) -> CollectorRegistry:
    """A registry with the one collector of `server`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServerCollector(server))
    return registry


class ServerCollector(Collector):
    """Reads one server."""

    def __init__(self, server: ServerView) -> None:
        self._server = server

    def collect(self) -> Iterator[Metric]:
        """All metrics, with their values now."""
        yield from _redis(self._server)
        yield from _commands()
        yield from _keyspace(self._server)
        yield from _backing(self._server)
        yield from _prediction(self._server)
        yield from _eviction(self._server)

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not read a server that has not started."""
        return []


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _redis(server: ServerView) -> Iterator[Metric]:
    stats, store = server.stats, server.store
    yield _gauge("redis_up", "Whether the server answers.", 1)
    info = GaugeMetricFamily(
        "redis_instance_info",
        "What kind of server this is.",
        labels=(
            *("redis_version", "antecache_version", "role", "redis_mode"),
            *("maxmemory_policy", "run_id", "tcp_port"),
        ),
    )
    labels = (REDIS_VERSION, antecache_version(), "master", "standalone")
    policy = redis_name(server.policy_choice)
    info.add_metric((*labels, policy, server.run_id, str(server.port)), 1)
    yield info
    uptime = time.time() - server.started
    yield _gauge("redis_uptime_in_seconds", "Time since the start.", uptime)
    yield _gauge("redis_start_time_seconds", "Unix time of the start.", server.started)
    blocked = len(server.dispatch.blocked)
    yield _gauge("redis_connected_clients", "Connections now.", len(server.clients))
    yield _gauge("redis_blocked_clients", "Clients in a blocking command.", blocked)
    yield _gauge("redis_config_maxclients", "Connections allowed.", server.config.maxclients)
    yield _counter("redis_connections_received", "Connections accepted.", stats.connections)
    yield _counter("redis_rejected_connections", "Connections refused.", stats.rejected_connections)
    yield _gauge("redis_memory_used_bytes", "What maxmemory is held against.", server.memory())
    yield _gauge("redis_memory_used_rss_bytes", "Resident memory.", process.resident_bytes())
    yield _gauge("redis_memory_used_peak_bytes", "Most so far.", server.peak_memory)
    yield _gauge("redis_memory_used_dataset_bytes", "What the entries take.", store.used)
    yield _gauge("redis_memory_max_bytes", "maxmemory; 0 is no limit.", server.config.maxmemory)
    yield _counter("redis_net_input_bytes", "Bytes received.", stats.net_in)
    yield _counter("redis_net_output_bytes", "Bytes sent.", stats.net_out)
    errors = CounterMetricFamily("redis_errors", "Error replies, by code.", labels=("err",))
    for code, count in list(stats.errors.items()):
        errors.add_metric((code,), count)
    yield errors
    yield _gauge("redis_slowlog_length", "Entries in SLOWLOG.", len(server.slowlog))
    channels, patterns = server.pubsub.count(CHANNEL), server.pubsub.count(PATTERN)
    yield _gauge("redis_pubsub_channels", "Channels that somebody listens to.", channels)
    yield _gauge("redis_pubsub_patterns", "Patterns that somebody listens to.", patterns)
    yield _gauge("redis_tracking_clients", "Clients that cache.", server.tracking.clients)
    yield _gauge("redis_tracking_total_keys", "Keys they may hold.", len(server.tracking.table))


def _commands() -> Iterator[Metric]:
    calls = CounterMetricFamily("redis_commands", "Commands run, by name.", labels=("cmd",))
    seconds = CounterMetricFamily(
        "redis_commands_duration_seconds", "Time spent in commands.", labels=("cmd",)
    )
    failed = CounterMetricFamily(
        "redis_commands_failed_calls", "Commands that ended in an error.", labels=("cmd",)
    )
    rejected = CounterMetricFamily(
        "redis_commands_rejected_calls", "Commands refused before they ran.", labels=("cmd",)
    )
    for row in every():
        label = (row.full_name,)
        if row.calls or row.rejected or row.failed:
            calls.add_metric(label, row.calls)
            seconds.add_metric(label, row.nanoseconds / 1e9)
            failed.add_metric(label, row.failed)
            rejected.add_metric(label, row.rejected)
    yield from (calls, seconds, failed, rejected)
    yield _counter("redis_commands_processed", "Commands run.", commands_processed())


def _keyspace(server: ServerView) -> Iterator[Metric]:
    store = server.store
    keys = GaugeMetricFamily("redis_db_keys", "Keys, by database.", labels=("db",))
    expiring = GaugeMetricFamily(
        "redis_db_keys_expiring", "Keys with a deadline, by database.", labels=("db",)
    )
    mean_ttl = GaugeMetricFamily(
        "redis_db_avg_ttl_seconds", "Mean time to live of these.", labels=("db",)
    )
    for database in store.databases:
        label = (f"db{database.index}",)
        keys.add_metric(label, len(database))
        expiring.add_metric(label, database.expiring)
        if database.expiring:
            mean_ttl.add_metric(label, database.mean_ttl / 1000)
    yield from (keys, expiring, mean_ttl)
    yield _counter("redis_keyspace_hits", "Reads that found the key.", store.hits)
    yield _counter("redis_keyspace_misses", "Reads that did not.", store.misses)
    yield _counter("redis_expired_keys", "Keys whose time had come.", store.expired)
    yield _counter("redis_evicted_keys", "Keys evicted to keep the budget.", store.evicted)


def _backing(server: ServerView) -> Iterator[Metric]:
    stats = server.stats
    yield _counter(
        "antecache_waits", "Key reads that waited for the database, joins included.", stats.waits
    )
    yield _counter("antecache_waits_joined", "Of these, joins of a load in flight.", stats.joins)
    statements = CounterMetricFamily(
        "antecache_statements", "SELECTs sent to the database.", labels=("source",)
    )
    rows = CounterMetricFamily(
        "antecache_rows", "Keys asked of the database.", labels=("source", "cause")
    )
    errors = CounterMetricFamily("antecache_load_errors", "Loads that failed.", labels=("source",))
    timeouts = CounterMetricFamily(
        "antecache_load_timeouts", "Loads that took too long.", labels=("source",)
    )
    for source in known_sources(stats):
        statements.add_metric((source,), stats.statements[source])
        rows.add_metric((source, "demand"), stats.demand_rows[source])
        rows.add_metric((source, "prefetch"), stats.prefetch_rows[source])
        errors.add_metric((source,), stats.load_errors[source])
        timeouts.add_metric((source,), stats.load_timeouts[source])
    yield from (statements, rows, errors, timeouts)
    loads = server.load_seconds
    buckets = [
        ("+Inf" if bound == float("inf") else repr(bound), count)
        for bound, count in loads.cumulated()
    ]
    yield HistogramMetricFamily(
        "antecache_load_seconds", "How long loads took.", buckets=buckets, sum_value=loads.sum
    )
    yield _counter(
        "antecache_negative_hits", "Reads of keys known to have no row.", server.store.negative_hits
    )
    yield _counter(
        "antecache_stale_served",
        "Expired values served while the database failed.",
        stats.stale_served,
    )
    yield _gauge("antecache_loop_lag_seconds", "How late the loop was.", server.loop_lag)
    parts = GaugeMetricFamily(
        "antecache_metadata_bytes", "Memory beyond entries and process.", labels=("part",)
    )
    for part, size in server.metadata().items():
        parts.add_metric((part,), size)
    yield parts


def _prediction(server: ServerView) -> Iterator[Metric]:
    ledger, plan, trainer = server.ledger, server.plan, server.trainer.status()
    yield _counter("antecache_prefetch_issued", "Keys fetched ahead.", ledger.issued)
    outcomes = CounterMetricFamily(
        "antecache_prefetch_outcome", "What became of them.", labels=("outcome",)
    )
    for outcome, count in ledger.outcomes.items():
        outcomes.add_metric((outcome,), count)
    yield outcomes
    yield _gauge(
        "antecache_probation_keys", "Keys fetched ahead, not used yet.", len(server.store.probation)
    )
    yield _gauge("antecache_prediction_enabled", "1 when on.", server.config.prediction)
    yield _gauge("antecache_plan_rules", "Rules that may prefetch.", ledger.active_rules())
    age = time.time() - plan.created if plan is not None else float("nan")
    yield _gauge("antecache_plan_age_seconds", "Time since the Plan was made.", age)
    yield _gauge(
        "antecache_trainer_seconds",
        "Time the last training took.",
        _number(trainer, "last_fit_seconds"),
    )
    yield _gauge(
        "antecache_trainer_memory_bytes", "Most the trainer occupied.", _number(trainer, "max_rss")
    )
    failures = sum(_number(trainer, name) for name in FAILURES)
    yield _counter(
        "antecache_trainer_failures", "Restarts of the trainer, and refused results.", failures
    )
    yield _counter(
        "antecache_trainer_hangs",
        "Trainers killed because they gave no sign of life.",
        _number(trainer, "hangs"),
    )


def _eviction(server: ServerView) -> Iterator[Metric]:
    seen = outlook(server)
    yield _gauge(
        "antecache_miss_ratio", "Reads that waited for the database, lately.", seen.measured
    )
    without = GaugeMetricFamily(
        "antecache_miss_ratio_without_prefetch", "The same, were nothing prefetched: an estimate."
    )
    if seen.without is not None:
        without.add_metric((), seen.without)
    memory = GaugeMetricFamily(
        "antecache_miss_ratio_memory",
        "Without prefetching, were the memory this many times as large.",
        labels=("times",),
    )
    for share, ratio in seen.memory:
        memory.add_metric((f"{share:g}",), ratio)
    policies = GaugeMetricFamily(
        "antecache_miss_ratio_policy",
        "Without prefetching, under another eviction policy.",
        labels=("policy",),
    )
    for policy, ratio in seen.policies.items():
        policies.add_metric((policy,), ratio)
    yield from (without, memory, policies)
    yield _counter(
        "antecache_eviction_leader_changes", "How often auto changed its policy.", seen.switches
    )


def _number(status: dict[str, Any], name: str) -> float:
    """A figure of the trainer's status; 0 while it has not reported it."""
    return float(status.get(name) or 0)
