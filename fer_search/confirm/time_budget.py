"""How many epochs fit into a time budget, by the seconds that a search's own epochs took."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import pandas as pd

from fer_search.confirm.candidates import Candidate
from fer_search.errors import UserError

USABLE = 0.93  # fraction of the budget that is planned: building networks, testing them, and a busier machine
SCHEDULES = ("cosine", "one_cycle", "constant")  # can be planned for another number of epochs


def fit_epochs(
    candidates: Sequence[Candidate], curves: pd.DataFrame, seconds: float, seeds: int, growth: float
) -> list[Candidate]:
    """Return the candidates with the number of epochs that lets all their trainings take about this long.

    Args:
        candidates: Designs to confirm; each gets an equal part of the time.
        curves: Epochs of the search: columns trial and seconds, from ``load_epochs``.
        seconds: Time budget of all trainings together.
        seeds: Trainings per candidate.
        growth: Training images of a confirmation, as a multiple of those of the search.

    Raises:
        UserError: A schedule follows the validation loss of the search, or not one epoch fits.
    """
    fitted = []
    for candidate in candidates:
        schedule = candidate.design.optimisation.schedule
        if schedule not in SCHEDULES:
            raise UserError(
                f"--time-budget: the {schedule} schedule of {candidate.title} is made for the epochs of its trial; "
                "give --epochs"
            )
        epoch = growth * float(curves.loc[curves["trial"] == candidate.trial, "seconds"].mean())
        count = math.floor(USABLE * seconds / (len(candidates) * seeds * epoch))
        if count < 1:
            raise UserError(
                f"--time-budget: not one epoch of {candidate.title} fits, which takes about {epoch:.0f} s; give more "
                "time, or fewer --seeds or --top"
            )
        fitted.append(dataclasses.replace(candidate, epochs=count))
    return fitted
