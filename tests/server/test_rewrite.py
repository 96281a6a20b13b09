"""CONFIG REWRITE: the author's file, brought up to what is in effect, and to nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis.asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antecache.server.app import Server
from antecache.server.config_reading import load
from antecache.server.rewrite import rewrite

FILE = """\
# The cache of the shop.
maxmemory = "100mb"  # half the machine
maxmemory-policy = "allkeys-lru"
timeout = 300
prediction = true
row-budget = 0.5
metrics-port = 0
port = 0
backing = "memory://?prefix=a"

[[source]]
match = "user:{id:int}"
query = "select * from users where id = :id"

[[rule]]
when = "user:{id}"
then = ["cart:{id}"]
"""


def test_a_file_that_says_what_is_in_effect_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(FILE)
    rewrite(path, load(path))
    assert path.read_text() == FILE


def test_only_what_changed_is_written_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(FILE)
    path.chmod(0o640)
    config = load(path, {}, {"maxmemory": "200mb", "requirepass": 'a"b', "ttl": "90s"})
    rewrite(path, config)
    text = path.read_text()
    assert 'maxmemory = "200mb"  # half the machine' in text
    assert text.startswith("# The cache of the shop.\n")
    assert path.stat().st_mode & 0o777 == 0o640
    assert load(path) == config
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.toml"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    given_=st.fixed_dictionaries(
        {},
        optional={
            "maxmemory": st.integers(0, 2**40),
            "timeout": st.floats(0, 1e6).map(lambda value: round(value, 3)),
            "requirepass": st.text(
                st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20
            ),
            "prediction": st.booleans(),
            "slowlog_log_slower_than": st.integers(-1, 10**9),
            "row_budget": st.floats(0, 10),
            "policy": st.sampled_from(["auto", "lru", "allkeys-lfu", "volatile-ttl"]),
        },
    ),
    text=st.sampled_from(
        [
            FILE,
            "",
            "# nothing",
            "timeout = 1",
            'maxmemory = "1gb"\n[[rule]]\nwhen = "a:{id}"\nthen = ["b:{id}"]',
        ]
    ),
)
def test_what_is_read_back_is_what_was_in_effect(
    tmp_path: Path, text: str, given_: dict[str, object]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    config = load(path, {}, given_)
    rewrite(path, config)
    assert load(path) == config


async def test_over_the_wire(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("port = 0\nmetrics-port = 0\nmaxkeys = 10\n")
    server = Server(load(path), path)
    await server.start()
    try:
        async with redis.asyncio.Redis(port=server.port) as client:
            assert (await client.info("server"))["config_file"] == str(path)
            await client.config_set("maxmemory-policy", "allkeys-lfu")
            await client.config_set("maxkeys", 20)
            assert await client.config_rewrite()
            assert path.read_text() == (
                'port = 0\nmetrics-port = 0\nmaxkeys = 20\npolicy = "allkeys-lfu"\n'
            )
            path.write_text("port = [")
            with pytest.raises(redis.ResponseError, match=r"Rewriting config file: .* is not TOML"):
                await client.config_rewrite()
            assert path.read_text() == "port = ["
    finally:
        await server.stop()


async def test_without_a_file_there_is_nothing_to_rewrite() -> None:
    server = Server(load(None, {}, {"port": 0, "metrics_port": 0}))
    await server.start()
    try:
        async with redis.asyncio.Redis(port=server.port) as client:
            with pytest.raises(redis.ResponseError, match="running without a config file"):
                await client.config_rewrite()
    finally:
        await server.stop()
