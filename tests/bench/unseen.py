"""Never-seen keys: what templates and links are worth for ids that never occurred.

Visitors walk through the sample shop behind a server that keeps everything, and
every key they read is noted. Then pages are shown about products and customers
that never occurred. Their first read, the entry, must wait; of the other reads
of keys that never occurred, the share that is there already is printed, with what
each kind of evidence brought. A prefetch still on its way counts as a wait; with
`--settle` each read of those pages comes only when nothing is on its way, as from
an application that has something to do between two reads.

    python tests/bench/unseen.py [--pages 1500] [--fresh 300] [--links off] [--settle]

It says nothing about keys that occurred before (`replay.py` does).
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from antecache.server import shop, spawn
from antecache.server.demo_shoppers import SOURCES, Crowd, Page, show

PRODUCTS, CUSTOMERS = 5000, 10_000


@dataclass
class Outcome:
    """Pages about ids that never occurred: reads of such keys after the entry, and waits."""

    pages: int = 0
    reads: int = 0
    waits: int = 0
    by_kind: dict[str, list[int]] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)

    @property
    def hit_share(self) -> float:
        """The share of the reads after the entry that did not wait."""
        return 1 - self.waits / self.reads if self.reads else 0.0


def measure(
    database: Path,
    *,
    pages: int,
    fresh: int,
    links: str = "load",
    settle: bool = False,
    seed: int = 1,
) -> Outcome:
    """Train on `pages` pages, then show `fresh` pages about ids that never occurred."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "antecache.toml"
        config.write_text(f'links = "{links}"\n{SOURCES}')
        server = spawn.start({"config": config, "backing": f"sqlite:///{database}"})
        with server, redis.Redis(port=server.port, protocol=3) as client:
            seen: set[str] = set()
            asked: list[str] = []

            calm = False

            def read(key: str) -> Any:
                asked.append(key)
                while calm and _status(client)[b"loads-in-flight"]:
                    time.sleep(0.001)
                value = client.get(key)
                return None if value is None else json.loads(value)

            crowd = Crowd(products=PRODUCTS, customers=CUSTOMERS, seed=seed)
            for _, (page, told) in zip(range(pages), crowd.pages(), strict=False):
                told(show(page, read))
            seen.update(asked)
            before = _rules(client)
            calm = settle
            for page in _unseen(seen, random.Random(seed), fresh):
                entry = _entry(page)
                if entry in seen:
                    continue
                waits = _waits(client)
                asked.clear()
                show(page, read)
                new = set(asked) - seen - {entry}
                waited = max(0, _waits(client) - waits - 1)
                seen.update(asked)
                counts = outcome.by_kind.setdefault(page.kind, [0, 0, 0])
                for place, amount in enumerate((1, len(new), waited)):
                    counts[place] += amount
                outcome.pages += 1
                outcome.reads += len(new)
                outcome.waits += waited
            outcome.rules = _rules(client) - before
    return outcome


def _entry(page: Page) -> str:
    return f"products:{page.id}" if page.kind == "product" else f"customers:{page.id}"


def _unseen(seen: set[str], rng: random.Random, count: int) -> list[Page]:
    """Pages about products and customers that never occurred, in random order."""
    made = []
    for kind, table, most in (
        ("product", "products", PRODUCTS),
        ("cart", "customers", CUSTOMERS),
        ("orders", "customers", CUSTOMERS),
    ):
        free = [number for number in range(1, most + 1) if f"{table}:{number}" not in seen]
        made += [Page(kind, number) for number in rng.sample(free, min(len(free), count // 3))]
    rng.shuffle(made)
    return made


def _status(client: Any) -> dict[bytes, Any]:
    status: dict[bytes, Any] = client.execute_command("PREDICTOR", "STATUS")
    return status


def _waits(client: Any) -> int:
    return int(_status(client)[b"waits"])


def _rules(client: Any) -> Counter[str]:
    listed = client.execute_command("PREDICTOR", "RULES")
    return Counter({rule[b"rule"].decode(): rule[b"useful"] for rule in listed})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", type=int, default=1500)
    parser.add_argument("--fresh", type=int, default=300)
    parser.add_argument("--links", default="load", choices=("off", "load", "read"))
    parser.add_argument("--settle", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", type=Path, help="a shop that `antecache shop` made")
    parser.add_argument("--json", action="store_true", help="print the totals as JSON only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = options.database or Path(folder) / "shop.db"
        if options.database is None:
            shop.create(database)
        outcome = measure(
            database,
            pages=options.pages,
            fresh=options.fresh,
            links=options.links,
            settle=options.settle,
            seed=options.seed,
        )
    if options.json:
        print(json.dumps({"reads": outcome.reads, "waits": outcome.waits}))
        return
    print(f"{'page':10}{'pages':>8}{'new reads':>12}{'waits':>8}{'hits':>8}")
    for kind, (pages, reads, waits) in sorted(outcome.by_kind.items()):
        print(f"{kind:10}{pages:8}{reads:12}{waits:8}{1 - waits / max(reads, 1):8.1%}")
    print(f"{'all':10}{outcome.pages:8}{outcome.reads:12}{outcome.waits:8}{outcome.hit_share:8.1%}")
    print("what brought them:")
    for rule, useful in outcome.rules.most_common(12):
        print(f"  {useful:5} {rule}")


if __name__ == "__main__":
    main()
