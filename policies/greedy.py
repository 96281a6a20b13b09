"""Greedy by importance: keep what will be asked, is dear to load and small.

Weight = probability of use x cost to load again / size. The probability comes
from outside, through `importance(key, probability)`: whoever predicts accesses
may say what it expects of any key, resident or not. A key nobody spoke of
falls back to its own rate of use, uses over the time since it arrived
(hyperbolic caching). The two scales are made comparable by dividing each by its
running mean, so a predictor that is always cautious or always bold does not
flood or starve the cache. What was said fades: its weight halves every `fade`
uses per resident node that pass without the key being used.

A victim is the lightest of `samples` nodes drawn at random, so every weight is
as of now and nothing needs re-sorting when a prediction changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from random import Random as Generator
from typing import ClassVar

from antecache.policies.base import Node, Policy

LEAST_ROOM = 1024  # predictions kept, however small the cache is
BLEND = 1 / 256  # of the running means


class Greedy(Policy):
    """Evicts the node of the least weight in a sample.

    samples  nodes drawn for each victim
    fade     uses per resident node after which an unused prediction weighs half
    """

    name: ClassVar[str] = "greedy"
    paper: ClassVar[str] = "Blankstein et al., 'Hyperbolic Caching', USENIX ATC 2017"
    deterministic: ClassVar[bool] = False

    def __init__(self, *, seed: int = 0, samples: int = 32, fade: float = 1.0) -> None:
        super().__init__(seed=seed)
        self.samples = samples
        self.fade = fade
        self._random = Generator(seed).random
        self._nodes: list[Node] = []
        self._uses = 0
        self._said: OrderedDict[bytes, tuple[float, int]] = OrderedDict()  # probability, when
        self._newcomer: Node | None = None  # until the next eviction
        self._mean_said = 0.0
        self._mean_rate = 0.0
        self._mean_cost = 0.0

    # A node's state: [its index in _nodes, when it arrived, its uses]

    def importance(self, key: bytes, probability: float) -> None:
        """Expect a use of `key` with `probability` (0 to 1); the latest word counts."""
        said = self._said
        said[key] = (probability, self._uses)
        said.move_to_end(key)
        mean = self._mean_said
        self._mean_said = mean + (probability - mean) * BLEND if mean else probability
        if len(said) > max(LEAST_ROOM, 2 * self.count):
            said.popitem(last=False)

    def insert(self, node: Node) -> None:
        self._uses += 1
        node.where = 1
        node.state = [len(self._nodes), self._uses, 1]
        self._nodes.append(node)
        self._newcomer = node
        self.count += 1
        self.total += node.size
        if node.cost > 0.0:
            mean = self._mean_cost
            self._mean_cost = mean + (node.cost - mean) * BLEND if mean else node.cost

    def hit(self, node: Node) -> None:
        self._uses += 1
        node.state[2] += 1

    def _weight(self, node: Node) -> float:
        _, arrived, uses = node.state
        said = self._said.get(node.key)
        if said is not None and self._mean_said > 0.0:
            age = (self._uses - said[1]) / (self.fade * max(1, self.count))
            chance = said[0] / self._mean_said * 0.5 ** min(age, 64.0)
        else:
            rate = uses / (self._uses - arrived + 1)
            self._mean_rate += (rate - self._mean_rate) * BLEND if self._mean_rate else rate
            chance = rate / self._mean_rate
        cost = (node.cost or self._mean_cost) / self._mean_cost if self._mean_cost else 1.0
        return float(chance * cost / max(1, node.size))

    def evict(self) -> Node | None:
        nodes = self._nodes
        held = len(nodes)
        if not held:
            return None
        random = self._random
        victim, least = nodes[0], float("inf")  # the first, should no other be drawn
        newcomer, self._newcomer = self._newcomer, None
        for number in range(min(self.samples, held)):
            node = nodes[int(random() * held)] if held > self.samples else nodes[number]
            # a newcomer's rate is 1 by definition: without a prediction it is not judged yet
            if node is newcomer and held > 1 and node.key not in self._said:
                continue
            weight = self._weight(node)
            if weight < least:
                victim, least = node, weight
        self.remove(victim)
        return victim

    def remove(self, node: Node) -> None:
        last = self._nodes.pop()
        if last is not node:
            index = node.state[0]
            self._nodes[index] = last
            last.state[0] = index
        if node is self._newcomer:
            self._newcomer = None
        node.where = node.state = 0
        self.count -= 1
        self.total -= node.size

    def resize(self, node: Node, size: int) -> None:
        self.total += size - node.size
        node.size = size

    def nodes(self) -> Iterator[Node]:
        return iter(sorted(self._nodes, key=self._weight))

    @property
    def metadata_bytes(self) -> int:
        # predictions: key, tuple, numbers and the dictionary's share; nodes: a list of three
        return 300 * len(self._said) + 160 * self.count

    def check(self) -> None:
        super().check()
        assert all(node.state[0] == i for i, node in enumerate(self._nodes)), "a place is wrong"
