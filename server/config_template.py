"""Every setting with its default and its reason, as a config file that changes nothing.

The reasons are the comments above the fields of `Config`, read from its source,
so that what is printed cannot differ from what the code says.

What this file does not do: read such a file (`config.py`).
"""

from __future__ import annotations

import inspect

from antecache.server.config import FIELDS, Config, unit_of
from antecache.server.units import format_duration, format_memory


def as_toml() -> str:
    """The text: settings commented out, in the order of `Config`, reasons above them."""
    lines = []
    for line in inspect.getsource(Config).splitlines()[3:]:
        line = line.strip()
        if line.startswith("@"):
            break
        name = line.split(":")[0]
        if line.startswith("# --"):
            lines += [f"# ---- {line[4:].strip()}", ""]
        elif line.startswith("#:"):
            lines.append("#" + line[2:])
        elif name == "sources":
            lines += _EXAMPLE_SOURCE
        elif name == "rules":
            lines += _EXAMPLE_RULE
        elif name in FIELDS:
            lines += [f"#{name.replace('_', '-')} = {_toml_value(name)}", ""]
    return "\n".join(lines)


_EXAMPLE_SOURCE = [
    "#[[source]]",
    '#match = "user:{id:int}:orders"',
    '#query = "select * from orders where user_id = :id order by created_at desc limit 20"',
    '#as = "json"',
    '#ttl = "5m"',
    "",
]

_EXAMPLE_RULE = [
    "#[[rule]]",
    '#when = "user:{id}"',
    '#then = ["cart:{id}", "recommendations:{id}"]',
    '#if = { hour = "8-18", weekday = "mon-fri", on = "any" }',
    "",
]


def _toml_value(name: str) -> str:
    value = FIELDS[name].default
    unit = unit_of(FIELDS[name].type)
    if unit == "memory" and value:
        return f'"{format_memory(value)}"'
    if unit == "duration":
        if value == 0:
            return "0"
        return f'"{format_duration(value)}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else repr(value)
