"""The safety bench's poisoned models: damaged, absurd, or sure of everything.

What this file does not do: damage what a predictor remembers in every way there is
(`tests/predictor/test_poison.py`).
"""

from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy as np
from safety_report import console
from safety_world import Line, World, blocks

from antecache.predictor import model_file
from antecache.predictor.blend import Blend
from antecache.predictor.model_file import ModelError, Saved
from antecache.predictor.plan import Plan, pack_counters
from antecache.server.spawn import StartError, start

FLIPS = 2000


def poisoned(bench: Any) -> None:
    """Damaged models keep the server from starting; a liar is stopped by what comes of it."""
    file = bench.options.data / "poisoned.model"
    good = _model(hits=1.0, trials=4.0)
    model_file.save(file, good)
    data, rng, taken = file.read_bytes(), random.Random(1), 0
    for at in range(FLIPS):
        damaged = bytearray(data)
        if at % 4:
            damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        else:
            del damaged[rng.randrange(len(data)) :]
        try:
            model_file.parse(bytes(damaged))
            taken += 1
        except ModelError:
            pass
    bench.found.at_most(
        "poisoned", f"of {FLIPS:,} files with a flipped bit or cut off, taken", taken, 0
    )
    absurd = {
        "not a number": _model(hits=float("nan"), trials=4.0),
        "more hits than trials": _model(hits=9.0, trials=4.0),
        "endless": _model(hits=1.0, trials=float("inf")),
        "a link that is not a number": msgspec.structs.replace(
            good, links=[("products", "text", b"carts:", b"", float("nan"), 1.0)]
        ),
    }
    started = 0
    for name, model in absurd.items():
        model_file.save(file, model)
        try:
            with start({"backing": f"sqlite:///{bench.database}", "model": file}):
                started += 1
        except StartError as refusal:
            console.print(f"    {name}: {str(refusal).splitlines()[-1][-90:]}")
    bench.found.at_most(
        "poisoned", f"of {len(absurd)} with numbers that cannot be, taken", started, 0
    )

    outside = [(f"secrets:{at}".encode(), 1e9) for at in range(100)]
    liar = _model(hits=400.0, trials=400.0)
    model_file.save(file, msgspec.structs.replace(liar, keys=outside))
    runs = {}
    for name, settings in (("off", {}), ("on", {"model": file})):
        with bench.world(name, **settings) as (_, world):
            ids = list(range(1, 4001))
            reader, order = Line(world.port), random.Random(2)
            before, stopped = world.counts(), 0
            for lap in range(2):
                order.shuffle(ids)
                for at, block in enumerate(blocks((b"logs:%d" % one for one in ids), 200)):
                    for key in block:
                        reader.read([key])
                    issued = world.counts().since(before)
                    if not stopped and lap and issued.ahead > 20 and _stopped(world):
                        stopped = (lap * len(ids)) + 200 * (at + 1)
            counts = world.counts().since(before)
            runs[name] = (
                counts,
                world.visits(bench.options.visits),
                stopped,
                world.client.keys("secrets:*"),
            )
            reader.close()
    (off, waits_off, _, _), (on, waits_on, stopped, outsiders) = runs["off"], runs["on"]
    bench.found.at_most(
        "poisoned", "sure of everything: rows, of those without", on.rows / off.rows, 1.5
    )
    bench.found.at_most(
        "poisoned", "its reads that waited, of those without", on.waits / off.waits, 1.01
    )
    bench.found.at_most("poisoned", "reads until its rule was off", stopped or 8001, 8000)
    bench.found.at_most(
        "poisoned", "waits of people after it, less those without", waits_on - waits_off, 0.01
    )
    bench.found.at_most("poisoned", "keys outside the sources that came", len(outsiders), 0)


def _model(hits: float, trials: float) -> Saved:
    """A model whose Plan has these counters in every bucket."""
    hit, tried = (pack_counters(np.full(Blend.buckets, each)) for each in (hits, trials))
    plan = Plan(version=1, created=1.0, trained_on=1000, hits=hit, trials=tried)
    return Saved(
        made_by="0",
        created=1.0,
        predictor="blend",
        buckets=model_file.buckets_of(Blend),
        accesses=1000,
        plan=plan.to_bytes(),
    )


def _stopped(world: World) -> bool:
    """Whether the rule that it prefetched by is switched off, or the gate is closed."""
    if world.status()["gate"] == b"closed":
        return True
    rules = world.client.execute_command("PREDICTOR", "RULES", "*logs*")
    return any(rule[b"state"] == b"off" for rule in rules)
