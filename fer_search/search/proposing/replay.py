"""Rebuilding a lost oracle.json from the trials of a run.

An oracle's proposals follow from its seed and the committed trials: a new oracle that is told the same results in the
same order proposes the same trials and ends in the same state. If it proposes anything else, nothing is written.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from keras_tuner.engine.trial import Trial

from fer_search.errors import UserError
from fer_search.files import write_json
from fer_search.runfolder.objective import recorded_objective
from fer_search.runfolder.queue import read_queue
from fer_search.search.proposing.oracles import make_oracle
from fer_search.search.proposing.safe_oracle import BROKEN, ENDED, SafeOracle


def rebuild_oracle(run: Path) -> None:
    """Write the oracle.json of a run that has lost it.

    Raises:
        UserError: The trials are not those that the run's oracle proposes (exit code 4).
    """
    try:
        info = json.loads((run / "run.json").read_text(encoding="utf-8"))
        trials = [Trial.load(str(path)) for path in sorted(run.glob("trial_*/trial.json"))]
        records = [run / f"trial_{trial.trial_id}" / "design.json" for trial in trials]
        names = [json.loads(record.read_text(encoding="utf-8"))["name"] for record in records]
        with tempfile.TemporaryDirectory() as folder:
            oracle = _new_oracle(info, trials[0], Path(folder) / run.name)
            queued = {entry.get("trial") for entry in read_queue(run)}
            for trial, name in zip(trials, names, strict=True):
                _replay(oracle, trial, name is not None or trial.trial_id in queued)
            state = oracle.get_state()
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{run / 'oracle.json'} cannot be rebuilt from the trials ({error})", BROKEN) from error
    write_json(run / "oracle.json", state)


def _new_oracle(info: dict[str, Any], trial: Trial, folder: Path) -> SafeOracle:
    """Return the oracle with which the run started; every trial records all choices of its space."""
    tuner = dict(info["tuner"])
    for change in reversed(info.get("extended", [])):
        tuner["max_trials"] = change["from"].get("--max-trials", tuner["max_trials"])
    choices = trial.hyperparameters.copy()
    choices.values = {choice.name: choice.default for choice in choices.space if choices.is_active(choice)}
    options = {name: tuner[name] for name in ("max_trials", "max_epochs", "factor")}
    options["objective"] = recorded_objective(info)
    folder.mkdir()
    oracle = make_oracle(tuner["name"], choices, folder, seed=info["seed"], **options)
    oracle.hyperband_iterations = tuner.get("iterations", 1)
    return oracle


def _replay(oracle: SafeOracle, trial: Trial, baseline: bool) -> None:
    begun = oracle.adopt(trial.hyperparameters.copy()) if baseline else oracle.propose()
    if begun is None or begun.hyperparameters.values != trial.hyperparameters.values:
        raise ValueError(f"trial {trial.trial_id} is not what the oracle would propose")
    if trial.status in ENDED:
        begun.metrics, begun.status, begun.message = trial.metrics, trial.status, trial.message
        oracle.end_trial(begun)
