"""PREDICTOR and PREFETCH: what antecache expects, why, and what came of it.

These commands are antecache's own. They only read the books that the
prefetcher, the ledger and the trainer keep, and pass wishes on to them.

What this file does not do: explain keys (`prediction_explain.py`).
"""

from __future__ import annotations

import time
from typing import Any

from antecache.predictor.trainer import TrainerError
from antecache.server.command import Argv, command, container
from antecache.server.encode import OK
from antecache.server.errors import ClientError
from antecache.server.whatif import outlook

container(
    "predictor",
    group="prediction",
    flags="admin loading stale",
    since="0.1.0",
    summary="A container for commands about prediction.",
)


@command(
    "predictor|status",
    2,
    flags="loading stale fast",
    since="0.1.0",
    summary="Says what the predictor knows, what it did, and what came of it.",
)
def status(client: Any, argv: Argv) -> dict[str, Any]:
    """A map: state of predictor, Plan, trainer, and the ledger's totals."""
    server = client.server
    prefetcher, ledger, stats = server.prefetcher, server.ledger, server.stats
    plan = server.plan
    trainer = server.trainer.status()
    rows = sum(stats.demand_rows.values()), sum(stats.prefetch_rows.values())
    return {
        "prediction": "on" if prefetcher.enabled else "off",
        "predictor": prefetcher.predictor.name,
        "memory-bytes": prefetcher.predictor.nbytes,
        "memory-budget-bytes": prefetcher.predictor.budget_bytes,
        "memory-price": f"{prefetcher.worth.price:.3g}",
        "gate": "closed" if prefetcher.worth.closed else "open",
        "gate-closings": prefetcher.worth.closings,
        "attention": "every miss" if prefetcher.interest.close else "samples",
        "waits-saved-lately": round(prefetcher.worth.saved),
        "waits-caused-lately": round(prefetcher.worth.caused),
        "keys-with-a-period": len(server.schedule),
        "threshold": rounded(prefetcher.budget.theta),
        "row-budget": rounded(prefetcher.budget.share),
        "plan-version": plan.version if plan else 0,
        "plan-age-seconds": rounded(time.time() - plan.created) if plan else -1,
        "plan-trained-on": plan.trained_on if plan else 0,
        "plans-to-go-back-to": len(server.plans.earlier),
        "plans-refused": server.plans.refused,
        "plan-refused-because": server.plans.reason.encode(),
        "readers-set-aside": {
            server.askers.described(number): sentence.encode()
            for number, sentence in prefetcher.walkers.described().items()
        },
        "readers-set-aside-ever": prefetcher.walkers.found,
        "access-log-dropped": server.access.dropped,
        "trainer": {name: _shown(value) for name, value in trainer.items()},
        "import": {name: _shown(value) for name, value in server.learning.imports.items()},
        "warming": {name: _shown(value) for name, value in server.restart.progress.items()},
        "reads": server.store.hits + server.store.misses,
        "waits": stats.waits,
        "statements": sum(stats.statements.values()),
        "demand-rows": rows[0],
        "prefetch-rows": rows[1],
        "loads-in-flight": len(server.loader.inflight),
        "prefetches-issued": ledger.issued,
        **{f"prefetches-{name}": count for name, count in ledger.outcomes.items()},
        "precision": "n/a" if ledger.precision is None else rounded(ledger.precision),
        "rules": len(ledger.rules),
        "rules-active": ledger.active_rules(),
        "probation-entries": len(server.store.probation),
        "probation-share": rounded(server.store.probation.share),
    }


@command(
    "predictor|whatif",
    2,
    flags="loading stale",
    since="0.1.0",
    summary="Estimates the miss ratio without prefetching, with other memory, by other policies.",
)
def whatif(client: Any, argv: Argv) -> dict[str, Any]:
    """A map: what reads wait for now, and would otherwise; estimates of ghost caches."""
    seen = outlook(client.server)
    answer: dict[str, Any] = {
        "policy": seen.policy,
        "ghost-caches": "off" if seen.without is None else "on",
        "note": seen.note.encode(),
        "miss-ratio": _ratio(seen.measured),
    }
    if seen.without is not None:
        answer |= {
            "without-prefetch": _ratio(seen.without),
            "leader": seen.leader,
            "leader-changes": seen.switches,
            "reads-considered": round(seen.window),
            "memory": {f"{100 * share:.0f}%": _ratio(ratio) for share, ratio in seen.memory},
            "policies": {name.encode(): _ratio(ratio) for name, ratio in seen.policies.items()},
        }
    return answer


def _ratio(value: float) -> str:
    return f"{value:.4f}"


@command(
    "predictor|retrain",
    2,
    flags="admin loading stale",
    since="0.1.0",
    summary="Publishes a new Plan from what was logged so far, now.",
)
def retrain(client: Any, argv: Argv) -> Any:
    """OK once the trainer was asked; the Plan follows by itself."""
    if not client.server.prefetcher.enabled:
        raise ClientError("ERR prediction is off")
    try:
        client.server.trainer.retrain()
    except TrainerError as error:
        raise ClientError(f"ERR {error}") from None
    return OK


@command(
    "predictor|on",
    2,
    flags="admin loading stale",
    since="0.1.0",
    summary="Starts logging, learning and prefetching.",
)
def on(client: Any, argv: Argv) -> Any:
    """OK; what was learned before OFF is still there."""
    client.server.learning.switch_soon(True)
    return OK


@command(
    "predictor|off",
    2,
    flags="admin loading stale",
    since="0.1.0",
    summary="Stops logging, learning and prefetching.",
)
def off(client: Any, argv: Argv) -> Any:
    """OK; prefetched entries stay."""
    client.server.learning.switch_soon(False)
    return OK


@command(
    "predictor|import",
    3,
    flags="admin loading stale",
    since="0.1.0",
    summary="Learns from recorded accesses (CSV, Parquet, a capture of MONITOR) meanwhile.",
)
def import_(client: Any, argv: Argv) -> str:
    """A status at once; PREDICTOR STATUS tells how far it is."""
    server = client.server
    if not server.prefetcher.enabled:
        raise ClientError("ERR prediction is off")
    if server.learning.imports.get("state") == "running":
        raise ClientError("ERR an import is already running")
    server.learning.import_history(argv[2].decode("utf-8", "surrogateescape"))
    return "Background import started"


@command(
    "predictor|session",
    3,
    flags="loading stale fast",
    since="0.1.0",
    summary="Names the session behind a pooled connection for what follows.",
)
def session(client: Any, argv: Argv) -> Any:
    """OK; the same name means the same session on any connection, an empty one none."""
    client.asks_as(argv[2], declared=True)
    return OK


@command(
    "prefetch",
    -2,
    flags="readonly fast",
    group="prediction",
    since="0.1.0",
    complexity="O(N) with N being the number of keys.",
    summary="Hints that keys will be asked for soon: fetches what is absent, without waiting.",
    keys_of=lambda argv: [],
)
def prefetch(client: Any, argv: Argv) -> int:
    """How many of the keys are being fetched: absent ones that a source owns."""
    if client.db.index:
        return 0
    return int(client.server.prefetcher.hint(argv[1:]))


def rounded(value: float) -> str:
    """A figure as these commands show it: three decimals at most."""
    return f"{value:.3f}".rstrip("0").rstrip(".") or "0"


def _shown(value: Any) -> Any:
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, int | bytes | type(None)) else str(value).encode()
