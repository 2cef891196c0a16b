"""Hyperband's promotions from rung to rung, and how well one rung predicts the next."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd


def promotions(trials: pd.DataFrame) -> pd.DataFrame:
    """Return a summary of each rung of each bracket.

    Args:
        trials: from ``load_trials``.

    Returns:
        One row a bracket and rung, with ``bracket``, ``round``, ``epochs`` (the last one), ``trials`` (that ended
        there), ``promoted`` (of them, to the next rung), ``correlation`` (Spearman's, between the promoted trials'
        accuracies here and there; NaN below four) and ``best`` (accuracy).
    """
    known = trials[trials["bracket"].notna() & trials["round"].notna()]
    later = known.set_index("parent")["accuracy"]
    later = later[later.index.notna()]
    later = later[~later.index.to_series().duplicated().to_numpy()]
    budget = "budget" if "budget" in known else "epochs"
    rows = []
    for key, group in known.groupby(["bracket", "round"]):
        bracket, rung = (int(part) for part in cast(tuple[Any, Any], key))
        moved = group[group["went_on_as"].notna()]
        then = moved["trial"].astype(object).map(later)
        both = moved["accuracy"].notna() & then.notna()
        numbers = rank_correlation(moved["accuracy"][both].to_numpy(float), then[both].to_numpy(float))
        about = {"bracket": bracket, "round": rung, "epochs": group[budget].max(), "trials": len(group)}
        rows.append(about | {"promoted": len(moved), "correlation": numbers, "best": group["accuracy"].max()})
    columns = ["bracket", "round", "epochs", "trials", "promoted", "correlation", "best"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["bracket", "round"], ascending=[False, True], ignore_index=True)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's rank correlation; NaN below four pairs."""
    if len(first) < 4:
        return float("nan")
    a, b = (pd.Series(values).rank().to_numpy() for values in (first, second))
    spread = a.std() * b.std()
    return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread else float("nan")
