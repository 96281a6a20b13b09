"""Settings from a TOML file, the environment and flags, the later of these over the earlier.

An unknown name or a value that cannot be used is a `ConfigError` that says
where it stands, which setting it is and why. Nothing is guessed.

What this file does not do: say which settings there are (`config.py`), or change a
running server (`CONFIG SET` assigns to the attributes of the `Config` it was given,
through `read_setting`).
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from antecache.policies.registry import parse_maxmemory_policy
from antecache.predictor import registry as predictors
from antecache.server.backing.sources import SourceSpec, read_spec
from antecache.server.config import ALIASES, FIELDS, Config, unit_of
from antecache.server.errors import ConfigError
from antecache.server.rules import RuleSpec, read_rule
from antecache.server.setting_texts import parse_events, parse_output_limits, parse_percentiles
from antecache.server.units import parse_duration, parse_memory


def load(
    path: Path | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """The settings of a file, then of `env`, then of `overrides` (flags; None is not given).

    `path` may come from `ANTECACHE_CONFIG` instead. Raises ConfigError.
    """
    env = env or {}
    config = Config()
    path = file_of(path, env)
    if path is not None:
        _apply(config, _read_toml(path), f"{path}: ", dashed=True)
    _apply(config, dict(_of_environment(env)), "environment: ANTECACHE_")
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    _apply(config, given, "--", dashed=True)
    try:
        check(config)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return config


def file_of(path: Path | None, env: Mapping[str, str]) -> Path | None:
    """The config file: the one given, or that of `ANTECACHE_CONFIG`."""
    if path is None and env.get("ANTECACHE_CONFIG"):
        return Path(env["ANTECACHE_CONFIG"])
    return path


def read_setting(name: str, value: object) -> Any:
    """What `value`, as text or as TOML has it, means for the setting `name` (an attribute).

    Raises ValueError with the reason, KeyError when there is no such setting.
    """
    field = FIELDS[name]
    unit = unit_of(field.type)
    if name == "sources":
        return _source_specs(value)
    if name == "rules":
        return _rule_specs(value)
    if isinstance(value, bool) and field.type is not bool:
        raise ValueError("expected something else than true or false")
    if unit == "memory" and isinstance(value, str):
        value = parse_memory(value)
    elif unit == "duration" and isinstance(value, str):
        value = parse_duration(value)
    elif field.type is bool and isinstance(value, str):
        value = _switch(value)
    elif isinstance(value, str) and _is_number(field.type):
        value = _number(value)
    try:
        return msgspec.convert(value, field.type)
    except msgspec.ValidationError as error:
        reason = str(error).replace("`", "")
        raise ValueError(f"{reason[0].lower()}{reason[1:]}, not {value!r}") from None


def check(config: Config) -> None:
    """What no single setting shows; raises ValueError that names the settings."""
    if config.shards & (config.shards - 1):
        raise ValueError(f"shards: {config.shards} is not a power of two")
    if config.port and config.port == config.metrics_port:
        raise ValueError(f"metrics-port: {config.port} is the port of the Redis protocol too")
    if config.tls_port and config.tls_port in (config.port, config.metrics_port):
        raise ValueError(f"tls-port: {config.tls_port} is taken by port or metrics-port")
    if set(config.tls_protocols.split()) - {"TLSv1.2", "TLSv1.3"}:
        raise ValueError("tls-protocols: expected TLSv1.2, TLSv1.3 or both")
    if config.sources and not config.backing:
        raise ValueError("source: there are [[source]] tables, but no backing to read them from")
    for name, parse in (
        ("policy", parse_maxmemory_policy),
        ("predictor", _find_predictor),
        ("client_output_buffer_limit", parse_output_limits),
        ("notify_keyspace_events", parse_events),
        ("latency_tracking_info_percentiles", parse_percentiles),
    ):
        try:
            parse(getattr(config, name))
        except ValueError as error:
            raise ValueError(f"{name.replace('_', '-')}: {error}") from None


def _find_predictor(name: str) -> None:
    try:
        predictors.find(name)
    except KeyError:
        known = ", ".join(predictors.names())
        raise ValueError(f"unknown predictor '{name}'; known: {known}") from None
    except (TypeError, ImportError) as error:
        raise ValueError(str(error)) from None


def _apply(config: Config, given: Mapping[str, object], origin: str, dashed: bool = False) -> None:
    """Assign settings to `config`; `origin` and the name as written open every complaint."""
    seen: dict[str, str] = {}
    for written, value in given.items():
        folded = written.replace("-", "_")
        name = ALIASES.get(folded, folded)
        shown = written.replace("_", "-") if dashed else written.upper()
        if name == "rename_command":
            raise ConfigError(
                f"{origin}{shown}: commands are not renamed; take them from users with ACL rules "
                "(ACL SETUSER default -flushall)"
            )
        if name not in FIELDS:
            raise ConfigError(
                f"{origin}{shown}: there is no such setting{_suggestion(name, dashed)}"
            )
        if name in seen:
            raise ConfigError(f"{origin}{shown}: given already, as {seen[name]}")
        seen[name] = shown
        try:
            setattr(config, name, read_setting(name, value))
        except (ConfigError, ValueError) as error:
            raise ConfigError(f"{origin}{shown}: {error}") from None


def _source_specs(tables: object) -> list[SourceSpec]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError("expected [[source]] tables of a config file")
    return [read_spec(table) for table in tables]


def _rule_specs(tables: object) -> list[RuleSpec]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError("expected [[rule]] tables of a config file")
    return [read_rule(table) for table in tables]


def _suggestion(name: str, dashed: bool) -> str:
    close = difflib.get_close_matches(name, [*FIELDS, *ALIASES], n=1)
    if not close:
        return ""
    return f"; did you mean {close[0].replace('_', '-') if dashed else close[0].upper()}?"


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from None


#: Kubernetes and `docker --link` set these for a service that is named antecache.
_INJECTED = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP)|_ENV_|^ANTECACHE_NAME$")


def _of_environment(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for variable, value in env.items():
        injected = _INJECTED.search(variable) or value.startswith(("tcp://", "udp://"))
        if variable.startswith("ANTECACHE_") and variable != "ANTECACHE_CONFIG" and not injected:
            yield variable.removeprefix("ANTECACHE_").lower(), value


def _is_number(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", annotation) in (int, float)


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a number") from None


def _switch(text: str) -> bool:
    word = text.strip().lower()
    if word in ("on", "yes", "true", "1"):
        return True
    if word in ("off", "no", "false", "0"):
        return False
    raise ValueError(f"'{text}' is neither on nor off")
