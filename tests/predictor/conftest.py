"""Made histories with planted sequences, and the shared traces where they are."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest


def planted(requests: int, *, seed: int = 1, chains: int = 400) -> list[bytes]:
    """Two of three accesses belong to one of `chains` sequences of five keys, always the same."""
    rng = random.Random(seed)
    members = [[b"%s:%d" % (t, rng.getrandbits(30)) for t in TABLES] for _ in range(chains)]
    keys: list[bytes] = []
    while len(keys) < requests:
        for key in members[min(int(rng.expovariate(5 / chains)), chains - 1)]:
            keys.append(key)
            if rng.random() < 0.5:
                keys.append(b"noise:%d" % rng.getrandbits(30))
    return keys[:requests]


TABLES = (b"user", b"cart", b"item", b"price", b"stock")


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A file of 20,000 accesses with planted sequences and some broken lines."""
    path = tmp_path / "history.csv.gz"
    lines = [b"%d,0,%s,100" % (at, key) for at, key in enumerate(planted(20_000))]
    lines[5000:5000] = [b"broken", b"too,few,fields"]
    path.write_bytes(gzip.compress(b"time,client,key,size\n" + b"\n".join(lines) + b"\n"))
    return path
