"""How many epochs fit into a time budget, by the seconds that a search's own epochs took."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import pandas as pd

from fer_search.confirm.candidates import Candidate
from fer_search.confirm.settings import Settings
from fer_search.errors import UserError
from fer_search.report import RunInfo, load_epochs
from fer_search.runfolder.confirmation import read_confirm_json

USABLE = 0.93  # fraction of the budget that is planned: building networks, testing them, and a busier machine
SCHEDULES = ("cosine", "one_cycle", "constant")  # can be planned for another number of epochs


def plan_epochs(candidates: Sequence[Candidate], settings: Settings, info: RunInfo) -> list[Candidate]:
    """Return the candidates with the number of epochs that ``--time-budget`` allows.

    A confirmation that was begun before keeps its numbers of epochs, whatever the search or its trials did since.

    Args:
        candidates: Designs to confirm.
        settings: Has a time budget.
        info: The run.

    Raises:
        UserError: A schedule follows the validation loss of the search, or not one epoch fits.
    """
    assert settings.time_budget is not None
    record = None if settings.overwrite else read_confirm_json(settings.run)
    if record is not None and [begun["trial"] for begun in record["candidates"]] == [c.trial for c in candidates]:
        epochs = [int(begun["epochs"]) for begun in record["candidates"]]
        return [dataclasses.replace(c, epochs=count, horizon=0) for c, count in zip(candidates, epochs, strict=True)]
    # An epoch of a search took longer if it shared the machine with other workers. Whether it did is not recorded, so
    # more workers than these two have in common are not counted on.
    workers = min(info.workers, settings.workers.workers or info.workers)
    growth = 1 + info.data["validation"] / info.data["train"]
    return fit_epochs(candidates, load_epochs(settings.run), settings.time_budget, settings.seeds, growth, workers)


def fit_epochs(
    candidates: Sequence[Candidate], curves: pd.DataFrame, seconds: float, seeds: int, growth: float, workers: int = 1
) -> list[Candidate]:
    """Return the candidates with the number of epochs that lets all their trainings take about this long.

    Args:
        candidates: Designs to confirm; each gets an equal part of the time.
        curves: Epochs of the search: columns trial and seconds, from ``load_epochs``.
        seconds: Time budget of all trainings together.
        seeds: Trainings per candidate.
        growth: Training images of a confirmation, as a multiple of those of the search.
        workers: Number of trainings at the same time, as in the search.

    Raises:
        UserError: A schedule follows the validation loss of the search, or not one epoch fits.
    """
    rounds = math.ceil(len(candidates) * seeds / workers)  # all trainings take about equally long
    fitted = []
    for candidate in candidates:
        schedule = candidate.design.optimisation.schedule
        if schedule not in SCHEDULES:
            raise UserError(
                f"--time-budget: the {schedule} schedule of {candidate.title} is made for the epochs of its trial; "
                "give --epochs"
            )
        epoch = growth * float(curves.loc[curves["trial"] == candidate.trial, "seconds"].mean())
        count = math.floor(USABLE * seconds / (rounds * epoch))
        if count < 1:
            raise UserError(
                f"--time-budget: not one epoch of {candidate.title} fits, which takes about {epoch:.0f} s; give more "
                "time, or fewer --seeds or --top"
            )
        fitted.append(dataclasses.replace(candidate, epochs=count, horizon=0))
    return fitted
