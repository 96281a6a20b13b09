"""What sessions read between two events, told to the predictor in batches.

A read that finds its key is no event: it causes nothing and asks for nothing. But
where sessions take turns, what a session read says what it will read next, whether
it was there or not: a page that everybody asks for is always present, and its
pictures are not. The access log has these reads already, so the path of a read does
nothing for this: with each event, and before the log is drained, what has been
appended since is looked through, and the reads of each session are told.

That is work for every read, so it is bounded by the events, which cost a load each:
of more than `MOST` reads since the last time, those of a half, a quarter, an eighth
... of the sessions are told, always the same ones first, so that what they read is
told without gaps. Without a predictor that listens nothing is looked through.

What this file does not do: learn (`predictor/sessions.py`), or tell of misses and
first uses, which the prefetcher does one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from antecache.predictor.base import Predictor
from antecache.server.accesslog import AccessLog

#: reads that are told at a time, about
MOST: Final = 16
#: items of the log that are looked through at a time
FARTHEST: Final = 1024


class Bystander:
    """Reads `access` on behalf of the predictor that `predictor` names."""

    __slots__ = ("_access", "_predictor", "_session")

    def __init__(self, access: AccessLog, predictor: Callable[[], Predictor]) -> None:
        self._access = access
        self._predictor = predictor
        self._session: int | None = access.session  # who asked at `access.passed`

    def catch_up(self, *, listening: bool = True) -> None:
        """Tell of the reads since the last time; not `listening`: pass over them."""
        access = self._access
        items, start, session = access.items, access.passed, self._session
        access.passed, self._session = len(items), access.session
        predictor = self._predictor()
        if not listening or not predictor.listens:
            return
        if not 0 <= len(items) - start <= FARTHEST:
            start, session = max(0, len(items) - FARTHEST), None
        if start == len(items):
            return
        runs = self._runs(start, session)
        count = sum(len(keys) for _, keys in runs)
        stride = 1 << max(0, count // MOST).bit_length() if count > MOST else 1
        left = 2 * MOST
        for asked_by, keys in runs:
            if asked_by % stride or left <= 0:
                continue
            predictor.passed(asked_by, keys[-left:])
            left -= len(keys)

    def _runs(self, start: int, session: int | None) -> list[tuple[int, list[bytes]]]:
        """Keys found present, by who asked for them one after the other, in order.

        What comes before the first announcement was asked for by `session`; None: unknown.
        """
        items = self._access.items
        before = items[start - 1] if start else 0
        event = before is None or before is True
        runs: list[tuple[int, list[bytes]]] = []
        keys: list[bytes] = []
        for item in items[start:]:
            kind = type(item)
            if kind is bytes:
                if not event:
                    keys.append(item)
                event = False
            elif kind is int:
                if keys and session is not None and session >= 0:
                    runs.append((session, keys))
                session, keys = item, []
            else:
                event = item is None or item is True
        if session is None:  # nobody was announced since
            session = self._access.session
        if keys and session >= 0:
            runs.append((session, keys))
        return runs
