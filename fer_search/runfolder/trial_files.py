"""The files of a run's trials: trial.json (Keras Tuner's), design.json and where epochs.csv is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_search.errors import UserError
from fer_search.runfolder.run_json import read_json, way_out


@dataclass(frozen=True)
class Record:
    """One trial's files.

    Args:
        trial: its id, the folder's name without "trial_".
        status: Keras Tuner's.
        score: the objective's best value; None where there is none.
        best_step: Keras Tuner's, of that value.
        values: of the choices, and the tuner's own ("tuner/...").
        metrics: name -> {"direction", "observations": [{"value": [...], "step": n}]}.
        message: why it failed.
        design: design.json; empty where it is missing.
        epochs_file: epochs.csv, which may be missing.
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
        """The trial whose weights this one went on from (Hyperband)."""
        parent = self.values.get("tuner/trial_id")
        return None if parent is None else str(parent)


def read_records(path: Path) -> list[Record]:
    """Return the trials of a run folder in the order in which they were started.

    Raises:
        UserError: a file is broken; the message names it.
    """
    oracle = path / "oracle.json"
    started = [str(trial) for trial in read_json(oracle).get("start_order", [])] if oracle.exists() else []
    place = {trial: at for at, trial in enumerate(started)}
    records = [_record(file) for file in path.glob("trial_*/trial.json")]
    return sorted(records, key=lambda r: (place.get(r.trial, len(place)), len(r.trial), r.trial))


def objective(records: list[Record]) -> tuple[str, str]:
    """Return the name and direction ("max" or "min") of what the scores are; Keras Tuner does not record which it was.

    It is the metric whose best value is every trial's score; of several, one that is an accuracy. fer-search's own runs
    maximise val_accuracy. ("", "max") where it cannot be known.
    """
    scored = [record for record in records if record.score is not None]
    if any(record.epochs_file.exists() for record in scored):
        return "val_accuracy", "max"
    names = list(dict.fromkeys(name for record in scored for name in record.metrics))
    fitting = [name for name in names if all(_explains(record, name) for record in scored)]
    fitting.sort(key=lambda name: "acc" not in name)
    return (fitting[0], str(scored[0].metrics[fitting[0]].get("direction", "max"))) if fitting else ("", "max")


def best_value(record: Record, metric: str) -> float | None:
    """Return a metric's best observed value; None where the trial has none."""
    observations = record.metrics.get(metric, {}).get("observations", ())
    values = [float(np.mean(one["value"])) for one in observations]
    if not values:
        return None
    return min(values) if record.metrics[metric].get("direction") == "min" else max(values)


def _explains(record: Record, metric: str) -> bool:
    value = best_value(record, metric)
    return value is not None and record.score is not None and bool(np.isclose(value, record.score, equal_nan=True))


def _record(file: Path) -> Record:
    epochs, design = file.with_name("epochs.csv"), file.with_name("design.json")
    content = read_json(file, _without_bulk if epochs.exists() else str)
    try:
        score = content.get("score")
        return Record(
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
        raise UserError(f"{file} is not a trial that Keras Tuner wrote ({error!r}); {way_out(file)}") from error


def _without_bulk(text: str) -> str:
    """Cut the space and the metrics out of a trial.json that fer-search wrote: 95% of it, known from elsewhere.

    Its lines are indented, and a string in JSON cannot hold a line break: a key at the start of a line is a key.
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
