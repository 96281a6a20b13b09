"""The contract between the server and a predictor.

A predictor lives in the server process. It is told of *events* (a demand miss,
or the first use of a prefetched key; plain hits cost nothing and are not
reported) and, on a demand miss, asked for candidates. It returns keys and
scores and never touches the store: what is cached already, what a source owns
and what the budget allows is decided by the prefetcher.

What the candidates are worth is learned elsewhere, by the trainer, which
publishes a `Plan`; a predictor adopts it between two requests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from antecache.predictor.plan import Plan


#: the features that a score came from, by name
Why: TypeAlias = tuple[tuple[str, float], ...]


class Candidate(NamedTuple):
    """One key that may be asked soon.

    key     the key to fetch
    score   calibrated probability in [0, 1] that it is asked for within the horizon
    bucket  the calibration bucket the score was read from (an index into the Plan)
    rule    the name of the evidence, at the grain the ledger keeps books and
            switches off: `followed products:*>carts:*`
    why     the features the score came from, for EXPLAIN: name, value pairs; the first is
            `confidence`, the estimate before calibration, which the trainer is told
    """

    key: bytes
    score: float
    bucket: int
    rule: str
    why: Why


def merged(first: list[Candidate], second: Sequence[Candidate]) -> list[Candidate]:
    """Both, a key once with the better score, best first; `first` itself where it is alone."""
    if not second:
        return first
    best = {candidate.key: candidate for candidate in first}
    for candidate in second:
        held = best.get(candidate.key)
        if held is None or held.score < candidate.score:
            best[candidate.key] = candidate
    return sorted(best.values(), key=lambda candidate: candidate.score, reverse=True)


class Predictor(ABC):
    """Base of every family of evidence. Constructors only store parameters.

    budget_bytes  what its structures may occupy; `nbytes` must stay below it
    """

    name: ClassVar[str]  #: the option's value; equals the file's name
    session: int = 0  #: who causes what it is told or asked next; set before, by whoever knows

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes

    @abstractmethod
    def candidates(self, key: bytes) -> list[Candidate]:
        """What may follow a demand miss of `key`, best first. Does not record the miss."""

    @abstractmethod
    def observe(self, key: bytes, *, demand: bool) -> None:
        """Record an event: a demand miss, or (`demand` false) the first use of a prefetched key."""

    def note(self, key: bytes, *, demand: bool) -> None:
        """As `observe`, in a stretch in which nothing follows anything: cheaply, if that can be."""
        self.observe(key, demand=demand)

    @property
    def listens(self) -> bool:
        """Whether it learns from reads that found their key too."""
        return False

    def passed(self, session: int, keys: Sequence[bytes]) -> None:  # noqa: B027
        """What `session` found present, in order; told before the next event, or in part."""

    def waiting(self) -> list[Candidate]:
        """What reads that `passed` make likely, for the next miss to bring along; said once."""
        return []

    def note_all(self, misses: Sequence[tuple[bytes, int]]) -> None:
        """Note demand misses in order: each a key, and the session that asked for it."""
        for key, session in misses:
            self.session = session
            self.note(key, demand=True)

    @abstractmethod
    def adopt(self, plan: Plan) -> None:
        """Use a newly published Plan from the next call on. Takes well under a millisecond."""

    @abstractmethod
    def resize(self, budget_bytes: int) -> None:
        """The memory share changed; keep the newest history that fits."""

    def settle(self, price: float, fade: float, *, closed: bool = False) -> None:  # noqa: B027
        """Decide how much of the budget is worth occupying; called every few hundred events.

        price   waits an event that each byte costs which is taken from the values
        fade    what the past before this call counts from now on, a little less than 1
        closed  prediction did harm: occupy as little as possible, and propose nothing
        """

    def credit(self, bucket: int, why: Why = ()) -> None:  # noqa: B027
        """A prefetch that was scored by this bucket, for such reasons, saved a wait."""

    @property
    def promise(self) -> float:
        """How many times its price what it would occupy is expected to be worth; 0: unknown."""
        return 0.0

    @property
    def idle(self) -> bool:
        """Whether no candidate can be expected now, so that nobody needs to ask."""
        return False

    def dump(self) -> bytes:
        """What is remembered, for `load` in another process; empty where there is nothing."""
        return b""

    def load(self, state: bytes) -> None:  # noqa: B027
        """Forget everything and remember what `dump` described, as far as the budget goes.

        Raises ValueError when it cannot be used; then nothing has changed.
        """

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes occupied now, charged to maxmemory."""

    def check(self) -> None:  # noqa: B027
        """Recount; raises AssertionError when the books are wrong."""
