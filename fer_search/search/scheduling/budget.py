"""How much a search will train, before it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fer_search.search.proposing.oracles import HyperbandOracle, SafeOracle


@dataclass(frozen=True)
class Amount:
    """What a search will train if nothing fails or ends early.

    Args:
        budgets: the epochs that each trial adds, in the order in which one worker runs them.
    """

    budgets: tuple[int, ...]

    @property
    def trials(self) -> int:
        return len(self.budgets)

    @property
    def epochs(self) -> int:
        return sum(self.budgets)


def planned(oracle: SafeOracle, baselines: int, max_trials: int | None, max_epochs: int) -> Amount:
    """Return what a search will train.

    Args:
        oracle: a new one, before its first proposal.
        baselines: trials that come before the oracle's.
        max_trials: limit on all trials together.
        max_epochs: epochs of a trial (Hyperband: of its last rung).
    """
    budgets = [max_epochs] * baselines + _proposals(oracle, max_trials, max_epochs)
    return Amount(tuple(budgets[:max_trials]))


def _proposals(oracle: SafeOracle, max_trials: int | None, max_epochs: int) -> list[int]:
    """Return the epochs that each of the oracle's trials adds."""
    if isinstance(oracle, HyperbandOracle):
        return _hyperband_epochs(oracle)
    if max_trials is not None:
        return [max_epochs] * max_trials
    return [max_epochs] * grid_size(oracle.get_space().space)


def grid_size(space: list[Any]) -> int:
    """Return how many combinations the values of all choices have; conditions make it fewer."""
    return math.prod(len(list(choice.values)) for choice in space if hasattr(choice, "values"))


def _hyperband_epochs(oracle: HyperbandOracle) -> list[int]:
    added = []
    for bracket in range(oracle._get_num_brackets() - 1, -1, -1):
        for rung in range(bracket + 1):
            before = oracle._get_epochs(bracket, rung - 1) if rung else 0
            added += [oracle._get_epochs(bracket, rung) - before] * oracle._get_size(bracket, rung)
    return added
