"""The sketch of frequencies: never too low, seldom too high, halved, and grown without loss."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from antecache.policies._sketch import MOST, Sketch

COUNTS = st.dictionaries(st.binary(min_size=1, max_size=12), st.integers(1, 30), max_size=200)


@given(COUNTS)
def test_never_too_low(counts: dict[bytes, int]) -> None:
    sketch = Sketch()
    for key, count in counts.items():
        sketch.leave(key, count)
    for key, count in counts.items():
        assert min(count, MOST) <= sketch.estimate(key) <= MOST


@given(COUNTS, st.integers(1, 5000))
def test_growing_keeps_every_estimate(counts: dict[bytes, int], residents: int) -> None:
    sketch = Sketch()
    for key, count in counts.items():
        sketch.leave(key, count)
    before = {key: sketch.estimate(key) for key in counts}
    sketch.fit(residents)
    assert {key: sketch.estimate(key) for key in counts} == before
    assert 8 * residents <= sketch.nbytes <= max(16 * residents + 16, 128)


@given(COUNTS)
def test_ageing_halves(counts: dict[bytes, int]) -> None:
    sketch = Sketch()
    for key, count in counts.items():
        sketch.leave(key, count)
    before = {key: sketch.estimate(key) for key in counts}
    sketch.age()
    assert all(sketch.estimate(key) == before[key] // 2 for key in counts)


def test_strangers_are_seldom_taken_for_known() -> None:
    sketch = Sketch()
    sketch.fit(2000)
    for number in range(4000):  # twice as many keys as residents
        sketch.leave(b"known:%d" % number, 8)
    wrong = sum(sketch.estimate(b"stranger:%d" % number) > 0 for number in range(4000))
    assert wrong < 200


def test_estimates_do_not_depend_on_the_process() -> None:
    """hash() of bytes is salted; a replay must give the same misses each time."""
    program = (
        "from antecache.policies._sketch import Sketch\n"
        "s = Sketch()\n"
        "for i in range(300): s.leave(b'k%d' % i, i % 16)\n"
        "print([s.estimate(b'x%d' % i) for i in range(300)])"
    )
    shown = [
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert shown[0] == shown[1] and b"1" in shown[0]
