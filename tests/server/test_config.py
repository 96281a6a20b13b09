"""Settings: file, environment and flags in that order, and complaints that say where and why."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antecache.server.config import ALIASES, FIELDS, UNLIMITED_PREDICTION_MEMORY, Config
from antecache.server.config_reading import load, read_setting
from antecache.server.config_template import as_toml
from antecache.server.errors import ConfigError
from antecache.server.setting_texts import OutputLimit, parse_output_limits


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """A config file with the text that is asked for."""

    def write(text: str) -> Path:
        path = tmp_path / "antecache.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def refusal(
    path: Path | None = None,
    env: dict[str, str] | None = None,
    flags: dict[str, object] | None = None,
) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, env or {}, flags or {})
    return str(caught.value)


def test_without_anything_it_is_a_plain_cache_on_redis_port() -> None:
    config = load()
    assert (config.host, config.port, config.backing) == ("127.0.0.1", 6379, "")
    assert (config.maxmemory, config.databases, config.maxclients) == (0, 16, 10000)
    assert config.sources == []


def test_flags_beat_the_environment_which_beats_the_file(written: Any) -> None:
    path = written('port = 1001\nmaxmemory = "1mb"\nhz = 20\n')
    config = load(path, {"ANTECACHE_PORT": "1002", "ANTECACHE_HZ": "30"}, {"port": "1003"})
    assert (config.port, config.hz, config.maxmemory) == (1003, 30, 1 << 20)


def test_a_flag_that_was_not_given_changes_nothing(written: Any) -> None:
    assert load(written("port = 1001"), {}, {"port": None}).port == 1001


def test_the_environment_may_name_the_file(written: Any) -> None:
    path = written("port = 1001")
    assert load(None, {"ANTECACHE_CONFIG": str(path)}).port == 1001
    assert load(None, {"ANTECACHE_CONFIG": ""}).port == 6379


def test_other_variables_are_none_of_our_business() -> None:
    assert load(None, {"PORT": "1", "REDIS_PORT": "2", "HOME": "/"}) == Config()


def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_setting() -> None:
    injected = {
        "ANTECACHE_SERVICE_HOST": "10.0.0.1",
        "ANTECACHE_SERVICE_PORT": "6379",
        "ANTECACHE_SERVICE_PORT_METRICS": "9121",
        "ANTECACHE_PORT": "tcp://10.0.0.1:6379",
        "ANTECACHE_PORT_6379_TCP": "tcp://10.0.0.1:6379",
        "ANTECACHE_PORT_6379_TCP_ADDR": "10.0.0.1",
        "ANTECACHE_PORT_6379_TCP_PROTO": "tcp",
    }
    assert load(None, injected) == Config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "prot: there is no such setting; did you mean port?"),
        ("zzz = 1", "zzz: there is no such setting"),
        ("port = 70000", "port: expected int <= 65535, not 70000"),
        ("port = -1", "port: expected int >= 0, not -1"),
        ("port = true", "port: expected something else than true or false"),
        ('port = "x"', "port: 'x' is not a number"),
        ('maxmemory = "1 parsec"', "maxmemory: '1 parsec' is not a size such as"),
        ("maxmemory = -5", "maxmemory: expected int >= 0, not -5"),
        ('ttl = "5 bananas"', "ttl: '5 bananas' is not a duration such as"),
        ("load_timeout = 0", "load-timeout: expected float > 0.0, not 0"),
        ('prediction = "maybe"', "prediction: 'maybe' is neither on nor off"),
        ("prediction = 1", "prediction: expected bool, got int, not 1"),
        ('loglevel = "shout"', "loglevel: invalid enum value 'shout'"),
        ("host = 5", "host: expected str, got int, not 5"),
        ("source = 5", "source: expected [[source]] tables"),
        ("port = 1\n[table]\n", "table: there is no such setting"),
        ("port =", "is not TOML: "),
        ("max-memory = 5", "max-memory: there is no such setting; did you mean maxmemory?"),
        ('bind = "a"\nhost = "b"', "host: given already, as bind"),
        ('backing = "x:"\n[[source]]\nmtch = "a"', "source: source 'without a name': "),
    ],
)
def test_a_complaint_names_the_file_the_setting_and_the_reason(
    text: str, said: str, written: Any
) -> None:
    path = written(text)
    assert refusal(path).startswith(f"{path}: {said}")


def test_complaints_about_the_environment_and_flags_say_so() -> None:
    assert (
        refusal(env={"ANTECACHE_PORT": "x"}) == "environment: ANTECACHE_PORT: 'x' is not a number"
    )
    assert refusal(env={"ANTECACHE_PROT": "1"}) == (
        "environment: ANTECACHE_PROT: there is no such setting; did you mean PORT?"
    )
    assert refusal(env={"ANTECACHE_SOURCE": "x"}).startswith("environment: ANTECACHE_SOURCE: ")
    assert refusal(flags={"metrics_port": "x"}) == "--metrics-port: 'x' is not a number"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "absent.toml"
    assert refusal(path) == f"{path}: cannot be read: No such file or directory"
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    assert refusal(binary).startswith(f"{binary}: is not TOML: ")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"shards": "12"}, "shards: 12 is not a power of two"),
        ({"metrics_port": "6379"}, "metrics-port: 6379 is the port of the Redis protocol too"),
        ({"policy": "nonsense"}, "policy: unknown maxmemory-policy 'nonsense'"),
        (
            {"client_output_buffer_limit": "normal 0 0"},
            "client-output-buffer-limit: expected a class",
        ),
    ],
)
def test_settings_that_do_not_go_together(flags: dict[str, object], said: str) -> None:
    assert refusal(flags=flags).startswith(said)


def test_two_ports_left_to_the_system_are_not_the_same_port() -> None:
    load(overrides={"port": "0", "metrics_port": "0"})


def test_sources_need_a_backing(written: Any) -> None:
    table = '[[source]]\nmatch = "user:{id:int}"\nquery = "select * from users where id = :id"\n'
    assert "no backing" in refusal(written(table))
    config = load(written(f'backing = "sqlite:///x.db"\n{table}ttl = "5m"'))
    (source,) = config.sources
    assert source.match == "user:{id:int}"
    assert source.options(config.source_options).ttl == 300.0


def test_sources_take_what_they_leave_out_from_the_settings() -> None:
    options = load(
        overrides={"ttl": "1h", "negative_ttl": "1s", "load_timeout": "250ms", "stale_for": "1d"}
    ).source_options
    assert (options.ttl, options.negative_ttl) == (3600.0, 1.0)
    assert (options.timeout, options.stale_for) == (0.25, 86400.0)


@pytest.mark.parametrize("word", ["on", "yes", "TRUE", "1"])
@pytest.mark.parametrize("opposite", ["off", "no", "False", "0"])
def test_switches(word: str, opposite: str) -> None:
    assert load(overrides={"prediction": word}).prediction is True
    assert load(overrides={"prediction": opposite}).prediction is False


def test_names_that_redis_has_are_read_too(written: Any) -> None:
    config = load(written('bind = "0.0.0.0"\nmaxmemory-policy = "allkeys-lru"\n'))
    assert (config.host, config.policy) == ("0.0.0.0", "allkeys-lru")
    assert load(None, {"ANTECACHE_MAXMEMORY_POLICY": "noeviction"}).policy == "noeviction"


def test_dashes_and_underscores_are_the_same(written: Any) -> None:
    assert load(written("slowlog-max-len = 5")).slowlog_max_len == 5
    assert load(written("slowlog_max_len = 5")).slowlog_max_len == 5


@given(st.integers(0, 2**40), st.floats(0, 1))
def test_prediction_gets_its_share_and_nothing_when_it_is_off(memory: int, share: float) -> None:
    config = Config(maxmemory=memory, prediction_memory=share)
    assert config.prediction_bytes == (
        int(memory * share) if memory else UNLIMITED_PREDICTION_MEMORY
    )
    config.prediction = False
    assert config.prediction_bytes == 0


def test_output_limits() -> None:
    assert Config().output_limits == {
        "normal": OutputLimit(0, 0, 0),
        "replica": OutputLimit(256 << 20, 64 << 20, 60),
        "pubsub": OutputLimit(32 << 20, 8 << 20, 60),
    }
    assert parse_output_limits("slave 1kb 1k 5") == {"replica": OutputLimit(1024, 1000, 5)}
    assert parse_output_limits("") == {}


@pytest.mark.parametrize("text", ["normal", "other 0 0 0", "normal x 0 0", "normal 0 0 -1"])
def test_output_limits_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|is not"):
        parse_output_limits(text)


def test_the_template_changes_nothing_as_it_is(written: Any) -> None:
    assert load(written(as_toml())) == Config()


def test_the_template_shows_every_setting_with_its_default_and_a_reason() -> None:
    shown: dict[str, object] = {}
    for block in as_toml().split("\n\n"):
        *reasons, last = block.splitlines() or [""]
        if " = " in last and "#[[" not in block:
            shown |= tomllib.loads(last.removeprefix("#"))
            assert reasons and all(line.startswith("# ") for line in reasons), block
    assert {name.replace("-", "_") for name in shown} == {*FIELDS} - {"sources", "rules"}
    for name, value in shown.items():
        attribute = name.replace("-", "_")
        assert read_setting(attribute, value) == FIELDS[attribute].default


def test_the_example_source_of_the_template_is_a_source(written: Any) -> None:
    text = as_toml()
    example = text[text.index("#[[source]]") :].split("\n\n")[0].replace("#", "")
    assert len(load(written(f'backing = "sqlite:///x.db"\n{example}')).sources) == 1


def test_the_examples_of_the_docs_are_config_files(written: Any) -> None:
    root = Path(__file__).parents[2]
    found = 0
    for path in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
        text = path.read_text("utf-8")
        for example in re.findall(r"^ *```toml\n(.*?)```", text, re.DOTALL | re.MULTILINE):
            load(written(example))
            found += 1
    assert found >= 3


@given(
    st.sampled_from(sorted({*FIELDS, *ALIASES})),
    st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.lists(st.text())),
)
def test_any_value_is_taken_or_refused_with_a_reason(name: str, value: object) -> None:
    try:
        config = load(None, {}, {name: value})
    except ConfigError as error:
        assert name.replace("_", "-") in str(error) or ALIASES.get(name, name) in str(error)
    else:
        assert msgspec.convert(msgspec.to_builtins(config), Config) == config
