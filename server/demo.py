"""`antecache demo`: the sample shop behind two servers, one predicting and one not.

Both are real processes of the same size over the same database, and get the
same pages at the same moment from a crowd of simulated visitors
(`demo_shoppers.py`), so that whatever differs between the two columns comes
from prediction. Every number is read from the servers through the commands
that anybody can type: PREDICTOR STATUS, and at the end PREDICTOR EXPLAIN.

What this file does not do: measure speed. Two servers, their database and the
visitors share one machine here; the benches under tests/bench/ measure.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from antecache.server import shop
from antecache.server.demo_shoppers import SOURCES, Crowd, Seen, show
from antecache.server.shop_rows import CUSTOMERS, PRODUCTS
from antecache.server.spawn import Child, start

MAXKEYS = 1000  # of some 170,000 keys the shop has, its lists included
REFRESH = 0.5  # seconds between two looks at the servers
ASKED = 4000  # keys remembered, of which one is explained at the end


class DemoError(Exception):
    """The demo cannot go on; `str()` is fit to show."""


class Side:
    """One of the two servers, and the client that shops there.

    status   PREDICTOR STATUS, as it was at the last `look`
    seconds  that the client spent waiting for replies
    """

    def __init__(self, name: str, child: Child, client: Any) -> None:
        self.name = name
        self.child = child
        self._client = client
        self.seconds = 0.0
        self.asked: deque[str] = deque(maxlen=ASKED)
        self.status: dict[str, Any] = {}
        self.look()

    def read(self, key: str) -> Any:
        """The value of a key; see `demo_shoppers.Read`."""
        self.asked.append(key)
        before = time.perf_counter()
        reply = self._client.get(key)
        self.seconds += time.perf_counter() - before
        return None if reply is None else json.loads(reply)

    def look(self) -> None:
        """Read the server's counters."""
        self.status = self.ask("PREDICTOR", "STATUS")

    def ask(self, *words: str) -> Any:
        """One command's reply, as text and numbers."""
        return _text(self._client.execute_command(*words))

    @property
    def precision(self) -> float | None:
        """(useful + late) / (useful + late + wasted); None before any prefetch has ended."""
        used = self.status["prefetches-useful"] + self.status["prefetches-late"]
        ended = used + self.status["prefetches-wasted"]
        return used / ended if ended else None


def run(
    *,
    backing: str | None = None,
    seconds: float = 60.0,
    seed: int = 1,
    maxkeys: int = MAXKEYS,
    console: Console | None = None,
) -> int:
    """Show the two servers at work for so many seconds (Ctrl-C ends it sooner).

    `backing` is the URL of a shop that `antecache shop` made, or of its like; one
    is made in a temporary place without it. Returns the exit code. Raises
    DemoError, and StartError when a server does not start.
    """
    connect = _redis()
    console = console or Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="antecache-demo-")))
        if backing is None:
            console.print("making a shop with some 100,000 rows ...")
            shop.create(folder / "shop.db", seed=seed)
            backing = f"sqlite:///{folder / 'shop.db'}"
        config = folder / "demo.toml"
        config.write_text(SOURCES, "utf-8")
        sides = []
        for name in ("on", "off"):
            settings = {
                "config": config,
                "backing": backing,
                "maxkeys": maxkeys,
                "prediction": name,
            }
            child = stack.enter_context(start(settings))
            client = stack.enter_context(connect(child.port))
            sides.append(Side(f"prediction {name}", child, client))
        # Both are asked, so that both have counted the same reads.
        if [side.ask("EXISTS", "products:1", "customers:1") for side in sides] != [2, 2]:
            shown = backing.rpartition("@")[2]  # without who logs in, and the password
            raise DemoError(f"there is no shop at {shown}: make one with `antecache shop`")
        began = time.monotonic()
        _shop(sides, seconds, seed, console)
        _summary(sides, time.monotonic() - began, console)
        _explain(sides[0], console)
    return 0


def _redis() -> Callable[[int], Any]:
    try:
        import redis
    except ImportError:
        raise DemoError("the demo shops with redis-py: pip install 'redis>=5.2'") from None
    return lambda port: redis.Redis(port=port, protocol=3, socket_timeout=30)


def _text(value: Any) -> Any:
    """Bytes as text, all the way down."""
    if isinstance(value, dict):
        return {_text(name): _text(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_text(each) for each in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _shop(sides: Sequence[Side], seconds: float, seed: int, console: Console) -> None:
    """Let the crowd shop on both sides in step; the table follows."""
    crowd = Crowd(products=PRODUCTS, customers=CUSTOMERS, seed=seed)
    stop = time.monotonic() + seconds
    with Live(console=console, auto_refresh=False) as live:
        looked = 0.0
        try:
            for page, tell in crowd.pages():
                # All sides show the same; the visitors go by the first.
                seen: list[Seen] = [show(page, side.read) for side in sides]
                tell(seen[0])
                now = time.monotonic()
                if now >= stop:
                    break
                if now - looked >= REFRESH:
                    looked = now
                    live.update(_table(sides, stop - now), refresh=True)
        except KeyboardInterrupt:
            pass
        live.update(_table(sides), refresh=True)  # the last one stays


def _table(sides: Sequence[Side], left: float | None = None) -> Table:
    title = "the same visitors in both shops"
    table = Table(title=title if left is None else f"{title}, {left:.0f} s to go")
    for side in sides:
        side.look()
    table.add_column("")
    for side in sides:
        table.add_column(side.name, justify="right")
    table.add_column("on / off", justify="right")
    on, off = (side.status for side in sides)

    def count(label: str, value: Callable[[dict[str, Any]], int]) -> None:
        ratio = f"{value(on) / value(off):.2f}" if value(off) else "-"
        table.add_row(label, f"{value(on):,}", f"{value(off):,}", ratio)

    count("keys read", lambda status: status["reads"])
    table.add_row("found present", *(_share(_hit_ratio(side.status)) for side in sides), "")
    count("waits on the database", lambda status: status["waits"])
    count("SELECTs sent", lambda status: status["statements"])
    count("rows asked of it", lambda status: status["demand-rows"] + status["prefetch-rows"])
    table.add_row("prefetches used", *(_share(side.precision) for side in sides), "")
    each = [side.seconds / max(side.status["reads"], 1) * 1e6 for side in sides]
    ratio = f"{each[0] / each[1]:.2f}" if each[1] else "-"
    table.add_row("µs a key", *(f"{value:.0f}" for value in each), ratio)
    return table


def _hit_ratio(status: dict[str, Any]) -> float | None:
    return 1 - status["waits"] / status["reads"] if status["reads"] else None


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _summary(sides: Sequence[Side], seconds: float, console: Console) -> None:
    on, off = (side.status for side in sides)
    waits, statements = (_change(on[name] / max(off[name], 1)) for name in ("waits", "statements"))
    console.print(
        f"In {seconds:.0f} seconds, with prediction {waits} reads waited for the database, and it "
        f"was sent {statements} SELECTs. What was learned, was learned from these visits alone."
    )


def _change(ratio: float) -> str:
    """`23% fewer` for 0.77."""
    return f"{abs(1 - ratio):.0%} {'fewer' if ratio <= 1 else 'more'}"


def _explain(side: Side, console: Console) -> None:
    """PREDICTOR EXPLAIN of a key that a prediction brought, among those asked for last."""
    for key in _recent(side):
        answer = side.ask("PREDICTOR", "EXPLAIN", key)
        if isinstance(answer.get("brought-by"), dict):
            console.print(Group(f"\nPREDICTOR EXPLAIN {key}", *_lines(answer)))
            return


def _recent(side: Side) -> Iterator[str]:
    return iter(dict.fromkeys(reversed(side.asked)))


def _lines(value: Any, depth: int = 1) -> Iterator[str]:
    """A reply as indented text, lists cut after three items."""
    indent = "  " * depth
    if isinstance(value, dict):
        for name, each in value.items():
            if isinstance(each, dict | list):
                yield f"{indent}{name}:" if each else f"{indent}{name}: -"
                yield from _lines(each, depth + 1)
            else:
                yield f"{indent}{name}: {'-' if each is None else each}"
    elif isinstance(value, list):
        for each in value[:3]:
            first, *rest = [*_lines(each, depth), ""]
            yield f"{indent[:-2]}- {first.strip()}"
            yield from rest[:-1]
        if len(value) > 3:
            yield f"{indent[:-2]}- ... {len(value) - 3} more"
    else:
        yield f"{indent}{value}"
