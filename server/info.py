"""INFO: what the server says of itself, in Redis's sections and ours.

A section is a function that returns names and values; nothing is counted here,
only read. Redis's sections are in `info_redis.py`; `# Antecache` (loads, sources,
metadata), `# Prediction` and `# Eviction` are below.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from antecache.server import info_redis as redis
from antecache.server.info_redis import Fields
from antecache.server.whatif import outlook

if TYPE_CHECKING:
    from antecache.server.command import ServerView
    from antecache.server.stats import Stats


def render(server: ServerView, sections: Iterable[str]) -> bytes:
    """The text of the named sections (lower case) in Redis's order; unknown names are nothing.

    No names mean `default`, which leaves out Commandstats and Latencystats; `all` and
    `everything` have them.
    """
    names = set(sections) or {"default"}
    if names & {"all", "everything"}:
        names |= set(SECTIONS)
    elif "default" in names:
        names |= set(SECTIONS) - {"commandstats", "latencystats"}
    texts = []
    for name, (title, fields) in SECTIONS.items():
        if name in names:
            lines = [f"# {title}", *(f"{field}:{value}" for field, value in fields(server))]
            texts.append("".join(f"{line}\r\n" for line in lines))
    return "\r\n".join(texts).encode("utf-8", "backslashreplace")


def _antecache(server: ServerView) -> Iterator[tuple[str, Any]]:
    stats, loads = server.stats, server.load_seconds
    yield "waits", stats.waits
    yield "waits_joined", stats.joins
    yield "statements", sum(stats.statements.values())
    yield "rows_demand", sum(stats.demand_rows.values())
    yield "rows_prefetch", sum(stats.prefetch_rows.values())
    yield "loads", loads.count
    yield "load_usec_mean", round(1e6 * loads.sum / loads.count) if loads.count else 0
    yield "load_errors", sum(stats.load_errors.values())
    yield "load_timeouts", sum(stats.load_timeouts.values())
    yield "negative_hits", server.store.negative_hits
    yield "negative_keys", len(server.store.negative)
    yield "stale_served", stats.stale_served
    yield "eviction_policy", server.config.policy
    yield "maxkeys", server.config.maxkeys
    yield "evictable_keys", server.store.residents
    for part, size in server.metadata().items():
        yield f"metadata_bytes_{part}", size
    yield "loop_lag_usec", round(1e6 * server.loop_lag)
    for source in known_sources(stats):
        state = "failing" if source in server.unreachable else "ok"
        yield (
            f"source_{source}",
            f"state={state},statements={stats.statements[source]},"
            f"rows_demand={stats.demand_rows[source]},rows_prefetch={stats.prefetch_rows[source]},"
            f"errors={stats.load_errors[source]},timeouts={stats.load_timeouts[source]}",
        )


def known_sources(stats: Stats) -> list[str]:
    """The sources that were asked for anything, in order of their names."""
    counts = (stats.demand_rows, stats.prefetch_rows, stats.load_errors, stats.load_timeouts)
    return sorted({source for count in counts for source in count})


def _prediction(server: ServerView) -> Iterator[tuple[str, Any]]:
    ledger, plan = server.ledger, server.plan
    outcomes = ledger.outcomes
    used = outcomes["useful"] + outcomes["late"]
    ended = used + outcomes["wasted"]
    yield "prediction", "on" if server.config.prediction else "off"
    prefetcher = server.prefetcher
    yield "prediction_memory", prefetcher.predictor.nbytes
    yield "prediction_memory_most", prefetcher.predictor.budget_bytes
    yield "prediction_gate", "closed" if prefetcher.worth.closed else "open"
    yield "prefetch_issued", ledger.issued
    for outcome, count in outcomes.items():
        yield f"prefetch_{outcome}", count
    yield "prefetch_waiting", len(server.store.probation)
    yield "prefetch_precision", f"{used / ended:.4f}" if ended else "nan"
    yield "plan_version", plan.version if plan is not None else 0
    yield "plan_rules", ledger.active_rules()
    yield "plan_age_seconds", round(time.time() - plan.created) if plan is not None else -1
    yield "readers_set_aside", len(server.access.aside)
    yield "readers_set_aside_ever", prefetcher.walkers.found
    yield "access_log_items", len(server.access.items)
    yield "access_log_dropped", server.access.dropped
    for name, value in server.trainer.status().items():
        if value is not None:
            yield f"trainer_{name}", int(value) if isinstance(value, bool) else value


def _eviction(server: ServerView) -> Iterator[tuple[str, Any]]:
    seen = outlook(server)
    yield "miss_ratio", f"{seen.measured:.4f}"
    yield "ghost_caches", "off" if seen.without is None else "on"
    if seen.note:
        yield "ghost_caches_note", seen.note
    if seen.without is None:
        return
    yield "miss_ratio_without_prefetch", f"{seen.without:.4f}"
    yield "eviction_leader", seen.leader
    yield "eviction_leader_changes", seen.switches
    yield "eviction_reads_considered", round(seen.window)
    for share, ratio in seen.memory:
        yield f"miss_ratio_memory_{100 * share:.0f}", f"{ratio:.4f}"
    for policy, ratio in seen.policies.items():
        yield f"miss_ratio_policy_{policy}", f"{ratio:.4f}"


SECTIONS: dict[str, tuple[str, Callable[[ServerView], Fields]]] = {
    "server": ("Server", redis.server),
    "clients": ("Clients", redis.clients),
    "memory": ("Memory", redis.memory),
    "persistence": ("Persistence", redis.persistence),
    "stats": ("Stats", redis.stats),
    "replication": ("Replication", redis.replication),
    "cpu": ("CPU", redis.cpu),
    "modules": ("Modules", redis.modules),
    "commandstats": ("Commandstats", redis.commandstats),
    "errorstats": ("Errorstats", redis.errorstats),
    "latencystats": ("Latencystats", redis.latencystats),
    "cluster": ("Cluster", redis.cluster),
    "keyspace": ("Keyspace", redis.keyspace),
    "antecache": ("Antecache", _antecache),
    "prediction": ("Prediction", _prediction),
    "eviction": ("Eviction", _eviction),
}
"""Sections by lower-case name, in the order they are written."""
