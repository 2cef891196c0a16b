"""Trainings over rungs, as the guided oracle sees them, and when the time left must go to full ones.

A training stops at rungs, each a trial of its own. Trainings are of two kinds, of proposals and of baselines; the gain
of a search is known only if one of each has reached the last rung.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


def rung_epochs(min_epochs: int, max_epochs: int, factor: int) -> list[int]:
    """Return after how many epochs a training may be stopped, ascending; the last one is ``max_epochs``.

    From ``min_epochs`` on they grow by equal ratios of at most ``factor``.
    """
    first = max(1, min(min_epochs, max_epochs))
    steps = math.ceil(math.log(max_epochs / first) / math.log(factor) - 1e-9)
    ratios = [(max_epochs / first) ** (k / steps) for k in range(steps)] if steps else []
    return sorted({round(first * ratio) for ratio in ratios} | {max_epochs})


@dataclass
class Training:
    """One training of a design, over all trials that continue each other.

    Args:
        values: Of its choices, without Keras Tuner's own.
        baseline: Whether it is one.
        scores: Rung to the best score up to its end; more is better.
        trial_id: Last trial.
        rung: Rung that the last trial ends at.
        pending: Whether the last trial has no result yet.
        failed: Whether it failed.
    """

    values: dict[str, Any]
    baseline: bool = False
    scores: dict[int, float] = field(default_factory=dict)
    trial_id: str = ""
    rung: int = 0
    pending: bool = True
    failed: bool = False


def unfinished_kinds(trainings: Sequence[Training], last: int) -> list[bool]:
    """Return the kinds of trainings, proposals (False) and baselines (True), of which none has begun the last rung.

    Baselines are a kind only if there are any that have not failed.
    """
    alive = [training for training in trainings if not training.failed]
    kinds = {False} | {training.baseline for training in alive}
    return sorted(kinds - {training.baseline for training in alive if training.rung == last})


def full_trainings_are_due(trainings: Sequence[Training], rungs: Sequence[int], epochs_left: float) -> bool:
    """Return whether each unfinished kind can be trained to the last rung now, but perhaps not after another trial.

    False if there is too little time for all of them: the rungs that can be reached say more, then.

    Args:
        trainings: All so far.
        rungs: Numbers of epochs at which a training may stop, ascending.
        epochs_left: Number of epochs that a single worker can still train.
    """
    last = len(rungs) - 1
    steps = [after - before for before, after in zip([0, *rungs], rungs, strict=False)]
    unfinished = unfinished_kinds(trainings, last)
    begun = {training.baseline for training in trainings if not training.failed}
    needed = sum(rungs[-1] - (rungs[0] if kind in begun else 0) for kind in unfinished)
    wait = max((steps[t.rung] for t in trainings if t.pending and t.rung < last), default=0)
    return bool(unfinished) and needed <= epochs_left < needed + wait + max(steps[:-1], default=0)
