"""What a model may know of a candidate, and the trials it learns that from.

A trial is a candidate and whether it was asked for in time. Its bucket and raw
confidence are what the server scored it by; the bucket's number gives back the
kind of evidence and, for the miss log, visits, agreement, share and distance. One
thing is added that no bucket knows: the *group*, which is the tables of the miss
and of the candidate (the text of a key before its first `:`) and, in one table,
how far apart their numbers are. A server knows all of it at a miss, without
remembering anything more.

What a group is worth beyond its buckets is learned on older trials than those a
model is fitted on (`lifts`), so a rare group does not tell a model its own outcome.

What this file does not do: fit (`models.py`), or know scikit-learn.
"""

from __future__ import annotations

from array import array
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from antecache.predictor.links import FIRST_BUCKET as _LINKS
from antecache.predictor.misslog import BUCKETS as _FOLLOWED
from antecache.predictor.misslog import MAX_VISITS
from antecache.predictor.sessions import Sessions
from antecache.predictor.strides import Strides
from antecache.predictor.templates import Templates

#: trials that are kept, the newest; 14 bytes each
MOST_TRIALS: Final = 60_000
#: groups that are told apart; all others are one
MOST_GROUPS: Final = 1024
#: longest name of a group's table
_LONGEST: Final = 32
#: trials that the buckets' own estimates count as, beside those of a group
_SMOOTHING: Final = 8.0
_RULES: Final = 4096
_SHARES, _DISTANCES = 12, 6

NAMES: Final = (
    "confidence",  # before calibration
    "bucket estimate",  # the champion's probability
    "group lift",  # log-odds of earlier candidates of this group beyond their estimates
    "followed",  # kinds of evidence: 1 or 0
    "template",
    "stride",
    "rule or link",
    "visits",
    "same before",
    "distance",  # bin of it, 0 (next) to 5 (11 events and more)
    "support",  # bin of it, for families that count in rows
    "same table",
    "session",  # a kind of evidence, as the four above
)

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


def group_of(trigger: bytes, key: bytes) -> str:
    """`orders>customers`, `products>products+3`: tables, and the size of the step in one."""
    head, colon, rest = trigger.partition(b":")
    if not colon:
        head, rest = b"", trigger
    table, colon, own = key.partition(b":")
    if not colon:
        table, own = b"", key
    if head != table:
        same = "=" if rest == own else ""
        return f"{_text(head)}>{_text(table)}{same}"
    step = ""
    if rest.isdigit() and own.isdigit() and len(rest) < 17 and len(own) < 17:
        difference = int(own) - int(rest)
        # the power of two above it, twelve at most: +1, +2 (2 to 3), +3 (4 to 7) ...
        step = f"{'-' if difference < 0 else '+'}{min(difference.bit_length(), 12)}"
    return f"{_text(head)}>{_text(table)}{step}"


def _text(head: bytes) -> str:
    return head[:_LONGEST].decode("utf-8", "backslashreplace")


class Columns(NamedTuple):
    """Trials in the order they were resolved. `estimates` are the buckets', before each."""

    buckets: _Ints
    raws: _Floats
    groups: _Ints
    hits: _Floats
    estimates: _Floats

    def part(self, first: int, last: int) -> Columns:
        """Those from `first` to before `last`."""
        chosen = slice(first, last)
        return Columns(
            self.buckets[chosen],
            self.raws[chosen],
            self.groups[chosen],
            self.hits[chosen],
            self.estimates[chosen],
        )

    def __len__(self) -> int:
        return len(self.hits)


class Trials:
    """The newest resolved trials, and the groups met in them."""

    def __init__(self) -> None:
        self.groups: dict[str, int] = {"": 0}  # 0: every group beyond the most
        self.seen = 0  # ever
        self._buckets = array("H")
        self._raws = array("f")
        self._groups = array("H")
        self._hits = array("b")
        self._estimates = array("f")

    def add(
        self, key: bytes, trigger: bytes, bucket: int, raw: float, hit: int, estimate: float
    ) -> None:
        """A trial was resolved; the arguments are those of `Calibrator.on_resolved`."""
        name = group_of(trigger, key)
        group = self.groups.get(name)
        if group is None:
            full = len(self.groups) >= MOST_GROUPS
            group = 0 if full else self.groups.setdefault(name, len(self.groups))
        self.seen += 1
        self._buckets.append(bucket)
        self._raws.append(raw)
        self._groups.append(group)
        self._hits.append(hit)
        self._estimates.append(estimate)
        if len(self._hits) >= MOST_TRIALS + MOST_TRIALS // 4:
            for column in (self._buckets, self._raws, self._groups, self._hits, self._estimates):
                del column[: MOST_TRIALS // 4]

    def __len__(self) -> int:
        return len(self._hits)

    def columns(self) -> Columns:
        """Everything that is kept, copied."""
        return Columns(
            np.array(self._buckets, dtype=np.int64),
            np.array(self._raws, dtype=np.float64),
            np.array(self._groups, dtype=np.int64),
            np.array(self._hits, dtype=np.float64),
            np.array(self._estimates, dtype=np.float64),
        )


def lifts(trials: Columns) -> _Floats:
    """Of each group, the log-odds of its hits beyond what was estimated; 0 for unknown ones."""
    counts = np.bincount(trials.groups, minlength=MOST_GROUPS).astype(np.float64)
    hits = np.bincount(trials.groups, weights=trials.hits, minlength=MOST_GROUPS)
    estimates = np.bincount(trials.groups, weights=trials.estimates, minlength=MOST_GROUPS)
    expected = np.divide(estimates, counts, out=np.full(MOST_GROUPS, 0.5), where=counts > 0)
    measured = (hits + _SMOOTHING * expected) / (counts + _SMOOTHING)
    return logit(measured) - logit(expected)


def logit(p: _Floats) -> _Floats:
    """Log-odds of probabilities, which are held within one in a thousand of certainty."""
    bounded = np.clip(p, 1e-3, 1 - 1e-3)
    made: _Floats = np.log(bounded / (1 - bounded))
    return made


def matrix(trials: Columns, lift: _Floats, same_table: NDArray[np.bool_]) -> _Floats:
    """One row a trial, one column a name of `NAMES`. `same_table` says so of each group."""
    buckets = trials.buckets
    followed = buckets < _FOLLOWED
    templates = (buckets >= _FOLLOWED) & (buckets < _FOLLOWED + Templates.buckets)
    stated = buckets >= min(_RULES, _LINKS)
    first = _FOLLOWED + Templates.buckets + Strides.buckets
    sessions = (buckets >= first) & (buckets < first + Sessions.buckets)
    strides = ~followed & ~templates & ~stated & ~sessions
    outer = buckets // (_SHARES * _DISTANCES)
    made = np.zeros((len(trials), len(NAMES)))
    made[:, 0] = trials.raws
    made[:, 1] = trials.estimates
    made[:, 2] = lift[trials.groups]
    for place, chosen in enumerate((followed, templates, strides, stated), 3):
        made[:, place] = chosen
    made[:, 7] = np.where(followed, np.minimum(outer // 2 + 1, MAX_VISITS), 0)
    made[:, 8] = np.where(followed, outer % 2, 0)
    made[:, 9] = np.where(followed, buckets % _DISTANCES, 0)
    made[:, 10] = np.where(templates | strides | sessions, (buckets - _FOLLOWED) % 5, 0)
    made[:, 11] = same_table[trials.groups]
    made[:, 12] = sessions
    return made
