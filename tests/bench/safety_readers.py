"""Readers who disturb: a scan, a bot, and a bot that comes anew for each read.

Each reads beside the people, with prediction and without; what is compared is what the
people wait for, what is read for nobody, and whether the reader was set aside.

What this file does not do: start servers or hold the findings (`safety.py`).
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from safety_world import PIPELINE, Comings, Line, blocks, resident

if TYPE_CHECKING:
    from safety import Bench


def scan(bench: Bench) -> None:
    """Every row of the large table, once, in no order, by one client in pipelines."""
    ids = list(range(1, bench.options.scan + 1))
    random.Random(3).shuffle(ids)
    _beside(bench, "scan", [b"logs:%d" % one for one in ids], Line, pipeline=PIPELINE)


def bot(bench: Bench) -> None:
    """Ids in order, one read after the other, as fast as they are answered."""
    keys = [b"logs:%d" % one for one in range(1, bench.options.walk + 1)]
    _beside(bench, "bot", keys, Line)


def comings(bench: Bench) -> None:
    """As `bot`, on a new connection for each read; only its address tells it."""
    keys = [b"logs:%d" % one for one in range(1, bench.options.walk + 1)]
    _beside(bench, "comings", keys, Comings)


def _beside(
    bench: Bench, case: str, keys: list[bytes], kind: type[Line | Comings], *, pipeline: int = 1
) -> None:
    runs: dict[str, dict[str, Any]] = {}
    for name in ("off", "on"):
        with bench.world(name) as (server, world):
            run: dict[str, Any] = {"before": world.visits(bench.options.visits)}
            reader = kind(world.port)
            world.reads = world.waits = 0
            before, rows, memory = world.counts(), world.counts(), resident(server.pid)
            theirs = waited = 0
            for some in blocks(keys, max(len(keys) // 40, 1)):
                rows = world.counts()
                for part in blocks(some, pipeline):
                    reader.read(part)
                spent = world.counts().since(rows)
                theirs += spent.rows
                waited += spent.waits
                world.visits(max(bench.options.visits // 30, 1))
            run |= {
                "during": world.waits / world.reads,
                "theirs": theirs,
                "waited": waited,
                "all": world.counts().since(before),
                "grown": resident(server.pid) - memory,
                "after": world.visits(bench.options.visits),
                "status": world.status(),
                "info": world.info(),
            }
            reader.close()
            if name == "on":
                world.client.execute_command("PREDICTOR", "RETRAIN")
                time.sleep(1.0)
                run["info"] = world.info()
            runs[name] = run
    off, on = runs["off"], runs["on"]
    for when in ("before", "during", "after"):
        what = f"people's waits {when} ({off[when]:.3f} without), the difference"
        bench.found.at_most(case, what, on[when] - off[when], 0.003)
    extra = on["theirs"] / off["theirs"] - 1
    bench.found.at_most(case, "rows read for it beyond those without, share", extra, 0.03)
    extra = on["all"].rows / off["all"].rows - 1
    bench.found.at_most(case, "all rows beyond those without, share", extra, 0.25)
    info = on["info"]
    most = on["status"]["memory-budget-bytes"]
    bench.found.at_most(
        case, "memory that remembers, of its budget", info["prediction_memory"] / most, 1.0
    )
    bench.found.at_most(
        case, "memory grown beyond without, MB", (on["grown"] - off["grown"]) / 1e6, 32
    )
    if case in (
        "bot",
        "comings",
    ):  # a scan in no order is told only where others' misses come again
        bench.found.at_least(case, "readers set aside", info["readers_set_aside_ever"], 1)
        aside = info.get("trainer_accesses_aside", 0) / len(keys)
        bench.found.at_least(case, "of its reads, not learned from", aside, 0.9)
        saved = on["waited"] / max(off["waited"], 1)
        bench.found.at_most(case, "its own waits, of those without", saved, 1.0)
