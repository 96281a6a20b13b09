"""Prediction in a replay: prefetcher, ledger, rules and trainer, built as a server builds them.

Links need values, which a trace has not. Everything else that a server is told about
prediction is told here by `Advice`: rules, keys that are never predicted, models.

What this file does not do: replay (`replay.py`), or learn (`replay_trainer.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from antecache.predictor import model_file
from antecache.predictor import registry as predictors
from antecache.predictor.model_file import ModelError, Saved
from antecache.server.accesslog import AccessLog
from antecache.server.backing.base import Source
from antecache.server.followups import Followups
from antecache.server.ledger import BOOK_BYTES, MAX_RULES, Book, Ledger
from antecache.server.prefetch import Courier, Prefetcher
from antecache.server.replay_clock import Clock
from antecache.server.replay_setup import Result, Setup
from antecache.server.replay_trainer import InlineTrainer
from antecache.server.rules import RuleBook
from antecache.server.store import Store

BOOKS = 0.02  # of the predictor's memory, for the ledger's books of rules, in the unit `total`


class Prediction:
    """The parts of prediction in front of `courier`. Raises ModelError for a model of no use.

    soon  what waits for the end of the request, as a server's follow-ups wait for its loop
    time  of the request in Unix seconds, for rules of certain hours
    clock what is asked for at regular intervals
    """

    def __init__(
        self,
        setup: Setup,
        store: Store,
        owner: Callable[[bytes], Source | None],
        courier: Courier,
        access: AccessLog,
    ) -> None:
        self._access = access
        advice, budget, books = setup.advice, setup.memory_bytes, MAX_RULES
        if setup.unit == "total":
            budget = int(setup.capacity * setup.memory_share)
            books = min(int(budget * BOOKS / BOOK_BYTES), MAX_RULES)
        self.soon: list[Callable[[], None]] = []
        self.time = 0.0
        rules = RuleBook(advice.rules, clock=lambda: self.time)
        self.ledger = Ledger(floor=advice.precision_floor, most=books + len(rules.names()))
        self.ledger.recent = deque(maxlen=0)  # nobody can ask EXPLAIN
        for name in rules.names():  # before others take the room
            self.ledger.book(name)
        self.prefetcher = Prefetcher(
            store,
            owner,
            predictors.find(setup.predictor)(max(budget, 1)),
            self.ledger,
            courier,
            access,
            row_budget=setup.row_budget,
            charged=setup.unit == "total",
        )
        self.followups = Followups(
            store,
            self.prefetcher,
            rules,
            links_on="off",
            never_predict=advice.never,
            soon=self.soon.append,
        )
        self.trainer = InlineTrainer(
            self.prefetcher.adopt, models=advice.models, lag=setup.plan_lag
        )
        if advice.model:
            self._go_on_from(advice.model, model_file.load(Path(advice.model)))
        self.clock = Clock(store, owner, self.prefetcher, self.followups.never, access)
        store.record = self.followups.recorder(access.items.append)
        store.record_miss = access.miss
        store.on_unused = self.prefetcher.unused

    def _go_on_from(self, path: str, model: Saved) -> None:
        predictor = self.prefetcher.predictor
        if model.predictor != predictor.name:
            raise ModelError(
                f"{path}: was made by predictor '{model.predictor}', not '{predictor.name}'"
            )
        if model.state:
            try:
                predictor.load(model.state)
            except ValueError as error:
                raise ModelError(f"{path}: {error}") from None
        plan = model.read_plan()
        if plan is not None and plan.version:
            self.trainer.go_on_from(plan)

    def learn(self) -> None:
        """Hand the access log to the trainer."""
        self.prefetcher.witnesses.overhear()
        self.trainer.feed(self._access.items)
        self._access.passed = 0

    def report(self, result: Result) -> None:
        """Fill in what came of it; prefetches still waiting for their use count neither way."""
        outcomes, plan = self.ledger.outcomes, self.prefetcher.plan
        result.prefetches = self.ledger.issued
        result.useful, result.late = outcomes["useful"], outcomes["late"]
        result.wasted = outcomes["wasted"]
        result.ranker = "counting"
        if plan is not None:
            result.plans, result.held_out = plan.version, plan.held_out
            result.ranker = plan.model or "counting"
        result.contests = self.trainer.contests
        result.reports = self.trainer.challenge.reports
        books = sorted(self.ledger.rules.values(), key=lambda book: -book.issued)
        result.by_rule = [_counts(book) for book in books[:20]]
        names = self.followups.rules.names()
        result.own_rules = [_counts(self.ledger.book(name)) for name in names]


def _counts(book: Book) -> tuple[str, int, int]:
    return book.rule, book.issued, book.useful + book.late
