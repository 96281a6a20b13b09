"""Random commands of the administrator, answered byte for byte as by a real redis-server.

Left out is what must differ: versions, addresses, persistence, replication, and
errors that show an argument which is no UTF-8.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

HEADS = [
    *("PING", "ECHO", "SELECT", "AUTH", "TIME x", "ROLE", "WAIT", "DEBUG", "RESET"),
    *("CLIENT SETNAME", "CLIENT GETNAME", "CLIENT KILL ID 99999", "CLIENT NO-EVICT"),
    *("CLIENT UNBLOCK", "CLIENT PAUSE 0", "CLIENT GETREDIR", "CLIENT TRACKINGINFO"),
    *("CLIENT CACHING", "CLIENT TRACKING", "CLIENT LIST TYPE", "CLIENT LIST ID", "CLIENT"),
    *("CLIENT KILL", "CONFIG", "CONFIG SET", "CONFIG GET", "COMMAND LIST FILTERBY"),
    *("MEMORY", "MEMORY USAGE", "SLOWLOG", "SLOWLOG GET", "SLOWLOG LEN", "SLOWLOG RESET"),
    *("LATENCY", "LATENCY HISTORY", "LATENCY RESET", "LATENCY LATEST", "ACL WHOAMI"),
    *("ACL USERS", "HELLO x", "HELLO 5", "HELLO 2 FOO", "INFO nosuch"),
]
WORDS = [
    *("a", "0", "1", "-1", "yes", "no", "on", "off", "id", "addr", "skipme", "user", "maxage"),
    *("default", "", "3", "2", "x y", "a\r\nb", "99999999999999999999", "timeout", "error"),
    *("write", "all", "module", "samples", "nosuchkey", "9223372036854775807", " 1", "+1", "01"),
    *(
        "1.5",
        "-9223372036854775808",
        "maxmemory-samples",
        "appendonly",
        "save",
        "Timeout",
        "bcast",
    ),
]
# 7.4 has it, the redis-server at hand may not; and words whose answer is a fact of the machine.
CHANGING = {"maxmemory-samples", "save", "timeout", "Timeout", "yes"}
UNEQUAL = {("CLIENT", "maxage"), ("CLIENT", "id"), ("INFO", "default"), ("INFO", "all")}


def _commands(seed: int, count: int) -> list[list[str]]:
    rng = random.Random(seed)
    made = []
    while len(made) < count:
        head = rng.choice(HEADS).split()
        argv = [*head, *rng.choices(WORDS, k=rng.choice([0, 0, 1, 1, 2, 2, 3, 4]))]
        verb = head[:2]
        if (
            (verb == ["CLIENT", "KILL"] and "skipme" in argv)
            or (verb == ["CLIENT", "TRACKING"] and "on" in argv)
            or (verb == ["CLIENT", "LIST"] and {"1", "2", "3"} & set(argv))
            or (verb == ["CONFIG", "GET"] and len(argv) > 3)  # they come in no order
            or (verb == ["CONFIG", "SET"] and CHANGING & set(argv))
            or any(head[0] == name and word in argv for name, word in UNEQUAL)
        ):
            continue
        made.append(argv)
    return made


@pytest.mark.parametrize("seed", range(3))
async def test_random_commands(serve: Any, connect: Any, redis_server: Any, seed: int) -> None:
    ours, theirs = await connect(await serve()), await connect(redis_server)
    protocol = 2 + seed % 2
    for one in (ours, theirs):
        await one.ask("HELLO", protocol)
    for argv in _commands(seed, 400):
        got, wanted = [await one.bytes_of(*argv) for one in (ours, theirs)]
        assert got == wanted, argv
        if argv[0] in ("RESET", "HELLO"):
            for one in (ours, theirs):
                await one.ask("HELLO", protocol)
