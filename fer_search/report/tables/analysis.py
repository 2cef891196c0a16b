"""What all sections of the page share: a run's tables, and its trials compared at each budget."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pandas as pd

from fer_search.report.statistics.budgets import Comparison, at_epochs, common_epochs, varied
from fer_search.report.statistics.importance import importances
from fer_search.report.tables.confirmed import load_confirmation
from fer_search.report.tables.curves import read_curves
from fer_search.report.tables.trials import build_trials
from fer_search.runfolder.choices import Choice
from fer_search.runfolder.run_json import RunInfo, load_run
from fer_search.runfolder.trial_files import read_trial_records

MOST_BUDGETS = 5
FEWEST = 3  # designs that make a budget worth offering


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
        self._importances: dict[int | None, pd.DataFrame] = {}

    @cached_property
    def confirmed(self) -> pd.DataFrame:
        """What ``fer-search confirm`` found; see ``load_confirmation``."""
        return load_confirmation(self.info.path)

    @cached_property
    def budget(self) -> int | None:
        """The number of epochs that trials are compared at by default; None where no curves are known."""
        return common_epochs(self.trials, self.curves)

    @cached_property
    def budgets(self) -> list[int | None]:
        """The numbers of epochs that a reader may choose from, rising; [None] where no curves are known."""
        if self.budget is None:
            return [None]
        ends = self.trials[(self.trials["status"] != "failed") & self.trials["went_on_as"].isna()]
        reached = self.curves.groupby("trial")["epoch"].max().reindex(ends["trial"].astype(object)).dropna()
        common = reached.value_counts()
        often = [int(epochs) for epochs in common.index if (reached >= epochs).sum() >= FEWEST][:MOST_BUDGETS]
        earlier = [self.budget // 3] if self.budget >= 3 else []
        offered = {self.budget, *often[: MOST_BUDGETS - 1], *(earlier if len(often) < 2 else [])}
        return list[int | None](sorted(offered))

    def compared(self, budget: int | None) -> Comparison:
        """Return the trials compared at a budget."""
        if budget not in self._compared:
            self._compared[budget] = at_epochs(self.trials, self.curves, budget)
        return self._compared[budget]

    def importances(self, budget: int | None) -> pd.DataFrame:
        """Return the choices' importances at a budget."""
        if budget not in self._importances:
            compared = self.compared(budget)
            self._importances[budget] = importances(compared, varied(compared.trials, self.info.choices))
        return self._importances[budget]

    @cached_property
    def by_importance(self) -> list[Choice]:
        """The choices that varied, the most important at the default budget first."""
        place = {name: at for at, name in enumerate(self.importances(self.budget)["choice"])}
        return sorted(self.varied, key=lambda choice: place.get(choice.name, len(place)))

    @cached_property
    def varied(self) -> list[Choice]:
        """The choices that had several values among the trials of any budget."""
        return varied(self.trials[self.trials["accuracy"].notna()], self.info.choices)


def load_analysis(run: str | Path) -> RunAnalysis:
    """Read a run folder.

    Raises:
        UserError: the folder is missing or no run, or a file in it is broken.
    """
    info, records = load_run(run), read_trial_records(Path(run))
    curves = read_curves(records)
    return RunAnalysis(info, build_trials(info, records, curves), curves)
