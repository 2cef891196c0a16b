"""Reading the trials of a run: trial.json (Keras Tuner's), design.json and the path of epochs.csv."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.runfolder.json_files import read_json, repair_hint
from fer_search.runfolder.schema import DESIGN_FILE, EPOCHS_FILE, ORACLE_FILE, TRIAL_FILE, TRIAL_PREFIX
from fer_search.tuner_entries import PARENT


@dataclass(frozen=True)
class TrialRecord:
    """The files of one trial.

    Args:
        trial: Trial id, the folder's name without "trial_".
        status: Keras Tuner's status.
        score: Best value of the objective; None if there is none.
        best_step: Keras Tuner's step of that value.
        values: Values of the choices, and the tuner's entries ("tuner/...").
        metrics: Name -> {"direction", "observations": [{"value": [...], "step": n}]}.
        message: Why the trial failed or ended early; "" if it did not.
        design: Content of design.json; empty if missing.
        epochs_file: Path of epochs.csv, which may be missing.
    """

    trial: str
    status: str
    score: float | None
    best_step: int | None
    values: dict[str, Any]
    metrics: dict[str, Any]
    message: str
    design: dict[str, Any]
    epochs_file: Path

    @property
    def parent(self) -> str | None:
        """Id of the trial whose weights this one started from (Hyperband)."""
        parent = self.values.get(PARENT)
        return None if parent is None else str(parent)


def read_trial_records(run: Path) -> list[TrialRecord]:
    """Return the trials of a run folder in the order in which they were started.

    Raises:
        UserError: A file is damaged; the message names it.
    """
    oracle = run / ORACLE_FILE
    started = [str(trial) for trial in read_json(oracle).get("start_order", [])] if oracle.exists() else []
    position = {trial: index for index, trial in enumerate(started)}
    records = [_read_record(file) for file in run.glob(f"{TRIAL_PREFIX}*/{TRIAL_FILE}")]
    return sorted(records, key=lambda r: (position.get(r.trial, len(position)), len(r.trial), r.trial))


def read_trial_json(file: Path, digest: str | None = None, prepare: Callable[[str], str] = str) -> dict[str, Any]:
    """Return the content of a trial.json.

    Args:
        file: The file.
        digest: What ``trial_digest`` gave of its content, if known.
        prepare: Applied to the text before it is parsed.

    Raises:
        UserError: It is missing or damaged, belongs to another trial, or has another digest (exit code 4).
    """
    content = read_json(file, prepare)
    if f"{TRIAL_PREFIX}{content['trial_id']}" != file.parent.name:
        message = f"{file}: trial_id is {content['trial_id']}, so it belongs to another trial; {repair_hint(file)}"
        raise UserError(message, EXIT_RUN_FOLDER)
    if digest is not None and digest != trial_digest(content):
        raise UserError(f"{file} is not the result in {ORACLE_FILE}; {repair_hint(file)}", EXIT_RUN_FOLDER)
    return content


def trial_digest(content: Mapping[str, Any]) -> str:
    """Return a digest of a trial's result, its times left out."""
    plain = dict(content)
    if "metrics" in plain:
        metrics = plain["metrics"] = dict(plain["metrics"])
        if "metrics" in metrics:
            metrics["metrics"] = {name: value for name, value in metrics["metrics"].items() if name != "seconds"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def infer_objective(records: Sequence[TrialRecord]) -> tuple[str, str]:
    """Return the name and direction ("max" or "min") of the objective; Keras Tuner does not record it.

    It is the metric whose best value equals the score in every trial; of several, one that is an accuracy. Runs of
    fer-search maximise val_accuracy. ("", "max") if it cannot be determined.
    """
    scored = [record for record in records if record.score is not None]
    if any(record.epochs_file.exists() for record in scored):
        return "val_accuracy", "max"
    names = list(dict.fromkeys(name for record in scored for name in record.metrics))
    candidates = [name for name in names if all(_matches_score(record, name) for record in scored)]
    candidates.sort(key=lambda name: "acc" not in name)
    if not candidates:
        return "", "max"
    return candidates[0], str(scored[0].metrics[candidates[0]].get("direction", "max"))


def best_observation(record: TrialRecord, metric: str) -> float | None:
    """Return the best observed value of a metric; None if the trial has none."""
    observations = record.metrics.get(metric, {}).get("observations", ())
    values = [float(np.mean(observation["value"])) for observation in observations]
    if not values:
        return None
    return min(values) if record.metrics[metric].get("direction") == "min" else max(values)


def _matches_score(record: TrialRecord, metric: str) -> bool:
    value = best_observation(record, metric)
    return value is not None and record.score is not None and bool(np.isclose(value, record.score, equal_nan=True))


def _read_record(file: Path) -> TrialRecord:
    epochs, design = file.with_name(EPOCHS_FILE), file.with_name(DESIGN_FILE)
    content = read_trial_json(file, prepare=_drop_bulk if epochs.exists() else str)
    try:
        score = content.get("score")
        return TrialRecord(
            trial=str(content["trial_id"]),
            status=str(content["status"]),
            score=None if score is None else float(score),
            best_step=content.get("best_step"),
            values=dict(content["hyperparameters"]["values"]),
            metrics=dict((content.get("metrics") or {}).get("metrics") or {}),
            message=str(content.get("message") or "").strip(),
            design=read_json(design) if design.exists() else {},
            epochs_file=epochs,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file} has unexpected content ({error!r}); {repair_hint(file)}", EXIT_RUN_FOLDER) from error


def _drop_bulk(text: str) -> str:
    """Cut the space and the metrics out of a trial.json that fer-search wrote: 95% of it, also stored elsewhere.

    The file is indented, and a JSON string cannot contain a line break, so a key at the start of a line is a key.
    """
    for start, end, empty in (
        ('\n  "space": [', "\n  ]", '\n  "space": []'),
        ('\n "metrics": {', "\n }", '\n "metrics": {}'),
    ):
        first = text.find(start)
        last = text.find(end, first + len(start)) if first >= 0 else -1
        if last >= 0:
            text = text[:first] + empty + text[last + len(end) :]
    return text
