"""Writes run folders like those of a search, in Keras Tuner's format, with accuracies from a simple fake model."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

RECALLS = [f"recall_{name}" for name in ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")]
HEADER = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "clean_val_loss", "clean_val_accuracy"]
HEADER += ["learning_rate", "seconds", *RECALLS]
BASELINES: dict[str, dict] = {
    "figure_1": {},
    "strided_conv": {"downsample": "strided"},
    "mixup_strided": {"downsample": "strided", "mixup_alpha": 0.3},
}
REFERENCES = {"figure_1": 0.6779, "strided_conv": 0.678, "mixup_strided": 0.685, "Kaggle notebook, CNN": 0.6522}
DEFAULTS = {"downsample": "max_pool", "mixup_alpha": 0.0, "blocks": 2, "rate": 1e-3, "flip": True}


def choice(name: str, values: Sequence, conditions: Sequence = ()) -> dict:
    config = {
        "name": name,
        "default": values[0],
        "conditions": list(conditions),
        "values": list(values),
        "ordered": False,
    }
    return {"class_name": "Choice", "config": config}


def number(kind: str, name: str, low: float, high: float, step: float | None = None, sampling: str = "linear") -> dict:
    config = {"name": name, "default": None, "conditions": [], "min_value": low, "max_value": high}
    return {"class_name": kind, "config": config | {"step": step, "sampling": sampling}}


def parent(name: str, *values: Any) -> dict:
    return {"class_name": "Parent", "config": {"name": name, "values": list(values)}}


SPACE = [
    choice("downsample", ["max_pool", "strided"]),
    choice("mixup_alpha", [0.0, 0.3, 1.0]),
    number("Int", "blocks", 1, 3, step=1),
    number("Float", "rate", 1e-5, 1e-2, sampling="log"),
    {"class_name": "Boolean", "config": {"name": "flip", "default": False, "conditions": []}},
    choice("pool_size", [2, 3], [parent("downsample", "max_pool")]),
    {"class_name": "Fixed", "config": {"name": "classes", "conditions": [], "value": 7}},
]


def sample(rng: random.Random) -> dict[str, Any]:
    """Return random values for SPACE; pool_size only if it is active."""
    values: dict[str, Any] = {
        "downsample": rng.choice(["max_pool", "strided"]),
        "mixup_alpha": rng.choice([0.0, 0.3, 1.0]),
        "blocks": rng.randint(1, 3),
        "rate": 10 ** rng.uniform(-5, -2),
        "flip": rng.random() < 0.5,
    }
    if values["downsample"] == "max_pool":
        values["pool_size"] = rng.choice([2, 3])
    return values | {"classes": 7}


def accuracies(values: Mapping[str, Any], epochs: int, rng: random.Random) -> list[float]:
    """Return a learning curve: strided convolutions help by 3 points, mixup 0.3 by 2, rates far from 1e-3 hurt."""
    limit = 0.58 + 0.03 * (values["downsample"] == "strided") + 0.02 * (values["mixup_alpha"] == 0.3)
    limit += 0.01 * values["blocks"] - 0.04 * abs(math.log10(values["rate"]) + 3) + rng.gauss(0, 0.008)
    return [max(0.14, limit - 0.4 * math.exp(-e / 3) + rng.gauss(0, 0.004)) for e in range(1, epochs + 1)]


def epochs_csv(curve: Sequence[float], first: int = 1) -> str:
    """Return the text of epochs.csv with these validation accuracies, starting at epoch ``first``."""
    lines = [",".join(HEADER)]
    for epoch, a in enumerate(curve, first):
        recalls = [
            min(1.0, max(0.0, a + 0.1 * math.sin(k) + 0.02 * math.sin(1e4 * a + k))) for k in range(len(RECALLS))
        ]
        row = [epoch, 2 - a, a + 0.03, 2.1 - a, a, 2 - a, a + 0.01, 1e-3, 12.5, *recalls]
        lines.append(",".join(map(str, row)))
    return "\n".join(lines) + "\n"


def write_trial(
    run: Path,
    trial: str,
    values: Mapping[str, Any],
    curve: Sequence[float] = (),
    *,
    status: str = "COMPLETED",
    message: str | None = None,
    name: str | None = None,
    space: Sequence[dict] = SPACE,
    first: int = 1,
) -> None:
    """Write trial.json, design.json and epochs.csv of one trial as a search does."""
    folder = run / f"trial_{trial}"
    folder.mkdir(parents=True)
    observations = [{"value": [a], "step": e} for e, a in enumerate(curve, first)]
    done = status == "COMPLETED"
    state = {
        "trial_id": trial,
        "hyperparameters": {"space": list(space), "values": dict(values)},
        "metrics": {"metrics": {"val_accuracy": {"direction": "max", "observations": observations}} if done else {}},
        "score": max(curve) if done else None,
        "best_step": max(observations, key=lambda observation: observation["value"])["step"] if done else 0,
        "status": status,
        "message": message,
    }
    (folder / "trial.json").write_text(json.dumps(state))
    size = int(values.get("blocks", 1))
    design = {"name": name, "design": {"network": {}}, "parameters": 181_000 * size, "flops": 62_600_000 * size}
    (folder / "design.json").write_text(json.dumps(design))
    if curve:
        (folder / "epochs.csv").write_text(epochs_csv(curve, first))


def write_oracle(run: Path, trials: Sequence[str], space: Sequence[dict] = SPACE) -> None:
    """Write tuner0.json, and oracle.json with the keys that the report reads."""
    run.mkdir(parents=True, exist_ok=True)
    state = {"ongoing_trials": {}, "hyperparameters": {"space": list(space), "values": {}}, "start_order": list(trials)}
    (run / "oracle.json").write_text(json.dumps(state | {"end_order": list(trials), "run_times": {}, "seed": 1}))
    (run / "tuner0.json").write_text("{}")


def run_json(name: str, **changes: Any) -> dict[str, Any]:
    """Return the content of a run.json; ``changes`` replace keys."""
    data = {"name": "FER2013", "source": "folders", "fingerprint": "8d1f23a0", "toy": False, "train": 2000}
    info = {
        "format": 1,
        "name": name,
        "command": f"fer-search run --space search_spaces/report.py --width 0.125 --name {name}",
        "created": "2026-03-01T10:00:00+00:00",
        "version": "0.1.0",
        "space": {
            "name": "report",
            "path": "search_spaces/report.py",
            "sha256": "c0ffee",
            "text": "def design(hp):\n    ...",
        },
        "references": REFERENCES,
        "baselines": BASELINES,
        "data": data | {"validation": 2871, "notes": []},
        "protocol": "holdout",
        "protocol_note": "validated on 2,871 images held out of train; the test images are not touched",
        "seed": 0,
        "tuner": {"name": "random", "max_trials": 12, "max_epochs": 9, "factor": 3, "baselines": "first"},
        "settings": {"width": 0.125, "limit_train": 2000, "batch_size": None},
        "versions": {"python": "3.11.7", "keras": "3.15.1"},
        "backend": "tensorflow",
        "device": "CPU, 2 cores",
        "skipped": [],
        "state": "finished",
        "seconds": 1234.5,
    }
    return info | changes


def write_random(run: Path, trials: int = 12, epochs: int = 9, seed: int = 0, **changes: Any) -> Path:
    """Write a random-search run: baselines first, every seventh trial failed."""
    rng = random.Random(seed)
    ids = [f"{k:04d}" for k in range(trials)]
    write_oracle(run, ids)
    (run / "run.json").write_text(json.dumps(run_json(run.name, **changes)))
    names = list(BASELINES)
    for k, trial in enumerate(ids):
        name = names[k] if k < len(names) else None
        values = DEFAULTS | {"pool_size": 2, "classes": 7} | BASELINES[name] if name else sample(rng)
        if values["downsample"] != "max_pool":
            values.pop("pool_size", None)
        if k % 7 == 6:
            write_trial(run, trial, values, status="FAILED", message="out of memory: a tensor of 64x48x48x256")
        else:
            write_trial(run, trial, values, accuracies(values, epochs, rng), name=name)
    return run


def write_running(run: Path, trials: int, epochs: int = 9, seed: int = 1) -> None:
    """Add trials that trained all epochs but are not yet reported to the tuner to a run of ``write_random``."""
    rng = random.Random(seed)
    first = len(list(run.glob("trial_*")))
    for k in range(first, first + trials):
        values = sample(rng)
        write_trial(run, f"{k:04d}", values, accuracies(values, epochs, rng), status="RUNNING")


def write_hyperband(run: Path, seed: int = 0, **changes: Any) -> Path:
    """Write one Hyperband bracket: nine trials of 1 epoch, three promoted to 3 epochs and one to 9."""
    rng = random.Random(seed)
    rungs = [(9, 0, 1), (3, 1, 3), (1, 3, 9)]
    known: list[tuple] = []
    (run / "run.json").parent.mkdir(parents=True, exist_ok=True)
    tuner = {"name": "hyperband", "max_epochs": 9}
    (run / "run.json").write_text(json.dumps(run_json(run.name, **{"tuner": tuner} | changes)))
    number_of = 0
    for rung, (count, start, end) in enumerate(rungs):
        known.sort(key=lambda result: -result[2][-1])
        before, known = known, []
        for k in range(count):
            trial = f"{number_of:04d}"
            values = before[k][1] if before else sample(rng)
            curve = before[k][3] if before else accuracies(values, 9, rng)
            own = curve[start:end]
            extra = {"tuner/epochs": end, "tuner/initial_epoch": start, "tuner/bracket": 2, "tuner/round": rung}
            extra |= {"tuner/trial_id": before[k][0]} if before else {}
            write_trial(run, trial, values | extra, own, first=start + 1)
            known.append((trial, values, own, curve))
            number_of += 1
    write_oracle(run, [f"{k:04d}" for k in range(number_of)])
    return run


def write_stock(run: Path, metric: str = "val_accuracy", direction: str = "max") -> Path:
    """Write a project as stock Keras Tuner's RandomSearch does, with only the best epoch's metrics."""
    scores = (0.55, 0.61, 0.5)
    write_oracle(run, [f"{k:02d}" for k in range(len(scores))])
    for k, score in enumerate(scores):
        folder = run / f"trial_{k:02d}"
        folder.mkdir()
        observed = {"direction": direction, "observations": [{"value": [score], "step": 2}]}
        state = {
            "trial_id": f"{k:02d}",
            "hyperparameters": {"space": SPACE, "values": sample(random.Random(k))},
            "metrics": {"metrics": {"loss": observed | {"direction": "min"}, metric: observed}},
            "score": score,
            "best_step": 2,
            "status": "COMPLETED",
            "message": None,
        }
        (folder / "trial.json").write_text(json.dumps(state, indent=1))
    return run


def write_failed(run: Path, trials: int = 3) -> Path:
    """Write a run in which every trial failed."""
    write_random(run, trials=0)
    for k in range(trials):
        write_trial(run, f"{k:04d}", sample(random.Random(k)), status="FAILED", message="the loss was no number")
    return run


def write_predictions(run: Path, trial: str, images: int = 400) -> None:
    """Write predictions.npz and its trial's layers.json in the format of ``fer_search.report.tables.predictions``."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, images)
    scores = rng.normal(0, 1, (images, 7)) + 2 * np.eye(7)[labels]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)[:12]
    np.savez_compressed(
        run / "predictions.npz",
        trial=np.array(trial),
        labels=labels.astype(np.uint8),
        probabilities=probabilities.astype(np.float32),
        rows=np.arange(images),
        mistakes=wrong,
        mistake_images=rng.integers(0, 255, (len(wrong), 48, 48)).astype(np.uint8),
    )
    layer = {"name": "conv2d", "kind": "Conv2D", "output": [48, 48, 64], "parameters": 640}
    (run / f"trial_{trial}" / "layers.json").write_text(json.dumps({"layers": [layer]}))
