"""What all sections of the page share: a run's tables, its designs compared at each budget, and the joint model."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from fer_search.report.statistics.budgets import Comparison, at_epochs, common_epochs, in_budgets, varied
from fer_search.report.statistics.importance import COLUMNS, importances_of
from fer_search.report.statistics.joint_model import JointFit, Measurements, fit_joint_model
from fer_search.report.statistics.measurements import gather_measurements
from fer_search.report.tables.classes import MajorityClass, majority_class
from fer_search.report.tables.confirmed import load_confirmation
from fer_search.report.tables.curves import read_curves
from fer_search.report.tables.designs import build_designs
from fer_search.report.tables.notes import TrialNotes, load_notes
from fer_search.report.tables.outcomes import WITHOUT_END, outcomes_of
from fer_search.report.tables.trials import build_trials
from fer_search.runfolder.choices import Choice
from fer_search.runfolder.predictions import Predictions, load_predictions
from fer_search.runfolder.run_json import RunInfo, load_run
from fer_search.runfolder.trial_files import read_trial_records

MAX_BUDGETS = 5
MIN_DESIGNS = 3  # that reached a budget, for it to be offered


class RunAnalysis:
    """A run, read once.

    Args:
        info: from ``load_run``.
        trials: from ``load_trials``.
        curves: from ``load_epochs``.
    """

    def __init__(self, info: RunInfo, trials: pd.DataFrame, curves: pd.DataFrame) -> None:
        self.info, self.trials, self.curves = info, trials, curves
        self._compared: dict[int | None, Comparison] = {}

    @cached_property
    def designs(self) -> pd.DataFrame:
        """One row a design; see ``load_designs``."""
        return build_designs(self.trials, self.info.validation, self.info.objective)

    @cached_property
    def confirmed(self) -> pd.DataFrame:
        """What ``fer-search confirm`` found; see ``load_confirmation``."""
        return load_confirmation(self.info.path)

    @cached_property
    def predictions(self) -> Predictions | None:
        """The best network's predictions; see ``load_predictions``."""
        return load_predictions(self.info.path)

    @cached_property
    def majority(self) -> MajorityClass | None:
        """The most frequent class of the validation images; None where the class counts are not known."""
        return majority_class(self.info, self.predictions)

    @cached_property
    def notes(self) -> dict[str, TrialNotes]:
        """The user's notes and tags, by trial id; see ``fer-search note``."""
        return load_notes(self.info.path)

    @cached_property
    def budget(self) -> int | None:
        """Number of epochs that designs are compared at by default; None where no curves are known."""
        return common_epochs(self.designs, self.curves)

    @cached_property
    def budgets(self) -> list[int | None]:
        """The numbers of epochs that a reader may choose from, ascending; [None] where no curves are known."""
        if self.budget is None:
            return [None]
        kept = self.designs[self.designs["status"] != "failed"]
        last = in_budgets(self.curves).groupby("trial")["epoch"].max()
        reached = last.reindex(kept["trial"].astype(object)).dropna()
        often = [int(epochs) for epochs in reached.value_counts().index if (reached >= epochs).sum() >= MIN_DESIGNS]
        earlier = [self.budget // 3] if self.budget >= 3 else []
        offered = {self.budget, *often[: MAX_BUDGETS - 1], *(earlier if len(often) < 2 else [])}
        return list[int | None](sorted(offered))

    @property
    def equal_time(self) -> bool:
        """Whether budgets are times, given as epochs of the space's default design (--equal-time)."""
        return "budget" in self.curves

    def compared(self, budget: int | None) -> Comparison:
        """Return the designs compared at a budget."""
        if budget not in self._compared:
            self._compared[budget] = at_epochs(self.designs, self.curves, budget, self.info.validation)
        return self._compared[budget]

    @cached_property
    def varied(self) -> list[Choice]:
        """The choices that had several values among the trials with a result."""
        return varied(self.trials[self.trials["accuracy"].notna()], self.info.choices)

    @cached_property
    def measurements(self) -> Measurements:
        """All designs at all budgets: what the joint model is fitted to."""
        return gather_measurements(self.trials, self.curves)

    @cached_property
    def fit(self) -> JointFit | None:
        """The joint model of all choices; None where there are too few designs."""
        return fit_joint_model(self.measurements, self.varied)

    @cached_property
    def importances(self) -> pd.DataFrame:
        """The choices' importances and verdicts; see ``importance.importances_of``."""
        return pd.DataFrame(columns=list(COLUMNS)) if self.fit is None else importances_of(self.fit)

    @cached_property
    def by_importance(self) -> list[Choice]:
        """The choices that varied, the most important first."""
        position = {name: index for index, name in enumerate(self.importances["choice"])}
        return sorted(self.varied, key=lambda choice: position.get(choice.name, len(position)))

    def row_of(self, trial: str) -> int | None:
        """Return the row in ``designs`` that a trial belongs to; None where there is none."""
        return self._rows.get(str(trial))

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {trial: row for row, trials in enumerate(self.designs["trials"]) for trial in trials}

    @property
    def counts(self) -> tuple[int, int]:
        """Numbers of designs and of trials, of which a design has one for each rung and seed."""
        return len(self.designs), len(self.trials)

    @cached_property
    def outcomes(self) -> dict[str, str]:
        """What has become of each trial, by its id; see ``outcomes_of``."""
        words = outcomes_of(self.info, self.trials)
        return dict(zip(self.trials["trial"].astype(str), words.astype(str), strict=True))

    def outcome(self, status: str, trials: Iterable[str]) -> str:
        """Return what has become of a design, given its status and the ids of its trials."""
        words = {self.outcomes[str(trial)] for trial in trials}
        return next((word for word in WITHOUT_END if word in words), status) if status == "running" else status

    @cached_property
    def no_better_than_majority(self) -> np.ndarray:
        """Whether each design's interval reaches down to always predicting the most frequent class, bool (designs,)."""
        if self.majority is None:
            return np.zeros(len(self.designs), bool)
        return (self.designs["low"] <= self.majority.share).to_numpy(bool)


def load_analysis(run: str | Path) -> RunAnalysis:
    """Read a run folder.

    Raises:
        UserError: the folder is missing or not a run, or a file in it is broken.
    """
    info, records = load_run(run), read_trial_records(Path(run))
    curves = read_curves(records)
    return RunAnalysis(info, build_trials(info, records, curves), curves)
