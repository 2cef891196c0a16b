"""How much a search will train, known before it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fer_search.errors import UserError
from fer_search.search.proposing.guided_oracle import RANDOM, GuidedOracle
from fer_search.search.proposing.oracles import GridOracle, HyperbandOracle
from fer_search.search.proposing.safe_oracle import SafeOracle
from fer_search.search.settings import Settings
from fer_search.space import Space


@dataclass(frozen=True)
class TrialBudgets:
    """What a search will train if no trial fails or ends early.

    Args:
        budgets: Number of epochs that each trial adds, in the order in which the trials begin.
        endless: Whether only the time budget ends the search, so that nothing is known of its trials.
    """

    budgets: tuple[int, ...]
    endless: bool = False

    @property
    def trials(self) -> int | None:
        """Number of trials; None if it is not known."""
        return None if self.endless else len(self.budgets)

    @property
    def epochs(self) -> int:
        return sum(self.budgets)


def baseline_names(settings: Settings, space: Space) -> list[str]:
    """Return the names of the baseline trials, in run order: all of them once before any of them is repeated.

    A repeat is a trial of its own, so its initial weights, batches and augmentations are drawn anew.

    Raises:
        UserError: The run consists of baselines only, and the space has none.
    """
    names = list(space.baselines) * settings.repeats if settings.baselines != "none" else []
    if settings.baselines == "only" and not names:
        lacking = "no baseline with the values of --fix; use --max-trials instead" if space.fixed else "no baselines"
        raise UserError(f"--baselines only: {space.path} has {lacking}")
    return names


def trial_limit(settings: Settings, names: list[str]) -> int | None:
    """Return the maximum number of trials of a run, baselines included; None for no limit."""
    limits = [settings.max_trials, len(names) if settings.baselines == "only" else None]
    return min((limit for limit in limits if limit is not None), default=None)


def plan_budgets(oracle: SafeOracle, baselines: int, max_trials: int | None, max_epochs: int) -> TrialBudgets:
    """Return what a search will train.

    Args:
        oracle: A new oracle, before its first proposal.
        baselines: Number of baseline trials, which run before the oracle's.
        max_trials: Maximum number of trials, baselines included; None for no limit.
        max_epochs: Number of epochs per trial; guided, Hyperband: in the last rung.
    """
    if max_trials is None and not isinstance(oracle, (HyperbandOracle, GridOracle)):
        return TrialBudgets((), endless=True)
    if isinstance(oracle, GuidedOracle):
        assert max_trials is not None
        return TrialBudgets(tuple(_guided_epochs(oracle, baselines, max_trials)))
    if isinstance(oracle, HyperbandOracle) and not oracle.full_baselines:
        return TrialBudgets(tuple(_hyperband_epochs(oracle, baselines)[:max_trials]))
    budgets = [max_epochs] * baselines + _proposal_budgets(oracle, max_trials, max_epochs)
    return TrialBudgets(tuple(budgets[:max_trials]))


def _proposal_budgets(oracle: SafeOracle, max_trials: int | None, max_epochs: int) -> list[int]:
    if isinstance(oracle, HyperbandOracle):
        return _hyperband_epochs(oracle)
    if max_trials is not None:
        return [max_epochs] * max_trials
    return [max_epochs] * grid_size(oracle.get_space().space)


def grid_size(space: list[Any]) -> int:
    """Return the number of combinations of all choices' values; an upper bound where choices are conditional."""
    return math.prod(len(list(choice.values)) for choice in space if hasattr(choice, "values"))


def _hyperband_epochs(oracle: HyperbandOracle, baselines: int = 0) -> list[int]:
    """Return what each trial of all brackets adds; baselines in the rungs are part of the first one."""
    added = []
    for bracket in range(oracle._get_num_brackets() - 1, -1, -1):
        for rung in range(bracket + 1):
            before = oracle._get_epochs(bracket, rung - 1) if rung else 0
            size = oracle._get_size(bracket, rung)
            if bracket == oracle._get_num_brackets() - 1 and rung == 0:
                size = max(size, baselines)
            added += [oracle._get_epochs(bracket, rung) - before] * size
    return added * int(oracle.hyperband_iterations)


def _guided_epochs(oracle: GuidedOracle, baselines: int, trials: int) -> list[int]:
    """Return what each trial would add if every rung let half of its trials resume; the oracle decides otherwise."""
    rungs = oracle.rungs
    full = min(baselines, trials) if oracle.full_baselines else 0
    proposals = trials - full
    if trials <= RANDOM and full == baselines:  # exact: the model decides nothing
        if proposals <= 2:
            return [rungs[-1]] * trials
        return [rungs[-1]] * full + [rungs[0]] * (proposals - 1) + [rungs[-1] - rungs[0]]
    added = [rungs[-1]] * full
    for number in range(1, proposals + 1):
        halvings = (number & -number).bit_length() - 1  # 0 for every second trial, 1 for every fourth, ...
        rung = min(halvings, len(rungs) - 1)
        added.append(rungs[rung] - (rungs[rung - 1] if rung else 0))
    return added
