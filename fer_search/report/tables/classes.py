"""The classes of a run: their names, how frequent they are, and which ones a network never predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fer_search.report.tables.trials import RECALL
from fer_search.runfolder.predictions import Predictions
from fer_search.runfolder.run_json import RunInfo

COUNTS = "validation_counts"  # in run.json's "data": number of validation images of each class


class MajorityClass(NamedTuple):
    """The most frequent class of the validation images, and its fraction of them."""

    name: str
    share: float


def majority_class(info: RunInfo, predictions: Predictions | None) -> MajorityClass | None:
    """Return the most frequent class of the validation images.

    Args:
        info: from ``load_run``; run.json holds the counts.
        predictions: from ``load_predictions``, whose labels are counted where an older run.json holds no counts.

    Returns:
        The class; None where neither is known.
    """
    recorded = info.data.get(COUNTS)
    if isinstance(recorded, dict) and recorded:
        counts = {str(name): int(count) for name, count in recorded.items()}
    elif predictions is not None:
        counted = np.bincount(predictions.labels, minlength=len(predictions.classes))
        counts = dict(zip(predictions.classes, counted.tolist(), strict=True))
    else:
        return None
    name = max(counts, key=lambda one: counts[one])
    return MajorityClass(name, counts[name] / max(sum(counts.values()), 1))


def never_predicted(predictions: Predictions) -> list[str]:
    """Return the classes that a network predicts for no validation image."""
    counts = np.bincount(predictions.predicted, minlength=len(predictions.classes))
    return [name for name, count in zip(predictions.classes, counts, strict=True) if count == 0]


def never_recognised(curves: pd.DataFrame, trials: Sequence[str], epoch: int) -> list[str]:
    """Return the classes of which no validation image was classified correctly in one epoch.

    Args:
        curves: from ``load_epochs``.
        trials: ids of the trials that may have trained the epoch.
        epoch: the epoch.
    """
    rows = curves[curves["trial"].isin(list(trials)) & (curves["epoch"] == epoch) & ~curves["inherited"].astype(bool)]
    recalls = [name for name in curves.columns if name.startswith(RECALL)]
    return [name.removeprefix(RECALL) for name in recalls if len(rows) and (rows[name] == 0).all()]
