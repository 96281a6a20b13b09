"""The estimate behind maxmemory, held against the resident set of a real process."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

SCRIPT = textwrap.dedent(
    """
    import json, sys
    from antecache.policies.registry import find
    from antecache.server import items, process
    from antecache.server.backing.base import Row
    from antecache.server.hash import Hash
    from antecache.server.store import Store
    from antecache.server.stream import Stream
    from antecache.server.zset import SortedSet

    kind = sys.argv[1]
    store = Store(find("s3fifo")(), scope="allkeys")
    db = store.databases[0]
    process.manual_collection()
    before = process.resident_bytes()
    columns = ("id", "name", "price", "note")
    for number in range(int(sys.argv[2])):
        key = b"key:%012d" % number
        if kind == "string":
            value = b"%0100d" % number
        elif kind == "expiring":
            value = b"%0100d" % number
        elif kind == "hash":
            value = {b"field%d" % f: b"%020d" % (number + f) for f in range(5)}
        elif kind == "expiring fields":
            value = Hash({b"field%d" % f: b"%020d" % (number + f) for f in range(5)})
            for field in list(value):
                value.expire_at(field, store.now + 600_000 + number)
        elif kind.endswith("sorted set"):
            value, members = SortedSet(), 500 if kind.startswith("large") else 50
            for n in range(members):
                value.add(b"member:%010d" % (number * members + n), n * 104_729 % 100_003 + 0.5)
        elif kind == "short list":
            value = [b"%020d" % (number + item) for item in range(5)]
        elif kind == "long list":
            value = items.new([b"%020d" % (number + item) for item in range(500)])
        elif kind in ("short stream", "long stream"):
            value = Stream()
            for n in range(5 if kind == "short stream" else 2000):
                fields = (b"name%d" % (n % 1), b"%020d" % n, b"other%d" % (n % 1), b"%020d" % n)
                value.append(1_700_000_000_000 + number + n << 64, fields)
            value.create_group(b"group%d" % (number % 7), 0, None)
            (group,) = value.groups.values()
            consumer = value.create_consumer(group, b"consumer%d" % (number % 5), store.now)
            for entry_id, _ in value.entries.forward():
                value.assign(group, entry_id, consumer, store.now, 1)
        elif kind == "small set":
            value = {b"%020d" % (number + member) for member in range(5)}
        elif kind == "large set":
            value = {b"%020d" % (number + member) for member in range(500)}
        else:
            value = Row(columns, (number, "name %d" % number, "%d.50" % number, "%060d" % number))
        entry = db.put(key, value, store.now + 600_000 + number if kind == "expiring" else 0)
        store.fields.watch(entry)
    used = store.used + store.fields.nbytes
    print(json.dumps({"rss": process.resident_bytes() - before, "used": used}))
    """
)

KEYS = {
    **{"small sorted set": 12_000, "large sorted set": 800, "expiring fields": 60_000},
    **{"short stream": 20_000, "long stream": 60},
    **{"short list": 60_000, "long list": 1000, "small set": 60_000, "large set": 1000},
}


@pytest.mark.parametrize(
    "kind",
    [
        *("string", "expiring", "hash", "row", "expiring fields"),
        *("small sorted set", "large sorted set"),
        *("short stream", "long stream"),
        *("short list", "long list", "small set", "large set"),
    ],
)
def test_the_estimate_is_within_a_tenth_of_the_resident_set(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind, str(KEYS.get(kind, 200_000))],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    ratio = found["used"] / found["rss"]
    assert 0.9 <= ratio <= 1.1, f"{kind}: estimated {found['used']:,} of {found['rss']:,} bytes"
