"""ACL LOG: what was refused to whom, newest first, and merged when it happens again.

As in Redis (`addACLLogEntry`): the same refusal within a minute is one entry that
counts, and moves to the front.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

GROUPING = 60.0  # seconds: ACL_LOG_GROUPING_MAX_TIME_DELTA


class Entry:
    """One refusal, and how often it was repeated."""

    __slots__ = (
        "client",
        "context",
        "count",
        "created",
        "number",
        "reason",
        "thing",
        "updated",
        "user",
    )

    def __init__(
        self, number: int, reason: str, context: str, thing: bytes, user: bytes, client: bytes
    ) -> None:
        self.number = number
        self.reason = reason
        self.context = context
        self.thing = thing
        self.user = user
        self.client = client
        self.count = 1
        self.created = self.updated = time.time()

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Entry)
            and (self.reason, self.context, self.thing, self.user)
            == (other.reason, other.context, other.thing, other.user)
            and abs(self.updated - other.updated) <= GROUPING
        )

    __hash__ = None  # type: ignore[assignment]

    def shown(self) -> dict[bytes, Any]:
        """As ACL LOG answers."""
        return {
            b"count": self.count,
            b"reason": self.reason.encode(),
            b"context": self.context.encode(),
            b"object": self.thing,
            b"username": self.user,
            b"age-seconds": round(max(0.0, time.time() - self.updated), 3),
            b"client-info": self.client,
            b"entry-id": self.number,
            b"timestamp-created": int(self.created * 1000),
            b"timestamp-last-updated": int(self.updated * 1000),
        }


class AclLog:
    """The last refusals."""

    def __init__(self, limit: int) -> None:
        self.entries: deque[Entry] = deque()
        self.limit = limit
        self._numbers = 0

    def add(self, reason: str, context: str, thing: bytes, user: bytes, client: bytes) -> None:
        """Note a refusal: `reason` is command, key, channel or auth; `context` where it was."""
        fresh = Entry(self._numbers, reason, context, thing, user, client)
        for at, known in enumerate(self.entries):
            if known == fresh:
                del self.entries[at]
                known.count += 1
                known.client, known.updated = fresh.client, fresh.updated
                self.entries.appendleft(known)
                return
        self._numbers += 1
        self.entries.appendleft(fresh)
        self.set_limit(self.limit)

    def set_limit(self, limit: int) -> None:
        """CONFIG SET acllog-max-len."""
        self.limit = limit
        while len(self.entries) > limit:
            self.entries.pop()
