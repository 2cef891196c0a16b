"""All trials of a run as measurements of designs at budgets: what the joint model is fitted to."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fer_search.report.statistics.budgets import in_budgets
from fer_search.report.statistics.joint_model import MIN_DESIGNS_PER_BUDGET, Measurements
from fer_search.report.tables.designs import design_keys

MAX_BUDGETS = 5


def gather_measurements(trials: pd.DataFrame, curves: pd.DataFrame, column: str = "val_accuracy") -> Measurements:
    """Return each design's best accuracy within each budget that it reached.

    The budgets are the numbers of epochs at which trials ended, at most ``MAX_BUDGETS`` of them, the most frequent
    ones. Trainings of one design with different seeds are averaged. Failed trials do not count.

    Args:
        trials: from ``load_trials``.
        curves: from ``load_epochs``.
        column: what is measured: the value of this column in the epoch of the best validation accuracy.
    """
    kept = trials[trials["status"] != "failed"]
    keys = design_keys(kept)
    numbers, first = np.unique(keys, return_index=True)
    place = pd.Series(np.searchsorted(numbers, keys), index=kept["trial"].astype(object))
    designs = kept.iloc[first].reset_index(drop=True)
    curves = in_budgets(curves)
    known = curves[curves[column].notna() & curves["val_accuracy"].notna()] if column in curves else curves.iloc[:0]
    budgets = measured_budgets(kept, known)
    if not budgets:
        final = kept[kept["accuracy"].notna()] if column == "val_accuracy" else kept.iloc[:0]
        rows = pd.DataFrame({"design": place.reindex(final["trial"].astype(object)).to_numpy(int), "budget": 0})
        return _averaged(designs, rows.assign(value=final["accuracy"].to_numpy(float)), [None])
    ends = kept.loc[kept["went_on_as"].isna(), "trial"].astype(object)
    last = known.groupby("trial")["epoch"].max()
    parts = []
    for level, budget in enumerate(budgets):
        reached = ends[last.reindex(ends).to_numpy(float) >= budget]
        within = known[(known["epoch"] <= budget) & known["trial"].isin(set(reached))]
        best = within.loc[within.groupby("trial")["val_accuracy"].idxmax()]
        lines = place.reindex(best["trial"].astype(object)).to_numpy(int)
        parts.append(pd.DataFrame({"design": lines, "budget": level, "value": best[column].to_numpy(float)}))
    return _averaged(designs, pd.concat(parts, ignore_index=True), list(budgets))


def measured_budgets(trials: pd.DataFrame, curves: pd.DataFrame) -> list[int]:
    """Return the numbers of epochs at which designs are compared, ascending; empty without learning curves.

    Args:
        trials: rows of ``load_trials``, without failed ones.
        curves: from ``load_epochs``.
    """
    last = curves.groupby("trial")["epoch"].max().reindex(trials["trial"].astype(object))
    ends = last[trials["went_on_as"].isna().to_numpy()]
    candidates = last.dropna().astype(int).value_counts().index.tolist()
    return sorted([epochs for epochs in candidates if (ends >= epochs).sum() >= MIN_DESIGNS_PER_BUDGET][:MAX_BUDGETS])


def _averaged(designs: pd.DataFrame, rows: pd.DataFrame, budgets: list[int | None]) -> Measurements:
    """Average over the seeds, and leave out designs without any measurement and budgets with too few designs."""
    table = rows.groupby(["design", "budget"], as_index=False)["value"].mean()
    counts = table.groupby("budget")["design"].count()
    kept = [level for level in range(len(budgets)) if counts.get(level, 0) >= min(MIN_DESIGNS_PER_BUDGET, len(designs))]
    table = table[table["budget"].isin(kept)]
    numbers = np.unique(table["design"].to_numpy(int))
    return Measurements(
        designs.iloc[numbers].reset_index(drop=True),
        np.searchsorted(numbers, table["design"].to_numpy(int)),
        np.searchsorted(kept, table["budget"].to_numpy(int)),
        table["value"].to_numpy(float),
        [budgets[level] for level in kept],
    )
