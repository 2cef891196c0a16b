"""confirm/ in a run folder: the designs that were trained again and tested; ``schema.ConfirmJson`` lists the fields."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from fer_search.errors import EXIT_MISMATCH, UserError
from fer_search.files import write_atomic
from fer_search.runfolder.arrays import NPZ_ERRORS, read_npz
from fer_search.runfolder.json_files import check_format, read_json, write_json
from fer_search.runfolder.schema import CONFIRM_DIR, CONFIRM_FILE, TEST_PREDICTIONS_FILE, ConfirmJson


def read_confirm_json(run: Path) -> ConfirmJson | None:
    """Return confirm.json of a run; None where there is none.

    Raises:
        UserError: It is damaged, or of a newer format (exit code 4).
    """
    path = run / CONFIRM_DIR / CONFIRM_FILE
    if not os.path.lexists(path):
        return None
    record = read_json(path)
    check_format(path, record)
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
        changes = "; ".join(
            f"{name} was {_words(recorded.get(name))}, is now {_words(settings[name])}" for name in changed
        )
        raise UserError(
            f"{run / CONFIRM_DIR} was started with different settings: {changes}. To resume it, or to see its results: "
            f"{record['command']}. Choosing again after seeing test accuracies makes these optimistic; --overwrite "
            "does it anyway, and the report says so",
            EXIT_MISMATCH,
        )


def check_epochs(run: Path, record: ConfirmJson, epochs: list[int]) -> None:
    """Refuse to resume a confirmation for other numbers of epochs, after its trials were trained for longer.

    Args:
        run: Run folder.
        record: Its confirm.json.
        epochs: Epochs that each candidate would be trained for now.

    Raises:
        UserError: They differ (exit code 5).
    """
    recorded = [int(candidate["epochs"]) for candidate in record["candidates"]]
    if recorded != epochs:
        before, now = (", ".join(map(str, counts)) for counts in (recorded, epochs))
        raise UserError(
            f"{run / CONFIRM_DIR} was started before the search went on: its designs were to be trained for {before} "
            f"epochs, now for {now}; --overwrite starts it again",
            EXIT_MISMATCH,
        )


def model_problem(path: Path) -> Literal["", "missing", "damaged"]:
    """Return what is wrong with a network's file, which is a zip archive."""
    if not path.exists():
        return "missing"
    try:
        with zipfile.ZipFile(path) as archive:
            return "" if archive.testzip() is None else "damaged"
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):  # the last: encrypted
        return "damaged"


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(int(trial)) for trial in value)
    return "not given" if value is None else f"{value:g} s" if isinstance(value, float) else str(value)


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


def recorded_dirs(run: Path, record: ConfirmJson) -> list[tuple[Path, dict[str, Any]]]:
    """Return the folder and the test scores of each training that succeeded."""
    candidates = len(record["candidates"])
    return [
        (
            training_dir(run, record["looks"], training["seed"] * candidates + training["candidate"]),
            training["tests"],
        )
        for training in record["trainings"]
        if "tests" in training
    ]


def write_test_predictions(folder: Path, probabilities: np.ndarray, labels: np.ndarray) -> None:
    """Write a training's predictions for the test images.

    Args:
        folder: Folder of the training.
        probabilities: Float (n, classes); kept as float32, as near ties in half precision would
            change the recorded accuracy.
        labels: Int (n,).
    """
    arrays: dict[str, Any] = {"probabilities": probabilities.astype(np.float32), "labels": labels.astype(np.uint8)}
    write_atomic(folder / TEST_PREDICTIONS_FILE, lambda path: np.savez_compressed(path, allow_pickle=False, **arrays))


def read_test_predictions(folder: Path, images: int | None) -> np.ndarray | None:
    """Return a training's probabilities for the test images, float64 (images, classes); None if damaged or missing.

    Args:
        folder: Folder of the training.
        images: Number of test images; None if unknown.
    """
    try:
        with read_npz(folder / TEST_PREDICTIONS_FILE) as arrays:
            probabilities = arrays["probabilities"].astype(np.float64)
    except NPZ_ERRORS:
        return None
    return probabilities if probabilities.ndim == 2 and images in (None, len(probabilities)) else None


def read_test_hits(folder: Path) -> np.ndarray | None:
    """Return which test images a training's network recognises, bool (images,); None if damaged or missing.

    Args:
        folder: Folder of the training.
    """
    try:
        with read_npz(folder / TEST_PREDICTIONS_FILE) as arrays:
            hits: np.ndarray = arrays["probabilities"].argmax(axis=1) == arrays["labels"]
    except (*NPZ_ERRORS, ValueError):
        return None
    return hits


def tested_trainings(record: ConfirmJson) -> list[tuple[int, int, int]]:
    """Return the trainings that were tested: index of the training, index of its candidate, seed.

    The designs are in the order in which they were chosen, the recommended or best one first, and of a design the first
    seed comes first: an order that was fixed before the test images were evaluated, so that the test accuracy of the
    first one is not optimistic.
    """
    candidates = record["candidates"]
    tested = [
        (training["seed"] * len(candidates) + training["candidate"], training["candidate"], training["seed"])
        for training in record["trainings"]
        if "tests" in training
    ]
    return sorted(tested, key=lambda place: place[1:])
