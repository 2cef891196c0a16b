"""Chooses the designs to confirm and how long to train each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fer_search.data.spec import DataSpec
from fer_search.design import Design
from fer_search.errors import EXIT_NO_TRIAL, UserError
from fer_search.models import measure_cost
from fer_search.report import load_designs, load_epochs, load_trials
from fer_search.runfolder.design_json import read_design_json
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.run_json import load_run
from fer_search.runfolder.schema import DESIGN_FILE
from fer_search.runs.show import find_trial

FULL_LENGTH_SCHEDULES = ("cosine", "one_cycle")  # reach their best accuracy only at their end


@dataclass(frozen=True)
class Candidate:
    """A design to confirm.

    Args:
        trial: Id of its best trial.
        name: Name of the baseline; None for one of the tuner's.
        design: Design to train.
        epochs: Number of epochs to train.
        accuracy: Validation accuracy of the trial, 0 to 1.
        val_losses: Validation loss of each epoch of the trial. A plateau schedule follows these, since a confirmation
            holds no validation images out.
        micro_batches: Gradient accumulation steps that the trial needed.
        horizon: Number of epochs of the search's longest training if this one ends earlier, at the trial's best epoch:
            its low-resolution epochs are those of the trial. 0 means ``epochs``.
    """

    trial: str
    name: str | None
    design: Design
    epochs: int
    accuracy: float
    val_losses: tuple[float, ...]
    micro_batches: int = 1
    horizon: int = 0

    @property
    def title(self) -> str:
        """Name for the screen and the report."""
        return self.name or f"trial {int(self.trial)}"


def choose_candidates(
    run: Path, top: int, wanted: Sequence[str], max_epochs: int, epochs: int | None
) -> list[Candidate]:
    """Return the best designs of a run, or the wanted ones.

    Designs that were trained with several seeds are ranked by their means, and represented by the best of these
    trainings. The design that the guided tuner recommends comes first: the best of many noisy scores is often not the
    best design.

    A design is trained up to its trial's best epoch; with a cosine or one_cycle schedule, up to the run's last epoch,
    where the learning rate has decayed.

    Args:
        run: Run folder.
        top: Number of designs.
        wanted: Trial numbers or baseline names to confirm instead of the best.
        max_epochs: The run's --max-epochs.
        epochs: Number of epochs to train; None for the rule above.

    Raises:
        UserError: No trial completed (exit code 3), a wanted one does not exist, or a plateau schedule is to run for
            more epochs than its trial.
    """
    trials = load_trials(run)
    completed = trials[trials["status"] == "completed"]
    if completed.empty:
        raise UserError(f"{run}: no trial completed, so there is nothing to confirm", EXIT_NO_TRIAL)
    rows = [_completed(find_trial(trials, name)) for name in wanted] or _recommended_first(run)
    curves = load_epochs(run)
    candidates: dict[Design, Candidate] = {}
    for row in rows:
        design, micro_batches, full_epochs = _read_design(run, row["trial"])
        if design not in candidates and (wanted or len(candidates) < top):
            count, losses = _epochs(row, design, curves, full_epochs or max_epochs, epochs)
            name = None if pd.isna(row["name"]) else str(row["name"])
            horizon = 0 if epochs else full_epochs or max_epochs
            candidates[design] = Candidate(
                row["trial"], name, design, count, float(row["accuracy"]), losses, micro_batches, horizon
            )
    return list(candidates.values())


def _completed(row: pd.Series) -> pd.Series:
    """Return the row of a trial that completed.

    Raises:
        UserError: It did not.
    """
    if row["status"] != "completed":
        state = "failed" if row["status"] == "failed" else "has not ended"
        raise UserError(f"trial {int(row['trial'])} {state}, so there is nothing to confirm")
    return row


def _recommended_first(run: Path) -> list[pd.Series]:
    """Return the rows of completed designs: the recommended one, those of the last rung, the others; the best first."""
    info, designs = load_run(run), load_designs(run)
    completed = designs[designs["status"] == "completed"]
    highest = completed["round"].max()

    def stopped(row: pd.Series) -> bool:
        last = row["bracket"] if info.tuner.get("name") == "hyperband" else highest
        return not pd.isna(row["round"]) and bool(row["round"] < last)

    rows = [row for _, row in completed.iterrows()]
    return sorted(rows, key=lambda row: (info.recommended not in row["trials"], stopped(row)))


def _read_design(run: Path, trial: str) -> tuple[Design, int, int | None]:
    """Return the design in design.json, its gradient accumulation steps, and with --equal-time its own last epoch."""
    folder = RunFolder(run).trial_path(trial)
    record = read_design_json(folder)
    try:
        full_epochs = record.get("full_epochs")
        return Design.from_dict(record["design"]), int(record.get("micro_batches", 1)), full_epochs and int(full_epochs)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / DESIGN_FILE} has unexpected content ({error!r}); restore it from a backup"
        ) from error


def _epochs(
    row: pd.Series, design: Design, curves: pd.DataFrame, full_epochs: int, epochs: int | None
) -> tuple[int, tuple[float, ...]]:
    """Return the number of epochs to train, and the validation loss of each epoch of the trial."""
    losses = tuple(curves.loc[curves["trial"] == row["trial"], "val_loss"].tolist())
    schedule = design.optimisation.schedule
    count = epochs or (full_epochs if schedule in FULL_LENGTH_SCHEDULES else int(row["best_epoch"]))
    if schedule == "plateau" and count > len(losses):
        raise UserError(
            f"--epochs {count}: trial {int(row['trial'])} has a plateau schedule, whose learning rate is only known "
            f"for the {len(losses)} epochs of the search; give at most that many, or choose others with --trial"
        )
    return count, losses


def describe_candidate(candidate: Candidate, spec: DataSpec) -> dict[str, Any]:
    """Return a candidate as confirm.json lists it."""
    return {
        "trial": candidate.trial,
        "name": candidate.name,
        "title": candidate.title,
        "epochs": candidate.epochs,
        "val_accuracy": candidate.accuracy,
        "parameters": measure_cost(candidate.design, spec).parameters,
        "design": candidate.design.to_dict(),
    }
