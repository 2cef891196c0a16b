"""What two choices explain together beyond what each explains alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from fer_search.report.statistics.budgets import bins
from fer_search.report.statistics.inference import holm
from fer_search.report.statistics.joint_model import JointFit
from fer_search.runfolder.choices import Choice

COLUMNS = ("choice", "other", "share", "p", "verdict")
MAX_RANGES = 3  # of a number


def pair_interactions(fit: JointFit | None, level: float = 0.95) -> pd.DataFrame:
    """Test every pair of choices for an interaction.

    The joint model's residuals, averaged over each design's budgets, are compared between the cells of the two
    choices; a number has up to three equally filled ranges.

    Args:
        fit: from ``joint_model.fit_joint_model``; None where there are too few designs.
        level: confidence level.

    Returns:
        One row a pair, the most significant first: ``choice``, ``other``, ``share`` of the variance between designs,
        ``p`` (F test, Holm's correction) and ``verdict``: "matters" or "inconclusive".
    """
    from scipy.special import fdtrc

    rows = []
    if fit is not None:
        residuals = fit.residuals - fit.residuals.mean()
        squares_left = float((residuals**2).sum())
        total = squares_left + len(residuals) * float((fit.x @ fit.coefficients).var())
        cells = [_places(fit.measurements.designs, term.choice) for term in fit.terms]
        for first, second in combinations(range(len(fit.terms)), 2):
            squares, dof = _explained(residuals, cells[first], cells[second])
            residual_dof = fit.dof - dof
            if dof < 1 or residual_dof < 3:
                continue
            noise = (squares_left - squares) / residual_dof
            p = float(fdtrc(dof, residual_dof, squares / dof / noise)) if noise > 0 else 1.0
            names = (fit.terms[first].choice.name, fit.terms[second].choice.name)
            rows.append((*names, max(0.0, (squares - dof * noise) / total) if total > 0 else 0.0, p))
    table = pd.DataFrame(rows, columns=list(COLUMNS[:4]))
    table["p"] = holm(table["p"].to_numpy(float))
    table["verdict"] = np.where(table["p"] < 1 - level, "matters", "inconclusive")
    return table.sort_values(["p", "share"], ascending=[True, False], ignore_index=True)


def _places(designs: pd.DataFrame, choice: Choice) -> np.ndarray:
    places = bins(designs, choice, MAX_RANGES)[1]
    return np.where(np.isnan(places), -1, places).astype(int)


def _explained(residuals: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[float, int]:
    """Return the sum of squares that the cells' means explain, and its degrees of freedom beyond the margins."""
    active = (first >= 0) & (second >= 0)
    a, b, residuals = first[active], second[active], residuals[active]
    if not len(residuals):
        return 0.0, 0
    cell = a * (b.max() + 1) + b
    counts, sums = np.bincount(cell), np.bincount(cell, residuals)
    filled = counts > 0
    dof = int(filled.sum()) - len(np.unique(a)) - len(np.unique(b)) + 1
    return float((sums[filled] ** 2 / counts[filled]).sum()), dof
