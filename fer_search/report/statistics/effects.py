"""What each value of each choice adds: to the accuracy, and to each class's recall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.statistics.importance import value_points
from fer_search.report.statistics.inference import holm
from fer_search.report.statistics.joint_model import JointFit, fit_joint_model
from fer_search.report.statistics.measurements import gather_measurements
from fer_search.report.tables.trials import RECALL
from fer_search.runfolder.choices import Choice

COLUMNS = ("choice", "value", "against", "designs", "designs_against", "difference", "low", "high", "p")


def effects(fit: JointFit | None, level: float = 0.95) -> pd.DataFrame:
    """Return what each value adds to the accuracy with the other choices held equal.

    Args:
        fit: from ``joint_model.fit_joint_model``; None where there are too few designs.
        level: confidence level of each interval.

    Returns:
        One row a comparison: of a choice with few values, each against the first one of the space; of a number, its
        upper quantiles against the lowest one. Columns: ``choice``, ``value`` and ``against`` (as text), ``designs``
        and ``designs_against``, ``difference``, ``low``, ``high`` (fractions: 0.01 is a point; Student's t interval of
        this one comparison, within -1 and 1, which it fills where the designs do not separate the value from others)
        and ``p`` (of no difference, two-sided, uncorrected). Whether the choice matters is in
        ``importance.importances``.
    """
    from scipy.special import stdtr, stdtrit

    rows = []
    for index, term in enumerate(fit.terms if fit else ()):
        assert fit is not None
        first, *others = value_points(term)
        for point in others:
            difference, error = fit.contrast(index, point.basis - first.basis)
            half = float(stdtrit(fit.dof, 0.5 + level / 2)) * error
            p = float(2 * stdtr(fit.dof, -abs(difference) / error)) if error > 0 else 1.0
            about = (term.choice.name, point.name, first.name, point.designs, first.designs)
            rows.append((*about, difference, max(difference - half, -1.0), min(difference + half, 1.0), p))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def recall_effects(trials: pd.DataFrame, curves: pd.DataFrame, choices: Sequence[Choice]) -> pd.DataFrame:
    """Return what each value adds to each class's recall, in the epoch of the best accuracy.

    Args:
        trials: from ``load_trials``.
        curves: from ``load_epochs``.
        choices: those that varied.

    Returns:
        The columns of ``effects`` with ``emotion`` (the class) and ``significant`` (bool: p below 5% after Holm's
        correction over all rows); empty where recalls were not recorded, or there are too few designs.
    """
    parts = []
    for column in [name for name in curves.columns if name.startswith(RECALL)]:
        if curves[column].notna().any():
            fit = fit_joint_model(gather_measurements(trials, curves, column), choices)
            parts.append(effects(fit).assign(emotion=column.removeprefix(RECALL)))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*COLUMNS, "emotion"])
    table["significant"] = holm(table["p"].to_numpy(float)) < 0.05 if len(table) else np.array([], bool)
    return table


def in_words(row: pd.Series) -> str:
    """Return a comparison as text: "downsample strided instead of max_pool: +0.4 points (95% -0.3 to +1.1)"."""
    interval = formatting.points_interval(row["low"], row["high"])
    what = f"{formatting.label(row['choice'])} {row['value']} instead of {row['against']}"
    return f"{what}: {formatting.signed_points(row['difference'])} points (95% {interval})"
