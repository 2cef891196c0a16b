"""Which designs of a run are confirmed, and how long each is trained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fer_search.design import Design
from fer_search.errors import UserError
from fer_search.report import load_epochs, load_trials
from fer_search.runs.show import find_trial

ENDING = ("cosine", "one_cycle")  # schedules that are at their best at their end alone
NO_TRIAL = 3  # exit code


@dataclass(frozen=True)
class Candidate:
    """A design that is confirmed.

    Args:
        trial: its best trial's id.
        name: of the baseline that it is.
        design: what is trained.
        epochs: how many are trained.
        accuracy: of the trial, on the validation images that chose it.
        val_losses: of the trial, epoch by epoch: what a plateau schedule goes by, since nothing is held out any more.
        micro_batches: that a step of the trial had to be cut into.
    """

    trial: str
    name: str | None
    design: Design
    epochs: int
    accuracy: float
    val_losses: tuple[float, ...]
    micro_batches: int = 1

    @property
    def title(self) -> str:
        return self.name or f"trial {int(self.trial)}"


def choose(run: Path, top: int, wanted: Sequence[str], max_epochs: int, epochs: int | None) -> list[Candidate]:
    """Return the best designs of a run, or the wanted ones; of several trials of one design the best stands for it.

    A design is trained to its trial's best epoch; one whose schedule ends (cosine, one_cycle) to the run's last epoch,
    where its learning rate is down.

    Args:
        run: the run folder.
        top: how many.
        wanted: numbers of trials or names of baselines, instead of the best.
        max_epochs: of the run.
        epochs: trained instead; None for the rule above.

    Raises:
        UserError: no trial completed (exit code 3), a wanted one is not there, or a plateau schedule is to go on for
            longer than its trial did.
    """
    trials = load_trials(run)
    completed = trials[trials["status"] == "completed"]
    if completed.empty:
        raise UserError(f"{run}: no trial completed, so there is nothing to confirm", NO_TRIAL)
    rows = [find_trial(completed, one) for one in wanted] or [row for _, row in completed.iterrows()]
    curves = load_epochs(run)
    found: dict[Design, Candidate] = {}
    for row in rows:
        design, parts = _design(run, row["trial"])
        if design not in found and (wanted or len(found) < top):
            count, losses = _epochs(row, design, curves, max_epochs, epochs)
            name = None if pd.isna(row["name"]) else str(row["name"])
            found[design] = Candidate(row["trial"], name, design, count, float(row["accuracy"]), losses, parts)
    return list(found.values())


def _design(run: Path, trial: str) -> tuple[Design, int]:
    """Return what design.json says: the design, and the micro-batches that a step had to be cut into."""
    file = run / f"trial_{trial}" / "design.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        return Design.from_dict(record["design"]), int(record.get("micro_batches", 1))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} cannot be read ({error}); confirm needs a run that fer-search made") from error


def _epochs(
    row: pd.Series, design: Design, curves: pd.DataFrame, max_epochs: int, epochs: int | None
) -> tuple[int, tuple[float, ...]]:
    """Return how many epochs are trained, and the validation losses of the search's."""
    losses = tuple(curves.loc[curves["trial"] == row["trial"], "val_loss"].tolist())
    schedule = design.optimisation.schedule
    count = epochs or (max_epochs if schedule in ENDING else int(row["best_epoch"]))
    if schedule == "plateau" and count > len(losses):
        raise UserError(
            f"--epochs {count}: trial {int(row['trial'])} has a plateau schedule, whose learning rate is known for the "
            f"{len(losses)} epochs of the search alone; give at most these, or choose others with --trial"
        )
    return count, losses
