"""The sections of INFO that Redis has, with its names in its order.

Monitoring tools parse them, so fields for what does not exist here (persistence,
replication, scripts) are present with the value Redis shows when the feature is
unused. `used_memory` is the estimate that `maxmemory` is held against (process,
entries and metadata), `used_memory_rss` what the operating system says.
"""

from __future__ import annotations

import math
import os
import platform
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from antecache.policies.registry import redis_name
from antecache.server import process
from antecache.server.command import every
from antecache.server.pubsub import CHANNEL, PATTERN, SHARD
from antecache.server.rates import commands_processed
from antecache.server.setting_texts import parse_percentiles
from antecache.server.version import REDIS_VERSION, antecache_version

if TYPE_CHECKING:
    from antecache.server.command import ServerView

Fields = Iterable[tuple[str, Any]]


def human(size: int) -> str:
    """Bytes as Redis's `bytesToHuman` writes them: `512B`, `1.00K`, `2.50G`."""
    if size < 1024:
        return f"{size}B"
    power = min(int(math.log(size, 1024)), 5)
    return f"{size / 1024**power:.2f}{'BKMGTP'[power]}"


def total_memory() -> int:
    """Bytes of memory this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def server(server: ServerView) -> Fields:
    """Which server this is, and since when."""
    now = time.time()
    uptime = int(now - server.started)
    return (
        ("redis_version", REDIS_VERSION),
        ("redis_git_sha1", "00000000"),
        ("redis_git_dirty", 0),
        ("redis_build_id", "0"),
        ("redis_mode", "standalone"),
        ("os", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("arch_bits", 64 if sys.maxsize > 2**32 else 32),
        ("monotonic_clock", "POSIX clock_gettime"),
        ("multiplexing_api", "libuv"),
        ("atomicvar_api", "none"),
        ("gcc_version", "0.0.0"),
        ("process_id", os.getpid()),
        ("process_supervised", "no"),
        ("run_id", server.run_id),
        ("tcp_port", server.port),
        ("server_time_usec", int(now * 1_000_000)),
        ("uptime_in_seconds", uptime),
        ("uptime_in_days", uptime // 86400),
        ("hz", server.config.hz),
        ("configured_hz", server.config.hz),
        ("lru_clock", int(now) & ((1 << 24) - 1)),
        ("executable", sys.executable),
        ("config_file", server.config_file or ""),
        ("io_threads_active", 0),
        *_listeners(server),
        ("antecache_version", antecache_version()),
        ("python_version", platform.python_version()),
    )


def _listeners(server: ServerView) -> Fields:
    """Where clients may connect, as Redis lists it."""
    return [
        (f"listener{at}", f"name={kind},bind={bind}" + (f",port={port}" if port else ""))
        for at, (kind, bind, port) in enumerate(server.listeners.places)
    ]


def clients(server: ServerView) -> Fields:
    """Connections."""
    clients = server.clients.values()
    blocked = server.dispatch.blocked
    return (
        ("connected_clients", len(server.clients)),
        ("cluster_connections", 0),
        ("maxclients", server.config.maxclients),
        ("client_recent_max_input_buffer", max((one.query_buffer for one in clients), default=0)),
        ("client_recent_max_output_buffer", max((one.output_buffer for one in clients), default=0)),
        ("blocked_clients", len(blocked)),
        ("tracking_clients", server.tracking.clients),
        ("pubsub_clients", server.pubsub.clients),
        ("watching_clients", sum(bool(one.watched) for one in clients)),
        ("clients_in_timeout_table", blocked.timers),
        ("total_watched_keys", sum(len(one.watched) for one in clients)),
        ("total_blocking_keys", blocked.keys),
        ("total_blocking_keys_on_nokey", blocked.keys_always),
    )


def memory(server: ServerView) -> Iterator[tuple[str, Any]]:
    """What is used, and what is allowed."""
    used, rss, limit = server.memory(), process.resident_bytes(), server.config.maxmemory
    peak = max(server.peak_memory, used)
    dataset = server.store.used
    startup = used - dataset - sum(server.metadata().values())
    clients = sum(one.query_buffer + one.output_buffer for one in server.clients.values())
    for name, size in (("used_memory", used), ("used_memory_rss", rss), ("used_memory_peak", peak)):
        yield name, size
        yield f"{name}_human", human(size)
    yield "used_memory_peak_perc", f"{100 * used / peak:.2f}%"
    yield "used_memory_overhead", used - dataset
    yield "used_memory_startup", startup
    yield "used_memory_dataset", dataset
    yield "used_memory_dataset_perc", f"{100 * dataset / max(used - startup, 1):.2f}%"
    yield "allocator_allocated", used
    yield "allocator_active", rss
    yield "allocator_resident", rss
    yield "total_system_memory", total_memory()
    yield "total_system_memory_human", human(total_memory())
    scripts = server.scripts  # one interpreter serves scripts and functions
    for name, size in (
        *(("lua", scripts.memory), ("vm_total", scripts.memory)),
        ("scripts", scripts.memory + scripts.cache.nbytes),
    ):
        yield f"used_memory_{name}", size
        yield f"used_memory_{name}_human", human(size)
    yield "used_memory_vm_eval", scripts.memory
    yield "used_memory_vm_functions", 0
    yield "used_memory_scripts_eval", scripts.cache.nbytes
    yield "number_of_cached_scripts", len(scripts.cache)
    yield "number_of_functions", len(scripts.functions.by_name)
    yield "number_of_libraries", len(scripts.functions.libraries)
    libraries = scripts.functions.libraries.values()
    yield "used_memory_functions", sum(len(library.code) for library in libraries)
    yield "maxmemory", limit
    yield "maxmemory_human", human(limit)
    yield "maxmemory_policy", redis_name(server.policy_choice)
    yield "allocator_frag_ratio", "1.00"
    yield "allocator_frag_bytes", 0
    yield "allocator_rss_ratio", "1.00"
    yield "allocator_rss_bytes", 0
    yield "rss_overhead_ratio", "1.00"
    yield "rss_overhead_bytes", 0
    yield "mem_fragmentation_ratio", f"{rss / used:.2f}"
    yield "mem_fragmentation_bytes", rss - used
    for name in ("not_counted_for_evict", "replication_backlog", "total_replication_buffers"):
        yield f"mem_{name}", 0
    yield "mem_clients_slaves", 0
    yield "mem_clients_normal", clients
    yield "mem_cluster_links", 0
    yield "mem_aof_buffer", 0
    yield "mem_allocator", "pymalloc"
    yield "active_defrag_running", 0
    yield "lazyfree_pending_objects", 0
    yield "lazyfreed_objects", 0


def persistence(server: ServerView) -> Fields:
    """There is none."""
    zeros = "loading async_loading current_cow_peak current_cow_size current_cow_size_age"
    return (
        *((name, 0) for name in zeros.split()),
        ("current_fork_perc", "0.00"),
        ("current_save_keys_processed", 0),
        ("current_save_keys_total", 0),
        ("rdb_changes_since_last_save", server.store.dirty),
        ("rdb_bgsave_in_progress", 0),
        ("rdb_last_save_time", int(server.started)),
        ("rdb_last_bgsave_status", "ok"),
        ("rdb_last_bgsave_time_sec", -1),
        ("rdb_current_bgsave_time_sec", -1),
        ("rdb_saves", 0),
        ("rdb_last_cow_size", 0),
        ("rdb_last_load_keys_expired", 0),
        ("rdb_last_load_keys_loaded", 0),
        ("aof_enabled", 0),
        ("aof_rewrite_in_progress", 0),
        ("aof_rewrite_scheduled", 0),
        ("aof_last_rewrite_time_sec", -1),
        ("aof_current_rewrite_time_sec", -1),
        ("aof_last_bgrewrite_status", "ok"),
        ("aof_rewrites", 0),
        ("aof_rewrites_consecutive_failures", 0),
        ("aof_last_write_status", "ok"),
        ("aof_last_cow_size", 0),
        ("module_fork_in_progress", 0),
        ("module_fork_last_cow_size", 0),
    )


def stats(server: ServerView) -> Fields:
    """Counters and rates."""
    stats, store, rates = server.stats, server.store, server.rates
    unused = (
        "latest_fork_usec total_forks "
        "migrate_cached_sockets slave_expires_tracked_keys active_defrag_hits "
        "active_defrag_misses active_defrag_key_hits active_defrag_key_misses "
        "total_active_defrag_time current_active_defrag_time"
    )
    return (
        ("total_connections_received", stats.connections),
        ("total_commands_processed", commands_processed()),
        ("instantaneous_ops_per_sec", round(rates.commands)),
        ("total_net_input_bytes", stats.net_in),
        ("total_net_output_bytes", stats.net_out),
        ("total_net_repl_input_bytes", 0),
        ("total_net_repl_output_bytes", 0),
        ("instantaneous_input_kbps", f"{rates.bytes_in / 1024:.2f}"),
        ("instantaneous_output_kbps", f"{rates.bytes_out / 1024:.2f}"),
        ("instantaneous_input_repl_kbps", "0.00"),
        ("instantaneous_output_repl_kbps", "0.00"),
        ("rejected_connections", stats.rejected_connections),
        ("sync_full", 0),
        ("sync_partial_ok", 0),
        ("sync_partial_err", 0),
        ("expired_subkeys", store.fields.expired),
        ("expired_keys", store.expired),
        ("expired_stale_perc", "0.00"),
        ("expired_time_cap_reached_count", 0),
        ("expire_cycle_cpu_milliseconds", 0),
        ("evicted_keys", store.evicted),
        ("evicted_clients", 0),
        ("evicted_scripts", server.scripts.cache.evicted),
        ("total_eviction_exceeded_time", 0),
        ("current_eviction_exceeded_time", 0),
        ("keyspace_hits", store.hits),
        ("keyspace_misses", store.misses),
        ("pubsub_channels", server.pubsub.count(CHANNEL)),
        ("pubsub_patterns", server.pubsub.count(PATTERN)),
        ("pubsubshard_channels", server.pubsub.count(SHARD)),
        *((name, 0) for name in unused.split()),
        ("tracking_total_keys", len(server.tracking.table)),
        ("tracking_total_items", server.tracking.table.items),
        ("tracking_total_prefixes", len(server.tracking.prefixes)),
        ("io_threaded_reads_processed", 0),
        ("io_threaded_writes_processed", 0),
        ("reply_buffer_shrinks", 0),
        ("reply_buffer_expands", 0),
        ("unexpected_error_replies", stats.internal_errors),
        ("total_error_replies", sum(stats.errors.values())),
        ("dump_payload_sanitizations", 0),
        ("client_query_buffer_limit_disconnections", 0),
        ("client_output_buffer_limit_disconnections", stats.output_disconnections),
    )


def replication(server: ServerView) -> Fields:
    """A master without replicas."""
    return (
        ("role", "master"),
        ("connected_slaves", 0),
        ("master_failover_state", "no-failover"),
        ("master_replid", server.run_id),
        ("master_replid2", "0" * 40),
        ("master_repl_offset", 0),
        ("second_repl_offset", -1),
        ("repl_backlog_active", 0),
        ("repl_backlog_size", 1048576),
        ("repl_backlog_first_byte_offset", 0),
        ("repl_backlog_histlen", 0),
    )


def cpu(server: ServerView) -> Iterator[tuple[str, str]]:
    """Processor time of this process, its children and its main thread."""
    kinds = {"": resource.RUSAGE_SELF, "_children": resource.RUSAGE_CHILDREN}
    if hasattr(resource, "RUSAGE_THREAD"):
        kinds["_main_thread"] = resource.RUSAGE_THREAD
    for suffix, kind in kinds.items():
        usage = resource.getrusage(kind)
        yield f"used_cpu_sys{suffix}", f"{usage.ru_stime:.6f}"
        yield f"used_cpu_user{suffix}", f"{usage.ru_utime:.6f}"


def commandstats(server: ServerView) -> Iterator[tuple[str, str]]:
    """Calls and time of each command that was used."""
    for row in every():
        if row.calls or row.rejected or row.failed:
            microseconds = row.nanoseconds // 1000
            each = row.nanoseconds / 1000 / row.calls if row.calls else 0.0
            yield (
                f"cmdstat_{row.full_name}",
                f"calls={row.calls},usec={microseconds},usec_per_call={each:.2f},"
                f"rejected_calls={row.rejected},failed_calls={row.failed}",
            )


def errorstats(server: ServerView) -> Iterator[tuple[str, str]]:
    """Error replies by code."""
    for code, count in sorted(server.stats.errors.items()):
        yield f"errorstat_{code}", f"count={count}"


def modules(server: ServerView) -> Fields:
    """There are none."""
    return ()


def latencystats(server: ServerView) -> Iterator[tuple[str, str]]:
    """Percentiles of the time each command took, in microseconds."""
    timings = server.timings
    timings.sample(every())
    percentiles = parse_percentiles(server.config.latency_tracking_info_percentiles)
    for row in timings.known():
        shown = (f"p{one:g}={timings.percentile(row, one):.3f}" for one in percentiles)
        yield f"latency_percentiles_usec_{row.full_name}", ",".join(shown)


def cluster(server: ServerView) -> Fields:
    """Not a cluster."""
    return (("cluster_enabled", 0),)


def keyspace(server: ServerView) -> Iterator[tuple[str, str]]:
    """Keys of each database that has any."""
    for database in server.store.databases:
        if len(database):
            yield (
                f"db{database.index}",
                f"keys={len(database)},expires={database.expiring},avg_ttl={database.mean_ttl}",
            )
