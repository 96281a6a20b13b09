"""Readers that nothing can be learned from: bots that walk ids, and scans.

A session that reads every id of a table in order, or thousands of keys once each,
asks for keys that nobody will ask for in that order again. Remembered, they push
out what people do, and each of its reads stands between two reads of somebody else.
So its accesses are *set aside*: answered like any other, but neither remembered nor
counted. That is found out on the events that the predictor is told of anyway
(demand misses, first uses of prefetched keys); a hit costs nothing.

A session is judged after every 256 of its events:

    walks   4 in 5 of them are in long runs of steps, each to a neighbouring id (8 at most
            away) of the same table, and 9 in 10 are keys that were no event before
    scans   of 1,024 of them, 19 in 20 are new, without any order

and only beside others who do not: at least two sessions that do not walk (for a
scan: whose keys come again, a quarter of them at least) with a fiftieth as many events
of their own. So a block device with one reader, or workers that all walk, are what
there is to learn from; so is a reader that comes by the same keys again. And at a
cold start, when everything is new, nobody scans.

A bot that opens a connection for every read, or takes a dozen in turns, shows in no
session. So what sessions without a name do is put down to their *address* too, and
that is judged like a session, where none of its own has a quarter of the events, and
beside sessions of other addresses taken together; a scan only where those have a
quarter as many events, since an application's server is an address as well. While an
address is set aside all its sessions without a name are, those that come later too.

Who is set aside goes on being judged, and is learned from again once it does
something else. What it walks may still be read ahead of it, by its own step alone.

New keys are told by a filter (`seen.py`); those of who is set aside have another. They
and the records of the sessions take a 512th of the predictor's memory at most; where
that is too little for a few of them, and while fewer than three sessions were met,
nothing is kept and nobody judged.

What this file does not do: decide what is fetched, or know what a session is (a
connection, or the name that it goes by). The same for recorded accesses, where all
of them can be looked at before the first is judged: `cleaning.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from zlib import crc32

from antecache.predictor.seen import Seen
from antecache.predictor.walk import Walk, parts_of

_JUDGED: Final = 256
_SPAN: Final = 1024
_LONGEST_SPAN: Final = 8 * _SPAN
_STEPS, _FRESH, _FRESH_SCAN, _AGAIN, _COME_AGAIN = 0.8, 0.9, 0.95, 0.5, 0.75
#: others: how many sessions, how many events, and how many as a share of the session's own
_PEOPLE, _LEAST, _SHARE = 2, 16, 0.02
#: of an address: what others must have at least beside a scan, and one of its sessions at most
_SHARE_SCAN, _MEMBER = 0.25, 0.25
#: events of all sessions after which one that was silent is not there any more
_LATELY: Final = 50_000
#: events since it was last looked at by which a session is one that stays
_STAYS: Final = 2
#: of the predictor's memory: one part in so many; half of that for records of so many bytes
_PART: Final = 512
_RECORD_BYTES: Final = 600
_FEWEST, _MOST = 16, 1024
_MOST_FILTER: Final = 1 << 17


class Walkers:
    """The sessions and addresses, what is known of each, and those that are set aside.

    aside      their numbers; whoever numbers sessions shares this set
    budget     bytes that the predictor may occupy
    on_change  told of a number when it is set aside, and when it no longer is
    home_of    the number of a session's address, none of a session's; 0 where it has none,
               or goes by a name
    found      how many were ever set aside
    """

    def __init__(
        self,
        aside: set[int],
        budget: Callable[[], int],
        on_change: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.aside = aside
        self.on_change = on_change
        self.home_of: Callable[[int], int] = lambda session: 0
        self.found = 0
        self._budget = budget
        self._walks: dict[int, Walk] = {}  # the oldest first
        self._seen: Seen | None = None
        self._seen_aside = Seen(0)  # what a scan reads must not push out what people do
        self._events = 0
        self._alone = -1  # the first address that was met, 0 where there was none
        self._several = False  # whether there was another one; else nothing is put down to them

    def event(self, session: int, key: bytes) -> None:
        """A demand miss, or the first use of a prefetched key, of a session or an address."""
        walk = self._walks.get(session)
        if walk is None:
            walk = self._begin(session, self.home_of(session))
        if self._seen is None or walk is None:
            return
        self._events += 1
        number = crc32(key) | len(key) << 32
        seen = self._seen_aside if walk.kind else self._seen
        fresh = number not in seen
        if fresh:
            seen.add(number)
        parts = parts_of(key)
        walk.event(parts, fresh, self._events)
        if walk.unjudged >= _JUDGED:
            self._judge(session, walk)
        if self._several and walk.home and not walk.kind and not walk.address:
            home = self._walks.get(walk.home) or self._begin(walk.home, walk.home, address=True)
            if home is not None:
                home.sessions += not walk.counted
                walk.counted = True
                home.event(parts, fresh, self._events)
                if home.unjudged >= _JUDGED:
                    self._judge(walk.home, home)

    def _begin(self, number: int, home: int, *, address: bool = False) -> Walk | None:
        walks, bytes_ = self._walks, self._budget() // _PART
        most = min(_MOST, bytes_ // 2 // _RECORD_BYTES)
        if most < _FEWEST:
            most = _PEOPLE
            if len(walks) >= most:
                return None
        while len(walks) >= most:
            self._drop()
        walk = walks[number] = Walk(home, self._events, address=address)
        self._alone = home if self._alone < 0 else self._alone
        self._several = self._several or home != self._alone
        if self._seen is None and len(walks) > _PEOPLE:
            size = min(bytes_ // 2, _MOST_FILTER)
            self._seen, self._seen_aside = Seen(size - size // 4), Seen(size // 4)
        return walk

    def _drop(self) -> None:
        """Forget the oldest that did next to nothing lately; the others of these go on.

        So those who come for one read each do not push out those who stay.
        """
        walks = self._walks
        for _ in range(8):
            gone = next(iter(walks))
            if walks[gone].lately < _STAYS:
                break
            walks[gone].lately = 0
            walks[gone] = walks.pop(gone)
        gone = next(iter(walks))
        del walks[gone]
        if gone in self.aside:
            self.aside.discard(gone)
            self.on_change(gone)

    def _judge(self, number: int, walk: Walk) -> None:
        walk.unjudged = 0
        self._walks[number] = self._walks.pop(number)
        if walk.kind:
            left = walk.new < _FRESH - 0.2 or (walk.kind == "walks" and walk.walks < _AGAIN)
            if left:
                walk.kind = ""
                self.aside.discard(number)
                self.on_change(number)
            if left or walk.events >= _SPAN:
                walk.forget()
            return
        kind = ""
        if walk.walks >= _STEPS and walk.new >= _FRESH:
            kind = "walks" if self._beside(number, walk, scans=False) else ""
        elif walk.events >= _SPAN and walk.new >= _FRESH_SCAN:
            kind = "scans" if self._beside(number, walk, scans=True) else ""
        elif walk.events >= _SPAN:
            walk.forget()
        if kind:
            walk.kind = kind
            self.found += 1
            self.aside.add(number)
            self.on_change(number)
        elif walk.events >= _LONGEST_SPAN:
            walk.forget()

    def _beside(self, number: int, walk: Walk, *, scans: bool) -> bool:
        """Whether there are others, and enough of them, who do otherwise."""
        present = [
            other
            for other in self._walks.values()
            if other.events and not other.kind and self._events - other.at <= _LATELY
            if other is not walk
        ]
        if walk.address:
            return self._beside_address(number, walk, present, scans=scans)
        events = [
            other.events
            for other in present
            if not other.address
            if (other.new <= _COME_AGAIN if scans else other.walks < _AGAIN)
        ]
        return len(events) >= _PEOPLE and sum(events) >= max(_LEAST, _SHARE * walk.events)

    def _beside_address(self, number: int, walk: Walk, present: list[Walk], *, scans: bool) -> bool:
        """As `_beside`: others are all other addresses, and sessions without one, together."""
        members = [other.events for other in present if other.home == number]
        if max(members, default=0) > _MEMBER * walk.events:
            return False  # that one may be a bot; the others need not be
        whole, people = Walk(), 0
        for other in present:
            if other.address or not other.home:
                whole.events += other.events
                whole.steps += other.steps
                whole.fresh += other.fresh
                people += other.sessions
        otherwise = whole.new <= _COME_AGAIN if scans else whole.walks < _AGAIN
        meanwhile = self._events - walk.since - walk.events
        share = _SHARE_SCAN if scans else _SHARE
        enough = meanwhile >= max(_LEAST, share * walk.events)
        return people >= _PEOPLE and otherwise and enough

    def walk_of(self, session: int) -> Walk | None:
        """What is known of a session."""
        return self._walks.get(session)

    def described(self) -> dict[int, str]:
        """A sentence about each session that is set aside."""
        return {session: walk.sentence for session, walk in self._walks.items() if walk.kind}

    @property
    def nbytes(self) -> int:
        """Estimated bytes of the records and the filter; nothing while there are few sessions."""
        if self._seen is None:
            return 0
        filters = self._seen.nbytes + self._seen_aside.nbytes
        return filters + _RECORD_BYTES * len(self._walks)
