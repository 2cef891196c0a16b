"""Making oracle.json again from the trials of a run.

What an oracle proposes follows from its seed and the trials that ended: a new one, told of them one after the other,
proposes the same trials and ends in the same state. Where it proposes anything else, nothing is made.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from keras_tuner.engine.trial import Trial

from fer_search.errors import UserError
from fer_search.files import write_json
from fer_search.search.proposing.oracles import BROKEN, ENDED, SafeOracle, make_oracle


def rebuild_oracle(run: Path) -> None:
    """Write oracle.json of a run that has lost it.

    Raises:
        UserError: the trials are not those that the run's oracle proposes one after the other (exit code 4).
    """
    try:
        info = json.loads((run / "run.json").read_text(encoding="utf-8"))
        trials = [Trial.load(str(path)) for path in sorted(run.glob("trial_*/trial.json"))]
        records = [run / f"trial_{trial.trial_id}" / "design.json" for trial in trials]
        names = [json.loads(record.read_text(encoding="utf-8"))["name"] for record in records]
        with tempfile.TemporaryDirectory() as folder:
            oracle = _new_oracle(info, trials[0], Path(folder) / run.name)
            for trial, name in zip(trials, names, strict=True):
                _replay(oracle, trial, name is not None)
            state = oracle.get_state()
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{run / 'oracle.json'} cannot be made again from the trials ({error})", BROKEN) from error
    write_json(run / "oracle.json", state)


def _new_oracle(info: dict[str, Any], trial: Trial, folder: Path) -> SafeOracle:
    """Return the oracle that the run began with; every trial knows all choices of its space."""
    tuner = dict(info["tuner"])
    for change in reversed(info.get("extended", [])):
        tuner["max_trials"] = change["from"].get("--max-trials", tuner["max_trials"])
    choices = trial.hyperparameters.copy()
    choices.values = {choice.name: choice.default for choice in choices.space if choices.is_active(choice)}
    options = {name: tuner[name] for name in ("max_trials", "max_epochs", "factor")}
    folder.mkdir()
    return make_oracle(tuner["name"], choices, folder, seed=info["seed"], **options)


def _replay(oracle: SafeOracle, trial: Trial, baseline: bool) -> None:
    begun = oracle.adopt(trial.hyperparameters.copy()) if baseline else oracle.propose()
    if begun is None or begun.hyperparameters.values != trial.hyperparameters.values:
        raise ValueError(f"trial {trial.trial_id} is not what it would propose")
    if trial.status in ENDED:
        begun.metrics, begun.status, begun.message = trial.metrics, trial.status, trial.message
        oracle.end_trial(begun)
