"""Keeping the validation predictions of the best network up to date, for the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fer_search.design import Design
from fer_search.files import storage_failed
from fer_search.runfolder.design_json import read_design_json, weights_resolution
from fer_search.runfolder.predictions import predicted_trial
from fer_search.search.state import SearchState


def update_predictions(state: SearchState, predict: Callable[..., Any], wait: bool = False) -> None:
    """Store the best network's validation predictions, if another trial's are stored; a failure ends no search.

    Args:
        state: The search.
        predict: ``Executor.predict``.
        wait: Return only when they are stored.
    """
    best = state.oracle.best_trials(1)
    if not best or best[0] == state.predicted:
        return
    if predicted_trial(state.folder.path) == best[0]:
        state.predicted = best[0]
        return
    try:
        record = read_design_json(state.folder.trial_path(best[0]))
        resolution = weights_resolution(record, state.oracle.known_trial(best[0]).best_step)
        design = Design.from_dict(record["design"])
        predict(state.folder.path, best[0], design, resolution, np.asarray(state.split.validation), wait)
    except Exception as error:
        if storage_failed(error):
            raise
        state.say(f"The predictions of trial {best[0]} could not be stored: {type(error).__name__}: {error}")
