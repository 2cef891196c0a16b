"""confirm/ in a run folder: the designs that were trained again and tested; ``schema.ConfirmJson`` lists the fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from fer_search.errors import EXIT_MISMATCH, EXIT_RUN_FOLDER, UserError
from fer_search.files import write_atomic, write_json
from fer_search.runfolder.schema import CONFIRM_DIR, CONFIRM_FILE, FORMAT, TEST_PREDICTIONS_FILE, ConfirmJson


def read_confirm_json(run: Path) -> ConfirmJson | None:
    """Return confirm.json of a run; None where there is none.

    Raises:
        UserError: It is damaged, or of a newer format (exit code 4).
    """
    path = run / CONFIRM_DIR / CONFIRM_FILE
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        version = int(record["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path} cannot be read ({error}); restore it from a backup, or move {path.parent} away"
        raise UserError(message, EXIT_RUN_FOLDER) from error
    if version > FORMAT:
        raise UserError(
            f"{path} has format {version}, newer than this version of fer-search reads; update fer-search",
            EXIT_RUN_FOLDER,
        )
    return cast(ConfirmJson, record)


def write_confirm_json(run: Path, record: ConfirmJson) -> None:
    """Replace confirm.json."""
    (run / CONFIRM_DIR).mkdir(exist_ok=True)
    write_json(run / CONFIRM_DIR / CONFIRM_FILE, record)


def previous_evaluations(record: ConfirmJson | None) -> int:
    """Return how often the test images were evaluated; a confirmation stopped before its first test does not count."""
    if record is None:
        return 0
    return int(record["looks"]) - (not any("tests" in training for training in record["trainings"]))


def check_settings(run: Path, record: ConfirmJson, settings: Mapping[str, Any]) -> None:
    """Refuse to resume a confirmation with other settings: the test images are evaluated once.

    Raises:
        UserError: The settings differ; the message says in what (exit code 5).
    """
    recorded = record["settings"]
    if changed := [name for name in settings if recorded.get(name) != settings[name]]:
        changes = "; ".join(f"{name} was {recorded.get(name)}, is now {settings[name]}" for name in changed)
        raise UserError(
            f"{run / CONFIRM_DIR} was started with different settings: {changes}. Choosing designs again after seeing "
            "test accuracies makes these optimistic; --overwrite does it anyway, and the report says so",
            EXIT_MISMATCH,
        )


def training_dir(run: Path, looks: int, number: int) -> Path:
    """Return the folder of a confirmation's training.

    Args:
        run: Run folder.
        looks: Which evaluation on the test images it belongs to, 1 being the first.
        number: Index of the training.
    """
    return evaluation_dir(run, looks) / f"training_{number:02d}"


def evaluation_dir(run: Path, looks: int) -> Path:
    """Return the folder of one evaluation on the test images, 1 being the first."""
    return run / CONFIRM_DIR / f"look_{looks}"


def evaluation_dirs(run: Path) -> list[Path]:
    """Return the folders of all evaluations."""
    return list((run / CONFIRM_DIR).glob("look_*"))


def write_test_predictions(folder: Path, probabilities: np.ndarray, labels: np.ndarray) -> None:
    """Write a training's predictions for the test images.

    Args:
        folder: Folder of the training.
        probabilities: Float (n, classes); kept as float16.
        labels: Int (n,).
    """
    arrays: dict[str, Any] = {"probabilities": probabilities.astype(np.float16), "labels": labels.astype(np.uint8)}
    write_atomic(folder / TEST_PREDICTIONS_FILE, lambda path: np.savez_compressed(path, allow_pickle=False, **arrays))


def read_test_predictions(folder: Path) -> np.ndarray:
    """Return a training's probabilities for the test images, float64 (n, classes)."""
    with np.load(folder / TEST_PREDICTIONS_FILE, allow_pickle=False) as arrays:
        return arrays["probabilities"].astype(np.float64)


def tested_trainings(record: ConfirmJson) -> list[tuple[int, int, int]]:
    """Return the trainings that were tested: index of the training, index of its candidate, seed.

    The design with the best validation accuracy comes first, and of a design the first seed: an order that was fixed
    before the test images were evaluated, so that the test accuracy of the first one is not optimistic.
    """
    candidates = record["candidates"]
    tested = [
        (training["seed"] * len(candidates) + training["candidate"], training["candidate"], training["seed"])
        for training in record["trainings"]
        if "tests" in training
    ]
    return sorted(tested, key=lambda place: (-candidates[place[1]]["val_accuracy"], place[1], place[2]))
