"""Damaged files of a run that is resumed: what can be computed again is, and every such file is named."""

from __future__ import annotations

import shutil
from pathlib import Path

from keras_tuner.engine.trial import Trial

from fer_search.runfolder.crash_marker import remove_crash_marker
from fer_search.runfolder.recovery import (
    damaged_checkpoints,
    damaged_table,
    replace_table,
    rows_in_trial,
    set_aside,
    set_aside_damaged,
    tables_agree,
    valid_rows,
)
from fer_search.runfolder.schema import BEST_WEIGHTS_FILE, EPOCHS_FILE, TRIAL_FILE
from fer_search.search.executors.job import RETRAINED
from fer_search.search.state import SearchState


def recover(state: SearchState) -> list[str]:
    """Set damaged training files aside and write damaged design.json files again; return a line for each.

    Pending trials then resume from their last valid checkpoint. A checkpoint of a trial that Hyperband may promote is
    computed again if it is promoted. Nothing is done about other files of trials that ended: reading them fails, and
    ``fer-search doctor`` repairs them.

    Args:
        state: Its oracle is restored.
    """
    pending = {trial.trial_id for trial in state.oracle.pending()} - state.oracle.recorded.keys()
    lines = []
    for trial_id, trial in state.oracle.trials.items():
        folder, number = state.folder.trial_path(trial_id), int(trial_id)
        if trial_id in pending:
            lines += set_aside_damaged(folder, state.settings.seed, number)
        else:
            remove_crash_marker(folder)  # left behind if its removal failed when the trial ended
            lines += _set_aside_ended(state, trial_id)
            lines += _restore_table(state, trial)
        again = folder / RETRAINED
        if again.exists() and (damaged_checkpoints(again, state.settings.seed, number) or _table_damaged(again)):
            lines.append(f"{again} is damaged; trial {number} is retrained from its start.")
            shutil.rmtree(again)
        if (line := state.jobs.restore_design(trial, ended=trial_id not in pending)) is not None:
            lines.append(line)
    return lines


def _set_aside_ended(state: SearchState, trial_id: str) -> list[str]:
    lines = []
    for path, what in damaged_checkpoints(state.folder.trial_path(trial_id), state.settings.seed, int(trial_id)):
        set_aside(path)
        lost = "these weights are lost" if path.name == BEST_WEIGHTS_FILE else "it is trained again if it is needed"
        lines.append(f"{path} {what}; set aside, {lost}.")
    return lines


def _restore_table(state: SearchState, ended: Trial) -> list[str]:
    """Write the epochs.csv of a completed trial again from its trial.json, if it is not what that says."""
    table = state.folder.trial_path(ended.trial_id) / EPOCHS_FILE
    recorded = rows_in_trial({"status": ended.status, "metrics": ended.metrics.get_config()})
    if not recorded:
        return []
    rows = valid_rows(table)
    if rows is not None and tables_agree(rows, recorded):
        return []
    replace_table(table, recorded)
    return [f"{table} was missing, damaged or that of another trial; written again from {TRIAL_FILE}."]


def _table_damaged(folder: Path) -> bool:
    return damaged_table(folder / EPOCHS_FILE) is not None
