"""What a run's settings and space amount to, before it starts: its baselines, its oracle, how long it will take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fer_search.errors import UserError
from fer_search.search.display import events
from fer_search.search.proposing.oracles import SafeOracle, make_oracle
from fer_search.search.scheduling.budget import planned
from fer_search.search.scheduling.estimate import estimate_seconds, sample_designs, time_designs
from fer_search.search.settings import Settings
from fer_search.space import Space
from fer_search.training.trial import TrialData


def baseline_names(settings: Settings, space: Space) -> list[str]:
    """Return the baselines that a run has, in their order; all of them once before any of them again.

    A repeat is another trial, so that its weights, batches and augmentations are drawn anew.

    Raises:
        UserError: it has nothing else, and there are none.
    """
    names = list(space.baselines) * settings.repeats if settings.baselines != "none" else []
    if settings.baselines == "only" and not names:
        raise UserError(f"--baselines only: {space.path} has no baselines")
    return names


def trial_limit(settings: Settings, names: list[str]) -> int | None:
    """Return how many trials a run has at most, if it has a limit."""
    limits = [settings.max_trials, len(names) if settings.baselines == "only" else None]
    return min((limit for limit in limits if limit is not None), default=None)


def new_oracle(settings: Settings, space: Space) -> SafeOracle:
    """Return the oracle of a run, before its first proposal."""
    s = settings
    options: dict[str, Any] = {
        "seed": s.seed,
        "max_trials": s.max_trials,
        "max_epochs": s.max_epochs,
        "factor": s.factor,
    }
    return make_oracle(s.tuner, space.choices(), s.folder, **options)


def estimate(
    settings: Settings, space: Space, data: TrialData, stop: Callable[[], bool], dear: bool = True
) -> events.Range:
    """Return the least and the most seconds that a whole run will probably take, from a few seconds of training.

    Args:
        settings: of the run.
        space: its designs.
        data: to train and validate on.
        stop: asked while it trains; ends it with ``Stopped``.
        dear: time a dear design too.
    """
    names = baseline_names(settings, space)
    limit = trial_limit(settings, names)
    amount = planned(new_oracle(settings, space), len(names), limit, settings.max_epochs)
    designs = sample_designs(space, names[:limit], 0 if settings.baselines == "only" else 8)
    speed = time_designs(designs, data, stop, settings.devices, dear)
    return estimate_seconds(designs, speed, amount, len(names[:limit]), len(data.labels), len(data.val_labels))
