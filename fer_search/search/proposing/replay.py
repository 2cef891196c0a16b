"""Rebuilding a lost oracle.json from the trials of a run.

An oracle's proposals follow from its seed, the committed trials, the number of trials left and whether time was short,
which a trial records: a new oracle that is told the same results in the same order proposes the same trials and ends in
the same state. If it proposes anything else, nothing is written.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from keras_tuner.engine.trial import Trial

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.runfolder.design_json import read_design_json
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.runfolder.objective import recorded_objective
from fer_search.runfolder.queue import read_queue
from fer_search.runfolder.recovery import set_aside
from fer_search.runfolder.schema import ORACLE_FILE, RUN_FILE
from fer_search.runfolder.trial_files import read_trial_json
from fer_search.search.proposing.oracles import make_oracle
from fer_search.search.proposing.safe_oracle import ENDED, STATE_ERRORS, SafeOracle
from fer_search.search.window import Window
from fer_search.tuner_entries import PARENT, TIME_IS_SHORT


def rebuild_oracle(run: Path) -> None:
    """Write the oracle.json of a run that has lost it.

    Raises:
        UserError: The trials are not those that the run's oracle proposes (exit code 4).
    """
    try:
        info = read_json(run / RUN_FILE)
        files = RunFolder(run).trial_files()
        trials = [Trial.from_state(read_trial_json(file)) for file in files]
        names = [read_design_json(file.parent)["name"] for file in files]
        if info["identity"].get("--ahead") == "any" or any("--ahead" in change["from"] for change in _changes(info)):
            raise ValueError("with --ahead any, or another window from some trial on, their order is not known")
        with tempfile.TemporaryDirectory() as folder:
            oracle = _new_oracle(info, trials[0], Path(folder) / run.name)
            queued = {entry.get("trial") for entry in read_queue(run)}
            origins = [_origin(trial, name, queued) for trial, name in zip(trials, names, strict=True)]
            _replay(oracle, info, trials, origins)
            state = oracle.get_state()
    except (OSError, UserError, *STATE_ERRORS) as error:
        raise UserError(f"{run / ORACLE_FILE} cannot be rebuilt from the trials ({error})", EXIT_RUN_FOLDER) from error
    set_aside(run / ORACLE_FILE)
    write_json(run / ORACLE_FILE, state)


def _new_oracle(info: dict[str, Any], trial: Trial, folder: Path) -> SafeOracle:
    """Return the oracle with which the run started; every trial records all choices of its space."""
    tuner = dict(info["tuner"])
    for change in reversed(_changes(info)):
        tuner["max_trials"] = change["from"].get("--max-trials", tuner["max_trials"])
    choices = trial.hyperparameters.copy()
    choices.values = {choice.name: choice.default for choice in choices.space if choices.is_active(choice)}
    options = {name: tuner[name] for name in ("max_trials", "max_epochs", "factor")}
    options["objective"] = recorded_objective(info)
    options |= {"min_epochs": tuner.get("min_epochs", 1), "full_baselines": tuner.get("full_baselines", True)}
    folder.mkdir()
    oracle = make_oracle(tuner["name"], choices, folder, seed=info["seed"], **options)
    oracle.hyperband_iterations = tuner.get("iterations", 1)
    oracle.concurrent = info["identity"].get("--ahead", 1) != 1
    return oracle


def _changes(info: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each use of --extend."""
    return list(info.get("extended", []))


def _replay(oracle: SafeOracle, info: dict[str, Any], trials: Sequence[Trial], origins: Sequence[str]) -> None:
    """Begin and commit the trials as the search did; its window decides in which order."""
    raised = [change for change in _changes(info) if "--max-trials" in change["from"]]
    drained = {change["after_trials"] for change in raised}

    def begin_next() -> Trial | None:
        number = len(oracle.trials)
        if number in drained and oracle.pending():
            return None  # --max-trials was reached: all trials were committed before it was raised
        if number == len(trials):
            raise StopIteration
        left = None
        if info["tuner"].get("last_trials_full"):
            limits = [change["from"]["--max-trials"] for change in raised if change["after_trials"] > number]
            limit = next(iter(limits), info["tuner"]["max_trials"])
            left = None if limit is None else limit - number + origins[:number].count("queue")
        return _begin(oracle, trials[number], origins[number], left)

    window = Window(oracle, begin_next, info["identity"].get("--ahead", 1), capacity=1)
    with contextlib.suppress(StopIteration):
        while (decision := window.decide()).action in ("began", "commit"):
            if decision.action == "commit" and decision.trial is not None:
                oracle.commit(decision.trial.trial_id)
        if decision.action == "finished":
            raise ValueError(f"the oracle would not propose trial {len(oracle.trials):04d}")


def _origin(trial: Trial, name: str | None, queued: Collection[str | None]) -> str:
    """Return who began a trial: "baselines" or "queue" of the run, or its "oracle"."""
    if trial.trial_id in queued:
        return "queue"
    return "baselines" if name is not None and PARENT not in trial.hyperparameters.values else "oracle"


def _begin(oracle: SafeOracle, trial: Trial, origin: str, left: int | None) -> Trial | None:
    """Begin a trial as the search did; None if the oracle first needs results of pending ones."""
    begin = {"baselines": oracle.adopt_baseline, "queue": oracle.adopt}.get(origin)
    short = bool(trial.hyperparameters.values.get(TIME_IS_SHORT))
    begun = begin(trial.hyperparameters.copy()) if begin else oracle.propose(left, short)
    if begun is None:
        return None
    if begun.hyperparameters.values != trial.hyperparameters.values:
        raise ValueError(f"trial {trial.trial_id} is not what the oracle would propose")
    if trial.status in ENDED:
        oracle.recorded[trial.trial_id] = trial
    return begun
