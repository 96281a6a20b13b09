"""Huge pages: asked for where the system offers them, nothing at all where it does not."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from antecache.server import hugepages
from antecache.server.hugepages import HUGE, HugePages

SIZE = 8 * HUGE


@pytest.fixture
def pages() -> HugePages:
    found = HugePages()
    if not found.offered:
        pytest.skip("this system offers no transparent huge pages")
    found.advise()  # for what the process had before
    return found


def marked() -> int:
    """Bytes in mappings of this process that the kernel has marked `hg`: huge pages wanted."""
    total = size = 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "Size":
            size = int(rest.split()[0]) * 1024
        elif name == "VmFlags" and "hg" in rest.split():
            total += size
    return total


def test_memory_that_was_added_is_advised_once(pages: HugePages) -> None:
    before = marked()
    with mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as grown:
        grown[:] = b"x" * SIZE
        assert pages.advise() >= SIZE - 2 * HUGE  # its ends may not be aligned
        assert marked() - before >= SIZE - 2 * HUGE
        assert pages.advise() == 0
        assert grown[:] == b"x" * SIZE


@pytest.mark.parametrize("text", ["always madvise [never]\n", None])
def test_where_none_are_offered_nothing_happens(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enabled = tmp_path / "enabled"
    if text is not None:
        enabled.write_text(text)
    monkeypatch.setattr(hugepages, "_ENABLED", enabled)
    pages = HugePages()
    assert not pages.offered
    assert pages.advise() == 0
