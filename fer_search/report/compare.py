"""Comparing like with like: trials at the same number of epochs."""

from __future__ import annotations

import math

import pandas as pd


def common_epochs(trials: pd.DataFrame) -> int | None:
    """Return the largest number of epochs that at least a third of the trials reached; None where no trial has any."""
    reached = trials.loc[trials["accuracy"].notna() & (trials["epochs"] > 0), "epochs"].sort_values(ascending=False)
    if reached.empty:
        return None
    return int(reached.iloc[math.ceil(len(reached) / 3) - 1])


def at_epochs(trials: pd.DataFrame, epochs: pd.DataFrame, budget: int) -> pd.DataFrame:
    """Return the trials with their best accuracy within the first ``budget`` epochs; those that stopped before have none.

    Hyperband stops bad trials early: comparing its trials' final accuracies compares budgets, not choices. A trial that
    went on from another counts once, as the longer one.

    Args:
        trials: from ``load_trials``.
        epochs: from ``load_epochs``.
        budget: epochs.
    """
    within = epochs[epochs["epoch"] <= budget].groupby("trial")["val_accuracy"].max()
    reached = trials["trial"].map(epochs.groupby("trial")["epoch"].max()) >= budget
    went_on = trials["trial"].isin(set(trials.loc[reached, "parent"].dropna()))
    accuracy = trials["trial"].map(within).where(reached & ~went_on & (trials["status"] != "FAILED"))
    return trials.assign(accuracy=accuracy)
