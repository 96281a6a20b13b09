"""CONFIG REWRITE: the settings in effect go back into the file they came from.

What its author wrote stays: comments, order, spelling, tables of sources and rules.
A setting is written only where the file says something else than what is in effect,
or says nothing while the value is no longer the default; see
https://redis.io/docs/latest/commands/config-rewrite/. The file is replaced in one
step, so that a crash leaves the old one or the new one.

What this file does not do: read settings (`config.py`), or change tables.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from antecache.server.config import ALIASES, FIELDS, Config, unit_of
from antecache.server.config_reading import read_setting
from antecache.server.units import format_duration, format_memory, parse_duration, parse_memory

TABLES = ("sources", "rules")


def rewrite(path: Path, config: Config) -> None:
    """Bring the file at `path` up to `config`. Raises OSError or ValueError with the reason."""
    try:
        document = tomlkit.parse(path.read_text("utf-8"))
    except TOMLKitError as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    said = document.unwrap()
    written = {_attribute(key): key for key in said}
    for name, field in FIELDS.items():
        if name in TABLES:
            continue
        value = getattr(config, name)
        key = written.get(name)
        if key is None:
            if value != field.default:
                # Above the first table: below, it would be one of the table's.
                document[name.replace("_", "-")] = toml_value(name, value)
        elif read_setting(name, said[key]) != value:
            document[key] = toml_value(name, value)
    _replace(path, tomlkit.dumps(document))


def toml_value(name: str, value: Any) -> Any:
    """A setting as one writes it: "200mb" and "5m" rather than bytes and seconds, if exact."""
    unit = unit_of(FIELDS[name].type)
    if unit == "memory" and value and parse_memory(format_memory(value)) == value:
        return format_memory(value)
    if unit == "duration" and value:
        shown = format_duration(value)
        return shown if parse_duration(shown) == value else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _attribute(key: str) -> str:
    folded = key.replace("-", "_")
    return ALIASES.get(folded, folded)


def _replace(path: Path, text: str) -> None:
    target = path.resolve()
    mode = target.stat().st_mode & 0o777
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
