"""LOLWUT: a small picture, another each time, and which server this is.

The picture is an elementary cellular automaton (Wolfram, "Statistical mechanics of
cellular automata", 1983): every row follows from the one above by the rule whose
number stands below it, and the first row is chance. Two rows and a column make a
character.
"""

from __future__ import annotations

from random import Random

from antecache.server.command import Argv, ClientView, command
from antecache.server.commands.arguments import integer
from antecache.server.encode import Verbatim
from antecache.server.version import REDIS_VERSION, antecache_version

COLUMNS, ROWS = 60, 12  # characters
MOST = 512  # of either, whatever is asked for
RULES = (18, 22, 30, 45, 54, 60, 73, 90, 105, 106, 110, 122, 126, 146, 150)  # those that show most
HALVES = " ▀▄█"


@command(
    "lolwut",
    -1,
    flags="readonly fast",
    group="server",
    since="5.0.0",
    summary="Displays computer art and the Redis version",
)
def lolwut(client: ClientView, argv: Argv) -> Verbatim:
    """LOLWUT [VERSION version] [columns [rows [rule]]]; every version has the same picture."""
    at = 1
    if len(argv) >= 3 and argv[1].upper() == b"VERSION":
        integer(argv[2])
        at = 3
    rng = client.db.store.random
    columns, rows, rule = COLUMNS, ROWS, rng.choice(RULES)
    asked = [integer(argument) for argument in argv[at:]]
    if asked:
        columns = min(max(asked[0], 1), MOST)
    if len(asked) > 1:
        rows = min(max(asked[1], 1), MOST)
    if len(asked) > 2:
        rule = asked[2] & 255
    picture = "\n".join(drawn(rng, columns, rows, rule))
    name = f"Redis ver. {REDIS_VERSION} (antecache {antecache_version()})"
    return Verbatim(f"{picture}\n\nRule {rule}. {name}\n".encode())


def drawn(rng: Random, columns: int, rows: int, rule: int) -> list[str]:
    """The rows of a picture: the automaton lives on a ring of `columns` cells."""
    cells = [rng.random() < 0.5 for _ in range(columns)]
    lines = []
    for _ in range(rows):
        below = _next(cells, rule)
        pairs = zip(cells, below, strict=True)
        lines.append("".join(HALVES[upper + 2 * lower] for upper, lower in pairs).rstrip())
        cells = _next(below, rule)
    return lines


def _next(cells: list[bool], rule: int) -> list[bool]:
    size = len(cells)
    return [
        bool(rule >> (4 * cells[at - 1] + 2 * cells[at] + cells[(at + 1) % size]) & 1)
        for at in range(size)
    ]
