"""Which Redis the server says it is, and which antecache it really is.

Clients choose features by the version they read in HELLO and INFO, so it is the
one whose behaviour and texts the commands follow, not our own.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

REDIS_VERSION = "7.4.0"


def antecache_version() -> str:
    """The version of the installed distribution; `0` when it is not installed."""
    try:
        return version("antecache")
    except PackageNotFoundError:
        return "0"
